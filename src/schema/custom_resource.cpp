// Custom resources as documents: what the generic functions of machinery.h do for them.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "knarr/codec/jsonpath.h"
#include "knarr/codec/names.h"
#include "knarr/codec/time.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "schema/documents.h"
#include "schema/structural.h"
#include "schema/validate.h"

namespace knarr::schema::custom {

namespace {

using json::Allocator;
using json::Value;

const Type& object_meta_type() {
  static const Type& type = *find_type("meta/v1.ObjectMeta");
  return type;
}

std::vector<std::string_view> simple_path(std::string_view path) {
  std::vector<std::string_view> out;
  if (path.starts_with(".")) path.remove_prefix(1);
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    out.push_back(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return out;
}

// The words of Go's accessor for a value of the wrong type: ".spec.replicas accessor error: ...".
std::string accessor_error(std::string_view path, const Value& value, std::string_view wanted) {
  std::string_view actual = "map[string]interface {}";
  if (value.IsString()) actual = "string";
  if (value.IsBool()) actual = "bool";
  if (value.IsDouble()) actual = "float64";
  if (value.IsArray()) actual = "[]interface {}";
  if (value.IsInt64()) actual = "int64";
  if (value.IsNull()) actual = "<nil>";
  const std::string shown = value.IsString() ? std::string(json::view(value)) : value.IsNull() ? "<nil>" : json::dump(value);
  return fmt::format("{} accessor error: {} is of the type {}, expected {}", path, shown, actual, wanted);
}

void validate_replicas(const std::string& path, const Value& object, FieldErrors& errors) {
  const Value* value = &object;
  std::string reached;
  for (const std::string_view step : simple_path(path)) {
    reached.append(".").append(step);
    if (value->IsNull()) return;
    if (!value->IsObject())
      return errors.invalid(Path(path), int64_t{0}, accessor_error(reached, *value, "map[string]interface{}"));
    value = json::find(*value, step);
    if (value == nullptr) return;
  }
  if (!value->IsInt64()) return errors.invalid(Path(path), int64_t{0}, accessor_error(path, *value, "int64"));
  const int64_t number = value->GetInt64();
  if (number < 0) errors.invalid(Path(path), number, "should be a non-negative integer");
  if (number > std::numeric_limits<int32_t>::max())
    errors.invalid(Path(path), number, fmt::format("should be less than or equal to {}", std::numeric_limits<int32_t>::max()));
}

void validate_scale(const ScalePaths& scale, bool status_only, const Value& object, FieldErrors& errors) {
  if (!status_only) validate_replicas(scale.spec_replicas, object, errors);
  validate_replicas(scale.status_replicas, object, errors);
  if (scale.label_selector.empty()) return;
  const Value* selector = follow(object, scale.label_selector);
  if (selector != nullptr && !selector->IsString())
    errors.invalid(Path(scale.label_selector), "", accessor_error(scale.label_selector, *selector, "string"));
}

validation::meta::ObjectMeta meta_of(const Value& object) {
  validation::meta::ObjectMeta m;
  if (const Value* value = json::find(object, "metadata")) api::decode(*value, m);
  return m;
}

void append(std::vector<Cause>& to, std::vector<Cause> from) {
  for (Cause& cause : from) to.push_back(std::move(cause));
}

// What does not fit goes; the rest stays.
void keep_what_fits(Value& metadata, Allocator& alloc) {
  Value kept(rapidjson::kObjectType);
  for (auto& member : metadata.GetObject()) {
    Value one(rapidjson::kObjectType);
    one.AddMember(json::copy(member.name, alloc), json::copy(member.value, alloc), alloc);
    std::vector<std::string> unknown;
    if (!schema::normalize(object_meta_type(), one, alloc, unknown).ok()) continue;
    for (auto& fitting : one.GetObject()) kept.AddMember(fitting.name, fitting.value, alloc);
  }
  metadata = std::move(kept);
}

// Rules are not looked at where the object is not what they count on.
void tell_of_unchecked_rules(std::vector<Cause>& causes) {
  constexpr std::string_view kBlocking[] = {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
                                            "FieldValueTypeInvalid"};
  const bool blocked = std::any_of(causes.begin(), causes.end(), [&](const Cause& cause) {
    return std::find(std::begin(kBlocking), std::end(kBlocking), cause.reason) != std::end(kBlocking);
  });
  if (!blocked) return;
  causes.push_back({"FieldValueInvalid",
                    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
                    "errors to complete validation",
                    "<nil>"});
}

Value cell(std::string_view type, const Value& value, WallTime now, Allocator& alloc) {
  if (value.IsNull()) return {};
  if (type == "string") return json::string(value.IsString() ? json::view(value) : std::string_view(json::dump(value)), alloc);
  if (type == "integer") {
    if (value.IsInt64()) return Value(value.GetInt64());
    return value.IsNumber() ? Value(static_cast<int64_t>(value.GetDouble())) : Value();
  }
  if (type == "number") {
    if (value.IsInt64()) return Value(value.GetInt64());
    return value.IsNumber() ? Value(value.GetDouble()) : Value();
  }
  if (type == "boolean") return value.IsBool() ? Value(value.GetBool()) : Value();
  if (type != "date" || !value.IsString()) return {};
  const auto time = parse_time(json::view(value));
  if (!time.ok()) return json::string("<invalid>", alloc);
  return json::string(human_duration(std::chrono::duration_cast<std::chrono::seconds>(now - *time)), alloc);
}

}  // namespace

const Value* follow(const Value& object, std::string_view path) {
  const Value* value = &object;
  for (const std::string_view step : simple_path(path)) {
    value = json::find(*value, step);
    if (value == nullptr) return nullptr;
  }
  return value;
}

Status normalize(const Resource& resource, Value& object, Allocator& alloc, std::vector<std::string>* unknown, bool lenient, Nulls nulls) {
  std::vector<std::string> in_metadata;
  if (Value* metadata = json::find(object, "metadata")) {
    if (!metadata->IsObject()) {
      if (!lenient)
        return bad_request(fmt::format("json: cannot unmarshal {} into Go value of type v1.ObjectMeta", structural::go_kind(*metadata)));
      metadata->SetObject();
    }
    if (lenient && !schema::normalize(object_meta_type(), *metadata, alloc, in_metadata).ok()) keep_what_fits(*metadata, alloc);
    if (!lenient) KNARR_RETURN_IF_ERROR(schema::normalize(object_meta_type(), *metadata, alloc, in_metadata));
  }
  const Structural* schema = resource.custom->structural();
  if (unknown != nullptr) {
    for (const std::string& path : in_metadata) unknown->push_back("metadata." + path);
  }
  structural::prune(object, schema, true, unknown);
  if (nulls == Nulls::kDrop) structural::drop_nulls(object, schema);
  if (auto problem = structural::coerce_embedded(object, schema, false, "", lenient, alloc, unknown))
    return bad_request(fmt::format("{}: {}", problem->field, problem->message));
  return {};
}

void apply_defaults(const Resource& resource, Value& object, Allocator& alloc) {
  structural::apply_defaults(object, resource.custom->structural(), alloc);
}

std::vector<Cause> validate(const Resource& resource, std::string_view subresource, const Value& object, const Value* old) {
  const Custom& custom = *resource.custom;
  const Structural* schema = custom.structural();
  const bool status_only = subresource == "status";
  FieldErrors errors;
  const auto metadata = meta_of(object);
  const auto before = old != nullptr ? meta_of(*old) : validation::meta::ObjectMeta();
  validation::object_meta(metadata, old != nullptr ? &before : nullptr, resource.namespaced, names::dns1123_subdomain, errors,
                          Path("metadata"), validation::Finalizers::kAny);
  std::vector<Cause> causes = errors.take();
  if (status_only) {
    const Value* status = json::find(object, "status");
    const Structural* of_status = schema != nullptr ? schema->find("status") : nullptr;
    if (status != nullptr && of_status != nullptr)
      structural::validate_values(*status, old != nullptr ? json::find(*old, "status") : nullptr, *of_status, "status", causes);
  } else if (schema != nullptr) {
    structural::validate_values(object, old, *schema, "", causes);
  }
  if (const ScalePaths* scale = custom.scale()) {
    FieldErrors of_scale;
    validate_scale(*scale, status_only, object, of_scale);
    append(causes, of_scale.take());
  }
  if (!status_only) structural::validate_embedded(object, schema, false, "", causes);
  std::vector<Cause> lists, old_lists;
  structural::validate_lists(object, schema, "", lists);
  // What was wrong already may stay so.
  if (!lists.empty() && old != nullptr) structural::validate_lists(*old, schema, "", old_lists);
  if (old_lists.empty()) append(causes, std::move(lists));
  if (schema != nullptr && schema->has_expressions) tell_of_unchecked_rules(causes);
  return causes;
}

void print_row(const Resource& resource, const Value& object, WallTime now, Value& cells, Allocator& alloc) {
  cells.SetArray();
  cells.PushBack(json::string(json::get_string(object, {"metadata", "name"}), alloc), alloc);
  const auto& paths = resource.custom->column_paths();
  for (size_t i = 0; i < paths.size(); ++i) {
    const auto path = JsonPath::parse(paths[i]);
    const auto found = path.ok() ? path->find(object) : std::vector<const Value*>();
    cells.PushBack(found.empty() ? Value() : cell(resource.columns[i + 1].type, *found.front(), now, alloc), alloc);
  }
}

std::string field_value(const Value& object, std::string_view field) {
  const Value* value = follow(object, field);
  if (value == nullptr || value->IsNull()) return "";
  return value->IsString() ? std::string(json::view(*value)) : json::dump(*value);
}

std::vector<std::string> warnings(const Value& object, const Value* old) {
  std::set<std::string> added;
  for (const std::string& name : meta_of(object).finalizers) added.insert(name);
  if (old != nullptr)
    for (const std::string& name : meta_of(*old).finalizers) added.erase(name);
  std::vector<std::string> out;
  for (const std::string& name : added) {
    const std::string begin = fmt::format("metadata.finalizers: \"{}\": ", name);
    for (const std::string& problem : names::qualified_name(name)) out.push_back(begin + problem);
    const bool standard = name == "orphan" || name == "foregroundDeletion" || name == "kubernetes";
    if (name.find('/') != std::string::npos || standard) continue;
    out.push_back(fmt::format("{}prefer a domain-qualified finalizer name {}to avoid accidental conflicts with other finalizer writers", begin,
                              name.find('.') != std::string::npos ? "including a path (/) " : ""));
  }
  return out;
}

bool has_defaults(const Resource& resource) { return resource.custom->has_defaults(); }

}  // namespace knarr::schema::custom
