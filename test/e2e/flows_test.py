"""Priority and fairness: the objects are obeyed, and who floods the server holds up nobody else."""
import contextlib
import http.client
import json
import multiprocessing
import os
import ssl
import threading
import time
import unittest

from harness import ClusterTest, wait_until

FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
FLOODERS = 60  # connections, of one flow
# Takes the server some time and the client little: six megabytes are read for rows of a few words.
COSTLY, TABLE = "/api/v1/namespaces/default/configmaps?includeObject=None", "application/json;as=Table;v=v1;g=meta.k8s.io"


class FlowsTest(ClusterTest):
    agent = False
    # Few seats: two for each of the levels that are made below, and queues that are soon full.
    options = ("--max-requests-inflight=20", "--max-mutating-requests-inflight=10")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.context = ssl.create_default_context(cafile=cls.cluster.data + "/pki/ca.crt")
        cls.context.load_cert_chain(cls.cluster.data + "/pki/admin.crt", cls.cluster.data + "/pki/admin.key")
        cls.cluster.kubectl("create", "clusterrolebinding", "everybody", "--clusterrole=cluster-admin", "--group=tested")
        for i in range(60):
            cls.ask(None, "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"large-{i}"}, "data": {"a": "x" * 100_000}})

    @classmethod
    def connection(cls):
        return http.client.HTTPSConnection("127.0.0.1", cls.cluster.port, context=cls.context, timeout=60)

    @classmethod
    def ask(cls, user, method, path, body=None, connection=None, accept="application/json"):
        """(code, headers, text); as an administrator who is the user `user`, in the group "tested"."""
        if connection is None:
            with contextlib.closing(cls.connection()) as connection:
                return cls.ask(user, method, path, body, connection)
        headers = {"Content-Type": "application/json", "Accept": accept}
        if user:
            headers.update({"Impersonate-User": user, "Impersonate-Group": "tested"})
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()

    def make_level(self, name, response, users, shares=3, distinguisher="ByUser"):
        level = {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": shares, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": response}}}
        schema = {"metadata": {"name": name}, "spec": {"matchingPrecedence": 10, "priorityLevelConfiguration": {"name": name}, "distinguisherMethod": {"type": distinguisher}, "rules": [
            {"subjects": [{"kind": "User", "user": {"name": user}} for user in users],
             "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}],
             "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}}
        for kind, body in (("prioritylevelconfigurations", level), ("flowschemas", schema)):
            code, _, text = self.ask(None, "POST", f"{FLOW}/{kind}", body)
            self.assertEqual(code, 201, text)
        self.addCleanup(lambda: [self.ask(None, "DELETE", f"{FLOW}/{kind}/{name}") for kind in ("flowschemas", "prioritylevelconfigurations")])

    def uid(self, kind, name):
        code, _, text = self.ask(None, "GET", f"{FLOW}/{kind}/{name}")
        return json.loads(text)["metadata"]["uid"] if code == 200 else None

    def treated_by(self, user, path="/version"):
        headers = self.ask(user, "GET", path)[1]
        return headers["X-Kubernetes-PF-FlowSchema-UID"], headers["X-Kubernetes-PF-PriorityLevel-UID"]

    def test_objects_are_there_and_obeyed(self):
        wait_until("the defaults are there", lambda: self.uid("flowschemas", "catch-all") and self.uid("flowschemas", "global-default"))
        for user, schema, level in [(None, "exempt", "exempt"), ("system:kube-scheduler", "kube-scheduler", "workload-high"),
                                    ("bob", "global-default", "global-default")]:
            with self.subTest(user=user):
                self.assertEqual(self.treated_by(user), (self.uid("flowschemas", schema), self.uid("prioritylevelconfigurations", level)))
        self.assertEqual(self.treated_by("bob", "/readyz")[0], self.uid("flowschemas", "probes"))
        self.make_level("own", {"type": "Reject"}, ["carl"])
        self.assertEqual(self.treated_by("carl"), (self.uid("flowschemas", "own"), self.uid("prioritylevelconfigurations", "own")))
        self.assertEqual(self.treated_by("bob")[0], self.uid("flowschemas", "global-default"))

    def test_references_and_defaults_are_looked_after(self):
        condition = ["get", "flowschema", "dangling", "-o", "jsonpath={.status.conditions[0].status}{.status.conditions[0].reason}"]
        self.cluster.apply(json.dumps({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": "dangling"},
                                       "spec": {"priorityLevelConfiguration": {"name": "none"}}}))
        wait_until("the reference is found to dangle", lambda: self.cluster.kubectl(*condition) == "TrueNotFound")
        self.cluster.kubectl("patch", "flowschema", "dangling", "--type=merge", "-p", '{"spec":{"priorityLevelConfiguration":{"name":"system"}}}')
        wait_until("it dangles no more", lambda: self.cluster.kubectl(*condition) == "FalseFound")
        self.cluster.kubectl("delete", "flowschema", "dangling")

        before = self.uid("flowschemas", "catch-all")
        self.cluster.kubectl("delete", "flowschema", "catch-all")
        wait_until("a mandatory one is made anew", lambda: self.uid("flowschemas", "catch-all") not in (None, before))
        shares = ["get", "prioritylevelconfiguration", "workload-low", "-o", "jsonpath={.spec.limited.nominalConcurrencyShares}{.metadata.annotations}"]
        self.cluster.kubectl("annotate", "--overwrite", "prioritylevelconfiguration", "workload-low", "apf.kubernetes.io/autoupdate-spec=false")
        self.cluster.kubectl("patch", "prioritylevelconfiguration", "workload-low", "--type=merge", "-p", '{"spec":{"limited":{"nominalConcurrencyShares":101}}}')
        time.sleep(0.3)
        self.assertIn("101", self.cluster.kubectl(*shares))
        self.cluster.kubectl("annotate", "--overwrite", "prioritylevelconfiguration", "workload-low", "apf.kubernetes.io/autoupdate-spec=true")
        wait_until("a suggested one follows its default", lambda: "101" not in self.cluster.kubectl(*shares))

    @contextlib.contextmanager
    def flood(self, user):
        """Many connections that ask again and again, from a process of its own. Yields counts of codes: of 200, 429, others."""
        codes, stop = multiprocessing.Array("i", 3), multiprocessing.Event()

        def ask_on():
            with contextlib.closing(self.connection()) as connection:
                while not stop.is_set():
                    code, headers, text = self.ask(user, "GET", COSTLY, connection=connection, accept=TABLE)
                    refused = code == 429 and text == "Too many requests, please try again later.\n" and int(headers["Retry-After"]) >= 1
                    with codes.get_lock():
                        codes[0 if code == 200 else 1 if refused else 2] += 1
                    if code != 200:
                        time.sleep(0.01)

        def run():
            threads = [threading.Thread(target=ask_on) for _ in range(FLOODERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
        try:
            yield codes
        finally:
            stop.set()
            process.join()
        self.assertEqual(codes[2], 0, "answers that are neither a list nor a proper refusal")

    def latencies(self, user, path, count):
        times = []
        with contextlib.closing(self.connection()) as connection:
            for _ in range(count):
                began = time.monotonic()
                code, _, text = self.ask(user, "GET", path, connection=connection)
                self.assertEqual(code, 200, text)
                times.append(time.monotonic() - began)
        return sorted(times)

    def test_a_flood_is_bounded_and_holds_up_nobody(self):
        queue = {"type": "Queue", "queuing": {"queues": 16, "handSize": 2, "queueLengthLimit": 10}}
        self.make_level("crowd", queue, ["flooder", "quiet"])
        alone = self.latencies("quiet", "/api/v1/namespaces/default", 10)
        with self.flood("flooder") as codes:
            wait_until("the flood is refused in part", lambda: codes[1] > 20 and codes[0] > 3)
            same_level = self.latencies("quiet", "/api/v1/namespaces/default", 10)
            other_level = self.latencies("system:kube-scheduler", "/apis/coordination.k8s.io/v1/namespaces/default/leases", 10)
            admin = self.latencies(None, "/api/v1/namespaces/default", 10)
            metrics = self.ask(None, "GET", "/metrics")[2]
        shown = {name: f"{times[len(times) // 2] * 1000:.1f} ms" for name, times in
                 (("alone", alone), ("same level", same_level), ("other level", other_level), ("admin", admin))}
        if os.environ.get("SHOW"):
            print(shown, codes[:])
        # The flooder's own requests wait for twenty others; who shares only the machine with it waits for a few.
        for times in (same_level, other_level, admin):
            self.assertLess(times[len(times) // 2], 0.5, shown)
        self.assertIn('apiserver_flowcontrol_rejected_requests_total{flow_schema="crowd",priority_level="crowd",reason="queue-full"}', metrics)
        self.assertIn('apiserver_flowcontrol_current_inqueue_requests{flow_schema="crowd",priority_level="crowd"}', metrics)

    def test_without_queues_it_is_refused_at_once(self):
        self.make_level("narrow", {"type": "Reject"}, ["narrow"], shares=1)
        with self.flood("narrow") as codes:
            wait_until("some are refused, others served", lambda: codes[1] > 20 and codes[0] > 3)
        wait_until("and none is forgotten", lambda: 'current_executing_requests{flow_schema="narrow",priority_level="narrow"} 0' in self.ask(None, "GET", "/metrics")[2])

    def test_watches_keep_no_seat(self):
        self.make_level("watchers", {"type": "Reject"}, ["watcher"], shares=1)
        connections = []
        for _ in range(10):
            connection = self.connection()
            connection.request("GET", "/api/v1/namespaces/default/secrets?watch=1&resourceVersion=1&timeoutSeconds=30",
                               headers={"Impersonate-User": "watcher", "Impersonate-Group": "tested"})
            response = connection.getresponse()
            self.assertIn(response.status, (200, 410))
            connections.append((connection, response))
        for connection, _ in connections:
            connection.close()


if __name__ == "__main__":
    unittest.main()
