// What a user may do.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/authn.h"
#include "knarr/base/status.h"

namespace knarr::auth {

// One question to an authoriser; the views live as long as the question.
struct Attributes {
  const UserInfo* user = nullptr;
  std::string_view
      verb;  // get, list, watch, create, update, patch, delete, deletecollection; for paths the method in lower case
  bool resource_request = false;
  std::string_view group, version, resource, subresource, ns, name;  // resource requests
  std::string_view path;                                             // all requests
};

enum class Decision { kDeny, kAllow, kNoOpinion };

struct Authorization {
  Decision decision = Decision::kNoOpinion;
  std::string reason;  // shown to the user behind a refusal
};

// Thread-safe.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual Authorization authorize(const Attributes& attributes) = 0;
};

// Everything is allowed to members of these groups; no opinion on others.
std::shared_ptr<Authorizer> make_group_authorizer(std::vector<std::string> groups);
// The first opinion of `parts` wins.
std::shared_ptr<Authorizer> make_union_authorizer(std::vector<std::shared_ptr<Authorizer>> parts);

// The Forbidden (403) of a refusal, with upstream's wording.
Status forbidden(const Attributes& attributes, std::string_view reason);

}  // namespace knarr::auth
