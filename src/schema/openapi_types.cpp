#include <fmt/format.h>

#include <algorithm>

#include "schema/openapi.h"

namespace knarr::schema::openapi {

namespace {

constexpr std::string_view kQuantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
constexpr std::string_view kIntOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
constexpr std::string_view kTime = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
constexpr std::string_view kMicroTime = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
constexpr std::string_view kDuration = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration";
constexpr std::string_view kFieldsV1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
constexpr std::string_view kRaw = "io.k8s.apimachinery.pkg.runtime.RawExtension";
constexpr std::string_view kJson = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON";
constexpr std::string_view kSchemaOrArray = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray";
constexpr std::string_view kSchemaOrBool = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool";
constexpr std::string_view kSchemaOrStrings = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray";
constexpr std::string_view kVersionInfo = "io.k8s.apimachinery.pkg.version.Info";
constexpr std::string_view kPatch = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

// A schema that no table has, in both versions, without its braces.
struct Builtin {
  std::string_view name, doc, version2, version3;
};
constexpr Builtin kBuiltins[] = {
    {kQuantity, "An amount: a number with a suffix, such as 100m (a tenth), 1.5Gi or 12e6.", R"("type":"string")",
     R"("oneOf":[{"type":"string"},{"type":"number"}])"},
    {kIntOrString, "A whole number or a text.", R"("type":"string","format":"int-or-string")",
     R"("format":"int-or-string","oneOf":[{"type":"integer"},{"type":"string"}])"},
    {kTime, "A time in RFC 3339, to the second.", R"("type":"string","format":"date-time")",
     R"("type":"string","format":"date-time")"},
    {kMicroTime, "A time in RFC 3339, to the microsecond.", R"("type":"string","format":"date-time")",
     R"("type":"string","format":"date-time")"},
    {kDuration, "A span of time such as 1h2m3s.", R"("type":"string")", R"("type":"string")"},
    {kFieldsV1, "A set of fields, as server-side apply keeps it.", R"("type":"object")", R"("type":"object")"},
    {kRaw, "An object of any kind.", R"("type":"object")", R"("type":"object")"},
    {kJson, "Any JSON value.", "", ""},
    {kSchemaOrArray, "A JSON schema or several.", "", ""},
    {kSchemaOrBool, "A JSON schema, true or false.", "", ""},
    {kSchemaOrStrings, "A JSON schema or names.", "", ""},
    {kVersionInfo, "What the server is.",
     R"("type":"object","properties":{"buildDate":{"type":"string"},"compiler":{"type":"string"},"emulationMajor":{"type":"string"},"emulationMinor":{"type":"string"},"gitCommit":{"type":"string"},"gitTreeState":{"type":"string"},"gitVersion":{"type":"string"},"goVersion":{"type":"string"},"major":{"type":"string"},"minCompatibilityMajor":{"type":"string"},"minCompatibilityMinor":{"type":"string"},"minor":{"type":"string"},"platform":{"type":"string"}},"required":["major","minor","gitVersion","gitCommit","gitTreeState","buildDate","goVersion","compiler","platform"])",
     R"("type":"object","properties":{"buildDate":{"type":"string","default":""},"compiler":{"type":"string","default":""},"emulationMajor":{"type":"string"},"emulationMinor":{"type":"string"},"gitCommit":{"type":"string","default":""},"gitTreeState":{"type":"string","default":""},"gitVersion":{"type":"string","default":""},"goVersion":{"type":"string","default":""},"major":{"type":"string","default":""},"minCompatibilityMajor":{"type":"string"},"minCompatibilityMinor":{"type":"string"},"minor":{"type":"string","default":""},"platform":{"type":"string","default":""}},"required":["major","minor","gitVersion","gitCommit","gitTreeState","buildDate","goVersion","compiler","platform"])"},
    {kPatch, "A change in the format that the Content-Type names.", R"("type":"object")", R"("type":"object")"},
};

std::string_view scalar_schema(Shape shape) {
  switch (shape) {
    case Shape::kInt32:
      return R"("type":"integer","format":"int32")";
    case Shape::kInt64:
      return R"("type":"integer","format":"int64")";
    case Shape::kBool:
      return R"("type":"boolean")";
    case Shape::kDouble:
      return R"("type":"number","format":"double")";
    case Shape::kBytes:
      return R"("type":"string","format":"byte")";
    default:
      return R"("type":"string")";
  }
}

// What upstream declares as the default of what is never absent.
std::string_view zero_default(Shape shape) {
  switch (shape) {
    case Shape::kString:
      return R"("")";
    case Shape::kBool:
      return "false";
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kDouble:
      return "0";
    default:
      return "";
  }
}

// Fields that may be left out and are declared to have their zero value then.
struct TypeField {
  std::string_view type, field;
};
constexpr TypeField kDeclaredZeros[] = {
    {"autoscaling/v1.ScaleSpec", "replicas"},
    {"core/v1.AzureDiskVolumeSource", "readOnly"},
    {"core/v1.ConfigMapEnvSource", "name"},
    {"core/v1.ConfigMapKeySelector", "name"},
    {"core/v1.ConfigMapProjection", "name"},
    {"core/v1.ConfigMapVolumeSource", "name"},
    {"core/v1.FileKeySelector", "optional"},
    {"core/v1.GRPCAction", "service"},
    {"core/v1.LocalObjectReference", "name"},
    {"core/v1.ReplicationControllerSpec", "minReadySeconds"},
    {"core/v1.SecretEnvSource", "name"},
    {"core/v1.SecretKeySelector", "name"},
    {"core/v1.SecretProjection", "name"},
};

// Types of which one member at most is set.
struct Union {
  std::string_view type, extension;
};
constexpr Union kUnions[] = {
    {"core/v1.AppArmorProfile", R"([{"discriminator":"type","fields-to-discriminateBy":{"localhostProfile":"LocalhostProfile"}}])"},
    {"core/v1.PodSchedulingGroup", R"([{"fields-to-discriminateBy":{"podGroupName":"PodGroupName"}}])"},
    {"core/v1.SeccompProfile", R"([{"discriminator":"type","fields-to-discriminateBy":{"localhostProfile":"LocalhostProfile"}}])"},
    {"flowcontrol/v1.LimitResponse", R"([{"discriminator":"type","fields-to-discriminateBy":{"queuing":"Queuing"}}])"},
    {"flowcontrol/v1.PriorityLevelConfigurationSpec",
     R"([{"discriminator":"type","fields-to-discriminateBy":{"exempt":"Exempt","limited":"Limited"}}])"},
    {"flowcontrol/v1.Subject",
     R"([{"discriminator":"kind","fields-to-discriminateBy":{"group":"Group","serviceAccount":"ServiceAccount","user":"User"}}])"},
};

bool declares_zero(const Type& type, const Field& field) {
  if (!field.omit_empty && !field.pointer) return true;
  return std::any_of(std::begin(kDeclaredZeros), std::end(kDeclaredZeros),
                     [&](const TypeField& known) { return known.type == type.name && known.field == field.name; });
}

void write_strings(Writer& out, std::string_view key, std::span<const std::string_view> texts) {
  out.key(key).begin('[');
  for (std::string_view text : texts) out.string(text);
  out.end(']');
}

}  // namespace

std::string definition_name(const Type& type) {
  const size_t slash = type.name.find('/');
  const std::string_view directory = type.name.substr(0, slash), rest = type.name.substr(slash + 1);
  if (directory == "meta") return fmt::format("io.k8s.apimachinery.pkg.apis.meta.{}", rest);
  if (directory == "apiextensions")
    return fmt::format("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{}", rest);
  if (directory == "apiregistration") return fmt::format("io.k8s.kube-aggregator.pkg.apis.apiregistration.{}", rest);
  return fmt::format("io.k8s.api.{}.{}", directory, rest);
}

std::string Schemas::link(std::string_view name) const {
  return fmt::format("{}{}", version_ == Version::k3 ? "#/components/schemas/" : "#/definitions/", name);
}

std::string Schemas::reference(const Type& type) {
  need(type);
  return link(definition_name(type));
}

std::string Schemas::builtin(std::string_view name) {
  for (const Builtin& known : kBuiltins) {
    if (!known.name.ends_with(name)) continue;
    builtins_.insert(known.name);
    return link(known.name);
  }
  return {};
}

std::string_view Schemas::builtin_of(Shape shape, AnyKind any) const {
  switch (shape) {
    case Shape::kQuantity:
      return kQuantity;
    case Shape::kIntOrString:
      return kIntOrString;
    case Shape::kTime:
      return kTime;
    case Shape::kMicroTime:
      return kMicroTime;
    case Shape::kDuration:
      return kDuration;
    case Shape::kAny:
      switch (any) {
        case AnyKind::kFieldsV1:
          return kFieldsV1;
        case AnyKind::kObject:
          return kRaw;
        case AnyKind::kTypeOrArray:
          return kSchemaOrArray;
        case AnyKind::kTypeOrBool:
          return kSchemaOrBool;
        case AnyKind::kTypeOrStrings:
          return kSchemaOrStrings;
        case AnyKind::kJson:
          return kJson;
      }
      return kJson;
    default:
      return {};
  }
}

void Schemas::need(const Type& type) {
  if (!types_.emplace(definition_name(type), &type).second) return;
  for (const Field& field : type.fields) need_field(field);
}

void Schemas::need_field(const Field& field) {
  if (field.type) need(*field.type);
  for (Shape shape : {field.shape, field.element, field.inner}) {
    if (const auto name = builtin_of(shape, field.any); !name.empty()) builtins_.insert(name);
  }
}

void Schemas::write_reference(Writer& out, std::string_view name, bool describes, bool empty_default) const {
  // In version 3 nothing may stand beside a $ref, so that it is wrapped where something does.
  if (version_ == Version::k2 || (!describes && !empty_default)) {
    out.member("$ref", link(name));
    return;
  }
  out.key("allOf").begin('[').begin().member("$ref", link(name)).end().end(']');
  if (empty_default) out.key("default").raw("{}");
}

void Schemas::write_shape(Writer& out, const Field& field, Shape shape, bool element) const {
  if (const auto name = builtin_of(shape, field.any); !name.empty()) {
    write_reference(out, name, !element && !field.doc.empty(), false);
  } else if (shape == Shape::kObject && field.type) {
    write_reference(out, definition_name(*field.type), !element && !field.doc.empty(), element || !field.pointer);
  } else if (shape == Shape::kList) {
    out.member("type", "array").key("items").begin();
    write_shape(out, field, element ? field.inner : field.element, true);
    out.end();
  } else if (shape == Shape::kMap) {
    out.member("type", "object").key("additionalProperties").begin();
    write_shape(out, field, field.element, true);
    out.end();
  } else if (shape == Shape::kObject) {
    out.member("type", "object");
  } else {
    out.raw(scalar_schema(shape));
    if (!field.enum_values.empty() && shape == Shape::kString) write_strings(out, "enum", field.enum_values);
    if (element && version_ == Version::k3 && !zero_default(shape).empty()) out.key("default").raw(zero_default(shape));
  }
}

void Schemas::write_field(Writer& out, const Type& type, const Field& field) const {
  out.begin();
  if (!field.doc.empty()) out.member("description", field.doc);
  write_shape(out, field, field.shape, false);
  // Version 2 has no defaults.
  if (version_ == Version::k3 && !field.default_json.empty()) {
    out.key("default").raw(field.default_json);
  } else if (version_ == Version::k3 && !zero_default(field.shape).empty() && declares_zero(type, field)) {
    out.key("default").raw(zero_default(field.shape));
  }
  switch (field.list) {
    case ListType::kAtomic:
      out.member("x-kubernetes-list-type", "atomic");
      break;
    case ListType::kSet:
      out.member("x-kubernetes-list-type", "set");
      break;
    case ListType::kMap:
      write_strings(out, "x-kubernetes-list-map-keys", field.list_keys);
      out.member("x-kubernetes-list-type", "map");
      break;
    case ListType::kNone:
      break;
  }
  if (field.atomic_map) out.member("x-kubernetes-map-type", "atomic");
  if (field.granular) out.member("x-kubernetes-map-type", "granular");
  if (!field.patch_key.empty()) out.member("x-kubernetes-patch-merge-key", field.patch_key);
  std::string strategy = field.patch_merge ? "merge" : field.patch_replace ? "replace" : "";
  if (field.patch_retain_keys) strategy += strategy.empty() ? "retainKeys" : ",retainKeys";
  if (!strategy.empty()) out.member("x-kubernetes-patch-strategy", strategy);
  out.end();
}

void Schemas::write_type(Writer& out, const Type& type) const {
  out.begin();
  if (!type.doc.empty()) out.member("description", type.doc);
  out.member("type", "object");
  if (!type.fields.empty()) {
    out.key("properties").begin();
    for (const Field& field : type.fields) {
      out.key(field.name);
      write_field(out, type, field);
    }
    out.end();
  }
  std::vector<std::string_view> required;
  for (const Field& field : type.fields) {
    if (field.required) required.push_back(field.name);
  }
  if (!required.empty()) write_strings(out, "required", required);
  if (type.atomic) out.member("x-kubernetes-map-type", "atomic");
  const bool everywhere = type.name == "meta/v1.DeleteOptions" || type.name == "meta/v1.WatchEvent";
  if (everywhere || !type.kind.empty()) {
    out.key("x-kubernetes-group-version-kind").begin('[');
    const GroupVersion own{type.group, type.version};
    for (const auto& [group, version] : everywhere ? std::span<const GroupVersion>(groups_) : std::span(&own, 1)) {
      const std::string_view kind = type.kind.empty() ? type.name.substr(type.name.rfind('.') + 1) : type.kind;
      out.begin().member("group", group).member("kind", kind).member("version", version).end();
    }
    out.end(']');
  }
  for (const Union& known : kUnions)
    if (known.type == type.name) out.key("x-kubernetes-unions").raw(known.extension);
  out.end();
}

void Schemas::write(Writer& out) const {
  write_customs(out);
  for (const auto& [name, type] : types_) {
    out.key(name);
    write_type(out, *type);
  }
  for (const Builtin& builtin : kBuiltins) {
    if (!builtins_.contains(builtin.name)) continue;
    out.key(builtin.name).begin().member("description", builtin.doc);
    if (const auto shape = version_ == Version::k3 ? builtin.version3 : builtin.version2; !shape.empty()) out.raw(shape);
    out.end();
  }
}

}  // namespace knarr::schema::openapi
