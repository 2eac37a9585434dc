"""The operator's custom resource: its definition, kubectl on it, status, scale, validation, garbage."""
import json
import subprocess

from harness import wait_until

BUILD = ["operator"]
AGENT = False
SITE = "apiVersion: test.knarr.dev/v1\nkind: Site\nmetadata: {{name: {0}}}\nspec: {{title: '{1}'}}\n"


def run(client):
    cluster = client.cluster
    client.needs("customresourcedefinitions.apiextensions.k8s.io")
    cluster.kubectl("apply", "-f", client.path("operator/sites.yaml"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/sites.test.knarr.dev", "--timeout=10s")
    operator = client.start(client.built("operator"), "--sites")
    try:
        assert cluster.apply(SITE.format("home", "Welcome")) == "site.test.knarr.dev/home created\n"
        cluster.kubectl("wait", "--for=condition=Available", "site/home", "--timeout=20s")
        table = cluster.kubectl("get", "si").splitlines()
        assert table[0].split() == ["NAME", "TITLE", "AVAILABLE"] and table[1].split() == ["home", "Welcome", "True"], table
        assert cluster.get("configmap", "home-page")["data"]["index.html"] == "<h1>Welcome</h1>"
        home = cluster.get("site", "home")
        assert home["spec"]["replicas"] == 1 and home["metadata"]["generation"] == 1  # a default; status does not count
        cluster.kubectl("scale", "site", "home", "--replicas=3")
        wait_until("the status follows", lambda: cluster.get("site", "home")["status"]["observedGeneration"] == 2)
        scale = json.loads(cluster.kubectl("get", "--raw", "/apis/test.knarr.dev/v1/namespaces/default/sites/home/scale"))
        assert scale["kind"] == "Scale" and scale["spec"]["replicas"] == scale["status"]["replicas"] == 3
        cluster.kubectl("patch", "site", "home", "--type=merge", "-p", '{"spec":{"title":"Changed"}}')
        wait_until("the page follows", lambda: cluster.get("configmap", "home-page")["data"]["index.html"] == "<h1>Changed</h1>")
        refused = cluster.run("apply", "-f", "-", input=SITE.format("bad", "x" * 50), check=False)
        assert "spec.title: Too long: may not be more than 40 bytes" in refused.stderr, refused.stderr
        unknown = cluster.run("apply", "-f", "-", input=SITE.format("bad", "x").replace("title", "tilte"), check=False)
        assert 'strict decoding error: unknown field "spec.tilte"' in unknown.stderr, unknown.stderr
        assert "What stands above the page." in cluster.kubectl("explain", "site.spec.title")
        applied = cluster.run("apply", "--server-side", "--field-manager=other", "-f", "-", input=SITE.format("home", "Mine"), check=False)
        assert 'conflict with "kubectl-patch"' in applied.stderr, applied.stderr
        assert "site.test.knarr.dev/home" in cluster.kubectl("get", "all", "-o", "name")
        cluster.kubectl("delete", "site", "home", "--timeout=10s")
        wait_until("the page is collected", lambda: cluster.run("get", "configmap", "home-page", check=False).returncode == 1)
        cluster.apply(SITE.format("last", "Bye"))
        cluster.kubectl("delete", "crd", "sites.test.knarr.dev", "--timeout=20s")
        assert not client.serves("sites.test.knarr.dev")
        assert cluster.run("get", "sites", check=False).returncode == 1
    finally:
        operator.terminate()
        try:
            operator.wait(timeout=20)
        except subprocess.TimeoutExpired:
            operator.kill()
            operator.wait()
