"""Several nodes: they join, are cut off, come back, move, and lose their server."""
import json
import os
import re
import signal
import time
import unittest

import lab
from lab import condition, pod_on, wait_until


def uptime():
    with open("/proc/uptime") as f:
        return float(f.read().split()[0])


class Nodes(unittest.TestCase):
    """Each test has machines of its own: what they survive is different."""
    options = ()
    cable = {}

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("network namespaces need root")
        self.network = lab.Network()
        self.addCleanup(self.network.close)
        self.cluster = lab.Cluster(self.network, *self.options, **self.cable)
        self.cluster.start()

    def workers(self, *names):
        """Workers that have joined and have the test's image, with a running pod each, named after its node."""
        machines = [self.cluster.worker(name) for name in names]
        self.cluster.import_image(*machines)
        for name in names:
            self.cluster.apply(pod_on(name, f"on-{name}"))
        for name in names:
            self.cluster.wait_pod(f"on-{name}")
        return machines

    def container_started(self, pod):
        return self.cluster.get("pod", pod)["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]

    def restarts(self, pod):
        return self.cluster.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"]

    def longest_pause(self, pod, since=0.0):
        """Seconds between two lines of a pod that says the time: how long it stood still, or was gone."""
        times = [float(line) for line in self.cluster.kubectl("logs", pod).split() if float(line) >= since]
        self.assertGreater(len(times), 2)
        return max(b - a for a, b in zip(times, times[1:]))


    def revision(self):
        return int(json.loads(self.cluster.kubectl("get", "--raw", "/api/v1/pods?limit=1"))["metadata"]["resourceVersion"])


class Quick(Nodes):
    def test_two_nodes(self):
        """A worker joins over the network, runs a pod, serves its logs and exec, and goes when it is told to."""
        worker, = self.workers("worker")
        self.cluster.import_image(self.cluster.server)
        self.cluster.apply(pod_on("server", "on-server"))
        self.cluster.wait_pod("on-server")
        addresses = {n["metadata"]["name"]: n["status"]["addresses"][0]["address"] for n in self.cluster.get("nodes")["items"]}
        self.assertEqual(addresses, {"server": self.cluster.server.address, "worker": worker.address})
        for pod in ("on-server", "on-worker"):
            self.assertEqual(self.cluster.kubectl("exec", pod, "--", "hostname"), pod + "\n")
            self.assertRegex(self.cluster.kubectl("logs", pod, "--tail=1"), r"^[\d.]+\n$")
        self.assertEqual(self.cluster.taints("worker"), set())
        self.cluster.kubectl("delete", "pod", "on-worker", "--wait", "--timeout=20s")
        self.assertEqual([], [name for name in os.listdir(worker.data + "/run") if name.startswith("pods/")])


class SlowLinks(Nodes):
    cable = {"delay_ms": 50, "loss_percent": 5}  # of the server, in each direction: 100 ms there and back

    def test_slow_and_lossy_links(self):
        """100 ms of delay and 5 % of loss: nodes join, pods run, logs, exec and copies come through whole."""
        machines = [self.cluster.worker(name, ready=False) for name in ("a", "b")]
        for name in ("a", "b"):
            self.cluster.wait_ready(name, seconds=60)
        self.cluster.import_image(*machines)
        for name in ("a", "b"):
            self.cluster.apply(pod_on(name, f"on-{name}"))
        for name in ("a", "b"):
            self.cluster.wait_pod(f"on-{name}", seconds=60)
            self.assertEqual(self.cluster.kubectl("exec", f"on-{name}", "--", "hostname"), f"on-{name}\n")
            self.assertRegex(self.cluster.kubectl("logs", f"on-{name}", "--tail=1"), r"^[\d.]+\n$")
        megabyte = "head -c 1048576 /dev/zero | tr '\\0' x"
        self.assertEqual(len(self.cluster.kubectl("exec", "on-a", "--", "sh", "-c", megabyte)), 1 << 20)
        echoed = self.cluster.kubectl("exec", "-i", "on-b", "--", "cat", input="0123456789abcdef" * 8192)
        self.assertEqual(len(echoed), 131072)
        for name in ("a", "b"):
            self.cluster.kubectl("delete", "pod", f"on-{name}", "--timeout=60s")
            self.assertEqual(self.cluster.ready(name), "True")


class ServerKilled(Nodes):
    def test_server_is_killed_while_workers_are_connected(self):
        """kill -9 and a new start: workers go on, hear of new pods by themselves, and no container notices."""
        self.workers("a", "b")
        started = {pod: self.container_started(pod) for pod in ("on-a", "on-b")}
        rv = self.revision()
        for _ in range(3):
            self.cluster.server.stop(signal.SIGKILL)
            self.cluster.server.start()
            self.cluster.wait_api()
        self.assertGreaterEqual(self.revision(), rv)
        self.cluster.apply(pod_on("a", "later"))
        self.cluster.wait_pod("later")
        for pod in started:
            self.assertEqual(self.container_started(pod), started[pod])
            self.assertEqual(self.restarts(pod), 0)
            self.assertLess(self.longest_pause(pod), 2)
        for node in ("server", "a", "b"):
            self.cluster.wait_ready(node)
            self.assertEqual(self.cluster.taints(node), set())


class Joining(Nodes):
    def test_a_worker_that_is_there_before_its_server(self):
        """The worker starts while the server cannot be reached, keeps trying, and joins when it can."""
        token, server = self.cluster.token, self.cluster.server
        server.stop()
        worker = self.cluster.worker("early", ready=False, token=token)
        wait_until("the worker found the server away", lambda: re.search("(?i)refused|cannot|again", worker.tail()))
        time.sleep(1)
        self.assertIsNone(worker.process.poll(), worker.tail())
        worker.cut()
        server.start()
        self.cluster.wait_api()
        self.assertIsNone(self.cluster.get("node", "early"))
        worker.heal()
        self.cluster.wait_ready("early", seconds=40)

    def test_a_worker_gets_another_address(self):
        """The node's address follows, and logs and exec reach it there."""
        worker, = self.workers("mover")
        worker.readdress("10.77.0.99")

        def told():
            node = self.cluster.get("node", "mover")
            return node["status"]["addresses"][0]["address"] == "10.77.0.99"
        wait_until("the node tells its new address", told, 40)
        self.assertEqual(self.cluster.ready("mover"), "True")
        self.assertEqual(self.cluster.kubectl("exec", "on-mover", "--", "echo", "here"), "here\n")
        self.assertEqual(self.restarts("on-mover"), 0)
        wait_until("pods tell it as well", lambda: self.cluster.get("pod", "on-mover")["status"]["hostIP"] == "10.77.0.99")


class Partition(Nodes):
    options = ("--node-monitor-grace-period", "12s")

    def test_a_worker_is_cut_off_and_comes_back(self):
        """Its containers run on, it is marked unreachable, pods that tolerate that for long stay, and all is well again after."""
        worker, other = self.workers("cut", "other")
        self.cluster.apply(pod_on("cut", "brief", more="tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, "
                                                      "effect: NoExecute, tolerationSeconds: 2}]"))
        self.cluster.wait_pod("brief")
        begun = uptime()
        worker.cut()
        self.cluster.wait_ready("cut", "Unknown", 40)
        ready = condition(self.cluster.get("node", "cut"), "Ready")
        self.assertEqual((ready["reason"], ready["message"]), ("NodeStatusUnknown", "Kubelet stopped posting node status."))
        wait_until("taints", lambda: self.cluster.taints("cut") == {"unreachable:NoSchedule", "unreachable:NoExecute"}, 10)
        wait_until("its pod is not ready", lambda: condition(self.cluster.get("pod", "on-cut"), "Ready")["status"] == "False")
        self.assertEqual(condition(self.cluster.get("pod", "on-other"), "Ready")["status"], "True")
        events = self.cluster.kubectl("get", "events", "-A", "-o", "jsonpath={.items[*].reason}").split()
        self.assertIn("NodeNotReady", events)
        self.cluster.apply(pod_on("cut", "pending"))
        wait_until("the pod that tolerated it for two seconds is to go", lambda: "deletionTimestamp" in self.cluster.get("pod", "brief")["metadata"])
        self.assertEqual(condition(self.cluster.get("pod", "brief"), "DisruptionTarget")["reason"], "DeletionByTaintManager")
        self.assertNotIn("deletionTimestamp", self.cluster.get("pod", "on-cut")["metadata"])
        self.assertEqual(self.cluster.get("pod", "pending")["status"]["phase"], "Pending")
        # What changes meanwhile reaches the node when it is back.
        self.cluster.kubectl("label", "pod", "on-cut", "seen=later")

        worker.heal()
        self.cluster.wait_ready("cut", "True", 30)
        wait_until("no taints", lambda: self.cluster.taints("cut") == set(), 10)
        wait_until("its pod is ready", lambda: condition(self.cluster.get("pod", "on-cut"), "Ready")["status"] == "True", 20)
        wait_until("the evicted pod is gone", lambda: self.cluster.get("pod", "brief") is None, 20)
        self.cluster.wait_pod("pending")
        self.assertEqual(self.restarts("on-cut"), 0)
        self.assertLess(self.longest_pause("on-cut", begun), 2)
        renewed = self.cluster.get("lease", "cut", "-n", "kube-node-lease")["spec"]["renewTime"]
        wait_until("its lease is renewed", lambda: self.cluster.get("lease", "cut", "-n", "kube-node-lease")["spec"]["renewTime"] != renewed, 15)

    def test_nothing_passes_for_long(self):
        """Links are up, but packets vanish, for longer than TCP keeps its hope: both sides let go, and find each other again."""
        worker, = self.workers("silent")
        worker.drop(self.cluster.server)
        dropped = uptime()
        self.cluster.wait_ready("silent", "Unknown", 40)
        failed = self.cluster.run("exec", "on-silent", "--", "true", check=False)
        self.assertEqual(failed.returncode, 1)
        self.cluster.apply(pod_on("silent", "meanwhile"))
        self.cluster.kubectl("delete", "pod", "on-silent", "--wait=false")
        wait_until("a minute has passed", lambda: uptime() - dropped > 60, 60)
        self.network.undo_drops()
        healed = uptime()
        self.cluster.wait_ready("silent", "True", 30)
        self.cluster.wait_pod("meanwhile")
        wait_until("the deleted pod is gone", lambda: self.cluster.get("pod", "on-silent") is None, 20)
        self.assertLess(uptime() - healed, 40)
        self.assertEqual(self.cluster.kubectl("exec", "meanwhile", "--", "echo", "back"), "back\n")

    def test_all_workers_are_cut_off(self):
        """Meanwhile the server is killed and started, pods are deleted and made: the workers hear of it when they are back."""
        machines = self.workers("a", "b")
        for machine in machines:
            machine.cut()
        for name in ("a", "b"):
            self.cluster.wait_ready(name, "Unknown", 40)
            self.assertIn("unreachable:NoSchedule", self.cluster.taints(name))
        self.cluster.kubectl("delete", "pod", "on-b", "--wait=false")
        self.cluster.server.stop(signal.SIGKILL)
        self.cluster.server.start()
        self.cluster.wait_api()
        self.assertEqual(self.cluster.ready("a"), "Unknown")
        self.cluster.apply(pod_on("b", "later"))
        for machine in machines:
            machine.heal()
        for name in ("a", "b"):
            self.cluster.wait_ready(name, "True", 30)
            wait_until("no taints", lambda: self.cluster.taints(name) == set(), 10)
        self.assertEqual(self.restarts("on-a"), 0)
        wait_until("the deleted pod is gone", lambda: self.cluster.get("pod", "on-b") is None, 20)
        self.cluster.wait_pod("later")


if __name__ == "__main__":
    unittest.main()
