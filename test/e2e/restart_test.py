"""Containers outlive knarr; writes outlive everything."""
import os
import signal
import subprocess
import time
import unittest

import harness
from harness import Cluster, ClusterTest, busybox_pod, wait_until


def agent_pid(cluster):
    with open(cluster.data + "/agent.lock") as f:
        return int(f.read())


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


class Restarts(ClusterTest):
    def setUp(self):
        self.cluster.apply(busybox_pod("survivor", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done"))
        self.before = self.cluster.wait_pod("survivor")

    def tearDown(self):
        self.cluster.run("delete", "pod", "--all", "--grace-period=0", "--force", check=False)

    def same_container(self):
        status = self.cluster.pod("survivor")["status"]["containerStatuses"][0]
        self.assertEqual(status["restartCount"], 0)
        self.assertEqual(status["containerID"], self.before["status"]["containerStatuses"][0]["containerID"])

    def still_works(self):
        self.same_container()
        self.assertEqual(wait_until("exec works", lambda: self.cluster.run("exec", "survivor", "--", "echo", "yes", check=False).stdout), "yes\n")
        ticks = len(self.cluster.kubectl("logs", "survivor").splitlines())
        wait_until("it goes on logging", lambda: len(self.cluster.kubectl("logs", "survivor").splitlines()) > ticks)

    def test_the_agent_is_killed(self):
        pid = agent_pid(self.cluster)
        os.kill(pid, signal.SIGKILL)
        wait_until("a new agent runs", lambda: agent_pid(self.cluster) not in (0, pid))
        self.still_works()

    def test_the_server_is_killed(self):
        self.cluster.stop(signal.SIGKILL)
        self.cluster.start()
        self.still_works()

    def test_the_server_is_stopped_and_started(self):
        self.cluster.stop()
        self.cluster.start()
        self.still_works()

    def test_what_ends_while_nobody_looks_is_noticed(self):
        self.cluster.apply(busybox_pod("brief", "sleep 1; exit 4"))
        self.cluster.wait_pod("brief")
        self.cluster.stop(signal.SIGKILL)
        wait_until("the agent went with its server", lambda: not alive(agent_pid(self.cluster)))
        time.sleep(1.5)
        self.cluster.start()
        pod = self.cluster.wait_pod("brief", "Failed")
        self.assertEqual(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 4)

    def test_stopping_can_end_the_pods(self):
        self.cluster.stop()
        self.cluster.start("--keep-pods=false")
        shims = [p for p in harness.leftovers(self.cluster.data) if " shim " in p]
        self.assertTrue(shims)
        self.cluster.stop()
        self.assertEqual([p for p in harness.leftovers(self.cluster.data) if " shim " in p], [])
        self.cluster.start()


class Data(unittest.TestCase):
    def test_objects_and_watches_survive_a_kill(self):
        cluster = Cluster(agent=False)
        try:
            cluster.start()
            cluster.kubectl("create", "cm", "kept", "--from-literal=a=b")
            kept = cluster.get("cm", "kept")
            cluster.stop(signal.SIGKILL)
            cluster.start()
            self.assertEqual(cluster.get("cm", "kept"), kept)
        finally:
            cluster.close()

    def test_a_damaged_database_is_reported_and_left_alone(self):
        cluster = Cluster(agent=False)
        try:
            cluster.start()
            cluster.stop()
            path = cluster.data + "/db/knarr.db"
            with open(path, "r+b") as f:
                f.write(b"this is not a database")
            with open(path, "rb") as f:
                damaged = f.read()
            result = subprocess.run([harness.KNARR, "server", "--disable-agent", "--data-dir", cluster.data, "--listen", f"127.0.0.1:{cluster.port}"],
                                    capture_output=True, text=True, timeout=30)
            self.assertEqual(result.returncode, 1)
            self.assertIn(path, result.stderr)
            with open(path, "rb") as f:
                self.assertEqual(f.read(), damaged)
        finally:
            cluster.close()


class SideBySide(unittest.TestCase):
    def test_two_instances_on_one_machine(self):
        a, b = Cluster(node="left"), Cluster(node="right")
        try:
            for cluster in (a, b):
                cluster.start()
                cluster.import_image()
                cluster.apply(busybox_pod("p", "sleep 60"))
            addresses = {c.wait_pod("p")["status"]["podIP"] for c in (a, b)}
            self.assertEqual(len(addresses), 2)
            second = subprocess.run([harness.KNARR, "server", "--data-dir", a.data, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
            self.assertEqual(second.returncode, 1)
            self.assertIn("another knarr server", second.stderr)
        finally:
            a.close()
            b.close()


if __name__ == "__main__":
    unittest.main()
