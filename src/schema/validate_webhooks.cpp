// Configurations of admission webhooks (upstream: pkg/apis/admissionregistration/validation). Expressions are not compiled.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace registration = api::admissionregistration::v1;

namespace {

constexpr size_t kMaxConditions = 64;
constexpr int32_t kMaxTimeout = 30;

bool has_star(const std::vector<std::string>& list) { return std::find(list.begin(), list.end(), "*") != list.end(); }

void lonely_star(const std::vector<std::string>& list, std::string_view what, const Path& path, FieldErrors& errors) {
  if (list.empty()) errors.required(path);
  if (list.size() > 1 && has_star(list)) errors.invalid_json(path, list_json(list), fmt::format("if '*' is present, must not specify other {}", what));
}

// "pods", "pods/status", "*/scale", "pods/*".
void rule_resources(const std::vector<std::string>& list, const Path& path, FieldErrors& errors) {
  if (list.empty()) errors.required(path);
  std::set<std::string> all_of, everywhere;  // resources with all their subresources, and subresources of all resources
  bool everything = false, star = false, plain = false;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string& name = list[i];
    const Path at = path.index(i);
    if (name.empty()) {
      errors.required(at);
      continue;
    }
    everything = everything || name == "*/*";
    star = star || name == "*";
    const size_t slash = name.find('/');
    if (slash == name.npos) {
      plain = name != "*";
      continue;
    }
    const std::string resource = name.substr(0, slash), part = name.substr(slash + 1);
    if (all_of.count(resource)) errors.invalid(at, name, fmt::format("if '{}/*' is present, must not specify {}", resource, name));
    if (everywhere.count(part)) errors.invalid(at, name, fmt::format("if '*/{}' is present, must not specify {}", part, name));
    if (part == "*") all_of.insert(resource);
    if (resource == "*") everywhere.insert(part);
  }
  if (list.size() > 1 && everything) errors.invalid_json(path, list_json(list), "if '*/*' is present, must not specify other resources");
  if (star && plain) errors.invalid_json(path, list_json(list), "if '*' is present, must not specify other resources without subresources");
}

void service_path(const std::string& text, const Path& path, FieldErrors& errors) {
  if (text.empty() || text == "/") return;
  if (text == "//") return errors.invalid(path, text, "segment[0] may not be empty");
  if (text.front() != '/') errors.invalid(path, text, "must start with a '/'");
  std::string rest = text.substr(1);
  if (rest.ends_with('/')) rest.pop_back();
  for (size_t begin = 0, i = 0; begin <= rest.size(); ++i) {
    const size_t end = std::min(rest.find('/', begin), rest.size());
    const std::string step = rest.substr(begin, end - begin);
    if (step.empty()) {
      errors.invalid(path, text, fmt::format("segment[{}] may not be empty", i));
    } else {
      for (const std::string& problem : names::dns1123_subdomain(step)) errors.invalid(path, text, fmt::format("segment[{}]: {}", i, problem));
    }
    begin = end + 1;
  }
}

void webhook_url(const std::string& url, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kForm = "; desired format: https://host[/path]";
  const size_t colon = url.find("://");
  const std::string scheme = colon == url.npos ? "" : url.substr(0, colon);
  std::string rest = colon == url.npos ? "" : url.substr(colon + 3), tail = colon == url.npos ? url : "";
  if (const size_t end = rest.find_first_of("/?#"); end != rest.npos) {
    tail = rest.substr(end);
    rest.resize(end);
  }
  std::string user;
  if (const size_t at = rest.rfind('@'); at != rest.npos) {
    user = rest.substr(0, at);
    rest.erase(0, at + 1);
  }
  if (scheme != "https") errors.invalid(path, scheme, fmt::format("'https' is the only allowed URL scheme{}", kForm));
  if (rest.empty()) errors.invalid(path, rest, fmt::format("host must be specified{}", kForm));
  if (!user.empty()) errors.invalid(path, user, "user information is not permitted in the URL");
  const size_t hash = tail.find('#'), question = tail.substr(0, hash).find('?');
  if (hash != tail.npos && hash + 1 < tail.size()) errors.invalid(path, tail.substr(hash + 1), "fragments are not permitted in the URL");
  if (question != tail.npos && question + 1 < std::min(hash, tail.size()))
    errors.invalid(path, tail.substr(question + 1, std::min(hash, tail.size()) - question - 1), "query parameters are not permitted in the URL");
}

void client_config(const registration::WebhookClientConfig& config, const Path& path, FieldErrors& errors) {
  if (config.url.has_value() == static_cast<bool>(config.service)) return errors.required(path, "exactly one of url or service is required");
  if (config.url) return webhook_url(*config.url, path.child("url"), errors);
  const Path at = path.child("service");
  const auto& service = *config.service;
  // Upstream takes the one for the other here.
  if (service.namespace_.empty()) errors.required(at.child("name"));
  if (service.name.empty()) errors.required(at.child("namespace"));
  const int32_t port = service.port.value_or(443);
  if (const auto problems = names::port_number(port); !problems.empty())
    errors.invalid(at.child("port"), port, fmt::format("port is not valid: {}", fmt::join(problems, ", ")));
  if (service.path) service_path(*service.path, at.child("path"), errors);
}

void review_versions(const std::vector<std::string>& versions, const Path& path, FieldErrors& errors) {
  if (versions.empty()) return errors.required(path, "must specify one of v1, v1beta1");
  std::set<std::string> seen;
  for (size_t i = 0; i < versions.size(); ++i) {
    if (seen.insert(versions[i]).second) {
      errors.invalid(path.index(i), versions[i], names::dns1035_label(versions[i]));
    } else {
      errors.invalid(path.index(i), versions[i], "duplicate version");
    }
  }
  if (!seen.count("v1") && !seen.count("v1beta1")) errors.invalid_json(path, list_json(versions), "must include at least one of v1, v1beta1");
}

void webhook_name(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  if (const auto problems = names::dns1123_subdomain(name); !problems.empty()) {
    errors.invalid(path, name, fmt::format("{}", fmt::join(problems, ",")));
  } else if (std::count(name.begin(), name.end(), '.') < 2) {
    errors.invalid(path, name, "should be a domain with at least three segments separated by dots");
  }
}

// Of a validating or a mutating webhook; only the latter is invoked again.
template <typename Webhook>
void webhook(const Webhook& hook, const std::optional<std::string>& reinvocation, const Path& path, FieldErrors& errors) {
  webhook_name(hook.name, path.child("name"), errors);
  for (size_t i = 0; i < hook.rules.size(); ++i) rule_with_operations(hook.rules[i], path.child("rules").index(i), errors);
  if (hook.failurePolicy) errors.one_of(path.child("failurePolicy"), *hook.failurePolicy, {"Fail", "Ignore"});
  if (hook.matchPolicy) errors.one_of(path.child("matchPolicy"), *hook.matchPolicy, {"Equivalent", "Exact"});
  if (hook.sideEffects) {
    errors.one_of(path.child("sideEffects"), *hook.sideEffects, {"None", "NoneOnDryRun"});
  } else {
    errors.required(path.child("sideEffects"), "must specify one of None, NoneOnDryRun");
  }
  if (hook.timeoutSeconds && (*hook.timeoutSeconds > kMaxTimeout || *hook.timeoutSeconds < 1))
    errors.invalid(path.child("timeoutSeconds"), *hook.timeoutSeconds, "the timeout value must be between 1 and 30 seconds");
  if (hook.namespaceSelector) label_selector(*hook.namespaceSelector, path.child("namespaceSelector"), errors);
  if (hook.objectSelector) label_selector(*hook.objectSelector, path.child("objectSelector"), errors);
  if (reinvocation) errors.one_of(path.child("reinvocationPolicy"), *reinvocation, {"IfNeeded", "Never"});
  client_config(hook.clientConfig, path.child("clientConfig"), errors);
  match_conditions(hook.matchConditions, path.child("matchConditions"), errors);
  review_versions(hook.admissionReviewVersions, path.child("admissionReviewVersions"), errors);
}

void unique_name(const std::string& name, std::set<std::string>& seen, const Path& path, FieldErrors& errors) {
  if (!name.empty() && !seen.insert(name).second) errors.duplicate(path.child("name"), name);
}

}  // namespace

void rule_with_operations(const registration::RuleWithOperations& r, const Path& path, FieldErrors& errors) {
  const Path operations = path.child("operations"), versions = path.child("apiVersions");
  lonely_star(r.operations, "operations", operations, errors);
  for (size_t i = 0; i < r.operations.size(); ++i) errors.one_of(operations.index(i), r.operations[i], {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"});
  lonely_star(r.apiGroups, "API groups", path.child("apiGroups"), errors);
  lonely_star(r.apiVersions, "API versions", versions, errors);
  for (size_t i = 0; i < r.apiVersions.size(); ++i) {
    if (r.apiVersions[i].empty()) errors.required(versions.index(i));
  }
  rule_resources(r.resources, path.child("resources"), errors);
  if (r.scope) errors.one_of(path.child("scope"), *r.scope, {"*", "Cluster", "Namespaced"});
}

void match_conditions(const std::vector<registration::MatchCondition>& list, const Path& path, FieldErrors& errors) {
  if (list.size() > kMaxConditions) errors.too_many(path, list.size(), kMaxConditions);
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const Path at = path.index(i), name = at.child("name");
    if (list[i].expression.find_first_not_of(" \t\n\v\f\r") == std::string::npos) errors.required(at.child("expression"));
    if (list[i].name.empty()) {
      errors.required(name);
      continue;
    }
    errors.invalid(name, list[i].name, names::qualified_name(list[i].name));
    if (!seen.insert(list[i].name).second) errors.duplicate(name, list[i].name);
  }
}

void validating_webhooks(const registration::ValidatingWebhookConfiguration& c, const registration::ValidatingWebhookConfiguration* old,
                         FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors, Path("metadata"), Finalizers::kAny);
  std::set<std::string> seen;
  for (size_t i = 0; i < c.webhooks.size(); ++i) {
    const Path at = Path("webhooks").index(i);
    webhook(c.webhooks[i], std::nullopt, at, errors);
    unique_name(c.webhooks[i].name, seen, at, errors);
  }
}

void mutating_webhooks(const registration::MutatingWebhookConfiguration& c, const registration::MutatingWebhookConfiguration* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors, Path("metadata"), Finalizers::kAny);
  std::set<std::string> seen;
  for (size_t i = 0; i < c.webhooks.size(); ++i) {
    const Path at = Path("webhooks").index(i);
    webhook(c.webhooks[i], c.webhooks[i].reinvocationPolicy, at, errors);
    unique_name(c.webhooks[i].name, seen, at, errors);
  }
}

}  // namespace knarr::schema::validation
