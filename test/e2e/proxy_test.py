"""The proxies to pods, services and nodes."""
import json
import unittest

from harness import ClusterTest, busybox_pod, wait_until

PAGE = '<html><a href="/x">link</a><a href="http://elsewhere/y">other</a></html>'
SERVE = f"mkdir -p /w/sub && echo '{PAGE}' > /w/index.html && echo plain > /w/sub/file && exec httpd -f -p 8080 -h /w"
BASE = "/api/v1/namespaces/default"


class Proxy(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.apply(busybox_pod("web", SERVE, container="ports: [{containerPort: 8080}]"))
        cls.cluster.wait_pod("web")
        wait_until("the server in the pod answers",
                   lambda: cls.cluster.run("get", "--raw", f"{BASE}/pods/web/proxy/sub/file", check=False).returncode == 0)

    def raw(self, path):
        return self.cluster.kubectl("get", "--raw", path)

    def test_pods_by_default_port_named_port_and_scheme(self):
        for name in ("web", "web:8080", "http:web:8080", "http:web:"):
            self.assertEqual(self.raw(f"{BASE}/pods/{name}/proxy/sub/file"), "plain\n", name)

    def test_links_stay_behind_the_server(self):
        page = self.raw(f"{BASE}/pods/web:8080/proxy/")
        self.assertIn(f'<a href="{BASE}/pods/web:8080/proxy/x">', page)
        self.assertIn('<a href="http://elsewhere/y">', page)

    def test_what_the_backend_says_is_passed_on(self):
        refused = self.cluster.run("get", "--raw", f"{BASE}/pods/web:8080/proxy/none", check=False)
        self.assertIn("NotFound", refused.stderr)
        refused = self.cluster.run("get", "--raw", f"{BASE}/pods/web:9/proxy/", check=False)
        self.assertIn("error trying to reach service", refused.stderr)

    def test_services_by_port_and_name(self):
        address = self.cluster.pod("web")["status"]["podIP"]
        self.cluster.apply("apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {ports: [{name: http, port: 80}]}\n")
        self.cluster.apply(json.dumps({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "front"}, "subsets": [{
                "addresses": [{"ip": address, "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"}}],
                "ports": [{"name": "http", "port": 8080}]}]}))
        for name in ("front:80", "front:http", "http:front:http"):
            self.assertEqual(self.raw(f"{BASE}/services/{name}/proxy/sub/file"), "plain\n", name)
        refused = self.cluster.run("get", "--raw", f"{BASE}/services/front:81/proxy/", check=False)
        self.assertIn('no service port 81 found for service "front"', refused.stderr)

    def test_nodes(self):
        self.assertEqual(self.raw("/api/v1/nodes/node-a/proxy/healthz"), "ok")


if __name__ == "__main__":
    unittest.main()
