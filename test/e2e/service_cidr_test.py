"""More networks for addresses of services: ready, in use, deleted when nothing needs them any more."""
import time
import unittest

from harness import ClusterTest, wait_until


class ServiceCidrTest(ClusterTest):
    agent = False

    def ready(self, name):
        conditions = self.cluster.get("servicecidr", name).get("status", {}).get("conditions", [{}])
        return conditions[0].get("status"), conditions[0].get("reason")

    def test_a_network_comes_and_goes(self):
        run = self.cluster.run
        self.cluster.apply('{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"more"},"spec":{"cidrs":["10.200.0.0/28"]}}')
        wait_until("it is ready", lambda: self.ready("more") == ("True", ""))
        self.assertEqual(self.cluster.get("servicecidr", "more")["metadata"]["finalizers"], ["networking.k8s.io/service-cidr-finalizer"])
        run("create", "service", "clusterip", "a", "--tcp=80", "--clusterip=10.200.0.5")
        wait_until("its address is recorded", lambda: run("get", "ipaddress", "10.200.0.5", check=False).returncode == 0)
        run("delete", "servicecidr", "more", "--wait=false")
        wait_until("it is kept for the service", lambda: self.ready("more") == ("False", "Terminating"))
        refused = run("create", "service", "clusterip", "b", "--tcp=80", "--clusterip=10.200.0.6", check=False)
        self.assertIn("the provided network does not match the current range", refused.stderr)
        run("delete", "service", "a")
        begun = time.monotonic()
        wait_until("it is gone", lambda: run("get", "servicecidr", "more", check=False).returncode != 0)
        self.assertLess(time.monotonic() - begun, 15)

    def test_what_lies_in_another_network_may_go(self):
        run = self.cluster.run
        for name, cidr in (("outer", "10.201.0.0/24"), ("inner", "10.201.0.0/28")):
            self.cluster.apply('{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"%s"},"spec":{"cidrs":["%s"]}}' % (name, cidr))
            wait_until("it is ready", lambda name=name: self.ready(name) == ("True", ""))
        run("create", "service", "clusterip", "c", "--tcp=80", "--clusterip=10.201.0.3")
        run("delete", "servicecidr", "inner", "--wait=false")
        wait_until("it is gone", lambda: run("get", "servicecidr", "inner", check=False).returncode != 0)
        run("delete", "service", "c")


if __name__ == "__main__":
    unittest.main()
