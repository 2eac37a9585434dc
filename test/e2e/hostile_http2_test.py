"""Frames of HTTP/2 that no honest client sends: each is refused as RFC 9113 asks, and the server stays up, answers others, keeps its
data and does not grow."""
import json
import random
import ssl
import struct
import unittest

import http2
from harness import PATIENCE, ClusterTest, wait_until
from http2 import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,
                   FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS, PADDED, PING, PREFACE, PRIORITY,
                   PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Http2, field, fields, frame, number,
                   request_fields, settings, window_update)

READY = "/readyz"
HEAD = fields(request_fields(READY))
POST = fields(request_fields("/api/v1/namespaces/attacked/configmaps", "POST", [("content-type", "application/json")]))
EMPTY_SETTINGS = frame(SETTINGS)
WHOLE = END_STREAM | END_HEADERS
MALFORMED = {("RST_STREAM", PROTOCOL_ERROR), ("GOAWAY", PROTOCOL_ERROR), "400"}


def setting(name, value):
    return settings({name: value})


def malformed(*pairs, flags=WHOLE):
    return frame(HEADERS, flags, 1, fields(pairs))


# What is sent after the preface and SETTINGS, and how it is refused: a connection error is a GOAWAY with its code; what RFC 9113 calls
# a stream error may be treated as one of the connection (5.4.2), and a request that is malformed may be answered with 400 (8.1.1).
REFUSALS = [
    ("SETTINGS of 5 bytes", frame(SETTINGS, payload=b"12345"), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("SETTINGS acknowledged with a payload", frame(SETTINGS, ACK, payload=b"123456"), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("SETTINGS on a stream", frame(SETTINGS, stream=1), {("GOAWAY", PROTOCOL_ERROR)}),
    ("a window of 2^31", setting(INITIAL_WINDOW_SIZE, 1 << 31), {("GOAWAY", FLOW_CONTROL_ERROR)}),
    ("frames of one byte", setting(http2.MAX_FRAME_SIZE, 1), {("GOAWAY", PROTOCOL_ERROR)}),
    ("frames of 2^24 bytes", setting(http2.MAX_FRAME_SIZE, 1 << 24), {("GOAWAY", PROTOCOL_ERROR)}),
    ("ENABLE_PUSH 2", setting(http2.ENABLE_PUSH, 2), {("GOAWAY", PROTOCOL_ERROR)}),
    ("PING of 7 bytes", frame(PING, payload=b"1234567"), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("PING on a stream", frame(PING, stream=1, payload=b"12345678"), {("GOAWAY", PROTOCOL_ERROR)}),
    ("GOAWAY on a stream", frame(GOAWAY, stream=1, payload=bytes(8)), {("GOAWAY", PROTOCOL_ERROR)}),
    ("GOAWAY of 4 bytes", frame(GOAWAY, payload=bytes(4)), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("DATA on no stream", frame(DATA, payload=b"x"), {("GOAWAY", PROTOCOL_ERROR)}),
    ("DATA on an idle stream", frame(DATA, stream=1, payload=b"x"), {("GOAWAY", PROTOCOL_ERROR)}),
    ("DATA on a stream that has ended", frame(HEADERS, WHOLE, 1, HEAD) + frame(DATA, stream=1, payload=b"x"),
     {("RST_STREAM", STREAM_CLOSED), ("GOAWAY", STREAM_CLOSED)}),
    ("DATA whose padding is longer than itself", frame(HEADERS, END_HEADERS, 1, POST) + frame(DATA, PADDED, 1, b"\x09abc"), {("GOAWAY", PROTOCOL_ERROR)}),
    ("HEADERS on no stream", frame(HEADERS, WHOLE, 0, HEAD), {("GOAWAY", PROTOCOL_ERROR)}),
    ("HEADERS on a stream of the server's", frame(HEADERS, WHOLE, 2, HEAD), {("GOAWAY", PROTOCOL_ERROR)}),
    ("HEADERS on a stream that was passed over", frame(HEADERS, WHOLE, 3, HEAD) + frame(HEADERS, WHOLE, 1, HEAD),
     {("GOAWAY", PROTOCOL_ERROR), "passed over"}),  # libnghttp2 does not remember which of the lower streams have been
    ("HEADERS whose padding is longer than themselves", frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + HEAD[:20]), {("GOAWAY", PROTOCOL_ERROR)}),
    ("HEADERS longer than frames may be", frame(HEADERS, WHOLE, 1, b"", length=1 << 23), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("DATA longer than frames may be", frame(HEADERS, END_HEADERS, 1, POST) + frame(DATA, 0, 1, b"", length=1 << 23), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("RST_STREAM of 3 bytes", frame(HEADERS, WHOLE, 1, HEAD) + frame(RST_STREAM, stream=1, payload=b"123"), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("RST_STREAM on an idle stream", frame(RST_STREAM, stream=1, payload=bytes(4)), {("GOAWAY", PROTOCOL_ERROR)}),
    ("RST_STREAM on no stream", frame(RST_STREAM, payload=bytes(4)), {("GOAWAY", PROTOCOL_ERROR)}),
    ("WINDOW_UPDATE of nothing", window_update(0, 0), {("GOAWAY", PROTOCOL_ERROR)}),
    ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, payload=b"123"), {("GOAWAY", FRAME_SIZE_ERROR)}),
    ("WINDOW_UPDATE on an idle stream", window_update(1, 1), {("GOAWAY", PROTOCOL_ERROR)}),
    ("the connection's window beyond 2^31", window_update(0, (1 << 31) - 1), {("GOAWAY", FLOW_CONTROL_ERROR)}),
    ("a stream's window beyond 2^31", frame(HEADERS, END_HEADERS, 1, POST) + window_update(1, (1 << 31) - 1),
     {("RST_STREAM", FLOW_CONTROL_ERROR), ("GOAWAY", FLOW_CONTROL_ERROR)}),
    ("a stream's window by nothing", frame(HEADERS, END_HEADERS, 1, POST) + window_update(1, 0),
     {("RST_STREAM", PROTOCOL_ERROR), ("GOAWAY", PROTOCOL_ERROR)}),
    ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, HEAD), {("GOAWAY", PROTOCOL_ERROR)}),
    ("CONTINUATION of another stream", frame(HEADERS, END_STREAM, 1, HEAD) + frame(CONTINUATION, END_HEADERS, 3), {("GOAWAY", PROTOCOL_ERROR)}),
    ("PING amid HEADERS", frame(HEADERS, END_STREAM, 1, HEAD) + frame(PING, payload=bytes(8)), {("GOAWAY", PROTOCOL_ERROR)}),
    ("a promise of the client's", frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + HEAD), {("GOAWAY", PROTOCOL_ERROR)}),
    ("PRIORITY of 4 bytes", frame(PRIORITY, stream=1, payload=bytes(4)), {("RST_STREAM", FRAME_SIZE_ERROR), ("GOAWAY", FRAME_SIZE_ERROR)}),
    ("a header that is nowhere", frame(HEADERS, WHOLE, 1, number(100, 7, 0x80)), {("GOAWAY", COMPRESSION_ERROR)}),
    ("a header of index 0", frame(HEADERS, WHOLE, 1, b"\x80"), {("GOAWAY", COMPRESSION_ERROR)}),
    ("a header cut short", frame(HEADERS, WHOLE, 1, HEAD[:-3]), {("GOAWAY", COMPRESSION_ERROR)}),
    ("a number without end", frame(HEADERS, WHOLE, 1, b"\xff" + b"\xff" * 30), {("GOAWAY", COMPRESSION_ERROR)}),
    ("a table larger than agreed", frame(HEADERS, WHOLE, 1, number(1 << 20, 5, 0x20) + HEAD), {("GOAWAY", COMPRESSION_ERROR)}),
    ("Huffman's code with a wrong end", frame(HEADERS, WHOLE, 1, b"\x00\x84\xff\xff\xff\xff\x01x"), {("GOAWAY", COMPRESSION_ERROR)}),
    ("a request without a method", malformed((":scheme", "https"), (":authority", "a"), (":path", READY)), MALFORMED),
    ("a request without a path", malformed((":method", "GET"), (":scheme", "https"), (":authority", "a")), MALFORMED),
    ("a request with an empty path", malformed((":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "")), MALFORMED),
    ("two paths", malformed(*request_fields(READY), (":path", READY)), MALFORMED),
    ("a pseudo header that does not exist", malformed(*request_fields(READY), (":x", "y")), MALFORMED),
    ("an answer's pseudo header", malformed(*request_fields(READY), (":status", "200")), MALFORMED),
    ("a pseudo header after others", malformed(("a", "b"), *request_fields(READY)), MALFORMED),
    ("a header in capitals", malformed(*request_fields(READY), ("Accept", "*/*")), MALFORMED),
    ("a header of the connection", malformed(*request_fields(READY), ("connection", "close")), MALFORMED),
    ("another header of the connection", malformed(*request_fields(READY), ("transfer-encoding", "chunked")), MALFORMED),
    ("TE that is not trailers", malformed(*request_fields(READY), ("te", "gzip")), MALFORMED),
    ("a name with a space", malformed(*request_fields(READY), ("a b", "c")), MALFORMED),
    ("a value with a line's end", malformed(*request_fields(READY), ("a", "b\r\nc: d")), MALFORMED),
    ("less DATA than promised", frame(HEADERS, END_HEADERS, 1, POST + field("content-length", "9")) + frame(DATA, END_STREAM, 1, b"{}"), MALFORMED),
    ("more DATA than promised", frame(HEADERS, END_HEADERS, 1, POST + field("content-length", "1")) + frame(DATA, END_STREAM, 1, b"{}"), MALFORMED),
    ("a length of no number", frame(HEADERS, END_HEADERS, 1, POST + field("content-length", "x")) + frame(DATA, END_STREAM, 1, b"{}"), MALFORMED),
]
# Instead of the preface.
GREETINGS = [
    ("another preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + EMPTY_SETTINGS),
    ("HTTP/1.1 where HTTP/2 was agreed on", b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a frame other than SETTINGS first", PREFACE + frame(PING, payload=bytes(8))),
    ("an acknowledgement first", PREFACE + frame(SETTINGS, ACK)),
    ("zeros", bytes(100)),
]


class Attack:
    """The attacks, on any server; each ends with its connections closed."""

    def __init__(self, address, authority, certificate, key):
        self.address = address
        self.context = ssl.create_default_context(cafile=authority)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["h2"])
        self.random = random.Random(2)
        with self.connect() as connection:
            self.spoken = connection.spoken
            first = connection.until(lambda f: f.kind == SETTINGS)
            values = dict(struct.unpack_from(">HI", first.payload, at) for at in range(0, len(first.payload), 6)) if first else {}
            self.streams = values.get(MAX_CONCURRENT_STREAMS, 0)

    def connect(self, **options):
        return Http2(self.address, self.context, **options)

    def refused(self, frames):
        """How the server refuses what was sent: GOAWAY or RST_STREAM with a code, "400", "closed" without a word, or not: "passed over"."""
        with self.connect() as connection:
            connection.send(frames, frame(PING, payload=b"the end?"))
            refuses = (lambda f: f.kind in (GOAWAY, RST_STREAM) or f.kind == HEADERS and http2.status_of(f.payload) == 400)
            got = connection.until(lambda f: refuses(f) or f.kind == PING)
            if got is not None and got.kind == PING:  # an answer may come from another thread
                got = connection.until(refuses, 0.5 * PATIENCE)
            if got is None:
                return "closed" if connection.ended else "passed over"
            return "400" if got.kind == HEADERS else ("GOAWAY" if got.kind == GOAWAY else "RST_STREAM", got.error)

    def greeted(self, greeting):
        with self.connect(preface=None) as connection:
            connection.send(greeting)
            got = connection.until(lambda f: f.kind == GOAWAY)
            return ("GOAWAY", got.error) if got else "closed" if connection.ended else "nothing"

    @staticmethod
    def ending(connection):
        """How an attack ended: the code of GOAWAY, "closed" without one, or "open": the server answers on."""
        connection.send(frame(PING, payload=b"the end?"))
        got = connection.until(lambda f: f.kind == GOAWAY or f.kind == PING and f.payload == b"the end?")
        if got is None:
            return "closed" if connection.ended else "silent"
        return got.error if got.kind == GOAWAY else "open"

    def flood(self, frames, times, first=b""):
        """Sends the same again and again, reads nothing meanwhile."""
        with self.connect(patience=2 * PATIENCE) as connection:
            connection.send(first)
            for _ in range(times):
                if not connection.send(frames):
                    break
            return self.ending(connection)

    def rapid_reset(self, streams=2000):
        with self.connect() as connection:
            for _ in range(streams // 50):
                burst = b""
                for _ in range(50):
                    begin, stream = connection.request("/api/v1/pods")
                    burst += begin + frame(RST_STREAM, stream=stream, payload=struct.pack(">I", CANCEL))
                if not connection.send(burst):
                    break
            return self.ending(connection)

    def header_bomb(self, size=4000, references=12000):
        """A header of 4 kB that the server remembers, and then names again and again, a byte each time."""
        with self.connect() as connection:
            first = fields(request_fields(READY)) + field("x", "y" * size, indexed=True)
            connection.send(frame(HEADERS, WHOLE, 1, first))
            connection.answer(1)
            connection.send(frame(HEADERS, WHOLE, 3, fields(request_fields(READY)) + number(62, 7, 0x80) * references))
            status, _ = connection.answer(3)
            return status

    def endless_headers(self):
        """HEADERS that never end, a CONTINUATION after the other."""
        with self.connect() as connection:
            connection.send(frame(HEADERS, END_STREAM, 1, HEAD))
            some = b"".join(field(f"x-{i}", "y" * 1000) for i in range(16))
            for _ in range(2000):
                if not connection.send(frame(CONTINUATION, 0, 1, some)):
                    break
            return self.ending(connection)

    def half_sent(self, connections=50):
        """Requests that stop in the middle; the connections are left open."""
        open_ones = []
        for i in range(connections):
            connection = self.connect()
            begun = frame(HEADERS, END_HEADERS, 1, POST)
            connection.send([frame(HEADERS, 0, 1, HEAD), begun, begun + frame(DATA, 0, 1, b"{" * 1000), frame(HEADERS, WHOLE, 1, b"", length=100),
                             frame(HEADERS, WHOLE, 1, HEAD)[:20]][i % 5])
            open_ones.append(connection)
        return open_ones

    def closed_windows(self, path, streams=100):
        """As many answers as a connection may ask for, of which nobody takes a byte. Answers the connection."""
        connection = self.connect(values={INITIAL_WINDOW_SIZE: 0})
        burst = b""
        for _ in range(streams):
            begin, _ = connection.request(path)
            burst += begin
        connection.send(burst)
        return connection

    def trickle(self, path, bytes_taken=500):
        """An answer taken byte by byte."""
        with self.connect(values={INITIAL_WINDOW_SIZE: 1}) as connection:
            begin, stream = connection.request(path)
            connection.send(begin)
            taken = 0
            while taken < bytes_taken:
                got = connection.until(lambda f: f.kind in (DATA, GOAWAY, RST_STREAM))
                if got is None or got.kind != DATA:
                    break
                taken += len(got.payload)
                connection.send(window_update(stream, 1))
            return taken

    def many_requests(self, requests, path=READY, at_once=50):
        with self.connect() as connection:
            good = sent = 0
            under_way = set()
            while good < requests:
                burst = b""
                while sent < requests and len(under_way) < at_once:
                    begin, stream = connection.request(path)
                    burst += begin
                    under_way.add(stream)
                    sent += 1
                if burst:
                    connection.send(burst)
                got = connection.until(lambda f: f.flags & END_STREAM and f.stream in under_way or f.kind in (RST_STREAM, GOAWAY))
                if got is None or got.kind in (RST_STREAM, GOAWAY):
                    return good
                under_way.discard(got.stream)
                connection.send(window_update(0, 100))
                good += 1
            return good

    def noise(self, rounds):
        """Frames that are almost right."""
        random_bytes = self.random.randbytes
        for _ in range(rounds):
            with self.connect() as connection:
                for _ in range(20):
                    kind = self.random.randrange(12)
                    payload = bytearray(self.random.choice([HEAD, POST, random_bytes(self.random.randrange(60)), b"{}", bytes(4), bytes(8)]))
                    if payload and self.random.random() < 0.5:
                        payload[self.random.randrange(len(payload))] ^= 1 << self.random.randrange(8)
                    flags, stream = self.random.choice([0, 1, 4, 5, 8, 32, 255]), self.random.choice([0, 1, 1, 3, 5, 7, 2, 1 << 31])
                    connection.send(frame(kind, flags, stream, bytes(payload)))
                connection.read(0.02)

    def too_many(self, path):
        """Twice the streams that the server takes; answers how the first of those too many was refused."""
        with self.connect() as connection:
            connection.send(frame(SETTINGS, ACK))
            burst = b""
            for _ in range(2 * self.streams):
                burst += connection.request(path)[0]
            connection.send(burst)
            got = connection.until(lambda f: f.kind in (GOAWAY, RST_STREAM))
            return ("GOAWAY" if got.kind == GOAWAY else "RST_STREAM", got.error) if got else "nothing"

    def cancelled_watches(self, rounds, path):
        """Watches that begin and are reset, and then some whose connection goes."""
        with self.connect() as connection:
            for _ in range(rounds):
                burst, streams = b"", set()
                for _ in range(self.streams):
                    begin, stream = connection.request(path)
                    burst += begin
                    streams.add(stream)
                connection.send(burst)
                begun = set()
                while begun != streams:
                    got = connection.until(lambda f: f.kind in (HEADERS, GOAWAY, RST_STREAM))
                    if got is None or got.kind != HEADERS:
                        raise AssertionError(f"watches were refused: {got and (got.kind, got.error)}")
                    begun.add(got.stream)
                connection.send(*(frame(RST_STREAM, stream=stream, payload=struct.pack(">I", CANCEL)) for stream in streams))
                connection.send(frame(PING, payload=bytes(8)))
                connection.until(lambda f: f.kind == PING)
            connection.send(burst)


LISTED = 200  # ConfigMaps of 10 kB
LIST = "/api/v1/namespaces/listed/configmaps"
WATCH = LIST + "?watch=1&timeoutSeconds=60&resourceVersion=0&fieldSelector=metadata.name%3Dnone"
CALM = {"open", "closed", ENHANCE_YOUR_CALM, INTERNAL_ERROR}  # the last is what libnghttp2 says of too many resets


class HostileHttp2Test(ClusterTest):
    agent = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        data = cls.cluster.data + "/pki/"
        cls.attack = Attack(("127.0.0.1", cls.cluster.port), data + "ca.crt", data + "admin.crt", data + "admin.key")
        run = cls.cluster.run
        for namespace in ("kept", "attacked", "listed"):
            run("create", "namespace", namespace)
        run("create", "configmap", "m", "-n", "kept", "--from-literal=k=v")
        run("create", "secret", "generic", "s", "-n", "kept", "--from-literal=k=v")
        item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "listed"}, "data": {"k": "v" * 10000}}
        items = [{**item, "metadata": {**item["metadata"], "name": f"m{i}"}} for i in range(LISTED)]
        run("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        wait_until("the namespace's certificate", lambda: run("get", "configmap", "kube-root-ca.crt", "-n", "kept", check=False).returncode == 0)
        cls.before = cls.kept()

    @classmethod
    def kept(cls):
        items = json.loads(cls.cluster.run("get", "configmaps,secrets", "-n", "kept", "-o", "json").stdout)["items"]
        return {(i["kind"], i["metadata"]["name"]): (i["metadata"]["resourceVersion"], i.get("data")) for i in items}

    def tearDown(self):
        self.assertIsNone(self.cluster.process.poll())
        with self.attack.connect() as connection:
            self.assertEqual(connection.get(READY), (200, b"ok"))
        self.assertEqual(self.kept(), self.before)

    def rss_kib(self):
        with open(f"/proc/{self.cluster.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS:")).split()[1])

    def assert_bounded(self, before, mib):
        grown = (self.rss_kib() - before) / 1024
        if PATIENCE == 1:  # sanitizers keep what was freed
            self.assertLess(grown, mib, f"the server grew by {grown:.1f} MiB")

    def test_what_is_not_http2_is_refused_by_its_code(self):
        self.assertEqual(self.attack.spoken, "h2")
        for name, frames, allowed in REFUSALS:
            with self.subTest(name):
                self.assertIn(self.attack.refused(frames), allowed)
        for name, greeting in GREETINGS:
            with self.subTest(name):
                self.assertIn(self.attack.greeted(greeting), {("GOAWAY", PROTOCOL_ERROR), "closed"})

    def test_what_is_unknown_is_passed_over(self):
        with self.attack.connect() as connection:
            connection.send(frame(0x55, 0xff, 7, b"what?"), settings({0x77: 1}), frame(PING, 0x80, payload=bytes(8)))
            self.assertEqual(connection.get(READY), (200, b"ok"))

    def test_floods(self):
        before = self.rss_kib()
        floods = [("PING", frame(PING, payload=bytes(8)), b""), ("SETTINGS", EMPTY_SETTINGS, b""),
                  ("SETTINGS that change windows", setting(INITIAL_WINDOW_SIZE, 1) + setting(INITIAL_WINDOW_SIZE, 60000), b""),
                  ("PRIORITY", frame(PRIORITY, stream=1, payload=bytes([0, 0, 0, 3, 5])), b""),
                  ("WINDOW_UPDATE", window_update(0, 1), b""), ("frames of no type", frame(0x55), b""),
                  ("DATA of nothing", frame(DATA, 0, 1), frame(HEADERS, END_HEADERS, 1, POST)),
                  ("RST_STREAM", frame(RST_STREAM, 0, 1, bytes(4)), frame(HEADERS, END_HEADERS, 1, POST))]
        for name, some, first in floods:
            with self.subTest(name):
                self.assertIn(self.attack.flood(some * 1000, 200, first), CALM | {PROTOCOL_ERROR, STREAM_CLOSED})
        with self.subTest("streams that are reset at once"):
            self.assertIn(self.attack.rapid_reset(), CALM)
        self.assert_bounded(before, 16)

    def test_headers_without_measure(self):
        before = self.rss_kib()
        with self.subTest("a header that is named 12,000 times"):
            self.assertIn(self.attack.header_bomb(), {431, -PROTOCOL_ERROR, -ENHANCE_YOUR_CALM, None})
        with self.subTest("headers that do not end"):
            self.assertIn(self.attack.endless_headers(), {PROTOCOL_ERROR, ENHANCE_YOUR_CALM, "closed"})
        self.assert_bounded(before, 8)

    def test_more_streams_than_are_taken(self):
        self.assertIn(self.attack.too_many(WATCH), {("RST_STREAM", REFUSED_STREAM), ("RST_STREAM", PROTOCOL_ERROR), ("GOAWAY", PROTOCOL_ERROR)})

    def test_answers_that_nobody_takes(self):
        before = self.rss_kib()
        connections = [self.attack.closed_windows(LIST) for _ in range(3)] + self.attack.half_sent()
        with self.attack.connect() as other:
            self.assertEqual(other.get(READY), (200, b"ok"))
        first = connections[0]
        self.assert_bounded(before, 32)
        # One of them is taken after all, and is whole.
        first.send(window_update(1, 16 << 20), window_update(0, 16 << 20))
        status, body = first.answer(1)
        self.assertEqual((status, len(json.loads(body)["items"])), (200, LISTED + 1))
        for connection in connections:
            connection.socket.close()
        self.assertGreaterEqual(self.attack.trickle(LIST), 500)

    def test_requests_and_watches_without_end(self):
        self.assertEqual(self.attack.many_requests(2500), 2500)
        self.attack.cancelled_watches(3, WATCH)
        before = self.rss_kib()
        self.assertEqual(self.attack.many_requests(2500), 2500)
        for _ in range(4):  # what may be cancelled on one connection in a short time is limited
            self.attack.cancelled_watches(3, WATCH)
        self.assert_bounded(before, 8)

    def test_noise(self):
        self.attack.noise(100)


if __name__ == "__main__":
    unittest.main()
