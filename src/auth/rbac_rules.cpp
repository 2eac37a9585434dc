// Which requests a rule allows, and which rules cover which.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "knarr/auth/rbac.h"
#include "text.h"

namespace knarr::auth {

namespace {

using Strings = std::vector<std::string>;

bool has(const Strings& set, std::string_view item) { return std::find(set.begin(), set.end(), item) != set.end(); }

bool has_all(const Strings& set, const Strings& items) {
  return std::all_of(items.begin(), items.end(), [&](const std::string& item) { return has(set, item); });
}

// "/api/*" stands for everything that begins with "/api/".
bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern == path) return true;
  if (!pattern.ends_with('*')) return false;
  while (pattern.ends_with('*')) pattern.remove_suffix(1);
  return path.starts_with(pattern);
}

// resource or resource/subresource against *, pods, pods/log, */scale.
bool resource_matches(std::string_view pattern, std::string_view resource, std::string_view subresource) {
  if (pattern == "*") return true;
  if (subresource.empty()) return pattern == resource;
  const size_t slash = pattern.find('/');
  if (slash == pattern.npos || pattern.substr(slash + 1) != subresource) return false;
  return pattern.substr(0, slash) == "*" || pattern.substr(0, slash) == resource;
}

void read_strings(const json::Value& rule, std::string_view name, Strings& out) {
  const json::Value* list = json::find(rule, name);
  if (!list || !list->IsArray()) return;
  for (const json::Value& item : list->GetArray())
    if (item.IsString()) out.emplace_back(json::view(item));
}

bool covers_resource(const Strings& held, const std::string& resource) {
  if (has(held, "*") || has(held, resource)) return true;
  const size_t slash = resource.find('/');
  return slash != resource.npos && has(held, "*" + resource.substr(slash));
}

bool covers_path(const Strings& held, const std::string& path) {
  return std::any_of(held.begin(), held.end(), [&](const std::string& own) { return path_matches(own, path); });
}

// `wanted` is broken down.
bool covers(const PolicyRule& held, const PolicyRule& wanted) {
  const auto all = [](const Strings& items, auto&& covered) {
    return std::all_of(items.begin(), items.end(), covered);
  };
  return (has(held.verbs, "*") || has_all(held.verbs, wanted.verbs)) &&
         (has(held.api_groups, "*") || has_all(held.api_groups, wanted.api_groups)) &&
         all(wanted.resources,
             [&](const std::string& resource) { return covers_resource(held.resources, resource); }) &&
         (held.resource_names.empty() ||
          (!wanted.resource_names.empty() && has_all(held.resource_names, wanted.resource_names))) &&
         all(wanted.non_resource_urls,
             [&](const std::string& path) { return covers_path(held.non_resource_urls, path); });
}

std::vector<PolicyRule> broken_down(const PolicyRule& rule) {
  std::vector<PolicyRule> out;
  for (const std::string& group : rule.api_groups)
    for (const std::string& resource : rule.resources)
      for (const std::string& verb : rule.verbs) {
        if (rule.resource_names.empty()) out.push_back({{verb}, {group}, {resource}, {}, {}});
        for (const std::string& name : rule.resource_names) out.push_back({{verb}, {group}, {resource}, {name}, {}});
      }
  for (const std::string& path : rule.non_resource_urls)
    for (const std::string& verb : rule.verbs) out.push_back({{verb}, {}, {}, {}, {path}});
  return out;
}

std::string describe(const PolicyRule& rule) {
  Strings parts;
  const auto add = [&](std::string_view name, const Strings& items) {
    if (!items.empty()) parts.push_back(fmt::format("{}:{}", name, quoted_list(items)));
  };
  add("APIGroups", rule.api_groups);
  add("Resources", rule.resources);
  add("NonResourceURLs", rule.non_resource_urls);
  add("ResourceNames", rule.resource_names);
  add("Verbs", rule.verbs);
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<PolicyRule> read_rules(const json::Value* rules) {
  std::vector<PolicyRule> out;
  if (!rules || !rules->IsArray()) return out;
  for (const json::Value& rule : rules->GetArray()) {
    PolicyRule& read = out.emplace_back();
    read_strings(rule, "verbs", read.verbs);
    read_strings(rule, "apiGroups", read.api_groups);
    read_strings(rule, "resources", read.resources);
    read_strings(rule, "resourceNames", read.resource_names);
    read_strings(rule, "nonResourceURLs", read.non_resource_urls);
  }
  return out;
}

bool rule_allows(const PolicyRule& rule, const Attributes& a) {
  const auto any = [](const Strings& items, auto&& matches) {
    return std::any_of(items.begin(), items.end(), matches);
  };
  const auto is = [](std::string_view wanted) {
    return [wanted](const std::string& item) { return item == "*" || item == wanted; };
  };
  if (!any(rule.verbs, is(a.verb))) return false;
  if (!a.resource_request)
    return any(rule.non_resource_urls, [&](const std::string& item) { return path_matches(item, a.path); });
  return any(rule.api_groups, is(a.group)) &&
         any(rule.resources,
             [&](const std::string& item) { return resource_matches(item, a.resource, a.subresource); }) &&
         (rule.resource_names.empty() || has(rule.resource_names, a.name));
}

std::vector<PolicyRule> uncovered_rules(std::span<const PolicyRule> held, std::span<const PolicyRule> wanted) {
  std::vector<PolicyRule> out;
  for (const PolicyRule& rule : wanted)
    for (PolicyRule& part : broken_down(rule))
      if (std::none_of(held.begin(), held.end(), [&](const PolicyRule& own) { return covers(own, part); }))
        out.push_back(std::move(part));
  return out;
}

std::string escalation_refusal(const UserInfo& user, std::span<const PolicyRule> held,
                               std::span<const PolicyRule> wanted, std::span<const std::string> errors) {
  const std::vector<PolicyRule> missing = uncovered_rules(held, wanted);
  if (missing.empty()) return {};
  // Verbs on the same thing are told together.
  std::map<Strings, PolicyRule> together;
  std::set<std::string> lines;
  for (const PolicyRule& rule : missing) {
    if (!rule.non_resource_urls.empty()) {
      lines.insert(describe(rule));
      continue;
    }
    Strings key = {rule.api_groups[0], rule.resources[0]};
    key.insert(key.end(), rule.resource_names.begin(), rule.resource_names.end());
    auto [it, fresh] = together.emplace(std::move(key), rule);
    if (!fresh) it->second.verbs.push_back(rule.verbs[0]);
  }
  for (const auto& [key, rule] : together) lines.insert(describe(rule));
  std::string name;
  json::append_quoted(name, user.name);
  std::string out = fmt::format("user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
                                name, quoted_list(user.groups), fmt::join(lines, "\n"));
  if (!errors.empty()) out += fmt::format("; resolution errors: [{}]", fmt::join(errors, " "));
  return out;
}

}  // namespace knarr::auth
