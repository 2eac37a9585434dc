"""CustomResourceDefinitions and their objects: requests for compare.py. WAIT polls a path of both servers until the text is there."""
import copy
from patch_types import APPLY, MERGE, OPERATIONS, STRATEGIC

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(plural="widgets", kind="Widget", schema=None, group="example.com", scope="Namespaced", names=None, **version):
    return {"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": scope, "names": {"plural": plural, "kind": kind, **(names or {})},
                     "versions": [{"name": "v1", "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": schema or {"type": "object"}}, **version}]}}


def of_spec(**properties):
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


def changed(body, *steps):
    """A copy with (path, value) set; None removes."""
    out = copy.deepcopy(body)
    for path, value in steps:
        at = out
        *parents, last = path.split("/")
        for step in parents:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if isinstance(at, list):
            last = int(last)
        if value is None:
            del at[last]
        else:
            at[last] = value
    return out


def bad_definitions():
    good = definition("bads", "Bad")
    v = "spec/versions/0/"
    for steps in [
            [("metadata/name", "other.example.com")], [("metadata/name", "Bad_Name")], [("spec/group", "")], [("spec/group", "x")],
            [("spec/group", "Bad.com")], [("spec/scope", "")], [("spec/scope", "None")], [("spec/names/plural", "")],
            [("spec/names/plural", "Bads")], [("spec/names/kind", "")], [("spec/names/kind", "a b")], [("spec/names/listKind", "Bad")],
            [("spec/names/singular", "A")], [("spec/names/shortNames", ["b", "B!"])], [("spec/names/categories", ["All"])],
            [("spec/versions", [])], [(v + "name", "")], [(v + "name", "V1")], [(v + "storage", False)], [(v + "schema", None)],
            [("spec/versions", [good["spec"]["versions"][0], good["spec"]["versions"][0]])],
            [(v + "deprecationWarning", "x")], [(v + "deprecated", True), (v + "deprecationWarning", "")],
            [(v + "deprecated", True), (v + "deprecationWarning", "a\nb")],
            [(v + "additionalPrinterColumns", [{"name": "", "type": "x", "format": "y", "jsonPath": "z"}])],
            [(v + "additionalPrinterColumns", [{"name": "a", "type": "string", "jsonPath": ""}])],
            [(v + "subresources", {"scale": {"specReplicasPath": "", "statusReplicasPath": ".spec.x"}})],
            [(v + "subresources", {"scale": {"specReplicasPath": "spec.x", "statusReplicasPath": ".status.x", "labelSelectorPath": ".x"}})],
            [(v + "selectableFields", [{"jsonPath": ".spec.none"}])], [(v + "selectableFields", [{"jsonPath": ""}])],
            [(v + "selectableFields", [{"jsonPath": ".metadata.name"}])],
            [("spec/conversion", {"strategy": "x"})], [("spec/conversion", {"strategy": "Webhook"})],
            [("spec/conversion", {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}})],
            [("spec/conversion", {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v9"], "clientConfig": {}}})],
            [("spec/conversion", {"strategy": "Webhook", "webhook": {
                "conversionReviewVersions": ["v1", "v1"], "clientConfig": {"url": "http://x"}}})],
            [("spec/preserveUnknownFields", True)], [("spec/foo", 1)], [("spec/versions", "x")]]:
        yield "POST", CRDS, changed(good, *steps), {}
    yield "POST", CRDS, definition("things", "Thing", group="x.k8s.io"), {}
    yield "POST", CRDS, changed(definition("things", "Thing", group="x.k8s.io"),
                                ("metadata/annotations", {"api-approved.kubernetes.io": "nonsense"})), {}
    yield "POST", CRDS + "?fieldValidation=Strict", changed(good, (v + "schema/openAPIV3Schema/foo", 1)), {}


def bad_schemas():
    text, number = {"type": "string"}, {"type": "integer"}
    item = {"type": "object", "properties": {"name": text}, "required": ["name"]}
    for schema in [
            {}, {"type": "string"}, {"type": "array"}, {"type": "object", "nullable": True},
            {"type": "object", "additionalProperties": True}, {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
            of_spec(a={}), of_spec(a={"type": "nonsense"}), of_spec(a={"type": "null"}), of_spec(a={"type": "array"}),
            of_spec(a={"type": "array", "items": {}}), of_spec(a={"type": "array", "items": [text]}),
            of_spec(a={"type": "object", "properties": {"x": text}, "additionalProperties": text}),
            of_spec(a={"type": "object", "additionalProperties": {}}),
            of_spec(a={"type": "string", "pattern": "("}), of_spec(a={"type": "string", "pattern": "a(?=b)"}),
            of_spec(a={"type": "string", "pattern": "[z-a]"}), of_spec(a={"type": "string", "pattern": "*"}),
            of_spec(a={**text, "uniqueItems": True}), of_spec(a={**text, "id": "x"}), of_spec(a={**text, "$ref": "#/x"}),
            of_spec(a={**text, "definitions": {"x": text}}), of_spec(a={**text, "dependencies": {"x": ["y"]}}),
            of_spec(a={**text, "patternProperties": {"x": text}}), of_spec(a={**text, "additionalItems": True}),
            of_spec(a={"type": "string", "x-kubernetes-list-type": "set"}), of_spec(a={"x-kubernetes-map-type": "atomic",
                                                                                       "x-kubernetes-preserve-unknown-fields": True}),
            of_spec(a={"type": "object", "x-kubernetes-map-type": "nonsense"}),
            of_spec(a={"type": "array", "items": text, "x-kubernetes-list-type": "nonsense"}),
            of_spec(a={"type": "array", "items": item, "x-kubernetes-list-type": "map"}),
            of_spec(a={"type": "array", "items": item, "x-kubernetes-list-map-keys": ["name"]}),
            of_spec(a={"type": "array", "items": item, "x-kubernetes-list-type": "set", "x-kubernetes-list-map-keys": ["name"]}),
            of_spec(a={"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["none"]}),
            of_spec(a={"type": "array", "items": text, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
            of_spec(a={"type": "array", "items": {"type": "object", "properties": {"name": text}}, "x-kubernetes-list-type": "map",
                       "x-kubernetes-list-map-keys": ["name"]}),
            of_spec(a={"type": "array", "items": {**item, "nullable": True}, "x-kubernetes-list-type": "map",
                       "x-kubernetes-list-map-keys": ["name"]}),
            of_spec(a={"type": "array", "items": item, "x-kubernetes-list-type": "set"}),
            of_spec(a={"type": "array", "items": {**text, "nullable": True}, "x-kubernetes-list-type": "set"}),
            of_spec(a={"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
            of_spec(a={"x-kubernetes-int-or-string": True, "x-kubernetes-embedded-resource": True}),
            of_spec(a={"type": "object", "x-kubernetes-embedded-resource": True}),
            of_spec(a={"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}),
            of_spec(a={**text, "anyOf": [{"type": "string"}]}), of_spec(a={**text, "allOf": [{"description": "x"}]}),
            of_spec(a={"type": "object", "oneOf": [{"properties": {"x": {"minLength": 1}}}]}),
            of_spec(a={"type": "object", "not": {"items": {"minLength": 1}}}),
            of_spec(a={**text, "anyOf": [{"default": "x"}, {"nullable": True}, {"title": "x"}, {"x-kubernetes-list-type": "set"}]}),
            of_spec(a={**text, "default": 5}), of_spec(a={**number, "default": "x"}), of_spec(a={**text, "default": "x", "enum": ["y"]}),
            of_spec(a={"type": "object", "properties": {"x": text}, "default": {"y": 1}}),
            of_spec(a={"type": "object", "properties": {"x": text}, "required": ["x"], "default": {}}),
            {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}},
            {"type": "object", "properties": {"metadata": {"type": "object", "default": {}}}},
            {"type": "object", "properties": {"kind": {"type": "integer"}, "apiVersion": {"type": "object"}, "metadata": text}},
            of_spec(a={**text, "x-kubernetes-validations": [{"rule": ""}]}),
            of_spec(a={**text, "x-kubernetes-validations": [{"rule": "true", "message": " "}]}),
            of_spec(a={**text, "x-kubernetes-validations": [{"rule": "true", "message": "a\nb"}]}),
            of_spec(a={**text, "x-kubernetes-validations": [{"rule": "true", "reason": "nonsense"}]}),
            of_spec(a={**text, "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".none"}]})]:
        yield "POST", CRDS, definition("bads", "Bad", schema), {}
    yield "POST", CRDS, definition("bads", "Bad", {"type": "object", "maxProperties": 3}, subresources={"status": {}}), {}
    yield "POST", CRDS, definition("bads", "Bad", of_spec(a={"type": "object"}), selectableFields=[
        {"jsonPath": ".spec.a"}, {"jsonPath": ".spec['a']"}, {"jsonPath": "spec"}]), {}
    yield "POST", CRDS + "?dryRun=All", definition("bads", "Bad", of_spec(a={**text, "format": "nonsense"}, b={**number, "format": "int32"})), {}


WIDGET = {
    "type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 2},
            "ratio": {"type": "number", "exclusiveMinimum": True, "minimum": 0.5, "maximum": 2.5},
            "name": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
            "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
            "level": {"type": "integer", "enum": [1, 2]}, "on": {"type": "boolean"},
            "small": {"type": "integer", "format": "int32"}, "when": {"type": "string", "format": "date-time"},
            "day": {"type": "string", "format": "date"}, "address": {"type": "string", "format": "ipv4"},
            "id": {"type": "string", "format": "uuid"}, "raw": {"type": "string", "format": "byte"},
            "span": {"type": "string", "format": "duration"}, "host": {"type": "string", "format": "hostname"},
            "mail": {"type": "string", "format": "email"}, "odd": {"type": "string", "format": "nonsense"},
            "port": {"x-kubernetes-int-or-string": True}, "maybe": {"type": "string", "nullable": True},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2, "minProperties": 1},
            "list": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "maxLength": 3}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                      "items": {"type": "object", "required": ["port"], "properties": {
                          "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "note": {"type": "string"}}}},
            "nested": {"type": "object", "properties": {"deep": {"type": "object", "default": {"a": "x"}, "properties": {
                "a": {"type": "string", "default": "y"}}}}},
            "any": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "all": {"type": "string", "allOf": [{"minLength": 2}, {"maxLength": 3}]},
            "none": {"type": "string", "not": {"enum": ["bad"]}},
            "object": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}}},
        "status": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 5}, "text": {"type": "string"}}}}}
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}, {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
           {"name": "On", "type": "boolean", "jsonPath": ".spec.on", "priority": 1},
           {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
           {"name": "First", "type": "string", "jsonPath": ".spec.ports[?(@.protocol==\"TCP\")].port"},
           {"name": "Map", "type": "string", "jsonPath": ".spec.map"}, {"name": "Day", "type": "date", "jsonPath": ".spec.day"}]


def widget(called, status=None, metadata=None, **spec):
    out = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": called, **(metadata or {})}, "spec": {"size": 2, **spec}}
    if status is not None:
        out["status"] = status
    return out


def objects():
    names = {"singular": "widget", "shortNames": ["wg"], "categories": ["all"]}
    crd = definition(schema=WIDGET, names=names, additionalPrinterColumns=COLUMNS, selectableFields=[
        {"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}, {"jsonPath": ".spec.on"}], subresources={
        "status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                                "labelSelectorPath": ".status.text"}})
    yield "DELETE", CRDS + "/bads.example.com", None, {}  # one of them was not bad at all
    yield "WAIT", CRDS + "/bads.example.com", "not found", {}
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "crd"}}, {}
    yield "GET", "/apis/example.com", None, {}
    yield "GET", "/apis/example.com/v1/widgets", None, {}
    yield "POST", CRDS, crd, {}
    yield "WAIT", CRDS + "/widgets.example.com", "InitialNamesAccepted", {}
    yield "WAIT", "/apis/example.com/v1", "widgets", {}
    yield "GET", CRDS + "/widgets.example.com", None, {}
    yield "GET", CRDS + "/widgets.example.com", None, TABLE
    yield "POST", CRDS, crd, {}
    for path in ["/apis/example.com", "/apis/example.com/v1", "/apis/example.com/v2", "/apis/example.com/v1/gadgets"]:
        yield "GET", path, None, {}
    yield "WAIT", "/apis/example.com/v1/widgets", '"items":[]', {}
    all_of_them, one = "/apis/example.com/v1/widgets", "/apis/example.com/v1/namespaces/crd/widgets"
    yield "GET", all_of_them, None, {}
    yield "GET", all_of_them, None, TABLE
    yield "POST", all_of_them, widget("x"), {}
    yield "GET", all_of_them + "/x", None, {}
    yield "POST", "/apis/example.com/v1/namespaces/none/widgets", widget("x"), {}
    for body in [widget("a"), widget("a"), widget("B_d"), {"metadata": {"name": "x"}}, {}, "[]", "nonsense", "null", "",
                 {**widget("k"), "kind": "Gadget"}, {**widget("k"), "apiVersion": "example.com/v2"},
                 {**widget("k"), "apiVersion": "v1", "kind": "ConfigMap"}, widget("n", metadata={"namespace": "other"}),
                 widget("s", {"size": 1}), widget("u", foo=1, free={"a": {"b": 1}}, nested={"deep": {"z": 1}, "y": 2}),
                 widget("d", nested={}, ports=[{"port": 1}, {"port": 2, "protocol": "UDP"}], on=True, ratio=1.5, map={"a": 1}),
                 widget("m", metadata={"labels": {"a b": "c"}}), widget("m", metadata={"labels": 5}), widget("m", metadata={"foo": 1}),
                 widget("m", metadata={"annotations": {"A/B/C": "1"}, "finalizers": ["x", "a.b/c"]}),
                 widget("m2", metadata={"finalizers": ["x", "a.b/c"], "generation": 7}), widget("r", metadata={"resourceVersion": "5"}),
                 {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {}, "spec": {"size": 2}},
                 {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "i"}, "spec": 5},
                 {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "i"}, "spec": None},
                 {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": "x", "spec": {"size": 2}}]:
        yield "POST", one, body, {}
    for bad in [{"size": 0}, {"size": 12}, {"size": 3}, {"size": "x"}, {"size": 2.5}, {"size": 2.0}, {"size": None}, {"ratio": 0.5},
                {"ratio": 3}, {"ratio": 2.75}, {"name": "a"}, {"name": "abcdef"}, {"name": "A1"}, {"name": 5}, {"name": None},
                {"color": "blue"}, {"color": None}, {"level": 3}, {"level": 1.0}, {"on": "x"}, {"on": 1}, {"small": 3000000000},
                {"small": "x"}, {"when": "x"}, {"when": 5}, {"when": "2020-01-01T00:00:00Z"}, {"day": "2020-13-01"},
                {"day": "2020-02-29"}, {"address": "1.2.3"}, {"address": "::1"}, {"id": "x"}, {"raw": "???"}, {"span": "5 parsecs"},
                {"span": "1h5m"}, {"host": "-"}, {"mail": "x"}, {"odd": "x"}, {"port": 5}, {"port": "x"}, {"port": True}, {"port": 1.5},
                {"maybe": None}, {"maybe": 5}, {"free": {"x": None}}, {"free": 5}, {"map": {}}, {"map": {"a": 1, "b": 2, "c": 3}},
                {"map": {"a": "x"}}, {"map": {"a": None}}, {"list": []}, {"list": ["a", "b", "c", "d"]}, {"list": ["abcd"]},
                {"list": "x"}, {"list": [1]}, {"list": [None]}, {"set": ["a", "b", "a"]}, {"ports": [{"port": 1}, {"port": 1}]},
                {"ports": [{"port": 1, "protocol": "UDP"}, {"port": 1}]}, {"ports": [{}]}, {"ports": ["x"]}, {"any": {}}, {"any": {"a": "x"}},
                {"one": {}}, {"one": {"a": "x", "b": "y"}}, {"one": {"b": "y"}}, {"all": "a"}, {"all": "abcd"}, {"all": "ab"},
                {"none": "bad"}, {"none": "good"}, {"object": {}}, {"object": {"kind": "A", "apiVersion": "v1"}},
                {"object": {"kind": "", "apiVersion": "a/b/c"}}, {"object": {"kind": "A", "apiVersion": "v1", "metadata": {"name": "x", "foo": 1}}},
                {"object": {"kind": "A", "apiVersion": "v1", "metadata": {"labels": {"a b": "c"}}}},
                {"object": {"kind": 5, "apiVersion": "v1"}}, {"object": {"kind": "A", "apiVersion": "v1", "metadata": 5}}]:
        yield "POST", one + "?dryRun=All", widget("bad", **bad), {}
    yield "POST", one + "?fieldValidation=Strict", widget("strict", foo=1, nested={"x": 1}), {}
    yield "POST", one + "?fieldValidation=Strict", widget("strict", metadata={"foo": 1}), {}
    yield "POST", one + "?fieldValidation=Ignore", widget("ignored", foo=1), {}
    yield "POST", one + "?fieldValidation=Strict", '{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"z"},"spec":{"size":2,"size":4}}', {}
    yield "POST", one, "kind: Widget\napiVersion: example.com/v1\nmetadata: {name: yaml}\nspec: {size: 4}\n", {"Content-Type": "application/yaml"}
    for path in [one, one + "/a", one + "/d"]:
        yield "GET", path, None, {}
        yield "GET", path, None, TABLE
    yield "GET", one + "/a", None, PARTIAL
    yield "GET", one + "/none", None, {}
    yield "GET", one + "/a/none", None, {}
    for query in ["fieldSelector=spec.color=red", "fieldSelector=spec.size=2,spec.color!=red", "fieldSelector=spec.on=true",
                  "fieldSelector=spec.name=x", "fieldSelector=metadata.name=a", "labelSelector=x", "limit=1"]:
        yield "GET", one + "?" + query, None, {}
    yield "PUT", one + "/a", widget("a", size=4), {}
    yield "PATCH", one + "/a", {"spec": {"size": 4}}, MERGE
    yield "PATCH", one + "/a", {"spec": {"size": 4}}, MERGE
    yield "PATCH", one + "/a", {"spec": {"size": 5}}, MERGE
    yield "PATCH", one + "/a", {"spec": {"foo": 5}}, MERGE
    yield "PATCH", one + "/a?fieldValidation=Strict", {"spec": {"foo": 5}}, MERGE
    yield "PATCH", one + "/a", {"spec": {"color": None}}, MERGE
    yield "PATCH", one + "/a", {"metadata": {"labels": {"x": "1"}}, "status": {"size": 3}}, MERGE
    yield "PATCH", one + "/a", {"spec": {"size": 2}}, STRATEGIC
    yield "PATCH", one + "/a", [{"op": "replace", "path": "/spec/size", "value": 6}], OPERATIONS
    yield "PATCH", one + "/a", [{"op": "remove", "path": "/spec/none"}], OPERATIONS
    yield "PATCH", one + "/none", {"spec": {"size": 2}}, MERGE
    yield "PATCH", one + "/a/status", {"status": {"size": 3, "text": "a=b", "foo": 1}, "spec": {"size": 8}, "metadata": {"labels": {"y": "1"}}}, MERGE
    yield "PATCH", one + "/a/status", {"status": {"size": 9}}, MERGE
    yield "PATCH", one + "/a/status", {"status": {"size": "x"}}, MERGE
    yield "GET", one + "/a/status", None, {}
    yield "GET", one + "/a/scale", None, {}
    yield "PATCH", one + "/a/scale", {"spec": {"replicas": 8}}, MERGE
    yield "PATCH", one + "/a/scale", {"spec": {"replicas": -1}}, MERGE
    yield "PATCH", one + "/a/scale", {"spec": {"replicas": 3}}, MERGE
    yield "GET", one + "/a", None, {}
    yield "PATCH", one + "/applied?fieldManager=m1", widget("applied", ports=[{"port": 1, "note": "x"}], set=["a"]), APPLY
    yield "PATCH", one + "/applied?fieldManager=m2", widget("applied", ports=[{"port": 2}], set=["b"], map={"k": 1}), APPLY
    yield "PATCH", one + "/applied?fieldManager=m2", widget("applied", size=4), APPLY
    yield "PATCH", one + "/applied?fieldManager=m2&force=true", widget("applied", size=4, free={"a": {"b": 1}}), APPLY
    yield "PATCH", one + "/applied?fieldManager=m1", widget("applied", foo=1), APPLY
    yield "GET", one + "/applied", None, {}
    yield "DELETE", one + "/d?dryRun=All", None, {}
    yield "DELETE", one + "/d", None, {}
    yield "DELETE", one + "/d", None, {}
    yield "DELETE", one + "/m2", None, {}
    yield "PATCH", one + "/m2", {"metadata": {"finalizers": None}}, MERGE
    yield "DELETE", one + "?labelSelector=x=1", None, {}
    yield from definition_changes(crd)
    yield "DELETE", CRDS + "/widgets.example.com?dryRun=All", None, {}
    yield "DELETE", CRDS + "/none.example.com", None, {}
    yield "DELETE", CRDS + "/widgets.example.com", {"preconditions": {"uid": "x"}}, {}


def definition_changes(crd):
    one = CRDS + "/widgets.example.com"
    for patch in [{"spec": {"scope": "Cluster"}}, {"spec": {"names": {"kind": "Other"}}}, {"spec": {"names": {"plural": "others"}}},
                  {"spec": {"group": "other.com"}}, {"metadata": {"labels": {"a": "b"}}}, {"status": {"storedVersions": ["v9"]}},
                  {"spec": {"versions": []}}]:
        yield "PATCH", one, patch, MERGE
    yield "PATCH", one + "/status", {"status": {"storedVersions": []}}, MERGE
    yield "PUT", one, crd, {}
    yield "GET", one + "/status", None, {}
    yield "GET", one + "/scale", None, {}


def versions():
    crd = definition("gadgets", "Gadget", of_spec(a={"type": "string"}, b={"type": "string", "default": "x"}), scope="Cluster")
    first = crd["spec"]["versions"][0]
    crd["spec"]["versions"] = [
        {**first, "name": "v1beta1", "storage": False, "deprecated": True,
         "schema": {"openAPIV3Schema": of_spec(a={"type": "string"}, old={"type": "string", "default": "o"})}},
        {**first, "name": "v1"},
        {**first, "name": "v1alpha1", "storage": False, "deprecated": True, "deprecationWarning": "do not use this"},
        {**first, "name": "v2", "storage": False, "served": False}]
    yield "POST", CRDS, crd, {}
    yield "WAIT", "/apis/example.com/v1", "gadgets", {}
    yield "WAIT", "/apis/example.com/v1beta1", "gadgets", {}
    yield "GET", CRDS + "/gadgets.example.com", None, {}
    yield "GET", "/apis/example.com", None, {}
    gadgets = "/apis/example.com/{}/gadgets"

    def gadget(name, version, **spec):
        return {"kind": "Gadget", "apiVersion": f"example.com/{version}", "metadata": {"name": name}, "spec": spec}
    yield "POST", gadgets.format("v1"), gadget("a", "v1", a="1"), {}
    yield "POST", gadgets.format("v1beta1"), gadget("b", "v1beta1", a="1", old="2"), {}
    yield "POST", gadgets.format("v1beta1"), gadget("c", "v1", a="1"), {}
    yield "POST", gadgets.format("v2"), gadget("c", "v2", a="1"), {}
    for version in ["v1", "v1beta1", "v1alpha1", "v2"]:
        yield "GET", gadgets.format(version), None, {}
        yield "GET", gadgets.format(version) + "/a", None, {}
        yield "GET", gadgets.format(version) + "/b", None, TABLE
    # Upstream forgets who manages what where the versions differ in their fields, and cannot apply.
    yield "PATCH", gadgets.format("v1alpha1") + "/a", {"spec": {"a": "9"}}, MERGE
    yield "GET", gadgets.format("v1") + "/a", None, {}
    yield "POST", gadgets.format("v1") + "?fieldManager=x", gadget("fm", "v1", a="1"), {}
    yield "PATCH", gadgets.format("v1alpha1") + "/fm?fieldManager=y", gadget("fm", "v1alpha1", a="1"), APPLY
    yield "PATCH", gadgets.format("v1alpha1") + "/fm?fieldManager=y", gadget("fm", "v1alpha1", a="2"), APPLY
    yield "GET", "/apis/example.com/v1/namespaces/crd/gadgets", None, {}
    yield "DELETE", gadgets.format("v1beta1") + "/b", None, {}
    yield "PATCH", CRDS + "/gadgets.example.com", [
        {"op": "replace", "path": "/spec/versions/1/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/0/storage", "value": True}], OPERATIONS
    yield "WAIT", CRDS + "/gadgets.example.com", '"storedVersions":["v1","v1beta1"]', {}
    yield "GET", gadgets.format("v1") + "/a", None, {}
    yield "PATCH", CRDS + "/gadgets.example.com", [{"op": "remove", "path": "/spec/versions/1"}], OPERATIONS


def conflicts():
    yield "POST", CRDS, definition("firsts", "First", names={"singular": "first", "shortNames": ["fi"]}, group="conflict.com"), {}
    yield "WAIT", "/apis/conflict.com/v1", "firsts", {}
    for plural, kind, names in [("seconds", "First", {}), ("thirds", "Third", {"singular": "first"}),
                                ("fourths", "Fourth", {"shortNames": ["fi", "firsts"]}), ("fifths", "Fifth", {"listKind": "FirstList"})]:
        yield "POST", CRDS, definition(plural, kind, names=names, group="conflict.com"), {}
        yield "WAIT", f"{CRDS}/{plural}.conflict.com", "NotAccepted", {}
        yield "GET", f"{CRDS}/{plural}.conflict.com", None, {}
        yield "GET", f"/apis/conflict.com/v1/namespaces/default/{plural}", None, {}
    yield "GET", "/apis/conflict.com/v1", None, {}
    yield "DELETE", f"{CRDS}/fifths.conflict.com", None, {}
    approved = changed(definition("reals", "Real", group="real.k8s.io"),
                       ("metadata/annotations", {"api-approved.kubernetes.io": "unapproved, for a test"}))
    yield "POST", CRDS, approved, {}
    yield "WAIT", f"{CRDS}/reals.real.k8s.io", "UnapprovedAnnotation", {}
    yield "WAIT", f"{CRDS}/reals.real.k8s.io", "InitialNamesAccepted", {}


def requests():
    for group in (bad_definitions, bad_schemas, objects, versions, conflicts):
        yield from group()
