"""Deciders elsewhere: an OpenID Connect issuer with changing keys, a webhook for tokens and one for authorisation."""
import base64
import http.server
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

from harness import Cluster, wait_until


def openssl(*arguments, input=None):
    return subprocess.run(["openssl", *arguments], input=input, capture_output=True, check=True).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningKey:
    def __init__(self, directory, name):
        self.id = name
        self.file = os.path.join(directory, name + ".pem")
        openssl("genrsa", "-out", self.file, "2048")
        modulus = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().strip().split("=")[1]
        self.jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": name, "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}

    def token(self, claims, algorithm="RS256"):
        head = b64(json.dumps({"alg": algorithm, "kid": self.id}).encode()) + "." + b64(json.dumps(claims).encode())
        if algorithm == "none":
            return head + "."
        return head + "." + b64(openssl("dgst", "-sha256", "-sign", self.file, "-binary", input=head.encode()))


class Elsewhere:
    """One HTTPS server that is the issuer and both webhooks."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="knarr-e2e-elsewhere-")
        self.ca = os.path.join(self.directory, "tls.crt")
        key = os.path.join(self.directory, "tls.key")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.ca, "-days", "2", "-subj", "/CN=elsewhere",
                "-addext", "subjectAltName=IP:127.0.0.1")
        self.keys = [SigningKey(self.directory, "first")]
        self.asked, self.lock = [], threading.Lock()
        self.go_on = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, body):
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                if self.path == "/keys":
                    return self.answer({"keys": [key.jwk for key in outer.keys]})
                self.answer({"issuer": outer.url, "jwks_uri": outer.url + "/keys"})

            def do_POST(self):
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.asked.append(review)
                review["status"] = outer.token_status(review["spec"]) if self.path == "/tokens" else outer.access_status(review["spec"])
                self.answer(review)

            def log_message(self, *arguments):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def token_status(spec):
        if spec["token"] == "opaque-grace":
            return {"authenticated": True, "user": {"username": "grace", "uid": "7", "groups": ["navy"], "extra": {"rank": ["admiral"]}}}
        return {"authenticated": False, "error": "never heard of it"}

    def access_status(self, spec):
        about = spec.get("resourceAttributes", {})
        if about.get("namespace") == "slow":
            self.go_on.wait(60)
        if spec.get("user") == "grace" and about.get("resource") == "configmaps":
            return {"allowed": True, "reason": "grace may"}
        return {"allowed": False, "denied": about.get("resource") == "pods", "reason": "the webhook says no"}

    def questions(self, kind):
        with self.lock:
            return [review for review in self.asked if review["kind"] == kind]

    def kubeconfig(self, path):
        file = os.path.join(self.directory, path + ".kubeconfig")
        with open(file, "w") as out:
            json.dump({"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}],
                       "clusters": [{"name": "c", "cluster": {"server": f"{self.url}/{path}", "certificate-authority": self.ca}}]}, out)
        return file

    def close(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.directory)


class RemoteAuth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.there = Elsewhere()
        cls.cluster = Cluster("--oidc-issuer-url", cls.there.url, "--oidc-client-id", "knarr-test", "--oidc-ca-file", cls.there.ca,
                              "--oidc-username-claim", "email", "--oidc-groups-claim", "groups", "--oidc-groups-prefix", "oidc:",
                              "--oidc-required-claim", "tenant=ours",
                              "--authentication-token-webhook-config-file", cls.there.kubeconfig("tokens"),
                              "--authorization-mode", "Node,RBAC,Webhook", "--authorization-webhook-config-file", cls.there.kubeconfig("access"),
                              agent=False)
        cls.cluster.start()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()
        cls.there.close()

    def ask(self, path, token):
        context = ssl.create_default_context(cafile=self.cluster.data + "/pki/ca.crt")
        request = urllib.request.Request(f"https://127.0.0.1:{self.cluster.port}{path}", headers={"Authorization": "Bearer " + token})
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def claims(self, **changes):
        now = int(time.time())
        return {"iss": self.there.url, "aud": "knarr-test", "email": "ada@example.com", "email_verified": True, "groups": ["dev"], "tenant": "ours",
                "sub": "1", "iat": now, "exp": now + 600, **changes}

    def code(self, token):
        return self.ask("/api/v1/namespaces/default/secrets", token)[0]

    def test_tokens_of_an_issuer(self):
        key = self.there.keys[0]
        self.cluster.kubectl("create", "clusterrole", "secret-lister", "--verb=list", "--resource=secrets")
        self.cluster.kubectl("create", "clusterrolebinding", "secret-lister", "--clusterrole=secret-lister", "--group=oidc:dev")
        good = key.token(self.claims())
        wait_until("the issuer's keys are known", lambda: self.code(good) == 200)
        whoami = self.cluster.kubectl("--token", good, "--kubeconfig", self.tokens_only(), "auth", "whoami", "-o", "json")
        self.assertEqual(json.loads(whoami)["status"]["userInfo"],
                         {"username": "ada@example.com", "groups": ["oidc:dev", "system:authenticated"]})
        now = int(time.time())
        for what, token, code in (("another group", key.token(self.claims(groups=["sales"])), 403), ("expired", key.token(self.claims(exp=now - 5)), 401),
                                  ("another audience", key.token(self.claims(aud="others")), 401), ("unsigned", key.token(self.claims(), "none"), 401),
                                  ("another tenant", key.token(self.claims(tenant="theirs")), 401), ("another issuer", key.token(self.claims(iss="https://x")), 401),
                                  ("an address nobody verified", key.token(self.claims(email_verified=False)), 401),
                                  ("changed", good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"), 401),
                                  ("a key of somebody else", SigningKey(self.there.directory, "first-forged").token(self.claims()), 401)):
            with self.subTest(what):
                self.assertEqual(self.code(token), code)

        # Keys change: the new one is fetched when it shows, the old one is good for as long as the issuer says so.
        fresh = SigningKey(self.there.directory, "second")
        self.there.keys = [fresh, key]
        wait_until("the new key is known", lambda: self.code(fresh.token(self.claims())) == 200)
        self.assertEqual(self.code(good), 200)
        last = SigningKey(self.there.directory, "third")
        self.there.keys = [last]
        wait_until("the last key is known", lambda: self.code(last.token(self.claims())) == 200)
        self.assertEqual(self.code(good), 401)

    def tokens_only(self):
        path = self.there.directory + "/tokens-only"
        with open(path, "w") as out:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                       "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.cluster.port}", "certificate-authority": self.cluster.data + "/pki/ca.crt"}}],
                       "users": [{"name": "u", "user": {}}]}, out)
        return path

    def test_webhooks_are_asked_once(self):
        self.assertEqual(self.ask("/api/v1/namespaces/default/configmaps", "opaque-grace")[0], 200)
        self.assertEqual(self.ask("/api/v1/namespaces/default/configmaps", "opaque-grace")[0], 200)
        wanted = {"namespace": "default", "verb": "list", "version": "v1", "resource": "configmaps"}
        mine = [review["spec"] for review in self.there.questions("SubjectAccessReview") if review["spec"].get("resourceAttributes") == wanted]
        self.assertEqual(mine, [{"user": "grace", "uid": "7", "groups": ["navy", "system:authenticated"], "extra": {"rank": ["admiral"]},
                                 "resourceAttributes": wanted}])
        tokens = [review["spec"] for review in self.there.questions("TokenReview") if review["spec"]["token"] == "opaque-grace"]
        self.assertEqual(tokens, [{"token": "opaque-grace", "audiences": ["https://kubernetes.default.svc.cluster.local"]}])
        code, refused = self.ask("/api/v1/namespaces/default/pods", "opaque-grace")
        self.assertEqual((code, refused["reason"]), (403, "Forbidden"))
        self.assertIn("the webhook says no", refused["message"])
        self.assertEqual(self.ask("/api/v1/namespaces/default/configmaps", "opaque-eve")[0], 401)

    def test_a_slow_webhook_keeps_nobody_else_waiting(self):
        """More questions than may wait are refused at once; those that need no webhook are answered meanwhile."""
        codes, lock = [], threading.Lock()
        self.assertEqual(self.ask("/api/v1/namespaces/default/configmaps", "opaque-grace")[0], 200)  # the token is known from now on

        def one(number):
            code = self.ask(f"/api/v1/namespaces/slow/configmaps/{number}", "opaque-grace")[0]
            with lock:
                codes.append(code)
        askers = [threading.Thread(target=one, args=(number,)) for number in range(24)]
        self.there.go_on.clear()
        try:
            for asker in askers:
                asker.start()
            wait_until("some are refused", lambda: codes.count(500) >= 1)
            self.assertIn("default", self.cluster.kubectl("get", "namespaces", "--request-timeout=4s"))
            self.cluster.kubectl("create", "configmap", "meanwhile", "--request-timeout=4s")
        finally:
            self.there.go_on.set()
            for asker in askers:
                asker.join()
        self.assertTrue(set(codes) <= {404, 500}, codes)
        wait_until("the webhook is asked again", lambda: self.ask("/api/v1/namespaces/default/configmaps/other", "opaque-grace")[0] == 404)


if __name__ == "__main__":
    unittest.main()
