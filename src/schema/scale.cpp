// The size of workloads as a Scale.
#include "knarr/codec/selector.h"
#include "knarr/schema/machinery.h"
#include "schema/documents.h"

namespace knarr::schema {

using json::Document;
using json::Value;

Document scale_of(const Resource& resource, const Value& object) {
  Document scale(rapidjson::kObjectType);
  auto& alloc = scale.GetAllocator();
  json::set(scale, "kind", "Scale", alloc);
  json::set(scale, "apiVersion", "autoscaling/v1", alloc);
  Value& metadata = json::ensure_object(scale, {"metadata"}, alloc);
  for (std::string_view key : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const std::string_view text = json::get_string(object, {"metadata", key}); !text.empty()) json::set(metadata, key, text, alloc);
  }
  const Value& spec = child(object, "spec");
  Value& wanted = json::ensure_object(scale, {"spec"}, alloc);
  if (const int64_t replicas = json::get_int(spec, "replicas"); replicas != 0) json::set(wanted, "replicas", Value(replicas), alloc);
  Value& status = json::ensure_object(scale, {"status"}, alloc);
  json::set(status, "replicas", Value(json::get_int(child(object, "status"), "replicas")), alloc);
  const Value* selector = json::find(spec, "selector");
  std::string text;
  if (resource.storage_name == "replicationcontrollers") {
    text = selector::Labels::from_map(selector).to_string();
  } else if (const auto labels = selector::Labels::from_label_selector(selector); labels.ok()) {
    text = labels->to_string();
  }
  if (!text.empty()) json::set(status, "selector", text, alloc);
  return scale;
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
