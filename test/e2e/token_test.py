"""knarr token: bootstrap tokens that machines join with, as kubeadm's look."""
import base64
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import KNARR, ClusterTest, wait_until


class Tokens(ClusterTest):
    agent = False

    def token(self, *arguments, check=True):
        done = subprocess.run([KNARR, "token", *arguments, "--data-dir", self.cluster.data], capture_output=True, text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def secret(self, name):
        found = self.cluster.get("secret", "bootstrap-token-" + name, "-n", "kube-system")
        return found["type"], {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    def exists(self, name):
        return self.cluster.run("get", "secret", "-n", "kube-system", "bootstrap-token-" + name, check=False).returncode == 0

    def test_create_list_and_remove(self):
        made = self.token("create", "--description", "for the shed").stdout
        known, name, secret = re.fullmatch(r"([0-9a-f]{64})\.([a-z0-9]{6})\.([a-z0-9]{16})\n", made).groups()
        with open(self.cluster.data + "/token") as file:
            self.assertEqual(file.read().split(".")[0], known)
        type, data = self.secret(name)
        self.assertEqual(type, "bootstrap.kubernetes.io/token")
        self.assertRegex(data.pop("expiration"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(data, {"token-id": name, "token-secret": secret, "description": "for the shed", "usage-bootstrap-signing": "true",
                                "usage-bootstrap-authentication": "true", "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"})
        self.token("create", "abcdef.0123456789abcdef", "--ttl", "0", "--usages", "signing")
        listed = self.token("ls").stdout.splitlines()
        self.assertEqual(re.split(r"\s{3,}", listed[0]), ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"])
        self.assertIn(["abcdef.0123456789abcdef", "<forever>", "<never>", "signing", "<none>", "<none>"], [re.split(r"\s{3,}", line) for line in listed])
        row = next(re.split(r"\s{3,}", line) for line in listed if line.startswith(name))
        self.assertEqual((row[0], row[1], row[3], row[4]), (f"{name}.{secret}", "23h", "authentication,signing", "for the shed"))
        self.assertEqual(self.token("rm", name, "abcdef.0123456789abcdef").stdout, f'bootstrap token "{name}" deleted\nbootstrap token "abcdef" deleted\n')
        self.assertFalse(self.exists(name))
        again = self.token("rm", name, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn(f'no bootstrap token "{name}"', again.stderr)

    def test_wrong_options(self):
        for arguments, code, message in ((("create", "nonsense"), 1, "want a bootstrap token"), (("create", "--ttl", "soon"), 1, "soon"),
                                         (("create", "--usages", "signing,fun"), 1, '--usages "fun"'), (("create", "--groups", "system:masters"), 1, "--groups"),
                                         (("rm",), 2, "want: knarr token"), (("ls", "x"), 2, "want: knarr token")):
            with self.subTest(arguments):
                done = self.token(*arguments, check=False)
                self.assertEqual(done.returncode, code)
                self.assertIn(message, done.stderr)

    def test_a_token_ends_by_itself(self):
        made = self.token("create", "--ttl", "2s").stdout.strip()
        name = made.split(".")[1]
        self.assertTrue(self.exists(name))
        wait_until("the token is removed", lambda: not self.exists(name))
        self.refused(made)

    def refused(self, token):
        worker = tempfile.mkdtemp(prefix="knarr-e2e-worker-")
        self.addCleanup(shutil.rmtree, worker, ignore_errors=True)
        done = subprocess.run([KNARR, "agent", "--data-dir", worker, "--server", f"https://127.0.0.1:{self.cluster.port}", "--token", token, "--node-name", "x"],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the token is not this server's, or has expired", done.stderr)
        self.assertNotIn(token.split(".", 1)[1], done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "agents need root")
    def test_who_may_join(self):
        joins = self.token("create", "--print-join-command").stdout
        self.assertRegex(joins, rf"^knarr agent --server https://[0-9.]+:{self.cluster.port} --token [0-9a-f]{{64}}\.[a-z0-9]{{6}}\.[a-z0-9]{{16}}\n$")
        self.refused(self.token("create", "--groups", "system:bootstrappers:others").stdout.strip())
        self.refused(self.token("create", "--usages", "signing").stdout.strip())


if __name__ == "__main__":
    unittest.main()
