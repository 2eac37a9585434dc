// ServiceAccount tokens: JSON Web Tokens that this server signs, and checks against the objects that they are bound to.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/authn.h"
#include "knarr/auth/jwt.h"
#include "knarr/auth/service_account_keys.h"
#include "knarr/base/sync.h"
#include "knarr/store/store.h"

namespace knarr::auth {

// An object that a token speaks of.
struct ObjectRef {
  std::string name, uid;
};

// What a token is to say.
struct TokenClaims {
  std::string id;  // of the token itself
  std::string ns, account, account_uid;
  std::vector<std::string> audiences;
  seconds lifetime{3600};
  std::optional<seconds> warn_after;           // the token still holds then, but its use is stale
  std::optional<ObjectRef> pod, node, secret;  // it ends with them (a pod's node is only told)
};

struct ServiceAccountTokenOptions {
  store::Store* store = nullptr;
  const Clock* clock = &Clock::system();
  std::string issuer;
  std::vector<std::string> api_audiences;  // what this server is called in tokens
  ServiceAccountKeys keys;                 // to begin with
};

// Thread-safe. A token that was verified once is remembered for a while; the objects behind it are looked at each time.
class ServiceAccountTokens : public TokenSource {
 public:
  explicit ServiceAccountTokens(ServiceAccountTokenOptions options);

  Result<std::string> issue(const TokenClaims& claims) const;
  // The token that lives in a Secret of type kubernetes.io/service-account-token: without end or audience.
  Result<std::string> issue_for_secret(const TokenClaims& claims) const;
  Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string> audiences) override;
  bool knows_audiences() const override { return true; }

  // Signs and verifies with these from now on.
  void use_keys(ServiceAccountKeys keys);
  // Whether a token was signed with the key that gave way to the one that signs now.
  bool is_by_replaced_key(std::string_view token) const;

  const std::vector<std::string>& api_audiences() const { return options_.api_audiences; }
  // /openid/v1/jwks and /.well-known/openid-configuration; `url` is where clients reach this server.
  std::string jwks_json() const;
  std::string discovery_json(std::string_view url) const;

 private:
  // What is known of a token whose signature is good.
  struct Verified {
    TokenClaims claims;
    bool legacy = false;
    int64_t not_before = 0, issued_at = 0, expires = 0;  // 0: not told
    // Revisions of the objects that were found right, so that they need not be read again.
    store::Revision account_seen = 0, pod_seen = 0, node_seen = 0, secret_seen = 0;
  };
  Result<std::shared_ptr<Verified>> verify(std::string_view token) const;
  Status check_times(const Verified& token) const;
  Status check_objects(Verified& token) const KNARR_REQUIRES(mutex_);
  Status check_object(store::ResourceId resource, std::string_view ns, const ObjectRef& ref, std::string_view what,
                      store::Revision& seen) const;

  using Keys = std::shared_ptr<const ServiceAccountKeys>;
  Keys keys() const;

  const ServiceAccountTokenOptions options_;
  const store::ResourceId accounts_, pods_, nodes_, secrets_;
  mutable Mutex mutex_;
  Keys keys_ KNARR_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Verified>> cache_ KNARR_GUARDED_BY(mutex_);  // by the token's hash
};

}  // namespace knarr::auth
