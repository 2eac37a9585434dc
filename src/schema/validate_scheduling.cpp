// Where a pod may run: affinity, tolerations, topology spread.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "schema/validate.h"

namespace knarr::schema::validation {
namespace {

void node_requirement(const core::NodeSelectorRequirement& r, bool values_checked, const Path& path, FieldErrors& errors) {
  if (r.operator_ == "In" || r.operator_ == "NotIn") {
    if (r.values.empty()) errors.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (r.operator_ == "Exists" || r.operator_ == "DoesNotExist") {
    if (!r.values.empty()) errors.forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  } else if (r.operator_ == "Gt" || r.operator_ == "Lt") {
    if (r.values.size() != 1) errors.required(path.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
  } else {
    errors.invalid(path.child("operator"), r.operator_, "not a valid selector operator");
  }
  errors.invalid(path.child("key"), r.key, names::qualified_name(r.key));
  if (!values_checked) return;
  for (size_t i = 0; i < r.values.size(); ++i) errors.invalid(path.child("values").index(i), r.values[i], names::label_value(r.values[i]));
}

void node_field_requirement(const core::NodeSelectorRequirement& r, const Path& path, FieldErrors& errors) {
  if (r.operator_ != "In" && r.operator_ != "NotIn") {
    errors.invalid(path.child("operator"), r.operator_, "not a valid selector operator");
  } else if (r.values.size() != 1) {
    errors.required(path.child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
  }
  if (r.key != "metadata.name") return errors.invalid(path.child("key"), r.key, "not a valid field selector key");
  for (size_t i = 0; i < r.values.size(); ++i)
    errors.invalid(path.child("values").index(i), r.values[i], names::dns1123_subdomain(r.values[i]));
}

void node_term(const core::NodeSelectorTerm& term, bool values_checked, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < term.matchExpressions.size(); ++i)
    node_requirement(term.matchExpressions[i], values_checked, path.child("matchExpressions").index(i), errors);
  for (size_t i = 0; i < term.matchFields.size(); ++i)
    node_field_requirement(term.matchFields[i], path.child("matchFields").index(i), errors);
}

constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr std::string_view kPreferred = "preferredDuringSchedulingIgnoredDuringExecution";

void weight(int32_t weight, const Path& path, FieldErrors& errors) {
  if (weight < 1 || weight > 100) errors.invalid(path.child("weight"), weight, "must be in the range 1-100");
}

void node_affinity(const core::NodeAffinity& a, const Path& path, FieldErrors& errors) {
  if (const auto& required = a.requiredDuringSchedulingIgnoredDuringExecution) {
    node_selector(*required, path.child(kRequired), errors);
  }
  const auto& preferred = a.preferredDuringSchedulingIgnoredDuringExecution;
  for (size_t i = 0; i < preferred.size(); ++i) {
    Path at = path.child(kPreferred).index(i);
    weight(preferred[i].weight, at, errors);
    node_term(preferred[i].preference, false, at.child("preference"), errors);
  }
}

void match_label_keys(const std::vector<std::string>& keys, const api::Box<meta::LabelSelector>& selector, const Path& path,
                      FieldErrors& errors) {
  if (keys.empty()) return;
  if (!selector) return errors.forbidden(path, "must not be specified when labelSelector is not set");
  for (size_t i = 0; i < keys.size(); ++i) errors.invalid(path.index(i), keys[i], names::qualified_name(keys[i]));
}

void pod_term(const core::PodAffinityTerm& term, const Path& path, FieldErrors& errors) {
  if (term.labelSelector) label_selector(*term.labelSelector, path.child("labelSelector"), errors);
  if (term.namespaceSelector) label_selector(*term.namespaceSelector, path.child("namespaceSelector"), errors);
  for (const std::string& ns : term.namespaces) errors.invalid(path.child("namespace"), ns, names::dns1123_label(ns));
  match_label_keys(term.matchLabelKeys, term.labelSelector, path.child("matchLabelKeys"), errors);
  match_label_keys(term.mismatchLabelKeys, term.labelSelector, path.child("mismatchLabelKeys"), errors);
  Path key = path.child("topologyKey");
  if (term.topologyKey.empty()) errors.required(key, "can not be empty");
  errors.invalid(key, term.topologyKey, names::qualified_name(term.topologyKey));
}

template <typename Affinity>
void pod_affinity(const Affinity& a, const Path& path, FieldErrors& errors) {
  const auto& required = a.requiredDuringSchedulingIgnoredDuringExecution;
  for (size_t i = 0; i < required.size(); ++i) pod_term(required[i], path.child(kRequired).index(i), errors);
  const auto& preferred = a.preferredDuringSchedulingIgnoredDuringExecution;
  for (size_t i = 0; i < preferred.size(); ++i) {
    Path at = path.child(kPreferred).index(i);
    weight(preferred[i].weight, at, errors);
    pod_term(preferred[i].podAffinityTerm, at.child("podAffinityTerm"), errors);
  }
}

bool is_integer(std::string_view text) {
  int64_t value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void node_selector(const core::NodeSelector& selector, const Path& path, FieldErrors& errors) {
  const Path terms = path.child("nodeSelectorTerms");
  if (selector.nodeSelectorTerms.empty()) errors.required(terms, "must have at least one node selector term");
  for (size_t i = 0; i < selector.nodeSelectorTerms.size(); ++i) node_term(selector.nodeSelectorTerms[i], true, terms.index(i), errors);
}

void affinity(const core::Affinity& a, const Path& path, FieldErrors& errors) {
  if (a.nodeAffinity) node_affinity(*a.nodeAffinity, path.child("nodeAffinity"), errors);
  if (a.podAffinity) pod_affinity(*a.podAffinity, path.child("podAffinity"), errors);
  if (a.podAntiAffinity) pod_affinity(*a.podAntiAffinity, path.child("podAntiAffinity"), errors);
}

void taint_effect(const std::string& effect, const Path& path, FieldErrors& errors) {
  errors.one_of(path, effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
}

void tolerations(const std::vector<core::Toleration>& tolerations, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < tolerations.size(); ++i) {
    const core::Toleration& t = tolerations[i];
    Path at = path.index(i), op = at.child("operator");
    if (!t.key.empty()) errors.invalid(at.child("key"), t.key, names::qualified_name(t.key));
    if (t.key.empty() && t.operator_ != "Exists")
      errors.invalid(op, t.operator_, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    if (t.tolerationSeconds && t.effect != "NoExecute")
      errors.invalid(at.child("effect"), t.effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (t.operator_.empty() || t.operator_ == "Equal") {
      if (auto problems = names::label_value(t.value); !problems.empty())
        errors.invalid(op, t.value, fmt::format("{}", fmt::join(problems, ";")));
    } else if (t.operator_ == "Exists") {
      if (!t.value.empty()) errors.invalid(op, t.value, "value must be empty when `operator` is 'Exists'");
    } else if (t.operator_ == "Lt" || t.operator_ == "Gt") {
      if (!is_integer(t.value)) errors.invalid(at.child("value"), t.value, "must be a decimal integer that fits 64 bits");
    } else {
      errors.unsupported(op, t.operator_, {"Equal", "Exists"});
    }
    if (!t.effect.empty()) taint_effect(t.effect, at.child("effect"), errors);
  }
}

void topology_spread(const std::vector<core::TopologySpreadConstraint>& constraints, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < constraints.size(); ++i) {
    const core::TopologySpreadConstraint& c = constraints[i];
    Path at = path.index(i);
    if (c.maxSkew <= 0) errors.invalid(at.child("maxSkew"), c.maxSkew, "must be greater than zero");
    if (c.topologyKey.empty()) errors.required(at.child("topologyKey"), "can not be empty");
    errors.one_of(at.child("whenUnsatisfiable"), c.whenUnsatisfiable, {"DoNotSchedule", "ScheduleAnyway"});
    bool repeated = std::any_of(constraints.begin() + static_cast<std::ptrdiff_t>(i) + 1, constraints.end(), [&](const auto& other) {
      return other.topologyKey == c.topologyKey && other.whenUnsatisfiable == c.whenUnsatisfiable;
    });
    if (repeated)
      errors.duplicate(at.child("{topologyKey, whenUnsatisfiable}"), fmt::format("{{{}, {}}}", c.topologyKey, c.whenUnsatisfiable));
    if (c.minDomains) {
      Path domains = at.child("minDomains");
      if (*c.minDomains <= 0) errors.invalid(domains, *c.minDomains, "must be greater than zero");
      if (c.whenUnsatisfiable != "DoNotSchedule")
        errors.invalid(domains, *c.minDomains,
                       fmt::format("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}", c.whenUnsatisfiable));
    }
    if (c.nodeAffinityPolicy) errors.one_of(at.child("nodeAffinityPolicy"), *c.nodeAffinityPolicy, {"Honor", "Ignore"});
    if (c.nodeTaintsPolicy) errors.one_of(at.child("nodeTaintsPolicy"), *c.nodeTaintsPolicy, {"Honor", "Ignore"});
    match_label_keys(c.matchLabelKeys, c.labelSelector, at.child("matchLabelKeys"), errors);
    if (c.labelSelector) label_selector(*c.labelSelector, at.child("labelSelector"), errors);
  }
}

}  // namespace knarr::schema::validation
