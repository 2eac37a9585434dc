"""Requests on every built-in kind, for compare.py: objects with little and with much in them, their tables, their subresources.

A fixture is (path below /api or /apis, object). Names end with what they are: -min has only what is required, -max much more."""

import base64
from patch_types import MERGE, OPERATIONS

NS = "kinds"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def meta(name, **more):
    return {"name": name, **more}


LABELS = {"app": "web"}
POD = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}
POD_MAX = {
    "metadata": {"labels": {**LABELS, "tier": "front"}, "annotations": {"a": "b"}},
    "spec": {
        "initContainers": [{"name": "i", "image": "busybox", "command": ["true"]}],
        "containers": [
            {"name": "c", "image": "nginx", "ports": [{"containerPort": 80, "name": "http"}],
             "resources": {"requests": {"cpu": "0.1", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
             "env": [{"name": "A", "value": "1"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
             "readinessProbe": {"httpGet": {"port": 80}}, "livenessProbe": {"tcpSocket": {"port": "http"}},
             "volumeMounts": [{"name": "cm", "mountPath": "/cm"}]},
            {"name": "d", "image": "redis:7"}],
        "volumes": [{"name": "cm", "configMap": {"name": "cm"}}, {"name": "s", "secret": {"secretName": "s"}},
                    {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
        "nodeSelector": {"disk": "ssd"}}}
SELECTOR = {"matchLabels": LABELS}
EXPRESSIONS = {"matchLabels": LABELS, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]},
                                                           {"key": "x", "operator": "DoesNotExist"}]}


def job_pod(policy="Never"):
    return {"metadata": {"labels": {"job": "j"}}, "spec": {**POD["spec"], "restartPolicy": policy}}


WEBHOOK = {"name": "a.example.com", "clientConfig": {"url": "https://example.com/hook"}, "sideEffects": "None",
           "admissionReviewVersions": ["v1"]}
WEBHOOK_MAX = {**WEBHOOK, "name": "b.example.com", "clientConfig": {"service": {"namespace": "n", "name": "s"}},
               "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
               "failurePolicy": "Ignore", "timeoutSeconds": 3, "namespaceSelector": SELECTOR}
CSR = base64.b64encode(b"""-----BEGIN CERTIFICATE REQUEST-----
MIHWMH4CAQAwHDENMAsGA1UECgwEZGV2czELMAkGA1UEAwwCbWUwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAATAHVeXoITcDgx9wt8m8kFS9e/EEi85ASXs7Si/UIMP
n6gVJFMeXwdML63x6QJ1dILVm4gwpe7sTLQQ9F8/0dXjoAAwCgYIKoZIzj0EAwID
SAAwRQIgPn6cpL/JIy30rtviOZhpqoZwNr5Qok8KyLNh3AlP6pMCIQDBFItjHAds
w2rG13SySE9Z/cwmRUKkE/nFlojSE4JjvA==
-----END CERTIFICATE REQUEST-----
""").decode()
CRD_SCHEMA = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
    "size": {"type": "integer", "minimum": 0}, "any": {"type": "object", "additionalProperties": {"type": "string"}},
    "list": {"type": "array", "items": {"type": "string"}}}}}}}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}


def namespaced(group, resource):
    return f"{group}/namespaces/{NS}/{resource}"


CORE, APPS, BATCH = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
NETWORKING, STORAGE, RBAC = "/apis/networking.k8s.io/v1", "/apis/storage.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1"
ADMISSION, FLOW, RESOURCE = "/apis/admissionregistration.k8s.io/v1", "/apis/flowcontrol.apiserver.k8s.io/v1", "/apis/resource.k8s.io/v1"

FIXTURES = [
    (namespaced(CORE, "replicationcontrollers"), {"metadata": meta("rc-min"), "spec": {"template": POD}}),
    (namespaced(CORE, "replicationcontrollers"), {"metadata": meta("rc-max"), "spec": {"replicas": 2, "selector": LABELS, "minReadySeconds": 3, "template": POD_MAX}}),
    (namespaced(CORE, "podtemplates"), {"metadata": meta("pt-min"), "template": POD}),
    (namespaced(CORE, "podtemplates"), {"metadata": meta("pt-max", labels=LABELS), "template": POD_MAX}),
    (namespaced(CORE, "limitranges"), {"metadata": meta("lr-min"), "spec": {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}}),
    (namespaced(CORE, "limitranges"), {"metadata": meta("lr-max"), "spec": {"limits": [
        {"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "0.1"}, "default": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "10"}},
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}}]}}),
    (namespaced(CORE, "resourcequotas"), {"metadata": meta("rq-min"), "spec": {"hard": {"services": "50"}}}),
    (namespaced(CORE, "resourcequotas"), {"metadata": meta("rq-max"), "spec": {"hard": {"requests.cpu": "100", "limits.memory": "200Gi", "pods": "300"}, "scopes": ["NotTerminating"],
        "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}}),
    (namespaced(CORE, "endpoints"), {"metadata": meta("ep-min")}),
    (namespaced(CORE, "endpoints"), {"metadata": meta("ep-max"), "subsets": [{"addresses": [{"ip": "10.1.2.3", "nodeName": "n"}, {"ip": "10.1.2.4"}],
        "notReadyAddresses": [{"ip": "10.1.2.5"}], "ports": [{"port": 80, "name": "http"}, {"port": 53, "name": "dns", "protocol": "UDP"}]}]}),
    (namespaced(CORE, "services"), {"metadata": meta("svc-min"), "spec": {"ports": [{"port": 80}]}}),
    (namespaced(CORE, "services"), {"metadata": meta("svc-none"), "spec": {"clusterIP": "None", "selector": LABELS}}),
    (namespaced(CORE, "services"), {"metadata": meta("svc-name"), "spec": {"type": "ExternalName", "externalName": "example.com"}}),
    (namespaced(CORE, "services"), {"metadata": meta("svc-max"), "spec": {"type": "LoadBalancer", "selector": LABELS, "clusterIP": "10.96.7.7", "sessionAffinity": "ClientIP",
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30077}, {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30078}], "loadBalancerClass": "example.com/lb"}}),
    (CORE + "/persistentvolumes", {"metadata": meta("pv-min"), "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}}),
    (CORE + "/persistentvolumes", {"metadata": meta("pv-max"), "spec": {"capacity": {"storage": "1.5Gi"}, "accessModes": ["ReadWriteMany", "ReadOnlyMany"], "storageClassName": "fast",
        "csi": {"driver": "d.example.com", "volumeHandle": "h"}, "persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": "n", "name": "c"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}]}}, "mountOptions": ["ro"]}}),
    (namespaced(CORE, "persistentvolumeclaims"), {"metadata": meta("pvc-min"), "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
    (namespaced(CORE, "persistentvolumeclaims"), {"metadata": meta("pvc-max"), "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "fast",
        "volumeName": "pv-max", "volumeMode": "Block", "dataSource": {"kind": "PersistentVolumeClaim", "name": "pvc-min"}, "selector": SELECTOR}}),
    (namespaced(CORE, "events"), {"metadata": meta("ev-min"), "involvedObject": {"kind": "Pod", "namespace": NS, "name": "p"}, "reason": "R", "message": " m ", "type": "Normal"}),
    (namespaced("/apis/events.k8s.io/v1", "events"), {"metadata": meta("ev-max"), "eventTime": "2024-01-02T03:04:05.678901Z", "reportingController": "c.example.com/x", "reportingInstance": "i",
        "action": "Act", "reason": "R", "type": "Warning", "note": "n", "regarding": {"kind": "Pod", "namespace": NS, "name": "p"}}),
    (namespaced(APPS, "deployments"), {"metadata": meta("deploy-min"), "spec": {"selector": SELECTOR, "template": POD}}),
    (namespaced(APPS, "deployments"), {"metadata": meta("deploy-max", labels={"x": "y"}), "spec": {"replicas": 3, "selector": EXPRESSIONS, "template": POD_MAX, "minReadySeconds": 2, "paused": True,
        "strategy": {"rollingUpdate": {"maxSurge": 1}}, "revisionHistoryLimit": 0}}),
    (namespaced(APPS, "deployments"), {"metadata": meta("deploy.dots"), "spec": {"replicas": 0, "selector": SELECTOR, "template": POD, "strategy": {"type": "Recreate"}}}),
    (namespaced(APPS, "replicasets"), {"metadata": meta("rs-min"), "spec": {"selector": SELECTOR, "template": POD}}),
    (namespaced(APPS, "replicasets"), {"metadata": meta("rs-max"), "spec": {"replicas": 0, "selector": EXPRESSIONS, "template": POD_MAX}}),
    (namespaced(APPS, "daemonsets"), {"metadata": meta("ds-min"), "spec": {"selector": SELECTOR, "template": POD}}),
    (namespaced(APPS, "daemonsets"), {"metadata": meta("ds-max"), "spec": {"selector": EXPRESSIONS, "template": POD_MAX, "updateStrategy": {"type": "OnDelete"}, "minReadySeconds": 1}}),
    (namespaced(APPS, "statefulsets"), {"metadata": meta("sts-min"), "spec": {"selector": SELECTOR, "template": POD}}),
    (namespaced(APPS, "statefulsets"), {"metadata": meta("sts-max"), "spec": {"selector": EXPRESSIONS, "template": POD_MAX, "serviceName": "s", "replicas": 2, "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}, "ordinals": {"start": 3}, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}}),
    (namespaced(APPS, "controllerrevisions"), {"metadata": meta("cr-min"), "data": {"a": 1}, "revision": 1}),
    (namespaced(APPS, "controllerrevisions"), {"metadata": meta("cr-max", labels=LABELS), "data": {"spec": {"x": []}}, "revision": 0}),
    (namespaced(BATCH, "jobs"), {"metadata": meta("job-min"), "spec": {"template": job_pod()}}),
    (namespaced(BATCH, "jobs"), {"metadata": meta("job-max"), "spec": {"template": job_pod(), "completions": 3, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1, "suspend": True,
        "ttlSecondsAfterFinished": 5, "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}},
                                                                     {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]}}}),
    (namespaced(BATCH, "jobs"), {"metadata": meta("job-manual"), "spec": {"manualSelector": True, "selector": {"matchLabels": {"job": "j"}}, "template": job_pod("OnFailure"), "parallelism": 0}}),
    (namespaced(BATCH, "cronjobs"), {"metadata": meta("cj-min"), "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": job_pod()}}}}),
    (namespaced(BATCH, "cronjobs"), {"metadata": meta("cj-max"), "spec": {"schedule": "@daily", "timeZone": "Etc/UTC", "startingDeadlineSeconds": 30, "concurrencyPolicy": "Forbid", "suspend": True,
        "successfulJobsHistoryLimit": 0, "jobTemplate": {"metadata": {"labels": LABELS}, "spec": {"template": job_pod(), "backoffLimit": 2}}}}),
    (namespaced("/apis/autoscaling/v2", "horizontalpodautoscalers"), {"metadata": meta("hpa-min"), "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}}),
    (namespaced("/apis/autoscaling/v2", "horizontalpodautoscalers"), {"metadata": meta("hpa-max"), "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "minReplicas": 2, "maxReplicas": 9,
        "metrics": [CPU, {"type": "Pods", "pods": {"metric": {"name": "m", "selector": SELECTOR}, "target": {"type": "AverageValue", "averageValue": "10"}}},
                    {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "o"}, "target": {"type": "Value", "value": "2k"}}},
                    {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "AverageValue", "averageValue": "30"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "memory", "container": "c", "target": {"type": "Utilization", "averageUtilization": 60}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]}}}}),
    (namespaced("/apis/autoscaling/v1", "horizontalpodautoscalers"), {"metadata": meta("hpa-old"), "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70}}),
    (namespaced(NETWORKING, "ingresses"), {"metadata": meta("ing-min"), "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}),
    (namespaced(NETWORKING, "ingresses"), {"metadata": meta("ing-max", annotations={"kubernetes.io/ingress.class": "c"}), "spec": {"tls": [{"hosts": ["a.example.com"], "secretName": "t"}], "rules": [
        {"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"name": "http"}}}}]}},
        {"host": "*.example.com"}, {"host": "c.example.com"}, {"host": "d.example.com"}]}}),
    (NETWORKING + "/ingressclasses", {"metadata": meta("ic-min"), "spec": {"controller": "example.com/c"}}),
    (NETWORKING + "/ingressclasses", {"metadata": meta("ic-max", annotations={"ingressclass.kubernetes.io/is-default-class": "true"}), "spec": {"controller": "example.com/c",
        "parameters": {"apiGroup": "example.com", "kind": "P", "name": "p"}}}),
    (namespaced(NETWORKING, "networkpolicies"), {"metadata": meta("np-min"), "spec": {"podSelector": {}}}),
    (namespaced(NETWORKING, "networkpolicies"), {"metadata": meta("np-max"), "spec": {"podSelector": EXPRESSIONS, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        {"namespaceSelector": {}, "podSelector": SELECTOR}], "ports": [{"port": 80, "endPort": 90}, {"port": "http"}, {"protocol": "UDP"}]}], "egress": [{}]}}),
    (NETWORKING + "/servicecidrs", {"metadata": meta("sc-min"), "spec": {"cidrs": ["10.200.0.0/24"]}}),
    (NETWORKING + "/ipaddresses", {"metadata": meta("10.200.0.9"), "spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}}),
    (namespaced("/apis/policy/v1", "poddisruptionbudgets"), {"metadata": meta("pdb-min"), "spec": {}}),
    (namespaced("/apis/policy/v1", "poddisruptionbudgets"), {"metadata": meta("pdb-max"), "spec": {"selector": SELECTOR, "minAvailable": "50%", "unhealthyPodEvictionPolicy": "AlwaysAllow"}}),
    (RBAC + "/clusterroles", {"metadata": meta("cr-min"), "rules": []}),
    (RBAC + "/clusterroles", {"metadata": meta("cr-max", labels=LABELS), "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
    (RBAC + "/clusterrolebindings", {"metadata": meta("crb-min"), "roleRef": {"kind": "ClusterRole", "name": "view"}}),
    (RBAC + "/clusterrolebindings", {"metadata": meta("crb-max"), "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]}),
    (namespaced(RBAC, "roles"), {"metadata": meta("role-min")}),
    (namespaced(RBAC, "roles"), {"metadata": meta("role:max"), "rules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"]}]}),
    (namespaced(RBAC, "rolebindings"), {"metadata": meta("rb-min"), "roleRef": {"kind": "Role", "name": "r"}}),
    (namespaced(RBAC, "rolebindings"), {"metadata": meta("rb-max"), "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "n"}]}),
    ("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": meta("pc-min"), "value": 5}),
    ("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": meta("pc-max"), "value": -5, "preemptionPolicy": "Never", "description": "d"}),
    (STORAGE + "/storageclasses", {"metadata": meta("sc-min"), "provisioner": "example.com/p"}),
    (STORAGE + "/storageclasses", {"metadata": meta("sc-max", annotations={"storageclass.kubernetes.io/is-default-class": "true"}), "provisioner": "p", "parameters": {"a": "b"}, "reclaimPolicy": "Retain",
        "allowVolumeExpansion": True, "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]}),
    (STORAGE + "/csidrivers", {"metadata": meta("d.min"), "spec": {}}),
    (STORAGE + "/csidrivers", {"metadata": meta("d.max"), "spec": {"attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Persistent", "Ephemeral"], "fsGroupPolicy": "File",
        "tokenRequests": [{"audience": "a"}, {"audience": ""}]}}),
    (STORAGE + "/csinodes", {"metadata": meta("cn-min"), "spec": {"drivers": []}}),
    (STORAGE + "/csinodes", {"metadata": meta("cn-max"), "spec": {"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": ["zone"], "allocatable": {"count": 5}}]}}),
    (namespaced(STORAGE, "csistoragecapacities"), {"metadata": meta("cap-min"), "storageClassName": "c"}),
    (namespaced(STORAGE, "csistoragecapacities"), {"metadata": meta("cap-max"), "storageClassName": "c", "capacity": "5Gi", "maximumVolumeSize": "1Gi", "nodeTopology": SELECTOR}),
    (STORAGE + "/volumeattachments", {"metadata": meta("va-min"), "spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}}),
    (STORAGE + "/volumeattributesclasses", {"metadata": meta("vac-min"), "driverName": "d", "parameters": {"a": "b"}}),
    (namespaced("/apis/discovery.k8s.io/v1", "endpointslices"), {"metadata": meta("eps-min"), "addressType": "IPv4", "endpoints": []}),
    (namespaced("/apis/discovery.k8s.io/v1", "endpointslices"), {"metadata": meta("eps-max", labels={"kubernetes.io/service-name": "s"}), "addressType": "IPv4", "endpoints": [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "nodeName": "n", "zone": "z", "hints": {"forZones": [{"name": "z"}]}}, {"addresses": ["10.0.0.2", "10.0.0.3"]}, {"addresses": ["10.0.0.4"]}],
        "ports": [{"port": 80}, {"name": "x", "port": 53, "protocol": "UDP"}, {"name": "y"}, {"name": "z", "port": 1}]}),
    ("/apis/node.k8s.io/v1/runtimeclasses", {"metadata": meta("rc-min"), "handler": "runc"}),
    ("/apis/node.k8s.io/v1/runtimeclasses", {"metadata": meta("rc-max"), "handler": "kata", "overhead": {"podFixed": {"cpu": "0.25"}}, "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k"}]}}),
    (FLOW + "/flowschemas", {"metadata": meta("fs-min"), "spec": {"priorityLevelConfiguration": {"name": "global-default"}}}),
    (FLOW + "/flowschemas", {"metadata": meta("fs-max"), "spec": {"priorityLevelConfiguration": {"name": "none"}, "matchingPrecedence": 500, "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": [{"kind": "User", "user": {"name": "u"}}, {"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "n"}}],
                   "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}],
                   "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x/*"]}]}]}}),
    (FLOW + "/prioritylevelconfigurations", {"metadata": meta("pl-min"), "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}}),
    (FLOW + "/prioritylevelconfigurations", {"metadata": meta("pl-max"), "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Queue", "queuing": {"handSize": 3}}}}}),
    (RESOURCE + "/deviceclasses", {"metadata": meta("dc-min"), "spec": {}}),
    (RESOURCE + "/deviceclasses", {"metadata": meta("dc-max"), "spec": {"selectors": [{"cel": {"expression": "device.driver == \"d\""}}]}}),
    (namespaced(RESOURCE, "resourceclaims"), {"metadata": meta("claim-min"), "spec": {}}),
    (namespaced(RESOURCE, "resourceclaims"), {"metadata": meta("claim-max"), "spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "dc-min"}},
        {"name": "b", "firstAvailable": [{"name": "x", "deviceClassName": "dc-min", "count": 2}, {"name": "y", "deviceClassName": "dc-min", "allocationMode": "All"}]},
        {"name": "c", "exactly": {"deviceClassName": "dc-max", "tolerations": [{"key": "k"}]}}]}}}),
    (namespaced(RESOURCE, "resourceclaimtemplates"), {"metadata": meta("ct-min"), "spec": {"spec": {}}}),
    (namespaced(RESOURCE, "resourceclaimtemplates"), {"metadata": meta("ct-max"), "spec": {"metadata": {"labels": LABELS}, "spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "dc-min"}}]}}}}),
    (RESOURCE + "/resourceslices", {"metadata": meta("slice-min"), "spec": {"driver": "d.example.com", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "nodeName": "n"}}),
    (RESOURCE + "/resourceslices", {"metadata": meta("slice-max"), "spec": {"driver": "d.example.com", "pool": {"name": "q", "generation": 1, "resourceSliceCount": 1}, "allNodes": True,
        "devices": [{"name": "dev", "attributes": {"a": {"int": 1}, "b": {"bool": False}, "v": {"version": "1.0.0"}}, "capacity": {"mem": {"value": "1Gi"}}}]}}),
    (ADMISSION + "/validatingwebhookconfigurations", {"metadata": meta("vwc-min")}),
    (ADMISSION + "/validatingwebhookconfigurations", {"metadata": meta("vwc-max"), "webhooks": [{**WEBHOOK, "matchPolicy": "Exact"}, WEBHOOK_MAX]}),
    (ADMISSION + "/mutatingwebhookconfigurations", {"metadata": meta("mwc-min"), "webhooks": [WEBHOOK]}),
    (ADMISSION + "/mutatingwebhookconfigurations", {"metadata": meta("mwc-max"), "webhooks": [WEBHOOK, {**WEBHOOK_MAX, "reinvocationPolicy": "IfNeeded"}]}),
    (ADMISSION + "/validatingadmissionpolicies", {"metadata": meta("vap-min"), "spec": {"matchConstraints": {"resourceRules": [
        {"operations": ["CREATE"], "apiGroups": ["x.example.com"], "apiVersions": ["v1"], "resources": ["things"]}]}, "validations": [{"expression": "true"}]}}),
    (ADMISSION + "/validatingadmissionpolicybindings", {"metadata": meta("vapb-min"), "spec": {"policyName": "vap-min", "validationActions": ["Deny"]}}),
    (ADMISSION + "/validatingadmissionpolicybindings", {"metadata": meta("vapb-max"), "spec": {"policyName": "none", "validationActions": ["Warn", "Audit"],
        "paramRef": {"name": "p", "namespace": "n", "parameterNotFoundAction": "Allow"}, "matchResources": {"namespaceSelector": SELECTOR}}}),
    (ADMISSION + "/mutatingadmissionpolicies", {"metadata": meta("map-min"), "spec": {"reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": [
        {"operations": ["CREATE"], "apiGroups": ["x.example.com"], "apiVersions": ["v1"], "resources": ["things"]}]},
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: \"add\", path: \"/x\", value: \"y\"}]"}}]}}),
    (ADMISSION + "/mutatingadmissionpolicybindings", {"metadata": meta("mapb-min"), "spec": {"policyName": "none"}}),
    ("/apis/apiregistration.k8s.io/v1/apiservices", {"metadata": meta("v1.kinds.example.com"), "spec": {"group": "kinds.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
        "service": {"namespace": "n", "name": "s"}, "insecureSkipTLSVerify": True}}),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": meta("things.kinds.example.com"), "spec": {"group": "kinds.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": False, "storage": True, "schema": CRD_SCHEMA, "subresources": {"status": {}}}]}}),
]

# Changes of the status, for kinds whose tables or rules look at it: (path below the namespace, status).
STATUSES = [
    (namespaced(APPS, "deployments/deploy-max"), {"replicas": 3, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 2, "observedGeneration": 1}),
    (namespaced(APPS, "replicasets/rs-max"), {"replicas": 2, "readyReplicas": 1}),
    (namespaced(APPS, "daemonsets/ds-max"), {"currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 2, "numberReady": 1, "numberAvailable": 1}),
    (namespaced(APPS, "statefulsets/sts-max"), {"replicas": 2, "readyReplicas": 1}),
    (namespaced(CORE, "replicationcontrollers/rc-max"), {"replicas": 2, "readyReplicas": 1}),
    (namespaced(BATCH, "cronjobs/cj-max"), {"active": [{"kind": "Job", "name": "j", "namespace": NS}]}),
    (namespaced(CORE, "resourcequotas/rq-max"), {"hard": {"limits.memory": "200Gi", "pods": "300"}, "used": {"limits.memory": "1Gi", "pods": "3"}}),
    (namespaced(CORE, "services/svc-max"), {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb.example.com"}]}}),
    (namespaced(NETWORKING, "ingresses/ing-max"), {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb.example.com"}]}}),
    (namespaced("/apis/policy/v1", "poddisruptionbudgets/pdb-max"), {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}),
    (namespaced("/apis/autoscaling/v2", "horizontalpodautoscalers/hpa-max"), {"currentReplicas": 3, "desiredReplicas": 4, "currentMetrics": [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "100m"}}},
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "current": {"averageValue": "5"}}}]}),
    (CORE + "/persistentvolumes/pv-max", {"phase": "Bound"}),
    (namespaced(CORE, "persistentvolumeclaims/pvc-max"), {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"]}),
    (FLOW + "/flowschemas/fs-max", {"conditions": [{"type": "Dangling", "status": "True"}]}),
    (STORAGE + "/volumeattachments/va-min", {"attached": True}),
]

SCALED = [namespaced(APPS, "deployments/deploy-max"), namespaced(APPS, "replicasets/rs-min"), namespaced(APPS, "statefulsets/sts-max"), namespaced(CORE, "replicationcontrollers/rc-min")]

SELECTED = [
    (namespaced(CORE, "replicationcontrollers"), "status.replicas=2"), (namespaced(CORE, "services"), "spec.type=LoadBalancer"),
    (namespaced(CORE, "services"), "spec.clusterIP=None"), (namespaced(BATCH, "jobs"), "status.successful=0"),
    (namespaced(CORE, "events"), "involvedObject.kind=Pod,reason=R"), (namespaced("/apis/events.k8s.io/v1", "events"), "regarding.name=p"), (namespaced("/apis/events.k8s.io/v1", "events"), "reportingController=c.example.com/x"),
    (namespaced(APPS, "deployments"), "spec.replicas=1"), (namespaced(APPS, "replicasets"), "status.replicas=1"),
]


def requests():
    yield "POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, {}
    collections = []
    for collection, body in FIXTURES:
        yield "POST", collection, body, {}
        if collection == FLOW + "/flowschemas":
            yield "WAIT", f"{collection}/{body['metadata']['name']}", '"Dangling"', {}
        if collection not in collections:
            collections.append(collection)
    for path, status in STATUSES:
        yield "PATCH", path + "/status", {"status": status, "metadata": {"annotations": {"by": "status"}, "labels": {"by": "status"}}}, MERGE
        if "/flowschemas/" in path:
            yield "WAIT", path, '"NotFound"', {}  # it is put right at once
        yield "PATCH", path, {"status": {"observedGeneration": 77, "phase": "x"}}, MERGE
        yield "GET", path + "/status", None, {}
    for path in SCALED:
        yield "GET", path + "/scale", None, {}
        yield "PATCH", path + "/scale", {"spec": {"replicas": 5}}, MERGE
        yield "GET", path + "/scale", None, TABLE
        yield "GET", path, None, {}
    yield "GET", namespaced("/apis/autoscaling/v1", "horizontalpodautoscalers/hpa-max"), None, {}
    yield "GET", namespaced("/apis/autoscaling/v2", "horizontalpodautoscalers/hpa-old"), None, {}
    yield "GET", namespaced(CORE, "events/ev-max"), None, {}
    yield "GET", namespaced("/apis/events.k8s.io/v1", "events/ev-min"), None, {}
    for collection in collections:
        names = [body["metadata"]["name"] for c, body in FIXTURES if c == collection]
        if "/namespaces/" in collection:  # the others hold what each server makes for itself
            ours = "?fieldSelector=reason=R" if collection.endswith("/events") else ""  # controllers have others
            yield "GET", collection + ours, None, {}
            yield "GET", collection + ours, None, TABLE
        for name in names:
            yield "GET", f"{collection}/{name}", None, TABLE
    for collection, selector in SELECTED:
        yield "GET", f"{collection}?fieldSelector={selector}", None, TABLE
    for collection, body in FIXTURES:
        path = f"{collection}/{body['metadata']['name']}"
        yield "PATCH", path, {"metadata": {"labels": {"changed": "yes"}, "annotations": {"changed": "yes"}}}, MERGE
        yield "PATCH", path, {"metadata": {"labels": {"a b": "c"}, "annotations": {"d e": "f"}}}, MERGE
        if "template" in body.get("spec", {}) and "jobs" not in collection:
            yield "PATCH", path, {"spec": {"template": {"metadata": {"annotations": {"changed": "yes"}}}}}, MERGE
    for collection, body in FIXTURES:
        yield "DELETE", f"{collection}/{body['metadata']['name']}", None, {}


def services():
    """What services are given, keep and give back."""
    path = namespaced(CORE, "services")

    def service(name, **spec):
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}

    yield "POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, {}
    yield "POST", path, service("a", clusterIP="10.96.9.9"), {}
    address = NETWORKING + "/ipaddresses/10.96.9.9"
    yield "WAIT", address, "parentRef", {}
    yield "GET", address, None, {}
    yield "GET", address, None, TABLE
    yield "GET", NETWORKING + "/servicecidrs/kubernetes", None, {}
    for spec in [{"clusterIP": "10.96.9.9"}, {"clusterIP": "10.1.1.1"}, {"clusterIP": "x"}, {"clusterIP": "fd00::1"}, {"ipFamilies": ["IPv6"]},
                 {"ipFamilyPolicy": "RequireDualStack"}, {"clusterIPs": ["10.96.9.8"]}, {"clusterIP": "10.96.9.8", "clusterIPs": ["10.96.9.7"]},
                 {"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}, {"ipFamilyPolicy": "PreferDualStack"},
                 {"clusterIP": "None", "ports": None}, {"externalIPs": ["1.2.3.4"]}, {"trafficDistribution": "PreferClose"}]:
        yield "POST", path + "?dryRun=All", service("b", **spec), {}
    yield "POST", path, service("n", type="NodePort", ports=[{"name": "a", "port": 53, "nodePort": 30053}, {"name": "b", "port": 53, "protocol": "UDP"}]), {}
    yield "POST", path, service("m", type="NodePort", ports=[{"port": 1, "nodePort": 30053}]), {}
    for spec in [{"type": "NodePort", "ports": [{"port": 80, "nodePort": 30099}]}, {"sessionAffinity": "ClientIP"}, {"type": "LoadBalancer"},
                 {"type": "ClusterIP"}, {"clusterIP": "10.96.9.7"}, {"ipFamilyPolicy": "PreferDualStack"},
                 {"type": "ExternalName", "externalName": "example.com"}, {"type": "ClusterIP", "externalName": None, "clusterIP": "10.96.9.6"}]:
        yield "PATCH", path + "/a", {"spec": spec}, MERGE
    yield "PUT", path + "/n", service("n", type="NodePort", ports=[{"name": "b", "port": 53, "protocol": "UDP"}]), {}
    yield "PUT", path + "/new", service("new", clusterIP="None"), {}
    for name in ("a", "n", "new"):
        yield "DELETE", f"{path}/{name}", None, {}
    networks = NETWORKING + "/servicecidrs"
    yield "POST", networks, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.200.0.0/28"]}}, {}
    yield "WAIT", networks + "/more", "10.200.0.0", {}
    for address in ("10.200.0.0", "10.200.0.15", "10.200.0.16", "10.200.0.5", "10.200.0.6", "10.96.0.0", "10.96.255.255", "fd00::1"):
        yield "POST", path, service("n" + address[-2:].strip(".:"), clusterIP=address), {}
    yield "POST", NETWORKING + "/ipaddresses", {"metadata": {"name": "10.200.0.7"}, "spec": {"parentRef": {"group": "g", "resource": "x", "name": "y"}}}, {}
    for name, address in (("again", "10.200.0.5"), ("held", "10.200.0.7")):
        yield "POST", path, service(name, clusterIP=address), {}
    yield "DELETE", NETWORKING + "/ipaddresses/10.200.0.7", None, {}
    for name in ("n5", "n6"):
        yield "DELETE", f"{path}/{name}", None, {}
    yield "DELETE", networks + "/more", None, {}  # before a dry run: upstream answers one of any network


def certificates():
    """A request for a certificate, and what is decided about it."""
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"request": CSR, "signerName": "example.com/signer", "usages": ["client auth"]}
    for more in [{}, {"username": "somebody", "groups": ["g"], "expirationSeconds": 700}]:
        yield "POST", path, {"metadata": {"name": "csr" + str(len(more))}, "spec": {**spec, **more}}, {}
    for i, wrong in enumerate([{"usages": []}, {"usages": ["x", "client auth", "client auth"]}, {"expirationSeconds": 5}, {"signerName": ""}, {"signerName": "a"},
                               {"signerName": "a/b/c"}, {"signerName": "a/b"}, {"signerName": "-.B.x/c"}, {"signerName": "example.com/a_.b"},
                               {"signerName": "example.com/"}, {"signerName": "kubernetes.io/legacy-unknown"}, {"signerName": "a" * 64 + ".b/" + "c" * 600}]):
        yield "POST", path, {"metadata": {"name": f"wrong-{i}"}, "spec": {**spec, **wrong}}, {}
    approved = {"type": "Approved", "status": "True", "reason": "R", "message": "m"}
    yield "PATCH", path + "/csr3/approval", {"status": {"conditions": [approved, {**approved, "type": "Denied"}, {"type": "", "status": "x"}]}}, MERGE
    yield "PATCH", path + "/csr0", {"spec": {"signerName": "example.com/other"}, "metadata": {"labels": {"a": "b"}}}, MERGE
    yield "PATCH", path + "/csr0/status", {"status": {"conditions": [approved]}}, MERGE
    yield "PATCH", path + "/csr0/approval", {"status": {"conditions": [approved], "certificate": "eA=="}}, MERGE
    yield "PATCH", path + "/csr0/approval", {"status": {"conditions": [{**approved, "type": "Denied"}]}}, MERGE
    yield "PATCH", path + "/csr3/approval", {"status": {"conditions": [{**approved, "type": "Denied"}]}}, MERGE
    for name in ("csr0", "csr3"):
        yield "GET", f"{path}/{name}", None, TABLE
        yield "GET", f"{path}/{name}", None, {}
    yield "GET", path + "?fieldSelector=spec.signerName=example.com/signer", None, TABLE
    for name in ("csr0", "csr3"):
        yield "DELETE", f"{path}/{name}", None, {}


def discovery_accepts():
    json, protobuf = "application/json", "application/vnd.kubernetes.protobuf"
    form = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    old, later = form.replace("v2", "v2beta1"), form.replace("v2", "v3")
    for one in (protobuf, protobuf + form, protobuf + old, "application/yaml" + form, "*/*" + form, "*/*", json + form + ";profile=nopeer",
                json + form + ";pretty=1", json + ";pretty=true", json + ";q=0", json + ";g=x", json + ";charset=utf-8", json + ";stream=watch",
                json + ";as=Table;g=meta.k8s.io;v=v1"):
        yield one
    yield ",".join((protobuf + form, json + form, json))
    yield ",".join((json + form + ";q=0.5", protobuf + form))
    yield ",".join((json, protobuf + form + ";q=0.1"))
    yield ",".join((protobuf + later, protobuf))
    for first in (old, ";stream=x", ";sv=v1", ";q=0.2", ";q=x", ";q=1.5", ";q=0.9;q=0.1", " ; as = x "):
        yield json + first + "," + protobuf + ";q=0.8"


def discovery():
    """Documents that say what is served."""
    form = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    aggregated = {"Accept": "application/json" + form}
    yield "GET", "/api", None, {}
    yield "GET", "/apis", None, {}
    yield "GET", "/api", None, aggregated
    yield "GET", "/apis", None, aggregated
    for other in ("application/yaml" + form, "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", "application/json;g=apidiscovery.k8s.io;v=v1;as=APIGroupDiscoveryList"):
        yield "GET", "/api", None, {"Accept": other}
        yield "GET", "/apis", None, {"Accept": other}
    for accept in discovery_accepts():
        for path in ("/apis", "/api", "/apis/apps", "/apis/apps/v1", "/api/v1"):
            yield "GET", path, None, {"Accept": accept}
    groups = {collection.split("/namespaces/")[0].rsplit("/", 1)[0] if "/namespaces/" not in collection else collection.split("/namespaces/")[0] for collection, _ in FIXTURES}
    for group in sorted(groups):
        yield "GET", group, None, {}
        if group.startswith("/apis/"):
            yield "GET", group.rsplit("/", 1)[0], None, {}
