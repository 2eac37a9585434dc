"""What knarr does with keys: Secrets encrypted on disk, certificates, credentials for others."""
import base64
import glob
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from harness import KNARR, ClusterTest, kubectl_path, wait_until


def knarr(cluster, *arguments, check=True):
    return subprocess.run([KNARR, *arguments, "--data-dir", cluster.data], check=check, capture_output=True, text=True)


class KeysTest(ClusterTest):
    agent = False

    def on_disk(self, text):
        return any(text.encode() in pathlib.Path(path).read_bytes() for path in glob.glob(self.cluster.data + "/db/*"))

    def keys(self):
        with open(self.cluster.data + "/pki/encryption-keys.json") as file:
            return [key["id"] for key in json.load(file)["keys"]]

    def restart(self):
        self.cluster.stop()
        self.cluster.start()

    def test_secrets_are_not_readable_on_disk_and_keys_rotate(self):
        run = self.cluster.run
        run("create", "configmap", "plain", "--from-literal=k=everyone-may-read-this")
        run("create", "secret", "generic", "hidden", "--from-literal=k=nobody-may-read-this")
        encoded = "bm9ib2R5LW1heS1yZWFkLXRoaXM="
        self.assertTrue(self.on_disk("everyone-may-read-this"))
        self.assertFalse(self.on_disk(encoded))
        self.assertFalse(self.on_disk("nobody-may-read-this"))
        self.assertEqual(os.stat(self.cluster.data + "/pki/encryption-keys.json").st_mode & 0o777, 0o600)

        before = self.keys()
        version = run("get", "secret", "hidden", "-o", "jsonpath={.metadata.resourceVersion}").stdout
        said = knarr(self.cluster, "secrets", "rotate").stdout
        after = self.keys()
        self.assertIn("encrypted with the new key " + after[0], said)
        self.assertNotIn(after[0], before)
        self.assertEqual(run("get", "secret", "hidden", "-o", "jsonpath={.metadata.resourceVersion}").stdout, version)
        self.restart()
        self.assertEqual(run("get", "secret", "hidden", "-o", "jsonpath={.data.k}").stdout, encoded)
        self.restart()
        self.assertEqual(self.keys(), after[:1])  # nothing needs the old one
        self.assertEqual(run("get", "secret", "hidden", "-o", "jsonpath={.data.k}").stdout, encoded)

    def test_a_rotation_is_turned_back_at_once_where_nobody_has_followed(self):
        knarr(self.cluster, "cert", "rotate-ca")
        meanwhile = tempfile.NamedTemporaryFile("w", suffix=".kubeconfig")
        self.addCleanup(meanwhile.close)
        meanwhile.write(knarr(self.cluster, "kubeconfig", "--user", "ada", "--group", "system:masters").stdout)
        meanwhile.flush()
        as_ada = [kubectl_path(), "--kubeconfig", meanwhile.name, "get", "namespaces", "-o", "name"]
        self.assertIn("namespace/default", subprocess.run(as_ada, capture_output=True, text=True).stdout)
        self.assertIn("The other one is trusted no more", knarr(self.cluster, "cert", "rotate-ca", "--abort").stdout)
        self.assertIn("(Unauthorized)", subprocess.run(as_ada, capture_output=True, text=True).stderr)
        self.assertEqual(pathlib.Path(self.cluster.data + "/pki/ca.crt").read_text().count("BEGIN CERTIFICATE"), 1)
        self.assertIn("no rotation is under way", knarr(self.cluster, "cert", "rotate-ca", "--abort", check=False).stderr)

    def test_the_key_of_service_accounts_is_replaced(self):
        run = self.cluster.run
        run("create", "serviceaccount", "robot")
        self.cluster.apply("""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"long","annotations":{"kubernetes.io/service-account.name":"robot"}},
                               "type":"kubernetes.io/service-account-token"}""")

        def long():
            return base64.b64decode(self.cluster.get("secret", "long").get("data", {}).get("token", "")).decode()

        def holds(token):
            return "robot" in run("--token", token, "--kubeconfig", plain.name, "auth", "whoami", check=False).stdout

        plain = tempfile.NamedTemporaryFile("w", suffix=".kubeconfig")
        self.addCleanup(plain.close)
        plain.write(f"{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c}}}}], clusters: [{{name: c, cluster: "
                    f"{{server: 'https://127.0.0.1:{self.cluster.port}', certificate-authority: {self.cluster.data}/pki/ca.crt}}}}]}}")
        plain.flush()
        wait_until("the secret has its token", long)
        before, old = long(), run("create", "token", "robot").stdout.strip()
        self.assertTrue(holds(old) and holds(before))

        def refused_with(message, *arguments):
            self.assertIn(message, knarr(self.cluster, "cert", "rotate-service-account-key", *arguments, check=False).stderr)
        refused_with("no rotation is under way", "--finish")
        self.assertIn("signed with a new key", knarr(self.cluster, "cert", "rotate-service-account-key").stdout)
        refused_with("a rotation is under way")
        wait_until("the secret has another token", lambda: long() != before)
        self.restart()
        self.assertTrue(holds(old) and holds(before) and holds(long()))
        self.assertEqual(len(json.loads(run("get", "--raw", "/openid/v1/jwks").stdout)["keys"]), 2)
        self.assertIn("the old one still holds", knarr(self.cluster, "cert", "ls").stdout)
        refused_with("pods may hold tokens of the old key until", "--finish")
        hour_ago = time.time() - 3601
        os.utime(self.cluster.data + "/pki/sa-replaced.pub", (hour_ago, hour_ago))
        self.assertIn("are refused from now on", knarr(self.cluster, "cert", "rotate-service-account-key", "--finish").stdout)
        self.assertFalse(holds(old) or holds(before))
        self.assertTrue(holds(long()) and holds(run("create", "token", "robot").stdout.strip()))
        self.assertEqual(len(json.loads(run("get", "--raw", "/openid/v1/jwks").stdout)["keys"]), 1)

    def test_certificates_are_listed_and_renewed_while_the_server_runs(self):
        listed = knarr(self.cluster, "cert", "ls").stdout
        self.assertRegex(listed, r"pki/server.crt +the API +knarr-server +knarr-ca +\d{4}-")
        served_file = pathlib.Path(self.cluster.data + "/pki/server.crt")
        before = served_file.read_text()
        self.assertIn("serves a new certificate", knarr(self.cluster, "cert", "renew").stdout)
        self.assertNotEqual(served_file.read_text(), before)
        self.assertIn("default", self.cluster.run("get", "namespaces").stdout)
        served = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.cluster.port}"], input="", capture_output=True, text=True).stdout
        self.assertIn(served_file.read_text().strip(), served)

    def test_credentials_for_another_user(self):
        text = knarr(self.cluster, "kubeconfig", "--user", "ada", "--group", "dev,system:masters", "--days", "2").stdout
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:
            file.write(text)
            file.flush()
            answer = subprocess.run([kubectl_path(), "--kubeconfig", file.name, "get", "namespaces", "-o", "name"], capture_output=True, text=True)
        self.assertIn("namespace/default", answer.stdout, answer.stderr)
        for wrong, message in ((("kubeconfig",), "--user is missing"), (("kubeconfig", "--user", "system:kube-scheduler"), "Kubernetes' own"),
                               (("kubeconfig", "--user", "ada", "--days", "0"), "from 1 to 3650")):
            refused = knarr(self.cluster, *wrong, check=False)
            self.assertEqual(refused.returncode, 2)
            self.assertIn(message, refused.stderr)

    def test_commands_say_that_no_server_runs(self):
        with tempfile.TemporaryDirectory() as empty:
            for command in (("secrets", "rotate"), ("cert", "renew")):
                refused = subprocess.run([KNARR, *command, "--data-dir", empty], capture_output=True, text=True)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("no server runs with the data directory", refused.stderr)


if __name__ == "__main__":
    unittest.main()
