#include "knarr/schema/go_conversion.h"

#include <fmt/format.h>

#include <cmath>

#include "knarr/codec/go_text.h"

namespace knarr::schema {

namespace {

using json::Value;

// Go converts numbers into texts and into each other, and says that it must not; for all else it knows no way.
std::string scalar_error(const Value& value, std::string_view wanted, bool number) {
  const std::string_view kind = json::go_kind(value);
  const bool whole = value.IsNumber() && !value.IsDouble();
  if (number && value.IsNumber()) {
    const bool fits = wanted == "float64" || whole || value.GetDouble() == std::trunc(value.GetDouble());
    return fits ? "" : fmt::format("cannot convert {} to {}", kind, wanted);
  }
  if (kind == wanted) return "";
  return wanted == "string" && whole ? fmt::format("cannot convert {} to string", kind) : fmt::format("unrecognized type: {}", wanted);
}

std::string shape_error(const Field& field, Shape shape, const Value& value);

std::string object_error(const Type& type, const Value& object) {
  if (!object.IsObject()) return fmt::format("cannot restore struct from: {}", json::go_kind(object));
  for (const Field& field : type.fields) {
    const Value* member = json::find(object, field.name);
    if (!member || member->IsNull()) continue;
    if (std::string error = shape_error(field, field.shape, *member); !error.empty()) return error;
  }
  return "";
}

std::string shape_error(const Field& field, Shape shape, const Value& value) {
  switch (shape) {
    case Shape::kString:
      return scalar_error(value, "string", false);
    case Shape::kBool:
      return scalar_error(value, "bool", false);
    case Shape::kInt32:
      return scalar_error(value, "int32", true);
    case Shape::kInt64:
      return scalar_error(value, "int64", true);
    case Shape::kDouble:
      return scalar_error(value, "float64", true);
    case Shape::kBytes:
      return value.IsString() || value.IsArray() ? "" : fmt::format("cannot restore slice from {}", json::go_kind(value));
    case Shape::kObject:
      return field.type ? object_error(*field.type, value) : "";
    case Shape::kList:
      if (!value.IsArray()) return fmt::format("cannot restore slice from {}", json::go_kind(value));
      for (const Value& item : value.GetArray()) {
        const Shape inner = shape == field.shape ? field.element : field.inner;
        if (std::string error = item.IsNull() ? "" : shape_error(field, inner, item); !error.empty()) return error;
      }
      return "";
    case Shape::kMap:
      if (!value.IsObject()) return fmt::format("cannot restore map from {}", json::go_kind(value));
      for (const auto& member : value.GetObject()) {
        if (std::string error = member.value.IsNull() ? "" : shape_error(field, field.element, member.value); !error.empty()) return error;
      }
      return "";
    default:
      return "";  // types that read themselves
  }
}

}  // namespace

std::string conversion_error(const Type& type, const Value& object) { return object_error(type, object); }

}  // namespace knarr::schema
