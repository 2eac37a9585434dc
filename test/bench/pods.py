#!/usr/bin/env python3
"""How long from a pod's creation to its phase Running, seen by a watch, and what a pod costs in memory.

pods.py --kubeconfig FILE --image NAME [--count 30] [--pids 1,2]   prints name<TAB>value lines; works on any cluster with one node.
Pods are created one after the other, each when the one before runs; then all are deleted.
"""
import argparse
import base64
import http.client
import json
import queue
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse


def connect(kubeconfig):
    config = json.loads(subprocess.run([ARGS.kubectl, "--kubeconfig", kubeconfig, "config", "view", "--raw", "-o", "json"],
                                       check=True, capture_output=True, text=True).stdout)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

    def file_of(entry, key):
        if key in entry:
            return entry[key]
        f = tempfile.NamedTemporaryFile(delete=False)
        f.write(base64.b64decode(entry[key + "-data"]))
        f.close()
        return f.name
    context = ssl.create_default_context(cafile=file_of(cluster, "certificate-authority"))
    context.load_cert_chain(file_of(user, "client-certificate"), file_of(user, "client-key"))
    url = urllib.parse.urlparse(cluster["server"])
    return lambda: http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=120)


def call(connection, method, path, body=None):
    connection.request(method, path, body=json.dumps(body) if body else None, headers={"Content-Type": "application/json"})
    response = connection.getresponse()
    data = response.read()
    if response.status >= 300:
        raise SystemExit(f"{method} {path}: {response.status} {data[:300]}")
    return json.loads(data)


def watch(connect_, path, events):
    connection = connect_()
    connection.request("GET", path)
    for line in connection.getresponse():
        event = json.loads(line)
        events.put((time.monotonic(), event["object"]))


def pss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def shims(word):
    out = subprocess.run(["pgrep", "-f", word], capture_output=True, text=True).stdout.split()
    return [int(p) for p in out]


parser = argparse.ArgumentParser()
parser.add_argument("--kubeconfig", required=True)
parser.add_argument("--kubectl", required=True)
parser.add_argument("--image", required=True)
parser.add_argument("--count", type=int, default=30)
parser.add_argument("--shim", default="knarr shim", help="what the command line of a pod's shim contains")
ARGS = parser.parse_args()

make = connect(ARGS.kubeconfig)
api = make()
events = queue.Queue()
pods = "/api/v1/namespaces/default/pods"
threading.Thread(target=watch, args=(make, pods + "?watch=1", events), daemon=True).start()
time.sleep(0.5)
before = set(shims(ARGS.shim))
times = []
for i in range(ARGS.count):
    name = f"bench-{i}"
    begun = time.monotonic()
    call(api, "POST", pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False,
        "containers": [{"name": "c", "image": ARGS.image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "3600"]}]}})
    while True:
        when, pod = events.get(timeout=60)
        if pod.get("metadata", {}).get("name") == name and pod.get("status", {}).get("phase") == "Running":
            times.append((when - begun) * 1000)
            break
times.sort()
print(f"pod_running_p50_ms\t{statistics.median(times):.1f}")
print(f"pod_running_p99_ms\t{times[min(len(times) - 1, int(len(times) * 0.99))]:.1f}")
mine = set(shims(ARGS.shim)) - before
if mine:
    print(f"pod_shim_pss_kib\t{pss_kib(mine) / len(mine):.0f}")
for i in range(ARGS.count):
    call(api, "DELETE", f"{pods}/bench-{i}?gracePeriodSeconds=0")
