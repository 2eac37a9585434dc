"""knarr as the first process of a container: it reaps what is orphaned and ends in order (as the first of a machine: test/vm)."""
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness


@unittest.skipUnless(os.geteuid() == 0, "a new pid namespace needs root")
class Pid1(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="knarr-e2e-")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        self.port = harness.free_port()
        self.log = open(self.data + "/log", "wb")
        self.addCleanup(self.log.close)
        self.outer = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", harness.KNARR, "server", "--disable-agent", "--data-dir", self.data,
                                       "--listen", f"127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)
        self.addCleanup(self.end)
        harness.wait_until("the API is ready", lambda: os.path.exists(self.data + "/kubeconfig") and self.kubectl("get", "--raw", "/readyz").returncode == 0)
        self.init = self.children(self.outer.pid)[0]

    def end(self):
        if self.outer.poll() is None:
            os.kill(self.init, signal.SIGKILL)  # and with it all of its namespace
            self.outer.wait()

    def kubectl(self, *arguments):
        return subprocess.run([harness.kubectl_path(), "--kubeconfig", self.data + "/kubeconfig", *arguments], capture_output=True, text=True, timeout=60)

    @staticmethod
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(child) for child in f.read().split()]

    def test_it_reaps_starts_the_server_again_and_ends_in_order(self):
        subprocess.run(["nsenter", "--target", str(self.init), "--pid", "sh", "-c", "sleep 0.2 & exec true"], check=True)
        server = self.children(self.init)[0]
        harness.wait_until("no orphan is left", lambda: self.children(self.init) == [server])
        os.kill(server, signal.SIGKILL)
        harness.wait_until("a new server", lambda: self.children(self.init) not in ([], [server]))
        harness.wait_until("the API is ready again", lambda: self.kubectl("get", "--raw", "/readyz").returncode == 0)
        os.kill(self.init, signal.SIGTERM)
        self.assertEqual(self.outer.wait(timeout=30), 0)
        with open(self.data + "/log") as f:
            log = f.read()
        self.assertIn("stopping", log)
        self.assertIn("the server ended; starting it again", log)


if __name__ == "__main__":
    unittest.main()
