"""Sonobuoy: its preflight checks, its aggregator in the cluster (with an image of our own), and a plugin's results."""
import json
import os
import shutil
import tarfile

import harness

BUILD = ["sonobuoy"]
PODS_REACH_THE_API = True
IMAGE = "knarr.local/sonobuoy:1"
QUIET = ["--image-pull-policy", "Never", "--security-context-mode", "none"]


def run(client):
    program = client.built("sonobuoy")
    client.needs("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io", "services")
    cluster = client.cluster
    said = client.call(program, "version", "--kubeconfig", cluster.kubeconfig).stdout
    assert "API Version:  v1.36" in said, said
    manifest = client.call(program, "gen", "--plugin", client.path("sonobuoy/plugin.yaml"), "--sonobuoy-image", IMAGE, *QUIET).stdout
    for kind in ("Namespace", "ServiceAccount", "ClusterRoleBinding", "ClusterRole", "ConfigMap", "Pod", "Service"):
        assert f"kind: {kind}\n" in manifest, kind
    import_image(client, program)
    try:
        collect(client, program)
    finally:  # what its pods said
        for command in (["get", "pods", "-o", "wide"], ["logs", "-l", "component=sonobuoy", "--all-containers", "--prefix", "--tail=30"]):
            seen = cluster.run(*command, "-n", "sonobuoy", check=False)
            client.log.write(seen.stdout + seen.stderr)
    client.call(program, "delete", "--wait", timeout=120)
    assert cluster.run("get", "namespace", "sonobuoy", check=False).returncode == 1


def collect(client, program):
    # By itself it writes the address as [10.42.0.2], which today's Go does not take for a URL. The first pod gets the first.
    config = client.cluster.data + "/sonobuoy.json"
    with open(config, "w") as f:
        json.dump({"Server": {"advertiseaddress": "10.42.0.2:8080", "bindaddress": "0.0.0.0", "bindport": 8080}}, f)
    client.call(program, "run", "--config", config, "--plugin", client.path("sonobuoy/plugin.yaml"), "--sonobuoy-image", IMAGE, *QUIET,
                "--skip-preflight=dnscheck", "--wait=1", timeout=120)
    status = json.loads(client.call(program, "status", "--json").stdout)
    assert status["status"] == "complete" and status["plugins"][0]["result-status"] == "passed", status
    archive = client.call(program, "retrieve", client.cluster.data).stdout.strip()
    with tarfile.open(archive) as results:
        names = results.getnames()
    assert any(name.endswith("plugins/own/results/global/out.json") or "plugins/own/results" in name for name in names), names
    assert any(name.endswith("resources/cluster/core_v1_nodes.json") for name in names), names


def import_image(client, program):
    """An image with the sonobuoy program in it, which is all that aggregator and worker need."""
    root, made = client.cluster.data + "/image", client.cluster.data + "/sonobuoy.tar"
    os.makedirs(root + "/tmp")
    shutil.copy(program, root + "/sonobuoy")
    client.call(os.path.join(harness.ROOT, "examples/make-image.sh"), IMAGE, made, root, '{"Cmd":["/sonobuoy"]}')
    client.call(harness.KNARR, "image", "import", "--data-dir", client.cluster.data, made)
    shutil.rmtree(root)
    os.unlink(made)
