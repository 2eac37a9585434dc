// OpenAPI v2 as the protobuf messages of openapi.v2 (github.com/google/gnostic-models), which is the one form in which
// Go clients ask for it. It is made from the JSON text, so that both say the same; numbers are those of
// OpenAPIv2.proto.
#include "knarr/codec/yaml.h"
#include "knarr/schema/machinery.h"

namespace knarr::schema {

namespace {

using json::Value;

// One message; a message within it is written to a string of its own first.
class Message {
 public:
  Message& string(uint32_t number, std::string_view text) {
    varint(number << 3 | 2);
    varint(text.size());
    bytes_ += text;
    return *this;
  }
  Message& message(uint32_t number, const Message& inner) { return string(number, inner.bytes_); }
  Message& boolean(uint32_t number, bool value) {
    if (!value) return *this;
    varint(number << 3);
    varint(1);
    return *this;
  }
  // A member of a JSON object that is a text, a boolean or a list of texts; nothing where it is not there.
  Message& text_of(uint32_t number, const Value& object, std::string_view key) {
    const std::string_view text = json::get_string(object, key);
    return text.empty() ? *this : string(number, text);
  }
  Message& boolean_of(uint32_t number, const Value& object, std::string_view key) {
    return boolean(number, json::get_bool(object, key));
  }
  Message& texts_of(uint32_t number, const Value& object, std::string_view key) {
    const Value* list = json::find(object, key);
    if (list && list->IsArray()) {
      for (const Value& item : list->GetArray()) string(number, json::view(item));
    }
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;

  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
};

// A value that has no message: its text as YAML.
Message any(const Value& value) { return Message().string(2, yaml::dump(value)); }

// Each member of an object as an entry {name, value} of a repeated field.
template <typename Make>
void entries(Message& out, uint32_t number, const Value* object, Make make) {
  if (!object || !object->IsObject()) return;
  for (const auto& member : object->GetObject()) {
    out.message(number, Message().string(1, json::view(member.name)).message(2, make(member.value)));
  }
}

void extensions(Message& out, uint32_t number, const Value& object) {
  for (const auto& member : object.GetObject()) {
    if (!json::view(member.name).starts_with("x-")) continue;
    out.message(number, Message().string(1, json::view(member.name)).message(2, any(member.value)));
  }
}

Message schema(const Value& value) {
  Message out;
  if (!value.IsObject()) return out;
  out.text_of(1, value, "$ref").text_of(2, value, "format").text_of(4, value, "description");
  if (const Value* otherwise = json::find(value, "default")) out.message(5, any(*otherwise));
  out.texts_of(19, value, "required");
  if (const Value* list = json::find(value, "enum"); list && list->IsArray()) {
    for (const Value& item : list->GetArray()) out.message(20, any(item));
  }
  if (const Value* inner = json::find(value, "additionalProperties"))
    out.message(21, Message().message(1, schema(*inner)));
  if (!json::get_string(value, "type").empty()) out.message(22, Message().text_of(1, value, "type"));
  if (const Value* inner = json::find(value, "items")) out.message(23, Message().message(1, schema(*inner)));
  if (const Value* properties = json::find(value, "properties")) {
    Message all;
    entries(all, 1, properties, schema);
    out.message(25, all);
  }
  extensions(out, 31, value);
  return out;
}

Message parameter(const Value& value) {
  const std::string_view in = json::get_string(value, "in");
  Message out;
  if (in == "body") {
    Message body;
    body.text_of(1, value, "description")
        .text_of(2, value, "name")
        .text_of(3, value, "in")
        .boolean_of(4, value, "required");
    if (const Value* inner = json::find(value, "schema")) body.message(5, schema(*inner));
    out.message(1, body);
  } else {
    const bool path = in == "path";
    Message other;
    other.boolean_of(1, value, "required")
        .text_of(2, value, "in")
        .text_of(3, value, "description")
        .text_of(4, value, "name");
    other.text_of(path ? 5 : 6, value, "type").boolean_of(path ? 19 : 20, value, "uniqueItems");
    out.message(2, Message().message(path ? 4 : 3, other));
  }
  return Message().message(1, out);
}

void parameters(Message& out, uint32_t number, const Value& object) {
  const Value* list = json::find(object, "parameters");
  if (!list || !list->IsArray()) return;
  for (const Value& item : list->GetArray()) out.message(number, parameter(item));
}

Message response(const Value& value) {
  Message out;
  out.text_of(1, value, "description");
  if (const Value* inner = json::find(value, "schema")) out.message(2, Message().message(1, schema(*inner)));
  return Message().message(1, out);
}

Message operation(const Value& value) {
  Message out, responses;
  out.texts_of(1, value, "tags").text_of(3, value, "description").text_of(5, value, "operationId");
  out.texts_of(6, value, "produces").texts_of(7, value, "consumes");
  parameters(out, 8, value);
  entries(responses, 1, json::find(value, "responses"), response);
  out.message(9, responses).texts_of(10, value, "schemes");
  extensions(out, 13, value);
  return out;
}

Message path_item(const Value& value) {
  static constexpr std::pair<std::string_view, uint32_t> kMethods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  Message out;
  for (const auto& [method, number] : kMethods) {
    if (const Value* found = json::find(value, method)) out.message(number, operation(*found));
  }
  parameters(out, 9, value);
  return out;
}

Message security_definition(const Value& value) {
  Message key;
  key.text_of(1, value, "type").text_of(2, value, "name").text_of(3, value, "in").text_of(4, value, "description");
  return Message().message(2, key);
}

}  // namespace

std::string openapi_v2_protobuf(std::string_view text) {
  const auto document = json::parse(text);
  if (!document.ok()) return {};
  const Value& root = *document;
  Message out, paths, definitions, security;
  out.text_of(1, root, "swagger");
  if (const Value* info = json::find(root, "info"))
    out.message(2, Message().text_of(1, *info, "title").text_of(2, *info, "version"));
  entries(paths, 2, json::find(root, "paths"), path_item);
  entries(definitions, 1, json::find(root, "definitions"), schema);
  out.message(8, paths).message(9, definitions);
  if (const Value* required = json::find(root, "security"); required && required->IsArray()) {
    for (const Value& item : required->GetArray()) {
      Message requirement;
      entries(requirement, 1, &item, [](const Value&) { return Message(); });  // no scopes
      out.message(12, requirement);
    }
  }
  entries(security, 1, json::find(root, "securityDefinitions"), security_definition);
  out.message(13, security);
  return out.take();
}

}  // namespace knarr::schema
