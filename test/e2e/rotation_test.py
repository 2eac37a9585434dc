"""Another certificate authority while everything runs: nobody is lost, and in the end the old one is nobody."""
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import KNARR, Cluster, busybox_pod, kubectl_path, wait_until


@unittest.skipUnless(os.geteuid() == 0, "running pods needs root")
class Rotation(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(node="first")
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.worker = tempfile.mkdtemp(prefix="knarr-e2e-worker-")
        self.addCleanup(shutil.rmtree, self.worker, ignore_errors=True)
        self.log = open(self.worker + ".log", "w+")
        self.addCleanup(os.unlink, self.log.name)
        self.addCleanup(self.log.close)

    def knarr(self, *arguments, check=True):
        done = subprocess.run([KNARR, *arguments, "--data-dir", self.cluster.data], capture_output=True, text=True, timeout=60)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def start_agent(self):
        command = self.knarr("token", "create", "--print-join-command", "--server", f"https://127.0.0.1:{self.cluster.port}").stdout.split()
        agent = subprocess.Popen([KNARR, *command[1:], "--data-dir", self.worker, "--node-name", "second", "--node-port", str(harness.free_port())],
                                 stderr=self.log, text=True)

        def leave():
            agent.terminate()
            agent.communicate()
        self.addCleanup(leave)
        return leave

    def join(self):
        self.addCleanup(subprocess.run, [KNARR, "uninstall", "--data-dir", self.worker], capture_output=True, check=True)
        leave = self.start_agent()
        wait_until("the second node is there", lambda: self.cluster.run("get", "node", "second", check=False).returncode == 0)
        self.cluster.kubectl("wait", "--for=condition=Ready", "node/second", "--timeout=30s")
        subprocess.run([KNARR, "image", "import", "--data-dir", self.worker, harness.busybox_archive()], check=True, capture_output=True)
        return leave

    def own_token(self):
        with open(self.cluster.data + "/token") as file:
            return file.read()

    def with_kubeconfig(self, path, *arguments):
        return subprocess.run([kubectl_path(), "--kubeconfig", path, *arguments], capture_output=True, text=True, timeout=60)

    def authorities(self, namespace="default"):
        return self.cluster.get("configmap", "kube-root-ca.crt", "-n", namespace)["data"]["ca.crt"].count("BEGIN CERTIFICATE")

    def all_followed(self):
        wait_until("all nodes have followed", lambda: "all nodes have followed" in self.knarr("cert", "ls").stdout)

    def works_on(self, node, pod):
        self.cluster.apply(busybox_pod(pod, "echo hello; sleep 600", more="nodeSelector: {kubernetes.io/hostname: %s}" % node))
        self.cluster.wait_pod(pod)
        wait_until("the log is there", lambda: self.cluster.kubectl("logs", pod) == "hello\n")
        self.assertEqual(self.cluster.kubectl("exec", pod, "--", "echo", "hi"), "hi\n")

    def test_rotate_and_finish(self):
        self.join()
        self.cluster.import_image()
        self.works_on("second", "before")
        old = self.cluster.data + "/old-kubeconfig"
        shutil.copy(self.cluster.kubeconfig, old)
        own, token = self.own_token(), self.cluster.kubectl("create", "token", "default").strip()

        def refused_with(message, *arguments):
            done = self.knarr(*arguments, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(message, done.stderr)
        refused_with("no rotation is under way", "cert", "rotate-ca", "--finish")
        refused_with("no rotation is under way", "cert", "rotate-ca", "--abort")

        self.assertIn("a new certificate authority signs", self.knarr("cert", "rotate-ca").stdout)
        refused_with("a rotation is under way", "cert", "rotate-ca")
        for path in (old, self.cluster.kubeconfig):
            self.assertEqual(self.with_kubeconfig(path, "get", "nodes", "-o", "name").stdout, "node/first\nnode/second\n")
        self.all_followed()
        wait_until("both are published", lambda: self.authorities() == 2 and self.authorities("kube-system") == 2)
        listed = self.knarr("cert", "ls").stdout
        self.assertRegex(listed, r"pki/ca.crt +authority +knarr-ca@\d+ +knarr-ca@\d+")
        self.assertRegex(listed, r"pki/ca.crt +still trusted +knarr-ca +knarr-ca ")
        self.assertRegex(listed, r"agent/client.crt +agent to API +system:node:first +knarr-ca@\d+")
        self.assertNotEqual(self.own_token().split(".")[0], own.split(".")[0])
        self.assertEqual(self.own_token().split(".")[1], own.split(".")[1])
        self.assertEqual(self.cluster.kubectl("logs", "before"), "hello\n")

        # Whatever happens in between: it goes on where it was.
        self.cluster.stop(harness.signal.SIGKILL)
        self.cluster.start()
        self.all_followed()
        seen = open(self.worker + ".seen", "w+")
        self.addCleanup(os.unlink, seen.name)
        self.addCleanup(seen.close)
        watch = subprocess.Popen([kubectl_path(), "--kubeconfig", old, "get", "configmaps", "-w", "-o", "name"], stdout=seen, text=True)
        try:
            self.create_and_see("first-seen", seen.name)
            self.assertIn("only the new certificate authority", self.knarr("cert", "rotate-ca", "--finish").stdout)
            self.all_on_one()
            refused = self.with_kubeconfig(old, "get", "nodes")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("x509", refused.stderr)
            self.create_and_see("then-seen", seen.name)  # on the connection that was there
        finally:
            watch.kill()
            watch.communicate()
        self.works_on("second", "behind")
        self.works_on("first", "behind-too")
        self.assertEqual(self.cluster.kubectl("logs", "before"), "hello\n")
        self.cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s")
        self.assertEqual(self.cluster.kubectl("--token", token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"), "admin")
        review = self.cluster.kubectl("create", "-f", "-", "-o", "jsonpath={.status.authenticated}",
                                      input='{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s"}}' % token)
        self.assertEqual(review, "true")

    def create_and_see(self, name, file):
        self.cluster.kubectl("create", "configmap", name)

        def is_seen():
            with open(file) as lines:
                return name in lines.read()
        wait_until(f"the watch shows {name}", is_seen)

    def all_on_one(self):
        def nodes_hold_one():
            with open(self.worker + "/agent/ca.crt") as theirs, open(self.cluster.data + "/agent/ca.crt") as ours:
                return theirs.read() == ours.read() and self.authorities() == 1
        wait_until("all nodes have only the new authority", nodes_hold_one)

    def test_left_behind(self):
        """A node that was away all the while has to join again."""
        leave = self.join()
        leave()
        self.knarr("cert", "rotate-ca")
        wait_until("the other node has followed", lambda: "not followed yet: second\n" in self.knarr("cert", "ls").stdout)
        refused = self.knarr("cert", "rotate-ca", "--finish", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("these nodes do not have the new certificate authority yet: second;", refused.stderr)
        self.knarr("cert", "rotate-ca", "--finish", "--force")
        # Its name is its own again some while after it was last heard of.
        self.cluster.kubectl("patch", "lease", "second", "-n", "kube-node-lease", "--type=merge", "-p", '{"spec":{"renewTime":"2026-01-01T00:00:00.000000Z"}}')
        self.start_agent()
        self.all_on_one()
        wait_until("it is heard of again", lambda: "2026-01-01T" not in self.cluster.kubectl("get", "lease", "second", "-n", "kube-node-lease", "-o", "yaml"))
        self.cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s")

    def test_turned_back(self):
        """What the new authority signed is nobody's as soon as the nodes have certificates of the old one again."""
        leave = self.join()
        old = self.cluster.data + "/old-kubeconfig"
        shutil.copy(self.cluster.kubeconfig, old)
        self.knarr("cert", "rotate-ca")
        new = self.cluster.data + "/new-kubeconfig"
        shutil.copy(self.cluster.kubeconfig, new)
        self.all_followed()
        self.cluster.import_image()
        self.works_on("second", "between")
        leave()
        told = self.knarr("cert", "rotate-ca", "--abort").stdout
        self.assertIn("signs again", told)
        self.assertIn("as soon as these nodes have followed: ", told)
        self.assertIn("is turned back already", self.knarr("cert", "rotate-ca", "--abort", check=False).stderr)
        wait_until("only the other node has not followed",
                   lambda: "The authority is turned back; nodes that have not followed yet: second\n" in self.knarr("cert", "ls").stdout)
        self.assertEqual(self.with_kubeconfig(new, "get", "nodes", "-o", "name").stdout, "node/first\nnode/second\n")  # until it has
        self.cluster.stop(harness.signal.SIGKILL)
        self.cluster.start()
        self.start_agent()
        self.all_on_one()
        self.assertEqual(self.with_kubeconfig(old, "get", "nodes", "-o", "name").stdout, "node/first\nnode/second\n")
        self.assertIn("(Unauthorized)", self.with_kubeconfig(new, "get", "nodes", "-o", "name").stderr)
        self.assertIn("no rotation is under way", self.knarr("cert", "rotate-ca", "--finish", check=False).stderr)
        self.cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s")
        self.works_on("second", "behind")
        self.works_on("first", "behind-too")


if __name__ == "__main__":
    unittest.main()
