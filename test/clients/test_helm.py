"""Helm 3: a chart with a dependency, hooks and a test; install, upgrade, a failed upgrade, rollback, uninstall."""
import json
import shutil

BUILD = ["helm"]


def run(client):
    program = client.built("helm")
    charts = client.cluster.data + "/charts"
    for name in ("web", "store"):
        shutil.copytree(client.path("helm", name), f"{charts}/{name}")

    def helm(*arguments, check=True):
        return client.call(program, *arguments, check=check)

    def data(name, key):
        return client.cluster.get("configmap", name)["data"][key]

    def names(kind, selector):
        return client.cluster.kubectl("get", kind, "-l", selector, "-o", "name").split()

    def hook_said(hook):
        return client.cluster.kubectl("logs", f"shop-{hook}")

    helm("dependency", "update", charts + "/web")
    helm("lint", charts + "/web")
    said = helm("install", "shop", charts + "/web", "--wait", "--timeout", "60s").stdout
    assert "STATUS: deployed" in said and "shop greets with hello on Kubernetes v1.36" in said, said
    assert data("shop-page", "index.html") == "hello from revision 1"
    assert names("configmaps", "part=store") == ["configmap/shop-store-0"]
    assert (hook_said("pre-install"), hook_said("post-install")) == ("pre-install 1\n", "post-install 1\n")
    key = client.cluster.get("secret", "shop-key")["data"]["key"]
    assert "Phase:          Succeeded" in helm("test", "shop", "--timeout", "60s").stdout
    again = helm("install", "shop", charts + "/web", check=False)
    assert again.returncode == 1 and "cannot re-use a name" in again.stderr, again.stderr

    helm("upgrade", "shop", charts + "/web", "--set", "greeting=welcome,store.size=3", "--wait", "--timeout", "60s")
    assert data("shop-page", "index.html") == "welcome from revision 2"
    assert len(names("configmaps", "part=store")) == 3
    assert client.cluster.get("secret", "shop-key")["data"]["key"] == key  # by lookup
    assert hook_said("pre-upgrade") == "pre-upgrade 2\n"
    # Somebody changes what the chart does not speak of: that stays; what it does speak of comes back.
    client.cluster.kubectl("annotate", "configmap", "shop-page", "note=mine")
    failed = helm("upgrade", "shop", charts + "/web", "--set", "image=not a name,store.size=3", "--timeout", "3s", check=False)
    assert failed.returncode == 1, failed.stdout
    helm("rollback", "shop", "1", "--wait", "--timeout", "60s")
    assert data("shop-page", "index.html") == "hello from revision 1"
    assert names("configmaps", "part=store") == ["configmap/shop-store-0"]
    assert client.cluster.get("configmap", "shop-page")["metadata"]["annotations"]["note"] == "mine"
    history = json.loads(helm("history", "shop", "-o", "json").stdout)
    assert [(h["revision"], h["status"]) for h in history] == [
        (1, "superseded"), (2, "superseded"), (3, "failed"), (4, "deployed")], history
    assert json.loads(helm("list", "-o", "json").stdout)[0]["revision"] == "4"
    assert len(client.cluster.get("secrets", "-l", "owner=helm")["items"]) == 4
    assert "greeting" in helm("get", "values", "shop", "--all").stdout
    assert "kind: Pod" in helm("get", "manifest", "shop").stdout
    helm("template", "x", charts + "/web", "--validate")

    helm("uninstall", "shop", "--wait", "--timeout", "60s")
    assert hook_said("post-delete") == "post-delete 1\n"  # as revision 1 was rendered
    assert names("configmaps", "app.kubernetes.io/instance=shop") == []
    assert client.cluster.get("secrets", "-l", "owner=helm")["items"] == []
    assert json.loads(helm("list", "-a", "-o", "json").stdout) == []

    # Kinds of other groups, with the chart that `helm create` makes.
    client.needs("deployments.apps", "services")
    client.call(program, "create", charts + "/made")
    helm("install", "made", charts + "/made", "--set", "image.repository=knarr.local/busybox,image.tag=1,autoscaling.enabled=true")
    assert client.cluster.get("deployment", "made")["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert client.cluster.get("horizontalpodautoscaler", "made")["spec"]["maxReplicas"] == 100
    helm("uninstall", "made")
    assert client.cluster.run("get", "deployment", "made", check=False).returncode == 1
