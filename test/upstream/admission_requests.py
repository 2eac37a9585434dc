"""Requests that admission plugins change or refuse, for compare.py: limits, pod security, priority, classes, claims."""
from patch_types import MERGE

NS = "/api/v1/namespaces/admitted"
SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
          "seccompProfile": {"type": "RuntimeDefault"}}


def pod(name, container=None, **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}],
                                                 "serviceAccountName": "default", "automountServiceAccountToken": False, "schedulerName": "nobody", **spec}}


def claim(name, size, **spec):
    return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}}


def resources(requests=None, limits=None):
    return {"resources": {key: value for key, value in (("requests", requests), ("limits", limits)) if value}}


def limits():
    pods, ranges = NS + "/pods?dryRun=All", NS + "/limitranges"
    for limit in [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m", "memory": "10Mi"}, "max": {"cpu": "1"}},
                  {"type": "Container", "min": {"cpu": "200m"}, "maxLimitRequestRatio": {"cpu": "2"}},
                  {"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "100m"}},
                  {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}]:
        yield "POST", ranges, {"metadata": {"name": "l"}, "spec": {"limits": [limit]}}, {}
        for container in [{}, resources({"cpu": "50m"}), resources({"cpu": "1"}, {"cpu": "3"}), resources({"cpu": "200m"}, {"cpu": "900m"}),
                          resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "2Gi"})]:
            yield "POST", pods, pod("p", container), {}
        yield "POST", pods, pod("i", initContainers=[{"name": "init", "image": "i", **resources({"cpu": "300m"}, {"cpu": "400m"})}]), {}
        for size in ["500Mi", "1Gi", "3Gi"]:
            yield "POST", NS + "/persistentvolumeclaims?dryRun=All", claim("c", size), {}
        yield "DELETE", ranges + "/l", None, {}
    yield "POST", ranges, {"metadata": {"name": "bad"}, "spec": {"limits": [{"type": "Pod", "default": {"cpu": "1"}}]}}, {}


def security():
    pods = NS + "/pods?dryRun=All"
    cases = [pod("p"), pod("p", hostNetwork=True, hostPID=True), pod("p", {"securityContext": {"privileged": True}}),
             pod("p", {"securityContext": {"capabilities": {"add": ["NET_ADMIN", "SYS_TIME"]}}}),
             pod("p", {"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 81}]}),
             pod("p", volumes=[{"name": "h", "hostPath": {"path": "/"}}, {"name": "n", "nfs": {"server": "s", "path": "/"}}]),
             pod("p", securityContext={"seLinuxOptions": {"type": "x", "user": "u", "role": "r"}}),
             pod("p", securityContext={"seccompProfile": {"type": "Unconfined"}, "sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
             pod("p", securityContext={"runAsUser": 0, "runAsNonRoot": False}), pod("p", {"securityContext": SECURE}),
             pod("p", {"securityContext": {**SECURE, "runAsUser": 0, "procMount": "Unmasked"}}, hostUsers=False),
             pod("p", {"livenessProbe": {"httpGet": {"port": 80, "host": "1.2.3.4"}}}),
             pod("p", {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}),
             pod("p", {"securityContext": {**SECURE, "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}}),
             pod("p", initContainers=[{"name": "first", "image": "i", "securityContext": {"privileged": True}}])]
    for labels in [{"enforce": "baseline"}, {"enforce": "restricted"}, {"enforce": "restricted", "enforce-version": "v1.18"},
                   {"enforce": "privileged", "warn": "restricted", "audit": "baseline"}, {"enforce": "baseline", "warn": "restricted", "warn-version": "v1.24"}]:
        names = ("enforce", "enforce-version", "warn", "warn-version", "audit")
        yield "PATCH", NS, {"metadata": {"labels": {"pod-security.kubernetes.io/" + name: labels.get(name) for name in names}}}, MERGE
        for body in cases:
            yield "POST", pods, body, {}
        yield "POST", "/apis/apps/v1/namespaces/admitted/deployments?dryRun=All", {
            "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
                                                "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod("x", hostIPC=True)["spec"]}}}, {}
    for labels in [{"enforce": "strict"}, {"enforce": "baseline", "warn-version": "1.2"}, {"audit": "x", "enforce-version": "v1.01"}]:
        yield "POST", "/api/v1/namespaces?dryRun=All", {"metadata": {"name": "bad", "labels": {
            "pod-security.kubernetes.io/" + key: value for key, value in labels.items()}}}, {}
    yield "PATCH", NS, {"metadata": {"labels": {"pod-security.kubernetes.io/" + name: None for name in names}}}, MERGE
    yield "POST", NS + "/pods", pod("root", {"securityContext": {"privileged": True}}), {}
    yield "POST", NS + "/pods", pod("net", hostNetwork=True), {}
    yield "PATCH", NS, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}, MERGE
    yield "PATCH", NS, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}, MERGE


def classes():
    priorities, pods = "/apis/scheduling.k8s.io/v1/priorityclasses", NS + "/pods?dryRun=All"
    for body in [{"metadata": {"name": "usual"}, "value": 10, "globalDefault": True}, {"metadata": {"name": "other"}, "value": 11, "globalDefault": True},
                 {"metadata": {"name": "never"}, "value": 5, "preemptionPolicy": "Never"}, {"metadata": {"name": "system-x"}, "value": 5},
                 {"metadata": {"name": "huge"}, "value": 2000000000}]:
        yield "POST", priorities, body, {}
    for spec in [{}, {"priorityClassName": "never"}, {"priorityClassName": "none"}, {"priorityClassName": "never", "priority": 7},
                 {"priorityClassName": "never", "preemptionPolicy": "PreemptLowerPriority"}, {"priorityClassName": "system-node-critical"}]:
        yield "POST", pods, pod("p", **spec), {}
    yield "DELETE", priorities + "/usual", None, {}
    yield "POST", "/apis/node.k8s.io/v1/runtimeclasses", {
        "metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": {"nodeSelector": {"kvm": "yes"}, "tolerations": [{"key": "kvm", "operator": "Exists"}]}}, {}
    for spec in [{"runtimeClassName": "vm"}, {"runtimeClassName": "none"}, {"runtimeClassName": "vm", "overhead": {"cpu": "1"}},
                 {"overhead": {"cpu": "1"}}, {"runtimeClassName": "vm", "nodeSelector": {"kvm": "no"}},
                 {"runtimeClassName": "vm", "tolerations": [{"operator": "Exists"}]}]:
        yield "POST", pods, pod("p", **spec), {}
    storage = "/apis/storage.k8s.io/v1/storageclasses"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    yield "POST", storage, {"metadata": {"name": "fast", "annotations": default}, "provisioner": "x.example.com/y", "allowVolumeExpansion": True}, {}
    yield "POST", NS + "/persistentvolumeclaims", claim("data", "1Gi"), {}
    yield "POST", NS + "/persistentvolumeclaims?dryRun=All", claim("none", "1Gi", storageClassName=""), {}
    grow = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    yield "PATCH", NS + "/persistentvolumeclaims/data", grow, MERGE
    yield "PATCH", NS + "/persistentvolumeclaims/data/status", {"status": {"phase": "Bound"}}, MERGE
    yield "PATCH", NS + "/persistentvolumeclaims/data", grow, MERGE
    ingress = {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}
    yield "POST", "/apis/networking.k8s.io/v1/ingressclasses", {"metadata": {"name": "web", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
                                                               "spec": {"controller": "example.com/c"}}, {}
    yield "POST", "/apis/networking.k8s.io/v1/namespaces/admitted/ingresses?dryRun=All", {"metadata": {"name": "i"}, **ingress}, {}
    yield "POST", "/api/v1/nodes?dryRun=All", {"metadata": {"name": "n"}}, {}


def quotas():
    """In a namespace of its own; the status is written here, since upstream's server alone counts nothing."""
    ns, dry = "/api/v1/namespaces/counted", "?dryRun=All"
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "counted"}}, {}
    quiet = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}

    def quota(name, hard, **spec):
        yield "POST", ns + "/resourcequotas" + dry, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}, {}
        yield "POST", ns + "/resourcequotas?includeObject=None", {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}, quiet
        yield "WAIT", ns + "/resourcequotas", f'"{name}"', {}
        status = {"status": {"hard": hard, "used": {key: "0" for key in hard}}}
        yield "PATCH", f"{ns}/resourcequotas/{name}/status?includeObject=None", status, {**MERGE, **quiet}

    yield from quota("q", {"pods": "1", "requests.cpu": "1", "limits.memory": "1Gi", "count/secrets": "0", "services": "1",
                           "services.nodeports": "1", "services.loadbalancers": "0", "requests.storage": "1Gi", "persistentvolumeclaims": "1",
                           "slow.storageclass.storage.k8s.io/requests.storage": "500Mi", "count/deployments.apps": "0"})
    full = resources({"cpu": "500m"}, {"memory": "512Mi"})
    for container in [{}, resources({"cpu": "1"}), full, resources({"cpu": "1500m"}, {"memory": "2Gi"}), resources({}, {"cpu": "2", "memory": "1Gi"})]:
        yield "POST", ns + "/pods" + dry, pod("p", container), {}
    yield "POST", ns + "/pods" + dry, pod("i", full, initContainers=[{"name": "init", "image": "i", **resources({"cpu": "2"}, {"memory": "1Mi"})}]), {}
    yield "POST", ns + "/secrets" + dry, {"metadata": {"name": "s"}}, {}
    for spec in [{"type": "NodePort", "ports": [{"port": 80}, {"name": "b", "port": 81}]}, {"type": "LoadBalancer", "ports": [{"port": 80}]}]:
        if "b" in str(spec["ports"]):
            spec["ports"][0]["name"] = "a"
        yield "POST", ns + "/services" + dry, {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, **spec}}, {}
    for size, storage_class in [("2Gi", ""), ("800Mi", "slow"), ("400Mi", "slow")]:
        yield "POST", ns + "/persistentvolumeclaims" + dry, claim("c", size, storageClassName=storage_class), {}
    yield "POST", "/apis/apps/v1/namespaces/counted/deployments" + dry, {"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}}}, {}
    yield "DELETE", ns + "/resourcequotas/q", None, {}
    for name, spec in [("ends", {"scopes": ["Terminating"]}), ("best", {"scopes": ["BestEffort"]}), ("some", {"scopes": ["NotBestEffort"]}),
                       ("high", {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["never"]}]}})]:
        yield from quota(name, {"pods": "0"}, **spec)
        for body in [pod("p"), pod("p", full), pod("p", activeDeadlineSeconds=5), pod("p", priorityClassName="never")]:
            yield "POST", ns + "/pods" + dry, body, {}
        yield "DELETE", ns + "/resourcequotas/" + name, None, {}


def evictions():
    pods, budgets = NS + "/pods", "/apis/policy/v1/namespaces/admitted/poddisruptionbudgets"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "e"}}
    yield "POST", pods, {**pod("e"), "metadata": {"name": "e", "labels": {"app": "e"}}}, {}
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    yield "PATCH", pods + "/e/status", running, MERGE
    for name in ("one", "two"):
        yield "POST", budgets, {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "e"}}}}, {}
    yield "POST", pods + "/e/eviction", body, {}  # two budgets
    yield "DELETE", budgets + "/two", None, {}
    yield "POST", pods + "/none/eviction", {**body, "metadata": {"name": "none"}}, {}
    yield "POST", pods + "/e/eviction", {**body, "metadata": {"name": "other"}}, {}
    yield "POST", pods + "/e/eviction", {}, {}
    yield "DELETE", budgets + "/one", None, {}
    yield "POST", pods + "/e/eviction", {**body, "deleteOptions": {"preconditions": {"uid": "x"}}}, {}
    yield "POST", pods + "/e/eviction?dryRun=All", body, {}
    yield "POST", pods + "/e/eviction", body, {}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "admitted"}}, {}
    for part in (limits, security, classes, quotas, evictions):
        yield from part()
