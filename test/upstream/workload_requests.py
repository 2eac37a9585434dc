"""Workloads that cannot be right, and changes of good ones that are not allowed, for compare.py."""
import copy
from patch_types import MERGE

NS = "/apis/{}/namespaces/workloads/{}"
LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
SELECTOR = {"matchLabels": LABELS}


def changed(base, path, value):
    """A copy of base with the member at a path of keys set, or removed when the value is None."""
    result = copy.deepcopy(base)
    at = result
    for key in path[:-1]:
        at = at[key] if isinstance(at, list) else at.setdefault(key, {})
    if value is None:
        at.pop(path[-1], None)
    else:
        at[path[-1]] = value
    return result


def bad(group, plural, kind, spec, changes):
    path = NS.format(group, plural) if group != "v1" else f"/api/v1/namespaces/workloads/{plural}"
    for i, (keys, value) in enumerate(changes):
        yield "POST", path, {"metadata": {"name": f"bad-{i}"}, "spec": changed(spec, keys, value)}, {}
    yield "POST", path, {"metadata": {"name": "good"}, "spec": spec}, {}
    for keys, value in changes:
        yield "PATCH", path + "/good", {"spec": changed({}, keys, value) if value is not None else {keys[0]: None}}, MERGE


TEMPLATES = [(["template"], None), (["template", "metadata", "labels"], {"app": "other"}), (["template", "spec", "restartPolicy"], "Never"),
             (["template", "spec", "activeDeadlineSeconds"], 5), (["template", "spec", "containers"], []),
             (["template", "metadata", "labels"], {"a b": "c"}), (["template", "metadata", "annotations"], {"A/B/C": "d"}),
             (["selector"], None), (["selector"], {}), (["selector"], {"matchExpressions": [{"key": "a", "operator": "Foo"}]}),
             (["selector"], {"matchLabels": {"app": "x y"}}), (["replicas"], -1), (["minReadySeconds"], -1)]
DEPLOYMENT = {"selector": SELECTOR, "template": TEMPLATE}
STATEFUL_SET = {"serviceName": "web", **DEPLOYMENT}
JOB = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
INDEXED = {**JOB, "completionMode": "Indexed", "completions": 3}
CRON = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": JOB}}


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": "workloads"}}, {}
    yield from bad("apps/v1", "deployments", "Deployment", DEPLOYMENT, TEMPLATES + [
        (["strategy"], {"type": "Foo"}), (["strategy"], {"type": "Recreate", "rollingUpdate": {}}),
        (["strategy"], {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}), (["strategy"], {"rollingUpdate": {"maxUnavailable": "200%"}}),
        (["strategy"], {"rollingUpdate": {"maxUnavailable": "x", "maxSurge": -1}}), (["revisionHistoryLimit"], -1),
        (["progressDeadlineSeconds"], 0), (["progressDeadlineSeconds"], -5)])
    deployment = NS.format("apps/v1", "deployments") + "/good"
    for status in [{"replicas": -1}, {"replicas": 1, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 4}, {"collisionCount": 2},
                   {"collisionCount": 1}, {"observedGeneration": -1}]:
        yield "PATCH", deployment + "/status", {"status": status}, MERGE
    yield from bad("apps/v1", "replicasets", "ReplicaSet", DEPLOYMENT, TEMPLATES)
    yield "PATCH", NS.format("apps/v1", "replicasets") + "/good/status", {"status": {"replicas": 1, "fullyLabeledReplicas": 2}}, MERGE
    yield from bad("apps/v1", "statefulsets", "StatefulSet", STATEFUL_SET, TEMPLATES + [
        (["podManagementPolicy"], "Foo"), (["updateStrategy"], {"type": "Foo"}), (["updateStrategy"], {"type": "OnDelete", "rollingUpdate": {"partition": 1}}),
        (["updateStrategy"], {"rollingUpdate": {"partition": -1}}), (["ordinals"], {"start": -1}), (["serviceName"], "A.b"),
        (["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "x", "whenScaled": "y"})])
    yield "POST", NS.format("apps/v1", "statefulsets"), {"metadata": {"name": "with.dot"}, "spec": STATEFUL_SET}, {}
    yield "PATCH", NS.format("apps/v1", "statefulsets") + "/good/status", {"status": {"replicas": 1, "currentReplicas": 2, "availableReplicas": 2}}, MERGE
    yield from bad("apps/v1", "daemonsets", "DaemonSet", DEPLOYMENT, TEMPLATES[:11] + [
        (["updateStrategy"], {"type": "Foo"}), (["updateStrategy"], {"rollingUpdate": {"maxUnavailable": 0}}),
        (["updateStrategy"], {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}), (["updateStrategy"], {"rollingUpdate": {"maxUnavailable": "150%"}})])
    yield from bad("v1", "replicationcontrollers", "ReplicationController", {"selector": LABELS, "template": TEMPLATE}, [
        (["replicas"], -1), (["selector"], {"app": "other"}), (["template"], None), (["template", "spec", "restartPolicy"], "Never"), (["minReadySeconds"], -1)])
    revisions = NS.format("apps/v1", "controllerrevisions")
    for i, body in enumerate([{"revision": 1}, {"revision": -1, "data": {"a": 1}}, {"data": [1], "revision": 1}, {"data": "x", "revision": 1}]):
        yield "POST", revisions, {"metadata": {"name": f"r{i}"}, **body}, {}
    yield "POST", revisions, {"metadata": {"name": "good"}, "revision": 1, "data": {"a": 1}}, {}
    yield "PATCH", revisions + "/good", {"data": {"a": 2}}, MERGE

    codes = {"onExitCodes": {"operator": "In", "values": [1, 2]}}
    yield from bad("batch/v1", "jobs", "Job", JOB, [
        (["template", "spec", "restartPolicy"], "Always"), (["template", "spec", "restartPolicy"], "Foo"), (["parallelism"], -1), (["completions"], -1),
        (["activeDeadlineSeconds"], -1), (["backoffLimit"], -1), (["ttlSecondsAfterFinished"], -1), (["completionMode"], "Foo"), (["completionMode"], "Indexed"),
        (["backoffLimitPerIndex"], 1), (["maxFailedIndexes"], 1), (["managedBy"], "nobody"), (["managedBy"], "example.com/" + "m" * 80), (["managedBy"], "A_b/c"),
        (["podReplacementPolicy"], "x"), (["selector"], SELECTOR), (["manualSelector"], True), (["successPolicy"], {"rules": []}),
        (["podFailurePolicy"], {"rules": [{}]}), (["podFailurePolicy"], {"rules": [{"action": "FailJob", **codes, "onPodConditions": [{"type": "A", "status": "x"}]}]}),
        (["podFailurePolicy"], {"rules": [{"action": "x", "onExitCodes": {"operator": "y", "values": []}}]}),
        (["podFailurePolicy"], {"rules": [{"action": "FailIndex", "onExitCodes": {"containerName": "z", "operator": "In", "values": [3, 0, 3]}}]}),
        (["template", "metadata"], {"labels": {"job-name": "other"}})])
    yield from bad("batch/v1", "jobs", "Job", INDEXED, [
        (["completions"], None), (["parallelism"], 200000), (["successPolicy"], {"rules": [{}]}), (["successPolicy"], {"rules": [{"succeededIndexes": "0,9"}]}),
        (["successPolicy"], {"rules": [{"succeededIndexes": "2-1"}, {"succeededIndexes": "a"}, {"succeededCount": 7}, {"succeededIndexes": "0-1", "succeededCount": 3}]}),
        (["completions"], 200000), (["maxFailedIndexes"], 9)])
    yield from bad("batch/v1", "cronjobs", "CronJob", CRON, [
        (["schedule"], ""), (["schedule"], "* * * *"), (["schedule"], "61 * * * *"), (["schedule"], "TZ=UTC * * * * *"), (["schedule"], "@never"), (["schedule"], "*/0 x 9-3 1-2-3 *"),
        (["timeZone"], ""), (["timeZone"], "Nowhere/Land"), (["timeZone"], "local"), (["timeZone"], "../x"), (["concurrencyPolicy"], "x"), (["startingDeadlineSeconds"], -1),
        (["successfulJobsHistoryLimit"], -1), (["failedJobsHistoryLimit"], -1), (["jobTemplate", "spec", "selector"], SELECTOR),
        (["jobTemplate", "spec", "manualSelector"], True), (["jobTemplate", "spec", "template", "spec", "restartPolicy"], "Always")])
    yield "POST", NS.format("batch/v1", "cronjobs"), {"metadata": {"name": "n" * 60}, "spec": CRON}, {}
