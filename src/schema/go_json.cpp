#include "schema/go_json.h"

#include <algorithm>
#include <map>
#include <vector>

namespace knarr::schema {

namespace {

constexpr std::string_view kInitialisms[] = {"api", "aws", "cel", "cidr", "csi", "dns", "fc", "fs",  "gce", "grpc", "http", "ip",
                                             "iscsi", "nfs", "os",  "rbd", "se", "tcp", "tls", "tty", "uid", "url"};

// Structures whose members stand in another order than those of the API. The security context of a pod holds what the API has
// in the pod's spec.
constexpr std::string_view kOfSecurityContext[] = {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"};
const std::map<std::string_view, std::vector<std::string_view>>& orders() {
  static const std::map<std::string_view, std::vector<std::string_view>> table = {
      {"admissionregistration/v1.ValidatingAdmissionPolicySpec",
       {"paramKind", "matchConstraints", "validations", "matchConditions", "failurePolicy", "auditAnnotations", "variables"}},
      {"autoscaling/v2.ContainerResourceMetricSource",
       {"name", "container", "target"}},
      {"autoscaling/v2.ContainerResourceMetricStatus",
       {"name", "container", "current"}},
      {"batch/v1.JobSpec",
       {"parallelism", "completions", "podFailurePolicy", "successPolicy", "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex",
        "maxFailedIndexes", "selector", "manualSelector", "template", "ttlSecondsAfterFinished", "completionMode", "suspend",
        "podReplacementPolicy", "managedBy"}},
      {"batch/v1.JobStatus",
       {"conditions", "startTime", "completionTime", "active", "terminating", "ready", "succeeded", "failed", "completedIndexes",
        "failedIndexes", "uncountedTerminatedPods"}},
      {"core/v1.PersistentVolumeSpec",
       {"capacity", "gcePersistentDisk", "awsElasticBlockStore", "hostPath", "glusterfs", "nfs", "rbd", "quobyte", "iscsi", "flexVolume",
        "cinder", "cephfs", "fc", "flocker", "azureFile", "vsphereVolume", "azureDisk", "photonPersistentDisk", "portworxVolume", "scaleIO",
        "local", "storageos", "csi", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
        "volumeMode", "nodeAffinity", "volumeAttributesClassName"}},
      {"core/v1.PodSecurityContext",
       {"seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy",
        "fsGroup", "fsGroupChangePolicy", "sysctls", "seccompProfile", "appArmorProfile", "seLinuxChangePolicy"}},
      {"core/v1.PodSpec",
       {"volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy", "terminationGracePeriodSeconds",
        "activeDeadlineSeconds", "dnsPolicy", "nodeSelector", "serviceAccountName", "automountServiceAccountToken", "nodeName",
        "securityContext", "imagePullSecrets", "hostname", "subdomain", "setHostnameAsFQDN", "affinity", "schedulerName", "tolerations",
        "hostAliases", "priorityClassName", "priority", "preemptionPolicy", "dnsConfig", "readinessGates", "runtimeClassName", "overhead",
        "enableServiceLinks", "topologySpreadConstraints", "os", "schedulingGates", "resourceClaims", "resources", "hostnameOverride",
        "schedulingGroup"}},
      {"core/v1.PodStatus",
       {"observedGeneration", "phase", "conditions", "message", "reason", "nominatedNodeName", "hostIP", "hostIPs", "podIPs", "startTime",
        "qosClass", "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses", "resize", "resourceClaimStatuses",
        "extendedResourceClaimStatus", "allocatedResources", "resources", "nodeAllocatableResourceClaimStatuses"}},
      {"core/v1.ServiceSpec",
       {"type", "ports", "selector", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "externalName", "externalIPs",
        "loadBalancerIP", "sessionAffinity", "sessionAffinityConfig", "loadBalancerSourceRanges", "externalTrafficPolicy",
        "healthCheckNodePort", "publishNotReadyAddresses", "allocateLoadBalancerNodePorts", "loadBalancerClass", "internalTrafficPolicy",
        "trafficDistribution"}},
      {"core/v1.Volume",
       {"name", "hostPath", "emptyDir", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "secret", "nfs", "iscsi", "glusterfs",
        "persistentVolumeClaim", "rbd", "quobyte", "flexVolume", "cinder", "cephfs", "flocker", "downwardAPI", "fc", "azureFile",
        "configMap", "vsphereVolume", "azureDisk", "photonPersistentDisk", "projected", "portworxVolume", "scaleIO", "storageos", "csi",
        "ephemeral", "image"}},
      {"storage/v1.CSIDriverSpec",
       {"attachRequired", "fsGroupPolicy", "podInfoOnMount", "volumeLifecycleModes", "storageCapacity", "tokenRequests", "requiresRepublish",
        "seLinuxMount", "nodeAllocatableUpdatePeriodSeconds", "serviceAccountTokenInSecrets", "preventPodSchedulingIfMissing"}}};
  return table;
}

// Members that have names of their own in there.
struct Renamed {
  std::string_view type, name, go;
};
constexpr Renamed kRenamed[] = {
    {"admissionregistration/v1.Mutation", "jsonPatch", "JSONPatch"},
    {"admissionregistration/v1.WebhookClientConfig", "caBundle", "CABundle"},
    {"batch/v1.JobSpec", "ttlSecondsAfterFinished", "TTLSecondsAfterFinished"},
    {"core/v1.AzureDiskVolumeSource", "diskURI", "DataDiskURI"},
    {"core/v1.ContainerStatus", "lastState", "LastTerminationState"},
    {"core/v1.Event", "reportingComponent", "ReportingController"},
    {"core/v1.FCVolumeSource", "wwids", "WWIDs"},
    {"core/v1.GCEPersistentDiskVolumeSource", "pdName", "PDName"},
    {"core/v1.GlusterfsPersistentVolumeSource", "endpoints", "EndpointsName"},
    {"core/v1.GlusterfsVolumeSource", "endpoints", "EndpointsName"},
    {"core/v1.ISCSIPersistentVolumeSource", "chapAuthDiscovery", "DiscoveryCHAPAuth"},
    {"core/v1.ISCSIPersistentVolumeSource", "chapAuthSession", "SessionCHAPAuth"},
    {"core/v1.ISCSIPersistentVolumeSource", "iqn", "IQN"},
    {"core/v1.ISCSIVolumeSource", "chapAuthDiscovery", "DiscoveryCHAPAuth"},
    {"core/v1.ISCSIVolumeSource", "chapAuthSession", "SessionCHAPAuth"},
    {"core/v1.ISCSIVolumeSource", "iqn", "IQN"},
    {"core/v1.LinuxContainerUser", "gid", "GID"},
    {"core/v1.PodStatus", "qosClass", "QOSClass"},
    {"core/v1.RBDPersistentVolumeSource", "image", "RBDImage"},
    {"core/v1.RBDPersistentVolumeSource", "monitors", "CephMonitors"},
    {"core/v1.RBDPersistentVolumeSource", "pool", "RBDPool"},
    {"core/v1.RBDPersistentVolumeSource", "user", "RadosUser"},
    {"core/v1.RBDVolumeSource", "image", "RBDImage"},
    {"core/v1.RBDVolumeSource", "monitors", "CephMonitors"},
    {"core/v1.RBDVolumeSource", "pool", "RBDPool"},
    {"core/v1.RBDVolumeSource", "user", "RadosUser"},
    {"core/v1.ScaleIOPersistentVolumeSource", "sslEnabled", "SSLEnabled"},
    {"core/v1.ScaleIOVolumeSource", "sslEnabled", "SSLEnabled"},
    {"core/v1.WindowsSecurityContextOptions", "gmsaCredentialSpec", "GMSACredentialSpec"},
    {"core/v1.WindowsSecurityContextOptions", "gmsaCredentialSpecName", "GMSACredentialSpecName"},
    {"networking/v1.ServiceCIDRSpec", "cidrs", "CIDRs"},
    {"resource/v1.DeviceAttribute", "bool", "BoolValue"},
    {"resource/v1.DeviceAttribute", "bools", "BoolValues"},
    {"resource/v1.DeviceAttribute", "int", "IntValue"},
    {"resource/v1.DeviceAttribute", "ints", "IntValues"},
    {"resource/v1.DeviceAttribute", "string", "StringValue"},
    {"resource/v1.DeviceAttribute", "strings", "StringValues"},
    {"resource/v1.DeviceAttribute", "version", "VersionValue"},
    {"resource/v1.DeviceAttribute", "versions", "VersionValues"},
    {"resource/v1.NetworkDeviceData", "ips", "IPs"},
};

// Members that are pointers in the API only.
constexpr std::string_view kValues[] = {
    "admissionregistration/v1.ServiceReference.port",
    "apps/v1.DeploymentSpec.replicas",
    "apps/v1.ReplicaSetSpec.replicas",
    "apps/v1.RollingUpdateDaemonSet.maxSurge",
    "apps/v1.RollingUpdateDaemonSet.maxUnavailable",
    "apps/v1.RollingUpdateDeployment.maxSurge",
    "apps/v1.RollingUpdateDeployment.maxUnavailable",
    "apps/v1.RollingUpdateStatefulSetStrategy.partition",
    "apps/v1.StatefulSetSpec.replicas",
    "core/v1.ServiceAccountTokenProjection.expirationSeconds",
    "flowcontrol/v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares",
};

bool is_pointer(const Type& type, const Field& field) {
  if (!field.pointer) return false;
  const std::string name = std::string(type.name).append(".").append(field.name);
  return std::find(std::begin(kValues), std::end(kValues), name) == std::end(kValues);
}

std::string go_name(const Type& type, std::string_view name) {
  for (const Renamed& renamed : kRenamed) {
    if (renamed.type == type.name && renamed.name == name) return std::string(renamed.go);
  }
  if (name == "cephfs") return "CephFS";
  if (name == "storageos") return "StorageOS";
  std::string out(name);
  // All of an initialism is capital, the whole name or its first word.
  const size_t word = std::min(static_cast<size_t>(std::find_if(name.begin(), name.end(), [](unsigned char c) { return std::isupper(c); }) - name.begin()), name.size());
  const bool initialism = std::find(std::begin(kInitialisms), std::end(kInitialisms), name.substr(0, word)) != std::end(kInitialisms);
  for (size_t i = 0; i < (initialism ? word : 1); ++i) out[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[i])));
  return out;
}

void write(const Field& field, Shape shape, const json::Value& value, std::string& out);
void write_object(const Type& type, const json::Value& object, std::string& out);

void separate(std::string& out) {
  if (out.back() != '{') out += ',';
}

void write_member(const Type& type, const Field& field, const json::Value& object, std::string& out) {
  const json::Value* value = json::find(object, field.name);
  if (field.type && field.type->name == "meta/v1.ObjectMeta") {  // embedded: its members stand among the others
    if (!value || !value->IsObject()) return;
    for (const auto& member : value->GetObject()) {
      separate(out);
      json::append_quoted(out, json::view(member.name));
      out += ':';
      json::append(out, member.value);
    }
    return;
  }
  separate(out);
  json::append_quoted(out, go_name(type, field.name));
  out += ':';
  if (value) {
    write(field, field.shape, *value, out);
  } else if (is_pointer(type, field) || field.shape == Shape::kList || field.shape == Shape::kMap || field.shape == Shape::kAny || field.shape == Shape::kTime) {
    out += "null";
  } else if (field.shape == Shape::kObject && field.type) {
    write_object(*field.type, json::Value(rapidjson::kObjectType), out);
  } else if (field.shape == Shape::kString) {
    out += "\"\"";
  } else if (field.shape == Shape::kQuantity) {
    out += "\"0\"";
  } else {
    out += field.shape == Shape::kBool ? "false" : "0";
  }
}

void write_members(const Type& type, const json::Value& object, std::string& out) {
  const auto order = orders().find(type.name);
  if (order == orders().end()) {
    for (const Field& field : type.fields) write_member(type, field, object, out);
    return;
  }
  for (const std::string_view name : order->second) {
    const Field* field = type.find(name);
    if (!field) continue;
    if (type.name != "core/v1.PodSpec" || name != "securityContext") {
      write_member(type, *field, object, out);
      continue;
    }
    static const json::Value nothing(rapidjson::kObjectType);
    const json::Value* context = json::find(object, name);
    if (!context || !context->IsObject()) context = &nothing;
    out += ",\"SecurityContext\":{";
    for (const std::string_view moved : kOfSecurityContext) write_member(type, *type.find(moved), object, out);
    write_members(*field->type, *context, out);
    out += '}';
  }
}

void write_object(const Type& type, const json::Value& object, std::string& out) {
  // What the internal structures take from apimachinery has its JSON names there too.
  if (type.name.starts_with("meta/v1.")) return json::append(out, object);
  out += '{';
  write_members(type, object, out);
  out += '}';
}

void write(const Field& field, Shape shape, const json::Value& value, std::string& out) {
  if (shape == Shape::kObject && field.type && value.IsObject()) {
    write_object(*field.type, value, out);
  } else if (shape == Shape::kList && value.IsArray()) {
    out += '[';
    for (const json::Value& item : value.GetArray()) {
      if (out.back() != '[') out += ',';
      write(field, field.element, item, out);
    }
    out += ']';
  } else {
    json::append(out, value);
  }
}

}  // namespace

std::string go_json(const Type& type, const json::Value& object) {
  std::string out;
  write_object(type, object, out);
  return out;
}

std::string pretty_go_json(std::string_view text) {
  auto document = json::parse(text);
  if (!document.ok()) return std::string(text);
  std::string out;
  bool halve = false, skip = false;
  for (const char c : json::dump_pretty(*document)) {
    if (c != ' ') halve = c == '\n';
    if (halve && c == ' ') skip = !skip;
    if (c == '\n') skip = false;
    if (!(halve && c == ' ' && skip)) out += c;
  }
  return out;
}

}  // namespace knarr::schema
