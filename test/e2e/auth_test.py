"""Who may do what: tokens, roles, reviews and impersonation, with an unmodified kubectl."""
import base64
import json
import shutil
import ssl
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from harness import ClusterTest, busybox_pod, wait_until

CORE = "system:serviceaccount:"


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def kubectl_as(cluster, token, *arguments):
    """kubectl with nothing but a token."""
    path = cluster.data + "/token-kubeconfig"
    with open(path, "w") as config:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                   "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{cluster.port}", "certificate-authority": cluster.data + "/pki/ca.crt"}}],
                   "users": [{"name": "u", "user": {"token": token}}]}, config)
    return cluster.run("--kubeconfig", path, *arguments, check=False)


class Access(ClusterTest):
    agent = False

    def ask(self, path, token=None, headers=None, method="GET", body=None, certificate=None):
        """(code, JSON) of a request, without a client certificate unless its files are given."""
        context = ssl.create_default_context(cafile=self.cluster.data + "/pki/ca.crt")
        if certificate:
            context.load_cert_chain(*certificate)
        headers = dict(headers or {}, **({"Authorization": f"Bearer {token}"} if token else {}))
        data = json.dumps(body).encode() if body is not None else None
        if data:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"https://127.0.0.1:{self.cluster.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def kubectl_as(self, token, *arguments):
        return kubectl_as(self.cluster, token, *arguments)

    def make_account(self, name, *role_options):
        self.cluster.kubectl("create", "serviceaccount", name)
        if role_options:
            self.cluster.kubectl("create", "role", name, *role_options)
            self.cluster.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount=default:{name}")
        return self.cluster.kubectl("create", "token", name).strip()

    def test_a_certificate_that_nobody_vouches_for_is_not_as_good_as_none(self):
        self.assertEqual(self.ask("/readyz")[0], 200)
        with tempfile.TemporaryDirectory() as directory:
            files = directory + "/c.crt", directory + "/c.key"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=system:masters/CN=me",
                            "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
            for path in "/readyz", "/api/v1/namespaces":
                code, answer = self.ask(path, certificate=files)
                self.assertEqual((code, json.loads(answer)["message"]), (401, "Unauthorized"))
            token = self.make_account("besides")
            self.assertEqual(self.ask("/readyz", token=token, certificate=files)[0], 200)

    def test_whoami_and_can_i(self):
        self.assertIn("admin", self.cluster.kubectl("auth", "whoami"))
        self.assertEqual(self.cluster.kubectl("auth", "can-i", "create", "pods"), "yes\n")
        self.assertRegex(self.cluster.kubectl("auth", "can-i", "--list"), r"\*\.\* +\[\] +\[\] +\[\*\]")
        self.assertEqual(self.cluster.run("auth", "can-i", "get", "pods", "--as", "bob", check=False).stdout, "no\n")
        who = json.loads(self.cluster.kubectl("auth", "whoami", "-o", "json", "--as", "bob", "--as-group", "devs"))
        self.assertEqual(who["status"]["userInfo"], {"username": "bob", "groups": ["devs", "system:authenticated"]})

    def test_a_service_account_does_what_its_role_allows(self):
        token = self.make_account("reader", "--verb=get,list", "--resource=configmaps")
        self.assertEqual(self.kubectl_as(token, "get", "configmaps").returncode, 0)
        self.assertEqual(self.kubectl_as(token, "get", "secrets").stderr,
                         f'Error from server (Forbidden): secrets is forbidden: User "{CORE}default:reader" cannot list resource '
                         '"secrets" in API group "" in the namespace "default"\n')
        self.assertIn("configmaps", self.kubectl_as(token, "auth", "can-i", "--list").stdout)
        self.cluster.kubectl("delete", "rolebinding", "reader")
        self.assertIn("Forbidden", self.kubectl_as(token, "get", "configmaps").stderr)
        self.cluster.kubectl("delete", "serviceaccount", "reader")
        self.assertIn("You must be logged in to the server", self.kubectl_as(token, "get", "configmaps").stderr)

    def test_tokens_say_whose_they_are_and_for_whom(self):
        self.make_account("robot")
        token = self.cluster.kubectl("create", "token", "robot", "--audience=vault", "--duration=20m").strip()
        said = claims(token)
        self.assertEqual((said["sub"], said["aud"], said["exp"] - said["iat"]), (f"{CORE}default:robot", ["vault"], 1200))
        self.assertEqual(self.ask("/api", token)[0], 401)  # it is for somebody else

        def review(**spec):
            answer = self.cluster.kubectl("create", "-o", "json", "-f", "-", input=json.dumps(
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}))
            return json.loads(answer)["status"]
        good = review(token=token, audiences=["vault", "other"])
        self.assertEqual((good["authenticated"], good["audiences"], good["user"]["username"]), (True, ["vault"], f"{CORE}default:robot"))
        self.assertIn("is invalid for the target audiences", review(token=token)["error"])
        self.assertEqual(review(token="nonsense")["error"], "invalid bearer token")
        refused = self.cluster.run("create", "token", "robot", "--duration=5m", check=False)
        self.assertIn("may not specify a duration less than 10 minutes", refused.stderr)

    def test_a_token_ends_with_what_it_is_bound_to(self):
        self.make_account("bound")
        self.cluster.kubectl("create", "secret", "generic", "anchor")
        token = self.cluster.kubectl("create", "token", "bound", "--bound-object-kind=Secret", "--bound-object-name=anchor").strip()
        self.assertEqual(self.ask("/api", token)[0], 200)
        self.cluster.kubectl("delete", "secret", "anchor")
        self.assertEqual(self.ask("/api", token)[0], 401)

    def test_strangers(self):
        self.assertEqual(self.ask("/readyz"), (200, "ok"))
        self.assertEqual(self.ask("/api/v1/pods")[0], 403)
        self.assertIn('User \\"system:anonymous\\" cannot list', self.ask("/api/v1/pods")[1])
        self.assertEqual(self.ask("/api/v1/pods", token="wrong")[0], 401)
        self.assertEqual(self.ask("/healthz", token="wrong")[0], 401)
        self.assertEqual(self.ask("/openid/v1/jwks")[0], 403)

    def test_others_can_check_tokens(self):
        token = self.make_account("checker")
        code, text = self.ask("/.well-known/openid-configuration", token)
        self.assertEqual((code, json.loads(text)["issuer"]), (200, claims(token)["iss"]))
        keys = json.loads(self.ask("/openid/v1/jwks", token)[1])["keys"]
        head = token.split(".")[0]
        self.assertIn(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"], [key["kid"] for key in keys])

    def test_nobody_hands_out_what_he_does_not_hold(self):
        token = self.make_account("climber", "--verb=create,get,list", "--resource=roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io")
        grab = self.kubectl_as(token, "create", "role", "grab", "--verb=get,list", "--resource=secrets")
        self.assertIn('is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], '
                      'Verbs:["get" "list"]}', grab.stderr)
        bind = self.kubectl_as(token, "create", "rolebinding", "grab", "--clusterrole=view", "--user=me")
        self.assertIn("not currently held", bind.stderr)
        self.cluster.kubectl("create", "role", "binder", "--verb=bind", "--resource=clusterroles.rbac.authorization.k8s.io", "--resource-name=view")
        self.cluster.kubectl("create", "rolebinding", "binder", "--role=binder", "--serviceaccount=default:climber")
        self.assertEqual(self.kubectl_as(token, "create", "rolebinding", "grab", "--clusterrole=view", "--user=me").stderr, "")
        self.assertEqual(self.cluster.kubectl("auth", "can-i", "list", "pods", "--as=me"), "yes\n")

    def test_reconcile_and_aggregation(self):
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [
            {"apiGroups": ["acme.io"], "resources": ["anvils"], "verbs": ["get"]}],
            "metadata": {"name": "anvils", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}}
        self.assertIn("reconciled", self.cluster.kubectl("auth", "reconcile", "-f", "-", input=json.dumps(role)))
        wait_until("view knows anvils", lambda: "anvils" in self.cluster.kubectl("get", "clusterrole", "view", "-o", "yaml"))
        wait_until("edit knows anvils", lambda: "anvils" in self.cluster.kubectl("get", "clusterrole", "edit", "-o", "yaml"))
        self.cluster.kubectl("delete", "clusterrole", "anvils")
        wait_until("anvils are forgotten", lambda: "anvils" not in self.cluster.kubectl("get", "clusterrole", "edit", "-o", "yaml"))

    def test_impersonation_needs_leave(self):
        token = self.make_account("actor")
        refused = self.kubectl_as(token, "get", "configmaps", "--as", "bob")
        self.assertIn(f'User "{CORE}default:actor" cannot impersonate', refused.stderr)
        self.cluster.kubectl("create", "clusterrole", "actor", "--verb=impersonate", "--resource=users", "--resource-name=bob")
        self.cluster.kubectl("create", "clusterrolebinding", "actor", "--clusterrole=actor", "--serviceaccount=default:actor")
        allowed = self.kubectl_as(token, "get", "configmaps", "--as", "bob")
        self.assertIn('User "bob" cannot list', allowed.stderr)
        self.assertIn("cannot impersonate", self.kubectl_as(token, "get", "configmaps", "--as", "bob", "--as-group", "system:masters").stderr)

    def test_bootstrap_tokens(self):
        self.cluster.apply("apiVersion: v1\nkind: Secret\ntype: bootstrap.kubernetes.io/token\n"
                           "metadata: {name: bootstrap-token-abcdef, namespace: kube-system}\n"
                           "stringData: {token-id: abcdef, token-secret: 0123456789abcdef, usage-bootstrap-authentication: 'true'}\n")
        who = json.loads(self.ask("/apis/authentication.k8s.io/v1/selfsubjectreviews", "abcdef.0123456789abcdef", method="POST", body={})[1])
        self.assertEqual(who["status"]["userInfo"], {"username": "system:bootstrap:abcdef",
                                                     "groups": ["system:bootstrappers", "system:authenticated"]})
        self.assertEqual(self.ask("/api", "abcdef.0123456789abcdee")[0], 401)


class Audit(ClusterTest):
    agent = False

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="knarr-e2e-audit-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        with open(cls.directory + "/policy.yaml", "w") as policy:
            policy.write("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"
                         "- {level: RequestResponse, resources: [{resources: [configmaps]}], omitManagedFields: true}\n"
                         "- {level: Metadata, resources: [{resources: [secrets]}]}\n")
        cls.options = ("--audit-policy-file", cls.directory + "/policy.yaml", "--audit-log-path", cls.directory + "/audit.log")
        super().setUpClass()

    def events(self, name):
        with open(self.directory + "/audit.log") as log:
            events = [json.loads(line) for line in log]
        return [event for event in events if event.get("objectRef", {}).get("name") == name]

    def test_the_policy_decides_what_is_recorded(self):
        self.cluster.kubectl("create", "configmap", "seen", "--from-literal=a=b")
        self.cluster.run("get", "configmap", "seen", "--as", "bob", check=False)
        self.cluster.kubectl("create", "secret", "generic", "hidden", "--from-literal=a=verysecret")
        made, refused = self.events("seen")
        self.assertEqual((made["level"], made["stage"], made["verb"], made["responseStatus"]["code"]), ("RequestResponse", "ResponseComplete", "create", 201))
        self.assertEqual(made["requestObject"]["data"], {"a": "b"})
        self.assertNotIn("managedFields", made["responseObject"]["metadata"])
        self.assertEqual((made["user"]["username"], made["annotations"]["authorization.k8s.io/decision"]), ("admin", "allow"))
        self.assertEqual((refused["impersonatedUser"]["username"], refused["responseStatus"]["code"], refused["responseStatus"]["reason"]),
                         ("bob", 403, "Forbidden"))
        self.assertEqual(refused["annotations"]["authorization.k8s.io/decision"], "forbid")
        self.assertEqual([event["level"] for event in self.events("hidden")], ["Metadata"])
        with open(self.directory + "/audit.log") as log:
            self.assertNotIn("verysecret", log.read())


class Inside(ClusterTest):
    def test_a_pod_finds_its_token_and_the_api(self):
        self.cluster.apply(busybox_pod("inside", "sleep 60"))
        self.cluster.wait_pod("inside")
        directory = "/var/run/secrets/kubernetes.io/serviceaccount"

        def read(name):
            return self.cluster.kubectl("exec", "inside", "--", "cat", f"{directory}/{name}")
        said = claims(read("token"))
        self.assertEqual(said["kubernetes.io"]["pod"]["name"], "inside")
        self.assertEqual(said["kubernetes.io"]["node"]["name"], self.cluster.node)
        self.assertEqual(read("namespace"), "default")
        with open(self.cluster.data + "/pki/ca.crt") as authority:
            self.assertEqual(read("ca.crt"), authority.read())
        environment = self.cluster.kubectl("exec", "inside", "--", "env")
        self.assertIn("KUBERNETES_SERVICE_HOST=", environment)
        self.assertIn(f"KUBERNETES_SERVICE_PORT={self.cluster.port}\n", environment)
        who = kubectl_as(self.cluster, read("token"), "auth", "whoami", "-o", "json")
        self.assertEqual(json.loads(who.stdout)["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"], ["inside"])


if __name__ == "__main__":
    unittest.main()
