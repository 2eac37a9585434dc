"""What the audit log says beside who did what: annotations of decisions, and the stages of what takes its time."""
import json
import shutil
import subprocess
import tempfile
import unittest

from harness import ClusterTest, busybox_pod, kubectl_path, wait_until

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: ["system:nodes"]}
- {level: Metadata, resources: [{resources: ["pods", "pods/exec", "pods/log", "pods/portforward", "configmaps", "endpoints", "serviceaccounts/token"]}, {group: apps, resources: [deployments]}]}
"""


class AuditAnnotations(ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="knarr-e2e-audit-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        with open(cls.directory + "/policy.yaml", "w") as policy:
            policy.write(POLICY)
        cls.options = ("--audit-policy-file", cls.directory + "/policy.yaml", "--audit-log-path", cls.directory + "/audit.log")
        super().setUpClass()

    def events(self, name, verb, subresource=None):
        with open(self.directory + "/audit.log") as log:
            events = [json.loads(line) for line in log if line.endswith("\n")]
        wanted = {"name": name, "subresource": subresource}
        return [event for event in events if event["verb"] == verb and all(event.get("objectRef", {}).get(key) == value for key, value in wanted.items())]

    def security(self, name, verb="create"):
        event, = self.events(name, verb)
        prefix = "pod-security.kubernetes.io/"
        return {key[len(prefix):]: value for key, value in event["annotations"].items() if key.startswith(prefix)}

    def test_pod_security(self):
        self.cluster.kubectl("create", "namespace", "watched")
        self.cluster.kubectl("label", "namespace", "watched", "pod-security.kubernetes.io/enforce=baseline", "pod-security.kubernetes.io/audit=restricted")
        wait_until("the namespace has its account", lambda: self.cluster.run("get", "serviceaccount", "default", "-n", "watched", check=False).returncode == 0)
        self.cluster.apply(busybox_pod("anything", "true"))
        self.assertEqual(self.security("anything"), {"enforce-policy": "privileged:latest"})
        self.cluster.apply(busybox_pod("lax", "true", namespace="watched"))
        lax = self.security("lax")
        self.assertEqual(lax["enforce-policy"], "baseline:latest")
        self.assertTrue(lax["audit-violations"].startswith('would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main"'), lax)
        refused = self.cluster.run("apply", "-f", "-", input=busybox_pod("bad", "true", namespace="watched", more="hostNetwork: true"), check=False)
        self.assertIn('violates PodSecurity "baseline:latest"', refused.stderr)
        self.assertEqual(set(self.security("bad")), {"enforce-policy", "audit-violations"})
        self.cluster.kubectl("create", "deployment", "made", "--image=x", "-n", "watched")
        self.assertEqual(set(self.security("made")), {"audit-violations"})

    def test_other_annotations(self):
        self.cluster.kubectl("create", "token", "default")
        issued, = self.events("default", "create", "token")
        self.assertTrue(issued["annotations"]["authentication.kubernetes.io/issued-credential-id"].startswith("JTI="), issued)
        self.assertEqual(issued["annotations"]["authorization.k8s.io/decision"], "allow")
        self.cluster.kubectl("get", "endpoints", "kubernetes")
        self.assertEqual(self.events("kubernetes", "get")[0]["annotations"]["k8s.io/deprecated"], "true")
        self.cluster.apply('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"long","annotations":{"kubernetes.io/service-account.name":"default"}},'
                           '"type":"kubernetes.io/service-account-token"}')
        token = wait_until("the token is made", lambda: self.cluster.kubectl("get", "secret", "long", "-o", "go-template={{with .data.token}}{{base64decode .}}{{end}}"))
        with open(self.directory + "/nobody", "w") as config:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                       "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.cluster.port}", "certificate-authority": self.cluster.data + "/pki/ca.crt"}}],
                       "users": [{"name": "u", "user": {"token": token}}]}, config)
        self.cluster.run("--kubeconfig", self.directory + "/nobody", "get", "configmap", "whatever", check=False)
        told = self.events("whatever", "get")[0]["annotations"]
        self.assertEqual(told["authentication.k8s.io/legacy-token"], "system:serviceaccount:default:default")
        self.assertEqual(told["authentication.k8s.io/legacy-token-manual-secret"], "long")

    def test_what_is_told_of_refused_and_of_empty_requests(self):
        self.cluster.run("create", "configmap", "bobs", "--as", "bob", check=False)
        self.assertEqual(self.events("bobs", "create"), [])  # it was not read
        refused, = self.events(None, "create")
        self.assertEqual((refused["impersonatedUser"]["username"], refused["authenticationMetadata"], refused["responseStatus"]["code"]),
                         ("bob", {"impersonationConstraint": "impersonate:user-info"}, 403))
        self.cluster.run("logs", "nowhere", check=False)
        self.cluster.run("get", "--raw", "/api/v1/namespaces/default/pods/nowhere/log", check=False)
        self.assertEqual(self.stages("nowhere", "get", "log"), [("ResponseStarted", 404), ("ResponseComplete", 404)])

    def stages(self, *arguments):
        return [(event["stage"], event["responseStatus"]["code"]) for event in self.events(*arguments)]

    def test_stages_of_what_takes_its_time(self):
        self.cluster.apply(busybox_pod("busy", "echo hello; sleep 600"))
        self.cluster.wait_pod("busy")
        kubectl = [kubectl_path(), "--kubeconfig", self.cluster.kubeconfig]
        running = subprocess.Popen([*kubectl, "exec", "-i", "busy", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.stdin.write(b"x\n")
        running.stdin.flush()
        self.assertEqual(running.stdout.readline(), b"x\n")
        self.assertEqual(self.stages("busy", "get", "exec"), [("ResponseStarted", 101)])  # kubectl's WebSocket is a GET
        running.stdin.close()
        self.assertEqual(running.wait(timeout=30), 0)
        running.stdout.close()
        wait_until("the end is recorded", lambda: self.stages("busy", "get", "exec") == [("ResponseStarted", 101), ("ResponseComplete", 101)])

        follows = subprocess.Popen([*kubectl, "logs", "-f", "busy"], stdout=subprocess.PIPE)
        self.assertEqual(follows.stdout.readline(), b"hello\n")
        self.assertEqual(self.stages("busy", "get", "log"), [("ResponseStarted", 200)])
        follows.kill()
        follows.communicate()
        wait_until("the end is recorded", lambda: self.stages("busy", "get", "log") == [("ResponseStarted", 200), ("ResponseComplete", 200)])

        watches = subprocess.Popen([*kubectl, "get", "configmaps", "--field-selector=metadata.name=watched", "-w", "-o", "name"], stdout=subprocess.PIPE)
        self.cluster.kubectl("create", "configmap", "watched")
        self.assertEqual(watches.stdout.readline(), b"configmap/watched\n")
        wait_until("the watch is recorded", lambda: self.stages("watched", "watch") == [("ResponseStarted", 200)])
        watches.kill()
        watches.communicate()
        wait_until("the end is recorded", lambda: self.stages("watched", "watch") == [("ResponseStarted", 200), ("ResponseComplete", 200)])


if __name__ == "__main__":
    unittest.main()
