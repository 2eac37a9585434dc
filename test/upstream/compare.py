#!/usr/bin/env python3
"""Sends the same requests to upstream's kube-apiserver and to knarr, and prints where the answers differ.

    test/upstream/compare.py [PATH OF knarr]

Compared are the code, the content type, warnings and the JSON, without what no two servers share (uids, times, revisions).
GROUPS_ONLY=apply,... runs some of the groups only. The differences in KNOWN are meant; any other one fails the run."""
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time

import yaml

import access_requests
import admission_requests
import battery_requests
import apply_requests
import empty_requests
import field_requests
import flow_requests
import form_requests
import part_requests
import patch_requests
import read_requests
import watch_requests
import crd_requests
import extension_requests
import auth_requests
import kind_requests
import validation_requests
import workload_requests
from pair import HERE, Pair, differences
from patch_types import MERGE, OPERATIONS, STRATEGIC

# (method, part of the path, part of the difference): what differs on purpose, and why.
KNOWN = [
    ("", "", ".description:"),  # documentation in our own words
    ("", "", "json parse error:"),  # texts of another JSON parser
    ("PATCH", "/compare/configmaps/a", "error decoding patch:"),
    ("GET", "/index.html", ".paths"), ("GET", "/openapi/v3", ".serverRelativeURL"), ("GET", "openid-configuration", ".jwks_uri"),
    ("GET", "openid-configuration", '"RS256" KN "ES256"'),  # our keys are of another kind
    ("POST", "/forms/", "must be of type ConfigMap): yaml"),  # texts of another parser
    ("PATCH", "/applied/", "error converting YAML to JSON"), ("PATCH", "/patches/", "mapping values are not allowed in this context"),
    ("PATCH", "/parts/pods/p", "pod updates may not change fields"),  # the difference of Go's structures
    ("PATCH", "fieldValidation=Strict", "strict decoding error"),  # an object that a patch was for
    ("PATCH", "/endpointslices/battery?dryRun=All", "patch: Invalid value"), ("PATCH", "/endpointslices/battery?dryRun=All", 'UP "Invalid value'),  # its empty list
    ("PATCH", "/parts/deployments/web/scale", "cannot unmarshal string into Go"),  # the scale's members have another order
    ("PATCH", "/battery/jobs/battery?dryRun=All", "spec.template: Invalid value"), ("PATCH", "/battery/jobs/battery?dryRun=All", '"Invalid value: {\\"Spec'),  # a pod of nothing
    ("GET", "/battery/pods?fieldSelector=metadata.name=battery", ".items: UP null"),  # an empty list in protobuf
    ("DELETE", "/forms/configmaps?labelSelector=x&limit=1&dryRun=All", ".metadata.continue"),  # a limit of deletions that ends exactly with them
    ("POST", "customresourcedefinitions", "only [Description Type"),  # shows a struct of upstream's own
    ("POST", "/widgets", 'Warning: UP 299 - "unknown field \\"spec\\""'),  # of a version that is not served
    # What runs here and not beside upstream's API server alone, or the other way around: controllers.
    ("", "/kinds/resourcequotas", ".status"), ("GET", "/kinds/resourcequotas", ".cells"), ("", "/kinds/resourcequotas", "managedFields"),
    ("", "/validation/resourcequotas", ".status"), ("", "/validation/resourcequotas", "managedFields"),
    ("", "/kinds/poddisruptionbudgets", ".status"), ("GET", "/kinds/poddisruptionbudgets", ".cells"), ("", "/kinds/poddisruptionbudgets", "managedFields"),
    ("", "/validation/poddisruptionbudgets", ".status"), ("", "/validation/poddisruptionbudgets", "managedFields"),
    ("POST", "/configmaps?dryRun=All", "X-Kubernetes-Pf-"),  # a body that is too large is refused before it is known whose it is
    ("", "/apiservices/v1.kinds.example.com", ".status"), ("GET", "/apiservices/v1.kinds.example.com", ".cells"), ("", "/apiservices/v1.kinds.example.com", "managedFields"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName=n", ".items"),  # pods of absent nodes are taken away
    ("GET", "/servicecidrs/kubernetes", "managedFields"),  # upstream's condition is another's
    ("", "/servicecidrs", ".status"), ("", "/servicecidrs", ".finalizers"), ("", "/servicecidrs", "managedFields"),
    ("DELETE", "/servicecidrs/", ""),  # its controller runs here, whose finalizer keeps them for a while
    ("DELETE", "/patches/configmaps/a", '"orphan"] KN ["a/b", "c/d"]'),  # the garbage collector has done its part
    ("PATCH", "/nodes/applied-n/status", ".spec."), ("PATCH", "/nodes/applied-n/status", ".metadata.managedFields"),
    ("GET", "autoscaling/v1", ".cells[2]"),  # HPA v1's metrics stand in another order
    ("GET", "/api", ".serverAddress"),
    # Of the fields once each: expressions that are not compiled yet, addresses and taints that controllers give and take.
    ("", field_requests.TAG, "compilation failed"), ("", "/nodes", ".spec.taints"), ("PATCH", "/nodes/access-n", ".spec.podCIDR"), ("POST", "/kinds/services", "Duplicate value"),
]

JSON = {"Accept": "application/json", "Content-Type": "application/json"}
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
PARTIAL_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}


def config_map(name, data=None, **metadata):
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, **metadata}, "data": data or {"a": "1"}}


def pod(name, **spec):
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": {"x": "1"}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default", "schedulerName": "nobody", **spec}}


def container(**fields):
    return {"containers": [{"name": "c", "image": "i", **fields}]}


def requests():
    """(method, path, body, headers) in order; later ones build on earlier ones."""
    ns = "/api/v1/namespaces/compare"
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "compare", "labels": {"a": "b"}}}, {}
    yield "POST", ns + "/serviceaccounts", {"metadata": {"name": "robot"}}, {}

    maps = ns + "/configmaps"
    for body in [config_map("a"), config_map("a"), config_map("B_d"), {"metadata": {}}, config_map("c", namespace="other"),
                 config_map("c", {"a b": "1"}), {"metadata": {"name": "x"}, "data": {"a": 1}}, {"metadata": {"name": 5}},
                 "nonsense", "", "[]", "null", pod("p"), {"kind": "Foo", "apiVersion": "v1"},
                 {"kind": "ConfigMap", "apiVersion": "v2"}, config_map("r", resourceVersion="5"),
                 config_map("l", labels={"a b": "c"}), config_map("l", annotations={"A/B/C": "1"}, finalizers=["x"]),
                 config_map("o", ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "x"}]), {**config_map("w"), "foo": 1}]:
        yield "POST", maps, body, {}
    yield "POST", maps + "?fieldValidation=Strict", {**config_map("b"), "foo": 1}, {}
    yield "POST", maps + "?fieldValidation=Strict", '{"metadata":{"name":"z"},"data":{"a":"1","a":"2"}}', {}
    for query in ["dryRun=All", "dryRun=x", "fieldValidation=x"]:
        yield "POST", maps + "?" + query, config_map("dry"), {}
    yield "POST", "/api/v1/namespaces/none/configmaps", config_map("a"), {}
    for body in [config_map("b"), config_map("a", resourceVersion="1"), config_map("a", resourceVersion="x"), config_map("a", uid="z"),
                 config_map("a", namespace="other"), config_map("a", {"z": "2"})]:
        yield "PUT", maps + "/a", body, {}
    yield "PUT", maps + "/none", config_map("none"), {}
    for body, kind in [({"data": {"q": "1"}}, MERGE), ({"foo": 1}, MERGE), ({"metadata": {"name": "b"}}, MERGE), ("x", MERGE),
                       ({"metadata": {"resourceVersion": "1"}}, MERGE), ([{"op": "remove", "path": "/none"}], OPERATIONS),
                       ([{"op": "test", "path": "/data/q", "value": "2"}], OPERATIONS), ([{"op": "bad", "path": "/a"}], OPERATIONS),
                       ({"data": {"q": None}}, STRATEGIC)]:
        yield "PATCH", maps + "/a", body, kind
    yield "PATCH", maps + "/none", {}, MERGE
    yield "PATCH", maps, {}, MERGE
    yield "PUT", maps, config_map("a"), {}
    yield "POST", maps, "metadata: {name: y}\ndata: {a: b}\n", {"Content-Type": "application/yaml"}
    yield "POST", maps, "x", {"Content-Type": "text/plain"}
    for query in ["labelSelector=a%20in%20(", "fieldSelector=foo=bar", "fieldSelector=metadata.name=a", "limit=x", "resourceVersion=x",
                  "resourceVersionMatch=Exact", "resourceVersion=0&resourceVersionMatch=Exact",
                  "resourceVersion=0&resourceVersionMatch=Foo", "sendInitialEvents=true",
                  "watch=1&sendInitialEvents=true&timeoutSeconds=1", "watch=1&labelSelector=(("]:
        yield "GET", maps + "?" + query, None, {}
    yield "GET", ns + "/pods?fieldSelector=foo=bar", None, {}
    yield "DELETE", maps + "/none", None, {}
    for body in [{"preconditions": {"uid": "x"}}, {"preconditions": {"resourceVersion": "1"}},
                 {"orphanDependents": True, "propagationPolicy": "Orphan"}]:
        yield "DELETE", maps + "/a", body, {}
    yield "DELETE", maps + "/a?propagationPolicy=x", None, {}
    yield "DELETE", maps + "/a?dryRun=All", None, {}
    yield "DELETE", maps + "/a", None, {}

    pods = ns + "/pods"
    yield "POST", pods, pod("p"), {}
    for spec in [{"containers": []}, container(image=""), container(name="C"), {"restartPolicy": "x"}, {"dnsPolicy": "x"},
                 {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]},
                 container(volumeMounts=[{"name": "n", "mountPath": "/n"}]), container(ports=[{"containerPort": 0}]),
                 container(resources={"limits": {"cpu": "x"}}),
                 container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
                 container(resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}}), {"priorityClassName": "none"}, {"priority": 5},
                 {"nodeName": "A B"}, {"terminationGracePeriodSeconds": -1}, container(livenessProbe={}), {"containers": "x"},
                 {"schedulingGates": [{"name": "a"}]}]:
        yield "POST", pods + "?dryRun=All", {"metadata": {"name": "bad"}, "spec": {**pod("p")["spec"], **spec}}, {}
    yield "PATCH", pods + "/p/status", {"status": {"phase": "Running", "podIP": "1.2.3.4"}}, STRATEGIC
    yield "PATCH", pods + "/p", {"metadata": {"labels": {"x": None, "y": "2"}}}, STRATEGIC
    for name, body in [("p", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}),
                       ("p", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}),
                       ("none", {"metadata": {"name": "none"}, "target": {"name": "n"}})]:
        yield "POST", f"{pods}/{name}/binding", body, {}
    for accept in [{}, TABLE, PARTIAL, PARTIAL_LIST]:
        yield "GET", pods, None, accept
        yield "GET", pods + "/p", None, accept
    for query in ["fieldSelector=spec.nodeName=n", "fieldSelector=status.phase!=Running", "labelSelector=y=2,x!=1"]:
        yield "GET", pods + "?" + query, None, {}
    for query in ["container=none", "tailLines=-1", "sinceSeconds=0&limitBytes=0"]:
        yield "GET", pods + "/p/log?" + query, None, {}
    yield "DELETE", pods + "/p", None, {}
    yield "DELETE", pods + "/p", {"gracePeriodSeconds": 5}, {}
    yield "DELETE", pods + "/p", {"gracePeriodSeconds": 0}, {}

    leases = "/apis/coordination.k8s.io/v1/namespaces/compare/leases"
    yield "POST", leases, {"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0}}, {}
    yield "PUT", leases + "/new", {"metadata": {"name": "new"}, "spec": {"holderIdentity": "me"}}, {}
    yield "PUT", leases + "/new", {"metadata": {"name": "new"}, "spec": {}}, {}
    yield "POST", ns + "/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}}, {}
    yield "PATCH", ns + "/secrets/s", {"type": "x"}, MERGE
    yield "PATCH", ns + "/secrets/s", {"immutable": True}, MERGE
    yield "PATCH", ns + "/secrets/s", {"data": {"z": "ZA=="}}, MERGE
    yield "DELETE", "/api/v1/namespaces/default", None, {}
    for path in ["/apis/none", "/api/v1/none", "/none", ns + "/nodes", "/api/v1/nodes/x", pods + "/x/none", "/healthz", "/livez/none",
                 "/api/v1/namespaces?fieldSelector=metadata.name=compare"]:
        yield "GET", path, None, {}
    yield "POST", "/api/v1/configmaps", config_map("a"), {}
    yield "DELETE", "/api/v1/namespaces", None, {}


GROUPS = {"base": requests, "apply": apply_requests.requests, "forms": form_requests.requests, "parts": part_requests.requests, "auth": auth_requests.requests, "discovery": kind_requests.discovery, "kinds": kind_requests.requests, "services": kind_requests.services, "certificates": kind_requests.certificates,
          "crd": crd_requests.requests, "workloads": workload_requests.requests, "validation": validation_requests.requests, "extensions": extension_requests.requests, "battery": battery_requests.requests, "admission": admission_requests.requests, "flows": flow_requests.requests, "access": access_requests.requests, "empties": empty_requests.requests,
          "reads": read_requests.requests, "streams": watch_requests.requests, "patches": patch_requests.requests}


# Those that look for differences where some are still known to be: they run when GROUPS_ONLY names them.
SEARCHES = {"fields": field_requests.requests}


def chosen_requests(up):
    for name in os.environ.get("GROUPS_ONLY", ",".join(GROUPS)).split(","):
        yield from SEARCHES[name](up) if name in SEARCHES else GROUPS[name]()


def in_order(status):
    """Upstream finds the errors of custom resources in the order of Go's maps, which is none."""
    causes = status.get("details", {}).get("causes")
    if causes:
        causes.sort(key=lambda cause: [cause.get("field", ""), cause["message"]])
        status["message"] = re.sub(r"(?<=is invalid: )\[(.*)\]$", lambda m: ", ".join(sorted(m[1].split(", "))), status["message"], flags=re.S)


def wait(server, path, text):
    for _ in range(200):
        if text in server.send("GET", path, None, {})[2]:
            return
        time.sleep(0.05)
    sys.exit(f"waited in vain for {text} of {path}")


def in_any_order(match):
    """An object that a patch was for, as an error shows it: in the order of Go's maps."""
    try:
        return json.dumps(json.dumps(cleaned(json.loads(json.loads(match[0]))), sort_keys=True))
    except ValueError:
        return match[0]


def cleaned(value):
    """Without what no two servers share."""
    if isinstance(value, dict):
        out = {}
        for key, member in value.items():
            if key == "managedFields" and isinstance(member, list):  # the times that order them may differ by a second
                member = sorted(member, key=lambda m: [str(m.get(k)) for k in ("operation", "manager", "apiVersion", "subresource")])
            if key in ("nonResourceRules", "resourceRules") and isinstance(member, list):  # in the order of a Go map
                member = sorted(member, key=str)
            if key == "causes" and isinstance(member, list) and all(m.get("reason") == "FieldManagerConflict" for m in member):
                member = sorted(member, key=lambda m: [m["message"], m["field"]])  # in the order of a Go map
            shared = key not in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "lastTransitionTime", "continue", "token")
            out[key] = cleaned(member) if shared or not member else f"<{key}>"
        return out
    if isinstance(value, list):
        return [cleaned(member) for member in value]
    if isinstance(value, str):
        value = re.sub(r"^(\d+m)?\d+s$|^\d+m$", "<age>", value)
        value = re.sub(r'(?<=Invalid value: )"\{(?:[^"\\]|\\.)*"', in_any_order, value)
        value = re.sub(r"10\.96\.\d+\.\d+", "<service address>", value)
        value = re.sub(r"\b(g-|A_)[a-z0-9]{5}\b", r"\1<random>", value)  # names that were generated
        value = re.sub(r"(?<![\w.-])(-|a\.|X|a{58})[bcdfghjklmnpqrstvwxz2456789]{5}\b", r"\1<random>", value)
        value = re.sub(r'(resourceVersion\\*":\\*")\d+', r"\1<revision>", value)  # of an object in an error
        value = re.sub(r"X509SHA256=[0-9a-f]{64}", "X509SHA256=<certificate>", value)
        value = re.sub(r"(?<=, current: )\d+", "<revision>", value)
        value = re.sub(r"kube-api-access-[a-z0-9]{5}", "kube-api-access-<random>", value)
        value = re.sub(r"in record \(\d+\)", "in record (<revision>)", value)
        value = value.replace("kube-apiserver-1.36.3", "kube-apiserver")  # as upstream's calls itself after its binary
        return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "<uid>", re.sub(r"20\d\d-\d\d-\d\dT[\d:]+Z", "<time>", value))
    return value


class Server:
    def __init__(self, port, ca, certificate, key):
        self.port = port
        self.stranger = ssl.create_default_context(cafile=ca)  # without a certificate of its own
        self.context = ssl.create_default_context(cafile=ca)
        self.context.load_cert_chain(certificate, key)
        self.token = ""  # that was given out last; @token in what is sent

    def send(self, method, path, body, headers):
        context = self.stranger if "Authorization" in headers else self.context
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        text = json.dumps(body, separators=(",", ":")) if isinstance(body, (dict, list)) else body  # as Go's clients write it
        if isinstance(text, str):
            text = text.replace("@token", self.token)
        connection.request(method, path, text, {**JSON, **{name: value.replace("@token", self.token) for name, value in headers.items()}})
        response = connection.getresponse()
        headers = dict(response.getheaders())
        answer = readable(headers.get("Content-Type") or "", response.read())
        if response.status == 201 and path.partition("?")[0].endswith("/token"):
            self.token = json.loads(answer)["status"]["token"]
        return response.status, headers, answer


_protojson = None


def protobuf_to_json(message):
    """As client-go reads it."""
    global _protojson
    if _protojson is None:
        program = subprocess.run([os.path.join(HERE, "build.sh"), "protojson"], check=True, capture_output=True, text=True).stdout.strip()
        _protojson = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    _protojson.stdin.write(len(message).to_bytes(4, "big") + message)
    _protojson.stdin.flush()
    return json.loads(_protojson.stdout.readline())


def fields(message):
    """The fields of bytes of a message, by number."""
    found, at = {}, 0
    while at < len(message):
        number, at, size, shift = message[at] >> 3, at + 1, 0, 0
        while True:
            size, shift, at = size | (message[at] & 0x7F) << shift, shift + 7, at + 1
            if message[at - 1] < 0x80:
                break
        found[number] = message[at:at + size]
        at += size
    return found


def readable(content_type, body):
    """JSON text, whatever form the answer has; watches as a list of what they told."""
    if "protobuf;stream=watch" in content_type:
        events, at = [], 0
        while at < len(body):
            size = int.from_bytes(body[at:at + 4], "big")
            event, at = fields(body[at + 4:at + 4 + size]), at + 4 + size
            events.append({"type": event[1].decode(), "object": protobuf_to_json(fields(event[2])[1])})
        return json.dumps(events)
    if "protobuf" in content_type and body.startswith(b"k8s\0"):
        return json.dumps(protobuf_to_json(body))
    text = body.decode()
    if "yaml" in content_type:
        return json.dumps(yaml.safe_load(text), default=str)
    if text.startswith('{"type":"') and text.endswith("}\n"):
        return "[" + ",".join(text.splitlines()) + "]"
    return text


def compare(up, kn, method, path, body, headers):
    if method == "WATCHES":
        for watch, told, ours in watch_requests.compare_streams(up, kn, path, body, readable, cleaned):
            yield from (f"{watch}: {difference}" for difference in differences(told, ours))
        return
    up_code, up_headers, up_text = up.send(method, path, body, headers)
    kn_code, kn_headers, kn_text = kn.send(method, path, body, headers)
    if up_code != kn_code:
        yield f"code: UP {up_code} KN {kn_code}"
    for name in ("Warning", "Content-Type", "Vary", "Cache-Control", "Retry-After", "X-Content-Type-Options", "Allow"):
        if up_headers.get(name) != kn_headers.get(name):
            yield f"{name}: UP {up_headers.get(name)} KN {kn_headers.get(name)}"
    for name in ("X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid", "Audit-Id"):  # no two servers share these
        if (name in up_headers) != (name in kn_headers):
            yield f"{name}: UP {up_headers.get(name)} KN {kn_headers.get(name)}"
    try:
        up_json, kn_json = json.loads(up_text), json.loads(kn_text)
        if "example.com" in path or "apiextensions" in path:
            in_order(up_json)
            in_order(kn_json)
        yield from differences(cleaned(up_json), cleaned(kn_json))
    except ValueError:
        if up_text != kn_text:
            yield f"text: UP {up_text!r} KN {kn_text!r}"


def only_nothing(difference):
    """Whether the two say the same but for an empty list or map where the other has null: an error shows whether a client sent it."""
    both = re.fullmatch(r"\S+ UP (.*) KN (.*)", difference)
    return both and len({re.sub(r"\[\]|\{\}", "null", text) for text in both.groups()}) == 1


def known(method, path, difference):
    if field_requests.TAG in path and only_nothing(difference):
        return True
    return any(m in ("", method) and p in path and d in difference for m, p, d in KNOWN)


def make_account(up, namespace):
    """What upstream's controllers make, and knarr's own: pods are refused without it."""
    up.send("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}}, {})


def main():
    with Pair(*sys.argv[1:2]) as pair:
        up = Server(pair.up_port, f"{pair.up_dir}/ca.crt", f"{pair.up_dir}/admin.crt", f"{pair.up_dir}/admin.key")
        kn = Server(pair.kn_port, f"{pair.kn_dir}/pki/ca.crt", f"{pair.kn_dir}/pki/admin.crt", f"{pair.kn_dir}/pki/admin.key")
        make_account(up, "default")
        count = unknown = 0
        for method, path, body, headers in chosen_requests(up):
            if method == "WAIT":
                wait(up, path, body)
                wait(kn, path, body)
                continue
            count += 1
            found = [d for d in compare(up, kn, method, path, body, headers) if not known(method, path, d)]
            if (method, path) == ("POST", "/api/v1/namespaces") and isinstance(body, dict):
                make_account(up, body.get("metadata", {}).get("name", ""))
            if found:
                unknown += len(found)
                print(f"{method} {path} {json.dumps(body)[:100] if body else ''}")
                for difference in found:
                    print("   ", difference[:int(os.environ.get("SHOWN", "600"))])
        print(f"{count} requests, {unknown} differences that are not known")
        return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
