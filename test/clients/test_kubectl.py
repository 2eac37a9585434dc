"""kubectl: the work of a day, with the outputs that people read."""
import json
import re
import subprocess

from harness import IMAGE, busybox_pod, free_port, kubectl_path, wait_until


def run(client):
    cluster = client.cluster
    k = cluster.kubectl
    version = json.loads(k("version", "-o", "json"))
    assert version["serverVersion"]["minor"] == "36", version
    assert k("create", "namespace", "day") == "namespace/day created\n"
    k("config", "set-context", "--current", "--namespace=day")
    k("create", "configmap", "settings", "--from-literal=colour=blue", "--from-literal=size=3")
    k("create", "secret", "generic", "key", "--from-literal=password=s3cret")
    assert k("get", "secret", "key", "-o", "jsonpath={.data.password}") == "czNjcmV0"
    assert re.search(r"^settings +2 +\d+s$", k("get", "configmap", "settings", "--no-headers"), re.M)

    # apply, diff, edit, patch of each type, replace, labels, annotations
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, labels: {tier: web}}\ndata: {a: '1', b: '2'}\n"
    assert cluster.apply(manifest) == "configmap/app created\n"
    assert cluster.apply(manifest) == "configmap/app unchanged\n"
    changed = manifest.replace("b: '2'", "c: '3'")
    diff = cluster.run("diff", "-f", "-", input=changed, check=False)
    assert diff.returncode == 1 and "-  b: \"2\"" in diff.stdout and "+  c: \"3\"" in diff.stdout, diff.stdout + diff.stderr
    assert cluster.apply(changed) == "configmap/app configured\n"
    assert cluster.get("configmap", "app")["data"] == {"a": "1", "c": "3"}
    k("patch", "configmap", "app", "-p", '{"data":{"a":null,"d":"4"}}')
    k("patch", "configmap", "app", "--type=merge", "-p", '{"data":{"e":"5"}}')
    k("patch", "configmap", "app", "--type=json", "-p", '[{"op":"replace","path":"/data/e","value":"6"}]')
    assert cluster.get("configmap", "app")["data"] == {"c": "3", "d": "4", "e": "6"}
    k("label", "configmap", "app", "tier=db", "--overwrite")
    k("annotate", "configmap", "app", "note=hello world")
    assert k("get", "configmaps", "-l", "tier=db", "-o", "name") == "configmap/app\n"
    assert "note: hello world" in k("describe", "configmap", "app").replace("note=", "note: ")
    assert cluster.run("get", "configmap", "none", check=False).stderr == 'Error from server (NotFound): configmaps "none" not found\n'
    refused = cluster.run("create", "-f", "-", input="apiVersion: v1\nkind: Pod\nmetadata: {name: Bad_Name}\nspec: {}\n", check=False)
    assert refused.returncode == 1 and "is invalid" in refused.stderr, refused.stderr
    k("explain", "pod.spec.containers.livenessProbe", "--recursive")
    assert "VERSION:    v1" in k("explain", "configmap")

    # pods: run, wait, logs, exec, cp, port-forward, attach, top-level tables, events, delete
    cluster.apply(busybox_pod("web", "mkdir /www; echo hello > /www/index.html; echo serving; exec httpd -f -p 8080 -h /www",
                              namespace="day", container="ports: [{containerPort: 8080}]"))
    k("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    assert k("logs", "web") == "serving\n"
    assert k("exec", "web", "--", "cat", "/www/index.html") == "hello\n"
    assert cluster.run("exec", "web", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    client.call("sh", "-c", f"echo copied > {cluster.data}/file")
    k("cp", cluster.data + "/file", "web:/www/file")
    k("cp", "web:/www/file", cluster.data + "/back")
    with open(cluster.data + "/back") as f:
        assert f.read() == "copied\n"
    port = free_port()
    forward = client.start(kubectl_path(), "-n", "day", "port-forward", "pod/web", f"{port}:8080")
    try:
        wait_until("the forwarded port answers", lambda: subprocess.run(
            ["curl", "-sf", f"http://127.0.0.1:{port}/file"], capture_output=True, text=True).stdout == "copied\n")
    finally:
        forward.terminate()
        forward.wait()
    assert re.search(r"^web +1/1 +Running +0 +\d+s", k("get", "pods", "--no-headers"), re.M)
    wide = k("get", "pods", "-o", "wide")
    assert "NOMINATED NODE" in wide and "node-a" in wide, wide
    assert re.search(r"node-a +Ready ", k("get", "nodes"))
    wait_until("events of the pod", lambda: "Started" in k("events", "--for", "pod/web"))
    assert "Scheduled" in k("describe", "pod", "web")
    one_off = k("run", "once", "--image", IMAGE, "--restart=Never", "-i", "--rm", "--quiet", "--", "sh", "-c", "echo from inside", timeout=40)
    assert "from inside" in one_off, one_off
    k("delete", "pod", "web", "--now", "--timeout=20s")
    wait = cluster.run("wait", "--for=delete", "pod/web", "--timeout=5s")
    assert wait.returncode == 0
    assert cluster.run("auth", "can-i", "create", "pods").stdout == "yes\n"
    assert "system:masters" in k("auth", "whoami")
    k("delete", "namespace", "day", "--timeout=30s")

    client.needs("deployments.apps", "services", "roles.rbac.authorization.k8s.io")
    k("config", "set-context", "--current", "--namespace=default")
    k("create", "deployment", "web", "--image", IMAGE, "--replicas=2", "--", "sleep", "1000")
    k("expose", "deployment", "web", "--port=80")
    k("create", "role", "reader", "--verb=get,list", "--resource=pods")
    k("create", "rolebinding", "read", "--role=reader", "--serviceaccount=default:default")
    assert cluster.run("auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:default").stdout == "yes\n"
    token = k("create", "token", "default").strip()
    assert token.count(".") == 2
    k("apply", "--server-side", "-f", "-", input=manifest)
    conflict = cluster.run("apply", "--server-side", "--field-manager=other", "-f", "-", input=manifest.replace("a: '1'", "a: '9'"), check=False)
    assert "Apply failed with 1 conflict: conflict with \"kubectl\"" in conflict.stderr, conflict.stderr
    k("scale", "deployment", "web", "--replicas=3")
    assert cluster.get("deployment", "web")["spec"]["replicas"] == 3
    k("set", "image", "deployment/web", f"busybox={IMAGE}", "--all")
