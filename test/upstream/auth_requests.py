"""Requests about who may do what, for compare.py."""
from patch_types import MERGE

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ASK = "/apis/authorization.k8s.io/v1"
WHO = "/apis/authentication.k8s.io/v1"


def user(name, *groups):
    return {"Impersonate-User": name, **({"Impersonate-Group": groups[0]} if groups else {})}


def rule(verbs, resources, groups=("",), names=None):
    return {"verbs": verbs, "apiGroups": list(groups), "resources": resources, **({"resourceNames": names} if names else {})}


def role(name, *rules, **more):
    return {"metadata": {"name": name}, "rules": list(rules), **more}


def binding(name, kind, target, *subjects):
    return {"metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": target},
            "subjects": [{"kind": k, "name": n, **({"namespace": "compare-auth"} if k == "ServiceAccount" else
                                                  {"apiGroup": "rbac.authorization.k8s.io"})} for k, n in subjects]}


def resource(verb, plural, **more):
    return {"resourceAttributes": {"verb": verb, "resource": plural, **more}}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "compare-auth"}}, {}
    ns = "/api/v1/namespaces/compare-auth"
    local = RBAC + "/namespaces/compare-auth"
    yield "POST", ns + "/serviceaccounts", {"metadata": {"name": "robot"}}, {}
    yield from defaults()
    yield from forbidden(ns)
    yield from roles(ns, local)
    yield from reviews()
    yield from tokens(ns)
    yield from impersonation(ns)
    yield from nodes(ns)
    yield from parameters()


def defaults():
    """The roles and bindings of every cluster; aggregated ones have no rules where no controller runs."""
    for name in ["cluster-admin", "system:discovery", "system:basic-user", "system:public-info-viewer", "system:node", "system:monitoring",
                 "system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view", "system:heapster", "system:kube-dns",
                 "system:node-proxier", "system:kube-scheduler", "system:kube-controller-manager", "system:auth-delegator",
                 "system:volume-scheduler", "system:kubelet-api-admin", "system:node-bootstrapper", "system:node-problem-detector",
                 "system:kube-aggregator", "system:persistent-volume-provisioner", "system:certificates.k8s.io:kubelet-serving-approver",
                 "system:service-account-issuer-discovery", "system:controller:deployment-controller", "system:controller:node-controller",
                 "system:controller:generic-garbage-collector", "system:controller:cronjob-controller"]:
        yield "GET", f"{RBAC}/clusterroles/{name}", None, {}
        yield "GET", f"{RBAC}/clusterrolebindings/{name}", None, {}
    for path in ["kube-system/roles", "kube-system/rolebindings", "kube-public/roles", "kube-public/rolebindings"]:
        yield "GET", f"{RBAC}/namespaces/{path}", None, {}
    yield "GET", f"{RBAC}/clusterrolebindings", None, {}


def forbidden(ns):
    for method, path in [("GET", ns + "/pods"), ("GET", ns + "/pods/x"), ("GET", ns + "/pods/x/log"), ("POST", ns + "/configmaps"),
                         ("DELETE", ns + "/secrets"), ("PUT", "/api/v1/nodes/n"), ("PATCH", ns + "/pods/x/status"), ("GET", "/api/v1/pods?watch=1"),
                         ("GET", "/"), ("GET", "/metrics"), ("GET", "/logs"), ("POST", "/version"), ("GET", "/apis/apps/v1/deployments"),
                         ("GET", "/api/v1/namespaces/compare-auth"), ("GET", "/a<b>&c"), ("GET", ns + "/pods?fieldSelector=metadata.name=x"),
                         ("GET", "/.well-known/openid-configuration"), ("POST", ns + "/pods/x/exec?command=a")]:
        yield method, path, {} if method != "GET" else None, user("alice")
    for path in ["/healthz", "/api", "/apis"]:
        yield "GET", path, None, user("alice") if path == "/healthz" else user("system:anonymous")


def roles(ns, local):
    yield "POST", local + "/roles", role("reader", rule(["get", "list"], ["configmaps"])), {}
    yield "POST", local + "/rolebindings", binding("reader", "Role", "reader", ("User", "alice"), ("ServiceAccount", "robot")), {}
    yield "GET", ns + "/configmaps/none", None, user("alice")
    yield "GET", ns + "/configmaps/none", None, user("system:serviceaccount:compare-auth:robot")
    yield "DELETE", ns + "/configmaps/none", None, user("alice")
    yield "POST", local + "/roles", role("keeper", rule(["create", "update", "patch", "get"], ["roles", "rolebindings"],
                                                        ["rbac.authorization.k8s.io"])), {}
    yield "POST", local + "/rolebindings", binding("keeper", "Role", "keeper", ("User", "alice")), {}
    yield "POST", RBAC + "/clusterroles", role("cluster-keeper", rule(["create", "update", "patch"], ["clusterroles", "clusterrolebindings"],
                                                                      ["rbac.authorization.k8s.io"])), {}
    yield "POST", RBAC + "/clusterrolebindings", binding("cluster-keeper", "ClusterRole", "cluster-keeper", ("Group", "keepers")), {}
    alice = user("alice")
    keeper = user("kim", "keepers")
    for body in [role("a", rule(["get"], ["configmaps"])), role("b", rule(["get", "watch"], ["configmaps", "secrets"])),
                 role("c", rule(["*"], ["*"], ["*"])), role("d", rule(["get"], ["configmaps"], names=["x"])),
                 role("e", rule(["delete", "get"], ["pods/log", "pods"], ["", "apps"], ["x", "y"]))]:
        yield "POST", local + "/roles", body, alice
    yield "PATCH", local + "/roles/a", {"rules": [rule(["list", "delete"], ["configmaps"])]}, {**alice, **MERGE}
    yield "PATCH", local + "/roles/a", {"metadata": {"labels": {"x": "y"}}}, {**alice, **MERGE}
    for body in [binding("a", "Role", "reader", ("User", "me")), binding("b", "Role", "none", ("User", "me")),
                 binding("c", "ClusterRole", "system:kube-dns", ("User", "me")), binding("d", "ClusterRole", "cluster-admin", ("Group", "g")),
                 binding("e", "ClusterRole", "none", ("User", "me")), binding("f", "ClusterRole", "system:node", ("User", "me"))]:
        yield "POST", local + "/rolebindings", body, alice
    for body in [role("paths", {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/healthz"]}),
                 role("more", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})]:
        yield "POST", RBAC + "/clusterroles", body, keeper
    yield "POST", RBAC + "/clusterrolebindings", binding("k", "ClusterRole", "cluster-admin", ("User", "kim")), keeper
    yield "POST", RBAC + "/clusterrolebindings", binding("k", "ClusterRole", "system:discovery", ("User", "kim")), keeper
    yield "POST", RBAC + "/clusterroles", role("binder", rule(["bind", "escalate"], ["clusterroles", "roles"], ["rbac.authorization.k8s.io"])), {}
    yield "POST", local + "/rolebindings", binding("binder", "ClusterRole", "binder", ("User", "alice")), {}
    yield "POST", local + "/rolebindings", binding("g", "ClusterRole", "cluster-admin", ("Group", "g")), alice
    yield "POST", local + "/roles", role("f", rule(["*"], ["*"], ["*"])), alice
    yield "DELETE", local + "/rolebindings/g", None, {}


def reviews():
    for spec in [{}, {"user": "alice"}, {"user": "alice", **resource("get", "configmaps", namespace="compare-auth")},
                 {"user": "alice", **resource("delete", "configmaps", namespace="compare-auth")}, resource("get", "pods"),
                 {"user": "u", "groups": ["system:masters"], **resource("get", "pods")}, {"groups": ["system:authenticated"],
                  "nonResourceAttributes": {"verb": "get", "path": "/apis"}},
                 {"user": "u", "nonResourceAttributes": {"verb": "post", "path": "/healthz"}},
                 {"user": "u", **resource("get", "pods"), "nonResourceAttributes": {"verb": "get", "path": "/x"}},
                 {"user": "system:node:n", "groups": ["system:nodes"], **resource("get", "secrets", namespace="a", name="b")},
                 {"user": "system:kube-scheduler", **resource("create", "pods", subresource="binding", namespace="a")},
                 {"user": "system:serviceaccount:compare-auth:robot", **resource("list", "configmaps", namespace="compare-auth")}]:
        yield "POST", ASK + "/subjectaccessreviews", {"spec": spec}, {}
        yield "POST", ASK + "/namespaces/compare-auth/localsubjectaccessreviews", {"spec": spec}, {}
    yield "POST", ASK + "/subjectaccessreviews", {"spec": {"user": "u", **resource("get", "pods")}, "foo": 1}, {}
    yield "POST", ASK + "/subjectaccessreviews", {"kind": "Pod", "apiVersion": "v1"}, {}
    yield "POST", ASK + "/namespaces/compare-auth/localsubjectaccessreviews", {"metadata": {"namespace": "other"}, "spec": {"user": "u"}}, {}
    for who in [{}, user("alice"), user("system:anonymous")]:
        yield "POST", ASK + "/selfsubjectaccessreviews", {"spec": resource("get", "configmaps", namespace="compare-auth")}, who
        yield "POST", WHO + "/selfsubjectreviews", {}, who
    for spec in [{}, {"namespace": "compare-auth"}]:
        yield "POST", ASK + "/selfsubjectrulesreviews", {"spec": spec}, user("system:node:n", "system:nodes")
    yield "GET", ASK + "/selfsubjectaccessreviews", None, {}


def tokens(ns):
    token = ns + "/serviceaccounts/robot/token"
    for body in [{}, {"spec": {}}, {"spec": {"expirationSeconds": 5}}, {"spec": {"expirationSeconds": 1 << 33}}, {"spec": {"audiences": ["a", "b"]}},
                 {"metadata": {"name": "x"}}, {"metadata": {"namespace": "x"}}, {"metadata": {"uid": "x"}},
                 {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}},
                 {"spec": {"boundObjectRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": "none"}}},
                 {"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "default", "uid": "x"}}}, "nonsense",
                 {"kind": "Pod", "apiVersion": "v1"}]:
        yield "POST", token, body, {}
    yield "POST", ns + "/serviceaccounts/none/token", {"spec": {}}, {}
    yield "POST", token, {"spec": {}}, user("alice")
    yield "GET", token, None, {}
    for spec in [{}, {"token": "abc"}, {"token": "a.b.c"}, {"token": "abcdef.0123456789abcdef"}, {"token": "x", "audiences": ["y"]}]:
        yield "POST", WHO + "/tokenreviews", {"spec": spec}, {}


def impersonation(ns):
    pods = ns + "/pods"
    yield "POST", RBAC + "/clusterroles", role("actor", rule(["impersonate"], ["users"], names=["bob"])), {}
    for headers in [{"Impersonate-Group": "g"}, {"Impersonate-Uid": "1"}, {"Impersonate-Extra-A": "1"}, {"Impersonate-User": "bob", "Impersonate-Uid": "1"},
                    {"Impersonate-User": "bob", "Impersonate-Extra-Acme.io%2fa": "1"}, {"Impersonate-User": "system:serviceaccount:compare-auth:robot"},
                    {"Impersonate-User": "system:serviceaccount:a"}, user("bob", "system:unauthenticated"),
                    user("system:anonymous", "g"), user("x", "system:masters")]:
        yield "POST", WHO + "/selfsubjectreviews", {}, headers
        yield "GET", pods, None, headers


def nodes(ns):
    node = user("system:node:n", "system:nodes")
    for method, path in [("GET", "/api/v1/nodes"), ("GET", "/api/v1/nodes/n"), ("GET", "/api/v1/nodes/other"), ("GET", ns + "/secrets"),
                         ("GET", ns + "/secrets/s"), ("GET", ns + "/configmaps/c"), ("GET", "/api/v1/secrets"), ("GET", "/api/v1/pods"),
                         ("GET", "/api/v1/pods?fieldSelector=spec.nodeName=n"), ("GET", "/api/v1/pods?fieldSelector=spec.nodeName=other"),
                         ("GET", ns + "/pods/p"), ("GET", "/api/v1/persistentvolumes/v"), ("GET", "/api/v1/persistentvolumes"),
                         ("GET", ns + "/persistentvolumeclaims/c"), ("GET", "/apis/storage.k8s.io/v1/volumeattachments/v"),
                         ("GET", "/apis/storage.k8s.io/v1/csinodes/other"), ("GET", "/apis/storage.k8s.io/v1/csinodes"),
                         ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/other"),
                         ("GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases/n"),
                         ("GET", "/apis/node.k8s.io/v1/runtimeclasses"), ("DELETE", "/api/v1/nodes/n"), ("GET", ns + "/serviceaccounts/robot"),
                         ("GET", "/apis/apps/v1/deployments")]:
        yield method, path, None, node
    yield "POST", ns + "/serviceaccounts/robot/token", {"spec": {}}, node
    for name, labels in [("other", {}), ("n", {"node-restriction.kubernetes.io/x": "1", "kubernetes.io/foo": "1", "kubernetes.io/os": "linux"}),
                         ("n", {"kubernetes.io/os": "linux"})]:
        yield "POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}}, node
    for change in [{"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, {"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}}]:
        yield "PATCH", "/api/v1/nodes/n", change, {**node, **MERGE}
        yield "PATCH", "/api/v1/nodes/other", change, {**node, **MERGE}
    mirror = {"metadata": {"name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}
    for body in [{"metadata": {"name": "m"}, "spec": mirror["spec"]}, mirror, {**mirror, "spec": {**mirror["spec"], "nodeName": "other"}},
                 {**mirror, "metadata": {**mirror["metadata"], "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": True}]}}]:
        yield "POST", ns + "/pods", body, node
    for name in ["n", "other"]:
        yield "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", {"metadata": {"name": name}, "spec": {"holderIdentity": name}}, node
        yield "POST", "/apis/storage.k8s.io/v1/csinodes", {"metadata": {"name": name}, "spec": {"drivers": [{"name": "d.io", "nodeID": name}]}}, node


def parameters():
    """Who writes a policy or a binding must be allowed to read what its parameters are."""
    group = "admissionregistration.k8s.io"
    admission = f"/apis/{group}/v1"
    keeper = user("percy", "policy-keepers")
    yield "POST", RBAC + "/clusterroles", role("policy-keeper", rule(["*"], ["*"], [group])), {}
    yield "POST", RBAC + "/clusterrolebindings", binding("policy-keeper", "ClusterRole", "policy-keeper", ("Group", "policy-keepers")), {}
    match = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}
    bodies = {"validating": {"matchConstraints": match, "validations": [{"expression": "true"}]},
              "mutating": {"matchConstraints": match, "reinvocationPolicy": "Never", "failurePolicy": "Fail", "mutations": [
                  {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}]}}
    kinds = {"v1": ("v1", "ConfigMap"), "none": ("v1", "Nothing"), "group": ("example.org/v1", "Thing"), "apps": ("apps/v1", "Deployment"), "rules": (group + "/v1", "ValidatingAdmissionPolicy")}
    for sort, spec in bodies.items():
        policies, bindings = f"{admission}/{sort}admissionpolicies", f"{admission}/{sort}admissionpolicybindings"
        yield "POST", policies, {"metadata": {"name": "plain"}, "spec": spec}, keeper
        yield "POST", policies, {"metadata": {"name": "bad"}, "spec": {**spec, "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "failurePolicy": "x"}}, keeper
        for name, (version, kind) in kinds.items():
            body = {"metadata": {"name": "with-" + name}, "spec": {**spec, "paramKind": {"apiVersion": version, "kind": kind}}}
            yield "POST", policies, body, keeper
            yield "POST", policies + "?dryRun=All", {**body, "metadata": {"name": "other"}}, user("percy", "policy-keepers") | {"Impersonate-Extra-A": "b", "Impersonate-Uid": "7"}
            yield "POST", policies, body, {}
            yield "PATCH", f"{policies}/with-{name}", {"metadata": {"labels": {"a": "b"}}}, {**keeper, **MERGE}
            yield "PATCH", f"{policies}/plain", {"spec": {"paramKind": {"apiVersion": version, "kind": kind}}}, {**keeper, **MERGE}
        more = {"validationActions": ["Deny"]} if sort == "validating" else {}
        for name in ["plain", "absent", *("with-" + kind for kind in kinds)]:
            for reference in ({"name": "p"}, {"name": "p", "namespace": "default"}, {"selector": {"matchLabels": {"a": "b"}}}):
                yield "POST", bindings + "?dryRun=All", {"metadata": {"name": "b"}, "spec": {
                    "policyName": name, "paramRef": {**reference, "parameterNotFoundAction": "Allow"}, **more}}, keeper
        yield "POST", bindings, {"metadata": {"name": "held"}, "spec": {"policyName": "with-v1", "paramRef": {"name": "p", "parameterNotFoundAction": "Allow"}, **more}}, {}
        yield "POST", bindings, {"metadata": {"name": "free"}, "spec": {"policyName": "with-v1", **more}}, keeper
        for name in ("held", "free"):
            yield "PATCH", f"{bindings}/{name}", {"metadata": {"labels": {"a": "b"}}}, {**keeper, **MERGE}
    yield "POST", RBAC + "/clusterroles", role("map-reader", rule(["get", "list"], ["configmaps"]), rule(["get"], ["*"], ["example.org"])), {}
    yield "POST", RBAC + "/clusterrolebindings", binding("map-reader", "ClusterRole", "map-reader", ("Group", "policy-keepers")), {}
    for sort, spec in bodies.items():
        for name, (version, kind) in kinds.items():
            yield "PATCH", f"{admission}/{sort}admissionpolicies/plain?dryRun=All", {"spec": {"paramKind": {"apiVersion": version, "kind": kind}}}, {**keeper, **MERGE}
        yield "PATCH", f"{admission}/{sort}admissionpolicybindings/held", {"metadata": {"labels": {"a": "c"}}}, {**keeper, **MERGE}
