// PersistentVolumes and PersistentVolumeClaims (upstream: pkg/apis/core/validation).
#include <fmt/format.h>

#include <set>

#include "schema/go_json.h"
#include "schema/text_diff.h"
#include "schema/validate_volume_sources.h"

namespace knarr::schema::validation {

namespace {

using validation::check;  // and more below

constexpr const char* kClassAnnotation = "volume.beta.kubernetes.io/storage-class";
constexpr std::string_view kTooMany = "may not specify more than 1 volume type";

void access_modes(const std::vector<std::string>& modes, std::string_view when_none, const Path& path, FieldErrors& errors) {
  if (modes.empty()) errors.required(path, when_none);
}

void known_access_modes(const std::vector<std::string>& modes, const Path& path, FieldErrors& errors) {
  bool one_pod = false, others = false;
  for (const std::string& mode : modes) {
    const bool known = errors.one_of(path, mode, {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"});
    one_pod = one_pod || mode == "ReadWriteOncePod";
    others = others || (known && mode != "ReadWriteOncePod");
  }
  if (one_pod && others) errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
}

void class_name(const std::optional<std::string>& name, const Path& path, FieldErrors& errors) {
  if (name && !name->empty()) errors.invalid(path, *name, names::dns1123_subdomain(*name));
}

void volume_mode(const std::optional<std::string>& mode, const Path& path, FieldErrors& errors) {
  if (mode) errors.one_of(path, *mode, {"Block", "Filesystem"});
}

void immutable_mode(const std::optional<std::string>& now, const std::optional<std::string>& old, FieldErrors& errors) {
  if (now == old) return;
  errors.invalid_json(Path("volumeMode"), now ? fmt::format("\"{}\"", *now) : "null", kImmutable);
}

void positive(const std::string& amount, const Path& path, FieldErrors& errors) {
  const Quantity quantity = Quantity::parse_or_zero(amount);
  if (quantity.sign() <= 0) errors.invalid(path, quantity.to_string(), "must be greater than zero");
}

void not_below_zero(const std::string& amount, const Path& path, FieldErrors& errors) {
  const int64_t value = Quantity::parse_or_zero(amount).value();
  if (value < 0) errors.invalid(path, value, "must be a valid resource quantity");
}

// A claim's dataSource or dataSourceRef.
template <typename Source>
void data_source(const Source& source, const Path& path, FieldErrors& errors) {
  if (source.name.empty()) errors.required(path.child("name"));
  if (source.kind.empty()) errors.required(path.child("kind"));
  const std::string group = source.apiGroup.value_or("");
  if (group.empty() && source.kind != "PersistentVolumeClaim")
    errors.invalid(path, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
}

void data_sources(const core::PersistentVolumeClaimSpec& spec, const core::PersistentVolumeClaimSpec* old, const Path& path, FieldErrors& errors) {
  const auto& source = spec.dataSource;
  const auto& reference = spec.dataSourceRef;
  // Groups that were written before they were checked may stay.
  const bool any_group = old && ((old->dataSource && old->dataSource->apiGroup) || (old->dataSourceRef && old->dataSourceRef->apiGroup));
  auto group = [&](const std::optional<std::string>& name, const Path& at) {
    if (name && !name->empty() && !any_group) errors.invalid(at.child("apiGroup"), *name, names::dns1123_subdomain(*name));
  };
  if (source) {
    data_source(*source, path.child("dataSource"), errors);
    group(source->apiGroup, path.child("dataSource"));
  }
  const bool elsewhere = reference && reference->namespace_ && !reference->namespace_->empty();
  if (reference) {
    const Path at = path.child("dataSourceRef");
    data_source(*reference, at, errors);
    group(reference->apiGroup, at);
    if (elsewhere) errors.invalid(at.child("namespace"), *reference->namespace_, names::dns1123_label(*reference->namespace_));
  }
  if (!source || !reference) return;
  // Upstream shows the path's structure here, which has no visible members.
  if (elsewhere) {
    errors.invalid_json(path, "{}", "may not be specified when dataSourceRef.namespace is specified");
  } else if (source->apiGroup != reference->apiGroup || source->kind != reference->kind || source->name != reference->name) {
    errors.invalid_json(path, "{}", "must match dataSourceRef");
  }
}

std::string annotation(const core::PersistentVolumeClaim& claim) {
  const auto it = claim.metadata.annotations.find(kClassAnnotation);
  return it == claim.metadata.annotations.end() ? "" : it->second;
}

Quantity storage(const Amounts& amounts) {
  const auto it = amounts.find("storage");
  return it == amounts.end() ? Quantity() : Quantity::parse_or_zero(it->second);
}

// What may change of a claim: the volume and a class once, and when it is bound, its size and attributes.
void claim_update(const core::PersistentVolumeClaim& claim, const core::PersistentVolumeClaim& old, FieldErrors& errors) {
  core::PersistentVolumeClaimSpec now = claim.spec, before = old.spec;
  if (before.volumeName.empty()) before.volumeName = now.volumeName;
  const bool had_annotation = old.metadata.annotations.count(kClassAnnotation) > 0, has_annotation = claim.metadata.annotations.count(kClassAnnotation) > 0;
  const bool class_set = !before.storageClassName && now.storageClassName;
  const bool same = class_set && *now.storageClassName == annotation(old);
  if (had_annotation && same && (!has_annotation || annotation(claim) == annotation(old))) {
    now.storageClassName.reset();
  } else {
    if (annotation(claim) != annotation(old))
      errors.invalid(Path("metadata.annotations").child(kClassAnnotation), annotation(claim), kImmutable);
    if (class_set && (!had_annotation || same)) now.storageClassName = before.storageClassName;
  }
  if (claim.status.phase == "Bound") {
    const auto size = before.resources.requests.find("storage");
    if (!now.resources.requests.empty()) now.resources.requests["storage"] = size == before.resources.requests.end() ? "0" : size->second;
    now.volumeAttributesClassName = before.volumeAttributesClassName;
  }
  if (!(now == before)) {
    errors.forbidden(Path("spec"), fmt::format("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
                                               text_diff(pretty_go_json(go_json(before)), pretty_go_json(go_json(now)))));
  }
  const Quantity size = storage(claim.spec.resources.requests);
  if (size < storage(old.spec.resources.requests) && size <= storage(old.status.capacity))
    errors.forbidden(Path("spec.resources.requests.storage"), "field can not be less than status.capacity");
  immutable_mode(claim.spec.volumeMode, old.spec.volumeMode, errors);
  const auto& attributes = claim.spec.volumeAttributesClassName;
  if (attributes == old.spec.volumeAttributesClassName || !old.status.currentVolumeAttributesClassName) return;
  if (!attributes || attributes->empty())
    errors.forbidden(Path("spec.volumeAttributesClassName"),
                     fmt::format("update to {} is forbidden when status.currentVolumeAttributesClassName is not nil", attributes ? "empty string" : "nil"));
}

void claim_resource(const std::string& name, const Path& path, FieldErrors& errors) {
  const auto problems = names::qualified_name(name);
  errors.invalid(path, name, problems);
  const bool native = name.find('/') == name.npos || name.find("kubernetes.io/") != name.npos;
  if (problems.empty() && native && name != "storage") errors.unsupported(path, name, {"storage"});
}

void claim_status(const core::PersistentVolumeClaim& claim, FieldErrors& errors) {
  for (const auto& [name, amount] : claim.status.capacity) not_below_zero(amount, Path("status.capacity").key(name), errors);
  const Path statuses("status.allocatedResourceStatuses"), allocated("status.allocatedResources");
  for (const auto& [name, state] : claim.status.allocatedResourceStatuses) {
    claim_resource(name, statuses, errors);
    static const std::set<std::string_view> kStates = {"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending",
                                                       "NodeResizeInProgress", "NodeResizeInfeasible"};
    if (!kStates.count(state))
      errors.unsupported(statuses, name, {"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"});
  }
  for (const auto& [name, amount] : claim.status.allocatedResources) {
    const size_t before = errors.count();
    claim_resource(name, allocated, errors);
    if (errors.count() == before) not_below_zero(amount, allocated.key(name), errors);
  }
}

void secret_reference(const api::Box<core::SecretReference>& ref, const Path& path, FieldErrors& errors) {
  if (!ref) return;
  if (ref->name.empty()) {
    errors.required(path.child("name"));
  } else {
    errors.invalid(path.child("name"), ref->name, names::dns1123_subdomain(ref->name));
  }
  if (ref->namespace_.empty()) {
    errors.required(path.child("namespace"));
  } else {
    errors.invalid(path.child("namespace"), ref->namespace_, names::dns1123_label(ref->namespace_));
  }
}

void check(const core::LocalVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.path.empty()) errors.required(path.child("path"));
  no_backsteps(source.path, path.child("path"), errors);
}

void check(const core::CSIPersistentVolumeSource& csi, const Path& path, FieldErrors& errors) {
  csi_driver_name(csi.driver, path.child("driver"), errors);
  if (csi.volumeHandle.empty()) errors.required(path.child("volumeHandle"));
  secret_reference(csi.controllerPublishSecretRef, path.child("controllerPublishSecretRef"), errors);
  secret_reference(csi.controllerExpandSecretRef, path.child("controllerExpandSecretRef"), errors);
  secret_reference(csi.nodePublishSecretRef, path.child("nodePublishSecretRef"), errors);
  secret_reference(csi.nodeExpandSecretRef, path.child("nodeExpandSecretRef"), errors);
}

void volume_source(const core::PersistentVolumeSpec& v, const std::string& name, const Path& path, FieldErrors& errors) {
  int sources = 0;
  // Upstream calls some of them by two names.
  auto source = [&](const auto& s, std::string_view name, std::string_view when_too_many = "") {
    if (!s) return;
    if (sources++ > 0) return errors.forbidden(path.child(when_too_many.empty() ? name : when_too_many), kTooMany);
    check(*s, path.child(name), errors);
  };
  source(v.hostPath, "hostPath");
  source(v.gcePersistentDisk, "persistentDisk", "gcePersistentDisk");
  source(v.awsElasticBlockStore, "awsElasticBlockStore");
  source(v.glusterfs, "glusterfs");
  source(v.flocker, "flocker");
  source(v.nfs, "nfs");
  source(v.rbd, "rbd");
  source(v.quobyte, "quobyte");
  source(v.cephfs, "cephfs", "cephFS");
  const Path iscsi = path.child("iscsi");
  if (v.iscsi && sources == 0 && v.iscsi->initiatorName && name.size() + 1 + v.iscsi->targetPortal.size() > 64) {
    if (v.iscsi->targetPortal.empty()) errors.required(iscsi.child("targetPortal"));
    errors.invalid(iscsi.child("targetportal"), v.iscsi->targetPortal, kLongPortal);
  }
  source(v.iscsi, "iscsi");
  source(v.cinder, "cinder");
  source(v.fc, "fc");
  if (v.flexVolume) ++sources, check(*v.flexVolume, path.child("flexVolume"), errors);  // which counts, but may be beside another
  source(v.azureFile, "azureFile");
  source(v.vsphereVolume, "vsphereVolume");
  source(v.photonPersistentDisk, "photonPersistentDisk");
  source(v.portworxVolume, "portworxVolume");
  source(v.azureDisk, "azureDisk");
  source(v.scaleIO, "scaleIO");
  const bool local_is_it = v.local && sources == 0;
  source(v.local, "local");
  if (local_is_it && !v.nodeAffinity) errors.required(path.child("nodeAffinity"), "Local volume requires node affinity");
  source(v.storageos, "storageos");
  source(v.csi, "csi");
  if (sources == 0) errors.required(path, "must specify a volume type");
}

void volume_spec(const core::PersistentVolumeSpec& spec, const std::string& name, const Path& path, FieldErrors& errors) {
  access_modes(spec.accessModes, "", path.child("accessModes"), errors);
  known_access_modes(spec.accessModes, path.child("accessModes"), errors);
  const Path capacity = path.child("capacity");
  if (spec.capacity.empty()) errors.required(capacity);
  if (!spec.capacity.count("storage") || spec.capacity.size() > 1)
    errors.unsupported_json(capacity, labels_json(spec.capacity), {"storage"});
  for (const auto& [name, amount] : spec.capacity) {
    not_below_zero(amount, capacity.key(name), errors);
    positive(amount, capacity.key(name), errors);
  }
  const Path policy = path.child("persistentVolumeReclaimPolicy");
  if (!spec.persistentVolumeReclaimPolicy.empty()) errors.one_of(policy, spec.persistentVolumeReclaimPolicy, {"Delete", "Recycle", "Retain"});
  if (spec.nodeAffinity) {
    const Path at = path.child("nodeAffinity", "required");
    if (spec.nodeAffinity->required) {
      node_selector(*spec.nodeAffinity->required, at, errors);
    } else {
      errors.required(at, "must specify required node constraints");
    }
  }
  volume_source(spec, name, path, errors);
  const bool all_of_node = spec.hostPath && !spec.hostPath->path.empty() && spec.hostPath->path.find_first_not_of('/') == std::string::npos;
  if (all_of_node && spec.persistentVolumeReclaimPolicy == "Recycle")
    errors.forbidden(policy, "may not be 'recycle' for a hostPath mount of '/'");
  if (!spec.storageClassName.empty()) class_name(spec.storageClassName, path.child("storageClassName"), errors);
  volume_mode(spec.volumeMode, path.child("volumeMode"), errors);
  if (!spec.volumeAttributesClassName) return;
  const Path attributes = path.child("volumeAttributesClassName");
  if (spec.volumeAttributesClassName->empty()) errors.required(attributes, "an empty string is disallowed");
  class_name(spec.volumeAttributesClassName, attributes, errors);
  if (!spec.csi) errors.required(path.child("csi"), "has to be specified when using volumeAttributesClassName");
}

// Only where the data is, nothing else of the volume.
core::PersistentVolumeSpec source_of(core::PersistentVolumeSpec spec) {
  spec.capacity.clear();
  spec.accessModes.clear();
  spec.claimRef.reset();
  spec.persistentVolumeReclaimPolicy.clear();
  spec.storageClassName.clear();
  spec.mountOptions.clear();
  spec.volumeMode.reset();
  spec.nodeAffinity.reset();
  spec.volumeAttributesClassName.reset();
  return spec;
}

// As upstream's structure of the sources, which is one of its own.
std::string source_json(const core::PersistentVolumeSpec& spec) {
  auto all = json::parse(go_json(spec));
  if (!all.ok()) return "{}";
  for (const std::string_view other : {"Capacity", "AccessModes", "ClaimRef", "PersistentVolumeReclaimPolicy", "StorageClassName", "MountOptions", "VolumeMode", "NodeAffinity",
                                       "VolumeAttributesClassName"})
    json::remove(*all, other);
  return json::dump(*all);
}

// Whether only labels of nodes are named differently: as they are called since they are no longer beta, or not at all.
bool same_affinity(const api::Box<core::VolumeNodeAffinity>& now, core::VolumeNodeAffinity before) {
  constexpr std::pair<std::string_view, std::string_view> kRenamed[] = {
      {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
      {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
      {"beta.kubernetes.io/os", "kubernetes.io/os"},
      {"beta.kubernetes.io/arch", "kubernetes.io/arch"},
      {"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"}};
  const auto renamed = [&](std::string_view key) {
    for (const auto& [beta, name] : kRenamed)
      if (beta == key) return name;
    return std::string_view();
  };
  if (!now) return false;
  if (now->required && before.required) {
    const auto &terms = now->required->nodeSelectorTerms;
    auto& old_terms = before.required->nodeSelectorTerms;
    for (size_t i = 0; i < std::min(terms.size(), old_terms.size()); ++i) {
      const auto adopt = [&](const auto& list, auto& old_list) {
        for (size_t j = 0; j < std::min(list.size(), old_list.size()); ++j)
          if (list[j].key == renamed(old_list[j].key)) old_list[j].key = list[j].key;
      };
      adopt(terms[i].matchExpressions, old_terms[i].matchExpressions);
      adopt(terms[i].matchFields, old_terms[i].matchFields);
    }
  }
  return *now == before;
}

void volume_update(const core::PersistentVolume& volume, const core::PersistentVolume& old, FieldErrors& errors) {
  core::PersistentVolumeSpec now = source_of(volume.spec), before = source_of(old.spec);
  if (before.csi && !before.csi->controllerExpandSecretRef && now.csi) now.csi->controllerExpandSecretRef.reset();
  if (!(now == before)) {
    errors.forbidden(Path("spec.persistentvolumesource"),
                     fmt::format("spec.persistentvolumesource is immutable after creation\n{}", text_diff(pretty_go_json(source_json(before)), pretty_go_json(source_json(now)))));
  }
  immutable_mode(volume.spec.volumeMode, old.spec.volumeMode, errors);
  const auto &affinity = volume.spec.nodeAffinity, &affinity_before = old.spec.nodeAffinity;
  if (affinity_before && !same_affinity(affinity, *affinity_before))
    errors.invalid_json(Path("nodeAffinity"), affinity ? go_json(*affinity) : "null", fmt::format("{}, except for updating from beta label to GA", kImmutable));
  if (old.spec.volumeAttributesClassName && !volume.spec.volumeAttributesClassName)
    errors.forbidden(Path("spec.volumeAttributesClassName"), "update from non-nil value to nil is forbidden");
}

}  // namespace

void claim_spec(const core::PersistentVolumeClaimSpec& spec, const core::PersistentVolumeClaimSpec* old, const Path& path, FieldErrors& errors) {
  access_modes(spec.accessModes, "at least 1 access mode is required", path.child("accessModes"), errors);
  if (spec.selector) label_selector(*spec.selector, path.child("selector"), errors);
  known_access_modes(spec.accessModes, path.child("accessModes"), errors);
  const Path size = path.child("resources").key("storage");
  const auto wanted = spec.resources.requests.find("storage");
  if (wanted == spec.resources.requests.end()) {
    errors.required(size);
  } else {
    positive(wanted->second, size, errors);
  }
  class_name(spec.storageClassName, path.child("storageClassName"), errors);
  volume_mode(spec.volumeMode, path.child("volumeMode"), errors);
  data_sources(spec, old, path, errors);
  class_name(spec.volumeAttributesClassName, path.child("volumeAttributesClassName"), errors);
}

void persistent_volume_claim(const core::PersistentVolumeClaim& claim, const core::PersistentVolumeClaim* old, FieldErrors& errors) {
  object_meta(claim.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  // The status is written by itself.
  if (old && !(claim.status == old->status)) return claim_status(claim, errors);
  claim_spec(claim.spec, old ? &old->spec : nullptr, Path("spec"), errors);
  if (old) claim_update(claim, *old, errors);
}

void persistent_volume(const core::PersistentVolume& volume, const core::PersistentVolume* old, FieldErrors& errors) {
  object_meta(volume.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  if (old && !(volume.status == old->status)) return;
  volume_spec(volume.spec, volume.metadata.name, Path("spec"), errors);
  if (!old) return;
  // Upstream checks the whole once more as part of an update, so every cause is there twice.
  volume_spec(volume.spec, volume.metadata.name, Path("spec"), errors);
  volume_update(volume, *old, errors);
}

}  // namespace knarr::schema::validation
