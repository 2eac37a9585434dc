// The schema of a custom resource, read from a CRD's openAPIV3Schema; private to the module. Immutable after reading (but for
// patterns, which are compiled when they are first needed).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"
#include "schema/pattern.h"

namespace knarr::schema {

// What a value has to fulfil beyond its type.
struct ValueRules;

struct Structural {
  enum class Type : uint8_t { kNone, kObject, kArray, kString, kInteger, kNumber, kBoolean, kOther };

  Type type = Type::kNone;
  bool nullable = false;
  bool preserve_unknown = false, embedded = false, int_or_string = false;
  bool has_expressions = false;       // x-kubernetes-validations, here or below
  bool additional_allowed = true;     // false: additionalProperties: false
  bool has_additional = false;        // additionalProperties is there, be it true, false or a schema
  bool map_atomic = false;            // x-kubernetes-map-type: atomic
  enum class List : uint8_t { kNone, kAtomic, kSet, kMap } list = List::kNone;
  std::vector<std::string> list_keys;

  struct Property;
  std::vector<Property> properties;  // by name
  std::unique_ptr<Structural> items, additional;
  std::unique_ptr<json::Document> default_value;
  std::unique_ptr<ValueRules> rules;
  std::string type_name;  // as written

  Structural();
  ~Structural();
  Structural(Structural&&) noexcept;
  Structural& operator=(Structural&&) noexcept;

  const Structural* find(std::string_view name) const;  // of the properties
  // The schema of a member: a property, or additionalProperties; null: none.
  const Structural* member(std::string_view name) const;

  // Reads a JSONSchemaProps that passed the CRD's validation; what does not fit is left out.
  static std::unique_ptr<Structural> read(const json::Value& schema);
  bool has_defaults() const;  // anywhere
};

struct Structural::Property {
  std::string name;
  Structural schema;
};

struct ValueRules {
  std::string format;  // only one that is known for the type
  std::optional<double> maximum, minimum, multiple_of;
  bool exclusive_maximum = false, exclusive_minimum = false, unique_items = false;
  std::optional<int64_t> max_length, min_length, max_items, min_items, max_properties, min_properties;
  std::unique_ptr<Pattern> pattern;
  std::unique_ptr<json::Document> allowed;  // enum
  std::vector<std::string> required;
  std::vector<Structural> all_of, any_of, one_of;
  std::unique_ptr<Structural> none_of;  // not
};

namespace structural {

// Drops fields that the schema does not know; at the root and in embedded resources kind, apiVersion and metadata stay.
// Their paths are added to `unknown` (may be null).
void prune(json::Value& value, const Structural* schema, bool root, std::vector<std::string>* unknown);
// Drops nulls where the schema allows none and has no default.
void drop_nulls(json::Value& value, const Structural* schema);
void apply_defaults(json::Value& value, const Structural* schema, json::Allocator& alloc);

// The values' errors as upstream's validator of OpenAPI schemas tells them. `path` is where the value stands ("" the root).
// Errors of parts that are the same in `old` (may be null) are forgiven.
void validate_values(const json::Value& value, const json::Value* old, const Structural& schema, const std::string& path,
                     std::vector<Cause>& causes);
// The uniqueness of sets and of the keys of maps.
void validate_lists(const json::Value& value, const Structural* schema, const std::string& path, std::vector<Cause>& causes);
// kind, apiVersion and metadata of embedded resources, and of the root when `root`.
void validate_embedded(const json::Value& value, const Structural* schema, bool root, const std::string& path,
                       std::vector<Cause>& causes);
// Makes metadata of embedded resources what it would be after Go's decoder; else the first error. `lenient`: drops instead.
std::optional<Cause> coerce_embedded(json::Value& value, const Structural* schema, bool root, const std::string& path, bool lenient,
                                     json::Allocator& alloc, std::vector<std::string>* unknown);

// What Go's decoder calls a JSON value.
std::string_view go_kind(const json::Value& value);

}  // namespace structural

// True when `format` is checked for values of this type.
bool known_format(std::string_view type, std::string_view format);
bool fits_format(std::string_view format, std::string_view text);

// A number as Go prints it with %v.
std::string go_number(double value);

}  // namespace knarr::schema
