// PodDisruptionBudgets (upstream: pkg/apis/policy/validation), PriorityClasses (pkg/apis/scheduling/validation), roles and
// their bindings (pkg/apis/rbac/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/go_json.h"
#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace policy = api::policy::v1;
namespace rbac = api::rbac::v1;
namespace scheduling = api::scheduling::v1;

namespace {

constexpr int32_t kHighestUserPriority = 1'000'000'000;
constexpr size_t kMaxReason = 1024, kMaxMessage = 32 * 1024;
constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";

struct SystemPriority {
  std::string_view name;
  int32_t value;
};
constexpr SystemPriority kSystemPriorities[] = {{"system-node-critical", 2'000'001'000}, {"system-cluster-critical", 2'000'000'000}};

// What is wrong with a class whose name is Kubernetes' own; "" nothing.
std::string system_problem(const scheduling::PriorityClass& priority) {
  for (const SystemPriority& known : kSystemPriorities) {
    if (known.name != priority.metadata.name) continue;
    if (known.value != priority.value) return fmt::format("value of {} PriorityClass must be {}", known.name, known.value);
    return priority.globalDefault ? fmt::format("globalDefault of {} PriorityClass must be false", known.name) : "";
  }
  return fmt::format("{} is not a known system priority class", priority.metadata.name);
}

bool is_reason(std::string_view text) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  auto word = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  return letter(text.front()) && word(text.back()) && std::all_of(text.begin(), text.end(), [&](char c) { return word(c) || c == ',' || c == ':'; });
}

void policy_rules(const std::vector<rbac::PolicyRule>& rules, bool namespaced, FieldErrors& errors) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const rbac::PolicyRule& rule = rules[i];
    const Path path = Path("rules").index(i), urls = path.child("nonResourceURLs");
    if (rule.verbs.empty()) errors.required(path.child("verbs"), "verbs must contain at least one value");
    if (!rule.nonResourceURLs.empty()) {
      const std::string list = list_json(rule.nonResourceURLs);
      if (namespaced) errors.invalid_json(urls, list, "namespaced rules cannot apply to non-resource URLs");
      if (!rule.apiGroups.empty() || !rule.resources.empty() || !rule.resourceNames.empty())
        errors.invalid_json(urls, list, "rules cannot apply to both regular resources and non-resource URLs");
      continue;
    }
    if (rule.apiGroups.empty()) errors.required(path.child("apiGroups"), "resource rules must supply at least one api group");
    if (rule.resources.empty()) errors.required(path.child("resources"), "resource rules must supply at least one resource");
  }
}

void subject(const rbac::Subject& s, bool namespaced, const Path& path, FieldErrors& errors) {
  if (s.name.empty()) errors.required(path.child("name"));
  if (s.kind == "ServiceAccount") {
    if (!s.name.empty()) errors.invalid(path.child("name"), s.name, names::dns1123_subdomain(s.name));
    if (!s.apiGroup.empty()) errors.unsupported(path.child("apiGroup"), s.apiGroup, {""});
    if (!namespaced && s.namespace_.empty()) errors.required(path.child("namespace"));
  } else if (s.kind == "User" || s.kind == "Group") {
    errors.one_of(path.child("apiGroup"), s.apiGroup, {kRbacGroup});
  } else {
    errors.unsupported(path.child("kind"), s.kind, {"ServiceAccount", "User", "Group"});
  }
}

// Of a RoleBinding or ClusterRoleBinding, which have the same fields.
template <typename Binding>
void any_binding(const Binding& binding, const Binding* old, bool namespaced, FieldErrors& errors) {
  object_meta(binding.metadata, old ? &old->metadata : nullptr, namespaced, names::path_segment_name, errors);
  const Path path("roleRef");
  const rbac::RoleRef& ref = binding.roleRef;
  errors.one_of(path.child("apiGroup"), ref.apiGroup, {kRbacGroup});
  if (namespaced) {
    errors.one_of(path.child("kind"), ref.kind, {"Role", "ClusterRole"});
  } else {
    errors.one_of(path.child("kind"), ref.kind, {"ClusterRole"});
  }
  if (ref.name.empty()) {
    errors.required(path.child("name"));
  } else {
    errors.invalid(path.child("name"), ref.name, names::path_segment_name(ref.name));
  }
  for (size_t i = 0; i < binding.subjects.size(); ++i) subject(binding.subjects[i], namespaced, Path("subjects").index(i), errors);
  if (old && !(ref == old->roleRef)) errors.invalid_json(path, go_json(ref), "cannot change roleRef");
}

}  // namespace

void conditions(const std::vector<meta::Condition>& list, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const meta::Condition& c = list[i];
    const Path at = path.index(i);
    if (!seen.insert(c.type).second) errors.duplicate(at.child("type"), c.type);
    errors.invalid(at.child("type"), c.type, names::qualified_name(c.type));
    errors.one_of(at.child("status"), c.status, {"False", "True", "Unknown"});
    if (c.observedGeneration < 0) errors.invalid(at.child("observedGeneration"), c.observedGeneration, "must be greater than or equal to zero");
    if (!c.lastTransitionTime) errors.required(at.child("lastTransitionTime"));
    const Path reason = at.child("reason");
    if (c.reason.empty()) {
      errors.required(reason);
    } else if (!is_reason(c.reason)) {
      errors.invalid(reason, c.reason,
                     names::regex_error("a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or "
                                        "'_,:', and must end with an alphanumeric character or '_'",
                                        "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", {"my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"}));
    }
    if (c.reason.size() > kMaxReason) errors.too_long(reason, kMaxReason);
    if (c.message.size() > kMaxMessage) errors.too_long(at.child("message"), kMaxMessage);
  }
}

void disruption_budget(const policy::PodDisruptionBudget& budget, const policy::PodDisruptionBudget* old, FieldErrors& errors) {
  const Path path("spec"), status("status");
  if (old && !(budget.status == old->status)) {
    conditions(budget.status.conditions, status.child("conditions"), errors);
    errors.non_negative(status.child("disruptionsAllowed"), budget.status.disruptionsAllowed);
    errors.non_negative(status.child("currentHealthy"), budget.status.currentHealthy);
    errors.non_negative(status.child("desiredHealthy"), budget.status.desiredHealthy);
    errors.non_negative(status.child("expectedPods"), budget.status.expectedPods);
  } else {
    const policy::PodDisruptionBudgetSpec& spec = budget.spec;
    if (spec.minAvailable && spec.maxUnavailable) errors.invalid_json(path, go_json(spec), "minAvailable and maxUnavailable cannot be both set");
    for (const auto& [name, value] : {std::pair("minAvailable", &spec.minAvailable), std::pair("maxUnavailable", &spec.maxUnavailable)}) {
      if (!*value) continue;
      int_or_percent(**value, path.child(name), errors);
      at_most_all(**value, path.child(name), errors);
    }
    if (spec.selector) label_selector(*spec.selector, path.child("selector"), errors);
    if (spec.unhealthyPodEvictionPolicy)
      errors.one_of(path.child("unhealthyPodEvictionPolicy"), *spec.unhealthyPodEvictionPolicy, {"AlwaysAllow", "IfHealthyBudget"});
  }
  // Upstream looks at the metadata only when all else is right.
  if (errors.count() == 0) object_meta(budget.metadata, old ? &old->metadata : nullptr, true, names::path_segment_name, errors, Path("metadata"), Finalizers::kAny);
}

void priority_class(const scheduling::PriorityClass& priority, const scheduling::PriorityClass* old, FieldErrors& errors) {
  object_meta(priority.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path value("value"), preemption("preemptionPolicy");
  const auto& policy = priority.preemptionPolicy;
  if (old) {
    if (priority.value != old->value) errors.forbidden(value, "may not be changed in an update.");
    if (policy != old->preemptionPolicy) errors.invalid_json(preemption, policy ? fmt::format("\"{}\"", *policy) : "null", kImmutable);
    return;
  }
  if (priority.metadata.name.starts_with("system-")) {
    if (const std::string problem = system_problem(priority); !problem.empty())
      errors.forbidden(Path("metadata.name"), "priority class names with 'system-' prefix are reserved for system use only. error: " + problem);
  } else if (priority.value > kHighestUserPriority) {
    errors.forbidden(value, fmt::format("maximum allowed value of a user defined priority is {}", kHighestUserPriority));
  }
  if (policy && policy->empty()) {
    errors.required(preemption);
  } else if (policy) {
    errors.one_of(preemption, *policy, {"PreemptLowerPriority", "Never"});
  }
}

void role(const rbac::Role& role, const rbac::Role* old, FieldErrors& errors) {
  object_meta(role.metadata, old ? &old->metadata : nullptr, true, names::path_segment_name, errors);
  policy_rules(role.rules, true, errors);
}

void cluster_role(const rbac::ClusterRole& role, const rbac::ClusterRole* old, FieldErrors& errors) {
  object_meta(role.metadata, old ? &old->metadata : nullptr, false, names::path_segment_name, errors);
  policy_rules(role.rules, false, errors);
  if (!role.aggregationRule) return;
  const Path path("aggregationRule.clusterRoleSelectors");
  const auto& selectors = role.aggregationRule->clusterRoleSelectors;
  if (selectors.empty()) errors.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil");
  for (size_t i = 0; i < selectors.size(); ++i) {
    const size_t before = errors.count();
    label_selector(selectors[i], path.index(i), errors);
    if (errors.count() != before) errors.invalid_json(path.index(i), "null", "invalid label selector.");
  }
}

void role_binding(const rbac::RoleBinding& binding, const rbac::RoleBinding* old, FieldErrors& errors) { any_binding(binding, old, true, errors); }

void cluster_role_binding(const rbac::ClusterRoleBinding& binding, const rbac::ClusterRoleBinding* old, FieldErrors& errors) {
  any_binding(binding, old, false, errors);
}

}  // namespace knarr::schema::validation
