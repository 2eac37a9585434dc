#include "knarr/auth/rbac.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "knarr/base/log.h"

namespace knarr::auth {

namespace {

constexpr std::string_view kStorageNames[] = {
    "clusterroles.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"};
constexpr size_t kBatch = 1024;

constexpr char kUser = 'u', kGroup = 'g';

// Where the grants of a subject are found; service accounts are users by their name.
std::string grant_key(std::string_view ns, char kind, std::string_view name) {
  std::string key;
  key.reserve(ns.size() + name.size() + 2);
  key.append(ns).push_back('\n');
  key.push_back(kind);
  return key.append(name);
}

std::string aggregate(const std::vector<std::string>& errors) {
  std::vector<std::string> once;
  for (const std::string& error : errors)
    if (std::find(once.begin(), once.end(), error) == once.end()) once.push_back(error);
  return once.size() == 1 ? once[0] : fmt::format("[{}]", fmt::join(once, ", "));
}

std::string missing_role(std::string_view kind, std::string_view name) {
  return fmt::format("{}.rbac.authorization.k8s.io \"{}\" not found", kind == "Role" ? "role" : "clusterrole", name);
}

}  // namespace

std::string RbacAuthorizer::Binding::describe(const Subject& subject) const {
  std::string who = subject.name;
  if (subject.kind == "ServiceAccount") who += "/" + (subject.ns.empty() ? ns : subject.ns);
  return fmt::format("{} \"{}\" of {} \"{}\" to {} \"{}\"", ns.empty() ? "ClusterRoleBinding" : "RoleBinding",
                     ns.empty() ? name : name + "/" + ns, role_kind, role_name, subject.kind, who);
}

RbacAuthorizer::RbacAuthorizer(store::Store& store) : store_(store) {
  for (size_t kind = 0; kind < kKinds; ++kind) resources_[kind] = store.resource(kStorageNames[kind]);
  listener_ = store.add_listener([this](std::span<const store::ResourceId> resources, store::Revision) {
    for (const store::ResourceId id : resources)
      if (std::find(std::begin(resources_), std::end(resources_), id) != std::end(resources_)) changed_ = true;
  });
  WriteLock lock(mutex_);
  load();
}

RbacAuthorizer::~RbacAuthorizer() { store_.remove_listener(listener_); }

// Cursors first: what is published between them and the lists is then applied twice, which does no harm.
void RbacAuthorizer::load() {
  grants_.clear();
  for (auto& roles : roles_) roles.clear();
  for (auto& bindings : bindings_) bindings.clear();
  for (size_t kind = 0; kind < kKinds; ++kind) {
    auto cursor = store_.watch(resources_[kind], 0);
    auto listed = store_.list(resources_[kind], {});
    if (!cursor.ok() || !listed.ok()) {
      log::error("auth", "roles and bindings cannot be read", {{"resource", kStorageNames[kind]}});
      changed_ = true;
      continue;
    }
    cursors_[kind] = std::move(*cursor);
    for (const store::ObjectPtr& object : listed->objects) apply(static_cast<Kind>(kind), *object, false);
  }
}

void RbacAuthorizer::refresh() {
  if (!changed_.load()) return;
  WriteLock lock(mutex_);
  // Cleared before reading: what comes meanwhile sets it again. Others wait for the lock, since it was set until now.
  if (!changed_.exchange(false)) return;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    for (;;) {
      std::vector<store::EventPtr> events;
      if (!cursors_[kind] || !cursors_[kind]->next(kBatch, events).ok()) return load();  // fell behind
      for (const store::EventPtr& event : events)
        apply(static_cast<Kind>(kind), *event->object, event->type == store::EventType::kDeleted);
      if (events.size() < kBatch) break;
    }
  }
}

void RbacAuthorizer::apply(Kind kind, const store::Object& object, bool gone) {
  const auto document = gone ? Result<json::Document>(json::Document()) : json::parse(object.value);
  if (!document.ok()) return;
  if (kind == kClusterRoles || kind == kRoles) {
    auto& roles = roles_[kind];
    if (gone) {
      roles.erase(object.key);
    } else {
      roles[object.key] = std::make_shared<std::vector<PolicyRule>>(read_rules(json::find(*document, "rules")));
    }
    return;
  }
  auto& bindings = bindings_[kind - kClusterRoleBindings];
  if (const auto it = bindings.find(object.key); it != bindings.end()) {
    index(it->second, false);
    bindings.erase(it);
  }
  if (gone) return;
  auto binding = std::make_shared<Binding>();
  const size_t slash = object.key.find('/');
  if (kind == kRoleBindings && slash != std::string::npos) binding->ns = object.key.substr(0, slash);
  binding->name = kind == kRoleBindings ? object.key.substr(slash + 1) : object.key;
  binding->role_kind = json::get_string(*document, {"roleRef", "kind"});
  binding->role_name = json::get_string(*document, {"roleRef", "name"});
  if (const json::Value* subjects = json::find(*document, "subjects"); subjects && subjects->IsArray())
    for (const json::Value& subject : subjects->GetArray())
      binding->subjects.push_back({std::string(json::get_string(subject, "kind")),
                                   std::string(json::get_string(subject, "name")),
                                   std::string(json::get_string(subject, "namespace"))});
  index(binding, true);
  bindings[object.key] = std::move(binding);
}

void RbacAuthorizer::index(const std::shared_ptr<const Binding>& binding, bool add) {
  for (size_t i = 0; i < binding->subjects.size(); ++i) {
    const Subject& subject = binding->subjects[i];
    std::string key;
    if (subject.kind == "User") {
      key = grant_key(binding->ns, kUser, subject.name);
    } else if (subject.kind == "Group") {
      key = grant_key(binding->ns, kGroup, subject.name);
    } else if (subject.kind == "ServiceAccount") {
      const std::string& ns = subject.ns.empty() ? binding->ns : subject.ns;
      if (ns.empty()) continue;
      key = grant_key(binding->ns, kUser, fmt::format("system:serviceaccount:{}:{}", ns, subject.name));
    } else {
      continue;
    }
    auto& grants = grants_[key];
    if (add) {
      grants.push_back({binding, i});
    } else {
      std::erase_if(grants, [&](const Grant& grant) { return grant.binding == binding; });
      if (grants.empty()) grants_.erase(key);
    }
  }
}

RbacAuthorizer::Rules RbacAuthorizer::rules_of(const Binding& binding) const {
  const bool local = binding.role_kind == "Role";
  if (!local && binding.role_kind != "ClusterRole") return nullptr;
  const auto& roles = roles_[local ? kRoles : kClusterRoles];
  const auto it = local ? roles.find(binding.ns + "/" + binding.role_name) : roles.find(binding.role_name);
  return it == roles.end() ? nullptr : it->second;
}

void RbacAuthorizer::visit(const UserInfo& user, std::string_view ns, const Visit& visit) const {
  const auto look = [&](std::string_view scope, char kind, std::string_view name) KNARR_REQUIRES_SHARED(mutex_) {
    const auto found = grants_.find(grant_key(scope, kind, name));
    if (found == grants_.end()) return true;
    for (const Grant& grant : found->second)
      if (!visit(grant, rules_of(*grant.binding))) return false;
    return true;
  };
  for (const std::string_view scope : std::array<std::string_view, 2>{"", ns}) {
    if (!look(scope, kUser, user.name)) return;
    for (const std::string& group : user.groups)
      if (!look(scope, kGroup, group)) return;
    if (ns.empty()) return;
  }
}

Authorization RbacAuthorizer::authorize(const Attributes& attributes) {
  refresh();
  Authorization out;
  if (!attributes.user) return out;
  std::vector<std::string> errors;
  ReadLock lock(mutex_);
  visit(*attributes.user, attributes.ns, [&](const Grant& grant, const Rules& rules) {
    if (!rules) {
      errors.push_back(missing_role(grant.binding->role_kind, grant.binding->role_name));
      return true;
    }
    for (const PolicyRule& rule : *rules) {
      if (!rule_allows(rule, attributes)) continue;
      out.decision = Decision::kAllow;
      if (attributes.explain)
        out.reason = "RBAC: allowed by " + grant.binding->describe(grant.binding->subjects[grant.subject]);
      return false;
    }
    return true;
  });
  if (out.decision != Decision::kAllow && !errors.empty()) out.reason = "RBAC: " + aggregate(errors);
  return out;
}

void RbacAuthorizer::list_rules(const UserInfo& user, std::string_view ns, UserRules& out) {
  refresh();
  std::vector<const Binding*> seen;  // a binding may name both the user and a group of his
  std::vector<std::string> errors;
  ReadLock lock(mutex_);
  visit(user, ns, [&](const Grant& grant, const Rules& rules) {
    if (std::find(seen.begin(), seen.end(), grant.binding.get()) != seen.end()) return true;
    seen.push_back(grant.binding.get());
    if (rules) {
      out.rules.insert(out.rules.end(), rules->begin(), rules->end());
    } else {
      errors.push_back(missing_role(grant.binding->role_kind, grant.binding->role_name));
    }
    return true;
  });
  if (!errors.empty()) out.errors.push_back(aggregate(errors));
}

std::shared_ptr<const std::vector<PolicyRule>> RbacAuthorizer::role_rules(std::string_view kind, std::string_view name,
                                                                          std::string_view ns) {
  refresh();
  Binding binding;
  binding.ns = ns;
  binding.role_kind = kind;
  binding.role_name = name;
  ReadLock lock(mutex_);
  return rules_of(binding);
}

}  // namespace knarr::auth
