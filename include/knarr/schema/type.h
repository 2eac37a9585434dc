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
  kAny,  // any JSON; AnyKind says which
};

enum class AnyKind : uint8_t {
  kJson,      // any value
  kObject,    // an object of any kind (RawExtension)
  kFieldsV1,  // the field sets of server-side apply
  // A JSON schema's members that are an object of `type` or something else:
  kTypeOrArray,    // an array of such objects
  kTypeOrBool,     // true or false
  kTypeOrStrings,  // an array of strings
};

enum class ListType : uint8_t { kNone, kAtomic, kSet, kMap };

struct Type;

struct Field {
  std::string_view name;  // as in JSON
  std::string_view doc;   // our own words
  Shape shape = Shape::kString;
  Shape element = Shape::kString;  // of a list or map
  Shape inner = Shape::kString;    // of an element that is a list itself
  AnyKind any = AnyKind::kJson;    // of kAny
  const Type* type = nullptr;      // of kObject, or of a kObject element; of the kAny that may be one
  bool required = false;
  bool omit_empty = false;  // not written when it has its zero value. False: always written ({}, "", 0, "0" for a quantity)
  bool pointer = false;     // absent and zero are two things
  bool atomic_map = false;
  bool granular = false;  // merged member by member although its type is atomic
  ListType list = ListType::kNone;
  std::span<const std::string_view> list_keys;
  bool patch_merge = false, patch_retain_keys = false, patch_replace = false;
  std::string_view patch_key;      // merge key of strategic merge patch
  std::string_view default_json;   // declarative default as JSON text, "" none
  std::string_view sets_json;      // what the server sets without declaring it, "" none
  std::span<const std::string_view> enum_values;  // enforced when not empty
  uint32_t pb_number = 0;  // 0: not in the protobuf form
  uint32_t pb_outer = 0;   // not 0: on the wire the field is inside the message of this number, which JSON does not show
};

struct Type {
  std::string_view name;  // core/v1.PodSpec
  std::string_view doc;
  std::span<const Field> fields;  // in upstream's order; of a kind, the first two are kind and apiVersion
  std::span<const uint16_t> by_name;    // indexes of `fields`, sorted by name
  std::span<const uint16_t> defaulted;  // of those that defaulting fills when absent
  std::string_view group, version, kind;  // of a kind (Pod, PodList, Status); all "" otherwise
  bool atomic = false;
  bool open = false;  // fields that are not in the table stay, and are any JSON: of custom resources
  const Field* find(std::string_view json_name) const;  // null: unknown
};

struct Subresource {
  std::string_view name, group, version, kind;  // status; scale has autoscaling/v1 Scale
  std::span<const std::string_view> verbs;
};

// A column of a server-printed table.
struct Column {
  std::string_view name, type, format, doc;
  int priority = 0;
};

class Custom;  // what a custom resource has besides, see custom.h

struct Resource {
  std::string_view group, version, plural, singular, kind;
  bool namespaced = false;
  std::span<const std::string_view> short_names, categories, verbs;
  std::span<const Subresource> subresources;
  std::span<const std::string_view> field_selectors;  // besides metadata.name and metadata.namespace: spec.nodeName, ...
  std::string_view storage_version_hash;
  const Type* type = nullptr;
  std::string_view storage_name;  // name of the resource in the store: "pods", "deployments.apps"; the same for all its versions
  bool storage = true;  // objects are stored in this version; others are converted to it (convert)
  std::string_view doc;
  std::span<const Column> columns;
  const Custom* custom = nullptr;  // not null: made at run time from a CustomResourceDefinition, see catalog.h
};

// Every built-in resource, in discovery's order. What is served besides is in a Catalog (catalog.h).
std::span<const Resource> resources();
const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural);
const Resource* find_kind(std::string_view group, std::string_view version, std::string_view kind);
std::span<const Type* const> types();
const Type* find_type(std::string_view name);

}  // namespace knarr::schema
