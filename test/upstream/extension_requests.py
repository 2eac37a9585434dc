"""Policies of admission, devices and claims for them, requests for certificates: good ones, wrong ones and forbidden changes, for compare.py."""
import base64
import os
import subprocess
import tempfile

from validation_requests import wrong
from workload_requests import MERGE

NS = "extensions"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
DEVICES = "/apis/resource.k8s.io/v1"
CERTIFICATES = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def below(member, changes):
    return [([member, *keys], value) for keys, value in changes]


RULE = {"operations": ["CREATE"], "apiGroups": ["x.example.com"], "apiVersions": ["v1"], "resources": ["things"]}
MATCH = {"resourceRules": [RULE]}
BAD_LABELS = {"matchLabels": {"a b": "c"}}
MATCHES = [{}, {**MATCH, "matchPolicy": "x"}, {**MATCH, "namespaceSelector": BAD_LABELS}, {**MATCH, "objectSelector": BAD_LABELS},
           {"resourceRules": [{**RULE, "operations": ["x", "*"]}]}, {"resourceRules": [{**RULE, "apiGroups": [], "apiVersions": [""], "resources": ["a/b/c", "*", "b"]}]},
           {**MATCH, "resourceRules": [{**RULE, "resourceNames": ["a/b", "a", "a"]}]}, {**MATCH, "excludeResourceRules": [{**RULE, "scope": "x", "operations": []}]}]
POLICY = [(["failurePolicy"], "x"), (["paramKind"], {}), (["paramKind"], {"apiVersion": "a/b/c", "kind": "A_b"}), (["paramKind"], {"apiVersion": "A_b/V_1", "kind": "a"}),
          (["paramKind"], {"apiVersion": "/", "kind": "a"}), (["paramKind"], {"apiVersion": "v1", "kind": "ConfigMap"}), (["matchConstraints"], None),
          *[(["matchConstraints"], match) for match in MATCHES],
          (["matchConditions"], [{"name": "", "expression": ""}]), (["matchConditions"], [{"name": "a b", "expression": "true"}, {"name": "a", "expression": "true"}]),
          (["matchConditions"], [{"name": f"c{i}", "expression": "true"} for i in range(65)]),
          (["variables"], [{"name": "", "expression": " "}]), (["variables"], [{"name": "a-b", "expression": "1"}]), (["variables"], [{"name": "in", "expression": "1"}])]
REFS = [{}, {"name": "a/b", "parameterNotFoundAction": "Deny"}, {"name": "a"}, {"name": "a", "parameterNotFoundAction": "x"},
        {"name": "a", "selector": {}, "parameterNotFoundAction": "Allow"}, {"selector": BAD_LABELS, "parameterNotFoundAction": "Allow"}]


def policies():
    yield from wrong(ADMISSION + "/validatingadmissionpolicies", {"spec": {"matchConstraints": MATCH, "validations": [{"expression": "true"}]}}, below("spec", [
        *POLICY, (["validations"], None), (["validations"], [{"expression": " ", "messageExpression": " ", "message": " "}]), (["validations"], [{"expression": "true", "message": "a\nb"}]),
        (["validations"], [{"expression": "true", "reason": "x"}]), (["validations"], [{"expression": "true", "reason": "Forbidden", "message": " a "}]),
        (["auditAnnotations"], [{"key": "a b", "valueExpression": ""}]), (["auditAnnotations"], [{"key": "a", "valueExpression": "'x'"}, {"key": "a", "valueExpression": "'y'"}]),
        (["auditAnnotations"], [{"key": "a", "valueExpression": "'" + "x" * 5200 + "'"}]),
        (["auditAnnotations"], [{"key": f"a{i}", "valueExpression": "'x'"} for i in range(21)])]), name="extension-good")
    policy = ADMISSION + "/validatingadmissionpolicies/extension-good"
    for status in [{"observedGeneration": 1}, {"typeChecking": {"expressionWarnings": [{"fieldRef": "", "warning": ""}, {"fieldRef": "spec.validations[0]", "warning": "w"}]}},
                   {"conditions": [{"type": "a b", "status": "x", "reason": "1", "message": ""}]}]:
        yield "PATCH", policy + "/status", {"status": status, "metadata": {"labels": {"a": "b"}}}, MERGE
    yield from wrong(ADMISSION + "/validatingadmissionpolicybindings", {"spec": {"policyName": "extension-good", "validationActions": ["Deny"]}}, below("spec", [
        (["policyName"], ""), (["policyName"], "A_b"), *[(["paramRef"], ref) for ref in REFS], *[(["matchResources"], match) for match in MATCHES],
        (["validationActions"], []), (["validationActions"], ["x"]), (["validationActions"], ["Deny", "Warn"]), (["validationActions"], ["Audit", "Audit"])]), name="extension-good")
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}
    patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: \"add\", path: \"/x\", value: \"y\"}]"}}
    yield from wrong(ADMISSION + "/mutatingadmissionpolicies", {"spec": {"matchConstraints": MATCH, "mutations": [mutation], "reinvocationPolicy": "Never"}}, below("spec", [
        *POLICY, (["matchConstraints"], {"resourceRules": [{**RULE, "operations": ["DELETE"]}]}), (["mutations"], []), (["mutations"], [{"patchType": ""}]), (["mutations"], [{"patchType": "x"}]),
        (["mutations"], [{"patchType": "JSONPatch"}]), (["mutations"], [{"patchType": "ApplyConfiguration"}]), (["mutations"], [{**mutation, "jsonPatch": {"expression": "[]"}}]),
        (["mutations"], [{**patch, "applyConfiguration": {"expression": "Object{}"}}]), (["mutations"], [{"patchType": "JSONPatch", "jsonPatch": {}}]),
        (["mutations"], [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": " "}}]), (["reinvocationPolicy"], ""), (["reinvocationPolicy"], "x")]), name="extension-good")
    yield from wrong(ADMISSION + "/mutatingadmissionpolicybindings", {"spec": {"policyName": "extension-good"}}, below("spec", [
        (["policyName"], ""), (["policyName"], "A_b"), *[(["paramRef"], ref) for ref in REFS], *[(["matchResources"], match) for match in MATCHES],
        (["matchResources"], {"resourceRules": [{**RULE, "operations": ["DELETE"]}]})]), name="extension-good")
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"):
        yield "POST", f"{ADMISSION}/{kind}", {"metadata": {"name": "A_b", "labels": {"a b": "c"}}, "spec": {}}, {}
        yield "POST", f"{ADMISSION}/{kind}", {"metadata": {"name": "a.static.k8s.io"}, "spec": {}}, {}
        yield "GET", f"{ADMISSION}/{kind}/extension-good", None, {}
        yield "DELETE", f"{ADMISSION}/{kind}/extension-good", None, {}


def requests_of(*requests):
    return {"devices": {"requests": list(requests)}}


def claims():
    exactly = {"deviceClassName": "gpu"}
    one = {"name": "a", "exactly": exactly}
    part = {"name": "x", "deviceClassName": "gpu"}
    opaque = {"opaque": {"driver": "d.example.com", "parameters": {"a": 1}}}
    cel = {"cel": {"expression": "true"}}

    def exact(**more):
        return ["devices", "requests"], [{"name": "a", "exactly": {**exactly, **more}}]

    changes = [
        (["devices", "requests"], [{"name": "A_b"}]), (["devices", "requests"], [{"name": ""}]), (["devices", "requests"], [{**one, "firstAvailable": [part]}]), (["devices", "requests"], [one, one]),
        (["devices", "requests"], [{"name": f"r{i}", "exactly": exactly} for i in range(33)]), exact(deviceClassName=""), exact(deviceClassName="A_b"), exact(selectors=[{}]),
        exact(selectors=[{"cel": {"expression": "x" * 10300}}]), exact(selectors=[cel] * 33), exact(allocationMode="x"), exact(allocationMode="All", count=2), exact(count=-1), exact(adminAccess=True),
        exact(tolerations=[{"key": "a b", "operator": "Exists", "value": "v", "effect": "x"}]), exact(tolerations=[{"operator": "Equal", "value": "a b"}]), exact(tolerations=[{"operator": "x"}]),
        exact(tolerations=[{}]), (["devices", "requests"], [{"name": "a", "firstAvailable": [part, part]}]), (["devices", "requests"], [{"name": "a", "firstAvailable": [{"name": "A_b"}]}]),
        (["devices", "requests"], [{"name": "a", "firstAvailable": [{**part, "name": f"p{i}"} for i in range(9)]}]),
        (["devices", "requests"], [{"name": "a", "firstAvailable": [{**part, "allocationMode": "x", "selectors": [{}]}]}]),
        (["devices", "constraints"], [{"requests": ["none", "a/b/c", "A_b", "a", "a"]}]), (["devices", "constraints"], [{"matchAttribute": "a"}]), (["devices", "constraints"], [{"matchAttribute": "/a-b"}]),
        (["devices", "constraints"], [{"matchAttribute": "A_b/"}]), (["devices", "constraints"], [{"distinctAttribute": "example.com/" + "a" * 40}]), (["devices", "constraints"], [{}]),
        (["devices", "constraints"], [{"matchAttribute": "example.com/a"}] * 33), (["devices", "config"], [{}]), (["devices", "config"], [{"opaque": {"driver": "", "parameters": 5}}]),
        (["devices", "config"], [{"requests": ["b"], "opaque": {"driver": "A_b", "parameters": {"a": "x" * 10300}}}]), (["devices", "config"], [{**opaque, "requests": ["a"]}])]
    yield from wrong(f"{DEVICES}/namespaces/{NS}/resourceclaims", {"spec": requests_of(one)}, below("spec", changes))
    yield from wrong(f"{DEVICES}/namespaces/{NS}/resourceclaimtemplates", {"spec": {"spec": requests_of(one)}}, [
        *below("spec", below("spec", changes[:6])), exact_template(exactly), (["spec", "metadata"], {"labels": {"a b": "c"}, "annotations": {"d e": "f"}}),
        (["spec", "metadata"], {"name": "x", "generateName": "y", "finalizers": ["a/b"], "uid": "z"})])
    many = [{"name": "a", "firstAvailable": [part]}, {"name": "b", "exactly": exactly}]
    yield "POST", f"{DEVICES}/namespaces/{NS}/resourceclaims", {"metadata": {"name": "many"}, "spec": {"devices": {
        "requests": many, "constraints": [{"requests": ["a/x", "b", "a/y"], "matchAttribute": "example.com/a"}]}}}, {}
    yield "POST", f"{DEVICES}/namespaces/{NS}/resourceclaims", {"metadata": {"name": "many"}, "spec": {"devices": {
        "requests": many, "constraints": [{"requests": ["a/x", "b"], "matchAttribute": "example.com/a"}], "config": [{**opaque, "requests": ["a"]}]}}}, {}
    yield from claim_statuses(f"{DEVICES}/namespaces/{NS}/resourceclaims/good/status", opaque)
    yield from wrong(DEVICES + "/deviceclasses", {"spec": {}}, below("spec", [
        (["selectors"], [{}]), (["selectors"], [cel] * 33), (["config"], [{}]), (["config"], [opaque] * 33), (["config"], [opaque]), (["extendedResourceName"], "cpu"),
        (["extendedResourceName"], "example.com/gpu"), (["extendedResourceName"], "requests.example.com/gpu")]), name="extension-good")
    yield "POST", DEVICES + "/deviceclasses", {"metadata": {"name": "A_b"}, "spec": {}}, {}
    yield "DELETE", DEVICES + "/deviceclasses/extension-good", None, {}


def exact_template(exactly):
    return ["spec", "spec", "devices", "requests"], [{"name": "a", "exactly": {**exactly, "adminAccess": True}}]


def claim_statuses(path, opaque):
    result = {"request": "a", "driver": "d.example.com", "pool": "p", "device": "d"}
    user = {"resource": "pods", "name": "p", "uid": "u"}
    device = {"driver": "d.example.com", "pool": "p", "device": "d"}
    share = "aaaaaaaa-2222-3333-4444-555555555555"

    def allocated(*results, **more):
        return {"allocation": {"devices": {"results": list(results), **more}}}

    for status in [{"reservedFor": [user]}, allocated({}), allocated({**result, "request": "none", "driver": "A_b", "pool": "a//B", "device": "A_b"}), allocated({**result, "request": "a/b/c"}),
                   allocated({**result, "adminAccess": True}), allocated({**result, "shareID": "x"}), allocated({**result, "shareID": share.upper()}), allocated({**result, "shareID": share.replace("-", "_")}),
                   allocated({**result, "bindingConditions": ["a b", "c", "c"]}), allocated({**result, "bindingFailureConditions": ["a"]}),
                   allocated({**result, "bindingConditions": ["a"], "bindingFailureConditions": ["a", "b", "b"]}), allocated(*[result] * 33), allocated(result, config=[{}]),
                   allocated(result, config=[{"source": "x", **opaque}]), {"allocation": {"nodeSelector": {"nodeSelectorTerms": []}}}, {"devices": [device]}, {"devices": [{}]},
                   allocated(result), allocated({**result, "device": "other"}), {"reservedFor": [user, {**user, "name": "q", "uid": "v"}]}, {"reservedFor": [{}]},
                   {"devices": [{**device, "conditions": [{"type": "a b", "status": "x"}]}]}, {"devices": [{**device, "data": 5}]}, {"devices": [{**device, "data": {"a": "x" * 10300}}]},
                   {"devices": [{**device, "networkData": {"interfaceName": "x" * 300, "hardwareAddress": "x" * 200, "ips": ["x", "10.0.0.1", "10.0.0.01/8", "10.0.0.1/24", "10.0.0.1/24", "fd00::0/64"]}}]},
                   {"devices": [{**device, "networkData": {"ips": ["10.0.0.1/24"]}, "data": {"a": 1}}]}, {"devices": [{**device, "shareID": share}]}, {"reservedFor": None}, {"allocation": None}]:
        yield "PATCH", path, {"status": status}, MERGE
    yield "GET", path.rsplit("/", 1)[0], None, {}


def slices():
    device = {"name": "d"}
    quantity = {"value": "10"}

    def devices(**more):
        return ["devices"], [{**device, **more}]

    def policy(allow=True, **policy):
        return devices(allowMultipleAllocations=allow, capacity={"mem": {**quantity, "requestPolicy": policy}})

    counters = {"counters": {"c": quantity}}
    terms = [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
    yield from wrong(DEVICES + "/resourceslices", {"spec": {"driver": "d.example.com", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "nodeName": "n", "devices": [device]}}, below("spec", [
        (["driver"], ""), (["driver"], "A_b"), (["driver"], "a" * 64), (["pool"], {"name": "", "generation": -1, "resourceSliceCount": 0}), (["pool", "name"], "a/B_"), (["pool", "name"], "a" * 300),
        (["pool", "name"], "other"), (["nodeName"], ""), (["nodeName"], "A_b"), (["nodeName"], "other"), (["nodeName"], None), (["allNodes"], True), (["allNodes"], False), (["perDeviceNodeSelection"], True), (["perDeviceNodeSelection"], False),
        (["nodeSelector"], {"nodeSelectorTerms": terms}), (["nodeSelector"], {"nodeSelectorTerms": terms * 2}), (["nodeSelector"], {"nodeSelectorTerms": []}), (["sharedCounters"], [{"name": "c", **counters}]),
        (["devices"], [device, device]), (["devices"], [{"name": "A_b"}]), (["devices"], [{"name": f"d{i}"} for i in range(129)]),
        (["devices"], [{"name": f"d{i}", "taints": [{"key": "a", "effect": "NoSchedule"}]} for i in range(65)]), devices(attributes={"a": {}}), devices(attributes={"a": {"int": 1, "bool": True}}),
        devices(attributes={"a": {"string": "x" * 65}}), devices(attributes={"a": {"version": "1.2"}}), devices(attributes={"a": {"version": "1.2.3-" + "x" * 70}}), devices(attributes={"a-b": {"int": 1}}),
        devices(attributes={"/a": {"int": 1}}), devices(attributes={"A_b/": {"int": 1}}), devices(attributes={"a" * 40: {"int": 1}}), devices(attributes={f"a{i}": {"int": 1} for i in range(33)}),
        devices(attributes={"a": {"ints": [1]}}), devices(attributes={"a": {"string": "x", "strings": ["a"]}}), devices(capacity={"a-b": quantity}), policy(False), policy(),
        policy(validValues=["1"], validRange={"min": "1"}), policy(validValues=["1"]), policy(default="3", validValues=["2", "1", "1", "20"]), policy(default="1", validValues=["1", "2"]),
        policy(default="1", validValues=[str(i) for i in range(1, 12)]), policy(validRange={}), policy(default="1", validRange={}), policy(default="1", validRange={"min": "2", "max": "1", "step": "3"}),
        policy(default="30", validRange={"min": "20", "max": "25", "step": "1"}), policy(default="3", validRange={"min": "1", "max": "6", "step": "2"}), policy(default="3", validRange={"min": "1", "max": "5", "step": "2"}),
        devices(taints=[{"key": "a b", "value": "c d", "effect": "x"}, {"key": ""}]), devices(taints=[{"key": "a", "effect": "NoExecute"}] * 17), devices(taints=[{"key": "a", "effect": "NoExecute", "timeAdded": "2024-01-02T03:04:05Z"}]),
        devices(consumesCounters=[{"counterSet": "", "counters": {}}]), devices(consumesCounters=[{"counterSet": "A_b", "counters": {"C_d": quantity}}]), devices(consumesCounters=[{"counterSet": "a", **counters}] * 2),
        devices(consumesCounters=[{"counterSet": f"a{i}", **counters} for i in range(3)]), devices(nodeName="n"), devices(bindingConditions=["a"]), devices(bindingConditions=["a"], bindingFailureConditions=["b"], bindsToNode=True),
        devices(bindingConditions=list("abcde"), bindingFailureConditions=["f"]), devices(nodeAllocatableResourceMappings={"cpu": {"capacityKey": "none"}})]), name="extension-good")
    spec = {"driver": "d.example.com", "pool": {"name": "q", "generation": 1, "resourceSliceCount": 1}}
    for i, chosen in enumerate([{"nodeName": ""}, {"nodeName": "A_b"}, {"nodeName": "n", "allNodes": True}, {}, {"allNodes": False}, {"nodeSelector": {"nodeSelectorTerms": terms * 2}}, {"allNodes": True}]):
        yield "POST", DEVICES + "/resourceslices", {"metadata": {"name": f"each-{i}"}, "spec": {**spec, "perDeviceNodeSelection": True, "devices": [{**device, **chosen}]}}, {}
    for i, sets in enumerate([[{"name": "", "counters": {}}], [{"name": "A_b", "counters": {"C_d": quantity}}], [{"name": "a", **counters}] * 2, [{"name": f"a{j}", **counters} for j in range(9)],
                              [{"name": "a", "counters": {f"c{j}": quantity for j in range(33)}}], [{"name": "a", **counters}]]):
        yield "POST", DEVICES + "/resourceslices", {"metadata": {"name": f"counters-{i}"}, "spec": {**spec, "allNodes": True, "sharedCounters": sets}}, {}
    yield "DELETE", DEVICES + "/resourceslices?labelSelector=!none", None, {}


def openssl(*arguments, text=""):
    return subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, check=True).stdout


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def pem(kind, data):
    text = encoded(data)
    lines = "\n".join(text[i:i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"


def certificates():
    with tempfile.TemporaryDirectory() as work:
        key = os.path.join(work, "key")
        asked = {}
        for name, options in {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"], "ed": ["ed25519"]}.items():
            asked[name] = openssl("req", "-new", "-newkey", *options, "-nodes", "-subj", "/CN=me", "-keyout", key)
        certificate = openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=me", "-keyout", key)
    spec = {"signerName": "example.com/signer", "usages": ["client auth"]}

    def tampered(text):
        data = bytearray(base64.b64decode("".join(text.splitlines()[1:-1])))
        data[-1] ^= 1
        return pem("CERTIFICATE REQUEST", bytes(data))

    bad = ["x", pem("NEW CERTIFICATE REQUEST", b"x"), certificate, "text before\n" + asked["ec"], asked["ec"] + certificate, *(tampered(text) for text in asked.values())]
    for i, text in enumerate([*bad, *asked.values()]):
        yield "POST", CERTIFICATES, {"metadata": {"name": f"asked-{i}"}, "spec": {**spec, "request": encoded(text)}}, {}
    yield "POST", CERTIFICATES, {"metadata": {"name": "asked-none"}, "spec": spec}, {}
    yield "POST", CERTIFICATES, {"metadata": {"name": "asked-all"}, "spec": {"request": encoded("x"), "usages": []}}, {}
    path = f"{CERTIFICATES}/asked-{len(bad)}"
    for text in ["x", asked["ec"], pem("CERTIFICATE", b"x"), certificate.replace("-----\n", "-----\nA: b\n\n", 1), certificate + asked["ec"], "x\n" + certificate, certificate + certificate, certificate]:
        yield "PATCH", path + "/status", {"status": {"certificate": encoded(text)}}, MERGE
    yield "PATCH", path + "/status", {"status": {"certificate": None}}, MERGE
    yield "GET", path, None, {}
    for i in range(len(bad) + len(asked)):
        yield "DELETE", f"{CERTIFICATES}/asked-{i}", None, {}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, {}
    for group in (policies, claims, slices, certificates):
        yield from group()
    yield "PATCH", "/api/v1/namespaces/" + NS, {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}, MERGE
    yield "POST", f"{DEVICES}/namespaces/{NS}/resourceclaims", {"metadata": {"name": "admin"}, "spec": requests_of({"name": "a", "exactly": {"deviceClassName": "gpu", "adminAccess": True}})}, {}
