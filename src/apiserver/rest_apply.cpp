// Server-side apply: a configuration becomes an object's new state, whether the object exists or not.
#include <fmt/format.h>

#include "knarr/codec/time.h"
#include "knarr/codec/yaml.h"
#include "knarr/schema/apply.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "rest_impl.h"

namespace knarr::apiserver {

using json::Document;

namespace {

// Keys that stand there twice: an error, a warning or nothing, as the client wants it.
Status check_duplicates(RequestContext& context, std::string_view body) {
  if (context.field_validation == FieldValidation::kIgnore) return Status::OK();
  if (body.starts_with('{') && json::duplicate_keys(body).empty()) return Status::OK();
  const auto duplicates = yaml::duplicate_keys(body);
  if (duplicates.empty()) return Status::OK();
  const std::string problem =
      fmt::format("error converting YAML to JSON: yaml: unmarshal errors:\n  {}", fmt::join(duplicates, "\n  "));
  if (context.field_validation == FieldValidation::kStrict)
    return bad_request(fmt::format("error strict decoding YAML: {}", problem));
  context.warnings.push_back(problem);
  return Status::OK();
}

}  // namespace

Result<Answer> Rest::Impl::apply(RequestContext& context, const Target& target, std::string_view body) {
  const schema::Resource& resource = *target.resource;
  auto config = yaml::parse(body);
  if (config.ok() && config->IsNull()) config->SetObject();
  if (!config.ok()) return bad_request(fmt::format("error decoding YAML: {}", config.status().message()));
  if (!config->IsObject())
    return bad_request(fmt::format(
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type "
        "map[string]interface {{}}",
        config->IsArray() ? "array" : config->IsString() ? "string" : config->IsNumber() ? "number" : "bool"));
  const Status strict = check_duplicates(context, body);
  if (target.subresource == "scale") return apply_scale(context, target, *config);
  const auto applied = [&](const json::Value* live) -> Result<Document> {
    const std::string time = format_time(now());
    auto made = schema::apply(resource, {context.field_manager, target.subresource, time}, context.force, live, *config);
    if (made.ok()) KNARR_RETURN_IF_ERROR(strict);
    return made;
  };
  constexpr int kAttempts = 8;  // an object may come and go between the look at it and the write
  for (int attempt = 1;; ++attempt) {
    if (store->get(id(resource), object_key(target.ns, target.name))) {
      auto changed = change(context, target, Checks::kApplied, [&](const Document& old) { return applied(&old); });
      if (changed.ok() || !changed.status().is(reason::kNotFound) || attempt == kAttempts) return changed;
      continue;
    }
    KNARR_ASSIGN(Document object, applied(nullptr));
    if (const std::string_view uid = meta_string(object, "uid"); !uid.empty())
      return conflict_error(
          resource, target.name,
          fmt::format("uid mismatch: the provided object specified uid {}, and no existing object was found", uid));
    if (!target.subresource.empty()) return not_found_error(resource, target.name);
    KNARR_RETURN_IF_ERROR(check_namespace(target, metadata_of(object, object.GetAllocator()), object.GetAllocator()));
    if (const std::string_view name = meta_string(object, "name"); name != target.name)
      return bad_request(other_name(name, target.name));
    auto created = create(context, target, std::move(object), true);
    if (created.ok() || !created.status().is(reason::kAlreadyExists) || attempt == kAttempts) return created;
  }
}

// A scale is applied as an object of its own kind, which shows who owns the one field of the object that it is about.
Result<Answer> Rest::Impl::apply_scale(RequestContext& context, const Target& target, const json::Value& config) {
  const schema::Resource& resource = *target.resource;
  const schema::ScalePaths* paths = resource.custom ? resource.custom->scale() : nullptr;
  const std::string replicas = paths ? paths->spec_replicas : "spec.replicas";
  const auto fields_of = [](const Document& object) { return json::find(object, {"metadata", "managedFields"}); };
  const auto make = [&](const Document& old) -> Result<Document> {
    Document scale = schema::scale_of(resource, old);
    auto& scale_alloc = scale.GetAllocator();
    if (json::Value fields = schema::managed_fields_to_scale(resource, replicas, fields_of(old), scale_alloc); !fields.IsNull())
      json::set(metadata_of(scale, scale_alloc), "managedFields", std::move(fields), scale_alloc);
    const std::string time = format_time(now());
    KNARR_ASSIGN(const Document applied, schema::apply(schema::scale_resource(), {context.field_manager, "scale", time},
                                                       context.force, &scale, config));
    const auto take = [&](const Document&) -> Result<Document> { return json::copy(applied); };
    KNARR_ASSIGN(Document object, through_scale(resource, take)(old));
    auto& alloc = object.GetAllocator();
    json::Value fields = schema::managed_fields_to_parent(resource, replicas, fields_of(old), fields_of(applied), alloc);
    json::Value& metadata = metadata_of(object, alloc);
    if (fields.IsNull()) {
      json::remove(metadata, "managedFields");
    } else {
      json::set(metadata, "managedFields", std::move(fields), alloc);
    }
    return object;
  };
  return as_scale(resource, change(context, target, Checks::kApplied, make));
}

}  // namespace knarr::apiserver
