// Who a request is from. Authenticators look at a request's credentials and name the user; what the user may do is
// authz.h.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/http/server.h"
#include "knarr/store/store.h"

namespace knarr::auth {

inline constexpr std::string_view kGroupMasters = "system:masters";
inline constexpr std::string_view kGroupNodes = "system:nodes";
inline constexpr std::string_view kGroupAuthenticated = "system:authenticated";
inline constexpr std::string_view kGroupUnauthenticated = "system:unauthenticated";
inline constexpr std::string_view kUserAnonymous = "system:anonymous";
inline constexpr std::string_view kCredentialId = "authentication.kubernetes.io/credential-id";  // an extra

struct UserInfo {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
  std::map<std::string, std::string> audit;  // annotations for the audit log about how this user was recognised

  bool in_group(std::string_view group) const;
};

// The user that this process itself is when it talks to its own API: may do everything.
UserInfo internal_user(std::string_view component);  // system:knarr:<component>, in system:masters
// Who sends a request without credentials.
UserInfo anonymous_user();
// A service account's user: its name, uid and groups.
UserInfo service_account_user(std::string_view ns, std::string_view name, std::string_view uid);

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

// Whose a token is, and which of the wanted audiences it is for.
struct TokenUser {
  UserInfo user;
  std::vector<std::string> audiences;
};

// Looks up the bearer tokens of requests. Thread-safe.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // Nothing for a token that is not of this source's kind or that it does not know; Unauthorized, with the reason, for
  // one of its kind that is no good. `audiences`: the token must be for one of them; empty: for this API server.
  virtual Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string> audiences) = 0;
  // False: its tokens name no audience, they are all for this API server.
  virtual bool knows_audiences() const { return false; }
};
// The bearer token of a request. One that no source knows is Unauthorized.
std::shared_ptr<Authenticator> make_token_authenticator(std::shared_ptr<TokenSource> tokens);
// The first of `parts` that knows the token. `api_audiences`: what this API server is called in tokens.
std::shared_ptr<TokenSource> make_token_union(std::vector<std::shared_ptr<TokenSource>> parts,
                                              std::vector<std::string> api_audiences);
// A fixed list of tokens; comparison takes the same time whatever the token is.
std::shared_ptr<TokenSource> make_static_tokens(std::vector<std::pair<std::string, UserInfo>> tokens);
// Tokens "<id>.<secret>" of the Secrets bootstrap-token-<id> in kube-system (type bootstrap.kubernetes.io/token) that
// are for authentication and have not expired.
std::shared_ptr<TokenSource> make_bootstrap_tokens(store::Store& store, const Clock& clock);

// The token of "Authorization: Bearer <token>"; "" when there is none.
std::string_view bearer_token(const http::Request& request);

// The first of `parts` that names a user wins; credentials that none accepts are Unauthorized.
std::shared_ptr<Authenticator> make_union_authenticator(std::vector<std::shared_ptr<Authenticator>> parts);

}  // namespace knarr::auth
