#include "schema/structural.h"

#include <fmt/format.h>

#include <algorithm>

#include "schema/documents.h"

namespace knarr::schema {

namespace {

using json::Value;

Structural::Type type_of(std::string_view name) {
  using Type = Structural::Type;
  if (name.empty()) return Type::kNone;
  if (name == "object") return Type::kObject;
  if (name == "array") return Type::kArray;
  if (name == "string") return Type::kString;
  if (name == "integer") return Type::kInteger;
  if (name == "number") return Type::kNumber;
  if (name == "boolean") return Type::kBoolean;
  return Type::kOther;
}

std::optional<double> number(const Value& schema, std::string_view key) {
  const Value* value = json::find(schema, key);
  return value != nullptr && value->IsNumber() ? std::optional<double>(value->GetDouble()) : std::nullopt;
}

std::optional<int64_t> integer(const Value& schema, std::string_view key) {
  const Value* value = json::find(schema, key);
  return value != nullptr && value->IsInt64() ? std::optional<int64_t>(value->GetInt64()) : std::nullopt;
}

std::vector<std::string> words(const Value& schema, std::string_view key) {
  std::vector<std::string> out;
  for (const Value& item : items(schema, key)) {
    if (item.IsString()) out.emplace_back(json::view(item));
  }
  return out;
}

std::vector<Structural> alternatives(const Value& schema, std::string_view key) {
  std::vector<Structural> out;
  for (const Value& item : items(schema, key)) {
    if (auto read = Structural::read(item)) out.push_back(std::move(*read));
  }
  return out;
}

// Null where the schema asks for nothing.
std::unique_ptr<ValueRules> read_rules(const Value& schema, std::string_view type) {
  static constexpr std::string_view kKeys[] = {
      "format",   "maximum",  "minimum",       "multipleOf",    "maxLength", "minLength", "maxItems", "minItems", "uniqueItems",
      "enum",     "pattern",  "maxProperties", "minProperties", "required",  "allOf",     "anyOf",    "oneOf",    "not"};
  if (std::none_of(std::begin(kKeys), std::end(kKeys), [&](std::string_view key) { return json::find(schema, key) != nullptr; }))
    return nullptr;
  auto rules = std::make_unique<ValueRules>();
  if (const std::string_view format = json::get_string(schema, "format"); known_format(type, format)) rules->format = format;
  rules->maximum = number(schema, "maximum");
  rules->minimum = number(schema, "minimum");
  rules->multiple_of = number(schema, "multipleOf");
  rules->exclusive_maximum = json::get_bool(schema, "exclusiveMaximum");
  rules->exclusive_minimum = json::get_bool(schema, "exclusiveMinimum");
  rules->unique_items = json::get_bool(schema, "uniqueItems");
  rules->max_length = integer(schema, "maxLength");
  rules->min_length = integer(schema, "minLength");
  rules->max_items = integer(schema, "maxItems");
  rules->min_items = integer(schema, "minItems");
  rules->max_properties = integer(schema, "maxProperties");
  rules->min_properties = integer(schema, "minProperties");
  if (const std::string_view pattern = json::get_string(schema, "pattern"); !pattern.empty())
    rules->pattern = std::make_unique<Pattern>(std::string(pattern));
  if (const Value* allowed = json::find(schema, "enum"); allowed != nullptr && allowed->IsArray() && !allowed->Empty())
    rules->allowed = std::make_unique<json::Document>(json::copy(*allowed));
  rules->required = words(schema, "required");
  rules->all_of = alternatives(schema, "allOf");
  rules->any_of = alternatives(schema, "anyOf");
  rules->one_of = alternatives(schema, "oneOf");
  if (const Value* no = json::find(schema, "not")) rules->none_of = Structural::read(*no);
  return rules;
}

bool is_meta_field(std::string_view name) { return name == "metadata" || name == "kind" || name == "apiVersion"; }

// Walks a value and tells the paths of what it drops.
class Pruner {
 public:
  explicit Pruner(std::vector<std::string>* unknown) : unknown_(unknown) {}

  void prune(Value& value, const Structural* schema, bool embedded) {
    if (schema != nullptr && schema->preserve_unknown) return skip(value, *schema, embedded);
    if (value.IsObject()) {
      drop_members(value, [&](std::string_view name, Value& member) {
        if (schema == nullptr) return unknown(name);
        if (embedded && is_meta_field(name)) return true;
        const Structural* property = schema->find(name);
        if (property == nullptr && !schema->has_additional) return is_meta_field(name) && path_.empty() ? false : unknown(name);
        const Structural* next = property != nullptr ? property : schema->additional.get();
        step(name, [&] { prune(member, next, next != nullptr && next->embedded); });
        return true;
      });
    } else if (value.IsArray()) {
      const Structural* next = schema != nullptr ? schema->items.get() : nullptr;
      elements(value, [&](Value& item) { prune(item, next, next != nullptr && next->embedded); });
    }
  }

 private:
  // What the schema does not name stays, but what it names is pruned.
  void skip(Value& value, const Structural& schema, bool embedded) {
    if (value.IsObject()) {
      for (auto& member : value.GetObject()) {
        const std::string_view name = json::view(member.name);
        if (embedded && is_meta_field(name)) continue;
        const Structural* property = schema.find(name);
        if (property == nullptr && !schema.has_additional) continue;
        const Structural* next = property != nullptr ? property : schema.additional.get();
        step(name, [&] { prune(member.value, next, next != nullptr && next->embedded); });
      }
    } else if (value.IsArray() && schema.items) {
      elements(value, [&](Value& item) { skip(item, *schema.items, schema.items->embedded); });
    }
  }

  bool unknown(std::string_view name) {
    if (unknown_ != nullptr) unknown_->push_back(path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name));
    return false;
  }

  template <typename Walk>
  void step(std::string_view name, Walk walk) {
    const size_t size = path_.size();
    if (unknown_ != nullptr) path_.append(size > 0 ? "." : "").append(name);
    else if (size == 0) path_ = ".";  // only whether it is the root is asked
    walk();
    path_.resize(size);
  }
  template <typename Walk>
  void elements(Value& list, Walk walk) {
    const size_t size = path_.size();
    for (rapidjson::SizeType i = 0; i < list.Size(); ++i) {
      if (unknown_ != nullptr) path_ += fmt::format("[{}]", i);
      walk(list[i]);
      path_.resize(size);
    }
  }

  // Members that stay are moved to the front: one pass, and the order is kept.
  template <typename Stays>
  static void drop_members(Value& object, Stays stays) {
    const auto members = object.MemberBegin();
    const rapidjson::SizeType count = object.MemberCount();
    rapidjson::SizeType kept = 0;
    for (rapidjson::SizeType i = 0; i < count; ++i) {
      if (!stays(json::view(members[i].name), members[i].value)) continue;
      if (kept != i) {
        members[kept].name = std::move(members[i].name);
        members[kept].value = std::move(members[i].value);
      }
      ++kept;
    }
    if (kept < count) object.EraseMember(members + kept, members + count);
  }

  std::vector<std::string>* unknown_;
  std::string path_;
};

bool is_bad_null(const Value& value, const Structural* schema) {
  return value.IsNull() && schema != nullptr && !schema->nullable;
}

Value default_of(const Structural* schema, json::Allocator& alloc) {
  return schema->default_value ? json::copy(*schema->default_value, alloc) : Value();
}

}  // namespace

Structural::Structural() = default;
Structural::~Structural() = default;
Structural::Structural(Structural&&) noexcept = default;
Structural& Structural::operator=(Structural&&) noexcept = default;

const Structural* Structural::find(std::string_view name) const {
  const auto it = std::lower_bound(properties.begin(), properties.end(), name,
                                   [](const Property& p, std::string_view n) { return p.name < n; });
  return it != properties.end() && it->name == name ? &it->schema : nullptr;
}

const Structural* Structural::member(std::string_view name) const {
  const Structural* property = find(name);
  return property != nullptr ? property : additional.get();
}

std::unique_ptr<Structural> Structural::read(const Value& schema) {
  if (!schema.IsObject()) return nullptr;
  auto out = std::make_unique<Structural>();
  out->type_name = json::get_string(schema, "type");
  out->type = type_of(out->type_name);
  out->nullable = json::get_bool(schema, "nullable");
  out->preserve_unknown = json::get_bool(schema, "x-kubernetes-preserve-unknown-fields");
  out->embedded = json::get_bool(schema, "x-kubernetes-embedded-resource");
  out->int_or_string = json::get_bool(schema, "x-kubernetes-int-or-string");
  out->map_atomic = json::get_string(schema, "x-kubernetes-map-type") == "atomic";
  const std::string_view list = json::get_string(schema, "x-kubernetes-list-type");
  if (list == "atomic") out->list = List::kAtomic;
  if (list == "set") out->list = List::kSet;
  if (list == "map") out->list = List::kMap;
  out->list_keys = words(schema, "x-kubernetes-list-map-keys");
  for (const auto& member : child(schema, "properties").GetObject()) {
    if (auto property = read(member.value)) out->properties.push_back({std::string(json::view(member.name)), std::move(*property)});
  }
  std::sort(out->properties.begin(), out->properties.end(), [](const Property& a, const Property& b) { return a.name < b.name; });
  if (const Value* value = json::find(schema, "items")) out->items = read(*value);
  if (const Value* value = json::find(schema, "additionalProperties"); value != nullptr && !value->IsNull()) {
    out->has_additional = true;
    out->additional_allowed = !value->IsFalse();
    out->additional = read(*value);
  }
  if (const Value* value = json::find(schema, "default"); value != nullptr && !value->IsNull())
    out->default_value = std::make_unique<json::Document>(json::copy(*value));
  out->has_expressions = !knarr::schema::items(schema, "x-kubernetes-validations").Empty() || (out->items && out->items->has_expressions) ||
                         (out->additional && out->additional->has_expressions) ||
                         std::any_of(out->properties.begin(), out->properties.end(), [](const Property& p) { return p.schema.has_expressions; });
  out->rules = read_rules(schema, out->int_or_string ? "integer,string" : out->type_name);
  return out;
}

bool Structural::has_defaults() const {
  return default_value != nullptr || (items && items->has_defaults()) || (additional && additional->has_defaults()) ||
         std::any_of(properties.begin(), properties.end(), [](const Property& p) { return p.schema.has_defaults(); });
}

namespace structural {

void prune(Value& value, const Structural* schema, bool root, std::vector<std::string>* unknown) {
  static const Structural kEmpty;
  if (root && schema == nullptr) schema = &kEmpty;
  std::vector<std::string> found;
  Pruner(unknown != nullptr ? &found : nullptr).prune(value, schema, root || (schema != nullptr && schema->embedded));
  std::sort(found.begin(), found.end());
  if (unknown != nullptr) unknown->insert(unknown->end(), found.begin(), found.end());
}

void drop_nulls(Value& value, const Structural* schema) {
  if (value.IsObject()) {
    for (auto it = value.MemberBegin(); it != value.MemberEnd();) {
      const Structural* next = schema != nullptr ? schema->member(json::view(it->name)) : nullptr;
      if (is_bad_null(it->value, next) && !next->default_value) {
        it = value.EraseMember(it);
        continue;
      }
      drop_nulls(it->value, next);
      ++it;
    }
  } else if (value.IsArray()) {
    for (Value& item : value.GetArray()) drop_nulls(item, schema != nullptr ? schema->items.get() : nullptr);
  }
}

void apply_defaults(Value& value, const Structural* schema, json::Allocator& alloc) {
  if (schema == nullptr) return;
  if (value.IsObject()) {
    for (const auto& [name, property] : schema->properties) {
      if (!property.default_value) continue;
      const Value* there = json::find(value, name);
      if (there == nullptr || is_bad_null(*there, &property)) json::set(value, name, default_of(&property, alloc), alloc);
    }
    for (auto& member : value.GetObject()) {
      const Structural* property = schema->find(json::view(member.name));
      if (property == nullptr && is_bad_null(member.value, schema->additional.get()))
        member.value = default_of(schema->additional.get(), alloc);
      apply_defaults(member.value, property != nullptr ? property : schema->additional.get(), alloc);
    }
  } else if (value.IsArray() && schema->items) {
    for (Value& item : value.GetArray()) {
      if (is_bad_null(item, schema->items.get())) item = default_of(schema->items.get(), alloc);
      apply_defaults(item, schema->items.get(), alloc);
    }
  }
}

}  // namespace structural
}  // namespace knarr::schema
