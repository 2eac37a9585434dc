#include "schema/custom_type.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace knarr::schema {

namespace {

Field plain(std::string_view name, Shape shape, const Type* type = nullptr) {
  Field f;
  f.name = name;
  f.shape = shape;
  f.type = type;
  f.omit_empty = true;  // what is not there has no zero value, as a Go struct's fields have
  f.pointer = true;
  return f;
}

std::vector<Field> kind_fields() {
  return {plain("kind", Shape::kString), plain("apiVersion", Shape::kString),
          plain("metadata", Shape::kObject, find_type("meta/v1.ObjectMeta"))};
}

std::vector<uint16_t> order_of(const std::vector<Field>& fields) {
  std::vector<uint16_t> order(fields.size());
  std::iota(order.begin(), order.end(), uint16_t{0});
  std::sort(order.begin(), order.end(), [&](uint16_t a, uint16_t b) { return fields[a].name < fields[b].name; });
  return order;
}

}  // namespace

const Type& untyped_custom() {
  static const std::vector<Field> fields = kind_fields();
  static const std::vector<uint16_t> order = order_of(fields);
  static const Type type = [] {
    Type t;
    t.name = "custom";
    t.fields = fields;
    t.by_name = order;
    t.open = true;
    return t;
  }();
  return type;
}

CustomType::CustomType(const Structural& schema, const std::string& kind) : root_(make(schema, kind, true)) {}

Shape CustomType::shape_of(const Structural& schema, const std::string& name, const Type*& type) {
  using Kind = Structural::Type;
  if (schema.int_or_string) return Shape::kIntOrString;
  switch (schema.type) {
    case Kind::kString:
      return Shape::kString;
    case Kind::kInteger:
      return Shape::kInt64;
    case Kind::kNumber:
      return Shape::kDouble;
    case Kind::kBoolean:
      return Shape::kBool;
    case Kind::kArray:
      return Shape::kList;
    case Kind::kObject:
      if (schema.additional) return Shape::kMap;
      if (schema.properties.empty() && !schema.embedded) return schema.preserve_unknown ? Shape::kMap : Shape::kAny;
      type = make(schema, name, false);
      return Shape::kObject;
    default:
      return Shape::kAny;
  }
}

// Of an element that is a list or a map itself, its type says what kind of one: by a field that is all it has, without a name.
Shape CustomType::element(const Structural* schema, const std::string& path, const Type*& type) {
  if (!schema) return Shape::kAny;
  const Shape shape = shape_of(*schema, path, type);
  if (shape != Shape::kList && shape != Shape::kMap) return shape;
  Made& made = made_.emplace_back();
  made.name = path + "[]";
  made.fields.push_back(field(*schema, "", made.name));
  made.type.name = made.name;
  made.type.fields = made.fields;
  type = &made.type;
  return shape;
}

Field CustomType::field(const Structural& schema, std::string_view name, const std::string& owner) {
  const std::string path = fmt::format("{}.{}", owner, name);
  Field f = plain(keep(name), Shape::kAny);
  f.shape = shape_of(schema, path, f.type);
  f.any = AnyKind::kJson;
  f.atomic_map = schema.map_atomic;
  if (schema.default_value) f.default_json = keep(json::dump(*schema.default_value));
  if (f.shape == Shape::kList) {
    f.element = element(schema.items.get(), path, f.type);
    f.list = schema.list == Structural::List::kSet ? ListType::kSet : ListType::kAtomic;
    if (schema.list == Structural::List::kMap) {
      f.list = ListType::kMap;
      auto& keys = lists_.emplace_back();
      for (const std::string& key : schema.list_keys) keys.push_back(keep(key));
      f.list_keys = keys;
    }
  } else if (f.shape == Shape::kMap) {
    f.element = element(schema.additional.get(), path, f.type);
  }
  return f;
}

const Type* CustomType::make(const Structural& schema, std::string name, bool root) {
  Made& made = made_.emplace_back();
  made.name = std::move(name);
  if (root || schema.embedded) made.fields = kind_fields();
  for (const auto& [key, property] : schema.properties) {
    const bool there = std::any_of(made.fields.begin(), made.fields.end(), [&key = key](const Field& f) { return f.name == key; });
    if (!there) made.fields.push_back(field(property, key, made.name));
  }
  made.order = order_of(made.fields);
  made.type.name = made.name;
  made.type.fields = made.fields;
  made.type.by_name = made.order;
  made.type.atomic = schema.map_atomic;
  made.type.open = schema.preserve_unknown;
  return &made.type;
}

}  // namespace knarr::schema
