"""Quotas, disruption budgets, limits and certificates, with kubectl."""
import base64
import json
import os
import subprocess
import unittest

from harness import ClusterTest, wait_until


def pod(name, **spec):
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
                       "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}], **spec}})


class Budgets(ClusterTest):
    agent = False

    def ready(self, name):
        self.cluster.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p",
                             '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}')

    def test_drain_keeps_to_the_budget(self):
        self.cluster.apply("apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n")
        for name in ("web-1", "web-2"):
            self.cluster.apply(pod(name))
            self.ready(name)
        self.cluster.kubectl("create", "pdb", "web", "--selector=app=web", "--min-available=1")
        wait_until("the budget is counted", lambda: self.cluster.get("pdb", "web").get("status", {}).get("disruptionsAllowed") == 1)
        drained = self.cluster.run("drain", "n1", "--force", "--grace-period=0", "--timeout=4s", check=False)
        self.assertIn("Cannot evict pod as it would violate the pod's disruption budget.", drained.stderr)
        self.assertNotEqual(drained.returncode, 0)
        left = [p["metadata"]["name"] for p in self.cluster.get("pods")["items"]]
        self.assertEqual(len(left), 1)
        self.cluster.kubectl("delete", "pdb", "web")
        self.cluster.kubectl("drain", "n1", "--force", "--grace-period=0", "--timeout=10s")
        self.assertEqual(self.cluster.get("pods")["items"], [])

    def test_quota(self):
        self.cluster.kubectl("create", "namespace", "small")
        self.cluster.kubectl("create", "quota", "q", "-n", "small", "--hard=count/configmaps=2,secrets=0")
        wait_until("the quota is counted",
                   lambda: "used" in self.cluster.get("quota", "q", "-n", "small").get("status", {}))
        refused = self.cluster.run("create", "secret", "generic", "s", "-n", "small", check=False)
        self.assertIn('secrets "s" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=0, limited: secrets=0',
                      refused.stderr)
        self.assertRegex(self.cluster.kubectl("describe", "quota", "q", "-n", "small"), r"count/configmaps +1 +2")

    def test_pod_security(self):
        self.cluster.kubectl("create", "namespace", "strict")
        self.cluster.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=baseline")
        refused = self.cluster.run("apply", "-n", "strict", "-f", "-", input=pod("p", hostNetwork=True), check=False)
        self.assertIn('violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)', refused.stderr)

    def test_certificates_are_signed_when_approved(self):
        key, request = self.cluster.data + "/c.key", self.cluster.data + "/c.csr"
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", request, "-subj", "/O=dev/CN=jane"], check=True, capture_output=True)
        with open(request, "rb") as f:
            text = base64.b64encode(f.read()).decode()
        self.cluster.apply(json.dumps({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                                       "metadata": {"name": "jane"}, "spec": {"request": text, "usages": ["client auth"],
                                                                              "signerName": "kubernetes.io/kube-apiserver-client"}}))
        self.assertIn("Pending", self.cluster.kubectl("get", "csr", "jane"))
        self.cluster.kubectl("certificate", "approve", "jane")
        wait_until("the certificate is there", lambda: self.cluster.get("csr", "jane")["status"].get("certificate"))
        certificate = self.cluster.data + "/c.crt"
        with open(certificate, "wb") as f:
            f.write(base64.b64decode(self.cluster.get("csr", "jane")["status"]["certificate"]))
        shown = subprocess.run(["openssl", "verify", "-CAfile", self.cluster.data + "/pki/ca.crt", certificate],
                               check=True, capture_output=True, text=True).stdout
        self.assertIn("OK", shown)
        who = self.cluster.run("auth", "whoami", "--client-certificate", certificate, "--client-key", key, "-o",
                               "jsonpath={.status.userInfo.username}", check=False)
        self.assertIn("jane", who.stdout)


if __name__ == "__main__":
    unittest.main()
