"""What README promises and no other file looks at."""
import json
import os
import socket
import subprocess
import threading
import unittest

import harness
from harness import ClusterTest, busybox_pod, kubectl_path, wait_until


class Promises(ClusterTest):
    def kubectl_beside(self, *arguments, **options):
        """A kubectl that runs while the test goes on."""
        process = subprocess.Popen([kubectl_path(), "--kubeconfig", self.cluster.kubeconfig, *arguments], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        for end in (process.stdout, process.stdin):
            self.addCleanup(end.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_the_node_says_what_the_kernel_does_not_give(self):
        conditions = {c["type"]: c for c in self.cluster.get("node", "node-a")["status"]["conditions"]}
        limits = conditions["KnarrLimitsEnforced"]
        with open(self.cluster.data + ".log") as f:
            warned = "the kernel gives less than Kubernetes asks for" in f.read()
        self.assertEqual(limits["status"], "False" if warned else "True")
        self.assertEqual(limits["reason"], "KernelGivesLess" if warned else "AllAvailable")

    def test_port_forward(self):
        """Through SPDY, which old clients speak, and through a WebSocket."""
        self.cluster.apply(busybox_pod("echo", "exec nc -ll -p 7000 -e cat"))
        self.cluster.wait_pod("echo")
        for websockets in ("true", "false"):
            with self.subTest(websockets=websockets):
                port = harness.free_port()
                forward = self.kubectl_beside("port-forward", "pod/echo", f"{port}:7000",
                                              env={**os.environ, "KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets})
                self.assertIn(f"Forwarding from 127.0.0.1:{port}", forward.stdout.readline())
                for _ in range(3):
                    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                        sent = os.urandom(500_000)
                        sender = threading.Thread(target=connection.sendall, args=(sent,))
                        sender.start()
                        received = b""
                        while len(received) < len(sent):
                            part = connection.recv(65536)
                            self.assertTrue(part, f"the connection ended after {len(received)} bytes")
                            received += part
                        sender.join()
                        self.assertEqual(received, sent)
                forward.terminate()
                forward.wait(timeout=10)

    def test_attach(self):
        self.cluster.apply(busybox_pod("talker", "while read line; do echo heard $line; done", container="stdin: true"))
        self.cluster.wait_pod("talker")
        attached = self.kubectl_beside("attach", "-i", "talker", "-q")
        attached.stdin.write("one\ntwo\n")
        attached.stdin.flush()
        self.assertEqual(attached.stdout.readline(), "heard one\n")
        self.assertEqual(attached.stdout.readline(), "heard two\n")

    def test_eviction(self):
        self.cluster.apply(busybox_pod("evicted", "sleep 1000"))
        self.cluster.wait_pod("evicted")
        body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted", "namespace": "default"}})
        self.cluster.run("create", "--raw", "/api/v1/namespaces/default/pods/evicted/eviction", "-f", "-", input=body)
        wait_until("the pod is gone", lambda: self.cluster.run("get", "pod", "evicted", check=False).returncode == 1)

    def test_host_path(self):
        directory = self.cluster.data + "/shared"
        os.mkdir(directory)
        with open(directory + "/in", "w") as f:
            f.write("through the host\n")
        self.cluster.apply(busybox_pod("writer", "cp /host/in /host/out", container="volumeMounts: [{name: h, mountPath: /host}]",
                                       more=f"volumes: [{{name: h, hostPath: {{path: {directory}, type: Directory}}}}]"))
        self.cluster.wait_pod("writer", "Succeeded")
        with open(directory + "/out") as f:
            self.assertEqual(f.read(), "through the host\n")

    def test_an_idle_server_writes_nothing(self):
        """Heartbeats and Events wait for the minute's flush. (The minute itself is too long for a test: bench/idle.sh.)"""
        self.cluster.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: last}\n")

        def written():
            database = self.cluster.data + "/db"
            return sorted((name, os.stat(os.path.join(database, name)).st_mtime_ns) for name in os.listdir(database))

        def lazily():  # again, while other things are still being written
            before = written()
            self.cluster.kubectl("create", "-f", "-", input=json.dumps({
                "apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "lazy-", "namespace": "default"}, "reason": "Lazy",
                "type": "Normal", "involvedObject": {"kind": "Pod", "namespace": "default", "name": "none"}, "message": "of no weight"}))
            return written() == before
        wait_until("an Event is taken and touches no file", lazily)
        self.assertIn("Lazy", self.cluster.kubectl("get", "events"))
        before = written()
        self.cluster.kubectl("annotate", "configmap", "last", "a=b")
        self.assertNotEqual(written(), before)


if __name__ == "__main__":
    unittest.main()
