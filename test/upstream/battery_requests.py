"""The same battery of requests for every kind: what is strict or lenient, what is not, patches of each form, selectors, dry runs, for compare.py."""
import copy

from kind_requests import FIXTURES, NS, TABLE
from patch_types import APPLY, MERGE, OPERATIONS, STRATEGIC

PROTOBUF = {"Accept": "application/vnd.kubernetes.protobuf"}
META = "as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL = {"Accept": "application/json;" + META}
SECOND_LIFE = {"events", "customresourcedefinitions", "apiservices", "flowschemas", "certificatesigningrequests", "resourcequotas", "poddisruptionbudgets"}  # with groups of their own
NAMES = {"ipaddresses": "10.200.0.77"}
CORE = f"/api/v1/namespaces/{NS}"
OTHERS = [(CORE + "/configmaps", {"metadata": {}, "data": {"a": "b"}}), (CORE + "/secrets", {"metadata": {}, "data": {"a": "Yg=="}}), (CORE + "/serviceaccounts", {"metadata": {}}),
          (CORE + "/pods", {"metadata": {}, "spec": {"schedulerName": "nobody", "serviceAccountName": "default", "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}}),
          (f"/apis/coordination.k8s.io/v1/namespaces/{NS}/leases", {"metadata": {}, "spec": {"holderIdentity": "me"}})]
# Words of a kind that stand in its plural, as they are written.
WORDS = ["Cluster", "Role", "Binding", "Controller", "Revision", "Cron", "Job", "CSI", "Driver", "Node", "Storage", "Capacity", "Daemon", "Set", "Deployment", "Device", "Class", "Endpoint", "Slice",
         "Horizontal", "Pod", "Autoscaler", "Ingress", "IP", "Address", "Limit", "Range", "Mutating", "Admission", "Policy", "Webhook", "Configuration", "Network", "Persistent", "Volume", "Claim",
         "Disruption", "Budget", "Template", "Priority", "Level", "Replica", "Replication", "Resource", "Quota", "Runtime", "Service", "CIDR", "Stateful", "Validating", "Attachment", "Attributes",
         "Config", "Map", "Secret", "Account", "Lease"]


def kind_of(plural):
    """networkpolicies: NetworkPolicy."""
    if plural == "endpoints":
        return "Endpoints"
    name = plural[:-3] + "y" if plural.endswith("ies") else plural[:-2] if plural.endswith("sses") else plural[:-1]
    out = ""
    while name:
        word = max((word for word in WORDS if name.startswith(word.lower())), key=len)
        out, name = out + word, name[len(word):]
    return out


def kinds():
    """(collection, object, group and version) of each kind, once."""
    seen = set()
    for collection, body in FIXTURES + OTHERS:
        plural = collection.rsplit("/", 1)[1]
        if collection in seen or plural in SECOND_LIFE:
            continue
        seen.add(collection)
        body = copy.deepcopy(body)
        body["metadata"]["name"] = NAMES.get(plural, "battery")
        yield collection.replace(f"/namespaces/{NS}/", "/namespaces/battery/"), body


def creations(collection, body):
    unknown = {**body, "unknown": 1, "metadata": {**body["metadata"], "strange": "x"}}
    for mode in ("Strict", "Warn", "Ignore", "x"):
        yield "POST", f"{collection}?dryRun=All&fieldValidation={mode}", unknown, {}
    for wrong in ({"metadata": 5}, {"metadata": {**body["metadata"], "labels": 5}}, {"metadata": {**body["metadata"], "labels": {"a": 5}}}, {"kind": 5}, {"apiVersion": "v0"}, {"kind": "Nothing"},
                  *({key: wrong} for key in ("spec", "data", "webhooks", "rules", "template") if key in body for wrong in ("x", [1]))):
        yield "POST", collection + "?dryRun=All", {**body, **wrong}, {}
    for meta in ({"name": "A_b"}, {"name": ""}, {"name": "x" * 300}, {"namespace": "other"}, {"labels": {"a b": "c"}, "annotations": {"A/B/C": "d"}}, {"finalizers": ["x"]}, {"generateName": "A_", "name": ""},
                 {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}, {"resourceVersion": "5"}, {"uid": "aaaaaaaa-2222-3333-4444-555555555555"}):
        yield "POST", collection + "?dryRun=All", {**body, "metadata": {**body["metadata"], **meta}}, {}
    yield "POST", collection + "?dryRun=x", body, {}
    yield "POST", collection + "?fieldManager=" + "m" * 130, body, {}
    yield "POST", collection, body, {}
    yield "POST", collection, body, PROTOBUF


def readings(collection, path, name):
    for headers in ({}, TABLE, PARTIAL, PROTOBUF, {"Accept": "application/vnd.kubernetes.protobuf;" + META}, {"Accept": "application/yaml"}):
        yield "GET", path, None, headers
    one = "fieldSelector=metadata.name=" + name
    for query in (one, one + "&limit=1", one + "&resourceVersion=0"):
        yield "GET", f"{collection}?{query}", None, {}
    for headers in (TABLE, {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}, PROTOBUF):
        yield "GET", f"{collection}?{one}", None, headers
    for query in ("fieldSelector=foo=bar", "fieldSelector=spec.nodeName=n", "fieldSelector=a", "labelSelector=a%20in%20(", "labelSelector=a=b=c", "limit=x", "continue=x", "resourceVersion=x",
                  "fieldSelector=metadata.namespace=none", "labelSelector=battery=none"):
        yield "GET", f"{collection}?{query}", None, {}
    yield "GET", f"{collection}/none", None, {}
    yield "GET", path + "/status", None, {}
    yield "GET", path + "/none", None, {}


def changes(path, body, kind):
    labels = {"metadata": {"labels": {"battery": "1"}}}
    changed = {**body, "metadata": {**body["metadata"], "labels": {"battery": "put"}}}
    yield "PUT", path + "?dryRun=All", changed, {}
    for meta in ({"resourceVersion": "1"}, {"resourceVersion": "x"}, {"name": "other"}, {"namespace": "other"}, {"uid": "z"}, {"finalizers": ["a b"]}, {"labels": {"a b": "c"}}):
        if "/jobs/" not in path or not {"finalizers", "labels"} & set(meta):  # whose two checks stand among those of the spec
            yield "PUT", path, {**changed, "metadata": {**changed["metadata"], **meta}}, {}
    yield "PUT", path + "?fieldValidation=Strict", {**changed, "unknown": 1}, {}
    yield "PUT", path.rsplit("/", 1)[0] + "/none", {**changed, "metadata": {**changed["metadata"], "name": "none"}}, {}
    for query in ("?dryRun=All", ""):
        yield "PATCH", path + query, labels, MERGE
        yield "PATCH", path + query, {"metadata": {"labels": {"battery": "2"}, "annotations": {"a": "b"}}}, STRATEGIC
        yield "PATCH", path + query, [{"op": "add", "path": "/metadata/labels/third", "value": "3"}], OPERATIONS
    applied = {**kind, "metadata": {"name": body["metadata"]["name"], "labels": {"battery": "applied"}}}
    for query in ("fieldManager=a", "fieldManager=a&force=true", "fieldManager=b", "fieldManager=b&force=true&dryRun=All", "force=true", "fieldManager=a&force=true&fieldValidation=Strict"):
        yield "PATCH", f"{path}?{query}", {**applied, **({"unknown": 1} if "Strict" in query else {})}, APPLY
    for patch, headers in (({"metadata": {"labels": 5}}, MERGE), ({"metadata": {"labels": {"a": 5}}}, MERGE), ({"metadata": {"name": "other"}}, MERGE), ({"kind": "Other"}, MERGE), ({"unknown": 1}, MERGE),
                           ([{"op": "remove", "path": "/none"}], OPERATIONS), ({}, MERGE), ({"metadata": {"labels": 5}}, STRATEGIC), ({"spec": None}, MERGE), ({"spec": "x"}, MERGE)):
        yield "PATCH", path + "?dryRun=All", patch, headers
    yield "PATCH", path + "?dryRun=All&fieldValidation=Strict", {"unknown": 1}, MERGE
    yield "PATCH", path + "/status?dryRun=All", {"metadata": {"labels": {"by": "status"}}, "spec": {"unknown": 1}}, MERGE
    yield "PATCH", path + "/status?dryRun=All", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, STRATEGIC
    yield "PATCH", path + "/status?fieldManager=s&dryRun=All", {**applied, "status": {}}, APPLY
    yield "PUT", path + "/status?dryRun=All", changed, {}
    yield "GET", path, None, {}


def deletions(collection, path):
    yield "DELETE", path, {"preconditions": {"uid": "x"}}, {}
    yield "DELETE", path, {"preconditions": {"resourceVersion": "1"}}, {}
    yield "DELETE", path + "?propagationPolicy=x", None, {}
    yield "DELETE", path + "?dryRun=All", None, {}
    yield "DELETE", collection + "?dryRun=All&labelSelector=battery", None, {}
    yield "DELETE", collection + "?labelSelector=battery=none", None, {}
    yield "DELETE", path, {"propagationPolicy": "Background"}, {}
    if "persistentvolume" not in path and "volumeattributesclasses" not in path:  # those are held until a controller lets them go
        yield "DELETE", path, None, {}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "battery"}}, {}
    for collection, body in kinds():
        name = body["metadata"]["name"]
        path = f"{collection}/{name}"
        version = collection.split("/namespaces/")[0] if "/namespaces/" in collection else collection.rsplit("/", 1)[0]
        kind = {"apiVersion": version.split("/", 2)[2], "kind": kind_of(collection.rsplit("/", 1)[1])}
        yield from creations(collection, body)
        yield from readings(collection, path, name)
        yield from changes(path, body, kind)
        yield from deletions(collection, path)
