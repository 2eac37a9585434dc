"""A second machine joins with the token; a wrong token or a wrong server does not get far."""
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import Cluster, busybox_pod


@unittest.skipUnless(os.geteuid() == 0, "running pods needs root")
class Join(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(node="first")
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.worker = tempfile.mkdtemp(prefix="knarr-e2e-worker-")
        self.addCleanup(shutil.rmtree, self.worker, ignore_errors=True)
        with open(self.cluster.data + "/token") as f:
            self.token = f.read().strip()

    def agent(self, token, name="second", **popen):
        command = [harness.KNARR, "agent", "--data-dir", self.worker, "--server", f"https://127.0.0.1:{self.cluster.port}", "--token", token,
                   "--node-name", name, "--node-port", str(harness.free_port())]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **popen)

    def test_a_worker_joins_and_runs_pods(self):
        agent = self.agent(self.token)
        try:
            self.assertEqual(os.stat(self.cluster.data + "/token").st_mode & 0o777, 0o600)
            harness.wait_until("the second node is there", lambda: self.cluster.run("get", "node", "second", check=False).returncode == 0)
            self.cluster.kubectl("wait", "--for=condition=Ready", "node/second", "--timeout=30s")
            subprocess.run([harness.KNARR, "image", "import", "--data-dir", self.worker, harness.busybox_archive()], check=True, capture_output=True)
            self.cluster.apply(busybox_pod("there", "sleep 60", more="nodeSelector: {kubernetes.io/hostname: second}"))
            pod = self.cluster.wait_pod("there")
            self.assertEqual(pod["spec"]["nodeName"], "second")
            self.assertEqual(self.cluster.kubectl("exec", "there", "--", "echo", "hi"), "hi\n")
            cidrs = {node["spec"]["podCIDR"] for node in self.cluster.get("nodes")["items"]}
            self.assertEqual(len(cidrs), 2)
        finally:
            agent.terminate()
            agent.communicate()
            removed = subprocess.run([harness.KNARR, "uninstall", "--data-dir", self.worker], capture_output=True, text=True)
        self.assertEqual((removed.returncode, harness.leftovers(self.worker)), (0, []), removed.stderr)

    def test_a_live_nodes_name_is_taken(self):
        agent = self.agent(self.token, name="first")
        _, errors = agent.communicate(timeout=30)
        self.assertEqual(agent.returncode, 1)
        self.assertIn('a node "first" is there and alive', errors)

    def test_wrong_tokens(self):
        ca, secret = self.token.split(".")
        cases = [(ca + "." + "0" * len(secret), "the token is not this server's"),
                 ("0" * len(ca) + "." + secret, "not the one that the token names"),
                 ("nonsense", "want the whole token of the server")]
        for token, message in cases:
            with self.subTest(message):
                agent = self.agent(token)
                _, errors = agent.communicate(timeout=30)
                self.assertEqual(agent.returncode, 1)
                self.assertIn(message, errors)
                self.assertNotIn(secret, errors)


if __name__ == "__main__":
    unittest.main()
