"""Sonobuoy: its preflight checks, its aggregator in the cluster (with an image of our own), and a plugin's results."""
import json
import os
import tarfile

BUILD = ["sonobuoy"]


def run(client):
    program = client.built("sonobuoy")
    client.needs("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io", "services")
    cluster = client.cluster
    said = client.call(program, "version", "--kubeconfig", cluster.kubeconfig).stdout
    assert "API Version:  v1.36" in said, said
    manifest = client.call(program, "gen", "--plugin", client.path("sonobuoy/plugin.yaml"), "--sonobuoy-image", "knarr.local/sonobuoy:1",
                           "--image-pull-policy", "Never", "--security-context-mode", "none").stdout
    for kind in ("Namespace", "ServiceAccount", "ClusterRoleBinding", "ClusterRole", "ConfigMap", "Pod", "Service"):
        assert f"kind: {kind}\n" in manifest, kind
    import_image(client, program)
    client.call(program, "run", "--plugin", client.path("sonobuoy/plugin.yaml"), "--sonobuoy-image", "knarr.local/sonobuoy:1",
                "--image-pull-policy", "Never", "--security-context-mode", "none", "--wait=1", timeout=120)
    status = json.loads(client.call(program, "status", "--json").stdout)
    assert status["status"] == "complete" and status["plugins"][0]["result-status"] == "passed", status
    archive = client.call(program, "retrieve", cluster.data).stdout.strip()
    with tarfile.open(archive) as results:
        names = results.getnames()
    assert any(name.endswith("plugins/own/results/global/out.json") or "plugins/own/results" in name for name in names), names
    assert any(name.endswith("resources/cluster/core_v1_nodes.json") for name in names), names
    client.call(program, "delete", "--wait", timeout=120)
    assert cluster.run("get", "namespace", "sonobuoy", check=False).returncode == 1


def import_image(client, program):
    """An image with the sonobuoy program in it, which is all that the aggregator and the worker need."""
    import subprocess

    import harness
    made = client.cluster.data + "/sonobuoy.tar"
    client.call("bash", client.path("sonobuoy/make-image.sh"), "knarr.local/sonobuoy:1", program, made)
    subprocess.run([harness.KNARR, "image", "import", "--data-dir", client.cluster.data, made], check=True, capture_output=True)
    os.unlink(made)
