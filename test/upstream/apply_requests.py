"""Server-side apply and managedFields: requests for compare.py. Each group works on objects of its own."""
from patch_types import APPLY, MERGE, OPERATIONS, STRATEGIC

NS = "/api/v1/namespaces/applied"
APPS = "/apis/apps/v1/namespaces/applied"


def config_map(name, data, **metadata):
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, **metadata}, "data": data}


def deployment(name, containers, **spec):
    labels = {"app": name}
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": name, "labels": labels},
            "spec": {"selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}, **spec}}


def service(name, ports, **spec):
    return {"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": {"selector": {"a": "b"}, "ports": ports, **spec}}


def applies(path, manager, body, query=""):
    return "PATCH", f"{path}?fieldManager={manager}{query}", body, APPLY


def config_maps():
    maps = NS + "/configmaps"
    one = maps + "/one"
    yield "PATCH", one, config_map("one", {"a": "1"}), APPLY  # no manager
    yield applies(one, "x" * 129, config_map("one", {"a": "1"}))
    yield applies(one, "a%09b", config_map("one", {"a": "1"}))
    yield "PATCH", one + "?force=true&fieldManager=m", config_map("one", {"a": "1"}), MERGE
    yield applies(one, "m1", config_map("one", {"a": "1", "b": "2"}), "&dryRun=All")
    yield applies(one, "m1", config_map("one", {"a": "1", "b": "2"}, labels={"l": "1"}))
    yield applies(one, "m1", config_map("one", {"a": "1", "b": "2"}, labels={"l": "1"}))  # again: nothing changes
    yield applies(one, "m2", config_map("one", {"a": "1", "c": "3"}))  # shared
    yield applies(one, "m2", config_map("one", {"a": "9", "b": "8"}))  # two conflicts with one
    yield applies(one, "m2", config_map("one", {"a": "9"}))
    yield applies(one, "m2", config_map("one", {"a": "9"}), "&force=true")
    yield applies(one, "m1", config_map("one", {"b": "2"}))  # gives up what was taken, and the labels
    yield "PATCH", one + "?fieldManager=p", {"data": {"b": "5", "z": "1"}, "metadata": {"annotations": {"n": "1"}}}, MERGE
    yield applies(one, "m1", config_map("one", {"b": "2"}))
    yield applies(one, "m1", config_map("one", {"z": "2", "b": "2"}))
    yield applies(one, "m1", config_map("one", {"z": "2", "b": "2"}), "&force=1")
    yield applies(one, "m1", config_map("one", {}))
    yield "PUT", one + "?fieldManager=put", config_map("one", {"q": "1"}), {}
    yield "PATCH", one, [{"op": "add", "path": "/data/r", "value": "1"}], OPERATIONS
    yield "GET", one, None, {}
    yield "PATCH", one, {"metadata": {"managedFields": None}}, MERGE
    yield "PATCH", one, {"metadata": {"managedFields": [{"manager": "x"}]}}, MERGE
    yield "PATCH", one, {"metadata": {"managedFields": [{"manager": "x", "operation": "Update", "apiVersion": "v1",
                                                         "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:q": {}}}}]}}, MERGE
    yield "PATCH", one, {"metadata": {"managedFields": [{}]}}, MERGE
    yield "PATCH", one + "?fieldManager=later", {"data": {"t": "1"}}, MERGE  # not tracked any more
    yield applies(one, "m3", config_map("one", {"t": "1"}))  # tracked again
    yield applies(one, "m3", config_map("one", {"q": "2"}))
    yield "PUT", one, config_map("one", {"q": "1"}, managedFields=[]), {}
    yield "POST", maps, config_map("two", {"a": "1"}, managedFields=[
        {"manager": "restored", "operation": "Apply", "apiVersion": "v1", "time": "2020-01-01T00:00:00Z", "fieldsType": "FieldsV1",
         "fieldsV1": {"f:data": {"f:a": {}}}}]), {}
    yield "POST", maps, config_map("three", {"a": "1"}, managedFields=[{"manager": "bad", "operation": "Nothing"}]), {}
    for body in [config_map("other", {}), {"data": {"a": "1"}}, {"kind": "Pod", "apiVersion": "v1"}, "a: [", "[]", "", "- 1",
                 config_map("bad", {"a": 1}), config_map("bad", {"a": None}), config_map("bad", ["a"]), config_map("bad", {"a": ["b", 1]}),
                 {**config_map("bad", {}), "spec": {"a": 1}}, {**config_map("bad", {}), "immutable": "yes"},
                 config_map("bad", {"a": "1"}, managedFields=[]), config_map("bad", {"a": "1"}, uid="11111111-2222-3333-4444-555555555555"),
                 config_map("bad", {"a b": "1"}), config_map("bad", {"a": "1"}, namespace="elsewhere"), config_map("bad", {"a": {"b": "c"}}),
                 config_map("bad", {"a": "1"}, resourceVersion="1"), config_map("bad", {}, labels={"a b": "c"}),
                 config_map("bad", {"a": True}), config_map("bad", "text"), config_map("bad", {}, finalizers=["a/b", "a/b"])]:
        yield applies(maps + "/bad", "m", body)
    yield applies(maps + "/yaml", "m", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\n  creationTimestamp: null\ndata:\n  a: \"1\"\n")
    yield applies(maps + "/yaml", "m", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: \"1\"\n  a: \"2\"\n", "&fieldValidation=Ignore")
    yield applies(maps + "/yaml", "m", config_map("yaml", {"a": "1"}, uid="11111111-2222-3333-4444-555555555555"))
    yield applies(maps + "/yaml", "m", config_map("yaml", {"a": "1"}, resourceVersion="1"))
    yield applies(maps + "/refs", "m", config_map("refs", {"<a>": "1"}))
    yield applies(maps + "/refs", "m", config_map("refs", {"x": "1"}, finalizers=["a.b/c", "d.e/f"]))
    yield applies(maps + "/refs", "n", config_map("refs", {"x": "1"}, finalizers=["g.h/i", "a.b/c"]))
    yield applies(maps + "/refs", "m", config_map("refs", {"x": "1"}, finalizers=["d.e/f"]))
    yield applies(maps + "/refs", "n", config_map("refs", {}))
    for i in range(14):
        yield "PATCH", f"{maps}/two?fieldManager=u{i:02}", {"data": {f"k{i:02}": "1"}}, MERGE


def deployments():
    path = APPS + "/deployments"
    c = {"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}],
         "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x"], "resources": {"limits": {"cpu": "1000m"}}}
    yield applies(path + "/web", "m1", deployment("web", [c], replicas=2))
    yield applies(path + "/web", "m1", deployment("web", [c], replicas=2))
    yield applies(path + "/web", "m2", deployment("web", [{"name": "side", "image": "s"}]))
    yield applies(path + "/web", "m2", deployment("web", [{"name": "c", "image": "j", "env": [{"name": "A", "value": "2"}]}], replicas=3))
    yield applies(path + "/web", "m2", deployment("web", [{"name": "c", "env": [{"name": "C", "value": "3"}, {"name": "A", "value": "1"}]}]))
    yield applies(path + "/web", "m1", deployment("web", [{**c, "env": [{"name": "B", "value": "2"}], "ports": []}]))
    yield "PATCH", path + "/web?fieldManager=scaler", {"spec": {"replicas": 5}}, STRATEGIC
    yield applies(path + "/web", "m1", deployment("web", [c], replicas=2))
    yield "PATCH", path + "/web/status?fieldManager=controller", {"status": {"replicas": 1, "conditions": [
        {"type": "Available", "status": "True", "lastUpdateTime": "2024-01-01T00:00:00Z", "lastTransitionTime": "2024-01-01T00:00:00Z"}]},
        "spec": {"replicas": 9}}, STRATEGIC
    yield applies(path + "/web/status", "applier", {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"},
                                                    "spec": {"replicas": 7}, "status": {"readyReplicas": 1, "replicas": 1}})
    yield applies(path + "/web/status", "applier", {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}, "status": {
        "conditions": [{"type": "Available", "status": "False"}]}})
    yield applies(path + "/none/status", "applier", {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "none"}})
    yield "GET", path + "/web", None, {}
    yield "PATCH", path + "/web?fieldManager=set-image", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "k"}]}}}}, STRATEGIC
    yield "PATCH", path + "/web?fieldManager=drop", {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}, STRATEGIC
    for body in [deployment("bad", [{"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 80}]}]),
                 deployment("bad", [{"image": "i"}]), deployment("bad", [{"name": "c", "foo": "i"}]), deployment("bad", [None]),
                 deployment("bad", [{"name": "c", "image": "i"}], replicas="3"), deployment("bad", [{"name": "c", "image": "i"}], replicas=None),
                 deployment("bad", "c"), deployment("bad", [{"name": "c", "image": "i", "ports": [{"name": "x"}]}]),
                 deployment("bad", [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "x"}}}]),
                 deployment("bad", [{"name": "c", "image": "i", "resources": {"limits": {"cpu": ["x"]}}}]),
                 deployment("bad", [{"name": "c", "image": "i", "tty": "x"}]),
                 deployment("bad", [{"name": "c", "image": "i", "command": [1]}])]:
        yield applies(path + "/bad", "m", body, "&dryRun=All")
    yield "POST", path + "?fieldManager=creator", deployment("plain", [c]), {}
    yield applies(path + "/plain", "kubectl", deployment("plain", [{**c, "image": "other"}]))
    annotated = deployment("client", [c])
    import json
    annotated["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(deployment("client", [c]))}
    yield "POST", path + "?fieldManager=kubectl-client-side-apply", annotated, {}
    yield applies(path + "/client", "other", deployment("client", [{**c, "image": "new"}]))
    yield applies(path + "/client", "kubectl", deployment("client", [{**c, "image": "new"}]))
    yield applies(path + "/client", "kubectl", deployment("client", [{**c, "image": "new"}], paused=True))
    yield "PATCH", path + "/client", {"spec": {"paused": False}}, MERGE
    yield applies(path + "/client", "kubectl", deployment("client", [{**c, "image": "newer"}], paused=True))


def others():
    services = NS + "/services"
    yield applies(services + "/s", "m1", service("s", [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "targetPort": 8080}]))
    yield applies(services + "/s", "m2", service("s", [{"port": 80, "name": "a"}, {"port": 82, "name": "c", "targetPort": "x"}]))
    yield applies(services + "/s", "m1", service("s", [{"port": 81, "name": "b", "targetPort": 8080}]))
    yield applies(services + "/s", "m1", service("s", [{"port": 81, "name": "b"}], sessionAffinity="ClientIP"))
    yield "PATCH", services + "/s/status?fieldManager=lb", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, MERGE
    pods = NS + "/pods"
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "labels": {"x": "1"}}, "spec": {
        "schedulerName": "nobody", "serviceAccountName": "default", "automountServiceAccountToken": False,
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/w"}],
                        "livenessProbe": {"httpGet": {"path": "/", "port": 80}}}],
        "volumes": [{"name": "v", "emptyDir": {}}], "tolerations": [{"key": "a", "operator": "Exists"}], "hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a"]}],
        "imagePullSecrets": [{"name": "s"}], "securityContext": {"runAsUser": 1}, "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"a": "b"}}}]}}
    yield "POST", pods, pod, {"User-Agent": "my-tool/v1.0 (linux)"}
    yield "PATCH", pods + "/p", {"metadata": {"labels": {"y": "2"}}, "spec": {"activeDeadlineSeconds": 10}}, {**STRATEGIC, "User-Agent": "a tool"}
    yield "PATCH", pods + "/p/status", {"status": {"phase": "Running", "podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}], "conditions": [
        {"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]}, "spec": {"priority": 1}}, {**STRATEGIC, "User-Agent": "kubelet/v1"}
    yield "PATCH", pods + "/p/status", {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}}, {**STRATEGIC, "User-Agent": "kubelet/v1"}
    yield "POST", pods + "/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}, {"User-Agent": "scheduler"}
    yield "GET", pods + "/p", None, {}
    yield "POST", pods, {**pod, "metadata": {"generateName": "g-"}}, {}
    yield "PATCH", "/api/v1/namespaces/applied?fieldManager=n", {"metadata": {"labels": {"q": "r"}}}, MERGE
    yield applies("/api/v1/namespaces/applied2", "m", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "applied2", "labels": {"a": "b"}}})
    yield applies("/api/v1/namespaces/applied2", "m", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "applied2"}})
    yield "POST", "/api/v1/nodes", {"metadata": {"name": "applied-n", "labels": {"a": "b"}}, "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
                                    "status": {"capacity": {"cpu": "1"}}}, {}
    yield "PATCH", "/api/v1/nodes/applied-n/status", {"status": {"addresses": [{"type": "InternalIP", "address": "1.2.3.4"}], "images": []}}, STRATEGIC
    leases = "/apis/coordination.k8s.io/v1/namespaces/applied/leases"
    yield "POST", leases, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "renewTime": "2024-01-01T00:00:00.000000Z"}}, {}
    yield "PUT", leases + "/made", {"metadata": {"name": "made"}, "spec": {"holderIdentity": "a"}}, {}
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/applied"
    role = {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "r"}}
    yield applies(roles + "/roles/r", "m", {**role, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]})
    yield applies(roles + "/roles/r", "m", role)
    yield "PATCH", "/api/v1/namespaces/applied/secrets/s?fieldManager=m", "{}", {"Content-Type": "application/apply-patch+cbor"}
    yield "PATCH", "/api/v1/namespaces/applied/secrets/s?fieldManager=m", "{}", {"Content-Type": "text/plain"}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "applied", "labels": {"a": "b"}}}, {}
    for group in (config_maps, deployments, others):
        yield from group()
