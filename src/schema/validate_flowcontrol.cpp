// FlowSchemas and PriorityLevelConfigurations (upstream: pkg/apis/flowcontrol/validation).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "knarr/schema/flow_defaults.h"
#include "schema/go_json.h"
#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace flowcontrol = api::flowcontrol::v1;

namespace {

constexpr int32_t kMaxPrecedence = 10'000, kMaxQueues = 10'000'000;
constexpr double kMaxHashBits = 60;

bool has(const std::vector<std::string>& list, std::string_view word) { return std::find(list.begin(), list.end(), word) != list.end(); }

void subject_name(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) errors.required(path.child("name"));
}

// A subject has what its kind says and nothing else.
void flow_subject(const flowcontrol::Subject& s, const Path& path, FieldErrors& errors) {
  if (s.kind != "ServiceAccount" && s.kind != "User" && s.kind != "Group")
    return errors.unsupported(path.child("kind"), s.kind, {"Group", "ServiceAccount", "User"});
  auto needed = [&](const auto& part, std::string_view name) {
    if (!part) errors.required(path.child(name), fmt::format("{} is required when subject kind is '{}'", name, s.kind));
    return static_cast<bool>(part);
  };
  auto unwanted = [&](const auto& part, std::string_view name, std::string_view kind) {
    if (part && s.kind != kind) errors.forbidden(path.child(name), fmt::format("{} is forbidden when subject kind is not '{}'", name, kind));
  };
  if (s.kind == "ServiceAccount" && needed(s.serviceAccount, "serviceAccount")) {
    const Path at = path.child("serviceAccount"), ns = at.child("namespace");
    const auto& account = *s.serviceAccount;
    subject_name(account.name, at, errors);
    if (!account.name.empty() && account.name != "*") errors.invalid(at.child("name"), account.name, names::dns1123_subdomain(account.name));
    if (account.namespace_.empty()) {
      errors.required(ns, "must specify namespace for service account");
    } else {
      errors.invalid(ns, account.namespace_, names::dns1123_label(account.namespace_));
    }
  }
  if (s.kind == "User" && needed(s.user, "user")) subject_name(s.user->name, path.child("user"), errors);
  if (s.kind == "Group" && needed(s.group, "group")) subject_name(s.group->name, path.child("group"), errors);
  unwanted(s.serviceAccount, "serviceAccount", "ServiceAccount");
  unwanted(s.user, "user", "User");
  unwanted(s.group, "group", "Group");
}

// A star stands alone. Answers whether it is there.
bool lonely_star(const std::vector<std::string>& list, std::string_view what, const Path& path, FieldErrors& errors) {
  if (!has(list, "*")) return false;
  if (list.size() > 1) errors.invalid_json(path, list_json(list), fmt::format("if '*' is present, must not specify other {}", what));
  return true;
}

void verbs(const std::vector<std::string>& list, const Path& path, FieldErrors& errors) {
  static const std::set<std::string_view> kVerbs = {"get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy"};
  if (list.empty()) return errors.required(path, "verbs must contain at least one value");
  if (lonely_star(list, "verbs", path, errors)) return;
  if (!std::all_of(list.begin(), list.end(), [](const auto& verb) { return kVerbs.count(verb) > 0; }))
    errors.unsupported_json(path, list_json(list), {"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"});
}

void url_path(const std::string& url, const Path& path, FieldErrors& errors) {
  if (url.empty()) return errors.invalid(path, url, "must not be empty");
  if (url == "/") return;
  if (url.front() != '/') return errors.invalid(path, url, "must start with slash");
  if (url.find(' ') != url.npos) return errors.invalid(path, url, "must not contain white-space");
  if (url.find("//") != url.npos) return errors.invalid(path, url, "must not contain double slash");
  const auto stars = std::count(url.begin(), url.end(), '*');
  if (stars > 1 || (stars == 1 && !url.ends_with("/*"))) errors.invalid(path, url, "wildcard can only do suffix matching");
}

void resource_rule(const flowcontrol::ResourcePolicyRule& rule, const Path& path, FieldErrors& errors) {
  verbs(rule.verbs, path.child("verbs"), errors);
  const Path groups = path.child("apiGroups"), resources = path.child("resources"), namespaces = path.child("namespaces");
  if (rule.apiGroups.empty()) errors.required(groups, "resource rules must supply at least one api group");
  lonely_star(rule.apiGroups, "api groups", groups, errors);
  if (rule.resources.empty()) errors.required(resources, "resource rules must supply at least one resource");
  lonely_star(rule.resources, "resources", resources, errors);
  if (rule.namespaces.empty() && !rule.clusterScope)
    errors.required(namespaces, "resource rules that are not cluster scoped must supply at least one namespace");
  if (lonely_star(rule.namespaces, "namespaces", namespaces, errors)) return;
  for (size_t i = 0; i < rule.namespaces.size(); ++i) {
    for (const std::string& problem : names::dns1123_label(rule.namespaces[i]))
      errors.invalid(namespaces.index(i), rule.namespaces[i], "each member of this list must be '*' or a DNS-1123 label; " + problem);
  }
}

void url_rule(const flowcontrol::NonResourcePolicyRule& rule, const Path& path, FieldErrors& errors) {
  verbs(rule.verbs, path.child("verbs"), errors);
  const Path urls = path.child("nonResourceURLs");
  if (rule.nonResourceURLs.empty()) return errors.required(urls, "nonResourceURLs must contain at least one value");
  if (lonely_star(rule.nonResourceURLs, "non-resource URLs", urls, errors)) return;
  for (size_t i = 0; i < rule.nonResourceURLs.size(); ++i) url_path(rule.nonResourceURLs[i], urls.index(i), errors);
}

void flow_rules(const flowcontrol::PolicyRulesWithSubjects& rule, const Path& path, FieldErrors& errors) {
  if (rule.subjects.empty()) errors.required(path.child("subjects"), "subjects must contain at least one value");
  for (size_t i = 0; i < rule.subjects.size(); ++i) flow_subject(rule.subjects[i], path.child("subjects").index(i), errors);
  if (rule.resourceRules.empty() && rule.nonResourceRules.empty())
    errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
  for (size_t i = 0; i < rule.resourceRules.size(); ++i) resource_rule(rule.resourceRules[i], path.child("resourceRules").index(i), errors);
  for (size_t i = 0; i < rule.nonResourceRules.size(); ++i) url_rule(rule.nonResourceRules[i], path.child("nonResourceRules").index(i), errors);
}

template <typename Conditions>
void condition_types(const Conditions& conditions, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < conditions.size(); ++i) {
    const Path at = Path("status.conditions").index(i).child("type");
    if (!seen.insert(conditions[i].type).second) errors.duplicate(at, conditions[i].type);
    if (conditions[i].type.empty()) errors.required(at);
  }
}

void queuing(const flowcontrol::QueuingConfiguration& q, const Path& path, FieldErrors& errors) {
  const Path queues = path.child("queues"), hand = path.child("handSize");
  if (q.queueLengthLimit <= 0) errors.invalid(path.child("queueLengthLimit"), q.queueLengthLimit, "must be positive");
  if (q.queues <= 0) {
    errors.invalid(queues, q.queues, "must be positive");
  } else if (q.queues > kMaxQueues) {
    errors.invalid(queues, q.queues, fmt::format("must not be greater than {}", kMaxQueues));
  }
  if (q.handSize <= 0) {
    errors.invalid(hand, q.handSize, "must be positive");
  } else if (q.handSize > q.queues) {
    errors.invalid(hand, q.handSize, fmt::format("should not be greater than queues ({})", q.queues));
  } else if (std::ceil(std::log2(static_cast<double>(q.queues)) * q.handSize) > kMaxHashBits) {
    errors.invalid(hand, q.handSize,
                   fmt::format("required entropy bits of deckSize {} and handSize {} should not be greater than {}", q.queues, q.handSize, kMaxHashBits));
  }
}

void limit_response(const flowcontrol::LimitResponse& response, const Path& path, FieldErrors& errors) {
  const Path at = path.child("queuing");
  if (response.type == "Reject") {
    if (response.queuing) errors.forbidden(at, "must be nil if limited.limitResponse.type is not Limited");
  } else if (response.type == "Queue") {
    if (!response.queuing) return errors.required(at, "must not be empty if limited.limitResponse.type is Limited");
    queuing(*response.queuing, at, errors);
  } else if (response.type.empty()) {
    errors.required(path.child("type"));
  } else {
    errors.unsupported(path.child("type"), response.type, {"Queue", "Reject"});
  }
}

// Of a limited or an exempt level.
template <typename Level>
void shares(const Level& level, const Path& path, FieldErrors& errors) {
  const int32_t count = level.nominalConcurrencyShares.value_or(0);
  if (count < 0) errors.invalid(path.child("nominalConcurrencyShares"), count, "must be a non-negative integer");
}

template <typename Level>
void lendable(const Level& level, const Path& path, FieldErrors& errors) {
  const int32_t percent = level.lendablePercent.value_or(0);
  if (percent < 0 || percent > 100) errors.invalid(path.child("lendablePercent"), percent, "must be between 0 and 100, inclusive");
}

void level_spec(const flowcontrol::PriorityLevelConfigurationSpec& spec, const std::string& name, const Path& path, FieldErrors& errors) {
  const Path limited = path.child("limited"), exempt = path.child("exempt");
  if ((name == "exempt") != (spec.type == "Exempt")) errors.invalid(path.child("type"), spec.type, "must be 'Exempt' if and only if `name` is 'exempt'");
  if (spec.type == "Exempt") {
    if (spec.limited) errors.forbidden(limited, "must be nil if the type is not Limited");
    if (!spec.exempt) return;
    shares(*spec.exempt, exempt, errors);
    lendable(*spec.exempt, exempt, errors);
  } else if (spec.type == "Limited") {
    if (spec.exempt) errors.forbidden(exempt, "must be nil if the type is Limited");
    if (!spec.limited) return errors.required(limited, "must not be empty when type is Limited");
    shares(*spec.limited, limited, errors);
    limit_response(spec.limited->limitResponse, limited.child("limitResponse"), errors);
    lendable(*spec.limited, limited, errors);
    if (const int32_t percent = spec.limited->borrowingLimitPercent.value_or(0); percent < 0)
      errors.invalid(limited.child("borrowingLimitPercent"), percent, "if specified, must be a non-negative integer");
  } else if (spec.type.empty()) {
    errors.required(path.child("type"));
  } else {
    errors.unsupported(path.child("type"), spec.type, {"Exempt", "Limited"});
  }
}

// Of the level that has no limits, what it lends to others is an administrator's to set.
void mandatory_level(const flowcontrol::PriorityLevelConfiguration& level, const Path& path, FieldErrors& errors) {
  const auto* fixed = mandatory_priority_level(level.metadata.name);
  if (!fixed) return;
  flowcontrol::PriorityLevelConfigurationSpec spec = level.spec;
  const bool exempt = level.metadata.name == "exempt";
  if (exempt) spec.exempt = fixed->spec.exempt;
  if (spec == fixed->spec) return;
  errors.invalid_json(path, go_json(level.spec),
                      fmt::format("spec of '{}'{} must equal the fixed value", level.metadata.name, exempt ? " except the 'spec.exempt' field" : ""));
}

}  // namespace

void flow_schema(const flowcontrol::FlowSchema& schema, const flowcontrol::FlowSchema* old, FieldErrors& errors) {
  object_meta(schema.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  condition_types(schema.status.conditions, errors);
  if (old && !(schema.status == old->status)) return;
  const Path path("spec"), precedence = path.child("matchingPrecedence"), level = path.child("priorityLevelConfiguration", "name");
  const auto& spec = schema.spec;
  if (spec.matchingPrecedence <= 0) errors.invalid(precedence, spec.matchingPrecedence, "must be a positive value");
  if (spec.matchingPrecedence > kMaxPrecedence)
    errors.invalid(precedence, spec.matchingPrecedence, fmt::format("must not be greater than {}", kMaxPrecedence));
  if (spec.matchingPrecedence == 1 && schema.metadata.name != "exempt")
    errors.invalid(precedence, spec.matchingPrecedence, "only the schema named 'exempt' may have matchingPrecedence 1");
  if (spec.distinguisherMethod && spec.distinguisherMethod->type != "ByNamespace" && spec.distinguisherMethod->type != "ByUser")
    errors.unsupported_json(path.child("distinguisherMethod", "type"), go_json(*spec.distinguisherMethod), {"ByNamespace", "ByUser"});
  const std::string& name = spec.priorityLevelConfiguration.name;
  if (name.empty()) {
    errors.required(level, "must reference a priority level");
  } else {
    errors.invalid(level, name, names::dns1123_subdomain(name));
  }
  for (size_t i = 0; i < spec.rules.size(); ++i) flow_rules(spec.rules[i], path.child("rules").index(i), errors);
  if (const auto* fixed = mandatory_flow_schema(schema.metadata.name); fixed && !(spec == fixed->spec))
    errors.invalid_json(path, go_json(spec), fmt::format("spec of '{}' must equal the fixed value", schema.metadata.name));
}

void priority_level(const flowcontrol::PriorityLevelConfiguration& level, const flowcontrol::PriorityLevelConfiguration* old, FieldErrors& errors) {
  object_meta(level.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  condition_types(level.status.conditions, errors);
  if (old && !(level.status == old->status)) return;
  level_spec(level.spec, level.metadata.name, Path("spec"), errors);
  mandatory_level(level, Path("spec"), errors);
}

}  // namespace knarr::schema::validation
