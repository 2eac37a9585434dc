#include <fmt/format.h>

#include <algorithm>

#include "knarr/auth/remote.h"
#include "knarr/codec/json.h"

namespace knarr::auth {

namespace {

struct Policy {
  std::string user, group, ns, resource, api_group, path;
  bool read_only = false;
};

bool is(const std::string& pattern, std::string_view text) { return pattern == "*" || pattern == text; }

bool fits_subject(const Policy& policy, const UserInfo* user) {
  if (!user || (policy.user.empty() && policy.group.empty())) return false;
  if (!policy.user.empty() && !is(policy.user, user->name)) return false;
  return policy.group.empty() || policy.group == "*" || user->in_group(policy.group);
}

bool fits_path(std::string_view pattern, std::string_view path) {
  if (pattern == "*" || pattern == path) return true;
  return pattern.ends_with('*') && path.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool fits(const Policy& policy, const Attributes& a) {
  const bool reads = a.verb == "get" || a.verb == "list" || a.verb == "watch";
  if (!fits_subject(policy, a.user) || (policy.read_only && !reads)) return false;
  if (!a.resource_request) return fits_path(policy.path, a.path);
  return is(policy.ns, a.ns) && is(policy.resource, a.resource) && is(policy.api_group, a.group);
}

class AbacAuthorizer : public Authorizer {
 public:
  explicit AbacAuthorizer(std::vector<Policy> policies) : policies_(std::move(policies)) {}

  Authorization authorize(const Attributes& attributes) override {
    for (const Policy& policy : policies_)
      if (fits(policy, attributes)) return {Decision::kAllow, {}};
    return {Decision::kNoOpinion, "No policy matched."};
  }
  void list_rules(const UserInfo& user, std::string_view ns, UserRules& out) override {
    for (const Policy& policy : policies_) {
      if (!fits_subject(policy, &user)) continue;
      const std::vector<std::string> verbs =
          policy.read_only ? std::vector<std::string>{"get", "list", "watch"} : std::vector<std::string>{"*"};
      if (!policy.resource.empty() && is(policy.ns, ns))
        out.rules.push_back({verbs, {policy.api_group}, {policy.resource}, {}, {}});
      if (!policy.path.empty()) out.rules.push_back({verbs, {}, {}, {}, {policy.path}});
    }
  }

 private:
  const std::vector<Policy> policies_;
};

}  // namespace

Result<std::shared_ptr<Authorizer>> make_abac_authorizer(std::string_view text) {
  std::vector<Policy> policies;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const auto document = json::parse(line);
    const json::Value* spec = document.ok() ? json::find(*document, "spec") : nullptr;
    if (!spec || json::get_string(*document, "kind") != "Policy" ||
        json::get_string(*document, "apiVersion") != "abac.authorization.kubernetes.io/v1beta1")
      return bad_request(fmt::format(
          "line {}: want an object of kind Policy and apiVersion abac.authorization.kubernetes.io/v1beta1", number));
    const auto field = [&](std::string_view name) { return std::string(json::get_string(*spec, name)); };
    policies.push_back({field("user"), field("group"), field("namespace"), field("resource"), field("apiGroup"),
                        field("nonResourcePath"), json::get_bool(*spec, "readonly")});
  }
  return std::shared_ptr<Authorizer>(std::make_shared<AbacAuthorizer>(std::move(policies)));
}

}  // namespace knarr::auth
