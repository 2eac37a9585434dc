"""Exec and logs over WebSocket, in each of the protocols that clients use."""
import base64
import json
import os
import socket
import ssl
import struct
import tempfile
import unittest

from harness import PATIENCE, ClusterTest, busybox_pod


class Socket:
    """As much of RFC 6455 as reading messages takes."""

    def __init__(self, cluster, path, protocol):
        config = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
        user = config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        raw = socket.create_connection(("127.0.0.1", cluster.port), timeout=20 * PATIENCE)
        self.stream = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.stream.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n").encode())
        self.file = self.stream.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.file.readline()

    def close(self):
        self.file.close()
        self.stream.close()

    def messages(self):
        """What comes until the server closes."""
        out = []
        while True:
            start = self.file.read(2)
            if len(start) < 2 or start[0] & 15 == 8:
                self.close()
                return out
            size = start[1] & 127
            if size > 125:
                size = struct.unpack(">H", self.file.read(2))[0]
            out.append(self.file.read(size))


class WebSockets(ClusterTest):
    def exec(self, protocol, command):
        words = "&".join("command=" + word for word in ("sh", "-c", command))
        connection = Socket(self.cluster, f"/api/v1/namespaces/default/pods/talk/exec?{words}&stdout=1&stderr=1", protocol)
        self.assertIn(b" 101 ", connection.head)
        self.assertIn(f"Sec-WebSocket-Protocol: {protocol}".encode().lower(), connection.head.lower())
        return connection.messages()

    def test_protocols(self):
        self.cluster.apply(busybox_pod("talk", "echo said; exec sleep 60"))
        self.cluster.wait_pod("talk")
        # An empty message on the first output channel, the output, and how it ended.
        with self.subTest("v4.channel.k8s.io"):
            first, output, end = self.exec("v4.channel.k8s.io", "echo+hi%3Bexit+3")
            self.assertEqual((first, output, end[:1]), (b"\x01", b"\x01hi\n", b"\x03"))
            self.assertEqual(json.loads(end[1:])["details"]["causes"], [{"reason": "ExitCode", "message": "3"}])
        with self.subTest("channel.k8s.io"):  # says only what went wrong, in words
            self.assertEqual(self.exec("channel.k8s.io", "echo+hi"), [b"\x01", b"\x01hi\n"])
            self.assertEqual(self.exec("channel.k8s.io", "exit+3")[-1], b"\x03command terminated with non-zero exit code: exit status 3")
        with self.subTest("base64.channel.k8s.io"):
            self.assertEqual(self.exec("base64.channel.k8s.io", "echo+hi"), [b"1", b"1" + base64.b64encode(b"hi\n")])
        for protocol, expected in (("binary.k8s.io", b"said\n"), ("base64.binary.k8s.io", base64.b64encode(b"said\n"))):
            with self.subTest(protocol):
                connection = Socket(self.cluster, "/api/v1/namespaces/default/pods/talk/log?container=main", protocol)
                self.assertIn(b" 101 ", connection.head)
                self.assertEqual(connection.messages(), [b"", expected])
        refused = Socket(self.cluster, "/api/v1/namespaces/default/pods/talk/log?container=main", "other.k8s.io")
        refused.close()
        self.assertIn(b" 400 ", refused.head.split(b"\r\n")[0])
        self.cluster.kubectl("delete", "pod", "talk", "--now")


if __name__ == "__main__":
    unittest.main()
