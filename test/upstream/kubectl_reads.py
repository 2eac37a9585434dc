"""kubectl about the API itself: resources, versions, explanations, OpenAPI documents."""
from kubectl_commands import DOCUMENT, EXPLAIN, k

# Every kind of every group version, as kubectl names it.
KINDS = {
    "v1": "bindings componentstatuses configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes "
          "pods podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services",
    "admissionregistration.k8s.io/v1": "mutatingwebhookconfigurations validatingwebhookconfigurations validatingadmissionpolicies "
                                       "validatingadmissionpolicybindings",
    "apiextensions.k8s.io/v1": "customresourcedefinitions",
    "apiregistration.k8s.io/v1": "apiservices",
    "apps/v1": "controllerrevisions daemonsets deployments replicasets statefulsets",
    "authentication.k8s.io/v1": "selfsubjectreviews tokenreviews",
    "authorization.k8s.io/v1": "localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews",
    "autoscaling/v1": "horizontalpodautoscalers",
    "autoscaling/v2": "horizontalpodautoscalers",
    "batch/v1": "cronjobs jobs",
    "certificates.k8s.io/v1": "certificatesigningrequests",
    "coordination.k8s.io/v1": "leases",
    "discovery.k8s.io/v1": "endpointslices",
    "events.k8s.io/v1": "events",
    "flowcontrol.apiserver.k8s.io/v1": "flowschemas prioritylevelconfigurations",
    "networking.k8s.io/v1": "ingressclasses ingresses ipaddresses networkpolicies servicecidrs",
    "node.k8s.io/v1": "runtimeclasses",
    "policy/v1": "poddisruptionbudgets",
    "rbac.authorization.k8s.io/v1": "clusterrolebindings clusterroles rolebindings roles",
    "resource.k8s.io/v1": "deviceclasses resourceclaims resourceclaimtemplates resourceslices",
    "scheduling.k8s.io/v1": "priorityclasses",
    "storage.k8s.io/v1": "csidrivers csinodes csistoragecapacities storageclasses volumeattachments volumeattributesclasses",
}

PATHS = ("pod.spec pod.spec.containers pod.spec.containers.livenessProbe pod.spec.containers.resources pod.spec.containers.env.valueFrom "
         "pod.spec.affinity.nodeAffinity pod.spec.volumes pod.spec.volumes.projected.sources pod.spec.restartPolicy pod.spec.securityContext "
         "pod.metadata pod.metadata.managedFields pod.metadata.managedFields.fieldsV1 pod.metadata.labels pod.status.conditions pod.kind "
         "service.spec.ports service.spec.ports.targetPort service.spec.type deployment.spec.strategy deployment.spec.strategy.rollingUpdate.maxSurge "
         "statefulset.spec.volumeClaimTemplates.spec job.spec.podFailurePolicy.rules cronjob.spec.jobTemplate.spec.template "
         "hpa.spec.behavior hpa.spec.metrics.resource.target ingress.spec.rules.http.paths networkpolicy.spec.egress.to.ipBlock pdb.spec "
         "clusterrole.rules clusterrole.aggregationRule pv.spec.csi pvc.spec.resources.requests storageclass.volumeBindingMode "
         "crd.spec.versions.schema.openAPIV3Schema crd.spec.versions.schema.openAPIV3Schema.properties crd.spec.conversion secret.data "
         "configmap.binaryData event.series node.status.nodeInfo node.spec.taints namespace.status csr.spec.usages resourceslice.spec.devices "
         "resourceclaim.spec.devices.requests validatingwebhookconfiguration.webhooks.clientConfig flowschema.spec.rules lease.spec endpointslice.endpoints "
         "pod.none pod.spec.none.x none pods.spec.containers.name.x po deploy.spec.template.spec.containers.ports svc limits.spec.limits.max").split()


def discovery():
    for line in [
            "version", "version -o json", "version -o yaml", "cluster-info", "api-versions", "api-resources", "api-resources -o wide",
            "api-resources -o name", "api-resources --verbs=list,watch", "api-resources --verbs=deletecollection -o name", "api-resources --verbs=none",
            "api-resources --namespaced=true", "api-resources --namespaced=false -o name", "api-resources --api-group=apps",
            "api-resources --api-group=", "api-resources --api-group=none", "api-resources --categories=all", "api-resources --categories=none",
            "api-resources --sort-by=name", "api-resources --sort-by=kind", "api-resources --sort-by=none", "api-resources --no-headers --cached",
            "api-resources -o json", "api-resources extra"]:
        yield k(line)
    for path in ["/api", "/apis", "/version"] + ["/api/v1" if v == "v1" else f"/apis/{v}" for v in KINDS] + [
            f"/apis/{v.split('/')[0]}" for v in KINDS if "/" in v and v != "autoscaling/v2"]:
        yield k(f"get --raw {path}", kind=DOCUMENT)
    for path in ["/apis/none", "/api/v2", "/apis/apps/v9", "/none", "/api/v1/none", "/openapi/v3/apis/none/v1"]:
        yield k(f"get --raw {path}")


def explain():
    for version, kinds in KINDS.items():
        for kind in kinds.split():
            yield k(f"explain {kind} --api-version={version} --recursive", kind=EXPLAIN)
            yield k(f"explain {kind} --api-version={version}", kind=EXPLAIN)
    for path in PATHS:
        yield k(f"explain {path}", kind=EXPLAIN)
        if path.startswith(("pod.spec", "crd", "none", "pod.none", "deployment", "service")):
            yield k(f"explain {path} --output plaintext-openapiv2", kind=EXPLAIN)
    for line in ["pod --recursive", "deployments --recursive", "clusterrole --recursive", "crd --recursive", "services", "hpa --recursive"]:
        yield k(f"explain {line} --output plaintext-openapiv2", kind=EXPLAIN)
    for line in ["", "pod extra", "pod --output none", "pod --api-version=v9", "deploy --api-version=v1", "pods.v1", "deployments.v1.apps",
                 "deployments.apps.spec.replicas"]:
        yield k(f"explain {line}", kind=EXPLAIN)


def openapi():
    yield k("get --raw /openapi/v3", kind=DOCUMENT)
    for version in KINDS:
        yield k(f"get --raw /openapi/v3/{'api' if version == 'v1' else 'apis'}/{version}", kind=DOCUMENT)
    for path in ["api", "apis", "version", "apis/apps", "apis/batch", "openid/v1/jwks", ".well-known/openid-configuration", "logs"]:
        yield k(f"get --raw /openapi/v3/{path}", kind=DOCUMENT)
    yield k("get --raw /openapi/v2", kind=DOCUMENT)
