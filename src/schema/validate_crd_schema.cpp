// The schemas of CustomResourceDefinitions: that they are OpenAPI as far as Kubernetes takes it, structural, and that their
// defaults are valid.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "schema/documents.h"
#include "schema/structural.h"
#include "schema/validate_crd.h"

namespace knarr::schema::crd {

namespace {

using json::Value;

bool is_schema(const Value* value) { return value != nullptr && value->IsObject(); }
bool flag(const Value& schema, std::string_view key) { return json::get_bool(schema, key); }
std::string_view type_of(const Value& schema) { return json::get_string(schema, "type"); }
bool is_meta(std::string_view name) { return name == "metadata" || name == "kind" || name == "apiVersion"; }

bool has_newline(std::string_view text) { return text.find_first_of("\n\r") != std::string_view::npos; }
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The schema as OpenAPI.
struct Place {
  bool defaults_allowed = true;
  std::string why_not;  // are defaults
  bool in_metadata = false;
};

class OpenApi {
 public:
  explicit OpenApi(FieldErrors& errors) : errors_(errors) {}

  void check(const Value& schema, const Path& path, const Place& place, bool root) {
    standard(schema, path, place);
    if (flag(schema, "uniqueItems"))
      errors_.forbidden(path.child("uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    const Value* additional = json::find(schema, "additionalProperties");
    if (additional != nullptr && !additional->IsNull()) {
      if (!child(schema, "properties").ObjectEmpty() && !additional->IsTrue())
        errors_.forbidden(path.child("additionalProperties"), "additionalProperties and properties are mutual exclusive");
      Place below = place;
      if (place.in_metadata) {
        below.defaults_allowed = false;
        below.why_not = "inside additionalProperties applying to object metadata";
      }
      if (is_schema(additional)) check(*additional, path.child("additionalProperties"), below, false);
    }
    for (const auto& property : child(schema, "properties").GetObject()) {
      const std::string_view name = json::view(property.name);
      Place below = place;
      if ((root || flag(schema, "x-kubernetes-embedded-resource")) && is_meta(name)) {
        below.in_metadata = true;
        if (root) {
          below.defaults_allowed = false;
          below.why_not = fmt::format("in top-level {}", name);
        }
      }
      if (property.value.IsObject()) check(property.value, path.child("properties").key(name), below, false);
    }
    if (const Value* no = json::find(schema, "not"); is_schema(no)) check(*no, path.child("not"), place, false);
    for (const std::string_view key : {"allOf", "oneOf", "anyOf"}) {
      size_t i = 0;
      for (const Value& one : items(schema, key)) check(one, path.child(key).index(i++), place, false);
    }
    if (const Value* item = json::find(schema, "items"); is_schema(item)) check(*item, path.child("items"), place, false);
    extensions(schema, path);
    rules(schema, path);
  }

 private:
  void standard(const Value& schema, const Path& path, const Place& place) {
    const std::string_view type = type_of(schema);
    if (!type.empty())
      errors_.one_of(path.child("type"), type, {"array", "boolean", "integer", "number", "object", "string"});
    const Value* value = json::find(schema, "default");
    if (value != nullptr && !value->IsNull() && !place.defaults_allowed)
      errors_.forbidden(path.child("default"), place.why_not.empty() ? "must not be set" : "must not be set " + place.why_not);
    if (!json::get_string(schema, "id").empty()) errors_.forbidden(path.child("id"), "id is not supported");
    for (const std::string_view key : {"additionalItems", "patternProperties", "definitions", "dependencies", "$ref"}) {
      const Value* there = json::find(schema, key);
      if (there == nullptr || there->IsNull() || (there->IsObject() && there->ObjectEmpty() && key != "additionalItems")) continue;
      errors_.forbidden(path.child(key), fmt::format("{} is not supported", key));
    }
    if (type == "null") errors_.forbidden(path.child("type"), "type cannot be set to null, use nullable as an alternative");
    if (const Value* list = json::find(schema, "items"); list != nullptr && list->IsArray() && !list->Empty())
      errors_.forbidden(path.child("items"), "items must be a schema object and not an array");
    if (place.in_metadata && flag(schema, "x-kubernetes-embedded-resource"))
      errors_.forbidden(path.child("x-kubernetes-embedded-resource"), "must not be used inside of resource meta");
  }

  void wrong_type_for(const Value& schema, std::string_view wanted, std::string_view extension, const Path& path) {
    const std::string detail = fmt::format("must be {} if {} is specified", wanted, extension);
    if (type_of(schema).empty()) {
      errors_.required(path.child("type"), detail);
    } else {
      errors_.invalid(path.child("type"), type_of(schema), detail);
    }
  }

  void extensions(const Value& schema, const Path& path) {
    const Value* preserve = json::find(schema, "x-kubernetes-preserve-unknown-fields");
    if (preserve != nullptr && preserve->IsFalse())
      errors_.invalid(path.child("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined");
    const Value *map = json::find(schema, "x-kubernetes-map-type"), *list = json::find(schema, "x-kubernetes-list-type");
    if (map != nullptr && map->IsString()) {
      if (type_of(schema) != "object") wrong_type_for(schema, "object", "x-kubernetes-map-type", path);
      errors_.one_of(path.child("x-kubernetes-map-type"), json::view(*map), {"atomic", "granular"});
    }
    const Value* item = json::find(schema, "items");
    const bool has_list = list != nullptr && list->IsString();
    const std::string_view kind = has_list ? json::view(*list) : std::string_view();
    if (has_list && type_of(schema) != "array") {
      wrong_type_for(schema, "array", "x-kubernetes-list-type", path);
    } else if (kind == "set" && is_schema(item)) {
      set_items(*item, path);
    }
    if (has_list) errors_.one_of(path.child("x-kubernetes-list-type"), kind, {"atomic", "set", "map"});
    const auto keys = items(schema, "x-kubernetes-list-map-keys");
    if (!keys.Empty() && kind != "map") {
      constexpr std::string_view kWhy = "must be map if x-kubernetes-list-map-keys is non-empty";
      if (!has_list) errors_.required(path.child("x-kubernetes-list-type"), kWhy);
      if (has_list) errors_.invalid(path.child("x-kubernetes-list-type"), kind, kWhy);
    }
    if (kind == "map") map_list(schema, item, path);
    if (kind == "map" || kind == "set") keyed_items(schema, item, kind, path);
  }

  void set_items(const Value& item, const Path& path) {
    constexpr std::string_view kWhy = "must be atomic as item of a list with x-kubernetes-list-type=set";
    const Value *list = json::find(item, "x-kubernetes-list-type"), *map = json::find(item, "x-kubernetes-map-type");
    const auto shown = [&] { return list != nullptr ? json::dump(*list) : std::string("null"); };
    if (type_of(item) == "array" && list != nullptr && list->IsString() && json::view(*list) != "atomic")
      errors_.invalid_json(path.child("items", "x-kubernetes-list-type"), shown(), kWhy);
    if (type_of(item) == "object" && (map == nullptr || !map->IsString() || json::view(*map) != "atomic"))
      errors_.invalid_json(path.child("items", "x-kubernetes-map-type"), shown(), kWhy);
  }

  void map_list(const Value& schema, const Value* item, const Path& path) {
    const auto keys = items(schema, "x-kubernetes-list-map-keys");
    const Path at = path.child("x-kubernetes-list-map-keys");
    if (keys.Empty()) errors_.required(at, "must not be empty if x-kubernetes-list-type is map");
    if (item == nullptr) errors_.required(path.child("items"), "must have a schema if x-kubernetes-list-type is map");
    if (!is_schema(item)) return;
    if (type_of(*item) != "object")
      return errors_.invalid(path.child("items", "type"), type_of(*item), "must be object if parent array's x-kubernetes-list-type is map");
    const Value* list = json::find(schema, "x-kubernetes-list-map-keys");
    const std::string shown = list != nullptr ? json::dump(*list) : "null";
    std::set<std::string_view> seen;
    for (const Value& key : keys) {
      const std::string_view name = key.IsString() ? json::view(key) : std::string_view();
      if (const Value* property = json::find(child(*item, "properties"), name)) {
        if (type_of(*property) == "array" || type_of(*property) == "object")
          errors_.invalid(path.child("items", "properties").key(name).child("type"), type_of(*item),
                          "must be a scalar type if parent array's x-kubernetes-list-type is map");
      } else {
        errors_.invalid_json(at, shown, "entries must all be names of item properties");
      }
      if (!seen.insert(name).second) errors_.invalid_json(at, shown, "must not contain duplicate entries");
    }
  }

  void keyed_items(const Value& schema, const Value* item, std::string_view kind, const Path& path) {
    if (!is_schema(item)) return;
    if (flag(*item, "nullable"))
      errors_.forbidden(path.child("items", "nullable"), fmt::format("cannot be nullable when x-kubernetes-list-type is {}", kind));
    if (kind != "map") return;
    for (const Value& key : items(schema, "x-kubernetes-list-map-keys")) {
      const std::string_view name = key.IsString() ? json::view(key) : std::string_view();
      const Value* property = json::find(child(*item, "properties"), name);
      if (!is_schema(property)) continue;
      const auto required = items(*item, "required");
      const bool is_required =
          std::any_of(required.begin(), required.end(), [&](const Value& r) { return r.IsString() && json::view(r) == name; });
      const Path at = path.child("items", "properties").key(name);
      const Value* value = json::find(*property, "default");
      if (!is_required && (value == nullptr || value->IsNull()))
        errors_.required(at.child("default"),
                         "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property");
      if (flag(*property, "nullable"))
        errors_.forbidden(at.child("nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
    }
  }

  // The rules' texts; the expressions themselves are not compiled.
  void rules(const Value& schema, const Path& path) {
    size_t i = 0;
    for (const Value& rule : items(schema, "x-kubernetes-validations")) {
      const Path at = path.child("x-kubernetes-validations").index(i++);
      const auto text = [&](std::string_view key) { return json::get_string(rule, key); };
      const std::string_view expression = trimmed(text("rule")), message = trimmed(text("message"));
      if (expression.empty()) {
        errors_.required(at.child("rule"), "rule is not specified");
      } else if (!text("message").empty() && message.empty()) {
        errors_.invalid(at.child("message"), text("message"), "must be non-empty if specified");
      } else if (has_newline(message)) {
        errors_.invalid(at.child("message"), text("message"), "must not contain line breaks");
      } else if (has_newline(expression) && message.empty()) {
        errors_.required(at.child("message"), "message must be specified if rule contains line breaks");
      }
      if (!text("messageExpression").empty() && trimmed(text("messageExpression")).empty())
        errors_.required(at.child("messageExpression"), "messageExpression must be non-empty if specified");
      if (const Value* reason = json::find(rule, "reason"); reason != nullptr && reason->IsString())
        errors_.one_of(at.child("reason"), json::view(*reason),
                       {"FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"});
      const std::string_view field = text("fieldPath");
      if (field.empty()) continue;
      if (trimmed(field).empty()) errors_.invalid(at.child("fieldPath"), field, "must be non-empty if specified");
      if (has_newline(field)) errors_.invalid(at.child("fieldPath"), field, "must not contain line breaks");
      std::string canonical, problem;
      (void)follow_field_path(field, schema, true, canonical, problem);
      if (!problem.empty()) errors_.invalid(at.child("fieldPath"), field, "must be a valid path");
    }
  }

  FieldErrors& errors_;
};

// The schema as a structural one.
class StructuralRules {
 public:
  enum class Level { kRoot, kItem, kField };

  explicit StructuralRules(FieldErrors& errors) : errors_(errors) {}

  void invariants(const Value& s, Level level, const Path& path) {
    const std::string_view type = type_of(s);
    const Value* item = json::find(s, "items");
    if (type == "array" && !is_schema(item)) errors_.required(path.child("items"), "must be specified");
    if (is_schema(item)) invariants(*item, Level::kItem, path.child("items"));
    for (const auto& property : child(s, "properties").GetObject())
      if (property.value.IsObject()) invariants(property.value, Level::kField, path.child("properties").key(json::view(property.name)));
    const Value* additional = json::find(s, "additionalProperties");
    const bool has_additional = additional != nullptr && !additional->IsNull();
    if (has_additional && level == Level::kRoot) errors_.forbidden(path.child("additionalProperties"), "must not be used at the root");
    if (is_schema(additional)) invariants(*additional, Level::kField, path.child("additionalProperties"));

    const bool int_or_string = flag(s, "x-kubernetes-int-or-string"), preserve = flag(s, "x-kubernetes-preserve-unknown-fields");
    const bool embedded = flag(s, "x-kubernetes-embedded-resource");
    if (int_or_string && preserve)
      errors_.invalid(path.child("x-kubernetes-preserve-unknown-fields"), true, "must be false if x-kubernetes-int-or-string is true");
    if (int_or_string && embedded)
      errors_.invalid(path.child("x-kubernetes-embedded-resource"), true, "must be false if x-kubernetes-int-or-string is true");
    values(s, is_int_or_string_any(s), is_int_or_string_all(s), path);

    const bool check_metadata = level == Level::kRoot || embedded;
    if (embedded && type != "object") {
      constexpr std::string_view kWhy = "must be object if x-kubernetes-embedded-resource is true";
      if (type.empty()) errors_.required(path.child("type"), kWhy);
      if (!type.empty()) errors_.invalid(path.child("type"), type, kWhy);
    } else if (type.empty() && !int_or_string && !preserve) {
      constexpr std::array<std::string_view, 3> kWhere = {"at the root", "for specified array items", "for specified object fields"};
      errors_.required(path.child("type"), fmt::format("must not be empty {}", kWhere[static_cast<size_t>(level)]));
    }
    if (embedded && has_additional)
      errors_.forbidden(path.child("additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set");
    if (level == Level::kRoot && !type.empty() && type != "object") errors_.invalid(path.child("type"), type, "must be object at the root");
    if (check_metadata) {
      for (const std::string_view name : {"kind", "apiVersion"}) {
        const Value* property = json::find(child(s, "properties"), name);
        if (is_schema(property) && type_of(*property) != "string")
          errors_.invalid(path.child("properties").key(name).child("type"), type_of(*property), "must be string");
      }
    }
    if (const Value* metadata = json::find(child(s, "properties"), "metadata"); is_schema(metadata))
      metadata_rules(*metadata, check_metadata, level, path.child("properties").key("metadata"));
    if (embedded && !preserve && child(s, "properties").ObjectEmpty())
      errors_.required(path.child("properties"),
                       "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields");
  }

  // What alternatives speak of has to be in the schema itself.
  void completeness(const Value& v, const Value* s, const Path& s_path, const Path& v_path) {
    if (const Value* no = json::find(v, "not"); is_schema(no)) nested_completeness(*no, s, s_path, v_path.child("not"));
    for (const std::string_view key : {"allOf", "anyOf", "oneOf"}) {
      size_t i = 0;
      for (const Value& one : items(v, key)) nested_completeness(one, s, s_path, v_path.child(key).index(i++));
    }
  }

 private:
  void nested_completeness(const Value& v, const Value* s, const Path& s_path, const Path& v_path) {
    if (s == nullptr) return errors_.required(s_path, fmt::format("because it is defined in {}", v_path.text()));
    completeness(v, s, s_path, v_path);
    if (const Value* item = json::find(v, "items"); is_schema(item)) {
      const Value* of_schema = json::find(*s, "items");
      nested_completeness(*item, is_schema(of_schema) ? of_schema : nullptr, s_path.child("items"), v_path.child("items"));
    }
    for (const auto& property : child(v, "properties").GetObject()) {
      const std::string_view name = json::view(property.name);
      const Path at = s_path.child("properties").key(name), from = v_path.child("properties").key(name);
      const Value* of_schema = json::find(child(*s, "properties"), name);
      if (is_schema(of_schema)) {
        nested_completeness(property.value, of_schema, at, from);
      } else {
        errors_.required(at, fmt::format("because it is defined in {}", from.text()));
      }
    }
  }

  static bool is_bare_type(const Value& v, std::string_view type) { return v.IsObject() && v.MemberCount() == 1 && type_of(v) == type; }
  static bool is_pattern(const Value& s) {
    const auto any = items(s, "anyOf");
    return any.Size() == 2 && is_bare_type(any[0], "integer") && is_bare_type(any[1], "string");
  }
  static bool is_int_or_string_any(const Value& s) { return is_pattern(s); }
  static bool is_int_or_string_all(const Value& s) {
    const auto all = items(s, "allOf");
    return !all.Empty() && is_pattern(all[0]);
  }

  void values(const Value& v, bool skip_any, bool skip_first_all, const Path& path) {
    size_t i = 0;
    if (!skip_any)
      for (const Value& one : items(v, "anyOf")) nested(one, false, path.child("anyOf").index(i++));
    i = 0;
    for (const Value& one : items(v, "allOf")) {
      nested(one, skip_first_all && i == 0, path.child("allOf").index(i));
      ++i;
    }
    i = 0;
    for (const Value& one : items(v, "oneOf")) nested(one, false, path.child("oneOf").index(i++));
    if (const Value* no = json::find(v, "not"); is_schema(no)) nested(*no, false, path.child("not"));
    if (const std::string pattern(json::get_string(v, "pattern")); !pattern.empty()) {
      if (const std::string problem = Pattern::problem(pattern); !problem.empty())
        errors_.invalid(path.child("pattern"), pattern, fmt::format("must be a valid regular expression, but isn't: {}", problem));
    }
  }

  void nested(const Value& v, bool skip_any, const Path& path) {
    values(v, skip_any, false, path);
    if (const Value* item = json::find(v, "items"); is_schema(item)) nested(*item, false, path.child("items"));
    for (const auto& property : child(v, "properties").GetObject())
      nested(property.value, false, path.child("properties").key(json::view(property.name)));
    const auto forbid = [&](std::string_view key, std::string_view detail) { errors_.forbidden(path.child(key), detail); };
    const auto has = [&](std::string_view key) {
      const Value* there = json::find(v, key);
      return there != nullptr && !there->IsNull() && !there->IsFalse();
    };
    const auto text = [&](std::string_view key) { return !json::get_string(v, key).empty(); };
    if (text("type")) forbid("type", "must be empty to be structural");
    if (has("additionalProperties")) forbid("additionalProperties", "must be undefined to be structural");
    if (const Value* value = json::find(v, "default"); value != nullptr && !value->IsNull()) forbid("default", "must be undefined to be structural");
    if (text("title")) forbid("title", "must be empty to be structural");
    if (text("description")) forbid("description", "must be empty to be structural");
    for (const std::string_view key :
         {"nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"})
      if (flag(v, key)) forbid(key, "must be false to be structural");
    if (!items(v, "x-kubernetes-list-map-keys").Empty()) forbid("x-kubernetes-list-map-keys", "must be empty to be structural");
    for (const std::string_view key : {"x-kubernetes-list-type", "x-kubernetes-map-type"})
      if (has(key)) forbid(key, "must be undefined to be structural");
    if (!items(v, "x-kubernetes-validations").Empty()) forbid("x-kubernetes-validations", "must be empty to be structural");
    if (json::find(child(v, "properties"), "metadata") != nullptr)
      errors_.forbidden(path.child("properties").key("metadata"), "must not be specified in a nested context");
  }

  void metadata_rules(const Value& s, bool check, Level level, const Path& path) {
    if (check && type_of(s) != "object") errors_.invalid(path.child("type"), type_of(s), "must be object");
    if (level != Level::kRoot) return;
    for (const auto& member : s.GetObject()) {
      const std::string_view key = json::view(member.name);
      if (key == "type" || key == "default") continue;
      if (key == "properties") {
        const auto& properties = child(s, "properties").GetObject();
        const bool names_only = std::all_of(properties.begin(), properties.end(), [](const auto& p) {
          return json::view(p.name) == "name" || json::view(p.name) == "generateName";
        });
        if (names_only) continue;
      }
      return errors_.forbidden(path, "must not specify anything other than name and generateName, but metadata is implicitly specified");
    }
  }

  FieldErrors& errors_;
};

// What no structural schema can say; "" when it can.
std::string unsupported(const Value& s) {
  const auto set = [&](std::string_view key) {
    const Value* there = json::find(s, key);
    if (there == nullptr || there->IsNull()) return false;
    if (there->IsString()) return there->GetStringLength() > 0;
    return !there->IsObject() || !there->ObjectEmpty() || key == "additionalItems";
  };
  for (const std::string_view key : {"id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"})
    if (set(key)) return fmt::format("OpenAPIV3Schema '{}' is not supported", key == "$schema" ? "schema" : key);
  const Value* list = json::find(s, "items");
  const Value* preserve = json::find(s, "x-kubernetes-preserve-unknown-fields");
  std::string found;
  const auto look = [&](const Value* below) {
    if (found.empty() && is_schema(below)) found = unsupported(*below);
  };
  for (const std::string_view key : {"allOf", "anyOf", "oneOf"})
    for (const Value& one : items(s, key)) look(&one);
  look(json::find(s, "not"));
  if (!found.empty()) return found;
  if (preserve != nullptr && preserve->IsFalse())
    return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined";
  if (list != nullptr && list->IsArray() && !list->Empty()) return "OpenAPIV3Schema 'items' must be a schema, but is an array";
  look(list);
  for (const auto& property : child(s, "properties").GetObject()) look(&property.value);
  look(json::find(s, "additionalProperties"));
  return found;
}

void defaults(const Value& schema, const Structural& node, const Path& path, bool in_metadata, bool root, std::vector<Cause>& causes) {
  if (node.default_value) {
    const Path at = path.child("default");
    const Value& value = *node.default_value;
    json::Document pruned = json::copy(value);
    FieldErrors errors;
    if (!in_metadata) structural::prune(pruned, &node, node.embedded, nullptr);
    if (!json::equal(pruned, value)) errors.invalid_json(at, json::dump(value), "must not have unknown fields");
    for (Cause& cause : errors.take()) causes.push_back(std::move(cause));
    json::Document coerced = json::copy(value);
    std::vector<Cause> found;
    if (auto problem = structural::coerce_embedded(coerced, &node, node.embedded, at.text(), false, coerced.GetAllocator(), nullptr)) {
      found.push_back(std::move(*problem));
    } else {
      structural::validate_embedded(value, &node, node.embedded, at.text(), found);
      if (found.empty()) structural::validate_values(value, nullptr, node, at.text(), found);
    }
    for (Cause& cause : found) causes.push_back(std::move(cause));
  }
  if (const Value* item = json::find(schema, "items"); node.items && is_schema(item))
    defaults(*item, *node.items, path.child("items"), in_metadata, false, causes);
  for (const auto& property : child(schema, "properties").GetObject()) {
    const std::string_view name = json::view(property.name);
    const Structural* below = node.find(name);
    const bool meta = in_metadata || ((root || node.embedded) && is_meta(name));
    if (below != nullptr) defaults(property.value, *below, path.child("properties").key(name), meta, false, causes);
  }
}

constexpr std::string_view kAllowedAtRoot =
    "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems "
    "UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]";

// With a status subresource its schema is taken out of the root's: nothing at the root may then reach across.
void root_with_status(const Value& schema, const Path& path, FieldErrors& errors) {
  constexpr std::array<std::string_view, 22> kAllowed = {
      "description", "type",     "format",     "title",    "maximum",    "exclusiveMaximum", "minimum",  "exclusiveMinimum",
      "maxLength",   "minLength", "pattern",    "maxItems", "minItems",   "uniqueItems",      "multipleOf", "required",
      "items",       "properties", "externalDocs", "example", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"};
  if (!type_of(schema).empty() && type_of(schema) != "object")
    return errors.invalid(path.child("type"), type_of(schema),
                          "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled");
  for (const auto& member : schema.GetObject()) {
    const Value& value = member.value;
    const bool empty = value.IsNull() || value.IsFalse() || (value.IsString() && value.GetStringLength() == 0) ||
                       (value.IsArray() && value.Empty());
    if (empty || std::find(kAllowed.begin(), kAllowed.end(), json::view(member.name)) != kAllowed.end()) continue;
    return errors.invalid_json(
        path, json::dump(schema),
        fmt::format("only {} fields are allowed at the root of the schema if the status subresource is enabled", kAllowedAtRoot));
  }
}

}  // namespace

void root_schema(const Value& schema, bool status_enabled, const Path& path, FieldErrors& errors) {
  const size_t before = errors.count();
  if (status_enabled) root_with_status(schema, path, errors);
  if (flag(schema, "nullable")) errors.forbidden(path.child("nullable"), "nullable cannot be true at the root");
  const std::string cannot = unsupported(schema);
  if (cannot.empty()) {
    FieldErrors structural;
    StructuralRules rules(structural);
    rules.invariants(schema, StructuralRules::Level::kRoot, path);
    rules.completeness(schema, &schema, path, path);
    std::vector<Cause> causes = structural.take();
    std::sort(causes.begin(), causes.end(), [](const Cause& a, const Cause& b) {
      return fmt::format("{}: {}", a.field, a.message) < fmt::format("{}: {}", b.field, b.message);
    });
    if (causes.empty()) defaults(schema, *Structural::read(schema), path, false, true, causes);
    errors.append(std::move(causes));
  }
  OpenApi(errors).check(schema, path, {}, true);
  if (errors.count() == before && !cannot.empty()) errors.invalid(path, "", cannot);
}

const Value* follow_field_path(std::string_view text, const Value& schema, bool brackets, std::string& canonical, std::string& problem) {
  const Value* at = &schema;
  const auto fail = [&](std::string why) {
    problem = std::move(why);
    return nullptr;
  };
  const auto step = [&](std::string_view name) {
    if (!child(*at, "properties").ObjectEmpty()) {
      at = json::find(child(*at, "properties"), name);
      canonical.append(canonical.empty() ? "" : ".").append(name);
    } else {
      at = json::find(*at, "additionalProperties");
      canonical.append("[").append(name).append("]");
    }
    return is_schema(at);
  };
  while (!text.empty()) {
    if (text.front() == '.') {
      text.remove_prefix(1);
      if (text.empty()) return fail("unexpected end of JSON path");
      size_t size = text.find_first_of(".[]");
      if (size == 0) size = 1;
      const std::string_view name = text.substr(0, size);
      text.remove_prefix(name.size());
      if (!step(name)) return fail("does not refer to a valid field");
    } else if (text.front() == '[') {
      if (!brackets) return fail("array notation is not allowed");
      text.remove_prefix(1);
      if (text.empty()) return fail("unexpected end of JSON path");
      const size_t end = text.front() == '\'' ? text.find('\'', 1) : std::string_view::npos;
      if (end == std::string_view::npos) {
        return fail(fmt::format("expected single quoted string but got {}", text.substr(0, text.find_first_of(".[]"))));
      }
      const std::string_view name = text.substr(1, end - 1);
      text.remove_prefix(end + 1);
      if (!step(name)) return fail("does not refer to a valid field");
      if (text.empty()) return fail("unexpected end of JSON path");
      if (text.front() != ']') return fail(fmt::format("expected ] but got {}", text.substr(0, text.find_first_of(".[]"))));
      text.remove_prefix(1);
    } else {
      return fail(fmt::format("expected [ or . but got: {}", text.substr(0, text.find_first_of(".[]"))));
    }
  }
  return at;
}

}  // namespace knarr::schema::crd
