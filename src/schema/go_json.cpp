#include "schema/go_json.h"

#include <algorithm>

namespace knarr::schema {

namespace {

constexpr std::string_view kInitialisms[] = {"api", "cidr", "fs", "ip", "os", "tls", "tty", "uid", "url"};

std::string go_name(std::string_view name) {
  std::string out(name);
  // All of an initialism is capital, the whole name or its first word.
  const size_t word = std::min(static_cast<size_t>(std::find_if(name.begin(), name.end(), [](unsigned char c) { return std::isupper(c); }) - name.begin()), name.size());
  const bool initialism = std::find(std::begin(kInitialisms), std::end(kInitialisms), name.substr(0, word)) != std::end(kInitialisms);
  for (size_t i = 0; i < (initialism ? word : 1); ++i) out[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[i])));
  return out;
}

void write(const Field& field, Shape shape, const json::Value& value, std::string& out);

void write_object(const Type& type, const json::Value& object, std::string& out) {
  // What the internal structures take from apimachinery has its JSON names there too.
  if (type.name.starts_with("meta/v1.")) return json::append(out, object);
  out += '{';
  for (const Field& field : type.fields) {
    if (out.back() != '{') out += ',';
    json::append_quoted(out, go_name(field.name));
    out += ':';
    if (const json::Value* value = json::find(object, field.name)) {
      write(field, field.shape, *value, out);
    } else if (field.pointer || field.shape == Shape::kList || field.shape == Shape::kMap || field.shape == Shape::kAny || field.shape == Shape::kTime) {
      out += "null";
    } else if (field.shape == Shape::kObject && field.type) {
      write_object(*field.type, json::Value(rapidjson::kObjectType), out);
    } else if (field.shape == Shape::kString) {
      out += "\"\"";
    } else if (field.shape == Shape::kQuantity) {
      out += "\"0\"";
    } else {
      out += field.shape == Shape::kBool ? "false" : "0";
    }
  }
  out += '}';
}

void write(const Field& field, Shape shape, const json::Value& value, std::string& out) {
  if (shape == Shape::kObject && field.type && value.IsObject()) {
    write_object(*field.type, value, out);
  } else if (shape == Shape::kList && value.IsArray()) {
    out += '[';
    for (const json::Value& item : value.GetArray()) {
      if (out.back() != '[') out += ',';
      write(field, field.element, item, out);
    }
    out += ']';
  } else {
    json::append(out, value);
  }
}

}  // namespace

std::string go_json(const Type& type, const json::Value& object) {
  std::string out;
  write_object(type, object, out);
  return out;
}

}  // namespace knarr::schema
