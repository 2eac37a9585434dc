"""FlowSchemas and PriorityLevelConfigurations: those that every cluster has, what may be changed of them, and what becomes of references."""
from patch_types import MERGE

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PATH = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMAS, LEVELS = PATH + "/flowschemas", PATH + "/prioritylevelconfigurations"
DEFAULT_SCHEMAS = ["catch-all", "exempt", "global-default", "kube-controller-manager", "kube-scheduler", "kube-system-service-accounts", "probes", "service-accounts",
                   "system-leader-election", "system-node-high", "system-nodes"]
DEFAULT_LEVELS = ["catch-all", "exempt", "global-default", "leader-election", "node-high", "system", "workload-high", "workload-low"]
REJECT = {"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}}


def requests():
    for name in DEFAULT_SCHEMAS:
        yield "WAIT", f"{SCHEMAS}/{name}", "Dangling", {}
        yield "GET", f"{SCHEMAS}/{name}", None, {}
    for name in DEFAULT_LEVELS:
        yield "GET", f"{LEVELS}/{name}", None, {}
    for collection in (SCHEMAS, LEVELS):
        yield "GET", collection, None, {}
        yield "GET", collection, None, TABLE

    for name, spec in [("catch-all", {"matchingPrecedence": 9999}), ("catch-all", {"priorityLevelConfiguration": {"name": "system"}}), ("exempt", {"distinguisherMethod": {"type": "ByNamespace"}}),
                       ("exempt", {"matchingPrecedence": 5, "distinguisherMethod": {"type": "ByUser"}})]:
        yield "PATCH", f"{SCHEMAS}/{name}?dryRun=All", {"spec": spec}, MERGE
    for name, spec in [("catch-all", {"limited": {"nominalConcurrencyShares": 6}}), ("catch-all", {"limited": {"lendablePercent": 10}}), ("exempt", {"exempt": {"nominalConcurrencyShares": 7, "lendablePercent": 50}}),
                       ("exempt", {"exempt": {"lendablePercent": 101}}), ("exempt", {"type": "Limited"}), ("exempt", {"limited": REJECT["limited"]}), ("system", {"type": "Exempt"}),
                       ("system", {"limited": {"nominalConcurrencyShares": 31, "borrowingLimitPercent": 5}})]:
        yield "PATCH", f"{LEVELS}/{name}?dryRun=All", {"spec": spec}, MERGE
    for name in ("catch-all", "exempt"):
        yield "POST", SCHEMAS + "?dryRun=All", {"metadata": {"name": name}, "spec": {"priorityLevelConfiguration": {"name": "a"}}}, {}

    schema = {"metadata": {"name": "compared"}, "spec": {"matchingPrecedence": 8000, "priorityLevelConfiguration": {"name": "compared"}, "rules": [
        {"subjects": [{"kind": "User", "user": {"name": "nobody"}}], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}}
    one = SCHEMAS + "/compared"
    yield "POST", SCHEMAS, schema, {}
    yield "WAIT", one, '"NotFound"', {}
    yield "GET", one, None, {}
    yield "GET", one, None, TABLE
    yield "POST", LEVELS, {"metadata": {"name": "compared"}, "spec": REJECT}, {}
    yield "WAIT", one, '"Found"', {}
    yield "GET", one, None, {}
    yield "GET", one, None, TABLE
    yield "PATCH", one, {"spec": {"priorityLevelConfiguration": {"name": "none"}}}, MERGE
    yield "WAIT", one, '"NotFound"', {}
    yield "GET", one, None, {}
    yield "PATCH", one + "/status", {"status": {"conditions": []}}, MERGE
    yield "WAIT", one, '"NotFound"', {}
    yield "GET", one, None, {}
    yield "GET", LEVELS + "/compared/status", None, {}
    yield "DELETE", one, None, {}
    yield "DELETE", LEVELS + "/compared", None, {}
    for size in (3 << 20, (3 << 20) - 200):
        yield "POST", "/api/v1/namespaces/default/configmaps?dryRun=All", {"metadata": {"name": "large"}, "data": {"a": "x" * size}}, {}
