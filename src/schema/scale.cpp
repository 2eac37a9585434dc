// The size of objects as a Scale.
#include "knarr/codec/selector.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "schema/documents.h"

namespace knarr::schema {

using json::Document;
using json::Value;

namespace {

// ".spec.replicas" of a custom resource, step by step.
const Value* follow(const Value& object, std::string_view path) {
  const Value* value = &object;
  while (value != nullptr && !path.empty()) {
    if (path.front() == '.') path.remove_prefix(1);
    const size_t dot = path.find('.');
    value = json::find(*value, path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot);
  }
  return value;
}

int64_t number_at(const Value& object, std::string_view path) {
  const Value* value = follow(object, path);
  return value != nullptr && value->IsInt64() ? value->GetInt64() : 0;
}

std::string selector_of(const Resource& resource, const Value& object) {
  if (resource.custom != nullptr) {
    const std::string& path = resource.custom->scale()->label_selector;
    const Value* text = path.empty() ? nullptr : follow(object, path);
    return text != nullptr && text->IsString() ? std::string(json::view(*text)) : "";
  }
  const Value* selector = json::find(object, {"spec", "selector"});
  if (resource.storage_name == "replicationcontrollers") return selector::Labels::from_map(selector).to_string();
  const auto labels = selector::Labels::from_label_selector(selector);
  return labels.ok() ? labels->to_string() : "";
}

const ScalePaths& paths_of(const Resource& resource) {
  static const ScalePaths builtin = {".spec.replicas", ".status.replicas", ""};
  return resource.custom != nullptr ? *resource.custom->scale() : builtin;
}

}  // namespace

Document scale_of(const Resource& resource, const Value& object) {
  Document scale(rapidjson::kObjectType);
  auto& alloc = scale.GetAllocator();
  json::set(scale, "kind", "Scale", alloc);
  json::set(scale, "apiVersion", "autoscaling/v1", alloc);
  Value& metadata = json::ensure_object(scale, {"metadata"}, alloc);
  for (std::string_view key : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const std::string_view text = json::get_string(object, {"metadata", key}); !text.empty())
      json::set(metadata, key, text, alloc);
  }
  const ScalePaths& paths = paths_of(resource);
  Value& wanted = json::ensure_object(scale, {"spec"}, alloc);
  if (const int64_t replicas = number_at(object, paths.spec_replicas); replicas != 0)
    json::set(wanted, "replicas", Value(replicas), alloc);
  Value& status = json::ensure_object(scale, {"status"}, alloc);
  json::set(status, "replicas", Value(number_at(object, paths.status_replicas)), alloc);
  if (const std::string selector = selector_of(resource, object); !selector.empty())
    json::set(status, "selector", selector, alloc);
  return scale;
}

void set_scale(const Resource& resource, int64_t replicas, Value& object, json::Allocator& alloc) {
  std::string_view path = paths_of(resource).spec_replicas;
  Value* value = &object;
  for (size_t dot; (dot = path.find('.', 1)) != std::string_view::npos; path = path.substr(dot))
    value = &json::ensure_object(*value, {path.substr(1, dot - 1)}, alloc);
  json::set(*value, path.substr(1), Value(replicas), alloc);
}

const Resource& scale_resource() {
  static constexpr Column kColumns[] = {
      {.name = "Name", .type = "string", .format = "", .doc = "Name of the object."},
      {.name = "Desired", .type = "integer", .format = "", .doc = "The wanted size."},
      {.name = "Available", .type = "integer", .format = "", .doc = "The actual size."},
      {.name = "Age", .type = "string", .format = "", .doc = "Time since the object was created."},
  };
  static const Resource resource = {.group = "autoscaling",
                                    .version = "v1",
                                    .plural = "scales",
                                    .singular = "scale",
                                    .kind = "Scale",
                                    .namespaced = true,
                                    .type = find_type("autoscaling/v1.Scale"),
                                    .storage_name = "scales.autoscaling",
                                    .columns = kColumns};
  return resource;
}

}  // namespace knarr::schema
