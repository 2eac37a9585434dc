"""kubectl in the hands of who runs the cluster: nodes, debugging, kustomize, pruning, dumps, a proxy."""
import json
import os
import re
import urllib.request

from harness import IMAGE, busybox_pod, free_port, kubectl_path, wait_until

FOREVER = "trap exit TERM; while :; do sleep 0.1; done"


def run(client):
    nodes(client)
    debugging(client)
    manifests(client)
    looking(client)
    certificates(client)


def nodes(client):
    cluster = client.cluster
    k = cluster.kubectl
    assert k("cordon", "node-a") == "node/node-a cordoned\n"
    cluster.apply(busybox_pod("waits", FOREVER))
    wait_until("it is told why", lambda: "unschedulable" in k("get", "pod", "waits", "-o", "jsonpath={.status.conditions[*].message}"))
    assert re.search(r"node-a +Ready,SchedulingDisabled ", k("get", "nodes"))
    wait_until("the taint of unschedulable nodes", lambda: "node.kubernetes.io/unschedulable:NoSchedule" in k("describe", "node", "node-a"))
    k("uncordon", "node-a")
    cluster.wait_pod("waits")
    # A taint of NoExecute evicts who does not tolerate it, after the time that he does.
    cluster.apply(busybox_pod("brief", FOREVER, more="tolerations: [{key: gone, operator: Exists, effect: NoExecute, tolerationSeconds: 1}]"))
    cluster.apply(busybox_pod("stays", FOREVER, more="tolerations: [{key: gone, operator: Exists, effect: NoExecute}]"))
    for pod in ("brief", "stays"):
        cluster.wait_pod(pod)
    assert k("taint", "nodes", "node-a", "gone=soon:NoExecute") == "node/node-a tainted\n"
    k("wait", "--for=delete", "pod/waits", "pod/brief", "--timeout=20s")
    assert cluster.pod("stays")["status"]["phase"] == "Running"
    events = k("get", "events", "--field-selector", "reason=TaintManagerEviction", "-o", "jsonpath={.items[*].message}")
    assert "Marking for deletion Pod default/waits" in events, events
    assert k("taint", "nodes", "node-a", "gone-") == "node/node-a untainted\n"
    refused = cluster.run("drain", "node-a", "--timeout=20s", check=False)
    assert "cannot delete" in refused.stderr and "declare no controller" in refused.stderr, refused.stderr
    drained = k("drain", "node-a", "--force", "--ignore-daemonsets", "--timeout=20s")
    assert "pod/stays evicted" in drained and "node/node-a drained" in drained, drained
    k("uncordon", "node-a")
    k("label", "node", "node-a", "role=edge")
    assert k("get", "nodes", "-l", "role=edge", "-o", "name") == "node/node-a\n"


def debugging(client):
    cluster = client.cluster
    k = cluster.kubectl
    cluster.apply(busybox_pod("patient", FOREVER))
    cluster.wait_pod("patient")
    said = cluster.run("debug", "patient", "--image", IMAGE, "--target=main", "--profile=general", "-i", "--quiet", "--", "sh", "-c",
                       "echo from beside", check=False)
    logs = wait_until("the ephemeral container ran", lambda: [
        c for c in cluster.pod("patient")["status"].get("ephemeralContainerStatuses", []) if "terminated" in c["state"]])
    name = logs[0]["name"]
    assert k("logs", "patient", "-c", name) == "from beside\n", said.stdout + said.stderr
    k("debug", "patient", "--copy-to=copy", "--container=main", "--profile=general", "--", "sh", "-c", "echo copied")
    cluster.wait_pod("copy", "Succeeded")
    assert k("logs", "copy") == "copied\n"
    k("wait", "--for=jsonpath={.status.phase}=Running", "pod/patient", "--timeout=5s")
    os.makedirs(cluster.data + "/tree/deep")
    for path in ("a", "deep/b"):
        with open(f"{cluster.data}/tree/{path}", "w") as f:
            f.write(path)
    k("cp", cluster.data + "/tree", "patient:/tmp/tree")
    assert k("exec", "patient", "--", "cat", "/tmp/tree/deep/b") == "deep/b"
    k("delete", "pod", "patient", "copy", "--now")


def manifests(client):
    cluster = client.cluster
    k = cluster.kubectl
    base = cluster.data + "/base"
    os.makedirs(base)
    with open(base + "/kustomization.yaml", "w") as f:
        f.write("namePrefix: k-\nlabels: [{pairs: {set: one}}]\nconfigMapGenerator: [{name: made, literals: [x=1]}]\nresources: [a.yaml, b.yaml]\n")
    for name in "ab":
        with open(f"{base}/{name}.yaml", "w") as f:
            f.write(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '1'}}\n")
    assert "configmap/k-a created" in k("apply", "-k", base)
    k("delete", "-k", base)
    files = cluster.data + "/files"
    os.makedirs(files)
    for name in "ab":
        with open(f"{files}/{name}.yaml", "w") as f:
            f.write(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: two}}}}\n")
    k("apply", "-f", files, "--prune", "-l", "set=two", "--prune-allowlist=core/v1/ConfigMap")
    os.unlink(files + "/b.yaml")
    pruned = k("apply", "-f", files, "--prune", "-l", "set=two", "--prune-allowlist=core/v1/ConfigMap")
    assert "configmap/b pruned" in pruned, pruned
    before = cluster.get("configmap", "a")["metadata"]["uid"]
    k("replace", "--force", "-f", files + "/a.yaml")
    assert cluster.get("configmap", "a")["metadata"]["uid"] != before
    generated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: g-}\n"
    assert k("create", "--dry-run=server", "-o", "name", "-f", "-", input=generated).startswith("configmap/g-")
    k("apply", "-f", files)
    assert "set: two" in k("apply", "view-last-applied", "configmap", "a")
    k("create", "quota", "small", "--hard=configmaps=3")
    k("create", "ingress", "web", "--rule=example.com/*=web:80")
    k("create", "cronjob", "tick", "--image", IMAGE, "--schedule=0 0 * * *", "--", "true")
    k("create", "poddisruptionbudget", "budget", "--selector=app=x", "--min-available=1")
    k("create", "priorityclass", "high", "--value=1000")
    assert "kubernetes.io/tls" in k("create", "secret", "tls", "t", *self_signed(client), "-o", "yaml")
    k("create", "deployment", "scaled", "--image", IMAGE, "--", "true")
    assert k("autoscale", "deployment", "scaled", "--min=1", "--max=3", "--cpu=50%") == "horizontalpodautoscaler.autoscaling/scaled autoscaled\n"
    assert k("get", "hpa", "scaled", "-o", "jsonpath={.spec.metrics[0].resource.target.averageUtilization}") == "50"


def self_signed(client):
    key, certificate = client.cluster.data + "/t.key", client.cluster.data + "/t.crt"
    client.call("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=t", "-keyout", key,
                "-out", certificate)
    return [f"--key={key}", f"--cert={certificate}"]


def looking(client):
    cluster = client.cluster
    k = cluster.kubectl
    columns = k("get", "namespaces", "--sort-by=.metadata.name", "-o", "custom-columns=N:.metadata.name,P:.status.phase").split("\n")
    assert columns[0].split() == ["N", "P"] and columns[1].split() == ["default", "Active"], columns
    assert "is running at" in k("cluster-info")
    dump = cluster.data + "/dump"
    k("cluster-info", "dump", "--all-namespaces", f"--output-directory={dump}")
    with open(dump + "/nodes.json") as f:
        assert json.load(f)["items"][0]["metadata"]["name"] == "node-a"
    port = free_port()
    proxy = client.start(kubectl_path(), "proxy", f"--port={port}")
    try:
        def through():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/default") as answer:
                    return json.load(answer)["metadata"]["name"] == "default"
            except OSError:
                return False
        wait_until("the proxy answers", through)
    finally:
        proxy.terminate()
        proxy.wait()
    assert "v1\n" in k("api-versions")
    top = cluster.run("top", "nodes", check=False)
    assert "Metrics API not available" in top.stderr, top.stderr
    described = k("describe", "node", "node-a")
    for line in ("Capacity:", "Allocatable:", "Non-terminated Pods:", "kubelet is posting ready status", "Lease:"):
        assert line in described, described
    for kind in ("namespace/default", "serviceaccount/default", "quota/small", "ingress/web", "cronjob/tick", "pdb/budget"):
        k("describe", kind)


def certificates(client):
    cluster = client.cluster
    k = cluster.kubectl
    key, request = cluster.data + "/u.key", cluster.data + "/u.csr"
    client.call("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=devs/CN=ann", "-keyout", key, "-out", request)
    encoded = client.call("base64", "-w0", request).stdout
    cluster.apply("apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: ann}\n"
                  f"spec: {{request: {encoded}, signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}}\n")
    assert k("certificate", "approve", "ann") == "certificatesigningrequest.certificates.k8s.io/ann approved\n"
    issued = wait_until("the certificate is signed", lambda: k("get", "csr", "ann", "-o", "jsonpath={.status.certificate}"), 10)
    certificate = client.call("base64", "-d", input=issued).stdout
    with open(cluster.data + "/u.crt", "w") as f:
        f.write(certificate)
    k("create", "clusterrolebinding", "ann", "--clusterrole=view", "--user=ann")
    k("config", "set-credentials", "ann", "--client-certificate", cluster.data + "/u.crt", "--client-key", key, "--embed-certs")
    mine = ["--user=ann"]
    assert re.search("Username +ann", k(*mine, "auth", "whoami"))
    assert k(*mine, "get", "pods") == ""
    refused = cluster.run(*mine, "get", "secrets", check=False)
    assert 'User "ann" cannot list resource "secrets"' in refused.stderr, refused.stderr
