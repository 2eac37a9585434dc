"""Who owns lists and maps that are empty or null, for compare.py: created, changed and applied by several, of built-in kinds and of a custom one."""
import copy
from patch_types import APPLY, MERGE, OPERATIONS

NS = "/api/v1/namespaces/empties"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/empties/roles"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/empties/endpointslices"
SETS = "/apis/empties.example.com/v1/namespaces/empties/sets"
NOTHING = ([], {}, None)


def by(path, manager, force=False):
    return f"{path}?fieldManager={manager}" + ("&force=true" if force else "")


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "empties"}}, {}
    yield from names()
    yield from required()
    yield from optional()
    yield from custom()


def names():
    """An object without its name."""
    maps = NS + "/configmaps"
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    yield "POST", maps, {"metadata": {"name": "a"}}, {}
    for path in (maps + "/a", maps + "/none"):
        for metadata in ({}, {"name": ""}, {"name": None}, {"uid": "x"}, {"namespace": "other"}):
            yield "PUT", path, {"metadata": metadata}, {}
            yield "PATCH", by(path, "m"), {**kind, "metadata": metadata}, APPLY
        yield "PATCH", by(path, "m"), kind, APPLY
        yield "PATCH", path, {"metadata": {"name": None}}, MERGE
        yield "PATCH", path, [{"op": "remove", "path": "/metadata/name"}], OPERATIONS
        yield "PATCH", path, [{"op": "replace", "path": "/metadata/name", "value": ""}], OPERATIONS


def required():
    """Lists that are never left out: of them null and [] are two things."""
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    for number, first in enumerate(([], None, [rule], "absent")):
        name = f"r{number}"
        role = {"metadata": {"name": name}, **({} if first == "absent" else {"rules": first})}
        yield "POST", by(ROLES, "maker"), role, {}
        for manager, rules in (("one", []), ("two", None), ("three", [rule]), ("four", []), ("five", None)):
            yield "PUT", by(f"{ROLES}/{name}", manager), {**role, "rules": rules}, {}
            yield "PATCH", by(f"{ROLES}/{name}", manager), {"rules": rules}, MERGE
            yield "PATCH", by(f"{ROLES}/{name}", "applier-" + manager), {**kind, "metadata": {"name": name}, "rules": rules}, APPLY
            yield "PATCH", by(f"{ROLES}/{name}", "applier-" + manager, True), {**kind, "metadata": {"name": name}, "rules": rules}, APPLY
            yield "PATCH", by(f"{ROLES}/{name}", "applier-" + manager), {**kind, "metadata": {"name": name}}, APPLY
    kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
    for number, (endpoints, ports) in enumerate((([], []), (None, []), ([{"addresses": ["10.1.1.1"]}], None))):
        body = {"metadata": {"name": f"s{number}"}, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}
        yield "POST", by(SLICES, "maker"), body, {}
        for more in ([], None, [{"addresses": ["10.1.1.2"], "conditions": {}}]):
            yield "PUT", by(f"{SLICES}/s{number}", "changer"), {**body, "endpoints": more}, {}
            yield "PATCH", by(f"{SLICES}/s{number}", "applier", True), {**kind, **body, "endpoints": more}, APPLY


def put(body, path, value):
    out = copy.deepcopy(body)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return out


def optional():
    """Lists, maps and structures that are left out when they are empty."""
    maps = NS + "/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["x.io/y"]}, "data": {"k": "v"}}
    yield "POST", by(maps, "maker"), body, {}
    for path in (("data",), ("binaryData",), ("metadata", "labels"), ("metadata", "annotations"), ("metadata", "finalizers"), ("metadata", "ownerReferences")):
        for value in NOTHING:
            changed = put(body, path, value)
            for method, headers in (("PUT", {}), ("PATCH", MERGE), ("PATCH", APPLY)):
                yield method, by(maps + "/c", "m" + method, True) if headers == APPLY else by(maps + "/c", "m"), changed, headers
            yield "PATCH", by(maps + "/c", "m"), body, MERGE
    yield "PATCH", by(maps + "/c", "m"), {"metadata": {"finalizers": None}}, MERGE
    pods = NS + "/pods"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "schedulerName": "nobody", "serviceAccountName": "default", "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}], "env": [{"name": "A"}]}]}}
    for path in (("spec", "volumes"), ("spec", "tolerations"), ("spec", "nodeSelector"), ("spec", "securityContext"), ("spec", "affinity"), ("spec", "initContainers"),
                 ("spec", "containers", 0, "ports"), ("spec", "containers", 0, "env"), ("spec", "containers", 0, "resources"), ("spec", "containers", 0, "securityContext"),
                 ("spec", "containers", 0, "command"), ("spec", "hostAliases"), ("spec", "imagePullSecrets"), ("spec", "schedulingGates"), ("spec", "dnsConfig")):
        for value in NOTHING:
            yield "POST", by(pods, "m") + "&dryRun=All", put(pod, path, value), {}
            yield "PATCH", by(pods + "/p", "m") + "&dryRun=All", put(pod, path, value), APPLY


def custom():
    text, number = {"type": "string"}, {"type": "integer"}
    item = {"type": "object", "required": ["name"], "properties": {"name": text, "value": text, "tags": {"type": "array", "items": text}, "more": {"type": "object", "additionalProperties": text}}}
    fields = {
        "atomic": {"type": "array", "items": text, "x-kubernetes-list-type": "atomic"},
        "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "keyed": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        "plain": {"type": "array", "items": {"type": "array", "items": number}},
        "map": {"type": "object", "additionalProperties": text},
        "maps": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": number}},
        "lists": {"type": "object", "additionalProperties": {"type": "array", "items": text, "x-kubernetes-list-type": "set"}},
        "struct": {"type": "object", "properties": {"a": text, "inner": {"type": "object", "properties": {"b": text, "list": {"type": "array", "items": text}}}}},
        "whole": {"type": "object", "properties": {"a": text}, "x-kubernetes-map-type": "atomic"},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "maybe": {"type": "array", "items": text, "nullable": True}, "perhaps": {"type": "object", "properties": {"a": text}, "nullable": True},
        "filled": {"type": "array", "items": text, "default": ["x"]},
        "given": {"type": "object", "default": {}, "properties": {"a": {"type": "string", "default": "b"}}}}
    yield "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": {"name": "sets.empties.example.com"}, "spec": {
        "group": "empties.example.com", "scope": "Namespaced", "names": {"plural": "sets", "kind": "Set"}, "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}}}]}}, {}
    yield "WAIT", "/apis/empties.example.com/v1", '"sets"', {}
    yield "WAIT", "/openapi/v3/apis/empties.example.com/v1", "perhaps", {}
    kind = {"apiVersion": "empties.example.com/v1", "kind": "Set"}
    full = {"atomic": ["a"], "set": ["a", "b"], "keyed": [{"name": "n", "tags": ["t"], "more": {"x": "y"}}, {"name": "o"}], "plain": [[1]], "map": {"k": "v"}, "maps": {"k": {"n": 1}},
            "lists": {"k": ["s"]}, "struct": {"a": "1", "inner": {"b": "2", "list": ["l"]}}, "whole": {"a": "1"}, "any": {"x": {"y": []}, "z": {}}, "maybe": ["m"], "perhaps": {"a": "p"}}
    yield "POST", by(SETS, "maker"), {**kind, "metadata": {"name": "full"}, "spec": full}, {}
    places = [(name,) for name in fields] + [("keyed", 0, "tags"), ("keyed", 0, "more"), ("maps", "k"), ("lists", "k"), ("struct", "inner"), ("struct", "inner", "list"), ("any", "x"), ("any", "w"), ("plain", 0)]
    for path in places:
        for value in NOTHING:
            alone = {"metadata": {"name": "x"}, "spec": put(full, path, value)}
            yield "POST", by(SETS, "m") + "&dryRun=All", {**kind, **alone}, {}
            yield "PATCH", by(SETS + "/x", "m") + "&dryRun=All", {**kind, **alone}, APPLY
            changed = {**kind, "metadata": {"name": "full"}, "spec": put(full, path, value)}
            yield "PATCH", by(SETS + "/full", "other") + "&dryRun=All", changed, APPLY
            yield "PATCH", by(SETS + "/full", "other", True) + "&dryRun=All", changed, APPLY
            yield "PUT", by(SETS + "/full", "other") + "&dryRun=All", {**changed, "metadata": {"name": "full", "resourceVersion": ""}}, {}
            yield "PATCH", by(SETS + "/full", "other") + "&dryRun=All", {"spec": {path[0]: changed["spec"][path[0]]}}, MERGE
    # One after the other, and back.
    for name in full:
        for step, value in enumerate((full[name], [], {}, None, full[name])):
            body = {**kind, "metadata": {"name": "steps"}, "spec": {"set": ["always"], name: value}}
            yield "PATCH", by(SETS + "/steps", f"m{step % 2}", True), body, APPLY
        yield "PATCH", by(SETS + "/steps", "m0"), {**kind, "metadata": {"name": "steps"}, "spec": {"set": ["always"]}}, APPLY
        yield "PATCH", by(SETS + "/steps", "m1"), {**kind, "metadata": {"name": "steps"}}, APPLY
    yield "DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sets.empties.example.com", None, {}
