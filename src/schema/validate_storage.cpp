// Kinds of the storage group (upstream: pkg/apis/storage/validation), and RuntimeClasses (pkg/apis/node/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/go_json.h"
#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace storage = api::storage::v1;
namespace node_api = api::node::v1;

namespace {

constexpr size_t kMaxParameters = 512, kMaxParameterBytes = 256 * 1024, kMaxErrorBytes = 1024, kMaxNodeId = 256;
constexpr int64_t kMinTokenSeconds = 600, kMaxTokenSeconds = int64_t{1} << 32, kMinUpdateSeconds = 10;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

std::string json_of(const std::optional<std::string>& value) { return value ? fmt::format("\"{}\"", *value) : "null"; }
std::string json_of(std::optional<bool> value) { return !value ? "null" : *value ? "true" : "false"; }

void provisioner(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  errors.invalid(path, lower(name), names::qualified_name(lower(name)));
}

void parameters(const std::map<std::string, std::string>& parameters, bool may_be_empty, FieldErrors& errors) {
  const Path path("parameters");
  if (parameters.size() > kMaxParameters) return errors.too_long(path, kMaxParameters);
  size_t size = 0;
  for (const auto& [key, value] : parameters) {
    if (key.empty()) errors.invalid(path, key, "field can not be empty.");
    size += key.size() + value.size();
  }
  if (size > kMaxParameterBytes) errors.too_long(path, kMaxParameterBytes);
  if (!may_be_empty && parameters.empty()) errors.required(path, "must contain at least one key/value pair");
}

using Topology = std::map<std::string, std::set<std::string>>;

Topology topology(const core::TopologySelectorTerm& term, const Path& path, FieldErrors& errors) {
  Topology out;
  for (size_t i = 0; i < term.matchLabelExpressions.size(); ++i) {
    const auto& requirement = term.matchLabelExpressions[i];
    const Path at = path.child("matchLabelExpressions").index(i), values = at.child("values");
    std::set<std::string> seen;
    if (requirement.values.empty()) errors.required(values);
    for (size_t j = 0; j < requirement.values.size(); ++j) {
      if (!seen.insert(requirement.values[j]).second) errors.duplicate(values.index(j), requirement.values[j]);
    }
    errors.invalid(at.child("key"), requirement.key, names::qualified_name(requirement.key));
    if (out.count(requirement.key)) errors.duplicate(at.child("key"), requirement.key);
    out[requirement.key] = std::move(seen);
  }
  return out;
}

void allowed_topologies(const std::vector<core::TopologySelectorTerm>& topologies, FieldErrors& errors) {
  std::vector<Topology> known;
  for (size_t i = 0; i < topologies.size(); ++i) {
    const Path at = Path("allowedTopologies").index(i);
    Topology terms = topology(topologies[i], at, errors);
    // Upstream compares with as many empty terms as there are terms, too.
    const auto count = static_cast<size_t>(std::count(known.begin(), known.end(), terms)) + (terms.empty() ? topologies.size() : 0);
    for (size_t n = 0; n < count; ++n) errors.duplicate(at.child("matchLabelExpressions"), "");
    known.push_back(std::move(terms));
  }
}

void volume_error(const api::Box<storage::VolumeError>& error, const Path& path, FieldErrors& errors) {
  if (!error) return;
  if (error->message.size() > kMaxErrorBytes) errors.too_long(path.child("message"), kMaxParameterBytes);
  if (error->errorCode && *error->errorCode < 0) errors.invalid(path.child("errorCode"), *error->errorCode, names::range_error(0, INT32_MAX));
}

void csi_node_driver(const storage::CSINodeDriver& driver, bool again, const Path& path, FieldErrors& errors) {
  csi_driver_name(driver.name, path.child("name"), errors);
  const Path id = path.child("nodeID");
  if (driver.nodeID.empty()) errors.required(id);
  if (driver.nodeID.size() > kMaxNodeId) errors.invalid(id, driver.nodeID, fmt::format("must be {} characters or less", kMaxNodeId));
  if (driver.allocatable && driver.allocatable->count) errors.non_negative(path.child("allocatable", "count"), *driver.allocatable->count);
  if (again) errors.duplicate(path.child("name"), driver.name);
  std::set<std::string> keys;
  for (const std::string& key : driver.topologyKeys) {
    if (key.empty()) errors.required(path);
    if (!keys.insert(key).second) errors.duplicate(path, key);
    errors.invalid(path, key, names::qualified_name(key));
  }
}

void csi_driver_spec(const storage::CSIDriverSpec& spec, const Path& path, FieldErrors& errors) {
  if (!spec.attachRequired) errors.required(path.child("attachedRequired"));
  if (!spec.podInfoOnMount) errors.required(path.child("podInfoOnMount"));
  if (!spec.storageCapacity) errors.required(path.child("storageCapacity"));
  if (spec.fsGroupPolicy) errors.one_of(path.child("fsGroupPolicy"), *spec.fsGroupPolicy, {"File", "None", "ReadWriteOnceWithFSType"});
  std::set<std::string> audiences;
  for (size_t i = 0; i < spec.tokenRequests.size(); ++i) {
    const auto& request = spec.tokenRequests[i];
    const Path at = path.child("tokenRequests").index(i), seconds = at.child("expirationSeconds");
    if (!audiences.insert(request.audience).second) {
      errors.duplicate(at.child("audience"), request.audience);
      continue;
    }
    if (!request.expirationSeconds) continue;
    if (*request.expirationSeconds < kMinTokenSeconds)
      errors.invalid(seconds, *request.expirationSeconds, "may not specify a duration less than 10 minutes");
    if (*request.expirationSeconds > kMaxTokenSeconds)
      errors.invalid(seconds, *request.expirationSeconds, "may not specify a duration larger than 2^32 seconds");
  }
  for (const std::string& mode : spec.volumeLifecycleModes) errors.one_of(path.child("volumeLifecycleModes"), mode, {"Persistent", "Ephemeral"});
  if (!spec.seLinuxMount) errors.required(path.child("seLinuxMount"));
  const auto& period = spec.nodeAllocatableUpdatePeriodSeconds;
  if (period && *period < kMinUpdateSeconds)
    errors.invalid(path.child("nodeAllocatableUpdatePeriodSeconds"), *period, "must be greater than or equal to 10 seconds");
  if (spec.serviceAccountTokenInSecrets && spec.tokenRequests.empty())
    errors.invalid(path.child("serviceAccountTokenInSecrets"), *spec.serviceAccountTokenInSecrets,
                   "serviceAccountTokenInSecrets is set but no tokenRequests are specified");
}

void runtime_scheduling(const node_api::Scheduling& scheduling, const Path& path, FieldErrors& errors) {
  const Path at = path.child("tolerations");
  labels(scheduling.nodeSelector, path.child("nodeSelector"), errors);
  tolerations(scheduling.tolerations, at, errors);
  std::set<std::vector<std::string>> seen;
  for (size_t i = 0; i < scheduling.tolerations.size(); ++i) {
    const core::Toleration& t = scheduling.tolerations[i];
    if (!seen.insert({t.key, t.operator_, t.value, t.effect}).second) errors.duplicate_json(at.index(i), go_json(t));
  }
}

}  // namespace

void storage_class(const storage::StorageClass& c, const storage::StorageClass* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  provisioner(c.provisioner, Path("provisioner"), errors);
  parameters(c.parameters, true, errors);
  if (c.reclaimPolicy && !c.reclaimPolicy->empty()) errors.one_of(Path("reclaimPolicy"), *c.reclaimPolicy, {"Delete", "Retain"});
  if (c.volumeBindingMode) {
    errors.one_of(Path("volumeBindingMode"), *c.volumeBindingMode, {"Immediate", "WaitForFirstConsumer"});
  } else {
    errors.required(Path("volumeBindingMode"));
  }
  allowed_topologies(c.allowedTopologies, errors);
  if (!old) return;
  auto frozen = [&](std::string_view name, bool same, std::string_view now) {
    if (!same) errors.invalid_json(Path(name), now, kImmutable);
  };
  frozen("parameters", c.parameters == old->parameters, labels_json(c.parameters));
  frozen("provisioner", c.provisioner == old->provisioner, json_of(c.provisioner));
  frozen("reclaimPolicy", c.reclaimPolicy == old->reclaimPolicy, json_of(c.reclaimPolicy));
  frozen("volumeBindingMode", c.volumeBindingMode == old->volumeBindingMode, json_of(c.volumeBindingMode));
}

void volume_attachment(const storage::VolumeAttachment& attachment, const storage::VolumeAttachment* old, FieldErrors& errors) {
  object_meta(attachment.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path path("spec"), source = path.child("source"), status("status");
  const auto& spec = attachment.spec;
  csi_driver_name(spec.attacher, path.child("attacher"), errors);
  constexpr std::string_view kOne = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
  const auto& volume = spec.source.persistentVolumeName;
  if (!spec.source.inlineVolumeSpec && !volume) errors.required(source, kOne);
  if (spec.source.inlineVolumeSpec && volume) errors.forbidden(source, kOne);
  if (!spec.source.inlineVolumeSpec && volume && volume->empty())
    errors.required(source.child("persistentVolumeName"), "must specify non empty persistentVolumeName");
  errors.invalid(path.child("nodeName"), spec.nodeName, names::dns1123_subdomain(spec.nodeName));
  volume_error(attachment.status.attachError, status.child("attachError"), errors);
  volume_error(attachment.status.detachError, status.child("detachError"), errors);
  if (volume) errors.invalid(source.child("persistentVolumeName"), *volume, names::dns1123_subdomain(*volume));
  if (old && !(spec == old->spec)) errors.invalid_json(path, go_json(spec), kImmutable);
}

void csi_driver(const storage::CSIDriver& driver, const storage::CSIDriver* old, FieldErrors& errors) {
  object_meta(driver.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path path("spec");
  csi_driver_spec(driver.spec, path, errors);
  if (!old) return;
  if (driver.spec.attachRequired != old->spec.attachRequired)
    errors.invalid_json(path.child("attachedRequired"), json_of(driver.spec.attachRequired), kImmutable);
  if (driver.spec.volumeLifecycleModes != old->spec.volumeLifecycleModes)
    errors.invalid_json(path.child("volumeLifecycleModes"), list_json(driver.spec.volumeLifecycleModes), kImmutable);
}

void csi_node(const storage::CSINode& csi, const storage::CSINode* old, FieldErrors& errors) {
  object_meta(csi.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path path("spec.drivers");
  std::set<std::string> seen;
  for (size_t i = 0; i < csi.spec.drivers.size(); ++i)
    csi_node_driver(csi.spec.drivers[i], !seen.insert(csi.spec.drivers[i].name).second, path.index(i), errors);
  if (!old) return;
  for (storage::CSINodeDriver before : old->spec.drivers) {
    for (storage::CSINodeDriver now : csi.spec.drivers) {
      before.allocatable.reset();
      now.allocatable.reset();
      if (before.name == now.name && !(before == now)) errors.invalid_json(path, go_json(now), kImmutable);
    }
  }
}

void storage_capacity(const storage::CSIStorageCapacity& c, const storage::CSIStorageCapacity* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  const Path topology("nodeTopology"), name("storageClassName");
  if (c.nodeTopology) label_selector(*c.nodeTopology, topology, errors);
  errors.invalid(name, c.storageClassName, names::dns1123_subdomain(c.storageClassName));
  if (c.capacity && Quantity::parse_or_zero(*c.capacity).sign() < 0)
    errors.invalid(Path("capacity"), *c.capacity, "must be greater than or equal to 0");
  if (!old) return;
  if (!(c.nodeTopology == old->nodeTopology)) errors.invalid_json(topology, c.nodeTopology ? go_json(*c.nodeTopology) : "null", kImmutable);
  if (c.storageClassName != old->storageClassName) errors.invalid(name, c.storageClassName, kImmutable);
}

void volume_attributes_class(const storage::VolumeAttributesClass& c, const storage::VolumeAttributesClass* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  if (old && c.driverName != old->driverName) errors.forbidden(Path("driverName"), "updates to driverName are forbidden.");
  if (old && c.parameters != old->parameters) errors.forbidden(Path("parameters"), "updates to parameters are forbidden.");
  provisioner(c.driverName, Path("driverName"), errors);
  parameters(c.parameters, false, errors);
}

void runtime_class(const node_api::RuntimeClass& c, const node_api::RuntimeClass* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors, Path("metadata"), Finalizers::kAny);
  const Path handler("handler");
  if (c.handler.empty()) {
    errors.required(handler);
  } else {
    errors.invalid(handler, c.handler, names::dns1123_label(c.handler));
  }
  if (c.overhead) {
    core::ResourceRequirements requirements;
    requirements.limits = c.overhead->podFixed;
    resource_requirements(requirements, core::PodSpec(), Path("overhead"), errors);
  }
  if (c.scheduling) runtime_scheduling(*c.scheduling, Path("scheduling"), errors);
  if (old && c.handler != old->handler) errors.invalid(handler, c.handler, kImmutable);
}

}  // namespace knarr::schema::validation
