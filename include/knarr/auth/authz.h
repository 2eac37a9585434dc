// What a user may do.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/authn.h"
#include "knarr/base/status.h"
#include "knarr/store/store.h"

namespace knarr::auth {

// One question to an authoriser; the views live as long as the question.
struct Attributes {
  const UserInfo* user = nullptr;
  std::string_view
      verb;  // get, list, watch, create, update, patch, delete, deletecollection; for paths the method in lower case
  bool resource_request = false;
  std::string_view group, version, resource, subresource, ns, name;  // resource requests
  std::string_view field_selector;                                   // of lists and watches, as sent
  std::string_view path;                                             // all requests
  bool explain = false;                                              // the reason is wanted even when it is allowed
};

// What somebody may do: verbs on resources, or on paths. As rbac.authorization.k8s.io/v1 PolicyRule.
struct PolicyRule {
  std::vector<std::string> verbs, api_groups, resources, resource_names, non_resource_urls;
  bool operator==(const PolicyRule&) const = default;
};

// The rules of a user in a namespace, as far as an authoriser can list them.
struct UserRules {
  std::vector<PolicyRule> rules;
  bool incomplete = false;
  std::vector<std::string> errors;  // why, and what could not be resolved
};

enum class Decision { kDeny, kAllow, kNoOpinion };

struct Authorization {
  Decision decision = Decision::kNoOpinion;
  std::string reason;  // shown to the user behind a refusal
  std::string error;   // why there is no opinion although there should be one; "": nothing went wrong
};

// Thread-safe.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual Authorization authorize(const Attributes& attributes) = 0;
  // Adds what it can tell of the user's rules; those who can list none add nothing.
  virtual void list_rules(const UserInfo&, std::string_view /*ns*/, UserRules&) {}
};

struct NodeAuthorizerOptions {
  store::Store* store = nullptr;
  uint32_t pods_by_node = 0;  // the store's index of pods by their node
};
// What nodes (users system:node:<name> in system:nodes) may do: their own objects, their pods, and what these refer to.
std::shared_ptr<Authorizer> make_node_authorizer(NodeAuthorizerOptions options);
// The name of the node that a user is; nothing for everybody else.
std::optional<std::string_view> node_name_of(const UserInfo& user);

// Everything is allowed to members of these groups; no opinion on others.
std::shared_ptr<Authorizer> make_group_authorizer(std::vector<std::string> groups);
// The first opinion of `parts` wins.
std::shared_ptr<Authorizer> make_union_authorizer(std::vector<std::shared_ptr<Authorizer>> parts);

// The Forbidden (403) of a refusal, with upstream's wording.
Status forbidden(const Attributes& attributes, std::string_view reason);

}  // namespace knarr::auth
