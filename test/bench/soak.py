#!/usr/bin/env python3
"""A long, mild load on a server and its agent, and what it does to their memory, descriptors, threads and database.

Writes, reads and deletes ConfigMaps (200 names, about RATE operations a second), opens and closes watches, and creates and deletes
a pod every few seconds, for MINUTES. Samples once a minute, prints name<TAB>value lines: first sample after the warm-up, last
sample, and the growth of a line through all samples between them, for an hour."""
import argparse
import http.client
import json
import os
import random
import ssl
import sys
import threading
import time

PATH = "/api/v1/namespaces/soak"


class Client:
    def __init__(self, options):
        self.port = options.port
        self.context = ssl.create_default_context(cafile=options.ca)
        self.context.load_cert_chain(options.cert, options.key)
        self.connection = None

    def call(self, method, path, body=None):
        for again in (True, False):
            try:
                if not self.connection:
                    self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=30)
                self.connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self.connection = None
                if not again:
                    raise
        return 0, b""

    def watch(self, seconds):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=seconds + 30)
        connection.request("GET", f"{PATH}/configmaps?watch=1&timeoutSeconds={seconds}")
        answer = connection.getresponse()
        events = 0
        while answer.readline():
            events += 1
        connection.close()
        return events


def sample(pid, directory):
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory)) if directory else 0
    return {
        "rss_kib": int(status["VmRSS"].split()[0]),
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
        **({"database_kib": size // 1024} if directory else {}),
    }


def slope(values):
    """Least squares, for each hour of samples a minute apart."""
    n = len(values)
    if n < 2:
        return 0.0
    mean_x, mean_y = (n - 1) / 2, sum(values) / n
    return 60 * sum((i - mean_x) * (v - mean_y) for i, v in enumerate(values)) / sum((i - mean_x) ** 2 for i in range(n))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    for name in ("ca", "cert", "key", "database"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--server", type=int, required=True)
    parser.add_argument("--agent", type=int, required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=40)
    options = parser.parse_args()
    end = time.monotonic() + options.minutes * 60
    counts, errors = {"operations": 0, "pods": 0, "watch_events": 0}, []

    def guard(work):
        def run():
            client = Client(options)
            while time.monotonic() < end:
                try:
                    work(client)
                except Exception as error:  # counted and shown; the soak goes on
                    errors.append(repr(error))
                    time.sleep(1)

        return run

    def objects(client):
        name = f"{PATH}/configmaps/soak-{random.randrange(200)}"
        kind = random.random()
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name.rsplit("/", 1)[1]}, "data": {"k": "x" * random.randrange(2000)}}
        if kind < 0.5:
            status, _ = client.call("PUT", name, body)
        elif kind < 0.6:
            status, _ = client.call("DELETE", name)
        elif kind < 0.7:
            status, _ = client.call("GET", f"{PATH}/configmaps?limit=50")
        else:
            status, _ = client.call("GET", name)
        if status == 404 and kind < 0.5:
            status, _ = client.call("POST", f"{PATH}/configmaps", body)
        if status not in (200, 201, 404, 409):
            errors.append(f"{status} {name}")
        counts["operations"] += 1
        time.sleep(2 / options.rate)  # two threads

    def watches(client):
        counts["watch_events"] += client.watch(random.randrange(5, 30))

    def pods(client):
        name = f"soak-{counts['pods']}"
        client.call("POST", f"{PATH}/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": options.image, "args": ["sleep", "1000"]}]}})
        phase = None
        for _ in range(100):
            _, text = client.call("GET", f"{PATH}/pods/{name}")
            phase = json.loads(text).get("status", {}).get("phase")
            if phase == "Running":
                break
            time.sleep(0.1)
        if phase != "Running":
            errors.append(f"pod {name} is {phase}")
        client.call("DELETE", f"{PATH}/pods/{name}")
        counts["pods"] += 1
        time.sleep(5)

    client = Client(options)
    client.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "soak"}})
    time.sleep(2)
    threads = [threading.Thread(target=guard(work), daemon=True) for work in (objects, objects, watches, watches, watches, pods)]
    for thread in threads:
        thread.start()
    samples = {"server": [], "agent": []}
    while time.monotonic() < end:
        time.sleep(min(60, max(1, end - time.monotonic())))
        samples["server"].append(sample(options.server, options.database))
        samples["agent"].append(sample(options.agent, None))
        print(time.strftime("%H:%M"), samples["server"][-1], samples["agent"][-1], counts, len(errors), file=sys.stderr, flush=True)
    for thread in threads:
        thread.join(60)
    warm = min(5, len(samples["server"]) - 1)
    for who, all_samples in samples.items():
        for figure in all_samples[-1]:
            values = [s[figure] for s in all_samples[warm:]]
            print(f"soak_{who}_{figure}_first\t{values[0]}\nsoak_{who}_{figure}_last\t{values[-1]}\nsoak_{who}_{figure}_growth_per_hour\t{slope(values):.1f}")
    for name, value in counts.items():
        print(f"soak_{name}\t{value}")
    print(f"soak_errors\t{len(errors)}")
    for error in errors[:10]:
        print("soak:", error, file=sys.stderr)
    return 1 if errors else 0


sys.exit(main())
