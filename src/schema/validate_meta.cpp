// Metadata of objects, labels and selectors.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "knarr/codec/json.h"
#include "knarr/codec/time.h"
#include "schema/validate.h"

namespace knarr::schema::validation {
namespace {

constexpr size_t kMaxAnnotationBytes = 256 * 1024;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

std::string json_list(const std::vector<meta::OwnerReference>& references) {
  std::string out = "[";
  for (const auto& reference : references) {
    if (out.size() > 1) out += ",";
    api::encode(reference, out);
  }
  return out + "]";
}

void owner_references(const std::vector<meta::OwnerReference>& references, const Path& path, FieldErrors& errors) {
  std::string controller;
  for (const meta::OwnerReference& ref : references) {
    if (ref.apiVersion.empty() || ref.apiVersion.back() == '/')
      errors.invalid(path.child("apiVersion"), ref.apiVersion, "version must not be empty");
    if (ref.kind.empty()) errors.invalid(path.child("kind"), ref.kind, "must not be empty");
    if (ref.name.empty()) errors.invalid(path.child("name"), ref.name, "must not be empty");
    if (ref.uid.empty()) errors.invalid(path.child("uid"), ref.uid, "must not be empty");
    if (ref.apiVersion == "v1" && ref.kind == "Event")
      errors.invalid_json(path, api::encode(ref), "/v1, Kind=Event is disallowed from being an owner");
    if (!ref.controller.value_or(false)) continue;
    std::string name = ref.kind + "/" + ref.name;
    if (!controller.empty())
      errors.invalid_json(path, json_list(references),
                          fmt::format("Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                                      controller, name));
    else
      controller = name;
  }
}

void finalizers(const std::vector<std::string>& finalizers, bool known, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < finalizers.size(); ++i) {
    errors.invalid(path, finalizers[i], names::qualified_name(finalizers[i]));
    if (known) known_finalizer(finalizers[i], path.index(i), errors);
  }
  auto has = [&](std::string_view name) { return std::find(finalizers.begin(), finalizers.end(), name) != finalizers.end(); };
  if (has("orphan") && has("foregroundDeletion"))
    errors.invalid_json(path, fmt::format("[\"{}\"]", fmt::join(finalizers, "\",\"")),
                        "finalizer orphan and foregroundDeletion cannot be both set");
}

void managed_fields(const std::vector<meta::ManagedFieldsEntry>& entries, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const meta::ManagedFieldsEntry& entry = entries[i];
    Path at = path.index(i);
    if (entry.operation != "Apply" && entry.operation != "Update")
      errors.invalid(at.child("operation"), entry.operation, "must be `Apply` or `Update`");
    if (!entry.fieldsType.empty() && entry.fieldsType != "FieldsV1")
      errors.invalid(at.child("fieldsType"), entry.fieldsType, "must be `FieldsV1`");
    if (entry.manager.size() > 128) errors.too_long(at.child("manager"), 128);
    if (entry.subresource.size() > 256) errors.too_long(at.child("subresource"), 256);
  }
}

std::string json_time(const std::optional<WallTime>& time) { return time ? "\"" + format_time(*time) + "\"" : "null"; }

void update(const meta::ObjectMeta& m, const meta::ObjectMeta& old, const Path& path, FieldErrors& errors) {
  if (old.deletionTimestamp) {
    std::set<std::string> added(m.finalizers.begin(), m.finalizers.end());
    for (const std::string& name : old.finalizers) added.erase(name);
    if (!added.empty())
      errors.forbidden(path.child("finalizers"),
                       fmt::format("no new finalizers can be added if the object is being deleted, found new finalizers []string{{\"{}\"}}",
                                   fmt::join(added, "\", \"")));
  }
  if (m.resourceVersion.empty()) errors.invalid(path.child("resourceVersion"), m.resourceVersion, "must be specified for an update");
  if (m.generation < old.generation) errors.invalid(path.child("generation"), m.generation, "must not be decremented");
  if (m.name != old.name) errors.invalid(path.child("name"), m.name, kImmutable);
  if (m.namespace_ != old.namespace_) errors.invalid(path.child("namespace"), m.namespace_, kImmutable);
  if (m.uid != old.uid) errors.invalid(path.child("uid"), m.uid, kImmutable);
  if (m.creationTimestamp != old.creationTimestamp)
    errors.invalid_json(path.child("creationTimestamp"), json_time(m.creationTimestamp), kImmutable);
  if (m.deletionTimestamp != old.deletionTimestamp)
    errors.invalid_json(path.child("deletionTimestamp"), json_time(m.deletionTimestamp), kImmutable);
  if (m.deletionGracePeriodSeconds != old.deletionGracePeriodSeconds)
    errors.invalid_json(path.child("deletionGracePeriodSeconds"),
                        m.deletionGracePeriodSeconds ? std::to_string(*m.deletionGracePeriodSeconds) : "null", kImmutable);
}

void name_and_namespace(const meta::ObjectMeta& m, bool namespaced, NameRule rule, const Path& path, FieldErrors& errors) {
  if (!m.generateName.empty()) {
    // A dash at the end is fine: letters follow it.
    std::string_view base = m.generateName;
    if (base.size() > 1 && base.back() == '-') base.remove_suffix(1);
    errors.invalid(path.child("generateName"), m.generateName, rule(base));
  }
  if (m.name.empty()) {
    errors.required(path.child("name"), "name or generateName is required");
  } else {
    errors.invalid(path.child("name"), m.name, rule(m.name));
  }
  if (!namespaced) {
    if (!m.namespace_.empty()) errors.forbidden(path.child("namespace"), "not allowed on this type");
  } else if (m.namespace_.empty()) {
    errors.required(path.child("namespace"));
  } else {
    errors.invalid(path.child("namespace"), m.namespace_, names::dns1123_label(m.namespace_));
  }
}

}  // namespace

void annotations(const std::map<std::string, std::string>& annotations, const Path& path, FieldErrors& errors) {
  size_t size = 0;
  for (const auto& [key, value] : annotations) {
    errors.invalid(path, key, names::qualified_name(lower(key)));
    size += key.size() + value.size();
  }
  if (size > kMaxAnnotationBytes) errors.too_long(path, kMaxAnnotationBytes);
}

void labels(const std::map<std::string, std::string>& labels, const Path& path, FieldErrors& errors) {
  for (const auto& [key, value] : labels) {
    errors.invalid(path, key, names::qualified_name(key));
    errors.invalid(path, value, names::label_value(value));
  }
}

void known_finalizer(const std::string& name, const Path& path, FieldErrors& errors) {
  bool standard = name == "kubernetes" || name == "orphan" || name == "foregroundDeletion";
  if (name.find('/') == std::string::npos && !standard)
    errors.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified");
}

void object_meta(const meta::ObjectMeta& m, const meta::ObjectMeta* old, bool namespaced, NameRule rule, FieldErrors& errors, const Path& path,
                 Finalizers kind) {
  if (old) update(m, *old, path, errors);
  // What is immutable was right when it was written.
  if (!old || m.name != old->name || m.namespace_ != old->namespace_) name_and_namespace(m, namespaced, rule, path, errors);
  errors.non_negative(path.child("generation"), m.generation);
  labels(m.labels, path.child("labels"), errors);
  annotations(m.annotations, path.child("annotations"), errors);
  owner_references(m.ownerReferences, path.child("ownerReferences"), errors);
  finalizers(m.finalizers, kind == Finalizers::kKnown, path.child("finalizers"), errors);
  managed_fields(m.managedFields, path.child("managedFields"), errors);
}

void long_named_meta(meta::ObjectMeta m, const meta::ObjectMeta* old, bool namespaced, FieldErrors& errors) {
  const NameRule rule = [](std::string_view name) {
    names::Problems problems = names::dns1123_subdomain(name);
    for (std::string& problem : problems)
      if (problem == names::max_length_error(253)) problem = "must be no more than 253 bytes";
    return problems;
  };
  if (!m.name.empty()) m.generateName.clear();
  object_meta(m, old, namespaced, rule, errors);
}

void claim_template_meta(const meta::ObjectMeta& m, const Path& path, FieldErrors& errors) {
  annotations(m.annotations, path.child("annotations"), errors);
  labels(m.labels, path.child("labels"), errors);
  const auto absent = [&](bool set, const char* name) {
    if (set) errors.forbidden(path.child(name), "cannot be set");
  };
  absent(!m.name.empty(), "name");
  absent(!m.generateName.empty(), "generateName");
  absent(!m.namespace_.empty(), "namespace");
  absent(!m.selfLink.empty(), "selfLink");
  absent(!m.uid.empty(), "uID");  // as upstream writes the name of its structure's member
  absent(!m.resourceVersion.empty(), "resourceVersion");
  absent(m.generation != 0, "generation");
  absent(m.creationTimestamp.has_value(), "creationTimestamp");
  absent(m.deletionTimestamp.has_value(), "deletionTimestamp");
  absent(m.deletionGracePeriodSeconds.has_value(), "deletionGracePeriodSeconds");
  absent(!m.ownerReferences.empty(), "ownerReferences");
  absent(!m.finalizers.empty(), "finalizers");
  absent(!m.managedFields.empty(), "managedFields");
}

std::string labels_json(const std::map<std::string, std::string>& labels) {
  std::string out = "{";
  for (const auto& [key, value] : labels) {
    if (out.size() > 1) out += ',';
    json::append_quoted(out, key);
    out += ':';
    json::append_quoted(out, value);
  }
  return labels.empty() ? "null" : out + "}";
}

std::string list_json(const std::vector<std::string>& list) {
  if (list.empty()) return "null";
  std::string out = "[";
  for (const std::string& text : list) {
    if (out.size() > 1) out += ',';
    json::append_quoted(out, text);
  }
  return out + "]";
}

bool selects(const meta::LabelSelector& selector, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : selector.matchLabels) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  for (const auto& r : selector.matchExpressions) {
    auto it = labels.find(r.key);
    const bool in = it != labels.end() && std::find(r.values.begin(), r.values.end(), it->second) != r.values.end();
    if (r.operator_ == "In" ? !in : r.operator_ == "NotIn" ? in : (r.operator_ == "Exists") != (it != labels.end())) return false;
  }
  return true;
}

void label_selector(const meta::LabelSelector& selector, const Path& path, FieldErrors& errors) {
  labels(selector.matchLabels, path.child("matchLabels"), errors);
  for (size_t i = 0; i < selector.matchExpressions.size(); ++i) {
    const meta::LabelSelectorRequirement& r = selector.matchExpressions[i];
    Path at = path.child("matchExpressions").index(i);
    if (r.operator_ == "In" || r.operator_ == "NotIn") {
      if (r.values.empty()) errors.required(at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (r.operator_ == "Exists" || r.operator_ == "DoesNotExist") {
      if (!r.values.empty()) errors.forbidden(at.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
      errors.invalid(at.child("operator"), r.operator_, "not a valid selector operator");
    }
    errors.invalid(at.child("key"), r.key, names::qualified_name(r.key));
    for (size_t j = 0; j < r.values.size(); ++j)
      errors.invalid(at.child("values").index(j), r.values[j], names::label_value(r.values[j]));
  }
}

}  // namespace knarr::schema::validation
