"""Every field of every built-in kind, once each with values that are wrong, odd or empty, for compare.py: in an object that is created and in one
that is changed. The fields are those of the OpenAPI documents that upstream serves, so none is forgotten."""
import copy
import json

from kind_requests import FIXTURES, NS
from patch_types import MERGE

PODS = f"/api/v1/namespaces/{NS}/pods"
POD = {"metadata": {"name": "fields"}, "spec": {"schedulerName": "nobody", "serviceAccountName": "default", "automountServiceAccountToken": False,
                                               "containers": [{"name": "c", "image": "i"}]}}
CORE = f"/api/v1/namespaces/{NS}"
OTHERS = [(CORE + "/configmaps", {"metadata": {}, "data": {"a": "b"}}), (CORE + "/secrets", {"metadata": {}, "data": {"a": "Yg=="}}), (CORE + "/serviceaccounts", {"metadata": {}}),
          ("/api/v1/namespaces", {"metadata": {}, "spec": {}}), ("/api/v1/nodes", {"metadata": {}, "spec": {"podCIDR": "10.1.2.0/24"}}), (PODS, POD),
          (f"/apis/coordination.k8s.io/v1/namespaces/{NS}/leases", {"metadata": {}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 5}})]
# What other groups look at: templates are the pods' own fields again, schemas are crd_requests'.
ELSEWHERE = {"metadata", "openAPIV3Schema", "managedFields"}
TEMPLATES = {"template", "jobTemplate", "volumeClaimTemplates", "volumeClaimTemplate", "inlineVolumeSpec"}
PANICS = ("jobs", ".spec.completions")  # what upstream's server does when these are taken away
SKIPPED = {"customresourcedefinitions", "apiservices"}  # with groups of their own; upstream's controllers change them meanwhile
TAG = "fieldManager=fields"  # by which compare.py knows these requests
NAMES = {"ipaddresses": "10.200.0.78", "servicecidrs": "fields"}


class Schemas:
    """What upstream says its kinds are made of."""

    def __init__(self, server):
        self.server, self.documents = server, {}

    def document(self, group_version):
        if group_version not in self.documents:
            self.documents[group_version] = json.loads(self.server.send("GET", "/openapi/v3/" + group_version, None, {})[2])
        return self.documents[group_version]

    def of(self, collection):
        """The schema of what a collection holds: of the body that is posted to it."""
        head, _, rest = collection.partition(f"/namespaces/{NS}/")
        group_version, plural = (head, rest) if rest else head.rsplit("/", 1)
        path = f"{group_version}/namespaces/{{namespace}}/{plural}" if rest else f"{group_version}/{plural}"
        document = self.document(group_version[1:])
        body = document["paths"][path]["post"]["requestBody"]["content"]
        return document, next(iter(body.values()))["schema"]


def resolved(document, schema):
    while "$ref" in schema or "allOf" in schema:
        schema = schema["allOf"][0] if "allOf" in schema else document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def values(document, schema):
    """Values of a field that somebody ought to refuse, or to look at twice."""
    schema = resolved(document, schema)
    kind = schema.get("type")
    if "oneOf" in schema:  # quantities and numbers or words
        return ["x", -1, "150%", 3, "1.5", ""]
    if schema.get("format") == "date-time":
        return ["x", "2024-01-02T03:04:05Z", 5]
    if schema.get("format") == "byte":
        return ["eA==", "x!", ""]
    if kind == "string":
        return ["x", "A_b c", "", "y" * 260, 5]
    if kind in ("integer", "number"):
        return [-1, 0, 7, 70000, 3000000000, "x"]
    if kind == "boolean":
        return [True, False, "x"]
    if kind == "array":
        item = first(document, schema["items"])
        return [[], [item, item], "x", [None]]
    if "additionalProperties" in schema:
        inner = resolved(document, schema["additionalProperties"])
        texts = inner.get("type") == "string"
        return [{}, {"a b": "c d" if texts else "1"}, {"example.com/a": "b" if texts else "-1"}, {"cpu": "1"}, "x"]
    return [{}, "x"]


def first(document, schema):
    """An element of a list that has as little in it as possible."""
    schema = resolved(document, schema)
    kind = schema.get("type")
    if kind == "string":
        return "x"
    if kind in ("integer", "number"):
        return 1
    if kind == "array":
        return []
    out = {}
    for name in schema.get("required", []):
        field = resolved(document, schema["properties"][name])
        if field.get("type") == "string" and not field.get("format"):
            out[name] = "x"
        elif field.get("type") in ("integer", "number"):
            out[name] = 1
        elif "oneOf" in field:
            out[name] = 1
    return out


def mutated(document, schema, value, seen=(), template=False):
    """(path, what the value looks like with this field changed), for all the fields below."""
    reference = json.dumps(schema.get("$ref", schema.get("allOf")))
    schema = resolved(document, schema)
    if seen.count(reference) > 0 and reference != "null":
        return
    seen = (*seen, reference)
    if schema.get("type") == "array":
        items = value if isinstance(value, list) and value else [first(document, schema["items"])]
        for path, item in mutated(document, schema["items"], items[0], seen):
            yield "[0]" + path, [item, *items[1:]]
    elif schema.get("properties"):
        value = value if isinstance(value, dict) else {}
        for name, field in sorted(schema["properties"].items()):
            if name in ELSEWHERE or not seen[1:] and name in ("kind", "apiVersion", "status"):
                continue
            had = value.get(name)
            for wrong in values(document, field):
                if wrong != had:
                    yield f".{name}", {**value, name: wrong}
            if had is not None:
                yield f".{name}", {key: member for key, member in value.items() if key != name}
                yield f".{name}", {**value, name: None}
                if isinstance(had, list):
                    yield f".{name}", {**value, name: had + had[:1]}
            if name not in TEMPLATES:
                for path, inner in mutated(document, field, had, seen):
                    yield f".{name}{path}", {**value, name: inner}


def kinds(only=None):
    seen = {}
    for collection, body in FIXTURES + OTHERS:
        plural = collection.rsplit("/", 1)[1]
        if plural in SKIPPED or only and plural not in only:
            continue
        body = copy.deepcopy(body)
        number = seen[collection] = seen.get(collection, -1) + 1
        body["metadata"]["name"] = NAMES.get(plural, f"fields-{number}")
        if plural not in NAMES or not number:
            yield collection, body


def requests(server, only=None):
    schemas = Schemas(server)
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, {}
    for collection, body in kinds(only):
        document, schema = schemas.of(collection)
        name = body["metadata"]["name"]
        yield "POST", collection, body, {}
        for path, wrong in mutated(document, schema, body):
            if collection.endswith("/" + PANICS[0]) and path == PANICS[1] and wrong["spec"].get("completions") is None:
                continue
            yield "POST", f"{collection}?dryRun=All&fieldValidation=Strict&{TAG}", {**wrong, "metadata": {**body["metadata"], "name": "new" if "10." not in name else "10.200.0.79"}}, {}
            yield "PATCH", f"{collection}/{name}?dryRun=All&{TAG}", {key: member for key, member in wrong.items() if key != "metadata"}, MERGE
