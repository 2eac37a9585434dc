"""kubectl about objects: get, apply, diff, patch, edit, replace, label, create, delete, describe."""
from kubectl_commands import JSON_LINES, config_map, deployment, in_namespace, k, manifest, pod, thing

LISTED = [
    config_map("beta", {"a": "1", "b": "x" * 30}, labels={"tier": "db", "app": "b"}, annotations={"note": "n"}),
    config_map("alpha", {"a": "1"}, labels={"tier": "web"}),
    config_map("gamma", {"z": "9"}),
    pod("one", {"app": "one", "tier": "web"}, nodeName="fake", terminationGracePeriodSeconds=0),
    pod("two", {"app": "two"}, containers=[{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}], "resources": {
        "requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1"}}}, {"name": "d", "image": "j"}], initContainers=[
            {"name": "e", "image": "k"}]),
    thing("v1", "Service", "web", spec={"selector": {"app": "one"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "dns", "port": 53, "protocol": "UDP"}]}),
    deployment("web"),
]


def get():
    yield from in_namespace("get", _get())


def _get():
    yield k("create -f -", manifest(*LISTED))
    for what in ["configmaps", "cm", "configmap/alpha", "cm alpha beta", "pods", "pods -o wide", "svc", "deploy", "cm,svc", "all", "pod/one svc/web",
                 "pods.v1.", "deployments.v1.apps", "deployments.apps", "cm/none", "cm alpha none", "cm --ignore-not-found none", "secrets",
                 "pods --field-selector=spec.nodeName=fake", "pods --field-selector=status.phase!=Pending", "pods --field-selector metadata.name=two",
                 "pods --field-selector=spec.none=x", "cm -l tier", "cm -l tier=web", "cm -l tier!=web", "cm -l 'tier in (web,db),app'",
                 "cm -l 'tier notin (web)'", "cm -l '!tier'", "cm -l 'tier in ('", "cm -l 'a b'", "cm -l tier=web -o name", "none", "cm/alpha/x", "/",
                 "cm --chunk-size=1", "cm --chunk-size=2 -o name", "cm --chunk-size=0", "cm --sort-by=.metadata.name", "cm --sort-by='{.data.b}'",
                 "pods --sort-by=.spec.nodeName", "cm --sort-by=.none", "cm --sort-by=.[", "cm --show-labels", "cm -L tier,app", "cm --no-headers",
                 "cm --show-kind", "cm --label-columns=tier --show-labels", "pods --output-watch-events", "cm --server-print=false",
                 "pods --server-print=false", "svc -o wide", "deploy -o wide", "rs", "nodes", "nodes -o wide", "ns get", "ns get -o wide --show-labels",
                 "pods --subresource=status one", "deploy web --subresource=scale", "deploy web --subresource=scale -o yaml", "deploy web --subresource=none",
                 "cm alpha --subresource=status", "cm -A -l tier=web", "pods -A --field-selector=metadata.namespace=get", "cm -A --field-selector=metadata.name=alpha -o name"]:
        yield f"get {what}"
    for what in ["cm alpha", "cm -l tier", "pod one", "pod two", "svc web", "deploy web", "cm,svc -l tier=web", "ns get", "cm none", "secrets"]:
        for form in ["yaml", "json", "name", "wide"]:
            yield f"get {what} -o {form}"
    for form in ["jsonpath={.data.a}", "jsonpath='{.metadata.name}{\"\\n\"}'", "jsonpath={.none}", "jsonpath={", "jsonpath-as-json={.data}",
                 "custom-columns=N:.metadata.name,D:.data", "custom-columns=N", "custom-columns=", "go-template={{.metadata.name}}",
                 "go-template={{.none.x}}", "go-template={{", "template={{.kind}}", "none", "jsonpath", "yaml --show-managed-fields",
                 "json --show-managed-fields", "kyaml"]:
        yield f"get cm alpha -o {form}"
    yield "get cm -o 'jsonpath={range .items[*]}{.metadata.name}={.data.a};{end}'"
    yield "get pods -o 'custom-columns=NAME:.metadata.name,IMAGES:.spec.containers[*].image,NODE:.spec.nodeName'"
    yield "get pods -o 'custom-columns=NAME:.metadata.name' --no-headers"
    yield "get deploy web -o yaml --show-managed-fields"
    yield "get pods,svc -o yaml"
    yield "get cm --watch-only --request-timeout=1s"
    yield "get cm -w --request-timeout=1s -l tier=web"
    yield "get cm -w --request-timeout=1s -o name"
    yield "get cm alpha -w --request-timeout=1s --output-watch-events"
    yield "get -f -"
    yield k("get -f -", manifest(config_map("alpha"), config_map("none")))
    for path in ["/api/v1/namespaces/get/configmaps/alpha", "/api/v1/namespaces/get/configmaps/none", "/api/v1/namespaces/get/configmaps?limit=x"]:
        yield f"get --raw {path}"
    yield k("get --raw '/api/v1/namespaces/get/configmaps?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=none'", kind=JSON_LINES)
    for condition in ["--for=jsonpath={.data.a}=1 cm/alpha", "--for=jsonpath={.data.a}=2 cm/alpha --timeout=1s", "--for=delete cm/none",
                      "--for=delete cm/alpha --timeout=1s", "--for=condition=Ready pod/one --timeout=1s", "--for=create cm/alpha",
                      "--for=condition=Ready pod/none --timeout=1s", "--for=none cm/alpha", "--for=jsonpath={.data} cm/alpha --timeout=1s",
                      "--for=condition=Ready pod -l app=nobody --timeout=1s", "--for=jsonpath='{.metadata.labels.tier}'=web cm --all --timeout=1s"]:
        yield f"wait {condition}"
    yield """patch pod one --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"True"}],"phase":"Running"}}'"""
    yield "wait --for=condition=Ready pod/one"
    yield "wait --for=condition=Ready=false pod/one --timeout=1s"
    yield "get pods"
    yield "get pods --field-selector=status.phase=Running -o name"


def apply():
    yield from in_namespace("apply", _apply())


MAP = config_map("a", {"x": "1", "y": "2"})
SERVICE = thing("v1", "Service", "s", spec={"selector": {"a": "b"}, "ports": [{"name": "http", "port": 80}]})


def with_data(**data):
    return manifest(config_map("a", data))


def _apply():
    yield k("apply -f -", MAP)
    yield k("apply -f -", MAP)
    yield k("apply -f -", with_data(x="1", z="3"))
    yield "get cm a -o yaml"
    yield k("apply -f - -o yaml", with_data(x="1"))
    yield k("apply -f - --dry-run=server -o yaml", with_data(x="9"))
    yield k("apply -f - --dry-run=client", with_data(x="9"))
    yield k("apply -f - --dry-run=none", with_data(x="1"))
    yield "apply view-last-applied cm a"
    yield k("apply set-last-applied -f -", with_data(q="1"))
    yield k("apply set-last-applied -f - --create-annotation", with_data(q="1"))
    yield k("diff -f -", with_data(x="2", w="3"))
    yield k("diff -f -", with_data(x="1"))
    yield k("diff --server-side -f -", with_data(x="2"))
    yield k("diff --server-side --force-conflicts -f -", with_data(x="2"))
    yield k("diff --server-side --field-manager=kubectl -f -", manifest(config_map("new"), deployment("d")))
    yield k("diff -f - --show-managed-fields", manifest(SERVICE))
    yield k("diff -f - --prune -l a=b", manifest(SERVICE))
    yield k("apply -f -", manifest(deployment("d"), SERVICE))
    yield k("apply -f -", manifest(deployment("d", 3), SERVICE))
    yield k("diff -f -", manifest(deployment("d", 5), SERVICE))
    changed = deployment("d", 3)
    changed["spec"]["template"]["spec"]["containers"] = [{"name": "c", "image": "registry.example/c:2", "env": [{"name": "A", "value": "1"}]},
                                                         {"name": "side", "image": "s:1"}]
    yield k("apply -f -", changed)
    changed["spec"]["template"]["spec"]["containers"].pop()
    yield k("apply -f - -o yaml", changed)
    changed["spec"]["selector"] = {"matchLabels": {"other": "x"}}
    yield k("apply -f -", changed)
    yield k("apply -f - --force", config_map("forced"))
    yield k("apply --server-side -f -", with_data(x="1"))
    yield k("apply --server-side -f - --field-manager=me", with_data(x="2"))
    yield k("apply --server-side -f - --field-manager=me --force-conflicts", with_data(x="2"))
    yield k("apply --server-side -f - --field-manager=me", with_data(x="2"))
    yield k("apply --server-side -f -", with_data(x="3", y="1"))
    yield k("apply --server-side -f - --dry-run=server -o yaml --show-managed-fields", with_data(y="1"))
    yield "get cm a -o yaml --show-managed-fields"
    yield k("apply --server-side -f -", manifest(config_map("new-1"), config_map("new-2"), deployment("ssa")))
    yield k("apply --server-side -f -", manifest(config_map("new-1"), config_map("new-2"), deployment("ssa")))
    yield k("apply --server-side --field-manager=other -f -", manifest(deployment("ssa", 7)))
    yield k("apply --server-side --field-manager=other -f -", manifest(thing("v1", "Service", "s", spec={"ports": [{"port": 80, "protocol": "TCP", "name": "web"}]})))
    yield "get deploy ssa -o yaml --show-managed-fields"
    yield k("apply --server-side -f -", manifest({**MAP, "foo": 1}))
    yield k("apply --server-side -f -", manifest(pod("twice", containers=[{"name": "c", "image": "a"}, {"name": "c", "image": "b"}])))
    yield k("apply --server-side -f -", manifest(thing("v1", "ConfigMap", "m", metadata={"managedFields": []})))
    yield k("apply --server-side --dry-run=client -f -", MAP)
    yield k("apply --server-side --force -f -", MAP)
    pruned = [config_map(f"p{i}", labels={"prune": "yes"}) for i in range(3)]
    yield k("apply -l prune=yes -f -", manifest(*pruned))
    yield k("apply --prune -l prune=yes -f -", manifest(*pruned[:2]))
    yield k("apply --prune -l prune=yes --prune-allowlist=core/v1/ConfigMap --dry-run=server -f -", manifest(*pruned[:1]))
    yield k("apply --prune -l prune=yes --prune-allowlist=core/v1/ConfigMap -f -", manifest(*pruned[:1]))
    yield k("apply --prune -f -", manifest(*pruned[:1]))
    yield k("apply --prune --all -l a=b -f -", manifest(*pruned[:1]))
    yield "get cm -l prune -o name"
    yield k("apply -f -", manifest({**MAP, "metadata": {"generateName": "g-"}}))
    yield k("apply -f -", manifest({**MAP, "foo": 1}))
    yield k("apply --validate=warn -f -", manifest({**MAP, "foo": 1, "metadata": {"name": "a", "bar": 2}}))
    yield k("apply --validate=ignore -f -", manifest({**MAP, "foo": 1}))
    yield k("apply --validate=strict -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '1', a: '2'}\n")
    yield k("apply --validate=warn -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '1', a: '2'}\n")
    yield k("apply --validate=none -f -", MAP)
    yield k("apply -f -", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}}\n")
    yield k("apply -f one.yaml -f two.json", files={"one.yaml": manifest(config_map("f1")), "two.json": manifest(config_map("f2"))})
    yield k("apply -k .", files={"kustomization.yaml": "namePrefix: k-\nresources: [one.yaml]\nconfigMapGenerator:\n- {name: made, literals: [a=b]}\n"})
    yield k("replace -f -", with_data(r="1"))
    yield "get cm a -o yaml --show-managed-fields"
    yield k("replace -f -", manifest(config_map("none")))
    yield k("replace --force -f -", with_data(r="2"))
    yield k("replace --force -f -", manifest(config_map("made-by-force")))
    yield k("replace -f -", manifest(config_map("a", resourceVersion="1")))
    yield k("replace -f - --dry-run=server -o name", with_data(r="3"))
    yield k("replace -f -", changed)
    yield k("replace --subresource=status -f -", {**deployment("d"), "status": {"replicas": 7, "observedGeneration": 1}})
    yield "get deploy d -o jsonpath={.status}"


def patch():
    yield from in_namespace("patch", _patch())


def _patch():
    yield k("create -f -", manifest(MAP, deployment("d"), SERVICE, pod("p")))
    for what in [
            """cm a -p '{"data":{"x":"9"}}'""", """cm a -p '{"data":{"x":"9"}}'""", """cm a -p 'data: {x: "8"}'""",
            """cm a --type=merge -p '{"data":{"y":null}}'""", """cm a --type=json -p '[{"op":"add","path":"/data/n","value":"1"}]'""",
            """cm a --type=json -p '[{"op":"remove","path":"/data/none"}]'""", """cm a --type=json -p '[{"op":"test","path":"/data/n","value":"2"}]'""",
            """cm a --type=json -p '{"data":{}}'""", """cm a --type=json -p '[{"op":"none","path":"/data/n"}]'""",
            """cm a --type=json -p '[{"op":"copy","from":"/data/n","path":"/data/m"},{"op":"move","from":"/data/m","path":"/data/o"}]'""",
            """cm a --type=none -p '{}'""", """cm a -p '{}'""", """cm a -p '{'""", """cm a -p ''""", """cm none -p '{"a":1}'""", "cm a",
            """cm a -p '{"data":{"x":1}}'""", """cm a -p '{"foo":1}'""", """cm a --type=merge -p '{"foo":1}'""", """cm a -p '{"metadata":{"name":"b"}}'""",
            """cm a -p '{"metadata":{"resourceVersion":"1"}}'""", """cm a -p '{"metadata":{"uid":"x"}}'""", """cm a -p '{"kind":"Secret"}'""",
            """cm a -p '{"apiVersion":"v9"}'""", """cm a -p '{"metadata":{"labels":{"a b":"c"}}}'""", """cm a -p '{"metadata":{"finalizers":["x"]}}'""",
            """cm a -p '{"data":{"q":"1"}}' --dry-run=server -o yaml""", """cm a -p '{"data":{"q":"1"}}' --dry-run=client -o yaml""",
            """cm a -p '{"data":{"q":"1"}}' -o name""", """cm a --field-manager=me -p '{"data":{"fm":"1"}}' -o yaml --show-managed-fields""",
            """deploy d -p '{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"new"},{"name":"x","image":"y"}]}}}}'""",
            """deploy d -p '{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"x"},{"name":"c"}]}}}}'""",
            """deploy d -p '{"spec":{"template":{"spec":{"containers":[{"name":"x","$patch":"delete"}]}}}}'""",
            """deploy d -p '{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}'""",
            """deploy d -p '{"spec":{"template":{"spec":{"containers":[{"image":"y"}]}}}}'""",
            """deploy d -p '{"spec":{"template":{"spec":{"$patch":"replace","containers":[{"name":"only","image":"z"}]}}}}' -o yaml""",
            """deploy d --type=merge -p '{"spec":{"template":{"spec":{"containers":[{"image":"y"}]}}}}'""",
            """deploy d -p '{"spec":{"$patch":"dance"}}'""", """deploy d -p '{"spec":{"$patch":5}}'""", """deploy d -p '{"spec":{"$retainKeys":5}}'""", """deploy d -p '[]'""",
            """deploy d -p '{"spec":{"template":{"spec":{"containers":["a"]}}}}'""", """deploy d -p '{"metadata":{"finalizers":[["a"]]}}'""",
            """deploy d -p '{"spec":{"template":{"spec":{"containers":{}}}}}'""", """deploy d -p '{"spec":{"template":{"spec":{"hostNetwork":1}}}}'""", """deploy d -p '{"a" 1}'""",
            """deploy d --type=merge -p '{"spec":{"replicas":"x"}}'""", """deploy d -p '{"spec":{"replicas":"x"}}'""", """deploy d -p '{"spec":{"replicas":-1}}'""",
            """deploy d -p '{"spec":{"selector":{"matchLabels":{"a":"c"}}}}'""", """deploy d --subresource=scale --type=merge -p '{"spec":{"replicas":5}}'""",
            """deploy d --subresource=scale --type=merge -p '{"spec":{"replicas":-5}}'""", """deploy d --subresource=status -p '{"status":{"replicas":4}}'""",
            """deploy d --subresource=none -p '{}'""", """cm a --subresource=status -p '{}'""",
            """svc s -p '{"spec":{"ports":[{"port":80,"targetPort":8080}]}}' -o yaml""", """svc s -p '{"spec":{"ports":[{"port":81}]}}'""",
            """svc s -p '{"spec":{"clusterIP":"1.2.3.4"}}'""", """svc s --type=json -p '[{"op":"replace","path":"/spec/ports/0/port","value":90}]'""",
            """pod p -p '{"spec":{"containers":[{"name":"c","image":"changed"}]}}'""", """pod p -p '{"spec":{"activeDeadlineSeconds":5}}'""",
            """pod p -p '{"metadata":{"annotations":{"a":"b"}}}'""", """pod p --subresource=resize -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1"}}}]}}'""",
            """ns patch -p '{"metadata":{"labels":{"z":"1"}}}'""", """cm/a cm/b -p '{}'""", """-f - -p '{}'"""]:
        yield f"patch {what}"
    for what in ["cm a x=1", "cm a x=1", "cm a x=2", "cm a x=2 --overwrite", "cm a x-", "cm a x-", "cm a --list", "cm a 'x=a b'", "cm a 'x y=1'", "cm --all y=1",
                 "cm -l y=1 z=2", "cm -l y=none z=2", "cm none x=1", "cm a x=3 --resource-version=1", "cm a x=3 --dry-run=server", "cm a x=3 --dry-run=client",
                 "cm a x=3 -o yaml", "cm,svc --all q=1", "cm a", "cm a b=1 b-", "cm a kubernetes.io/x=1", "ns patch l=1", "deploy d l=1 m=2 z-", "cm --field-selector=metadata.name=a f=1"]:
        yield f"label {what}"
        if "=a b" not in what and "--list" not in what:
            yield f"annotate {what}"
    yield "annotate cm a 'note=some words' --overwrite"
    yield "get cm a -o yaml --show-managed-fields"
    for what in ["image deploy/d only=new:2", "image deploy/d none=new:2", "image deploy/d *=all:3", "image deploy d only=new:2 --dry-run=server -o yaml",
                 "image cm/a only=x", "image deploy/none c=x", "image deploy/d", "image deploy/d only=x --all", "env deploy/d A=1 B=2", "env deploy/d --list", "env deploy/d A-", 
                 "env deploy/d --from=configmap/a --prefix=P_ --keys=x", "env deploy/d --from=secret/none", "env deploy/d A=1 --containers=none", "env deploy/d A==", "env cm/a A=1",
                 "resources deploy/d --limits=cpu=200m,memory=512Mi --requests=cpu=100m", "resources deploy/d --limits=cpu=x", "resources deploy/d --requests=cpu=9",
                 "resources deploy/d", "resources deploy/d --limits=cpu=0,memory=0 --requests=cpu=0,memory=0", "selector svc s role=db", "selector svc s 'a in (b)'", "selector deploy d a=b",
                 "selector svc s role=web --dry-run=server -o yaml", "serviceaccount deploy d robot", "serviceaccount deploy none robot", "sa cm a robot", "none deploy d", ""]:
        yield f"set {what}"
    yield "get deploy d -o yaml"
    yield k("create rolebinding rb --role=r --user=u")
    for what in ["rolebinding rb --user=v --group=g --serviceaccount=patch:default", "rolebinding rb --serviceaccount=x", "rolebinding none --user=u", "rolebinding rb"]:
        yield f"set subject {what}"
    yield "get rolebinding rb -o yaml"
    for editor, what in [("sed -i s/x:/xx:/", "cm a"), ("true", "cm a"), ("false", "cm a"), ("sed -i s/^data:/da/", "cm a"), ("sed -i 's/name: a$/name: zz/'", "cm a"),
                         ("sed -i s/replicas:.*/replicas:\\ 6/", "deploy d"), ("sed -i s/replicas:.*/replicas:\\ none/", "deploy d"), ("true", "cm none"),
                         ("sed -i s/kind:.*/kind:\\ Nothing/", "cm a"), ("sed -i s/replicas:.*/replicas:\\ -6/", "deploy d"), ("sed -i s/xx:/yy:/", "cm a -o json --windows-line-endings=false"),
                         ("sed -i s/yy/zz/", "cm/a --output-patch"), ("sed -i s/replicas:.*/replicas:\\ 8/", "deploy d --subresource=scale"), ("sed -i s/^data:.*/foo:\\ 1/", "cm a")]:
        yield k(f"edit {what}", editor=editor)
    yield "get cm,deploy -o name"


def create():
    yield from in_namespace("create", _create())


CRONJOB = thing("batch/v1", "CronJob", "nightly", spec={"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": {
    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}})


def _create():
    tls = {"tls.crt": "no certificate", "tls.key": "no key", "env": "A=1\nB=2\n"}
    yield k("create configmap from-file --from-file=tls.crt --from-file=k=env --from-env-file=env", files=tls)
    yield k("create configmap from-file --from-file=tls.crt --from-file=k=env", files=tls)
    created = []
    for what in ["deployment d --image=i:1", "deployment d2 --image=i:1 --replicas=3 --port=80", "deployment d3 --image=a --image=b -- sh", "job j --image=i -- sleep 1",
                 "cronjob c --image=i --schedule='*/5 * * * *' --restart=OnFailure -- date", "cronjob c2 --image=i --schedule='bad'", "configmap cm --from-literal=a=b --from-literal=c=d",
                 "configmap cm2 --from-literal=a", "configmap cm3 --from-literal=a=1 --from-literal=a=2", "configmap cm4 --from-file=none", "configmap cm5 --from-env-file=env --append-hash",
                 "secret generic s --from-literal=a=b", "secret generic s2 --from-literal=a=b --type=example.com/t", "secret generic s3 --type=kubernetes.io/basic-auth --from-literal=a=b",
                 "secret tls t --cert=tls.crt --key=tls.key", "secret docker-registry dr --docker-username=u --docker-password=p --docker-email=e@example.com --docker-server=registry.example",
                 "secret docker-registry dr2", "secret none x", "serviceaccount robot", "sa robot", "role r --verb=get,list --resource=pods,configmaps", "role r2 --verb=get --resource=pods --resource-name=a",
                 "role r3 --verb=get --resource=deployments.apps/scale", "role r4 --verb=none --resource=pods", "role r5 --verb=get --resource=nones", "role r6 --verb='*' --resource='*.*'", "role r7 --verb=get",
                 "clusterrole kc-cr --verb=get --resource=nodes", "clusterrole kc-cr2 --verb=get --non-resource-url=/logs/*", "clusterrole kc-cr3 --aggregation-rule=a=b", "clusterrole kc-cr4 --verb=post --resource=pods",
                 "rolebinding rb --role=r --user=u --group=g --serviceaccount=create:robot", "rolebinding rb2 --clusterrole=view --user=u", "rolebinding rb3 --user=u", "rolebinding rb4 --role=r --clusterrole=x",
                 "clusterrolebinding kc-crb --clusterrole=kc-cr --user=u", "clusterrolebinding kc-crb2 --clusterrole=x --serviceaccount=y", "quota q --hard=pods=100,services=100", "quota q2 --hard=cpu=1 --scopes=BestEffort",
                 "quota q3 --hard=pods=x", "quota q4 --hard=pods=1 --scopes=None", "poddisruptionbudget pdb --selector=app=d --min-available=1", "pdb pdb2 --selector=app=d --max-unavailable=50%", "pdb pdb3 --selector=app=d",
                 "pdb pdb4 --min-available=1", "pdb pdb5 --selector=app=d --min-available=x", "priorityclass kc-pc --value=1000 --description=d", "priorityclass kc-pc2 --value=2000000000", "priorityclass kc-pc3 --value=5 --preemption-policy=Never",
                 "ingress i --rule=foo.example/bar=svc:80", "ingress i2 --class=nginx --rule='foo.example/*=svc:http,tls=secret' --default-backend=d:1 --annotation a=b", "ingress i3 --rule=bad", "ingress i4",
                 "service clusterip si --tcp=80:8080", "service clusterip si2 --clusterip=None", "service clusterip si3 --tcp=x", "service clusterip si4", "service nodeport np --tcp=80 --node-port=30123", "service nodeport np2 --tcp=80 --node-port=1",
                 "service nodeport np3 --tcp=80 --node-port=30123", "service externalname en --external-name=example.com", "service externalname en2", "service loadbalancer lb --tcp=80:x", "service loadbalancer lb2 --tcp=80:8080", "service clusterip Bad --tcp=80",
                 "namespace kc-made", "namespace kc-made", "namespace Bad_", "namespace", "none x", "deployment", "deployment d4", "configmap Bad_Name", "job Bad --image=i", "serviceaccount a/b", ""]:
        yield k(f"create {what}", files=tls)
        words = what.split()
        if len(words) > 2 and "kc-" not in what:
            created.append(what)
    for what in created[:50]:
        yield k(f"create {what} --dry-run=server -o yaml", files=tls)
    yield k("create -f -", CRONJOB)
    for what in ["job from --from=cronjob/nightly", "job from2 --from=cronjob/none", "job from3 --from=cm/cm", "job from4 --from=cronjob/nightly --image=i"]:
        yield f"create {what}"
    yield "get job from -o yaml"
    for what in ["deploy,job,cronjob,cm,secret,sa", "role,rolebinding,quota,pdb,ingress,svc", "priorityclass kc-pc kc-pc3", "clusterrole kc-cr kc-cr2 kc-cr3 -o yaml", "deploy d3 -o yaml", "ingress -o yaml", "secret -o yaml", "svc -o yaml", "cronjob c -o yaml"]:
        yield f"get {what}"
    for what in ["robot", "robot --duration=10m", "robot --duration=1s", "robot --audience=a", "none", "robot --bound-object-kind=Pod --bound-object-name=none", "robot --bound-object-kind=None --bound-object-name=x", "robot --bound-object-kind=Secret --bound-object-name=s", "robot -o yaml"]:
        yield f"create token {what}"
    for what in ["p --image=i --dry-run=server -o yaml", "p --image=i --dry-run=client -o yaml --env=A=1 --labels=a=b --port=80", "p --image=i --restart=Never --dry-run=server -o yaml -- sleep 1", "p --image=i --restart=OnFailure --command -- sh",
                 "p --image=i", "p", "Bad --image=i", "q --image=i --port=80 --expose", "q2 --image=i --labels='a b=c'", "q3 --image=", "q4 --image=i --overrides='{\"spec\":{\"nodeName\":\"n\"}}' --dry-run=server -o jsonpath={.spec.nodeName}", "q5 --image=i --overrides='{' "]:
        yield f"run {what}"
    yield k("create -f - --save-config -o yaml", config_map("saved"))
    yield k("create -f - --raw /api/v1/namespaces/create/configmaps", manifest(config_map("raw")))
    yield k("create -f - --edit", config_map("edited"), editor="sed -i s/edited/changed/")
    yield k("create -f - --dry-run=server", config_map("dry"))
    yield k("create -f - --validate=strict", manifest({**config_map("v"), "foo": {"bar": 1}}))
    yield k("create -f -", manifest({**config_map("g"), "metadata": {"generateName": "Bad_"}}))
    yield "delete namespace kc-made --wait=false"
    yield "delete clusterrole kc-cr kc-cr2 kc-cr3"
    yield "delete clusterrolebinding kc-crb"
    yield "delete priorityclass kc-pc kc-pc3"


def delete():
    yield from in_namespace("delete", _delete())


def _delete():
    maps = [config_map(f"m{i}", labels={"n": str(i), "odd": str(i % 2)}) for i in range(8)]
    yield k("create -f -", manifest(*maps, deployment("d"), deployment("e"), pod("p", terminationGracePeriodSeconds=5), pod("bound", nodeName="fake"), pod("q", nodeName="fake"), SERVICE))
    for what in ["cm m0", "cm m0", "cm m0 --ignore-not-found", "cm/m1 svc/s", "cm m2 --dry-run=server", "cm m2 --dry-run=client", "cm m2 --dry-run=server -o name", "cm -l n=2 --now", "cm -l n=none", "cm -l 'n in ('",
                 "cm --field-selector=metadata.name=m3", "cm --field-selector=data.x=1", "cm", "cm --all m4", "cm m4 -l odd=0", "deploy d --cascade=orphan --wait=false", "deploy e --cascade=foreground --wait=false", "deploy none", "cm m5 --cascade=none",
                 "pod p --grace-period=0", "pod bound --grace-period=1 --wait=false", "pod bound --force --grace-period=0", "pod q --grace-period=30 --wait=false", "pod q --now --wait=false", "pod q --force",
                 "cm m6 -o name", "none x", "cm/m6 --wait=false", "-f -", "cm m7 --grace-period=-5", "cm m7 --timeout=5s", "--raw /api/v1/namespaces/delete/configmaps/m4", "--raw /api/v1/namespaces/delete/configmaps/m4", "ns none"]:
        yield f"delete {what}"
        if what == "pod q --grace-period=30 --wait=false":
            yield "get pod q -o yaml"
    yield k("delete -f -", manifest(config_map("m5"), config_map("none")))
    yield k("delete -f - --ignore-not-found", manifest(config_map("m5")))
    yield k("create -f -", manifest(config_map("held", finalizers=["example.com/held"])))
    yield "delete cm held --wait=false"
    yield "delete cm held --timeout=1s"
    yield "get cm held -o yaml"
    yield """patch cm held --type=merge -p '{"metadata":{"finalizers":["example.com/other"]}}'"""
    yield """patch cm held --type=merge -p '{"metadata":{"finalizers":null}}'"""
    yield "get cm held"
    yield "delete deploy,svc,pods --all --wait=false"
    yield "delete all --all -o name"
    yield "delete ns default --wait=false"
    yield "delete cm --all -A --dry-run=server -l none=x"


def describe():
    yield from in_namespace("describe", _describe())


def _describe():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    probe = {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 5}
    objects = [
        config_map("cm", {"a": "1", "b": "two\nlines"}, labels={"x": "y"}, annotations={"n": "o"}), thing("v1", "Secret", "se", stringData={"a": "secret"}),
        pod("p", containers=[{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}], "ports": [{"containerPort": 80}],
                              "livenessProbe": probe, "readinessProbe": {"exec": {"command": ["true"]}}, "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
                              "resources": {"limits": {"cpu": "1"}}}], volumes=[{"name": "v", "configMap": {"name": "cm"}}, {"name": "e", "emptyDir": {}}], nodeSelector={"a": "b"},
            tolerations=[{"key": "k", "operator": "Exists"}], priorityClassName="system-node-critical"),
        deployment("d"), thing("apps/v1", "ReplicaSet", "rs", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template}),
        thing("apps/v1", "StatefulSet", "sts", spec={"serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": template, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}),
        thing("apps/v1", "DaemonSet", "ds", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template}),
        thing("v1", "ReplicationController", "rc", spec={"replicas": 1, "selector": {"a": "b"}, "template": template}),
        thing("batch/v1", "Job", "j", spec=job), CRONJOB, thing("v1", "Service", "s", spec={"type": "LoadBalancer", "selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": 8080}]}),
        thing("v1", "Endpoints", "eps", subsets=[{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]),
        thing("discovery.k8s.io/v1", "EndpointSlice", "slice", addressType="IPv4", endpoints=[{"addresses": ["1.2.3.4"]}], ports=[{"name": "", "port": 80}]),
        thing("networking.k8s.io/v1", "Ingress", "ing", spec={"rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}),
        thing("networking.k8s.io/v1", "NetworkPolicy", "np", spec={"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 80}]}], "policyTypes": ["Ingress"]}),
        thing("v1", "PersistentVolumeClaim", "pvc", spec=claim), thing("v1", "LimitRange", "lr", spec={"limits": [{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}]}),
        thing("policy/v1", "PodDisruptionBudget", "pdb", spec={"minAvailable": 1, "selector": {"matchLabels": {"z": "z"}}}),
        thing("v1", "ServiceAccount", "robot"), thing("rbac.authorization.k8s.io/v1", "Role", "role", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
        thing("rbac.authorization.k8s.io/v1", "RoleBinding", "rb", roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "role"}, subjects=[{"kind": "ServiceAccount", "name": "robot"}]),
        thing("autoscaling/v2", "HorizontalPodAutoscaler", "hpa", spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 1, "maxReplicas": 3,
              "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}),
        thing("coordination.k8s.io/v1", "Lease", "lease", spec={"holderIdentity": "me", "leaseDurationSeconds": 5}), thing("v1", "PodTemplate", "pt", template=template),
        thing("apps/v1", "ControllerRevision", "cr", revision=1, data={"a": 1}), thing("v1", "Event", "ev", involvedObject={"kind": "Pod", "name": "p", "namespace": "describe"}, reason="Because", message="a message", type="Warning", source={"component": "us"}, count=2),
        thing("resource.k8s.io/v1", "ResourceClaim", "claim", spec={"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "kc-class"}}]}}),
        thing("v1", "ResourceQuota", "quota", spec={"hard": {"configmaps": "10"}}),
    ]
    cluster = [
        thing("v1", "PersistentVolume", "kc-pv", spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}),
        thing("storage.k8s.io/v1", "StorageClass", "kc-sc", provisioner="example.com/p"), thing("networking.k8s.io/v1", "IngressClass", "kc-ic", spec={"controller": "example.com/c"}),
        thing("scheduling.k8s.io/v1", "PriorityClass", "kc-prio", value=7), thing("node.k8s.io/v1", "RuntimeClass", "kc-rc", handler="h"), thing("storage.k8s.io/v1", "CSIDriver", "kc.example.com", spec={}),
        thing("storage.k8s.io/v1", "CSINode", "kc-node", spec={"drivers": []}), thing("resource.k8s.io/v1", "DeviceClass", "kc-class", spec={}),
        thing("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "kc-hooks", webhooks=[]), thing("rbac.authorization.k8s.io/v1", "ClusterRole", "kc-role", rules=[{"nonResourceURLs": ["/x"], "verbs": ["get"]}]),
        thing("storage.k8s.io/v1", "VolumeAttachment", "kc-va", spec={"attacher": "kc.example.com", "nodeName": "n", "source": {"persistentVolumeName": "kc-pv"}}),
    ]
    yield k("create -f -", manifest(*objects))
    yield k("create -f -", manifest(*cluster))
    for o in objects + cluster:
        kind = o["kind"]
        name = f"{kind}.{o['apiVersion'].split('/')[1]}.{o['apiVersion'].split('/')[0]}" if "/" in o["apiVersion"] else kind
        yield f"describe {name} {o['metadata']['name']}"
        yield f"get {name} {o['metadata']['name']}"
        yield f"get {name} {o['metadata']['name']} -o wide"
        yield f"get {name} {o['metadata']['name']} -o yaml"
    for what in ["pods", "cm -l x=y", "svc", "pod none", "none x", "pod -l app=p", "pod p --show-events=false", "-f -", "ns describe", "pods q", "cm cm", "clusterrole system:aggregate-to-view"]:
        yield f"describe {what}"
    for what in ["", "--for pod/p", "--types=Warning", "--types=None", "--for pod", "-A --types=Warning", "-o name", "--no-headers", "--types=Normal"]:
        yield f"events {what}"
    yield k("delete -f - --wait=false", manifest(*cluster))
