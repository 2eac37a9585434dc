// Kubernetes' protobuf form of objects, made from their JSON along the tables. A message's size stands before it, so each is put
// together in a text of its own; those are kept and used again, one for each level.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "knarr/codec/base64.h"
#include "knarr/codec/time.h"
#include "knarr/schema/protobuf.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

namespace {

using json::Value;

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2 };

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void append_tag(std::string& out, uint32_t number, Wire wire) { append_varint(out, uint64_t(number) << 3 | wire); }
void append_bytes(std::string& out, uint32_t number, std::string_view bytes) {
  append_tag(out, number, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}
void append_number(std::string& out, uint32_t number, uint64_t value) {
  append_tag(out, number, kVarint);
  append_varint(out, value);
}

class Encoder {
 public:
  void message(const Type& type, const Value& object, std::string& out, size_t level) { part(type, object, 0, 0, out, level); }

 private:
  // The fields that are inside the messages `outer`, `depth` of them, which JSON does not show.
  void part(const Type& type, const Value& object, uint32_t outer, unsigned depth, std::string& out, size_t level) {
    uint32_t inside[8];  // messages in this one
    size_t count = 0;
    const uint32_t around = (uint32_t{1} << 8 * depth) - 1;
    for (const auto& [key, value] : object.GetObject()) {
      const Field* field = type.find(json::view(key));
      if (!field || field->pb_number == 0 || value.IsNull() || (field->pb_outer & around) != outer) continue;
      const uint32_t next = field->pb_outer >> 8 * depth & 0xff;
      if (next == 0) {
        member(*field, value, out, level);
      } else if (std::find(inside, inside + count, next) == inside + count && count < std::size(inside)) {
        inside[count++] = next;
      }
    }
    for (size_t i = 0; i < count; ++i) {
      std::string& inner = scratch(level);
      part(type, object, outer | inside[i] << 8 * depth, depth + 1, inner, level + 1);
      append_bytes(out, inside[i], inner);
    }
  }

  std::deque<std::string> scratch_;  // one a level: stays where it is while deeper ones are added

  std::string& scratch(size_t level) {
    while (scratch_.size() <= level) scratch_.emplace_back();
    scratch_[level].clear();
    return scratch_[level];
  }

  void member(const Field& field, const Value& value, std::string& out, size_t level) {
    if (field.shape == Shape::kList) {
      if (!value.IsArray()) return;
      for (const Value& item : value.GetArray()) this->value(field, field.element, field.pb_number, item, out, level);
    } else if (field.shape == Shape::kMap) {
      if (!value.IsObject()) return;
      for (const auto& [key, item] : value.GetObject()) {
        std::string& pair = scratch(level);
        append_bytes(pair, 1, json::view(key));
        this->value(field, field.element, 2, item, pair, level + 1);
        append_bytes(out, field.pb_number, pair);
      }
    } else {
      this->value(field, field.shape, field.pb_number, value, out, level);
    }
  }

  void value(const Field& field, Shape shape, uint32_t number, const Value& value, std::string& out, size_t level) {
    switch (shape) {
      case Shape::kString:
        return append_bytes(out, number, text(value));
      case Shape::kInt32:
      case Shape::kInt64:
        return append_number(out, number, value.IsInt64() ? static_cast<uint64_t>(value.GetInt64()) : 0);
      case Shape::kBool:
        return append_number(out, number, value.IsTrue() ? 1 : 0);
      case Shape::kDouble: {
        const double amount = value.IsNumber() ? value.GetDouble() : 0;
        uint64_t bits = 0;
        std::memcpy(&bits, &amount, sizeof bits);
        append_tag(out, number, kFixed64);
        for (int i = 0; i < 8; ++i) out += static_cast<char>(bits >> (8 * i));
        return;
      }
      case Shape::kBytes: {
        const auto bytes = base64::decode(text(value));
        return append_bytes(out, number, bytes.ok() ? *bytes : std::string());
      }
      default:
        break;
    }
    std::string& inner = scratch(level);
    switch (shape) {
      case Shape::kTime:
      case Shape::kMicroTime:
        time(shape, value, inner);
        break;
      case Shape::kDuration:
        if (const auto duration = parse_duration(text(value)); duration.ok())
          append_number(inner, 1, static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(*duration).count()));
        break;
      case Shape::kQuantity:
        append_bytes(inner, 1, text(value));
        break;
      case Shape::kIntOrString:
        append_number(inner, 1, value.IsString() ? 1 : 0);
        append_number(inner, 2, value.IsInt64() ? static_cast<uint64_t>(value.GetInt64()) : 0);
        append_bytes(inner, 3, text(value));
        break;
      case Shape::kObject:
        if (field.type && value.IsObject()) message(*field.type, value, inner, level + 1);
        break;
      case Shape::kList:  // inside a map or list: a message with the repeated field 1
        if (value.IsArray())
          for (const Value& item : value.GetArray()) this->value(field, field.inner, 1, item, inner, level + 1);
        break;
      case Shape::kAny:
        any(field, value, inner, level);
        break;
      default:
        break;
    }
    append_bytes(out, number, scratch_[level]);
  }

  // Any JSON is carried as its text; the parts of a JSON schema that may be one or another have a field for each.
  void any(const Field& field, const Value& value, std::string& out, size_t level) {
    if (!field.type) return append_bytes(out, 1, json::dump(value));
    const bool flag = field.any == AnyKind::kTypeOrBool;
    if (flag) append_number(out, 1, value.IsObject() || value.IsTrue() ? 1 : 0);
    if (value.IsObject()) {
      std::string& inner = scratch(level + 1);
      message(*field.type, value, inner, level + 2);
      append_bytes(out, flag ? 2 : 1, inner);
    } else if (value.IsArray()) {
      for (const Value& item : value.GetArray()) {
        if (item.IsString()) {
          append_bytes(out, 2, json::view(item));
        } else if (item.IsObject()) {
          std::string& inner = scratch(level + 1);
          message(*field.type, item, inner, level + 2);
          append_bytes(out, 2, inner);
        }
      }
    }
  }

  static std::string_view text(const Value& value) { return value.IsString() ? json::view(value) : std::string_view(); }

  static void time(Shape shape, const Value& value, std::string& out) {
    using namespace std::chrono;
    const auto parsed = shape == Shape::kTime ? parse_time(text(value)) : parse_micro_time(text(value));
    if (!parsed.ok()) return;
    const auto since = parsed->time_since_epoch();
    const auto whole = floor<seconds>(since);
    append_number(out, 1, static_cast<uint64_t>(whole.count()));
    append_number(out, 2, static_cast<uint64_t>(duration_cast<nanoseconds>(since - whole).count()));
  }
};

}  // namespace

void append_protobuf_message(std::string& out, const Type& type, const Value& object) {
  if (object.IsObject()) Encoder().message(type, object, out, 0);
}

void append_protobuf_field(std::string& out, uint32_t number, std::string_view bytes) { append_bytes(out, number, bytes); }

void append_protobuf_envelope(std::string& out, std::string_view api_version, std::string_view kind, std::string_view message) {
  std::string type_meta;
  append_bytes(type_meta, 1, api_version);
  append_bytes(type_meta, 2, kind);
  out += std::string_view("k8s\0", 4);
  append_bytes(out, 1, type_meta);
  append_bytes(out, 2, message);
  append_bytes(out, 3, "");
  append_bytes(out, 4, "");
}

Result<std::string> encode_protobuf(const Value& object) {
  const std::string_view api_version = json::get_string(object, "apiVersion"), kind = json::get_string(object, "kind");
  // The discovery of the core group does not say its version, in protobuf neither.
  const Type* type = find_kind_type(api_version.empty() ? "v1" : api_version, kind);
  if (!type) return bad_request(fmt::format("no kind \"{}\" is registered for version \"{}\"", kind, api_version));
  std::string message, out;
  append_protobuf_message(message, *type, object);
  append_protobuf_envelope(out, api_version, kind, message);
  return out;
}

}  // namespace knarr::schema
