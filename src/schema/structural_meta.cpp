// Objects of the API inside of custom resources: kind, apiVersion and metadata of embedded resources.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/names.h"
#include "knarr/schema/machinery.h"
#include "schema/structural.h"
#include "schema/validate.h"

namespace knarr::schema::structural {

namespace {

using json::Value;

std::string child_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

Cause invalid(const std::string& path, const Value& value, std::string_view detail) {
  FieldErrors errors;
  errors.invalid_json(Path(path), json::dump(value), detail);
  return errors.take().front();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string joined(const names::Problems& problems) { return fmt::format("{}", fmt::join(problems, ",")); }

void check_api_version(const Value& value, const std::string& path, FieldErrors& errors) {
  if (!value.IsString()) return errors.invalid_json(Path(path), json::dump(value), "must be a string");
  const std::string_view text = json::view(value);
  if (text.empty()) return errors.invalid(Path(path), text, "must not be empty");
  if (std::count(text.begin(), text.end(), '/') > 1)
    errors.invalid(Path(path), text, fmt::format("unexpected GroupVersion string: {}", text));
}

void check_kind(const Value& value, const std::string& path, FieldErrors& errors) {
  if (!value.IsString()) return errors.invalid_json(Path(path), json::dump(value), "must be a string");
  const std::string_view text = json::view(value);
  if (text.empty()) return errors.invalid(Path(path), text, "must not be empty");
  if (const auto problems = names::dns1035_label(lower(text)); !problems.empty())
    errors.invalid(Path(path), text, "may have mixed case, but should otherwise match: " + joined(problems));
}

void check_metadata(const Value& value, const std::string& path, FieldErrors& errors) {
  json::Document copy = json::copy(value);
  std::vector<std::string> unknown;
  if (!copy.IsObject())
    return errors.invalid_json(Path(path), json::dump(value),
                               fmt::format("json: cannot unmarshal {} into Go value of type v1.ObjectMeta", go_kind(value)));
  if (const Status fits = schema::normalize(*find_type("meta/v1.ObjectMeta"), copy, copy.GetAllocator(), unknown); !fits.ok())
    return errors.invalid_json(Path(path), json::dump(value), fits.message());
  validation::meta::ObjectMeta metadata;
  api::decode(copy, metadata);
  if (metadata.name.empty()) metadata.name = "fakename";  // a name may be absent here
  validation::object_meta(metadata, nullptr, !metadata.namespace_.empty(), names::path_segment_name, errors, Path(path), validation::Finalizers::kAny);
}

void check_resource(const Value& object, const std::string& path, std::vector<Cause>& causes) {
  FieldErrors errors;
  if (json::find(object, "apiVersion") == nullptr) errors.required(Path(child_path(path, "apiVersion")));
  if (json::find(object, "kind") == nullptr) errors.required(Path(child_path(path, "kind")));
  for (const auto& member : object.GetObject()) {
    const std::string_view name = json::view(member.name);
    const std::string at = child_path(path, name);
    if (name == "apiVersion") check_api_version(member.value, at, errors);
    if (name == "kind") check_kind(member.value, at, errors);
    if (name == "metadata") check_metadata(member.value, at, errors);
  }
  for (Cause& cause : errors.take()) causes.push_back(std::move(cause));
}

}  // namespace

std::string_view go_kind(const Value& value) {
  if (value.IsString()) return "string";
  if (value.IsNumber()) return "number";
  if (value.IsArray()) return "array";
  return value.IsObject() ? "object" : "bool";
}

void validate_embedded(const Value& value, const Structural* schema, bool root, const std::string& path, std::vector<Cause>& causes) {
  if (schema == nullptr) return;
  if (value.IsObject()) {
    if (root || schema->embedded) check_resource(value, path, causes);
    for (const auto& member : value.GetObject()) {
      const std::string_view name = json::view(member.name);
      if (const Structural* property = schema->find(name)) {
        validate_embedded(member.value, property, false, child_path(path, name), causes);
      } else if (schema->additional) {
        validate_embedded(member.value, schema->additional.get(), false, fmt::format("{}[{}]", path, name), causes);
      }
    }
  } else if (value.IsArray() && schema->items) {
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i)
      validate_embedded(value[i], schema->items.get(), false, fmt::format("{}[{}]", path, i), causes);
  }
}

std::optional<Cause> coerce_embedded(Value& value, const Structural* schema, bool root, const std::string& path, bool lenient,
                                     json::Allocator& alloc, std::vector<std::string>* unknown) {
  if (schema == nullptr) return std::nullopt;
  if (value.IsArray() && schema->items) {
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      if (auto problem = coerce_embedded(value[i], schema->items.get(), false, fmt::format("{}[{}]", path, i), lenient, alloc, unknown))
        return problem;
    }
  }
  if (!value.IsObject()) return std::nullopt;
  if (root || schema->embedded) {
    for (const std::string_view name : {"apiVersion", "kind"}) {
      const Value* word = json::find(value, name);
      if (word == nullptr || word->IsString()) continue;
      if (!lenient) return invalid(child_path(path, name), *word, "must be a string");
      json::remove(value, name);
    }
    if (Value* metadata = json::find(value, "metadata")) {
      std::vector<std::string> found;
      const std::string at = child_path(path, "metadata");
      const Status fits = metadata->IsObject() ? schema::normalize(*find_type("meta/v1.ObjectMeta"), *metadata, alloc, found)
                                               : bad_request(fmt::format("json: cannot unmarshal {} into Go value of type v1.ObjectMeta",
                                                                         go_kind(*metadata)));
      if (!fits.ok() && !lenient) return invalid(at, *metadata, fits.message());
      for (const std::string& name : found) {
        if (unknown != nullptr) unknown->push_back(fmt::format("{}.{}", at, name));
      }
    }
  }
  for (auto& member : value.GetObject()) {
    const std::string_view name = json::view(member.name);
    const Structural* property = schema->find(name);
    const std::string at = property != nullptr ? child_path(path, name) : fmt::format("{}[{}]", path, name);
    if (auto problem = coerce_embedded(member.value, property != nullptr ? property : schema->additional.get(), false, at, lenient, alloc, unknown))
      return problem;
  }
  return std::nullopt;
}

}  // namespace knarr::schema::structural
