// The schemas of custom resources in OpenAPI documents: as their CRD has them, with what every object of the API has.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/schema/custom.h"
#include "schema/documents.h"
#include "schema/openapi.h"

namespace knarr::schema::openapi {

namespace {

using json::Allocator;
using json::Value;

constexpr std::string_view kObjectMeta = "meta/v1.ObjectMeta";

bool flag(const Value& schema, std::string_view key) { return json::get_bool(schema, key); }

void describe(Value& properties, std::string_view name, std::string_view doc, Allocator& alloc) {
  Value property(rapidjson::kObjectType);
  json::set(property, "type", "string", alloc);
  json::set(property, "description", doc, alloc);
  json::set(properties, name, std::move(property), alloc);
}

// kind, apiVersion and metadata.
void add_object_fields(Value& schema, const std::string& meta, Version version, Allocator& alloc) {
  Value& properties = json::ensure_object(schema, {"properties"}, alloc);
  describe(properties, "apiVersion", "APIVersion defines the group and version of the schema that the object is written in.", alloc);
  describe(properties, "kind", "Kind names what the object is.", alloc);
  Value reference(rapidjson::kObjectType), metadata(rapidjson::kObjectType);
  json::set(reference, "$ref", meta, alloc);
  if (version == Version::k2) {
    metadata = std::move(reference);
  } else {
    Value list(rapidjson::kArrayType);
    list.PushBack(reference, alloc);
    json::set(metadata, "allOf", std::move(list), alloc);
  }
  json::set(metadata, "description", "Standard object's metadata: name, labels and the like.", alloc);
  json::set(properties, "metadata", std::move(metadata), alloc);
}

void add_embedded(Value& schema, const std::string& meta, Version version, Allocator& alloc) {
  if (!schema.IsObject()) return;
  if (Value* properties = json::find(schema, "properties"); properties && properties->IsObject())
    for (auto& property : properties->GetObject()) add_embedded(property.value, meta, version, alloc);
  for (const std::string_view key : {"items", "additionalProperties"})
    if (Value* below = json::find(schema, key)) add_embedded(*below, meta, version, alloc);
  if (version == Version::k2 && flag(schema, "x-kubernetes-preserve-unknown-fields")) return;
  if (!flag(schema, "x-kubernetes-embedded-resource")) return;
  add_object_fields(schema, meta, version, alloc);
  Value* required = json::find(schema, "required");
  if (!required || !required->IsArray()) required = &json::set(schema, "required", Value(rapidjson::kArrayType), alloc);
  for (const std::string_view name : {"kind", "apiVersion"}) {
    const bool there = std::any_of(required->Begin(), required->End(), [&](const Value& r) { return r.IsString() && json::view(r) == name; });
    if (!there) required->PushBack(json::string(name, alloc), alloc);
  }
}

// What x-kubernetes-int-or-string means, in the words of OpenAPI.
void unfold_int_or_string(Value& schema, Allocator& alloc) {
  if (!schema.IsObject()) return;
  if (flag(schema, "x-kubernetes-int-or-string") && json::find(schema, "anyOf") == nullptr) {
    Value list(rapidjson::kArrayType);
    for (const std::string_view type : {"integer", "string"}) {
      Value one(rapidjson::kObjectType);
      json::set(one, "type", type, alloc);
      list.PushBack(one, alloc);
    }
    json::set(schema, "anyOf", std::move(list), alloc);
  }
  if (Value* properties = json::find(schema, "properties"); properties && properties->IsObject())
    for (auto& property : properties->GetObject()) unfold_int_or_string(property.value, alloc);
  for (const std::string_view key : {"items", "additionalProperties"})
    if (Value* below = json::find(schema, key)) unfold_int_or_string(*below, alloc);
}

void add_selectable_fields(Value& schema, const Resource& resource, Allocator& alloc) {
  if (resource.field_selectors.empty()) return;
  Value fields(rapidjson::kArrayType);
  for (const std::string_view field : resource.field_selectors) {
    Value one(rapidjson::kObjectType);
    json::set(one, "fieldPath", field, alloc);
    fields.PushBack(one, alloc);
  }
  json::set(schema, "x-kubernetes-selectable-fields", std::move(fields), alloc);
}

// Version 2 cannot say everything, and its readers break on some of what it can.
void reduce_to_version2(Value& schema) {
  if (!schema.IsObject()) return;
  for (const std::string_view key : {"allOf", "oneOf", "anyOf", "not", "default"}) json::remove(schema, key);
  const bool nullable = flag(schema, "nullable"), preserve = flag(schema, "x-kubernetes-preserve-unknown-fields");
  json::remove(schema, "nullable");
  if (nullable) json::remove(schema, "type");
  if (nullable || preserve) {
    json::remove(schema, "items");
    json::remove(schema, "properties");
  }
  const std::string_view type = json::get_string(schema, "type");
  if ((type == "array" && !json::find(schema, "items")) || (type == "object" && preserve)) json::remove(schema, "type");
  Value* required = json::find(schema, "required");
  if (Value* properties = json::find(schema, "properties"); properties && properties->IsObject()) {
    for (auto& property : properties->GetObject()) {
      if (flag(property.value, "nullable") && required && required->IsArray()) {
        const std::string_view name = json::view(property.name);
        const auto last = std::remove_if(required->Begin(), required->End(),
                                         [&](const Value& r) { return r.IsString() && json::view(r) == name; });
        required->Erase(last, required->End());
      }
      reduce_to_version2(property.value);
    }
  }
  for (const std::string_view key : {"items", "additionalProperties"})
    if (Value* below = json::find(schema, key)) reduce_to_version2(*below);
}

void add_kind(Value& schema, const Resource& resource, std::string_view kind, Allocator& alloc) {
  Value one(rapidjson::kObjectType), list(rapidjson::kArrayType);
  json::set(one, "group", resource.group, alloc);
  json::set(one, "kind", kind, alloc);
  json::set(one, "version", resource.version, alloc);
  list.PushBack(one, alloc);
  json::set(schema, "x-kubernetes-group-version-kind", std::move(list), alloc);
}

json::Document object_schema(const Resource& resource, const std::string& meta, Version version) {
  json::Document schema = resource.custom->openapi_schema();
  auto& alloc = schema.GetAllocator();
  const bool unknown_fields = version == Version::k2 && flag(schema, "x-kubernetes-preserve-unknown-fields");
  if (schema.ObjectEmpty() || unknown_fields) {
    schema.SetObject();
    json::set(schema, "type", "object", alloc);
  } else {
    if (version == Version::k2) {
      reduce_to_version2(schema);
    } else {
      unfold_int_or_string(schema, alloc);
    }
    add_object_fields(schema, meta, version, alloc);
    add_embedded(schema, meta, version, alloc);
  }
  add_kind(schema, resource, resource.kind, alloc);
  add_selectable_fields(schema, resource, alloc);
  return schema;
}

// "stable.example.com", v1, CronTab → com.example.stable.v1.CronTab
std::string name_of(const Resource& resource, std::string_view kind) {
  std::string out;
  for (std::string_view rest = resource.group; !rest.empty();) {
    const size_t dot = rest.rfind('.');
    const std::string_view part = dot == std::string_view::npos ? rest : rest.substr(dot + 1);
    out.append(part).append(".");
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(0, dot);
  }
  return fmt::format("{}{}.{}", out, resource.version, kind);
}

}  // namespace

std::string Schemas::custom_reference(const Resource& resource, bool list) {
  customs_.emplace(name_of(resource, resource.kind), &resource);
  need(*find_type(kObjectMeta));
  need(*find_type("meta/v1.ListMeta"));
  return link(name_of(resource, list ? resource.custom->list_kind() : resource.kind));
}

void Schemas::write_customs(Writer& out) const {
  const std::string meta = link(definition_name(*find_type(kObjectMeta)));
  for (const auto& [name, resource] : customs_) {
    out.key(name).raw(json::dump(object_schema(*resource, meta, version_)));
    json::Document list(rapidjson::kObjectType);
    auto& alloc = list.GetAllocator();
    json::set(list, "description", fmt::format("{} is a list of {}", resource->custom->list_kind(), resource->kind), alloc);
    json::set(list, "type", "object", alloc);
    Value required(rapidjson::kArrayType), item(rapidjson::kObjectType), items(rapidjson::kObjectType);
    required.PushBack("items", alloc);
    json::set(list, "required", std::move(required), alloc);
    add_object_fields(list, link(definition_name(*find_type("meta/v1.ListMeta"))), version_, alloc);
    json::set(item, "$ref", link(name), alloc);
    json::set(items, "description", fmt::format("List of {}.", resource->plural), alloc);
    json::set(items, "type", "array", alloc);
    json::set(items, "items", std::move(item), alloc);
    json::set(json::ensure_object(list, {"properties"}, alloc), "items", std::move(items), alloc);
    add_kind(list, *resource, resource->custom->list_kind(), alloc);
    add_selectable_fields(list, *resource, alloc);
    out.key(name_of(*resource, resource->custom->list_kind())).raw(json::dump(list));
  }
}

}  // namespace knarr::schema::openapi
