// Role-based access control: rules that Roles hold and bindings give to users, groups and service accounts.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "knarr/auth/authz.h"
#include "knarr/base/sync.h"
#include "knarr/codec/json.h"
#include "knarr/store/store.h"

namespace knarr::auth {

// Rules.
std::vector<PolicyRule> read_rules(const json::Value* rules);  // of a Role's "rules"; null gives none
bool rule_allows(const PolicyRule& rule, const Attributes& attributes);
// The rules of `wanted`, each broken down to one verb on one thing, that `held` does not cover.
std::vector<PolicyRule> uncovered_rules(std::span<const PolicyRule> held, std::span<const PolicyRule> wanted);
// Why a user who holds `held` may not hand out `wanted`, in upstream's words; "" when he may.
std::string escalation_refusal(const UserInfo& user, std::span<const PolicyRule> held,
                               std::span<const PolicyRule> wanted, std::span<const std::string> errors);

// Answers from the store's Roles and bindings: kept compiled, by whom they speak of, and brought up to date with what
// the store published since the last question. An answer costs what the rules of that user cost, however many bindings
// there are. Thread-safe.
class RbacAuthorizer : public Authorizer {
 public:
  explicit RbacAuthorizer(store::Store& store);  // which outlives it
  ~RbacAuthorizer() override;

  Authorization authorize(const Attributes& attributes) override;
  void list_rules(const UserInfo& user, std::string_view ns, UserRules& out) override;
  // The rules of the role that a binding in `ns` refers to; null: there is no such role.
  std::shared_ptr<const std::vector<PolicyRule>> role_rules(std::string_view kind, std::string_view name,
                                                            std::string_view ns);

 private:
  enum Kind : size_t { kClusterRoles, kRoles, kClusterRoleBindings, kRoleBindings, kKinds };
  struct Subject {
    std::string kind, name, ns;
  };
  struct Binding {
    std::string ns, name;  // ns "": a ClusterRoleBinding
    std::string role_kind, role_name;
    std::vector<Subject> subjects;
    std::string describe(const Subject& subject) const;
  };
  struct Grant {
    std::shared_ptr<const Binding> binding;
    size_t subject;
  };
  using Rules = std::shared_ptr<const std::vector<PolicyRule>>;

  void refresh() KNARR_EXCLUDES(mutex_);
  void load() KNARR_REQUIRES(mutex_);
  void apply(Kind kind, const store::Object& object, bool gone) KNARR_REQUIRES(mutex_);
  void index(const std::shared_ptr<const Binding>& binding, bool add) KNARR_REQUIRES(mutex_);
  Rules rules_of(const Binding& binding) const KNARR_REQUIRES_SHARED(mutex_);
  // Calls `visit` with each binding that speaks of the user, until it answers false.
  using Visit = std::function<bool(const Grant& grant, const Rules& rules)>;
  void visit(const UserInfo& user, std::string_view ns, const Visit& visit) const KNARR_REQUIRES_SHARED(mutex_);

  store::Store& store_;
  store::ResourceId resources_[kKinds];
  uint64_t listener_ = 0;
  std::atomic<bool> changed_{false};  // something was published that is not in the tables yet

  SharedMutex mutex_;
  std::unique_ptr<store::Cursor> cursors_[kKinds] KNARR_GUARDED_BY(mutex_);
  std::map<std::string, Rules, std::less<>> roles_[2] KNARR_GUARDED_BY(mutex_);  // by Kind and key
  std::map<std::string, std::shared_ptr<const Binding>, std::less<>> bindings_[2] KNARR_GUARDED_BY(mutex_);
  // By namespace ("" for the whole cluster) and subject.
  std::unordered_map<std::string, std::vector<Grant>> grants_ KNARR_GUARDED_BY(mutex_);
};

// The roles and bindings that every cluster has, as upstream defines them.
struct DefaultObject {
  std::string_view plural, ns, name;  // ns "" for the whole cluster
  std::string json;
};
std::vector<DefaultObject> default_rbac_objects();

// What has to be written so that `existing` (null: absent) grants what the default `wanted` does and keeps what was
// added to it: a whole object's JSON, or "" when nothing has to be. An object whose annotation
// rbac.authorization.kubernetes.io/autoupdate is "false" is left alone. A binding to another role cannot be changed:
// `replace` says that it has to be deleted and made anew.
std::string reconciled(const json::Value& wanted, const json::Value* existing, bool& replace);

}  // namespace knarr::auth
