// The API's types as tables: what the generic machinery (decoding, defaulting, validation, merging, OpenAPI, tables) is driven by.
// The generator makes them at build time from src/schema/api/*.kapi. All of it is constant data.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace knarr::schema {

enum class Shape : uint8_t {
  kString, kInt32, kInt64, kBool, kDouble, kBytes, kTime, kMicroTime, kDuration, kQuantity, kIntOrString,
  kObject,  // a Type of ours
  kList, kMap,  // of `element`
  kAny,  // any JSON (rawObject, anyJSON, fieldsV1)
};

enum class ListType : uint8_t { kNone, kAtomic, kSet, kMap };

struct Type;

struct Field {
  std::string_view name;  // as in JSON
  std::string_view doc;   // our own words
  Shape shape = Shape::kString;
  Shape element = Shape::kString;  // of a list or map
  const Type* type = nullptr;      // of kObject, or of a kObject element
  bool required = false;
  bool omit_empty = false;  // not written when it has its zero value
  bool pointer = false;     // absent and zero are two things
  bool inlined = false;     // (unused in JSON; protobuf only)
  bool atomic_map = false;
  ListType list = ListType::kNone;
  std::span<const std::string_view> list_keys;
  bool patch_merge = false, patch_retain_keys = false, patch_replace = false;
  std::string_view patch_key;      // merge key of strategic merge patch
  std::string_view default_json;   // declarative default as JSON text, "" none
  std::span<const std::string_view> enum_values;  // enforced when not empty
  uint32_t pb_number = 0;
};

struct Type {
  std::string_view name;  // core/v1.PodSpec
  std::string_view doc;
  std::span<const Field> fields;
  bool atomic = false;
  const Field* find(std::string_view json_name) const;  // null: unknown
};

struct Subresource {
  std::string_view name, group, version, kind;  // status; scale has autoscaling/v1 Scale
  std::span<const std::string_view> verbs;
};

struct Resource {
  std::string_view group, version, plural, singular, kind;
  bool namespaced = false;
  std::span<const std::string_view> short_names, categories, verbs;
  std::span<const Subresource> subresources;
  std::span<const std::string_view> field_selectors;  // besides metadata.name and metadata.namespace: spec.nodeName, ...
  std::string_view storage_version_hash;
  const Type* type = nullptr;
  std::string_view storage_name;  // name of the resource in the store: "pods", "deployments.apps"
};

// Every resource that is served, in discovery's order.
std::span<const Resource> resources();
const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural);
const Resource* find_kind(std::string_view group, std::string_view version, std::string_view kind);
std::span<const Type* const> types();
const Type* find_type(std::string_view name);

}  // namespace knarr::schema
