"""Patches of each form at their edges, preconditions, generated names, what managers are said to be, for compare.py."""
from patch_types import APPLY, MERGE, OPERATIONS, STRATEGIC

NS = "/api/v1/namespaces/patches"
DEPLOYMENT = "/apis/apps/v1/namespaces/patches/deployments/web"
LABELS = {"app": "web"}


def operations():
    path = NS + "/configmaps/a?dryRun=All"
    yield "POST", NS + "/configmaps", {"metadata": {"name": "a", "labels": {"a": "1"}, "annotations": {"x/y": "z"}, "finalizers": ["a/b", "c/d"]}, "data": {"one": "1", "two": "2"}}, {}
    for one in [[{"op": "test", "path": "/data/one", "value": "1"}], [{"op": "test", "path": "/data/one", "value": 1}], [{"op": "test", "path": "/data/none", "value": None}], [{"op": "test", "path": "/data/none", "value": "x"}], [{"op": "test", "path": "/metadata/finalizers/0", "value": "x"}],
                [{"op": "test", "path": "/data"}], [{"op": "add", "path": "/metadata/finalizers/-", "value": "e/f"}], [{"op": "add", "path": "/metadata/finalizers/0", "value": "e/f"}], [{"op": "add", "path": "/metadata/finalizers/2", "value": "e/f"}],
                [{"op": "add", "path": "/metadata/finalizers/3", "value": "e/f"}], [{"op": "add", "path": "/metadata/finalizers/-1", "value": "e/f"}], [{"op": "add", "path": "/metadata/finalizers/-3", "value": "e/f"}], [{"op": "add", "path": "/metadata/finalizers/01", "value": "e/f"}],
                [{"op": "add", "path": "/metadata/finalizers/x", "value": "e/f"}], [{"op": "remove", "path": "/metadata/finalizers/5"}], [{"op": "remove", "path": "/metadata/finalizers/-1"}], [{"op": "remove", "path": "/metadata/finalizers/-"}], [{"op": "replace", "path": "/metadata/finalizers/-", "value": "a"}],
                [{"op": "replace", "path": "/metadata/finalizers/9", "value": "a"}], [{"op": "replace", "path": "/data/none", "value": "a"}], [{"op": "replace", "path": "/metadata/annotations/x~1y", "value": "q"}], [{"op": "remove", "path": "/metadata/annotations/x~1y"}], [{"op": "remove", "path": "/metadata/annotations/x/y"}],
                [{"op": "add", "path": "/metadata/annotations/t~0u", "value": "q"}], [{"op": "add", "path": "/metadata/annotations/t~2u", "value": "q"}], [{"op": "add", "path": "/none/deep", "value": "q"}], [{"op": "add", "path": "none", "value": "q"}], [{"op": "add", "path": "", "value": {"a": 1}}], [{"op": "add", "path": "/", "value": 1}],
                [{"op": "add", "path": "/data/three"}], [{"op": "add", "value": "x"}], [{"path": "/data/one", "value": "x"}], [{}], [{"op": 5, "path": "/data/one"}], [{"op": "add", "path": 5, "value": "x"}], [{"op": "ADD", "path": "/data/x", "value": "y"}], [{"op": "move", "from": "/data/one", "path": "/data/uno"}],
                [{"op": "move", "from": "/data/none", "path": "/data/uno"}], [{"op": "move", "path": "/data/uno"}], [{"op": "move", "from": "/data", "path": "/data/x"}], [{"op": "copy", "from": "/data/one", "path": "/data/uno"}], [{"op": "copy", "from": "/none", "path": "/data/uno"}], [{"op": "copy", "path": "/data/uno"}],
                [{"op": "copy", "from": "/metadata/finalizers/0", "path": "/metadata/finalizers/-"}], [{"op": "remove", "path": "/data"}, {"op": "add", "path": "/data", "value": None}], [{"op": "add", "path": "/data/one", "value": None}], [{"op": "add", "path": "/data/one", "value": {"a": 1}}], [{"op": "remove", "path": ""}],
                [{"op": "remove", "path": "/metadata/name"}], [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], [{"op": "replace", "path": "/metadata/uid", "value": "x"}], [{"op": "replace", "path": "/kind", "value": "Secret"}], [{"op": "remove", "path": "/kind"}], [{"op": "replace", "path": "/apiVersion", "value": "v2"}],
                [{"op": "add", "path": "/metadata/deletionTimestamp", "value": "2024-01-01T00:00:00Z"}], [{"op": "add", "path": "/metadata/generateName", "value": "x"}], [{"op": "remove", "path": "/metadata/creationTimestamp"}], [{"op": "add", "path": "/unknown", "value": 1}], [{"op": "add", "path": "/data/x", "value": "y", "more": 1}],
                {}, {"op": "add"}, "x", None, [None], [[]], [], "[{", '[{"op":"add","path":"/data/a","value":"1"}']:
        yield "PATCH", path, one, OPERATIONS
        if isinstance(one, list) and len(one) == 1:
            yield "PATCH", path.replace("dryRun=All", "dryRun=All&fieldValidation=Strict"), one, OPERATIONS
    yield "PATCH", path, [{"op": "add", "path": f"/data/k{i}", "value": "v"} for i in range(10001)], OPERATIONS
    for patch in [{"data": {"one": None}}, {"data": None}, {"data": {"new": None}}, {"metadata": {"labels": None}}, {"metadata": None}, {"metadata": {"finalizers": None}}, {"metadata": {"finalizers": ["c/d"]}}, {"metadata": {"uid": None}}, {"metadata": {"uid": "x"}}, {"metadata": {"resourceVersion": None}},
                  {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}}, {"metadata": {"generation": 7}}, {"metadata": {"selfLink": "x"}}, {"metadata": {"deletionGracePeriodSeconds": 5}}, {"metadata": {"namespace": None}}, {"metadata": {"name": None}}, {"metadata": {"name": ""}}, {"kind": None}, {"apiVersion": None},
                  {"metadata": {"managedFields": []}}, {"metadata": {"managedFields": [{}]}}, {"metadata": {"managedFields": None}}, {"metadata": {"managedFields": [{"manager": "x"}]}}, {"metadata": {"managedFields": [{"manager": "x", "operation": "Bad"}]}},
                  {"metadata": {"managedFields": [{"manager": "x", "operation": "Update", "fieldsType": "FieldsV2"}]}}, {"metadata": {"managedFields": [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"bad": {}}}}]}},
                  {"metadata": {"managedFields": [{"manager": "m" * 130, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]}}, {"metadata": {"managedFields": [{"manager": "x", "operation": "Apply", "apiVersion": "v9", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}]}},
                  {"metadata": {"managedFields": [{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:one": {}}}, "subresource": "status"}]}}, {"immutable": "x"}, [], [1], "x", None, '{"a"', "{} {}"]:
        yield "PATCH", path, patch, MERGE
        yield "PATCH", path, patch, STRATEGIC


def strategic():
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "ports": [{"containerPort": 80}, {"containerPort": 81}]}, {"name": "d", "image": "j"}],
                                                          "volumes": [{"name": "v", "emptyDir": {}}], "tolerations": [{"key": "a"}]}}
    yield "POST", DEPLOYMENT.rsplit("/", 1)[0], {"metadata": {"name": "web", "finalizers": ["a/b", "c/d"]}, "spec": {"selector": {"matchLabels": LABELS}, "strategy": {"type": "RollingUpdate"}, "template": template}}, {}
    for spec in [{"containers": [{"name": "c", "$patch": "delete"}]}, {"containers": [{"name": "c", "$patch": "replace", "image": "k"}]}, {"containers": [{"$patch": "replace"}, {"name": "x", "image": "y"}]}, {"containers": [{"$patch": "replace"}]}, {"containers": [{"$patch": "delete"}]},
                 {"containers": [{"name": "none", "$patch": "delete"}]}, {"containers": [{"name": "c", "$patch": "nonsense"}]}, {"containers": [{"image": "no key"}]}, {"containers": [{"name": "e", "image": "k"}]}, {"containers": [{"name": "c", "image": None}]}, {"containers": None}, {"containers": "x"}, {"containers": ["x"]},
                 {"$patch": "replace", "containers": [{"name": "z", "image": "z"}]}, {"$patch": "delete"}, {"$patch": "bad"}, {"$retainKeys": ["containers"], "containers": []}, {"$setElementOrder/containers": [{"name": "d"}, {"name": "c"}]}, {"$setElementOrder/containers": [{"name": "d"}], "containers": [{"name": "c", "image": "q"}]},
                 {"$setElementOrder/containers": [{"name": "d"}, {"name": "none"}], "containers": [{"name": "d", "image": "q"}]}, {"$setElementOrder/containers": "x"}, {"$setElementOrder/containers": [1]}, {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]},
                 {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}, {"volumes": [{"name": "v", "$retainKeys": "x"}]}, {"volumes": [{"name": "v", "$retainKeys": ["name"], "hostPath": {"path": "/x"}}]}, {"tolerations": [{"key": "b"}]}, {"$unknown": 1},
                 {"containers": [{"name": "c", "env": [{"name": "A", "$patch": "delete"}], "ports": [{"containerPort": 81, "$patch": "delete"}, {"containerPort": 82}]}]}, {"containers": [{"name": "c", "$setElementOrder/env": [{"name": "B"}, {"name": "A"}], "env": [{"name": "B", "value": "3"}]}]},
                 {"containers": [{"name": "c", "ports": [{"containerPort": "x"}]}]}, {"containers": [{"name": "c", "env": [{"value": "no name"}]}]}]:
        yield "PATCH", DEPLOYMENT + "?dryRun=All", {"spec": {"template": {"spec": spec}}}, STRATEGIC
    for patch in [{"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}}, {"metadata": {"finalizers": ["e/f"]}}, {"metadata": {"$setElementOrder/finalizers": ["c/d", "a/b"]}}, {"metadata": {"$setElementOrder/finalizers": ["c/d"], "finalizers": ["x/y"]}},
                  {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, {"spec": {"strategy": {"type": "Recreate"}}}, {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}, {"$patch": "delete"}, {"$patch": "replace"}, {"spec": {"selector": {"matchLabels": None}}}]:
        yield "PATCH", DEPLOYMENT + "?dryRun=All", patch, STRATEGIC


def applied():
    path = NS + "/configmaps/managed"

    def body(**data):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "managed"}, "data": data}

    yield "PATCH", path + "?fieldManager=one", body(a="1", b="1"), APPLY
    yield "PATCH", path + "?fieldManager=two", body(c="2", b="1"), APPLY
    yield "PATCH", path + "?fieldManager=three", {"data": {"d": "3"}}, MERGE
    for manager in ("one", "two", "three", "four"):
        yield "PATCH", f"{path}?fieldManager={manager}&dryRun=All", body(a="9", b="9", c="9", d="9"), APPLY
        yield "PATCH", f"{path}?fieldManager={manager}&dryRun=All&force=true", body(a="9", d="9"), APPLY
        yield "PATCH", f"{path}?fieldManager={manager}&dryRun=All&force=false", {**body(), "metadata": {"name": "managed", "labels": {"x": "y"}}}, APPLY
    for wrong in ({**body(), "metadata": {"name": "other"}}, {**body(), "metadata": {}}, {**body(), "metadata": {"name": "managed", "namespace": "other"}}, {**body(), "kind": "Secret"}, {**body(), "apiVersion": "v2"}, {"metadata": {"name": "managed"}}, {**body(), "metadata": {"name": "managed", "managedFields": [{}]}},
                  {**body(), "metadata": {"name": "managed", "resourceVersion": "1"}}, {**body(), "metadata": {"name": "managed", "uid": "x"}}, {**body(), "data": {"a": 1}}, {**body(), "data": []}, {**body(), "nope": 1}, "", "a: b: c", "[]", "---\n{}", {**body(), "metadata": {"name": "managed", "ownerReferences": [{"uid": "a"}]}}):
        yield "PATCH", path + "?fieldManager=one&dryRun=All", wrong, APPLY
    for query in ("", "fieldManager=", "fieldManager=a&force=x", "fieldManager=a&force=true&dryRun=x", "fieldManager=" + "x" * 129, "fieldManager=a%01b"):
        yield "PATCH", f"{path}?{query}", body(a="1"), APPLY
    yield "GET", path, None, {}


def conditions():
    path = NS + "/configmaps"
    for name in ("", "-", "a.", "X", "a" * 64, "a" * 254):
        yield "POST", path + "?dryRun=All", {"metadata": {"generateName": name}}, {}
    for body in ({"metadata": {"name": "a", "resourceVersion": "0"}}, {"metadata": {"name": "a", "resourceVersion": "x"}}, {"metadata": {"name": "a", "uid": "x"}}, {"metadata": {"name": "a", "resourceVersion": "99999999"}}, {"metadata": {"name": "a", "generateName": "b"}}, {"metadata": {"name": "a", "deletionTimestamp": "2020-01-01T00:00:00Z"}},
                 {"metadata": {"name": "a", "creationTimestamp": None, "finalizers": []}}, {"metadata": {"name": "a", "finalizers": ["a/b", "c/d", "kubernetes"]}}, {"metadata": {"name": "a", "finalizers": ["orphan", "foregroundDeletion", "a/b"]}}):
        yield "PUT", path + "/a?dryRun=All", body, {}
    for body in ({"preconditions": {"uid": ""}}, {"preconditions": {"resourceVersion": ""}}, {"preconditions": {"uid": "x", "resourceVersion": "1"}}, {"preconditions": {}}, {"propagationPolicy": "Foreground", "orphanDependents": False}, {"orphanDependents": True}, {"orphanDependents": "x"}, {"propagationPolicy": ""},
                 {"gracePeriodSeconds": -1}, {"gracePeriodSeconds": 1.5}, {"dryRun": []}, {"dryRun": ["All", "All"]}, {"dryRun": ["all"]}, {"ignoreStoreReadErrorWithClusterBreakingPotential": True}, {"kind": "DeleteOptions", "apiVersion": "v1", "unknown": 1}, {"kind": "DeleteOptions", "apiVersion": "apps/v1"}, "x", "[]"):
        yield "DELETE", path + "/a?dryRun=All", body, {}
        yield "DELETE", path + "?dryRun=All&labelSelector=none=none", body, {}
    for query in ("gracePeriodSeconds=-1", "gracePeriodSeconds=x", "orphanDependents=true&propagationPolicy=Orphan", "orphanDependents=x", "propagationPolicy=foreground", "dryRun=", "dryRun=All&dryRun=x", "unknown=1", "ignoreStoreReadErrorWithClusterBreakingPotential=true"):
        yield "DELETE", f"{path}/none?{query}", None, {}
        yield "DELETE", f"{path}?{query}&labelSelector=none=none", None, {}
    for wrong in ({"finalizers": ["x"]}, {"finalizers": ["kubernetes", "A_b/c d"]}, {"finalizers": []}):
        yield "PUT", NS + "/finalize?dryRun=All", {"metadata": {"name": "patches"}, "spec": wrong}, {}
        yield "PUT", NS + "?dryRun=All", {"metadata": {"name": "patches"}, "spec": wrong}, {}
    yield "PUT", NS + "/finalize?dryRun=All", {"metadata": {"name": "other"}}, {}
    yield "PUT", NS + "/status?dryRun=All", {"metadata": {"name": "patches"}, "status": {"phase": "x"}}, {}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "patches"}}, {}
    for group in (operations, strategic, applied, conditions):
        yield from group()
