"""kubectl about who may do what: auth can-i, whoami, reconcile, impersonation."""
from kubectl_commands import in_namespace, k, manifest, thing

RBAC = "rbac.authorization.k8s.io"


def commands():
    yield from in_namespace("access", _commands())


def role(name, kind="Role", verbs=("get",), **more):
    if kind == "Role":
        more["metadata"] = {"namespace": "access"}
    return thing(f"{RBAC}/v1", kind, name, rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}], **more)


def binding(name, role_name, *subjects):
    return thing(f"{RBAC}/v1", "RoleBinding", name, metadata={"namespace": "access"}, roleRef={"apiGroup": RBAC, "kind": "Role", "name": role_name},
                 subjects=[{"kind": kind, "name": user, **({"apiGroup": RBAC} if kind != "ServiceAccount" else {"namespace": "access"})} for kind, user in subjects])


def _commands():
    yield "create role reader --verb=get,list,watch --resource=pods,pods/log"
    yield "create role one --verb=get --resource=configmaps --resource-name=a"
    yield "create rolebinding reader --role=reader --user=ann --group=team --serviceaccount=access:default"
    yield "create rolebinding one --role=one --user=ann"
    yield "create clusterrole kc-urls --verb=get --non-resource-url=/kc/*"
    yield "create clusterrole kc-urls-pods --verb=get --resource=pods"
    yield "create clusterrolebinding kc-urls --clusterrole=kc-urls --user=ann"
    for what in ["get pods", "list pods --as=ann", "create pods --as=ann", "get pods --as=bob", "get pods --as=bob --as-group=team", "get pods --as=bob --as-group=team -v=0 -q", "get pods/log --as=ann", "get pods --subresource=log --as=ann", "get pods --subresource=exec --as=ann", "get cm/a --as=ann", "get cm/b --as=ann",
                 "get cm --as=ann", "get nodes --as=ann", "get /kc/x --as=ann", "get /healthz --as=ann", "get /other --as=ann", "'*' '*'", "'*' '*' --as=ann", "get pods -A --as=ann", "get nones --as=ann", "none pods --as=ann", "get pods.none --as=ann", "get deployments.apps --as=ann", "get deployments.v1.apps --as=ann",
                 "get pods --as=system:serviceaccount:access:default", "get pods --as=system:anonymous", "get pods --as-group=x", "get", "", "get pods extra", "--list --as=ann", "--list --as=bob", "--list --as=system:serviceaccount:access:default", "--list", "--list --no-headers --as=ann", "--list -A --as=ann",
                 "list pods --as=system:node:n --as-group=system:nodes", "get secrets --as=system:node:n --as-group=system:nodes", "create tokenreviews --as=ann", "--list --as=system:node:n --as-group=system:nodes", "use podsecuritypolicies --as=ann", "approve certificatesigningrequests --as=ann"]:
        yield f"auth can-i {what}"
    for what in ["", "--as=ann", "--as=ann --as-group=a --as-group=b", "-o yaml", "-o json", "-o name", "--as=ann --as-uid=u -o yaml", "--as=ann --as-user-extra=k=v -o yaml", "--as-group=x", "--as=system:serviceaccount:access:default"]:
        yield f"auth whoami {what}"
    for text in [manifest(role("rec")), manifest(role("rec")), manifest(role("rec", verbs=("get", "list"))), manifest(binding("rec", "rec", ("User", "ann"))), manifest(binding("rec", "rec", ("User", "bob"))), manifest(binding("rec", "other", ("User", "bob"))),
                 manifest(role("kc-rec", kind="ClusterRole")), manifest(thing("v1", "ConfigMap", "x")), manifest(role("rec", verbs=("delete",)))]:
        yield k("auth reconcile -f -", text)
        yield k("auth reconcile -f - --dry-run=server", text)
    yield k("auth reconcile -f - --remove-extra-permissions --remove-extra-subjects", manifest(role("rec"), binding("rec", "rec", ("Group", "g"))))
    yield "get role,rolebinding -o yaml"
    yield "auth none"
    # Refusals, as users read them.
    for what in ["get pods --as=bob", "get pods x --as=bob", "get nodes --as=ann", "create cm x --as=ann", "delete pod x --as=ann", "get secrets -A --as=ann", "get pods --as=bob --as-group=team", "patch cm a -p '{}' --as=ann", "get cm a --as=ann", "get cm b --as=ann", "create role esc --verb='*' --resource=pods --as=ann",
                 "get --raw /kc/x --as=ann", "get --raw /other --as=ann", "get --raw /metrics --as=ann", "get --raw /api --as=system:anonymous", "get --raw /version --as=system:anonymous --as-group=system:unauthenticated", "api-versions --as=bob", "get pods --as=ann --as-user-extra=a=b", "create token default --as=ann",
                 "get gadgets.none.example.com --as=ann", "scale deploy x --replicas=1 --as=ann", "logs x --as=ann", "exec x --as=ann -- true"]:
        yield what
    yield k("apply -f - --as=ann", manifest(role("esc", verbs=("get", "delete"))))
    yield "create clusterrolebinding kc-edit --clusterrole=system:aggregate-to-edit --user=ed"
    yield "create clusterrole kc-manager --verb=* --resource=roles,rolebindings,pods"
    yield "create clusterrolebinding kc-admin --clusterrole=kc-manager --user=adam"
    yield "create role esc --verb=get,delete --resource=nodes,pods --as=adam"
    yield "create rolebinding esc --clusterrole=cluster-admin --user=adam --as=adam"
    yield "create rolebinding fine --clusterrole=kc-urls-pods --user=x --as=adam"
    yield "create clusterrole kc-esc --verb=get --resource=nodes --as=adam"
    yield "create role esc --verb=get --resource=pods --as=ed"
    for user in ["ed", "adam"]:
        yield f"auth can-i --list --as={user}"
    yield "get clusterrole -o name"
    yield "get clusterrolebinding -o name -l kubernetes.io/bootstrapping"
    yield "get clusterrole system:aggregate-to-view system:aggregate-to-edit system:aggregate-to-admin cluster-admin -o yaml"
    yield "get role,rolebinding -A -l kubernetes.io/bootstrapping"
    yield "get clusterroles,clusterrolebindings -l kubernetes.io/bootstrapping -o wide"
    yield "delete clusterrole kc-urls kc-urls-pods kc-rec kc-manager"
    yield "delete clusterrolebinding kc-urls kc-edit kc-admin"
