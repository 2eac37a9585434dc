"""Events expire, and the memory they held is there for the next ones."""
import http.client
import json
import os
import ssl
import threading
import unittest

from harness import PATIENCE, ClusterTest, wait_until

PATH = "/api/v1/namespaces/default/events"
THREADS = 4
EACH = 600  # of a thread, in a round
ROUNDS = 5
SETTLED = 2  # rounds after which the recent changes that are kept for watches fill their bounds


class EventsTest(ClusterTest):
    agent = False
    options = ("--event-ttl=1s",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.context = ssl.create_default_context(cafile=cls.cluster.data + "/pki/ca.crt")
        cls.context.load_cert_chain(cls.cluster.data + "/pki/admin.crt", cls.cluster.data + "/pki/admin.key")

    def connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self.cluster.port, context=self.context, timeout=60)

    def make_events(self):
        connection = self.connection()
        event = {"metadata": {"generateName": "e-", "annotations": {"note": "x" * 4000}}, "reason": "Tested",
                 "involvedObject": {"kind": "Pod", "namespace": "default", "name": "none"}, "type": "Normal"}
        for _ in range(EACH):
            connection.request("POST", PATH, json.dumps(event), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 201)
        connection.close()

    def any_event(self):
        connection = self.connection()
        connection.request("GET", PATH + "?limit=1")
        events = json.loads(connection.getresponse().read())["items"]
        connection.close()
        return bool(events)

    def resident_kib(self):
        with open(f"/proc/{self.cluster.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def test_memory_is_flat_while_events_come_and_go(self):
        sizes = []
        for _ in range(ROUNDS):
            threads = [threading.Thread(target=self.make_events) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_until("the events expired", lambda: not self.any_event())
            sizes.append(self.resident_kib())
        if os.environ.get("PRINT_SIZES"):
            print(sizes)
        if PATIENCE == 1:  # sanitizers keep what was freed
            self.assertLess(sizes[-1], sizes[SETTLED - 1] + 6 * 1024, sizes)


if __name__ == "__main__":
    unittest.main()
