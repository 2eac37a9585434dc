"""Reading: paths, methods, names, options of lists and of one object, selectors, Accept, documents that are no resources. Requests
for compare.py."""
from urllib.parse import quote

NS = "/api/v1/namespaces/reads"
MAPS = NS + "/configmaps"
OURS = "labelSelector=app%3Dx"  # controllers have others
CUSTOM = "/apis/reads.example.com/v1"
THINGS = CUSTOM + "/namespaces/reads/things"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION = {"metadata": {"name": "things.reads.example.com"}, "spec": {
    "group": "reads.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"},
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
META = ";v=v1;g=meta.k8s.io"

LABELS = ["a", "!a", "a=", "a==b", "a!=b", "a in (b)", "a in (b,c)", "a notin (b)", "a in b", "a in ()", "a in (,)", "a in (b,)", "a in", "in", "a,", "a,,b",
          ",a", "a=b,", "a>1", "a<x", "a>", "a>=1", "a=b c", "a b", "(a)", "a=(b)", "!a=b", "!", "!!a", "a in (b", "a=b=c", "a.b/c=d", "a/b/c=d", "/a", "a/",
          "-a=b", "a=-b", "a=" + "b" * 64, "a" * 64 + "=b", "x" * 254 + "/a=b", "a=b\tc", "é=b", "a=é", "a in (é)", "a=b,a!=b", " a = b , c ", "in in (in)",
          "notin=x", "a=in", "a in (in,notin)", "a~b", "a=@", "a=b;c", "a='b'", "a > 5, b < 3", "a>5.5", "a>99999999999999999999", "a<-1", "a=%", "", "  "]
FIELDS = ["metadata.name", "metadata.name=", "metadata.name==c1", "metadata.name!=c1", "metadata.name=c1,metadata.name=c2", "metadata.name=c1,metadata.namespace=reads",
          "metadata.namespace=x", "metadata.name=c1,", "metadata.name in (c1)", ",", "=c1", "a=b=c", "metadata.name=c\\,1", "metadata.name=c\\1", "metadata.name=c1\\",
          "metadata.name=c\\=1", "metadata.uid=x", "metadata.name>c", "metadata.Name=c1", " metadata.name=c1", "metadata.name = c1", "metadata.name=a/b", "data.a=1", "name=c1"]
ACCEPTS = ["*/*", "application/*", "text/*", "application/json, text/plain", "text/plain, */*", "application/json;q=0", "application/json;q=0,application/yaml",
           "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json;charset=utf-8", "application/JSON", "application/json;pretty=1",
           "application/json;foo=bar", "application/json;as=Table", "application/json;as=Table;v=v1", "application/json;as=Table;v=v2;g=meta.k8s.io",
           "application/json;as=Table;v=v1beta1;g=meta.k8s.io", "application/json;as=Table;v=v2;g=meta.k8s.io,application/json", "application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io",
           "application/json;as=Table" + META + ";q=0.1,application/json", "application/json;stream=watch", "application/yaml;as=Table" + META, "application/x-yaml", "text/yaml",
           "application/vnd.kubernetes.protobuf;as=Table" + META + ",application/json;as=Table" + META, "application/cbor,application/json", "image/png", "a", "/", ";",
           "application/json;q=x", "application/json;q=2", "*/*;as=Table" + META, "application/*;as=Table" + META, "application/json,", ",application/json", "application/yaml"]
METHODS = ["HEAD", "OPTIONS", "TRACE", "FOO", "LIST", "WATCH"]


def single_options():
    for query in ("resourceVersion=0", "resourceVersion=1", "resourceVersion=x", "resourceVersion=-1", "resourceVersion=99999999", "resourceVersionMatch=Exact",
                  "limit=x", "watch=x", "pretty=x", "", "&&", "a=%zz"):
        yield "GET", f"{MAPS}/c1?{query}", None, {}
        yield "GET", f"{MAPS}/none?{query}", None, {}
        yield "GET", f"{NS}/events/e?{query}", None, {}
        yield "GET", f"{THINGS}/t?{query}", None, {}


def list_options():
    for query in ("limit=-1", "limit=0", "limit=", "limit=1.5", "limit=%2B1", "limit=99999999999999999999", "limit=1&limit=2", "timeoutSeconds=0", "timeoutSeconds=-1",
                  "timeoutSeconds=", "watch=0", "watch=false", "allowWatchBookmarks=x", "sendInitialEvents=x", "resourceVersion=01", "resourceVersion=%2B1", "unknown=1",
                  "resourceVersion=18446744073709551615", "resourceVersion=18446744073709551616", "resourceVersion=99999999&resourceVersionMatch=Exact", "shardSelector=x"):
        for path in (MAPS, NS + "/events", THINGS):
            yield "GET", f"{path}?{OURS}&{query}", None, {}
    for selector in LABELS:
        yield "GET", f"{MAPS}?labelSelector={quote(selector)}&fieldSelector=metadata.name%3Dc1", None, {}
    for selector in FIELDS:
        yield "GET", f"{MAPS}?{OURS}&fieldSelector={quote(selector)}", None, {}
    for query in ("gracePeriodSeconds=", "gracePeriodSeconds=1.5", "orphanDependents=x", "limit=", "labelSelector=((", "resourceVersion=x"):
        yield "DELETE", f"{MAPS}?dryRun=All&{OURS}&{query}", None, {}


def paths():
    for path in (MAPS + "/?" + OURS, MAPS + "/c1/", MAPS + "/c1//", "/" + MAPS, MAPS.replace("/v1", "//v1"), "/api/v1//namespaces/reads/configmaps/c1", NS + "//configmaps",
                 MAPS + "/.", MAPS + "/..", MAPS + "/%2e%2e", MAPS + "/a%25b", MAPS + "/a%2Fb/c", MAPS + "/a%20b", MAPS + "/a+b", MAPS + "/%c3%a9", MAPS + "/" + "a" * 300, MAPS + "/C1",
                 MAPS + "/c1;x=1", NS + "/", "/api/v1/namespaces/READS/configmaps", f"/api/v1/namespaces/{'a' * 300}/configmaps", MAPS + "/c1/status", MAPS + "/c1/x/y",
                 "/api/v1/pods/p", NS + "/namespaces", NS + "/namespaces/reads", NS + "/nodes/x", NS + "/status", NS + "/finalize", "/apis/apps/v1/deployments/x", "/api/v1/watch",
                 "/apis/rbac.authorization.k8s.io/v1/namespaces/reads/clusterroles", "/api/v1/pods/x", "/api/v1/proxy/x", "/api/v1/redirect/x", "/api/v1/bindings", NS + "/bindings",
                 "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x", "/apis/authorization.k8s.io/v1/namespaces/reads/localsubjectaccessreviews",
                 "/api/v1/componentstatuses/etcd-0", "/api/v1/componentstatuses/none", "/API/v1", "/api/V1", "/api/v1/Pods", "/api/v1/watch/componentstatuses",
                 "/api/v1/watch/namespaces/reads/pods/x/log", "/apis/apps/v1/watch/deployments/x", THINGS + "/t/status", THINGS + "/t/x/y"):
        yield "GET", path, None, {}
    for path in (MAPS, MAPS + "/c1", "/version", "/healthz", "/api", "/apis", "/api/v1", "/apis/apps", "/none", "/livez/none", "/.well-known/openid-configuration",
                 CUSTOM, "/apis/reads.example.com", THINGS, THINGS + "/t", CUSTOM + "/things", CUSTOM + "/none"):
        for method in METHODS[:2] + METHODS[3:]:
            yield method, path, None, {}
    for path in ("/version", "/api/v1", "/api", "/apis", "/apis/apps", "/apis/apps/v1", "/none", "/api/v1/none", "/healthz", "/livez", "/readyz/ping", CUSTOM):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            yield method, path, None, {}


def documents():
    for path in ("/index.html", "/livez/ping", "/livez/etcd", "/readyz/informer-sync", "/readyz/shutdown", "/healthz/shutdown", "/healthz/poststarthook/rbac/bootstrap-roles",
                 "/healthz/", "/healthz?verbose", "/livez?verbose", "/readyz?verbose=1", "/readyz?exclude=ping&verbose", "/readyz?verbose&exclude=etcd&exclude=nope",
                 "/logs", "/debug", "/swagger.json", "/openapi", "/openapi/", "/openapi/v1", "/openapi/v2/", "/openapi/v3/", "/openapi/v3/none", "/openapi/v3/api/v9", "/.well-known/",
                 "/.well-known/openid-configuration/", "/openid/v1", "/openid/v1/jwks", "/metrics/", "/static/", "/apis/none", "/apis/none/v1", "/apis/apps/v9", "/apis/apps/"):
        yield "GET", path, None, {}
    for path in ("/openapi/v2", "/openapi/v3", "/openapi/v3/version"):
        for accept in ("text/plain", "application/yaml"):
            yield "GET", path, None, {"Accept": accept}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "reads"}}, {}
    yield "POST", DEFINITIONS, DEFINITION, {}
    yield "WAIT", CUSTOM, '"things"', {}
    yield "POST", THINGS, {"apiVersion": "reads.example.com/v1", "kind": "Thing", "metadata": {"name": "t", "labels": {"app": "x"}}, "spec": {"n": 1}}, {}
    yield "POST", NS + "/events", {"metadata": {"name": "e", "labels": {"app": "x"}}, "involvedObject": {"kind": "Pod", "name": "x", "namespace": "reads"}, "reason": "R"}, {}
    for i in range(4):
        yield "POST", MAPS, {"metadata": {"name": f"c{i}", "labels": {"app": "x", "n": str(i % 2)}}, "data": {"a": "1"}}, {}
    yield from paths()
    yield from single_options()
    yield from list_options()
    for accept in ACCEPTS:
        for path in (f"{MAPS}?{OURS}", MAPS + "/c1", MAPS + "/none", NS + "/zzz", "/apis", "/none", THINGS, THINGS + "/t", THINGS + "?watch=1&timeoutSeconds=1&labelSelector=no",
                     MAPS + "?watch=1&timeoutSeconds=1&labelSelector=no"):
            yield "GET", path, None, {"Accept": accept}
    yield from documents()
    yield "DELETE", DEFINITIONS + "/things.reads.example.com", None, {}
