"""Subresources that change a part of an object: scale, pods/ephemeralcontainers, pods/resize, finalize, approval. Requests for
compare.py."""
from patch_types import APPLY, MERGE, STRATEGIC

NS = "/api/v1/namespaces/parts"
DEPLOYMENTS = "/apis/apps/v1/namespaces/parts/deployments"


def scales():
    labels = {"app": "web"}
    web = {"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
        "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "web", "namespace": "parts"}}
    path = DEPLOYMENTS + "/web/scale"
    yield "PATCH", DEPLOYMENTS + "/web?fieldManager=owner", {"kind": "Deployment", "apiVersion": "apps/v1", **web}, APPLY
    yield "GET", path, None, {}
    yield "PATCH", path + "?fieldManager=patcher", {"spec": {"replicas": 3}}, MERGE
    yield "GET", DEPLOYMENTS + "/web", None, {}
    yield "PUT", path + "?fieldManager=putter", {**scale, "spec": {"replicas": 4}}, {}
    yield "GET", DEPLOYMENTS + "/web", None, {}
    yield "PATCH", path + "?fieldManager=applier", {**scale, "spec": {"replicas": 5}}, APPLY
    yield "PATCH", path + "?fieldManager=applier&force=true", {**scale, "spec": {"replicas": 5}}, APPLY
    yield "GET", DEPLOYMENTS + "/web", None, {}
    yield "PATCH", path + "?fieldManager=applier", {**scale, "spec": {"replicas": -1}}, APPLY
    yield "PATCH", path, {"spec": {"replicas": "x"}}, MERGE
    yield "PUT", path, {**scale, "metadata": {"name": "other"}, "spec": {"replicas": 1}}, {}
    yield "PUT", path, {**scale, "metadata": {"name": "web", "resourceVersion": "1"}, "spec": {"replicas": 1}}, {}
    yield "GET", DEPLOYMENTS + "/none/scale", None, {}
    yield "DELETE", path, None, {}


def pods():
    path = NS + "/pods/p"
    pod = {"metadata": {"name": "p"}, "spec": {"schedulerName": "nobody", "serviceAccountName": "default", "automountServiceAccountToken": False,
                                                "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}
    yield "POST", NS + "/pods", pod, {}
    debug = {"name": "debug", "image": "busybox", "targetContainerName": "c", "stdin": True}
    for containers in ([debug], [{"name": "c", "image": "i"}], [{**debug, "name": "d2", "targetContainerName": "none"}],
                       [{**debug, "name": "d3", "ports": [{"containerPort": 1}]}], [{"name": "d4", "image": "i", "resources": {"limits": {"cpu": "1"}}}]):
        yield "PATCH", path + "/ephemeralcontainers", {"spec": {"ephemeralContainers": containers}, "metadata": {"labels": {"no": "1"}}}, STRATEGIC
    yield "PATCH", path + "/ephemeralcontainers", {"spec": {"ephemeralContainers": []}}, MERGE
    yield "GET", path + "/ephemeralcontainers", None, {}
    yield "PATCH", path, {"spec": {"ephemeralContainers": [{**debug, "name": "no"}]}}, STRATEGIC
    for resources in ({"requests": {"cpu": "200m", "memory": "64Mi"}}, {"requests": {"cpu": "200m"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
                      {"requests": {"cpu": None}}, {"requests": {"ephemeral-storage": "1Gi"}}):
        yield "PATCH", path + "/resize", {"spec": {"containers": [{"name": "c", "image": "other", "resources": resources}]}}, STRATEGIC
    yield "PATCH", path + "/resize", {"spec": {"containers": [{"name": "d", "image": "i"}]}}, MERGE
    yield "GET", path, None, {}
    yield "DELETE", path, {"gracePeriodSeconds": 0}, {}


def proxies():
    for path in ("/pods/none/proxy/", "/pods/a:b:c:d/proxy/", "/pods/ftp:x:1/proxy/", "/services/none/proxy/", "/services/a:b:c:d/proxy/", "/pods/q/proxy/",
                 "/services/s/proxy/", "/services/s:81/proxy/", "/services/s:80/proxy/x", "/services/http:s:a/proxy/"):
        if path == "/pods/q/proxy/":
            yield "POST", NS + "/pods", {"metadata": {"name": "q"}, "spec": {"schedulerName": "nobody", "serviceAccountName": "default",
                                         "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}}, {}
            yield "POST", NS + "/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "a"}], "clusterIP": "None"}}, {}
        yield "GET", NS + path, None, {}
    yield "GET", "/api/v1/nodes/none/proxy/", None, {}


def owners():
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "aaaaaaaa-2222-3333-4444-555555555555"}
    twice = {"metadata": {"name": "o", "ownerReferences": [owner, owner]}}
    yield "POST", NS + "/configmaps?dryRun=All", twice, {}
    yield "POST", NS + "/configmaps", {"metadata": {"name": "o"}}, {}
    yield "PUT", NS + "/configmaps/o?dryRun=All", twice, {}
    yield "PATCH", NS + "/configmaps/o?dryRun=All", twice, MERGE


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "parts"}}, {}
    for group in (scales, pods, proxies, owners):
        yield from group()
    yield "PUT", NS + "/finalize", {"metadata": {"name": "parts"}, "spec": {"finalizers": ["kubernetes", "a/b"]}}, {}
    yield "GET", NS, None, {}
    yield "PUT", NS + "/finalize", {"metadata": {"name": "parts"}, "spec": {"finalizers": ["kubernetes"]}}, {}
