// Who a request is from. Authenticators look at a request's credentials and name the user; what the user may do is
// authz.h.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/http/server.h"

namespace knarr::auth {

inline constexpr std::string_view kGroupMasters = "system:masters";
inline constexpr std::string_view kGroupNodes = "system:nodes";
inline constexpr std::string_view kGroupAuthenticated = "system:authenticated";

struct UserInfo {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;

  bool in_group(std::string_view group) const;
};

// The user that this process itself is when it talks to its own API: may do everything.
UserInfo internal_user(std::string_view component);  // system:knarr:<component>, in system:masters

// Thread-safe.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // The user; nothing when the request carries no credentials of the kind that this authenticator knows; Unauthorized
  // when it carries such credentials and they are no good. Authenticated users are in system:authenticated.
  virtual Result<std::optional<UserInfo>> authenticate(const http::Request& request) = 0;
};

// A client certificate that the TLS layer verified: CN is the user, O are the groups.
std::shared_ptr<Authenticator> make_certificate_authenticator();

// Looks up the bearer tokens of requests. Answers nothing for a token that it does not know. Thread-safe.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual Result<std::optional<UserInfo>> lookup(std::string_view token) = 0;
};
std::shared_ptr<Authenticator> make_token_authenticator(std::shared_ptr<TokenSource> tokens);
// A fixed list of tokens; comparison takes the same time whatever the token is.
std::shared_ptr<TokenSource> make_static_tokens(std::vector<std::pair<std::string, UserInfo>> tokens);

// The first of `parts` that names a user wins; credentials that none accepts are Unauthorized.
std::shared_ptr<Authenticator> make_union_authenticator(std::vector<std::shared_ptr<Authenticator>> parts);

}  // namespace knarr::auth
