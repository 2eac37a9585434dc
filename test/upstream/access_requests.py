"""Who may do what, further: reviews of every form, tokens as they are bound and shown again, impersonation that is limited, what roles may give away,
requests for certificates and who decides about them. Requests for compare.py; "@token" is the token that the server at hand gave out last."""
from auth_requests import ASK, MERGE, RBAC, WHO, binding, resource, role, rule, user
from kind_requests import CSR

NS = "/api/v1/namespaces/access"
LOCAL = RBAC + "/namespaces/access"
CERTIFICATES = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def refusals():
    """What everybody is told who may not."""
    alice = user("alice", "friends")
    for method, path in [
            ("POST", NS + "/pods/p/eviction"), ("POST", NS + "/pods/p/binding"), ("POST", NS + "/pods/p/attach"), ("GET", NS + "/pods/p/attach"), ("GET", NS + "/pods/p/exec"), ("GET", NS + "/pods/p/portforward"),
            ("POST", NS + "/pods/p/portforward"), ("GET", NS + "/pods/p/proxy/x/y"), ("DELETE", NS + "/pods/p/proxy"), ("PATCH", NS + "/pods/p/resize"), ("PUT", NS + "/pods/p/ephemeralcontainers"),
            ("PUT", NS + "/services/s/proxy/a"), ("GET", "/api/v1/nodes/n/proxy/metrics"), ("GET", "/api/v1/nodes/n/status"), ("POST", NS + "/serviceaccounts/s/token"), ("PUT", "/api/v1/namespaces/access/finalize"),
            ("GET", "/api/v1/namespaces/access/status"), ("PUT", CERTIFICATES + "/c/approval"), ("DELETE", "/apis/apps/v1/namespaces/access/deployments"), ("GET", "/apis/apps/v1/namespaces/access/deployments/d/scale"),
            ("GET", "/apis/example.com/v1/things"), ("GET", "/apis/example.com/v1/namespaces/access/things/t/sub/more"), ("GET", "/apis"), ("GET", "/apis/apps"), ("GET", "/apis/apps/v1"), ("GET", "/api/v1"),
            ("GET", "/openapi/v3/api/v1"), ("HEAD", "/metrics"), ("OPTIONS", "/metrics"), ("PUT", "/metrics"), ("PATCH", "/metrics"), ("DELETE", "/metrics"), ("GET", "/livez?verbose"),
            ("GET", "/readyz/etcd"), ("GET", "/configz"), ("GET", "/api/v1/watch/pods"), ("GET", "/api/v1/watch/namespaces/access/pods"), ("GET", "/api/v1/namespaces/access/watch/pods"), ("GET", NS + "/pods?watch=true&fieldSelector=metadata.name=p"),
            ("GET", NS + "/pods?labelSelector=a=b,c!=d"), ("GET", "/api/v1/namespaces"), ("POST", "/api/v1/namespaces"), ("DELETE", "/api/v1/namespaces/access"), ("POST", ASK + "/subjectaccessreviews"), ("POST", ASK + "/namespaces/access/localsubjectaccessreviews"),
            ("POST", WHO + "/tokenreviews"), ("GET", "/openid/v1/jwks"), ("GET", "/apis/metrics.k8s.io/v1beta1/nodes"), ("GET", "/a//b"), ("GET", "/%41"), ("GET", NS + "/pods/a%20b"), ("GET", NS + "/pods/A_b")]:
        body = {} if method in ("POST", "PUT", "PATCH", "DELETE") else None
        headers = {**alice, **(MERGE if method == "PATCH" else {})}
        if method not in ("HEAD", "OPTIONS"):
            yield method, path, body, headers
    for path in ("/apis", "/api/v1", "/openapi/v2", "/metrics", "/readyz", "/api/v1/namespaces/access", WHO):
        yield "GET", path, None, user("system:anonymous", "system:unauthenticated")


def reviews():
    pods = resource("list", "pods", namespace="access")["resourceAttributes"]
    good = {"key": "a", "operator": "In", "values": ["b"]}
    selectors = [{"fieldSelector": {}}, {"fieldSelector": {"rawSelector": "a=b"}}, {"fieldSelector": {"rawSelector": "a=b", "requirements": [good]}}, {"fieldSelector": {"requirements": [good]}},
                 {"fieldSelector": {"requirements": [{}]}}, {"fieldSelector": {"requirements": [{**good, "operator": "Exists"}]}}, {"fieldSelector": {"requirements": [{**good, "operator": "x"}]}}, {"fieldSelector": {"rawSelector": "=="}},
                 {"labelSelector": {}}, {"labelSelector": {"rawSelector": "a in ("}}, {"labelSelector": {"rawSelector": "a", "requirements": [good]}}, {"labelSelector": {"requirements": [{**good, "values": []}]}},
                 {"labelSelector": {"requirements": [{"key": "", "operator": "Exists"}, {**good, "operator": "DoesNotExist"}]}}, {"labelSelector": {"requirements": [good]}, "fieldSelector": {"requirements": [{**good, "operator": "NotIn"}]}},
                 {"labelSelector": {"requirements": []}}, {"fieldSelector": {"requirements": [{**good, "operator": "In", "values": ["x", "y"]}]}}]
    for more in selectors:
        for kind in ("subjectaccessreviews", "selfsubjectaccessreviews", "namespaces/access/localsubjectaccessreviews"):
            who = {} if kind.startswith("self") else {"user": "alice"}
            yield "POST", f"{ASK}/{kind}", {"spec": {**who, "resourceAttributes": {**pods, **more}}}, {}
    for spec in [{"user": "alice", "groups": [""]}, {"groups": []}, {"user": "alice", "uid": "1", "extra": {"A": ["b"], "c": []}, **resource("get", "pods")}, {"user": "alice", **resource("", "")}, {"user": "alice", **resource("*", "*", group="*")},
                 {"user": "alice", **resource("get", "pods", namespace="other")}, {"user": "alice", **resource("get", "pods", namespace="access", name="p", subresource="log", group="", version="v1")},
                 {"user": "alice", "nonResourceAttributes": {}}, {"user": "alice", "nonResourceAttributes": {"path": "", "verb": ""}}, {"user": "system:masters", **resource("get", "pods")}, {"user": "a", "groups": ["system:masters"], **resource("*", "*", group="*")},
                 {"user": "alice", "resourceAttributes": None}, {"user": "alice", "resourceAttributes": {"verb": 5}}, {"user": "alice", "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}]:
        for kind in ("subjectaccessreviews", "selfsubjectaccessreviews", "namespaces/access/localsubjectaccessreviews", "namespaces/none/localsubjectaccessreviews"):
            yield "POST", f"{ASK}/{kind}?fieldValidation=Strict", {"spec": spec}, {}
            yield "POST", f"{ASK}/{kind}?dryRun=All", {"spec": {key: value for key, value in spec.items() if not kind.startswith("self") or "ttributes" in key}, "metadata": {"name": "x", "labels": {"a": "b"}}}, {}
    for spec in [{}, {"namespace": ""}, {"namespace": "access"}, {"namespace": "A_b"}]:
        for who in (user("alice"), user("system:serviceaccount:access:robot"), user("system:anonymous"), user("u", "system:masters")):
            yield "POST", ASK + "/selfsubjectrulesreviews", {"spec": spec}, who
    extra = {"Impersonate-User": "bob", "Impersonate-Uid": "7", "Impersonate-Group": "g", "Impersonate-Extra-Scopes": "view", "Impersonate-Extra-Acme.com%2FProject": "p", "Impersonate-Extra-%": "x"}
    for headers in (extra, {**extra, "Impersonate-User": ""}, {"Impersonate-User": "system:serviceaccount:access:robot"}, {"Impersonate-User": "system:node:n", "Impersonate-Group": "system:nodes"},
                    {"Impersonate-User": "x", "Impersonate-Group": ""}, {"Impersonate-User": "x", "Impersonate-Extra-": "y"}, {"Impersonate-User": "x", "Impersonate-Extra-authentication.kubernetes.io%2fpod-name": "p"}):
        yield "POST", WHO + "/selfsubjectreviews", {}, headers
        yield "POST", WHO + "/selfsubjectreviews?dryRun=All", {"status": {"userInfo": {"username": "me"}}, "metadata": {"name": "x"}}, headers


def tokens():
    robot = NS + "/serviceaccounts/robot/token"
    yield "POST", NS + "/pods", {"metadata": {"name": "bound"}, "spec": {"serviceAccountName": "robot", "schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]}}, {}
    yield "POST", NS + "/pods", {"metadata": {"name": "another"}, "spec": {"serviceAccountName": "default", "schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]}}, {}
    yield "POST", NS + "/secrets", {"metadata": {"name": "bound"}}, {}
    yield "POST", "/api/v1/nodes", {"metadata": {"name": "access-n"}}, {}
    shown = [{}, {"audiences": ["a"]}, {"audiences": ["https://kubernetes.default.svc.cluster.local", "b"]}, {"audiences": ["none"]}]
    for spec in [{}, {"audiences": ["a", "c"]}, {"audiences": []}, {"audiences": [""]}, {"audiences": ["a", "a"]}, {"expirationSeconds": 600}, {"expirationSeconds": 599}, {"expirationSeconds": 0}, {"expirationSeconds": -1}, {"expirationSeconds": 1 << 32},
                 {"expirationSeconds": (1 << 32) + 1}, {"boundObjectRef": {}}, {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "bound"}}, {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "another"}},
                 {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "bound", "uid": "aaaa"}}, {"boundObjectRef": {"kind": "Pod", "apiVersion": "v2", "name": "bound"}}, {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "bound"}},
                 {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "none"}}, {"boundObjectRef": {"kind": "Node", "apiVersion": "v1", "name": "access-n"}}, {"boundObjectRef": {"kind": "Node", "apiVersion": "v1", "name": "none"}},
                 {"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}, {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1"}}, {"boundObjectRef": {"kind": "", "apiVersion": "", "name": "x"}}, {"audiences": "a"}, {"expirationSeconds": "x"}]:
        yield "POST", robot, {"spec": spec}, {}
        for review in shown:
            yield "POST", WHO + "/tokenreviews", {"spec": {"token": "@token", **review}}, {}
    yield "POST", robot + "?dryRun=All", {"spec": {}}, {}
    yield "POST", robot + "?fieldValidation=Strict", {"spec": {"unknown": 1}}, {}
    yield "POST", robot, {"metadata": {"name": "robot", "namespace": "access"}, "spec": {}}, {}
    yield "POST", robot, {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "bound"}}}, {}
    token = {"Authorization": "Bearer @token"}
    for method, path in (("GET", NS + "/pods"), ("GET", "/api"), ("GET", "/nothing")):
        yield method, path, None, token
    yield "POST", WHO + "/selfsubjectreviews", {}, token
    yield "POST", ASK + "/selfsubjectaccessreviews", {"spec": resource("get", "pods")}, token
    yield "GET", NS + "/pods", None, {**token, "Impersonate-User": "bob"}
    for bad in ("Bearer x", "Bearer a.b.c", "Bearer @token.x", "Bearer ", "Basic YTpi", "bearer @token", "x", "Bearer abcdef.0123456789abcdef"):
        yield "GET", NS + "/pods", None, {"Authorization": bad}
        yield "POST", WHO + "/selfsubjectreviews", {}, {"Authorization": bad}
    for spec in ({"token": ""}, {"token": "@token."}, {"token": "@token", "audiences": []}, {"token": 5}, {"token": "@token", "audiences": [""]}):
        yield "POST", WHO + "/tokenreviews", {"spec": spec}, {}
    yield "DELETE", NS + "/pods/bound", {"gracePeriodSeconds": 0}, {}  # upstream remembers for a while that its tokens were good


def giving():
    """Roles and bindings by those who do not have what they give."""
    yield "POST", RBAC + "/clusterroles", role("access-editor", rule(["*"], ["roles", "rolebindings", "clusterroles", "clusterrolebindings"], ["rbac.authorization.k8s.io"]), rule(["get", "list"], ["pods", "pods/*"]), rule(["update"], ["nodes"], names=["n"])), {}
    for who, path, made in (("gina", "/clusterrolebindings", RBAC), ("lena", "/rolebindings", LOCAL)):
        yield "POST", made + path, {**binding("access-" + who, "ClusterRole", "access-editor", ("User", who))}, {}
    rules = [[rule(["get"], ["pods"])], [rule(["get"], ["pods/log"])], [rule(["get"], ["pods/log", "pods/exec"]), rule(["watch"], ["pods"])], [rule(["*"], ["pods"])], [rule(["get"], ["*"])], [rule(["get"], ["*/log"])], [rule(["update"], ["nodes"])],
             [rule(["update"], ["nodes"], names=["n", "m"])], [rule(["update"], ["nodes"], names=["n"])], [rule(["get"], ["pods"], ["", "apps"])], [rule(["get", "list", "watch", "delete"], ["pods", "secrets"], ["", "extensions"])],
             [{"verbs": ["get"], "nonResourceURLs": ["/metrics", "/healthz/*"]}], [{"verbs": ["*"], "nonResourceURLs": ["*"]}], [rule(["bind"], ["clusterroles"], ["rbac.authorization.k8s.io"], ["view"])], [rule(["escalate", "impersonate"], ["users"], [""])]]
    for who in ("gina", "lena"):
        for i, one in enumerate(rules):
            yield "POST", LOCAL + "/roles?dryRun=All", role(f"r{i}", *one), user(who)
            yield "POST", RBAC + "/clusterroles?dryRun=All", role(f"r{i}", *one), user(who)
        for name in ("view", "edit", "admin", "cluster-admin", "access-editor", "system:auth-delegator", "none"):
            for subject in (("User", "x"), ("ServiceAccount", "robot")):
                yield "POST", LOCAL + "/rolebindings?dryRun=All", binding("b", "ClusterRole", name, subject), user(who)
                yield "POST", RBAC + "/clusterrolebindings?dryRun=All", binding("b", "ClusterRole", name, subject), user(who)
        yield "POST", LOCAL + "/rolebindings?dryRun=All", binding("b", "Role", "none", ("User", "x")), user(who)
        yield "PUT", RBAC + "/clusterroles/view?dryRun=All", role("view", rule(["*"], ["*"], ["*"])), user(who)
        yield "POST", RBAC + "/clusterroles?dryRun=All", role("agg", aggregationRule={"clusterRoleSelectors": [{}]}), user(who)
        yield "PATCH", RBAC + "/clusterrolebindings/access-gina?dryRun=All", {"subjects": [{"kind": "User", "name": "z", "apiGroup": "rbac.authorization.k8s.io"}]}, {**user(who), **MERGE}
        yield "PATCH", RBAC + "/clusterroles/access-editor?dryRun=All", {"metadata": {"labels": {"a": "b"}}}, {**user(who), **MERGE}


def impersonation():
    """By who may do it for some only."""
    yield "POST", RBAC + "/clusterroles", role("access-actor", rule(["impersonate"], ["users"], names=["bob"]), rule(["impersonate"], ["groups"], names=["g"]), rule(["impersonate"], ["userextras/scopes"], ["authentication.k8s.io"], ["view"]),
                                               rule(["impersonate"], ["uids"], ["authentication.k8s.io"], ["7"]), rule(["impersonate"], ["serviceaccounts"], names=["robot"])), {}
    yield "POST", RBAC + "/clusterrolebindings", binding("access-actor", "ClusterRole", "access-actor", ("ServiceAccount", "actor")) | {"subjects": [{"kind": "ServiceAccount", "name": "actor", "namespace": "access"}]}, {}
    yield "POST", NS + "/serviceaccounts/actor/token", {"spec": {}}, {}
    for headers in [{"Impersonate-User": "bob"}, {"Impersonate-User": "eve"}, {"Impersonate-User": "bob", "Impersonate-Group": "g"}, {"Impersonate-User": "bob", "Impersonate-Group": "system:masters"}, {"Impersonate-User": "bob", "Impersonate-Uid": "7"},
                    {"Impersonate-User": "bob", "Impersonate-Uid": "8"}, {"Impersonate-User": "bob", "Impersonate-Extra-Scopes": "view"}, {"Impersonate-User": "bob", "Impersonate-Extra-Scopes": "edit"}, {"Impersonate-User": "bob", "Impersonate-Extra-Other": "x"},
                    {"Impersonate-User": "system:serviceaccount:access:robot"}, {"Impersonate-User": "system:serviceaccount:access:default"}, {"Impersonate-User": "system:serviceaccount:x"}, {"Impersonate-User": "system:anonymous"}, {"Impersonate-User": "system:node:n"},
                    {"Impersonate-Group": "g"}, {"Impersonate-Uid": "7"}]:
        yield "POST", WHO + "/selfsubjectreviews", {}, {"Authorization": "Bearer @token", **headers}
        yield "GET", NS + "/pods", None, {"Authorization": "Bearer @token", **headers}


def certificates():
    spec = {"request": CSR, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    asked = {"Impersonate-User": "carl", "Impersonate-Uid": "9", "Impersonate-Group": "g", "Impersonate-Extra-Scopes": "view"}
    yield "POST", RBAC + "/clusterroles", role("access-csr", rule(["*"], ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"], ["certificates.k8s.io"])), {}
    yield "POST", RBAC + "/clusterrolebindings", binding("access-csr", "ClusterRole", "access-csr", ("User", "carl")), {}
    yield "POST", CERTIFICATES, {"metadata": {"name": "access-0"}, "spec": {**spec, "username": "me", "uid": "x", "groups": ["y"], "extra": {"z": ["1"]}}, "status": {"certificate": "eA==", "conditions": [{"type": "Approved", "status": "True"}]}}, asked
    for more in ({"request": "eA=="}, {"usages": ["any"]}, {"usages": ["server auth", "digital signature"]}, {"signerName": "kubernetes.io/kube-apiserver-client-kubelet"}, {"signerName": "kubernetes.io/kubelet-serving"},
                 {"signerName": "kubernetes.io/none"}, {"expirationSeconds": 599}, {"expirationSeconds": 600}):
        yield "POST", CERTIFICATES + "?dryRun=All", {"metadata": {"name": "access-1"}, "spec": {**spec, **more}}, asked
    approved = {"type": "Approved", "status": "True"}
    for who in (user("carl"), {}):
        for part, conditions in (("approval", [approved]), ("approval", [{**approved, "type": "Denied"}]), ("approval", [{**approved, "type": "Failed"}]), ("approval", [approved, approved]), ("approval", [{**approved, "status": "False"}]), ("approval", []),
                                 ("status", [{**approved, "type": "Failed"}]), ("status", [{**approved, "type": "Other", "status": "Unknown"}])):
            yield "PATCH", f"{CERTIFICATES}/access-0/{part}?dryRun=All", {"status": {"conditions": conditions}}, {**who, **MERGE}
        for certificate in ("eA==", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmVBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="):
            yield "PATCH", CERTIFICATES + "/access-0/status?dryRun=All", {"status": {"certificate": certificate}}, {**who, **MERGE}
        yield "PATCH", CERTIFICATES + "/access-0?dryRun=All", {"spec": {"usages": ["server auth"]}, "status": {"conditions": [approved]}}, {**who, **MERGE}
    yield "DELETE", CERTIFICATES + "/access-0", None, {}


def nodes():
    """A node's own rights, and what they end at."""
    node = user("system:node:access-n", "system:nodes")
    pod = {"metadata": {"name": "mine"}, "spec": {"nodeName": "access-n", "serviceAccountName": "robot", "containers": [{"name": "c", "image": "i"}], "volumes": [
        {"name": "s", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "c"}}, {"name": "p", "persistentVolumeClaim": {"claimName": "p"}}]}}
    yield "POST", NS + "/pods", pod, {}
    yield "POST", NS + "/pods", {**pod, "metadata": {"name": "others"}, "spec": {**pod["spec"], "nodeName": "other", "volumes": [{"name": "s", "secret": {"secretName": "o"}}]}}, {}
    yield "WAIT", NS + "/pods/mine", '"mine"', {}
    for path in ("/secrets/s", "/secrets/o", "/configmaps/c", "/configmaps/o", "/persistentvolumeclaims/p", "/persistentvolumeclaims/o", "/pods/mine", "/pods/others", "/serviceaccounts/robot", "/serviceaccounts/default", "/secrets?fieldSelector=metadata.name=s"):
        yield "GET", NS + path, None, node
    for method, path, body in [
            ("POST", NS + "/serviceaccounts/robot/token", {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "mine"}}}), ("POST", NS + "/serviceaccounts/robot/token", {"spec": {}}),
            ("POST", NS + "/serviceaccounts/robot/token", {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "others", "uid": "x"}}}), ("POST", NS + "/serviceaccounts/default/token", {"spec": {}}),
            ("PATCH", NS + "/pods/mine/status", {"status": {"phase": "Running"}}), ("PATCH", NS + "/pods/others/status", {"status": {"phase": "Running"}}), ("PATCH", NS + "/pods/mine/status", {"metadata": {"labels": {"a": "b"}}}),
            ("PATCH", NS + "/pods/mine", {"metadata": {"labels": {"a": "b"}}}), ("DELETE", NS + "/pods/others", {"gracePeriodSeconds": 0}), ("POST", NS + "/pods/mine/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "mine"}}),
            ("POST", NS + "/pods/others/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "others"}}), ("POST", NS + "/pods", {**pod, "metadata": {"name": "mirror", "annotations": {"kubernetes.io/config.mirror": "x"}}}),
            ("PATCH", "/api/v1/nodes/access-n", {"metadata": {"labels": {"node-restriction.kubernetes.io/a": "b"}}}), 
            ("PATCH", "/api/v1/nodes/access-n", {"metadata": {"labels": {"foo.k8s.io/x": "y", "node.kubernetes.io/z": "y"}}}), ("PATCH", "/api/v1/nodes/access-n", {"spec": {"unschedulable": True}}),
            ("PATCH", "/api/v1/nodes/access-n", {"spec": {"configSource": {"configMap": {"name": "a", "namespace": "b", "kubeletConfigKey": "c"}}}}), ("PATCH", "/api/v1/nodes/access-n", {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]}}),
            ("DELETE", "/api/v1/nodes/access-n", None), ("PATCH", NS + "/persistentvolumeclaims/p", {"status": {}}), ("POST", CERTIFICATES, {"metadata": {"name": "n"}, "spec": {"request": CSR, "signerName": "kubernetes.io/kubelet-serving", "usages": ["server auth"]}}),
            ("GET", "/apis/resource.k8s.io/v1/resourceslices", None), ("GET", "/apis/resource.k8s.io/v1/namespaces/access/resourceclaims/c", None), ("GET", "/apis/discovery.k8s.io/v1/endpointslices", None), ("GET", "/api/v1/namespaces/access", None)]:
        yield method, path + ("&" if "?" in path else "?") + "dryRun=All" if method != "GET" else path, body, {**node, **(MERGE if method == "PATCH" else {})}
    yield "GET", "/api/v1/nodes", None, user("system:node:", "system:nodes")
    yield "GET", NS + "/pods/mine", None, user("system:node:access-n")
    for name in ("mine", "others"):
        yield "DELETE", f"{NS}/pods/{name}", {"gracePeriodSeconds": 0}, {}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "access"}}, {}
    for name in ("robot", "actor"):
        yield "POST", NS + "/serviceaccounts", {"metadata": {"name": name}}, {}
    for group in (refusals, reviews, tokens, giving, impersonation, certificates, nodes):
        yield from group()
