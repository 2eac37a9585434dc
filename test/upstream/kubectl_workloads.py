"""kubectl about workloads, as far as no controller is needed: scale, autoscale, expose, rollout; and about custom resources."""
from kubectl_commands import EXPLAIN, DOCUMENT, deployment, in_namespace, k, manifest, pod, thing


def commands():
    yield from in_namespace("workloads", _commands())


def replica_set(owner, revision, image):
    """What the deployment's controller would have made."""
    template = {"metadata": {"labels": {"app": owner, "pod-template-hash": revision}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return thing("apps/v1", "ReplicaSet", f"{owner}-{revision}", metadata={"labels": {"app": owner}, "annotations": {"deployment.kubernetes.io/revision": revision}},
                 spec={"replicas": 0, "selector": {"matchLabels": {"app": owner, "pod-template-hash": revision}}, "template": template})


def _commands():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    others = [thing("apps/v1", "DaemonSet", "ds", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template}),
              thing("apps/v1", "StatefulSet", "sts", spec={"serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": template}),
              thing("v1", "ReplicationController", "rc", spec={"replicas": 1, "selector": {"a": "b"}, "template": template})]
    yield k("create -f -", manifest(deployment("d"), replica_set("alone", "1", "i:1"), *others, pod("p", containers=[{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}])))
    for what in ["deploy d --replicas=3", "deploy/d --replicas=3", "deploy d --replicas=5 --current-replicas=1", "deploy d --replicas=5 --current-replicas=3", "deploy d --replicas=-1", "deploy none --replicas=1", "cm kube-root-ca.crt --replicas=1",
                 "deploy d --replicas=2 --resource-version=1", "rs alone-1 --replicas=1", "rc rc --replicas=2", "sts sts --replicas=2", "ds ds --replicas=2", "deploy,sts --all --replicas=4", "deploy d", "deploy d --replicas=1 --dry-run=server -o yaml", "deploy d --replicas=9 -o yaml"]:
        yield f"scale {what}"
    for what in ["deploy d --min=1 --max=3 --cpu-percent=50", "deploy d --min=1 --max=3", "deploy d --max=3 --name=other --cpu=80%", "deploy d --max=3 --name=third --memory=1Gi", "deploy d --min=5 --max=3", "deploy d", "cm x --max=2", "deploy none --max=2",
                 "sts sts --max=2 --dry-run=server -o yaml"]:
        yield f"autoscale {what}"
    yield "get hpa"
    yield "get hpa -o yaml"
    for what in ["deploy d --port=80", "deploy d --port=80 --target-port=8080 --name=named --type=NodePort", "deploy d", "pod p", "pod p --name=p2 --port=80 --protocol=UDP", "rc rc --port=80 --type=LoadBalancer", "svc named --name=copy --port=90", "deploy d --port=80 --name=Bad",
                 "deploy d --port=x --name=y", "cm x --port=1", "deploy none --port=1", "deploy d --port=80 --name=ext --external-ip=1.2.3.4 --session-affinity=ClientIP", "deploy d --port=80 --name=headless --cluster-ip=None", "deploy d --port=80 --name=dry --dry-run=server -o yaml",
                 "rs alone-1 --port=80,81 --name=two", "deploy d --port=80 --name=t --type=None", "deploy d --port=80 --name=o --overrides='{\"spec\":{\"ports\":[{\"port\":9}]}}'"]:
        yield f"expose {what}"
    yield "get svc"
    yield "get svc -o yaml"
    for what in ["pause deploy d", "pause deploy d", "restart deploy d", "resume deploy d", "resume deploy d", "restart deploy d", "restart ds/ds sts/sts", "restart rc rc", "restart deploy none", "history deploy d", "history ds ds", "history sts sts", "history rc rc", "history deploy d --revision=1", "undo deploy d",
                 "undo deploy d --to-revision=3", "undo ds ds", "undo deploy d --dry-run=server", "status deploy d --timeout=1s", "status ds ds --timeout=1s", "status sts sts --timeout=1s", "status deploy d --watch=false", "status rc rc", "status deploy none", "pause ds ds", "none deploy d", "pause cm x", ""]:
        yield f"rollout {what}"
    yield "get deploy d -o jsonpath={.spec.paused}"
    yield "get deploy,rs,ds,sts,rc -o wide"
    for what in ["pod p", "deploy/d", "none", "p -c none", "p --previous", "-l app=none", "pod/none"]:
        yield f"logs {what}"
    for what in ["p -- true", "none -- true", "p", "p -c none -- true", "deploy/d -- true"]:
        yield f"exec {what}"
    for what in ["p", "none"]:
        yield f"attach {what}"
    yield "port-forward pod/p 0:80"
    yield "debug p --image=busybox --target=c --attach=false -c dbg"
    yield "debug none --image=busybox --attach=false"
    yield "debug p --image=busybox --copy-to=copy --attach=false --same-node"
    yield "get pod copy -o yaml"
    yield "get pod p -o jsonpath={.spec.ephemeralContainers}"
    for what in ["pods", "nodes", "pod none", "pods -A"]:
        yield f"top {what}"


DEFINITION = thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gadgets.kubectl.example.com", spec={
    "group": "kubectl.example.com", "scope": "Namespaced", "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "shortNames": ["gd"], "categories": ["all"]},
    "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                  "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}, {"name": "Note", "type": "string", "jsonPath": ".spec.note", "priority": 1}, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                  "selectableFields": [{"jsonPath": ".spec.note"}],
                  "schema": {"openAPIV3Schema": {"type": "object", "description": "A gadget.", "required": ["spec"], "properties": {
                      "spec": {"type": "object", "required": ["size"], "properties": {
                          "size": {"type": "integer", "minimum": 1, "description": "How large."}, "note": {"type": "string", "default": "none", "enum": ["none", "some"]}, "replicas": {"type": "integer"},
                          "port": {"x-kubernetes-int-or-string": True}, "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                          "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "number"}}}},
                          "map": {"type": "object", "additionalProperties": {"type": "string"}}}},
                      "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "when": {"type": "string", "format": "date-time", "nullable": True}}}}}}},
                 {"name": "v1alpha1", "served": True, "storage": False, "deprecated": True, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]})


def gadget(name, **spec):
    return thing("kubectl.example.com/v1", "Gadget", name, spec=spec or {"size": 1})


def custom():
    yield k("create -f -", manifest(DEFINITION))
    yield k("wait --for=condition=Established crd/gadgets.kubectl.example.com --timeout=20s")
    # Upstream's documents follow a moment later: until they have it, on both sides alike.
    yield k("wait --for=jsonpath={.status.acceptedNames.kind}=Gadget crd/gadgets.kubectl.example.com --timeout=20s")
    yield from in_namespace("custom", _custom())
    yield k("delete crd gadgets.kubectl.example.com")
    yield k("get gadgets -A")


def _custom():
    for line in ["api-resources --api-group=kubectl.example.com -o wide", "get gadgets", "get gd"]:
        yield line
    yield k("apply -f -", manifest(gadget("g"), gadget("h", size=2, note="some", replicas=1, list=[{"name": "a", "n": 1.5}])))
    for line in ["get gd", "get gd -o wide", "get gd g -o yaml", "get gadgets.v1alpha1.kubectl.example.com", "get gd --field-selector=spec.note=some", "get gd --field-selector=spec.size=1", "get all", "describe gd g", "describe crd gadgets.kubectl.example.com",
                 "get crd gadgets.kubectl.example.com", "get crd gadgets.kubectl.example.com -o yaml", "scale gd h --replicas=3", "scale gd h --replicas=-3", "get gd h --subresource=scale -o yaml", "label gd g a=b", "annotate gd g a=b"]:
        yield line
    for text in [gadget("bad", size=0), gadget("bad", size="x"), gadget("bad", note="some"), gadget("bad", size=1, note="other"), gadget("bad", size=1, foo=1), gadget("Bad_"), gadget("bad", size=1, list=[{"n": 1}]), gadget("bad", size=1, list=[{"name": "a"}, {"name": "a"}]),
                 gadget("bad", size=1, port=1.5), thing("kubectl.example.com/v2", "Gadget", "x"), thing("kubectl.example.com/v1", "Gizmo", "x"), thing("kubectl.example.com/v1", "Gadget", "bad")]:
        yield k("apply -f -", text)
        yield k("create --validate=false -f -", text)
    yield k("apply -f -", gadget("free", size=1, free={"a": {"b": 1}}, port="http", map={"a": "b"}))
    yield k("apply --server-side -f -", gadget("g", size=4))
    yield k("apply --server-side --force-conflicts -f -", gadget("g", size=4, list=[{"name": "x"}]))
    yield k("apply --server-side --field-manager=me -f -", gadget("g", size=5, list=[{"name": "y"}]))
    yield k("diff -f -", gadget("g", size=9))
    yield k("diff --server-side -f -", gadget("new", size=9))
    for what in ["""gd g --type=merge -p '{"spec":{"size":7}}'""", """gd g -p '{"spec":{"size":8}}'""", """gd g --type=json -p '[{"op":"replace","path":"/spec/size","value":"x"}]'""", """gd g --subresource=status --type=merge -p '{"status":{"replicas":3}}'""",
                 """gd g --subresource=status --type=merge -p '{"status":{"when":"x"}}'""", """gd g --type=merge -p '{"spec":{"foo":1}}'""", """gd g --type=merge -p '{"spec":null}'"""]:
        yield f"patch {what}"
    yield k("edit gd g", editor="sed -i s/size:.*/size:\\ 6/")
    yield "get gd g -o yaml --show-managed-fields"
    yield "get gd -A"
    yield "delete gd h"
    yield "wait --for=delete gd/h"
    for what in ["gd", "gd.spec", "gd --recursive", "gd.spec.list", "gd.spec.port", "gd.status.when", "gd.spec.none", "gadgets --api-version=kubectl.example.com/v1alpha1", "gd.metadata.labels"]:
        yield k(f"explain {what}", kind=EXPLAIN)
    yield k("get --raw /openapi/v3/apis/kubectl.example.com/v1", kind=DOCUMENT)
    yield k("get --raw /openapi/v3/apis/kubectl.example.com/v1alpha1", kind=DOCUMENT)
    for path in ["/openapi/v3", "/openapi/v2", "/apis/kubectl.example.com/v1", "/apis/kubectl.example.com"]:
        yield k(f"get --raw {path}", kind=DOCUMENT)
    for bad in [{**DEFINITION, "metadata": {"name": "wrong"}}, {**DEFINITION, "spec": {**DEFINITION["spec"], "versions": []}}, {**DEFINITION, "spec": {**DEFINITION["spec"], "scope": "Cluster"}}]:
        yield k("apply -f -", bad)
