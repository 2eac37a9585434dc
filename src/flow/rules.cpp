#include "flow/rules.h"

#include <algorithm>

namespace knarr::flow {

namespace flowcontrol = api::flowcontrol::v1;

namespace {

constexpr std::string_view kAccountPrefix = "system:serviceaccount:";

// "pods", or "pods/log", put together as the rules have it.
bool has_resource(const Words& words, std::string_view resource, std::string_view subresource) {
  if (subresource.empty()) return words.has(resource);
  return words.all || std::any_of(words.words.begin(), words.words.end(), [&](std::string_view word) {
           return word.size() == resource.size() + 1 + subresource.size() && word.starts_with(resource) &&
                  word[resource.size()] == '/' && word.ends_with(subresource);
         });
}

}  // namespace

Words::Words(const std::vector<std::string>& list) : words(list), all(list.size() == 1 && list[0] == "*") {}

bool Words::has(std::string_view word) const { return all || std::find(words.begin(), words.end(), word) != words.end(); }

Matcher::Matcher(const flowcontrol::FlowSchemaSpec& spec) {
  if (spec.distinguisherMethod)
    distinguisher_ = spec.distinguisherMethod->type == "ByUser" ? Distinguisher::kUser : Distinguisher::kNamespace;
  for (const auto& from : spec.rules) {
    Rules& rules = rules_.emplace_back();
    for (const auto& subject : from.subjects) rules.subjects.push_back(read(subject));
    for (const auto& rule : from.resourceRules)
      rules.resources.push_back({Words(rule.verbs), Words(rule.apiGroups), Words(rule.resources), Words(rule.namespaces), rule.clusterScope});
    for (const auto& rule : from.nonResourceRules) {
      PathRule& made = rules.paths.emplace_back(PathRule{Words(rule.verbs), {}, {}, false});
      for (std::string path : rule.nonResourceURLs) {
        made.all = made.all || path == "*";
        made.paths.push_back(path);
        if (path.ends_with('*')) path.pop_back();
        if (!path.ends_with('/')) path += '/';
        made.roots.push_back(std::move(path));
      }
    }
  }
}

Matcher::Subject Matcher::read(const flowcontrol::Subject& subject) {
  using Kind = Subject::Kind;
  if (subject.kind == "User" && subject.user) return {subject.user->name == "*" ? Kind::kAnybody : Kind::kUser, subject.user->name};
  if (subject.kind == "Group" && subject.group) return {subject.group->name == "*" ? Kind::kAnybody : Kind::kGroup, subject.group->name};
  if (subject.kind == "ServiceAccount" && subject.serviceAccount) {
    const auto& account = *subject.serviceAccount;
    std::string name = std::string(kAccountPrefix) + account.namespace_ + ":";
    if (account.name == "*") return {Kind::kServiceAccounts, std::move(name)};
    return {Kind::kServiceAccount, name + account.name};
  }
  return {Kind::kNobody, {}};
}

bool Matcher::matches(const Subject& subject, const auth::UserInfo& user) {
  switch (subject.kind) {
    case Subject::Kind::kUser:
    case Subject::Kind::kServiceAccount:
      return user.name == subject.name;
    case Subject::Kind::kGroup:
      return user.in_group(subject.name);
    case Subject::Kind::kServiceAccounts:
      return user.name.starts_with(subject.name);
    case Subject::Kind::kAnybody:
      return true;
    case Subject::Kind::kNobody:
      return false;
  }
  return false;
}

bool Matcher::ResourceRule::matches(const Question& q) const {
  return verbs.has(q.verb) && has_resource(resources, q.resource, q.subresource) && groups.has(q.group) &&
         (q.ns.empty() ? cluster_scope : namespaces.has(q.ns));
}

bool Matcher::PathRule::matches(const Question& q) const {
  if (!verbs.has(q.verb)) return false;
  return all || std::find(paths.begin(), paths.end(), q.path) != paths.end() ||
         std::any_of(roots.begin(), roots.end(), [&](const std::string& root) { return q.path.starts_with(root); });
}

bool Matcher::matches(const Question& q) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rules& rules) {
    const bool about_them = std::any_of(rules.subjects.begin(), rules.subjects.end(),
                                        [&](const Subject& subject) { return matches(subject, *q.user); });
    if (!about_them) return false;
    if (q.resource_request)
      return std::any_of(rules.resources.begin(), rules.resources.end(), [&](const ResourceRule& rule) { return rule.matches(q); });
    return std::any_of(rules.paths.begin(), rules.paths.end(), [&](const PathRule& rule) { return rule.matches(q); });
  });
}

std::string_view Matcher::distinguisher(const Question& q) const {
  if (distinguisher_ == Distinguisher::kNone) return {};
  return distinguisher_ == Distinguisher::kUser ? std::string_view(q.user->name) : q.ns;
}

}  // namespace knarr::flow
