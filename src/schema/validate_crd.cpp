// CustomResourceDefinitions but for their schemas: names, versions, columns, subresources, selectable fields, conversion.
//
// Upstream validates its internal form, in which what is the same in all versions stands once above them: so do the paths here.
#include "schema/validate_crd.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "knarr/codec/names.h"
#include "knarr/schema/custom.h"
#include "schema/documents.h"
#include "schema/structural.h"
#include "schema/validate.h"

namespace knarr::schema::crd {

namespace {

using json::Value;

constexpr size_t kMaxSelectableFields = 8;
constexpr std::string_view kImmutable = "field is immutable";

std::string joined(const names::Problems& problems) { return fmt::format("{}", fmt::join(problems, ",")); }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// One of the four things that may stand in each version or once above all.
struct Hoisted {
  bool above;  // the same in all versions
  const Value* first;
};
Hoisted hoisted(const Value& spec, std::string_view key) {
  const auto versions = items(spec, "versions");
  if (versions.Empty()) return {false, nullptr};
  const auto of = [&](const Value& version) -> const Value* {
    const Value* value = json::find(version, key);
    return value != nullptr && value->IsArray() && value->Empty() ? nullptr : value;
  };
  const Value* first = of(versions[0]);
  for (const Value& version : versions) {
    const Value* value = of(version);
    const bool same = first == nullptr || value == nullptr ? first == value : json::equal(*first, *value);
    if (!same) return {false, nullptr};
  }
  return {true, first};
}

bool status_enabled(const Value& version) { return json::find(child(version, "subresources"), "status") != nullptr; }

void dns_label(const Value& names, std::string_view key, const Path& path, FieldErrors& errors) {
  const std::string_view value = json::get_string(names, key);
  if (value.empty()) return;
  if (const auto problems = names::dns1035_label(value); !problems.empty()) errors.invalid(path.child(key), value, joined(problems));
}

void kind_word(const Value& names, std::string_view key, const Path& path, FieldErrors& errors) {
  const std::string_view value = json::get_string(names, key);
  if (value.empty()) return;
  if (const auto problems = names::dns1035_label(lower(value)); !problems.empty())
    errors.invalid(path.child(key), value, "may have mixed case, but should otherwise match: " + joined(problems));
}

void label_list(const Value& names, std::string_view key, const Path& path, FieldErrors& errors) {
  size_t i = 0;
  for (const Value& word : items(names, key)) {
    const Path at = path.child(key).index(i++);
    const std::string_view text = word.IsString() ? json::view(word) : std::string_view();
    if (const auto problems = names::dns1035_label(text); !problems.empty()) errors.invalid(at, text, joined(problems));
  }
}

void definition_names(const Value& names, const Path& path, FieldErrors& errors) {
  dns_label(names, "plural", path, errors);
  dns_label(names, "singular", path, errors);
  kind_word(names, "kind", path, errors);
  kind_word(names, "listKind", path, errors);
  label_list(names, "shortNames", path, errors);
  const std::string_view kind = json::get_string(names, "kind");
  if (!kind.empty() && kind == json::get_string(names, "listKind"))
    errors.invalid(path.child("listKind"), kind, "kind and listKind may not be the same");
  label_list(names, "categories", path, errors);
}

void simple_json_path(std::string_view text, const Path& path, FieldErrors& errors) {
  if (text.front() != '.') errors.invalid(path, text, "must be a simple json path starting with .");
}

void column(const Value& column, const Path& path, FieldErrors& errors) {
  constexpr std::array<std::string_view, 5> kTypes = {"boolean", "date", "integer", "number", "string"};
  constexpr std::array<std::string_view, 8> kFormats = {"byte", "date", "date-time", "double", "float", "int32", "int64", "password"};
  if (json::get_string(column, "name").empty()) errors.required(path.child("name"));
  const std::string_view type = json::get_string(column, "type"), format = json::get_string(column, "format");
  const std::string of_types = fmt::format("must be one of {}", fmt::join(kTypes, ","));
  if (type.empty()) {
    errors.required(path.child("type"), of_types);
  } else if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
    errors.invalid(path.child("type"), type, of_types);
  }
  if (!format.empty() && std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end())
    errors.invalid(path.child("format"), format, fmt::format("must be one of {}", fmt::join(kFormats, ",")));
  const std::string_view json_path = json::get_string(column, "jsonPath");
  if (json_path.empty()) {
    errors.required(path.child("JSONPath"));
  } else {
    simple_json_path(json_path, path.child("JSONPath"), errors);
  }
}

void columns(const Value* list, const Path& path, FieldErrors& errors) {
  if (list == nullptr || !list->IsArray()) return;
  for (rapidjson::SizeType i = 0; i < list->Size(); ++i) column((*list)[i], path.index(i), errors);
}

void subresources(const Value* object, const Path& path, FieldErrors& errors) {
  const Value* scale = object != nullptr ? json::find(*object, "scale") : nullptr;
  if (scale == nullptr || !scale->IsObject()) return;
  const auto check = [&](std::string_view key, std::string_view prefix, std::string_view advice, std::string_view other = "") {
    const std::string_view text = json::get_string(*scale, key);
    const Path at = path.child(fmt::format("scale.{}", key));
    if (text.empty()) {
      if (other.empty()) errors.required(at);
    } else if (text.front() != '.') {
      simple_json_path(text, at, errors);
    } else if (!text.starts_with(prefix) && (other.empty() || !text.starts_with(other))) {
      errors.invalid(at, text, advice);
    }
  };
  check("specReplicasPath", ".spec.", "should be a json path under .spec");
  check("statusReplicasPath", ".status.", "should be a json path under .status");
  check("labelSelectorPath", ".spec.", "should be a json path under either .spec or .status", ".status.");
}

void selectable_fields(const Value& list, const Value& schema, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (rapidjson::SizeType i = 0; i < list.Size(); ++i) {
    const Path at = path.index(i).child("jsonPath");
    const std::string_view text = json::get_string(list[i], "jsonPath");
    if (text.empty()) {
      errors.required(at);
      continue;
    }
    std::string canonical, problem;
    const Value* found = follow_field_path(text, schema, false, canonical, problem);
    if (!problem.empty()) {
      errors.invalid(at, text, fmt::format("is an invalid path: {}", problem));
      continue;
    }
    if (canonical == "metadata" || canonical.starts_with("metadata.") || canonical.starts_with("metadata["))
      errors.invalid(at, text, "must not point to fields in metadata");
    const std::string_view type = found != nullptr ? json::get_string(*found, "type") : "";
    if (type != "string" && type != "boolean" && type != "integer")
      errors.invalid(at, text,
                     "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.");
    if (!seen.insert(canonical).second) errors.duplicate(at, text);
  }
  if (seen.size() > kMaxSelectableFields) errors.too_many(path, seen.size(), kMaxSelectableFields);
}

void schema_of(const Value* validation, bool with_status, const Path& path, FieldErrors& errors) {
  const Value* schema = validation != nullptr ? json::find(*validation, "openAPIV3Schema") : nullptr;
  if (schema != nullptr && schema->IsObject()) root_schema(*schema, with_status, path.child("openAPIV3Schema"), errors);
}

void deprecation(const Value& version, const Path& path, FieldErrors& errors) {
  const Value* warning = json::find(version, "deprecationWarning");
  if (warning == nullptr || !warning->IsString()) return;
  const std::string_view text = json::view(*warning);
  const auto invalid = [&](std::string_view why) { errors.invalid(path, text, why); };
  if (!json::get_bool(version, "deprecated")) return invalid("can only be set for deprecated versions");
  if (text.size() > 256) invalid("must be <= 256 characters long");
  if (text.empty()) invalid("must not be an empty string");
  const auto odd = std::find_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (odd != text.end())
    invalid(fmt::format("must only contain printable UTF-8 characters; non-printable character found at index {}", odd - text.begin()));
}

void version(const Value& spec, size_t index, const Path& path, FieldErrors& errors) {
  const Value& v = items(spec, "versions")[static_cast<rapidjson::SizeType>(index)];
  deprecation(v, path.child("deprecationWarning"), errors);
  const Hoisted schema = hoisted(spec, "schema");
  if (!schema.above) schema_of(json::find(v, "schema"), status_enabled(v), path.child("schema"), errors);
  if (!hoisted(spec, "subresources").above) subresources(json::find(v, "subresources"), path.child("subresources"), errors);
  if (!hoisted(spec, "additionalPrinterColumns").above)
    columns(json::find(v, "additionalPrinterColumns"), path.child("additionalPrinterColumns"), errors);
  const Value* fields = json::find(v, "selectableFields");
  if (fields == nullptr || !fields->IsArray() || fields->Empty() || hoisted(spec, "selectableFields").above) return;
  if (schema.above) {
    errors.invalid(path.child("selectableFields"), "", "may only be set when `version.schema.openAPIV3Schema` is not included");
  } else {
    selectable_fields(*fields, child(child(v, "schema"), "openAPIV3Schema"), path.child("selectableFields"), errors);
  }
}

// spec.versions as upstream's errors show it.
std::string shown_versions(const Value& spec) {
  std::string out = "[";
  for (const Value& v : items(spec, "versions")) {
    const Value* warning = json::find(v, "deprecationWarning");
    out += fmt::format(R"({}{{"Name":"{}","Served":{},"Storage":{},"Deprecated":{},"DeprecationWarning":{},"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}})",
                       out.size() > 1 ? "," : "", json::get_string(v, "name"), json::get_bool(v, "served"), json::get_bool(v, "storage"),
                       json::get_bool(v, "deprecated"), warning != nullptr ? json::dump(*warning) : "null");
  }
  return json::find(spec, "versions") == nullptr ? "null" : out + "]";
}

void versions(const Value& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string_view> seen;
  bool unique = true;
  size_t stored = 0, i = 0;
  for (const Value& v : items(spec, "versions")) {
    const Path at = path.child("versions").index(i);
    const std::string_view name = json::get_string(v, "name");
    stored += json::get_bool(v, "storage");
    unique = seen.insert(name).second && unique;
    if (const auto problems = names::dns1035_label(name); !problems.empty()) errors.invalid(at.child("name"), name, joined(problems));
    version(spec, i, at, errors);
    ++i;
  }
  if (!unique) errors.invalid_json(path.child("versions"), shown_versions(spec), "must contain unique version names");
  if (stored != 1)
    errors.invalid_json(path.child("versions"), shown_versions(spec), "must have exactly one version marked as storage version");
  if (i > 0) {  // upstream names the first version once more
    const std::string_view first = json::get_string(items(spec, "versions")[0], "name");
    if (const auto problems = names::dns1035_label(first); !first.empty() && !problems.empty())
      errors.invalid(path.child("version"), first, joined(problems));
  }
}

void conversion(const Value& spec, const Path& path, FieldErrors& errors) {
  const Value* conversion = json::find(spec, "conversion");
  if (conversion == nullptr) return;
  const std::string_view strategy = json::get_string(*conversion, "strategy");
  if (strategy.empty()) {
    errors.required(path.child("strategy"));
  } else {
    errors.one_of(path.child("strategy"), strategy, {"None", "Webhook"});
  }
  const Value* webhook = json::find(*conversion, "webhook");
  const Value* config = webhook != nullptr ? json::find(*webhook, "clientConfig") : nullptr;
  const Value& with = webhook != nullptr ? *webhook : empty_object();
  const auto review_versions = items(with, "conversionReviewVersions");
  if (strategy != "Webhook") {
    if (config != nullptr) errors.forbidden(path.child("webhookClientConfig"), "should not be set when strategy is not set to Webhook");
    if (!review_versions.Empty())
      errors.forbidden(path.child("conversionReviewVersions"), "should not be set when strategy is not set to Webhook");
    return;
  }
  if (config == nullptr) {
    errors.required(path.child("webhookClientConfig"), "required when strategy is set to Webhook");
  } else if ((json::find(*config, "url") == nullptr) == (json::find(*config, "service") == nullptr)) {
    errors.required(path.child("webhookClientConfig"), "exactly one of url or service is required");
  } else if (const Value* url = json::find(*config, "url")) {
    const std::string_view text = url->IsString() ? json::view(*url) : std::string_view();
    constexpr std::string_view kForm = "; desired format: https://host[/path]";
    const Path at = path.child("webhookClientConfig", "url");
    const size_t scheme = text.find("://");
    if (!text.starts_with("https://"))
      errors.invalid(at, scheme == std::string_view::npos ? std::string_view() : text.substr(0, scheme),
                     fmt::format("'https' is the only allowed URL scheme{}", kForm));
    if (scheme == std::string_view::npos || text.size() == scheme + 3 || text[scheme + 3] == '/')
      errors.invalid(at, "", fmt::format("host must be specified{}", kForm));
  } else {
    const Value& service = child(*config, "service");
    const Path at = path.child("webhookClientConfig", "service");
    if (json::get_string(service, "name").empty()) errors.required(at.child("name"));
    if (json::get_string(service, "namespace").empty()) errors.required(at.child("namespace"));
  }
  const Path at = path.child("conversionReviewVersions");
  if (review_versions.Empty()) return errors.required(at);
  bool accepted = false;
  std::set<std::string_view> seen;
  for (rapidjson::SizeType i = 0; i < review_versions.Size(); ++i) {
    const std::string_view name = review_versions[i].IsString() ? json::view(review_versions[i]) : std::string_view();
    if (!seen.insert(name).second) {
      errors.invalid(at.index(i), name, "duplicate version");
      continue;
    }
    errors.invalid(at.index(i), name, names::dns1035_label(name));
    accepted = accepted || name == "v1" || name == "v1beta1";
  }
  if (!accepted)
    errors.invalid_json(at, json::dump(*json::find(with, "conversionReviewVersions")), "must include at least one of v1, v1beta1");
}

void spec_errors(const Value& spec, const Path& path, FieldErrors& errors) {
  const std::string_view group = json::get_string(spec, "group"), scope = json::get_string(spec, "scope");
  if (group.empty()) {
    errors.required(path.child("group"));
  } else if (const auto problems = names::dns1123_subdomain(group); !problems.empty()) {
    errors.invalid(path.child("group"), group, joined(problems));
  } else if (group.find('.') == std::string_view::npos) {
    errors.invalid(path.child("group"), group, "should be a domain with at least one dot");
  }
  if (scope.empty()) {
    errors.required(path.child("scope"));
  } else {
    errors.one_of(path.child("scope"), scope, {"Cluster", "Namespaced"});
  }
  const Hoisted schema = hoisted(spec, "schema");
  const auto has_schema = [](const Value* validation) {
    const Value* found = validation != nullptr ? json::find(*validation, "openAPIV3Schema") : nullptr;
    return found != nullptr && found->IsObject();
  };
  size_t i = 0;
  bool any_status = false;
  for (const Value& v : items(spec, "versions")) {
    any_status = any_status || status_enabled(v);
    const bool has = has_schema(schema.above ? schema.first : json::find(v, "schema"));
    if (!has) errors.required(path.child("versions").index(i).child("schema", "openAPIV3Schema"));
    ++i;
  }
  versions(spec, path, errors);
  const Value& names = child(spec, "names");
  for (const std::string_view key : {"plural", "singular", "kind", "listKind"})
    if (json::get_string(names, key).empty()) errors.required(path.child("names", key));
  definition_names(names, path.child("names"), errors);
  if (schema.above) schema_of(schema.first, any_status, path.child("validation"), errors);
  if (const Hoisted sub = hoisted(spec, "subresources"); sub.above) subresources(sub.first, path.child("subresources"), errors);
  if (const Hoisted list = hoisted(spec, "additionalPrinterColumns"); list.above)
    columns(list.first, path.child("additionalPrinterColumns"), errors);
  if (const Hoisted fields = hoisted(spec, "selectableFields"); fields.above && fields.first != nullptr) {
    if (!schema.above || schema.first == nullptr) {
      errors.invalid(path.child("selectableFields"), "", "may only be set when validations.schema is included");
    } else {
      selectable_fields(*fields.first, child(*schema.first, "openAPIV3Schema"), path.child("selectableFields"), errors);
    }
  }
  conversion(spec, path.child("conversion"), errors);
}

void stored_versions(const Value& crd, FieldErrors& errors) {
  const Path path = Path("status").child("storedVersions");
  const auto stored = items(child(crd, "status"), "storedVersions");
  const Value* list = json::find(crd, {"status", "storedVersions"});
  const std::string shown = list != nullptr ? json::dump(*list) : "null";
  if (stored.Empty()) return errors.invalid_json(path, shown, "must have at least one stored version");
  std::set<std::string_view> missing;  // each version takes itself out
  for (const Value& name : stored)
    if (name.IsString()) missing.insert(json::view(name));
  for (const Value& v : items(child(crd, "spec"), "versions")) {
    const std::string_view name = json::get_string(v, "name");
    if (missing.erase(name) == 0 && json::get_bool(v, "storage")) errors.invalid_json(path, shown, fmt::format("must have the storage version {}", name));
  }
  for (rapidjson::SizeType i = 0; i < stored.Size(); ++i) {
    const std::string_view name = stored[i].IsString() ? json::view(stored[i]) : std::string_view();
    if (!missing.contains(name)) continue;
    errors.invalid(path.index(i), name,
                   fmt::format("missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a "
                               "storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions",
                               name));
  }
}

bool established(const Value& crd) {
  for (const Value& condition : items(child(crd, "status"), "conditions"))
    if (json::get_string(condition, "type") == "Established") return json::get_string(condition, "status") == "True";
  return false;
}

void immutable(const Value& spec, const Value& old, std::initializer_list<std::string_view> keys, FieldErrors& errors) {
  const std::string_view now = json::get_string(spec, keys), before = json::get_string(old, keys);
  if (now == before) return;
  Path path("spec");
  for (const std::string_view key : keys) path = path.child(key);
  errors.invalid(path, now, kImmutable);
}

void approval(const Value& crd, const Value* old, FieldErrors& errors) {
  const auto now = approval_of(crd);
  if (!now) return;
  if (const auto before = old != nullptr ? approval_of(*old) : std::nullopt; before && before->condition_reason == now->condition_reason) return;
  const Path path = Path("metadata").child("annotations").key("api-approved.kubernetes.io");
  if (now->acceptable) return;
  if (now->annotation.empty()) {
    errors.required(path, now->message);
  } else {
    errors.invalid(path, now->annotation, now->message);
  }
}

void unknown_formats(const Value& schema, std::vector<std::string>& out) {
  if (const std::string_view format = json::get_string(schema, "format"); !format.empty() && !known_format(json::get_string(schema, "type"), format))
    out.emplace_back(format);
  if (const Value* list = json::find(schema, "items"); list != nullptr && list->IsObject()) unknown_formats(*list, out);
  for (const std::string_view key : {"allOf", "anyOf", "oneOf"})
    for (const Value& one : items(schema, key)) unknown_formats(one, out);
  for (const std::string_view key : {"not", "additionalProperties"})
    if (const Value* below = json::find(schema, key); below != nullptr && below->IsObject()) unknown_formats(*below, out);
  for (const auto& property : child(schema, "properties").GetObject()) unknown_formats(property.value, out);
}

void metadata(const Value& crd, const Value* old, FieldErrors& errors) {
  const auto read = [](const Value& object) {
    validation::meta::ObjectMeta m;
    if (const Value* value = json::find(object, "metadata")) api::decode(*value, m);
    return m;
  };
  const auto before = old != nullptr ? read(*old) : validation::meta::ObjectMeta();
  const auto now = read(crd);
  validation::object_meta(now, old != nullptr ? &before : nullptr, false, names::dns1123_subdomain, errors, Path("metadata"),
                          validation::Finalizers::kAny);
  const std::string required =
      fmt::format("{}.{}", json::get_string(crd, {"spec", "names", "plural"}), json::get_string(crd, {"spec", "group"}));
  if (old == nullptr && !now.name.empty() && now.name != required)
    errors.invalid(Path("metadata").child("name"), now.name, "must be spec.names.plural+\".\"+spec.group");
}

}  // namespace

void definition(const Value& crd, const Value* old, FieldErrors& errors) {
  metadata(crd, old, errors);
  const Path path("spec");
  const Value& spec = child(crd, "spec");
  spec_errors(spec, path, errors);
  if (old != nullptr) {
    const Value& before = child(*old, "spec");
    if (established(*old)) {
      immutable(spec, before, {"scope"}, errors);
      immutable(spec, before, {"names", "kind"}, errors);
    }
    immutable(spec, before, {"group"}, errors);
    immutable(spec, before, {"names", "plural"}, errors);
  }
  definition_names(child(child(crd, "status"), "acceptedNames"), Path("status").child("acceptedNames"), errors);
  stored_versions(crd, errors);
  approval(crd, old, errors);
  if (json::get_bool(spec, "preserveUnknownFields") && (old == nullptr || !json::get_bool(child(*old, "spec"), "preserveUnknownFields")))
    errors.invalid(path.child("preserveUnknownFields"), true,
                   "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead");
}

std::vector<std::string> warnings(const Value& crd, const Value* old) {
  const auto formats = [](const Value& object) {
    std::vector<std::string> out;
    const Value& spec = child(object, "spec");
    if (const Hoisted schema = hoisted(spec, "schema"); schema.above) {
      if (schema.first != nullptr) unknown_formats(child(*schema.first, "openAPIV3Schema"), out);
    } else {
      for (const Value& version : items(spec, "versions")) unknown_formats(child(child(version, "schema"), "openAPIV3Schema"), out);
    }
    return out;
  };
  const auto before = old != nullptr ? formats(*old) : std::vector<std::string>();
  std::vector<std::string> out;
  for (const std::string& format : formats(crd)) {
    if (std::find(before.begin(), before.end(), format) == before.end()) out.push_back(fmt::format("unrecognized format \"{}\"", format));
  }
  return out;
}

}  // namespace knarr::schema::crd
