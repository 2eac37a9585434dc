"""Objects of the network, of storage and of policy that cannot be right, and forbidden changes of good ones, for compare.py."""
from workload_requests import MERGE, changed

NS = "validation"
CORE = f"/api/v1/namespaces/{NS}"


def removed(keys):
    return {keys[0]: removed(keys[1:]) if keys[1:] else None}


def wrong(path, good, changes, name="good"):
    """Objects with each of the changes made, then a good one, which is changed the same ways. `good` is all but the metadata."""
    for i, (keys, value) in enumerate(changes):
        yield "POST", path, {"metadata": {"name": f"bad-{i}"}, **changed(good, keys, value)}, {}
    yield "POST", path, {"metadata": {"name": name}, **good}, {}
    for keys, value in changes:
        patch = changed({}, keys, value) if value is not None else removed(keys)
        yield "PATCH", f"{path}/{name}", patch, MERGE


def core():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, {}
    spec = {"ports": [{"port": 80}], "selector": {"a": "b"}}
    yield from wrong(CORE + "/services", {"spec": spec}, [(["spec", *keys], value) for keys, value in [
        (["ports"], []), (["ports"], [{"port": 0}]), (["ports"], [{"port": 1}, {"port": 1}]), (["ports"], [{"port": 1, "name": "A_b", "protocol": "x"}]),
        (["ports"], [{"name": "a", "port": 1}, {"name": "a", "port": 2}]), (["ports"], [{"port": 80, "targetPort": "a--b"}]),
        (["ports"], [{"port": 80, "targetPort": 70000, "appProtocol": "a b"}]), (["ports"], [{"port": 80, "nodePort": 30001}]),
        (["type"], "x"), (["type"], "ExternalName"), (["externalName"], "A_b"), (["sessionAffinity"], "x"),
        (["sessionAffinityConfig"], {"clientIP": {"timeoutSeconds": 5}}), (["selector"], {"a b": "c d"}), (["externalIPs"], ["x", "127.0.0.1", "0.0.0.0", "169.254.0.1", "fe80::1"]),
        (["loadBalancerSourceRanges"], ["1.2.3.4/8"]), (["loadBalancerClass"], "x"), (["allocateLoadBalancerNodePorts"], True),
        (["externalTrafficPolicy"], "Local"), (["internalTrafficPolicy"], "x"), (["trafficDistribution"], "x"), (["healthCheckNodePort"], 5),
        (["ipFamilies"], ["IPv4", "IPv4"]), (["ipFamilyPolicy"], "x"), (["clusterIP"], "None")]])
    for i, extra in enumerate([
            {"type": "LoadBalancer", "loadBalancerSourceRanges": [" 1.2.3.0/24 ", "x"], "loadBalancerClass": "a b"}, {"type": "LoadBalancer", "clusterIP": "None"},
            {"type": "NodePort", "clusterIP": "None"}, {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}}, {"type": "ExternalName", "externalName": "a_b."},
            {"type": "ExternalName", "externalName": "a", "clusterIP": "10.96.5.5"}, {"type": "LoadBalancer", "externalTrafficPolicy": "x"}]):
        yield "POST", CORE + "/services?dryRun=All", {"metadata": {"name": f"extra-{i}"}, "spec": {**spec, **extra}}, {}
    for name in ("A", "1a", "a.b"):
        yield "POST", CORE + "/services?dryRun=All", {"metadata": {"name": name, "annotations": {"service.kubernetes.io/topology-mode": "a",
                                                      "service.kubernetes.io/topology-aware-hints": "b"}}, "spec": spec}, {}
    for status in [{"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}]:
        yield "PATCH", CORE + "/services/good/status", {"status": status}, MERGE
    yield "POST", CORE + "/services", {"metadata": {"name": "lb"}, "spec": {**spec, "type": "LoadBalancer", "loadBalancerClass": "example.com/x", "allocateLoadBalancerNodePorts": False}}, {}
    yield "PATCH", CORE + "/services/lb", {"spec": {"loadBalancerClass": "example.com/y"}}, MERGE
    for ingress in [{"ip": "x"}, {"hostname": "1.2.3.4"}, {"hostname": "A_b"}, {"ipMode": "VIP"}, {"ip": "1.2.3.4", "ipMode": "x"}]:
        yield "PATCH", CORE + "/services/lb/status", {"status": {"loadBalancer": {"ingress": [ingress]}}}, MERGE

    yield from wrong(CORE + "/endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}, [
        (["subsets"], [{}]), (["subsets"], [{"addresses": [{"ip": "x", "hostname": "A_b", "nodeName": "A_b"}]}]), (["subsets"], [{"addresses": [{"ip": "127.0.0.1"}]}]),
        (["subsets"], [{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}, {"name": "A_b", "port": 70000, "protocol": "x", "appProtocol": "a b"}]}])])

    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "none"}}
    yield from wrong(CORE + "/persistentvolumeclaims", claim, [(["spec", *keys], value) for keys, value in [
        (["accessModes"], None), (["accessModes"], ["x"]), (["accessModes"], ["ReadWriteOncePod", "ReadWriteOnce"]), (["resources"], {"requests": {"storage": "0"}}),
        (["resources", "requests"], {}), (["resources"], {"requests": {"storage": "-1"}}), (["storageClassName"], "A_b"), (["volumeMode"], "x"), (["volumeMode"], "Block"),
        (["selector"], {"matchLabels": {"a b": "c"}}), (["dataSource"], {"kind": "x", "name": ""}), (["dataSource"], {"kind": "x", "name": "a", "apiGroup": "A_b"}),
        (["volumeAttributesClassName"], "A_b")]])
    for spec in [{"storageClassName": "other"}, {"resources": {"requests": {"storage": "2Gi"}}}, {"resources": {"requests": {"storage": "1Mi"}}},
                 {"volumeName": "v"}, {"volumeName": "w"}, {"accessModes": ["ReadOnlyMany"], "storageClassName": "z"}]:
        yield "PATCH", CORE + "/persistentvolumeclaims/good", {"spec": spec}, MERGE
    for status in [{"capacity": {"storage": "-1"}}, {"allocatedResources": {"cpu": "1"}}, {"allocatedResourceStatuses": {"storage": "x"}}]:
        yield "PATCH", CORE + "/persistentvolumeclaims/good/status", {"status": status}, MERGE

    volume = {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}}
    yield from wrong("/api/v1/persistentvolumes", volume, [(["spec", *keys], value) for keys, value in [
        (["capacity"], None), (["capacity"], {"storage": "0"}), (["capacity"], {"cpu": "1"}), (["accessModes"], None), (["accessModes"], ["x"]), (["hostPath"], None),
        (["hostPath", "path"], "a/../b"), (["nfs"], {"server": "a", "path": "b"}), (["persistentVolumeReclaimPolicy"], "x"), (["storageClassName"], "A_b"), (["volumeMode"], "x"),
        (["nodeAffinity"], {}), (["volumeAttributesClassName"], ""), (["hostPath", "path"], "/other")]], name="validation-good")
    for i, source in enumerate([{"local": {"path": "../a"}}, {"csi": {"driver": "A_b"}}, {"csi": {"driver": "a", "volumeHandle": "b", "nodePublishSecretRef": {"name": "A_b"}}}]):
        yield "POST", "/api/v1/persistentvolumes", {"metadata": {"name": f"source-{i}"}, "spec": {**{k: v for k, v in volume["spec"].items() if k != "hostPath"}, **source}}, {}

    limits = [[{"type": "x"}], [{"type": "Pod"}, {"type": "Pod"}], [{"type": "Pod", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}],
              [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}], [{"type": "Container", "max": {"foo": "1"}}], [{"type": "PersistentVolumeClaim"}],
              [{"type": "Container", "defaultRequest": {"cpu": "2"}, "max": {"cpu": "1"}}], [{"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}}],
              [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "3"}, "min": {"cpu": "2"}}],
              [{"type": "Container", "maxLimitRequestRatio": {"cpu": "500m"}}], [{"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}],
              [{"type": "PersistentVolumeClaim", "max": {"foo": "1"}}]]
    yield from wrong(CORE + "/limitranges", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}}, [(["spec", "limits"], limit) for limit in limits])

    yield from wrong(CORE + "/resourcequotas", {"spec": {"hard": {"pods": "5"}}}, [(["spec", *keys], value) for keys, value in [
        (["hard"], {"foo": "1"}), (["hard"], {"storage": "1"}), (["hard"], {"a b": "1"}), (["hard"], {"pods": "-1"}), (["hard"], {"pods": "500m"}), (["scopes"], ["x"]),
        (["scopes"], ["BestEffort", "NotBestEffort"]), (["scopes"], ["BestEffort"]), (["scopeSelector"], {"matchExpressions": [{"scopeName": "x", "operator": "y"}]}),
        (["scopeSelector"], {"matchExpressions": [{"scopeName": "Terminating", "operator": "In", "values": []}]}),
        (["scopeSelector"], {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]}]}),
        (["hard"], {"services": "1"})]])
    yield "POST", CORE + "/resourcequotas", {"metadata": {"name": "unfit"}, "spec": {"hard": {"services": "1", "cpu": "1"}, "scopes": ["BestEffort"]}}, {}


def network():
    networking = f"/apis/networking.k8s.io/v1/namespaces/{NS}"
    backend = {"service": {"name": "web", "port": {"number": 80}}}

    def rule(path="/", kind="Prefix", to=backend, **others):
        return [{**others, "http": {"paths": [{"path": path, "pathType": kind, "backend": to}]}}]

    yield from wrong(networking + "/ingresses", {"spec": {"rules": rule()}}, [(["spec", *keys], value) for keys, value in [
        (["rules"], None), (["rules"], rule("a")), (["rules"], rule("/a//b/..")), (["rules"], rule("/%2f", "Exact")), (["rules"], rule("a", "ImplementationSpecific")), (["rules"], rule("/", "x")),
        (["rules"], rule("/", None)), (["rules"], rule(host="1.2.3.4")), (["rules"], rule(host="A_b")), (["rules"], rule(host="*.A")), (["rules"], [{"http": {"paths": []}}]),
        (["rules"], rule(to={})), (["rules"], rule(to={"service": {"name": "", "port": {}}})), (["rules"], rule(to={"service": {"name": "A_b", "port": {"name": "a--b"}}})),
        (["rules"], rule(to={"service": {"name": "a", "port": {"name": "a", "number": 1}}})), (["rules"], rule(to={"service": {"name": "a", "port": {"number": 70000}}})),
        (["rules"], rule(to={**backend, "resource": {"kind": "a", "name": "b"}})), (["rules"], rule(to={"resource": {"apiGroup": "A_b", "kind": "", "name": "a/b"}})),
        (["defaultBackend"], {}), (["tls"], [{"hosts": ["A_b", "*.a", "*"], "secretName": "A_b"}]), (["ingressClassName"], "A_b")]])
    yield "POST", networking + "/ingresses", {"metadata": {"name": "class", "annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {"ingressClassName": "b", "rules": rule()}}, {}
    for ingress in [{"ip": "x"}, {"hostname": "1.2.3.4"}, {"hostname": "A_b"}]:
        yield "PATCH", networking + "/ingresses/good/status", {"status": {"loadBalancer": {"ingress": [ingress]}}}, MERGE

    ref = {"kind": "a", "name": "b", "scope": "Cluster"}
    yield from wrong("/apis/networking.k8s.io/v1/ingressclasses", {"spec": {"controller": "example.com/a"}}, [(["spec", *keys], value) for keys, value in [
        (["controller"], ""), (["controller"], "a"), (["controller"], "A_b/c d"), (["controller"], "a/" + "b" * 260), (["parameters"], {}), (["parameters"], {**ref, "scope": "x"}),
        (["parameters"], {**ref, "namespace": "a"}), (["parameters"], {**ref, "scope": "Namespace"}), (["parameters"], {**ref, "scope": "Namespace", "namespace": "A_b", "apiGroup": "A_b", "kind": "a/b"}),
        (["controller"], "example.com/b")]], name="validation-good")

    def ports(**port):
        return [{"ports": [port]}]

    def peers(*peers):
        return [{"from": list(peers)}]

    yield from wrong(networking + "/networkpolicies", {"spec": {"podSelector": {}}}, [(["spec", *keys], value) for keys, value in [
        (["podSelector"], {"matchLabels": {"a b": "c"}}), (["ingress"], ports(protocol="x")), (["ingress"], ports(port=0)), (["ingress"], ports(port="a--b", endPort=5)),
        (["ingress"], ports(port=5, endPort=3)), (["ingress"], ports(endPort=3)), (["ingress"], peers({})), (["ingress"], peers({"ipBlock": {"cidr": ""}})), (["ingress"], peers({"ipBlock": {"cidr": "x"}})),
        (["ingress"], peers({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8", "11.0.0.0/9", "x", "10.1.0.1/16"]}})), (["ingress"], peers({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})),
        (["egress"], [{"to": [{}], "ports": [{"port": 70000}]}]), (["policyTypes"], ["x"]), (["policyTypes"], ["Ingress", "Egress", "Ingress"])]])

    slices = f"/apis/discovery.k8s.io/v1/namespaces/{NS}/endpointslices"
    yield from wrong(slices, {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]}, [
        (["addressType"], ""), (["addressType"], "x"), (["addressType"], "IPv6"), (["addressType"], "FQDN"), (["endpoints"], [{"addresses": []}]), (["endpoints"], [{"addresses": ["x", "127.0.0.1", "fd00::1"]}]),
        (["endpoints"], [{"addresses": ["10.0.0.1"], "nodeName": "A_b", "hostname": "A_b", "hints": {"forZones": [{"name": "a"}, {"name": "a"}, {"name": "a b"}]}}]),
        (["ports"], [{"name": "A_b"}, {"name": "a"}, {"name": "a", "protocol": "x", "appProtocol": "a b"}])])
    for i, address in enumerate(["a", "A_b.c", "", "a.b."]):
        yield "POST", slices, {"metadata": {"name": f"fqdn-{i}"}, "addressType": "FQDN", "endpoints": [{"addresses": [address]}]}, {}


def policy():
    budgets = f"/apis/policy/v1/namespaces/{NS}/poddisruptionbudgets"
    yield from wrong(budgets, {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}, [(["spec", *keys], value) for keys, value in [
        (["maxUnavailable"], 1), (["minAvailable"], -1), (["minAvailable"], "x"), (["minAvailable"], "200%"), (["selector"], {"matchLabels": {"a b": "c"}}), (["unhealthyPodEvictionPolicy"], "x")]])
    yield "POST", budgets, {"metadata": {"name": "A_b"}, "spec": {"minAvailable": 1}}, {}
    for status in [{"disruptionsAllowed": -1}, {"conditions": [{"type": "a b", "status": "x", "reason": "1a", "message": "", "lastTransitionTime": None}]}]:
        yield "PATCH", budgets + "/good/status", {"status": status}, MERGE

    yield from wrong("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 5}, [(["value"], 2000000000), (["value"], 6), (["preemptionPolicy"], "x"), (["preemptionPolicy"], ""),
                                                                                 (["preemptionPolicy"], "Never")], name="validation-good")
    for name in ["system-foo", "system-node-critical"]:
        yield "POST", "/apis/scheduling.k8s.io/v1/priorityclasses?dryRun=All", {"metadata": {"name": name}, "value": 5}, {}

    rbac = "/apis/rbac.authorization.k8s.io/v1"
    inside = f"{rbac}/namespaces/{NS}"
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    rules = [[{}], [{"verbs": ["get"]}], [{**rule, "nonResourceURLs": ["/a"]}], [{"verbs": ["get"], "nonResourceURLs": ["/a"]}]]
    yield from wrong(inside + "/roles", {"rules": [rule]}, [(["rules"], value) for value in rules])
    yield from wrong(rbac + "/clusterroles", {"rules": [rule]}, [(["rules"], value) for value in rules[:3]] + [
        (["aggregationRule"], {}), (["aggregationRule"], {"clusterRoleSelectors": [{"matchLabels": {"a b": "c"}}, {"matchExpressions": [{"key": "a", "operator": "x"}]}]})], name="validation-good")
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    bindings = [(["roleRef"], {**ref, "kind": "x"}), (["roleRef"], {**ref, "apiGroup": "x"}), (["roleRef"], {**ref, "name": ""}), (["roleRef"], {**ref, "name": "a/b"}), (["roleRef"], {**ref, "name": "edit"}),
                (["subjects"], [{"kind": "User", "name": ""}]), (["subjects"], [{"kind": "x", "name": "a"}]), (["subjects"], [{"kind": "Group", "name": "a", "apiGroup": "x"}]),
                (["subjects"], [{"kind": "ServiceAccount", "name": "A_b"}]), (["subjects"], [{"kind": "ServiceAccount", "name": "a", "apiGroup": "x", "namespace": "b"}])]
    yield from wrong(inside + "/rolebindings", {"roleRef": ref}, bindings)
    yield from wrong(rbac + "/clusterrolebindings", {"roleRef": ref}, bindings, name="validation-good")


def scaling():
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    yield from wrong(f"/apis/autoscaling/v2/namespaces/{NS}/horizontalpodautoscalers", {"spec": {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [cpu]}}, [(["spec", *keys], value) for keys, value in [
        (["maxReplicas"], 0), (["maxReplicas"], -1), (["minReplicas"], 0), (["minReplicas"], 5), (["scaleTargetRef"], {**target, "kind": "", "name": "a/b"}),
        (["scaleTargetRef", "apiVersion"], "v1"), (["scaleTargetRef", "apiVersion"], "a/b/c"), (["metrics"], [{"type": "x"}]), (["metrics"], [{"type": "Pods"}]), (["metrics"], [{**cpu, "type": "Pods"}]),
        (["metrics"], [{"type": "Resource", "resource": {"name": "", "target": {"type": "x", "averageUtilization": 0, "averageValue": "0"}}}]),
        (["metrics"], [{"type": "Object", "object": {"describedObject": {"kind": "a", "name": "b"}, "metric": {"name": "a/b"}, "target": {"type": "Value"}}}]),
        (["metrics"], [{"type": "External", "external": {"metric": {"name": ""}, "target": {"type": "Value", "value": "1", "averageValue": "-1"}}}]),
        (["metrics"], [{"type": "ContainerResource", "containerResource": {"name": "foo", "container": "A_b", "target": {"type": "Utilization"}}}]),
        (["metrics"], [{"type": "Pods", "pods": {"metric": {"name": "a"}, "target": {"type": "AverageValue"}}}]),
        (["behavior"], {"scaleUp": {"stabilizationWindowSeconds": -1, "selectPolicy": "x", "policies": [{"type": "x", "value": 0, "periodSeconds": 9999}]}}),
        (["behavior"], {"scaleDown": {"stabilizationWindowSeconds": 9999, "policies": policies, "tolerance": "-1"}})]])
    yield from wrong(f"/apis/autoscaling/v1/namespaces/{NS}/horizontalpodautoscalers", {"spec": {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 80}}, [(["spec", *keys], value) for keys, value in [
        (["maxReplicas"], 0), (["minReplicas"], 5), (["targetCPUUtilizationPercentage"], 0)]], name="good-v1")


def storage():
    path = "/apis/storage.k8s.io/v1"
    name = "validation-good"
    yield from wrong(path + "/storageclasses", {"provisioner": "example.com/a"}, [
        (["provisioner"], ""), (["provisioner"], "a b"), (["parameters"], {"": "a"}), (["parameters"], {"a": "b"}), (["reclaimPolicy"], "Recycle"), (["volumeBindingMode"], "x"),
        (["allowedTopologies"], [{"matchLabelExpressions": [{"key": "a b", "values": []}, {"key": "a", "values": ["b", "b"]}, {"key": "a", "values": ["b"]}]}])], name=name)
    yield from wrong(path + "/volumeattachments", {"spec": {"attacher": "a", "nodeName": "b", "source": {"persistentVolumeName": "c"}}}, [(["spec", *keys], value) for keys, value in [
        (["attacher"], ""), (["attacher"], "A_b"), (["nodeName"], "A_b"), (["source"], {"persistentVolumeName": ""}), (["source", "persistentVolumeName"], "A_b"), (["source"], None),
        (["nodeName"], "other")]], name=name)
    yield from wrong(path + "/csidrivers", {"spec": {}}, [(["spec", *keys], value) for keys, value in [
        (["fsGroupPolicy"], "x"), (["tokenRequests"], [{"audience": "a", "expirationSeconds": 5}, {"audience": "a"}]), (["volumeLifecycleModes"], ["x"]),
        (["nodeAllocatableUpdatePeriodSeconds"], 5), (["serviceAccountTokenInSecrets"], True), (["attachRequired"], False), (["volumeLifecycleModes"], ["Ephemeral"])]], name=name)
    driver = {"name": "a", "nodeID": "b", "topologyKeys": ["c"]}
    yield from wrong(path + "/csinodes", {"spec": {"drivers": [driver]}}, [(["spec", "drivers"], value) for value in [
        [{**driver, "name": "A_b", "nodeID": ""}], [driver, driver], [{**driver, "topologyKeys": ["a b", "c", "c"]}], [{**driver, "allocatable": {"count": -1}}], [{**driver, "nodeID": "z"}]]], name=name)
    yield from wrong(f"{path}/namespaces/{NS}/csistoragecapacities", {"storageClassName": "a"}, [
        (["storageClassName"], "A_b"), (["capacity"], "-1"), (["nodeTopology"], {"matchLabels": {"a b": "c"}}), (["storageClassName"], "b")])
    yield from wrong(path + "/volumeattributesclasses", {"driverName": "a", "parameters": {"a": "b"}}, [
        (["driverName"], ""), (["driverName"], "a b"), (["parameters"], None), (["driverName"], "b"), (["parameters"], {"a": "c"})], name=name)
    tolerations = [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "Exists"}, {"key": "a b"}]
    yield from wrong("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "a"}, [
        (["handler"], ""), (["handler"], "A_b"), (["handler"], "b"), (["overhead"], {"podFixed": {"foo": "-1"}}),
        (["scheduling"], {"nodeSelector": {"a b": "c"}, "tolerations": tolerations})], name=name)


def flows():
    path, name = "/apis/flowcontrol.apiserver.k8s.io/v1", "validation-good"
    subject = {"kind": "User", "user": {"name": "a"}}
    verbs = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["a"]}

    def rules(subjects=(subject,), resources=(verbs,), urls=()):
        return [{"subjects": list(subjects), "resourceRules": list(resources), "nonResourceRules": list(urls)}]

    yield from wrong(path + "/flowschemas", {"spec": {"matchingPrecedence": 5, "priorityLevelConfiguration": {"name": "a"}}}, [(["spec", *keys], value) for keys, value in [
        (["matchingPrecedence"], -1), (["matchingPrecedence"], 20000), (["matchingPrecedence"], 1), (["distinguisherMethod"], {"type": "x"}), (["priorityLevelConfiguration"], {"name": ""}),
        (["priorityLevelConfiguration"], {"name": "A_b"}), (["rules"], rules(())), (["rules"], rules(({"kind": "x"},))), (["rules"], rules(({"kind": "User"}, {"kind": "Group", "user": {"name": "a"}}))),
        (["rules"], rules(({"kind": "ServiceAccount", "serviceAccount": {"name": "A_b", "namespace": ""}},))), (["rules"], rules(resources=())), (["rules"], rules(resources=({},))),
        (["rules"], rules(resources=({**verbs, "verbs": ["*", "get"], "namespaces": ["A_b"]}, {**verbs, "verbs": ["x"], "apiGroups": ["*", "a"]}))),
        (["rules"], rules(urls=({"verbs": ["get"], "nonResourceURLs": ["", "a", "/a b", "/a//b", "/*a", "/"]}, {"verbs": ["get"], "nonResourceURLs": ["*", "/a"]})))]], name=name)
    queue = {"type": "Queue", "queuing": {"queues": 8, "handSize": 2, "queueLengthLimit": 5}}
    limited = {"nominalConcurrencyShares": 5, "limitResponse": queue}
    yield from wrong(path + "/prioritylevelconfigurations", {"spec": {"type": "Limited", "limited": limited}}, [(["spec", *keys], value) for keys, value in [
        (["type"], "x"), (["type"], "Exempt"), (["limited"], None), (["exempt"], {}), (["limited", "nominalConcurrencyShares"], -1), (["limited", "limitResponse"], {"type": "x"}),
        (["limited", "lendablePercent"], 200), (["limited", "borrowingLimitPercent"], -1), (["limited", "limitResponse", "queuing"], {"queues": -1, "handSize": -1, "queueLengthLimit": -1}),
        (["limited", "limitResponse", "queuing"], {"queues": 4, "handSize": 5}), (["limited", "limitResponse", "queuing"], {"queues": 20000000, "handSize": 5})]], name=name)
    networking = "/apis/networking.k8s.io/v1"
    parent = {"resource": "services", "name": "a", "namespace": "b"}
    for address, ref in [("10.96.7.7", {}), ("x", parent), ("10.96.7.8", {**parent, "group": "A_b", "resource": "a/b", "name": ""}), ("10.96.7.9", parent)]:
        yield "POST", networking + "/ipaddresses", {"metadata": {"name": address}, "spec": {"parentRef": ref}}, {}
    yield "PATCH", networking + "/ipaddresses/10.96.7.9", {"spec": {"parentRef": {"name": "other"}}}, MERGE
    yield "DELETE", networking + "/ipaddresses/10.96.7.9", None, {}
    for i, cidrs in enumerate([[], ["x"], ["10.1.0.1/16"], ["10.1.0.0/16", "10.2.0.0/16"], ["10.1.0.0/16", "fd00::/112", "10.2.0.0/16"]]):
        yield "POST", networking + "/servicecidrs?dryRun=All", {"metadata": {"name": f"cidr-{i}"}, "spec": {"cidrs": cidrs}}, {}


def webhooks():
    hook = {"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://localhost/x"},
            "rules": [{"operations": ["CREATE"], "apiGroups": ["none"], "apiVersions": ["v1"], "resources": ["pods"]}]}
    rule = hook["rules"][0]
    service = {"namespace": "a", "name": "b"}
    changes = [{"name": ""}, {"name": "a.b"}, {"name": "A_b"}, {"sideEffects": "Some"}, {"sideEffects": None}, {"admissionReviewVersions": []}, {"admissionReviewVersions": ["v2", "v2", "A"]},
               {"timeoutSeconds": 50}, {"failurePolicy": "x", "matchPolicy": "y"}, {"namespaceSelector": {"matchLabels": {"a b": "c"}}}, {"clientConfig": {}},
               {"clientConfig": {"url": "http://a@b/c?d=e#f"}}, {"clientConfig": {"url": "https://"}}, {"clientConfig": {"service": {}}}, {"clientConfig": {"service": {**service, "port": 0, "path": "a//B"}}},
               {"rules": [{}]}, {"rules": [{**rule, "operations": ["*", "x"], "apiGroups": ["*", "a"], "apiVersions": ["*", ""]}]}, {"rules": [{**rule, "resources": ["*", "pods", "pods/*", "pods/a", "*/b", "x/b", "*/*"]}]},
               {"rules": [{**rule, "scope": "x"}]}, {"matchConditions": [{"name": "", "expression": ""}, {"name": "a b", "expression": "true"}]}]
    for kind in ("validating", "mutating"):
        path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
        yield from wrong(path, {"webhooks": [hook]}, [(["webhooks"], [{**hook, **change}]) for change in changes] + [(["webhooks"], [hook, hook])], name="validation-good")
    yield "POST", path, {"metadata": {"name": "again"}, "webhooks": [{**hook, "reinvocationPolicy": "x"}]}, {}
    for kind in ("validating", "mutating"):
        yield "DELETE", f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/validation-good", None, {}


def requests():
    yield from core()
    yield from network()
    yield from policy()
    yield from scaling()
    yield from storage()
    yield from flows()
    yield from webhooks()
