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
      {"core/v1.PodSecurityContext",
       {"seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy", "fsGroup",
        "fsGroupChangePolicy", "sysctls", "seccompProfile", "appArmorProfile", "seLinuxChangePolicy"}},
      {"core/v1.PodSpec",
       {"volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy",
        "nodeSelector", "serviceAccountName", "automountServiceAccountToken", "nodeName", "securityContext", "imagePullSecrets", "hostname", "subdomain",
        "setHostnameAsFQDN", "affinity", "schedulerName", "tolerations", "hostAliases", "priorityClassName", "priority", "preemptionPolicy", "dnsConfig",
        "readinessGates", "runtimeClassName", "overhead", "enableServiceLinks", "topologySpreadConstraints", "os", "schedulingGates", "resourceClaims", "resources",
        "hostnameOverride", "schedulingGroup"}},
      {"core/v1.Volume",
       {"name", "hostPath", "emptyDir", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "secret", "nfs", "iscsi", "glusterfs", "persistentVolumeClaim", "rbd",
        "quobyte", "flexVolume", "cinder", "cephfs", "flocker", "downwardAPI", "fc", "azureFile", "configMap", "vsphereVolume", "azureDisk", "photonPersistentDisk",
        "projected", "portworxVolume", "scaleIO", "storageos", "csi", "ephemeral", "image"}}};
  return table;
}

std::string go_name(std::string_view name) {
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

void write_member(const Field& field, const json::Value& object, std::string& out) {
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
  json::append_quoted(out, go_name(field.name));
  out += ':';
  if (value) {
    write(field, field.shape, *value, out);
  } else if (field.pointer || field.shape == Shape::kList || field.shape == Shape::kMap || field.shape == Shape::kAny || field.shape == Shape::kTime) {
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
    for (const Field& field : type.fields) write_member(field, object, out);
    return;
  }
  for (const std::string_view name : order->second) {
    const Field* field = type.find(name);
    if (!field) continue;
    if (type.name != "core/v1.PodSpec" || name != "securityContext") {
      write_member(*field, object, out);
      continue;
    }
    static const json::Value nothing(rapidjson::kObjectType);
    const json::Value* context = json::find(object, name);
    if (!context || !context->IsObject()) context = &nothing;
    out += ",\"SecurityContext\":{";
    for (const std::string_view moved : kOfSecurityContext) write_member(*type.find(moved), object, out);
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
