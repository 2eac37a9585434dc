"""Watches as streams: what they tell of a series of writes, with each variation of their options. Requests for compare.py, which
has a method of its own for them: ("WATCHES", collection, {"watches": [(path, headers)], "writes": [...]}, {}): all watches are begun,
then the writes are made, then all is compared that was told. In a path, RECENT stands for the collection's revision before."""
import http.client
import json
import threading
from patch_types import MERGE, STRATEGIC

META = ";v=v1;g=meta.k8s.io"
TABLE = {"Accept": "application/json;as=Table" + META}
FORMS = [TABLE, {"Accept": "application/json;as=PartialObjectMetadata" + META}, {"Accept": "application/json;as=PartialObjectMetadataList" + META},
         {"Accept": "application/vnd.kubernetes.protobuf"}, {"Accept": "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata" + META},
         {"Accept": "application/json;as=Table;v=v1beta1;g=meta.k8s.io"}, {"Accept": "application/vnd.kubernetes.protobuf;stream=watch"}]
NS = "/api/v1/namespaces/streams"
MAPS, PODS, EVENTS = NS + "/configmaps", NS + "/pods", NS + "/events"
CUSTOM = "/apis/streams.example.com/v1"
THINGS = CUSTOM + "/namespaces/streams/things"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION = {"metadata": {"name": "things.streams.example.com"}, "spec": {
    "group": "streams.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"},
    "versions": [{"name": name, "served": True, "storage": name == "v1", "subresources": {"status": {}}, "selectableFields": [{"jsonPath": ".spec.color"}],
                  "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}, {"name": "N", "type": "integer", "priority": 1, "jsonPath": ".spec.n"}],
                  "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {**ANY, "properties": {"color": {"type": "string"}}}, "status": ANY}}}}
                 for name in ("v1", "v2")]}}
INITIAL = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
WATCH = "?watch=1&timeoutSeconds=6"


def maps():
    one = MAPS + "/w"
    return [("POST", MAPS, {"metadata": {"name": "w", "labels": {"app": "w"}}, "data": {"a": "1"}}, {}),
            ("PATCH", one, {"data": {"a": "2"}}, MERGE), ("PATCH", one, {"metadata": {"labels": {"app": "z"}}}, MERGE),
            ("PATCH", one, {"metadata": {"labels": {"app": "w"}}}, MERGE), ("PATCH", one, {"data": {"a": "2"}}, MERGE),
            ("PATCH", one, {"metadata": {"finalizers": ["a.b/c"]}}, MERGE), ("DELETE", one, None, {}), ("PATCH", one, {"metadata": {"finalizers": []}}, MERGE)]


def pods():
    one = PODS + "/w"
    return [("POST", PODS, {"metadata": {"name": "w", "labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default",
                            "schedulerName": "nobody", "automountServiceAccountToken": False}}, {}),
            ("PATCH", one, {"metadata": {"labels": {"app": "z"}}}, MERGE), ("PATCH", one, {"metadata": {"labels": {"app": "w"}}}, MERGE),
            ("PATCH", one + "/status", {"status": {"phase": "Running", "podIP": "10.1.1.1"}}, STRATEGIC)]  # upstream writes twice to delete a pod


def events():
    one = EVENTS + "/w"
    return [("POST", EVENTS, {"metadata": {"name": "w", "labels": {"app": "w"}}, "involvedObject": {"kind": "Pod", "name": "x", "namespace": "streams"}, "reason": "R"}, {}),
            ("PATCH", one, {"count": 2}, MERGE), ("PATCH", one, {"reason": "Q"}, MERGE), ("DELETE", one, None, {})]


def things():
    one = THINGS + "/w"
    return [("POST", THINGS, {"apiVersion": "streams.example.com/v1", "kind": "Thing", "metadata": {"name": "w", "labels": {"app": "w"}}, "spec": {"color": "red", "n": 1}}, {}),
            ("PATCH", one, {"spec": {"color": "blue"}}, MERGE), ("PATCH", one, {"spec": {"color": "red"}}, MERGE), ("PATCH", one + "/status", {"status": {"a": 1}}, MERGE),
            ("PATCH", one, {"metadata": {"finalizers": ["a.b/c"]}}, MERGE), ("DELETE", one, None, {}), ("PATCH", one, {"metadata": {"finalizers": None}}, MERGE)]


def map_watches():
    labelled = MAPS + WATCH + "&labelSelector=app%3Dw"
    for query in ("", "&resourceVersion=0&allowWatchBookmarks=true", INITIAL + "&allowWatchBookmarks=true", INITIAL, "&resourceVersion=RECENT", "&limit=1", "&allowWatchBookmarks=true",
                  INITIAL + "&allowWatchBookmarks=true&resourceVersion=RECENT", "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", "&sendInitialEvents=true",
                  "&sendInitialEvents=false", "&resourceVersionMatch=NotOlderThan", "&resourceVersionMatch=Exact&resourceVersion=1", "&continue=x",
                  "&resourceVersion=x", "&resourceVersion=-1", "&resourceVersion=999999999"):
        yield labelled + query, {}
    for form in FORMS:
        yield labelled + INITIAL + "&allowWatchBookmarks=true", form
    for include in ("None", "Metadata", "Object", "x"):
        yield labelled + "&includeObject=" + include, TABLE
    old = "/api/v1/watch/namespaces/streams"
    for path in (old + "/configmaps?timeoutSeconds=6&labelSelector=app", old + "/configmaps/w?timeoutSeconds=6", "/api/v1/watch/configmaps?timeoutSeconds=6&labelSelector=app",
                 MAPS + WATCH + "&fieldSelector=metadata.name%3Dw", "/api/v1/configmaps" + WATCH + "&fieldSelector=metadata.namespace%3Dstreams,metadata.name%3Dw",
                 MAPS + WATCH + "&resourceVersion=RECENT&labelSelector=app!%3Dw,app", MAPS + "/none" + WATCH, old + "?timeoutSeconds=6",
                 "/api/v1/watch/namespaces?timeoutSeconds=6&fieldSelector=metadata.name%3Dstreams", old + "/configmaps/w?timeoutSeconds=6&fieldSelector=metadata.name%3Dv",
                 MAPS + WATCH + "&fieldSelector=metadata.name%3D..", MAPS + WATCH + "&fieldSelector=none%3Dx"):
        yield path, {}


def watches_of(collection, fields=()):
    for form in [{}] + FORMS[:2]:
        yield f"{collection}{WATCH}&resourceVersion=RECENT&labelSelector=app%3Dw", form
        yield f"{collection}{WATCH}&labelSelector=app%3Dw&allowWatchBookmarks=true", form
    yield f"{collection}{WATCH}&resourceVersion=RECENT&fieldSelector=metadata.name%3Dw", {}
    for field in fields:
        yield f"{collection}{WATCH}&resourceVersion=RECENT&fieldSelector={field}", {}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "streams"}}, {}
    yield "POST", DEFINITIONS, DEFINITION, {}
    yield "WAIT", CUSTOM, '"things"', {}
    wrong = [(THINGS + WATCH + query, {}) for query in ("&fieldSelector=spec.none%3Dx", "&labelSelector=((", "&resourceVersion=x", "&resourceVersion=99999999")]
    for collection, watches, writes in (
            (MAPS, map_watches(), maps()), (PODS, watches_of(PODS, ("status.phase%3DRunning", "status.phase!%3DPending")), pods()),
            (EVENTS, [*watches_of(EVENTS), *watches_of(EVENTS.replace("/api/v1", "/apis/events.k8s.io/v1"), ("reason%3DR",))], events()),
            (THINGS, [*watches_of(THINGS, ("spec.color%3Dred",)), *watches_of(THINGS.replace("/v1/", "/v2/")), *wrong], things()),
            (MAPS, [(MAPS + WATCH + INITIAL + "&allowWatchBookmarks=true&resourceVersion=999999999", {})], []),
            (THINGS, [(THINGS + WATCH, {})], [("DELETE", DEFINITIONS + "/things.streams.example.com", None, {})])):
        yield "WATCHES", collection, {"watches": list(watches), "writes": writes}, {}


def in_order(value, seen, key=""):
    """Revisions by the order in which they appear."""
    if isinstance(value, dict):
        return {("revision" if k == "resourceVersion" else k): in_order(member, seen, k) for k, member in value.items()}
    if isinstance(value, list):
        return [in_order(member, seen) for member in value]
    return seen.setdefault(value, f"<revision {len(seen)}>") if key == "resourceVersion" else value


def stream(server, path, headers, answer):
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=server.context, timeout=30)
    connection.request("GET", path, None, {"Accept": "application/json", **headers})
    response = connection.getresponse()
    answer["code"], answer["Content-Type"] = response.status, response.getheader("Content-Type")
    answer["begun"].set()
    answer["events"] = response.read()


def told_in(answer, readable):
    """What a client understands of an answer."""
    text = readable(answer["Content-Type"] or "", answer["events"])
    try:
        events = json.loads(text)
        if isinstance(events, list):  # when there are further bookmarks, nobody knows
            bookmarks = [event for event in events if event["type"] == "BOOKMARK"]
            events = [event for event in events if event not in bookmarks[1:]]
        text = in_order(events, {})
    except ValueError:
        pass
    return {"code": answer["code"], "Content-Type": answer["Content-Type"], "events": text}


def compare_streams(up, kn, collection, both, readable, cleaned):
    """What two servers tell of the same writes: for each watch, its path and that."""
    told, threads = [], []
    for server in (up, kn):
        recent = json.loads(server.send("GET", collection + "?limit=1", None, {})[2])["metadata"]["resourceVersion"]
        told.append([{"begun": threading.Event()} for _ in both["watches"]])
        for (path, headers), answer in zip(both["watches"], told[-1]):
            threads.append(threading.Thread(target=stream, args=(server, path.replace("RECENT", recent), headers, answer)))
            threads[-1].start()
    for answer in told[0] + told[1]:
        answer["begun"].wait(5)
    for write in both["writes"]:
        for server in (up, kn):
            server.send(*write)
    for thread in threads:
        thread.join()
    for (path, headers), *answers in zip(both["watches"], *told):
        yield [f"{path} {headers.get('Accept', '')}"] + [cleaned(told_in(answer, readable)) for answer in answers]
