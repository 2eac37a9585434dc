"""Forms of answers: protobuf, YAML, pretty, metadata only; errors in each; watches. Requests for compare.py."""

PROTOBUF = {"Accept": "application/vnd.kubernetes.protobuf"}
EITHER = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}
YAML = {"Accept": "application/yaml"}
META = ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METAS = ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
TABLE = ";as=Table;v=v1;g=meta.k8s.io"
NS = "/api/v1/namespaces/forms"


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "forms"}}, PROTOBUF
    yield "POST", NS + "/configmaps", {"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"a": "1"}, "binaryData": {"b": "AAH/"}}, PROTOBUF
    pod = {"metadata": {"name": "p"}, "spec": {
        "schedulerName": "nobody", "serviceAccountName": "default", "automountServiceAccountToken": False, "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                        "livenessProbe": {"httpGet": {"path": "/", "port": "x"}}, "ports": [{"name": "x", "containerPort": 80}],
                        "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}}
    yield "POST", NS + "/pods", pod, PROTOBUF
    for path in [NS + "/configmaps/a", NS + "/configmaps?labelSelector=x=y", NS + "/pods", NS + "/pods/p", NS + "/configmaps/none", NS + "/nothing",
                 NS + "/configmaps?resourceVersion=x", NS + "/configmaps?limit=1&fieldSelector=metadata.name=a", "/apis", "/api/v1/none/x"]:
        for headers in (PROTOBUF, EITHER, YAML):
            yield "GET", path, None, headers
    yield "GET", "/apis/apps", None, PROTOBUF
    for form in ("application/vnd.kubernetes.protobuf", "application/yaml", "application/json"):
        yield "GET", NS + "/configmaps/a", None, {"Accept": form + META}
        yield "GET", NS + "/configmaps?labelSelector=x=y", None, {"Accept": form + METAS}
        yield "GET", NS + "/configmaps/a", None, {"Accept": form + TABLE}
        yield "GET", NS + "/pods", None, {"Accept": form + TABLE + "," + form}
        for include in ("Object", "None", "All"):
            yield "GET", NS + "/configmaps?labelSelector=x=y&includeObject=" + include, None, {"Accept": form + TABLE}
    for accept in ("text/html", "application/xml, */*;q=0.1", "application/json;as=Nothing;v=v1;g=meta.k8s.io", "application/cbor"):
        yield "GET", NS + "/configmaps/a", None, {"Accept": accept}
    for query in ("pretty=true", "pretty=1", "pretty=false"):
        yield "GET", NS + "/configmaps/a?" + query, None, {}
        yield "GET", NS + "/configmaps/none?" + query, None, {}
    yield "GET", NS + "/configmaps/a", None, {"User-Agent": "curl/8"}
    yield "POST", NS + "/configmaps", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yy}\ndata: {a: b}\n", {"Content-Type": "application/yaml", **YAML}
    yield "POST", NS + "/configmaps", "metadata: {name: [}", {"Content-Type": "application/yaml"}
    yield "POST", NS + "/configmaps", "x", {"Content-Type": "application/vnd.kubernetes.protobuf", **PROTOBUF}
    yield "POST", NS + "/configmaps", "{}", {"Content-Type": "text/plain"}
    yield "POST", NS + "/configmaps", "{}", {"Content-Type": "application/cbor"}
    yield "PUT", NS + "/configmaps/a", "{}", {"Content-Type": "text/plain"}
    yield "DELETE", NS + "/configmaps/a", "{}", {"Content-Type": "text/plain"}
    for watch in ("watch=1&timeoutSeconds=1", "watch=1&timeoutSeconds=1&resourceVersion=x",
                  "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                  "watch=1&timeoutSeconds=1&sendInitialEvents=true", "watch=1&timeoutSeconds=1&resourceVersionMatch=Exact",
                  "watch=1&timeoutSeconds=x", "watch=1&timeoutSeconds=1&continue=x", "watch=1&timeoutSeconds=1&limit=1",
                  "watch=1&timeoutSeconds=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0"):
        for headers in ({}, PROTOBUF):
            yield "GET", NS + "/configmaps?labelSelector=x=y&" + watch, None, headers
    yield "GET", NS + "/configmaps?labelSelector=x=y&watch=1&timeoutSeconds=1", None, {"Accept": "application/json" + META}
    yield "GET", NS + "/configmaps?labelSelector=x=y&watch=1&timeoutSeconds=1", None, {"Accept": "application/vnd.kubernetes.protobuf" + META}
    yield "GET", NS + "/configmaps?labelSelector=x=y&watch=1&timeoutSeconds=1", None, {"Accept": "application/json" + TABLE}
    yield "GET", NS + "/configmaps?labelSelector=x=y&watch=1&timeoutSeconds=1", None, YAML
    for query in ("resourceVersion=0&resourceVersionMatch=Exact", "resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=Exact",
                  "resourceVersion=1&resourceVersionMatch=x", "resourceVersion=99999999", "resourceVersion=99999999&resourceVersionMatch=NotOlderThan",
                  "continue=x", "continue=eyJ2IjoiIn0", "limit=x", "sendInitialEvents=true", "timeoutSeconds=x", "resourceVersion=-1",
                  "continue=x&resourceVersion=1", "fieldSelector=a", "fieldSelector=a=b", "labelSelector=a%20b%3D", "labelSelector=a=b=c",
                  "limit=1&resourceVersion=1"):
        yield "GET", NS + "/configmaps?labelSelector=x&".replace("labelSelector=x&", "" if "Selector" in query else "labelSelector=x&") + query, None, {}
    for query in ("labelSelector=x&limit=1", "fieldSelector=metadata.name=yy", "labelSelector=x=y", "gracePeriodSeconds=x", "propagationPolicy=x"):
        yield "DELETE", NS + "/configmaps?" + query + "&dryRun=All", None, {}
    for body in ({"preconditions": {"uid": "x"}}, {"preconditions": {"resourceVersion": "1"}}, {"propagationPolicy": "x"}, {"gracePeriodSeconds": "x"},
                 {"orphanDependents": True, "propagationPolicy": "Orphan"}, {"dryRun": ["x"]}, {"foo": 1}, {"kind": "Pod", "apiVersion": "v1"},
                 {"apiVersion": "v2", "kind": "DeleteOptions"}, {"dryRun": ["All"]}):
        yield "DELETE", NS + "/configmaps/yy", body, {}
    yield "DELETE", NS + "/configmaps?labelSelector=x=y", None, PROTOBUF
    yield "DELETE", NS + "/pods/p", {"gracePeriodSeconds": 0}, PROTOBUF
