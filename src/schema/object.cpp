#include "knarr/schema/object.h"

#include <charconv>
#include <cmath>

#include "knarr/codec/base64.h"
#include "knarr/codec/time.h"
#include "schema/layout.h"

namespace knarr::api::detail {
namespace {

using schema::Field;
using schema::Shape;

// What is known of a value beside how it is held: its shape, and those of what is in it.
struct Meaning {
  Shape shape, element, inner;

  explicit Meaning(const Field& f) : shape(f.shape), element(f.element), inner(f.inner) {}
  Meaning(Shape s, Shape e) : shape(s), element(e), inner(Shape::kString) {}
  Meaning of_element() const { return {element, inner}; }
};

template <typename T>
T& as(void* p) {
  return *static_cast<T*>(p);
}
template <typename T>
const T& as(const void* p) {
  return *static_cast<const T*>(p);
}

std::string_view api_version(const schema::Type& type, std::string& buffer) {
  if (type.group.empty()) return type.version;
  buffer.assign(type.group).append("/").append(type.version);
  return buffer;
}

void decode_struct(const json::Value& value, const Layout& layout, void* object);

void decode_string(const json::Value& value, Shape shape, std::string& out) {
  if (shape == Shape::kAny) {
    out = json::dump(value);
  } else if (value.IsString()) {
    std::string_view text = json::view(value);
    if (shape != Shape::kBytes) {
      out = text;
    } else if (auto bytes = base64::decode(text); bytes.ok()) {
      out = std::move(*bytes);
    }
  } else if (shape == Shape::kQuantity && value.IsNumber()) {
    out = json::dump(value);
  }
}

void decode_value(const json::Value& value, const Held& held, Meaning meaning, void* out) {
  if (value.IsNull()) return;
  switch (held.repr) {
    case Repr::kString: return decode_string(value, meaning.shape, as<std::string>(out));
    case Repr::kInt32:
      if (value.IsInt()) as<int32_t>(out) = value.GetInt();
      return;
    case Repr::kInt64:
      if (value.IsInt64()) as<int64_t>(out) = value.GetInt64();
      return;
    case Repr::kBool:
      if (value.IsBool()) as<bool>(out) = value.GetBool();
      return;
    case Repr::kDouble:
      if (value.IsNumber()) as<double>(out) = value.GetDouble();
      return;
    case Repr::kTime: return;  // only inside an optional, below
    case Repr::kIntOrString: as<IntOrString>(out) = IntOrString::from_json(value); return;
    case Repr::kStruct: return decode_struct(value, *held.layout, out);
    case Repr::kNullable:
      if (held.element->repr == Repr::kTime) {
        if (!value.IsString()) return;
        if (auto time = parse_time(json::view(value)); time.ok()) as<WallTime>(held.nullable->make(out)) = *time;
        return;
      }
      return decode_value(value, *held.element, meaning, held.nullable->make(out));
    case Repr::kList:
      if (!value.IsArray()) return;
      for (const json::Value& item : value.GetArray()) decode_value(item, *held.element, meaning.of_element(), held.list->append(out));
      return;
    case Repr::kMap:
      if (!value.IsObject()) return;
      for (const auto& [key, item] : value.GetObject())
        decode_value(item, *held.element, meaning.of_element(), held.map->insert(out, json::view(key)));
      return;
  }
}

void decode_struct(const json::Value& value, const Layout& layout, void* object) {
  if (!value.IsObject()) return;
  const schema::Type& type = *layout.type;
  const Field* first = type.fields.data() + (type.kind.empty() ? 0 : 2);
  for (const auto& [key, item] : value.GetObject()) {
    const Field* field = type.find(json::view(key));
    if (field == nullptr || field < first) continue;
    const Member& member = layout.members[field - first];
    decode_value(item, *member.held, Meaning(*field), static_cast<char*>(object) + member.offset);
  }
}

bool is_empty(const Held& held, const void* p) {
  switch (held.repr) {
    case Repr::kString: return as<std::string>(p).empty();
    case Repr::kInt32: return as<int32_t>(p) == 0;
    case Repr::kInt64: return as<int64_t>(p) == 0;
    case Repr::kBool: return !as<bool>(p);
    case Repr::kDouble: return as<double>(p) == 0;
    case Repr::kNullable: return held.nullable->get(p) == nullptr;
    case Repr::kList: return held.list->size(p) == 0;
    case Repr::kMap: return held.map->size(p) == 0;
    case Repr::kTime:
    case Repr::kIntOrString:
    case Repr::kStruct: return false;
  }
  return false;
}

void encode_struct(const Layout& layout, const void* object, std::string& out);

// As Go prints a float64 in JSON.
void encode_double(double number, std::string& out) {
  if (!std::isfinite(number)) number = 0;
  double size = std::fabs(number);
  char buffer[64];
  auto format = size != 0 && (size < 1e-6 || size >= 1e21) ? std::chars_format::scientific : std::chars_format::fixed;
  auto end = std::to_chars(buffer, buffer + sizeof buffer, number, format).ptr;
  out.append(buffer, end);
}

template <typename T>
void encode_integer(T number, std::string& out) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
}

void encode_string(Shape shape, const std::string& text, std::string& out) {
  switch (shape) {
    case Shape::kAny: out += text.empty() ? "null" : text; return;
    case Shape::kBytes: out.append("\"").append(base64::encode(text)).append("\""); return;
    case Shape::kQuantity: return json::append_quoted(out, text.empty() ? std::string_view("0") : text);
    default: return json::append_quoted(out, text);
  }
}

void encode_value(const Held& held, Meaning meaning, const void* p, std::string& out) {
  switch (held.repr) {
    case Repr::kString: return encode_string(meaning.shape, as<std::string>(p), out);
    case Repr::kInt32: return encode_integer(as<int32_t>(p), out);
    case Repr::kInt64: return encode_integer(as<int64_t>(p), out);
    case Repr::kBool: out += as<bool>(p) ? "true" : "false"; return;
    case Repr::kDouble: return encode_double(as<double>(p), out);
    case Repr::kTime: {
      WallTime time = as<WallTime>(p);
      out.append("\"").append(meaning.shape == Shape::kMicroTime ? format_micro_time(time) : format_time(time)).append("\"");
      return;
    }
    case Repr::kIntOrString: {
      const auto& value = as<IntOrString>(p);
      if (value.is_int) return encode_integer(value.number, out);
      return json::append_quoted(out, value.text);
    }
    case Repr::kStruct: return encode_struct(*held.layout, p, out);
    case Repr::kNullable: {
      const void* value = held.nullable->get(p);
      if (value == nullptr) {
        out += "null";
      } else {
        encode_value(*held.element, meaning, value, out);
      }
      return;
    }
    case Repr::kList: {
      out += '[';
      for (size_t i = 0, n = held.list->size(p); i < n; ++i) {
        if (i > 0) out += ',';
        encode_value(*held.element, meaning.of_element(), held.list->at(p, i), out);
      }
      out += ']';
      return;
    }
    case Repr::kMap: {
      struct Context {
        const Held& element;
        Meaning meaning;
        std::string& out;
        bool first = true;
      } context{*held.element, meaning.of_element(), out};
      out += '{';
      held.map->each(p, &context, [](void* opaque, const std::string& key, const void* value) {
        auto& c = *static_cast<Context*>(opaque);
        if (!c.first) c.out += ',';
        c.first = false;
        json::append_quoted(c.out, key);
        c.out += ':';
        encode_value(c.element, c.meaning, value, c.out);
      });
      out += '}';
      return;
    }
  }
}

void encode_struct(const Layout& layout, const void* object, std::string& out) {
  const schema::Type& type = *layout.type;
  size_t skipped = 0;
  bool first = true;
  out += '{';
  if (!type.kind.empty()) {
    std::string buffer;
    out.append("\"kind\":\"").append(type.kind).append("\",\"apiVersion\":\"").append(api_version(type, buffer)).append("\"");
    skipped = 2;
    first = false;
  }
  for (size_t i = skipped; i < type.fields.size(); ++i) {
    const Field& field = type.fields[i];
    const Member& member = layout.members[i - skipped];
    const void* p = static_cast<const char*>(object) + member.offset;
    if (field.omit_empty && is_empty(*member.held, p)) continue;
    if (!first) out += ',';
    first = false;
    out.append("\"").append(field.name).append("\":");
    encode_value(*member.held, Meaning(field), p, out);
  }
  out += '}';
}

}  // namespace

void decode(const json::Value& value, const Layout& layout, void* object) { decode_struct(value, layout, object); }

Status decode_text(std::string_view text, const Layout& layout, void* object) {
  auto document = json::parse(text);
  if (!document.ok()) return std::move(document).status().with_context(layout.type->name);
  if (!document->IsObject()) return bad_request(std::string(layout.type->name) + ": expected a JSON object");
  decode_struct(*document, layout, object);
  return Status::OK();
}

void encode(const Layout& layout, const void* object, std::string& out) { encode_struct(layout, object, out); }

bool same(const Layout& layout, const void* a, const void* b) {
  std::string left, right;
  encode_struct(layout, a, left);
  encode_struct(layout, b, right);
  return left == right;
}

}  // namespace knarr::api::detail
