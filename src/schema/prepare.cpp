// Which parts of an object each endpoint may change.
#include <algorithm>
#include <optional>

#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "schema/disabled_fields.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Value;

bool has_status(const Resource& resource) {
  return std::any_of(resource.subresources.begin(), resource.subresources.end(),
                     [](const Subresource& s) { return s.name == "status"; });
}

// What upstream's encoder writes of a struct that nobody filled.
Value empty_value(const Field& field, Allocator& alloc) {
  if (field.pointer || field.shape == Shape::kList || field.shape == Shape::kMap) return Value();
  switch (field.shape) {
    case Shape::kObject: {
      Value object(rapidjson::kObjectType);
      if (!field.type) return object;
      for (uint16_t index : field.type->defaulted) {
        const Field& inner = field.type->fields[index];
        if (!inner.omit_empty) json::set(object, inner.name, empty_value(inner, alloc), alloc);
      }
      return object;
    }
    case Shape::kString:
      return Value("");
    case Shape::kBool:
      return Value(false);
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kDouble:
    case Shape::kIntOrString:
      return Value(0);
    case Shape::kQuantity:
      return Value("0");
    default:
      return Value();
  }
}

void take(Value& object, const Value& old, std::string_view key, Allocator& alloc) {
  if (const Value* value = json::find(old, key)) {
    json::set(object, key, json::copy(*value, alloc), alloc);
  } else {
    json::remove(object, key);
  }
}

// Kinds whose /status changes no metadata.
bool keeps_metadata(const Resource& resource) {
  constexpr std::string_view kNames[] = {"apiservices.apiregistration.k8s.io",
                                         "customresourcedefinitions.apiextensions.k8s.io",
                                         "flowschemas.flowcontrol.apiserver.k8s.io",
                                         "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
                                         "resourceclaims.resource.k8s.io",
                                         "servicecidrs.networking.k8s.io",
                                         "validatingadmissionpolicies.admissionregistration.k8s.io",
                                         "volumeattachments.storage.k8s.io"};
  return std::find(std::begin(kNames), std::end(kNames), resource.storage_name) != std::end(kNames);
}

// /status: everything but status and metadata stays as it was.
void prepare_status(const Resource& resource, Value& object, const Value& old, Allocator& alloc) {
  std::vector<std::string> keys;
  for (const Value* side : {static_cast<const Value*>(&object), &old}) {
    for (const auto& member : side->GetObject()) keys.emplace_back(json::view(member.name));
  }
  for (const std::string& key : keys) {
    if (key != "status" && key != "metadata" && key != "kind" && key != "apiVersion") take(object, old, key, alloc);
  }
  const Value* old_metadata = json::find(old, "metadata");
  Value* metadata = json::find(object, "metadata");
  if (!metadata || !metadata->IsObject() || !old_metadata) return;
  if (resource.custom) {  // also its metadata stays, but for who owns which field
    Value managed(rapidjson::kArrayType);
    if (Value* fields = json::find(*metadata, "managedFields")) managed = std::move(*fields);
    *metadata = json::copy(*old_metadata, alloc);
    json::set(*metadata, "managedFields", std::move(managed), alloc);
    return;
  }
  if (resource.storage_name == "pods") {
    for (std::string_view key : {"ownerReferences", "deletionTimestamp"}) take(*metadata, *old_metadata, key, alloc);
    // Set once, when the pod is created; agents need not repeat it.
    Value* status = json::find(object, "status");
    if (status && status->IsObject() && json::get_string(*status, "qosClass").empty()) {
      const std::string_view qos = json::get_string(old, {"status", "qosClass"});
      if (!qos.empty()) json::set(*status, "qosClass", qos, alloc);
    }
  } else if (resource.storage_name == "deployments.apps") {
    take(*metadata, *old_metadata, "labels", alloc);
  } else if (keeps_metadata(resource)) {
    for (std::string_view key : {"labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp", "selfLink"}) take(*metadata, *old_metadata, key, alloc);
  }
}

// The versions in which objects of a definition were ever stored.
void add_stored_version(Value& crd, const Value* old, Allocator& alloc) {
  const Value* versions = json::find(crd, {"spec", "versions"});
  std::optional<std::string_view> storage;
  if (versions != nullptr && versions->IsArray()) {
    for (const Value& version : versions->GetArray())
      if (!storage && json::get_bool(version, "storage")) storage = json::get_string(version, "name");
  }
  if (old == nullptr) {
    Value status(rapidjson::kObjectType), names(rapidjson::kObjectType);
    json::set(names, "plural", "", alloc);
    json::set(names, "kind", "", alloc);
    json::set(status, "conditions", Value(), alloc);
    json::set(status, "acceptedNames", std::move(names), alloc);
    json::set(status, "storedVersions", Value(), alloc);
    json::set(crd, "status", std::move(status), alloc);
  }
  if (!storage) return;
  Value& status = json::ensure_object(crd, {"status"}, alloc);
  Value* stored = json::find(status, "storedVersions");
  if (stored == nullptr || !stored->IsArray()) stored = &json::set(status, "storedVersions", Value(rapidjson::kArrayType), alloc);
  for (const Value& name : stored->GetArray())
    if (name.IsString() && json::view(name) == *storage) return;
  stored->PushBack(json::string(*storage, alloc), alloc);
}

}  // namespace

void prepare(const Resource& resource, std::string_view subresource, Value& object, const Value* old,
             Allocator& alloc) {
  if (!object.IsObject()) return;
  if (subresource != "status") drop_disabled_fields(resource, object, old);
  if (subresource == "status") {
    if (old) prepare_status(resource, object, *old, alloc);
    return;
  }
  if (!has_status(resource) || subresource == "approval") return;  // of that, the resource's own preparation takes care
  if (old) {
    take(object, *old, "status", alloc);
  } else if (resource.storage_name != "nodes") {  // an agent reports its node complete
    const Field* field = resource.type ? resource.type->find("status") : nullptr;
    if (field && field->shape == Shape::kObject && !field->pointer && !field->omit_empty) {
      json::set(object, "status", empty_value(*field, alloc), alloc);
    } else {
      json::remove(object, "status");
    }
  }
  if (resource.storage_name == "customresourcedefinitions.apiextensions.k8s.io") add_stored_version(object, old, alloc);
}

bool generation_differs(const Resource& resource, const Value& object, const Value& old) {
  const bool with_status = resource.custom && !resource.custom->has_status();
  const auto counts = [&](std::string_view key) {
    return key != "metadata" && (key != "status" || with_status) && key != "kind" && key != "apiVersion";
  };
  // What counts besides, or does not count at all.
  if (resource.storage_name == "priorityclasses.scheduling.k8s.io") return false;
  const std::string_view besides = resource.storage_name == "deployments.apps"                  ? "annotations"
                                   : resource.storage_name == "endpointslices.discovery.k8s.io" ? "labels"
                                                                                                : "";
  if (!besides.empty()) {
    const Value *now = json::find(object, {"metadata", besides}), *before = json::find(old, {"metadata", besides});
    const auto is_empty = [](const Value* map) { return map == nullptr || !map->IsObject() || map->ObjectEmpty(); };
    if (is_empty(now) != is_empty(before) || (!is_empty(now) && !json::equal(*now, *before))) return true;
  }
  static const Value kNone;
  for (const auto& member : object.GetObject()) {
    const std::string_view key = json::view(member.name);
    if (!counts(key)) continue;
    const Value* before = json::find(old, key);
    if (!json::equal(member.value, before ? *before : kNone)) return true;
  }
  for (const auto& member : old.GetObject()) {
    if (counts(json::view(member.name)) && !json::find(object, json::view(member.name))) return true;
  }
  return false;
}

}  // namespace knarr::schema
