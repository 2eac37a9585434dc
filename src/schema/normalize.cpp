// Reading a client's object: what Go's decoder of upstream's structs followed by its encoder would make of it.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/base64.h"
#include "knarr/codec/quantity.h"
#include "knarr/codec/time.h"
#include "knarr/schema/machinery.h"
#include "schema/go_types.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Value;

constexpr size_t kMaxUnknown = 100;  // as many as upstream reports
constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

// core/v1.PodSpec → v1.PodSpec, as Go prints the type.
std::string_view go_type(const Type& type) { return type.name.substr(type.name.rfind('/') + 1); }
std::string_view go_struct(const Type& type) { return type.name.substr(type.name.rfind('.') + 1); }

std::string_view go_scalar(Shape shape) {
  switch (shape) {
    case Shape::kInt32:
    case Shape::kIntOrString:
      return "int32";
    case Shape::kInt64:
      return "int64";
    case Shape::kBool:
      return "bool";
    case Shape::kDouble:
      return "float64";
    case Shape::kBytes:
      return "[]uint8";
    default:
      return "string";
  }
}

std::string go_element(const Field& field, Shape shape) {
  switch (shape) {
    case Shape::kObject:
      return field.type ? std::string(go_type(*field.type)) : "interface {}";
    case Shape::kQuantity:
      return "resource.Quantity";
    case Shape::kTime:
      return "v1.Time";
    case Shape::kMicroTime:
      return "v1.MicroTime";
    case Shape::kDuration:
      return "v1.Duration";
    case Shape::kIntOrString:
      return "intstr.IntOrString";
    case Shape::kAny:
      return "interface {}";
    case Shape::kList:
      return "[]" + go_element(field, field.inner);
    default:
      return std::string(go_scalar(shape));
  }
}

std::string go_field(const Type& type, const Field& field) {
  if (const std::string_view named = go_type_name(type, field); !named.empty()) return std::string(named);
  if (field.shape == Shape::kList) return "[]" + go_element(field, field.element);
  if (field.shape == Shape::kMap) return "map[string]" + go_element(field, field.element);
  return go_element(field, field.shape);
}

// What Go calls the JSON value that does not fit; a number that is one but does not fit is shown.
std::string go_value(const Value& value, bool show_number) {
  switch (value.GetType()) {
    case rapidjson::kObjectType:
      return "object";
    case rapidjson::kArrayType:
      return "array";
    case rapidjson::kStringType:
      return "string";
    case rapidjson::kNumberType:
      return show_number ? "number " + json::dump(value) : "number";
    default:
      return "bool";
  }
}

// Walks one document along its Type. Each step on the way is a link on the stack: paths are made only when they are
// reported.
class Normalizer {
 public:
  Normalizer(Allocator& alloc, std::vector<std::string>& unknown) : alloc_(alloc), unknown_(unknown) {}

  struct Step {
    const Step* up = nullptr;
    std::string_view name;       // of a field or a map's key
    int64_t index = -1;          // >= 0: of a list's element
    const Type* type = nullptr;  // whose field this is
  };

  Status object(const Type& type, Value& object, const Step* at) {
    // Members that stay go to the front: one pass, and the order is kept. They are swapped, so that an object which an error ends
    // in the middle can still be shown.
    const auto members = object.MemberBegin();
    const rapidjson::SizeType count = object.MemberCount();
    rapidjson::SizeType kept = 0;
    auto next = type.fields.begin();  // Go's encoders write fields in the tables' order
    for (rapidjson::SizeType i = 0; i < count; ++i) {
      const Step step{at, json::view(members[i].name), -1, &type};
      const Field* field = next != type.fields.end() && next->name == step.name ? &*next : type.find(step.name);
      if (field) next = type.fields.begin() + (field - type.fields.data()) + 1;
      bool keep = false;
      if (!field) {
        if (unknown_.size() < kMaxUnknown) unknown_.push_back(path(step));
      } else if (!members[i].value.IsNull()) {
        KNARR_RETURN_IF_ERROR(value(*field, members[i].value, step, keep));
      }
      if (!keep) continue;
      if (kept != i) {
        members[kept].name.Swap(members[i].name);
        members[kept].value.Swap(members[i].value);
      }
      ++kept;
    }
    if (kept != count) object.EraseMember(members + kept, object.MemberEnd());
    return Status::OK();
  }

 private:
  Allocator& alloc_;
  std::vector<std::string>& unknown_;

  static std::string path(const Step& step) {
    std::string out = step.up ? path(*step.up) : "";
    if (step.index >= 0) return out + fmt::format("[{}]", step.index);
    if (!out.empty()) out += '.';
    return out.append(step.name);
  }

  // The way as Go's decoder names it: without indexes and maps' keys.
  static std::string fields(const Step& step) {
    std::string out = step.up ? fields(*step.up) : "";
    if (!step.type) return out;
    if (!out.empty()) out += '.';
    const Field* field = step.type->find(step.name);
    if (const std::string_view embedded = field ? go_embedded_name(*step.type, *field) : ""; !embedded.empty()) out.append(embedded).append(".");
    return out.append(step.name);
  }

  static Status mismatch(const Value& value, std::string_view wanted, const Step& step, bool show_number = false) {
    const Step* owner = &step;
    while (!owner->type) owner = owner->up;
    return bad_request(fmt::format("json: cannot unmarshal {} into Go struct field {}.{} of type {}",
                                   go_value(value, show_number), go_struct(*owner->type), fields(step), wanted));
  }

  Status value(const Field& field, Value& value, const Step& step, bool& keep) {
    keep = true;
    switch (field.shape) {
      case Shape::kList:
        if (!value.IsArray()) return mismatch(value, go_field(*step.type, field), step);
        KNARR_RETURN_IF_ERROR(elements(field, field.element, value, step));
        keep = !field.omit_empty || !value.Empty();
        return Status::OK();
      case Shape::kMap:
        if (!value.IsObject()) return mismatch(value, go_field(*step.type, field), step);
        for (auto& member : value.GetObject()) {
          const Step key{&step, json::view(member.name)};
          KNARR_RETURN_IF_ERROR(element(field, field.element, member.value, key));
        }
        keep = !field.omit_empty || !value.ObjectEmpty();
        return Status::OK();
      case Shape::kObject:
        if (!value.IsObject()) return mismatch(value, go_field(*step.type, field), step);
        KNARR_RETURN_IF_ERROR(object(*field.type, value, &step));
        keep = field.pointer || !field.omit_empty || !value.ObjectEmpty();
        return Status::OK();
      case Shape::kAny:
        return any(field, value, step);
      default:
        KNARR_RETURN_IF_ERROR(scalar(field, field.shape, value, step));
        keep = field.pointer || !field.omit_empty || !is_zero(field.shape, value);
        // A time that is not set is written as null, which nobody needs.
        if ((field.shape == Shape::kTime || field.shape == Shape::kMicroTime) &&
            json::view(value).starts_with("0001-01-01T00:00:00")) {
          keep = false;
        }
        return Status::OK();
    }
  }

  Status elements(const Field& field, Shape shape, Value& list, const Step& step) {
    int64_t index = 0;
    for (Value& item : list.GetArray()) {
      const Step at{&step, {}, index++};
      KNARR_RETURN_IF_ERROR(element(field, shape, item, at));
    }
    return Status::OK();
  }

  // An element of a list or map is never absent: null is its zero value.
  Status element(const Field& field, Shape shape, Value& value, const Step& step) {
    if (value.IsNull() && shape != Shape::kAny) value = zero(shape);
    switch (shape) {
      case Shape::kObject:
        if (!value.IsObject()) return mismatch(value, go_element(field, shape), step);
        return object(*field.type, value, &step);
      case Shape::kList:
        if (!value.IsArray()) return mismatch(value, go_element(field, shape), step);
        return elements(field, field.inner, value, step);
      case Shape::kAny:
        return any(field, value, step);
      default:
        return scalar(field, shape, value, step);
    }
  }

  // A member of a JSON schema that is a schema or something else.
  Status any(const Field& field, Value& value, const Step& step) {
    if (!field.type) return Status::OK();
    if (value.IsObject()) return object(*field.type, value, &step);
    if (field.any == AnyKind::kTypeOrBool)
      return value.IsBool() ? Status::OK() : bad_request("boolean or JSON schema expected");
    if (!value.IsArray()) return Status::OK();
    int64_t index = 0;
    for (Value& item : value.GetArray()) {
      const Step at{&step, {}, index++};
      if (field.any == AnyKind::kTypeOrStrings) {
        KNARR_RETURN_IF_ERROR(scalar(field, Shape::kString, item, at));
      } else if (!item.IsObject()) {
        return mismatch(item, go_type(*field.type), at);
      } else {
        KNARR_RETURN_IF_ERROR(object(*field.type, item, &at));
      }
    }
    return Status::OK();
  }

  static Value zero(Shape shape) {
    switch (shape) {
      case Shape::kInt32:
      case Shape::kInt64:
      case Shape::kIntOrString:
      case Shape::kDouble:
        return Value(0);
      case Shape::kBool:
        return Value(false);
      case Shape::kObject:
      case Shape::kMap:
        return Value(rapidjson::kObjectType);
      case Shape::kList:
        return Value(rapidjson::kArrayType);
      case Shape::kQuantity:
        return Value("0");
      case Shape::kDuration:
        return Value("0s");
      default:
        return Value("");
    }
  }

  static bool is_zero(Shape shape, const Value& value) {
    switch (value.GetType()) {
      case rapidjson::kFalseType:
        return true;
      case rapidjson::kNumberType:
        return value.GetDouble() == 0;
      case rapidjson::kStringType:
        return value.GetStringLength() == 0 || (shape == Shape::kQuantity && json::view(value) == "0") ||
               (shape == Shape::kDuration && json::view(value) == "0s");
      default:
        return false;
    }
  }

  void rewrite(Value& value, std::string_view text) {
    if (json::view(value) != text) value = json::string(text, alloc_);
  }

  // Checks a scalar's type and puts it into its canonical text.
  Status scalar(const Field& field, Shape shape, Value& value, const Step& step) {
    switch (shape) {
      case Shape::kInt32:
        return value.IsInt() ? Status::OK() : mismatch(value, "int32", step, true);
      case Shape::kInt64:
        return value.IsInt64() ? Status::OK() : mismatch(value, "int64", step, true);
      case Shape::kDouble:
        return value.IsNumber() ? Status::OK() : mismatch(value, "float64", step);
      case Shape::kBool:
        return value.IsBool() ? Status::OK() : mismatch(value, "bool", step);
      case Shape::kIntOrString:
        if (value.IsString() || value.IsInt()) return Status::OK();
        return mismatch(value, "int32", step, true);
      case Shape::kQuantity:
        return quantity(value);
      default:
        break;
    }
    if (!value.IsString()) {
      // A name of its own is the field's, or with what stands before it that of its elements.
      const Step* owner = &step;
      while (!owner->type) owner = owner->up;
      std::string_view named = shape == Shape::kString ? go_type_name(*owner->type, field) : "";
      if (owner != &step) named.remove_prefix(std::min(named.rfind(']') + 1, named.size()));
      return mismatch(value, named.empty() ? go_scalar(shape) : named, step);
    }
    switch (shape) {
      case Shape::kBytes:
        return bytes(value);
      case Shape::kTime: {
        KNARR_ASSIGN(const WallTime time, parse_time(json::view(value)));
        // Twenty characters that parse are the canonical ones: no fraction, no offset.
        if (value.GetStringLength() != kZeroTime.size()) rewrite(value, format_time(time));
        return Status::OK();
      }
      case Shape::kMicroTime: {
        KNARR_ASSIGN(const WallTime time, parse_micro_time(json::view(value)));
        rewrite(value, format_micro_time(time));
        return Status::OK();
      }
      case Shape::kDuration: {
        KNARR_ASSIGN(const auto duration, parse_duration(json::view(value)));
        rewrite(value, format_duration(duration));
        return Status::OK();
      }
      default:
        return Status::OK();
    }
  }

  Status quantity(Value& value) {
    if (!value.IsString() && !value.IsNumber()) {
      return bad_request("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    }
    const std::string number = value.IsNumber() ? json::dump(value) : "";
    std::string_view text = value.IsNumber() ? std::string_view(number) : json::view(value);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    KNARR_ASSIGN(const Quantity amount, Quantity::parse(text));
    const std::string canonical = amount.to_string();
    if (value.IsNumber() || json::view(value) != canonical) value = json::string(canonical, alloc_);
    return Status::OK();
  }

  Status bytes(Value& value) {
    const std::string_view text = json::view(value);
    KNARR_ASSIGN(const std::string decoded, base64::decode(text));
    if (text.find_first_of("\r\n") != std::string_view::npos) value = json::string(base64::encode(decoded), alloc_);
    return Status::OK();
  }
};

}  // namespace

Status normalize(const Type& type, Value& object, Allocator& alloc, std::vector<std::string>& unknown) {
  if (!object.IsObject()) {
    return bad_request(fmt::format("json: cannot unmarshal {} into Go value of type {}",
                                   object.IsNull() ? "null" : go_value(object, false), go_type(type)));
  }
  return Normalizer(alloc, unknown).object(type, object, nullptr);
}

}  // namespace knarr::schema
