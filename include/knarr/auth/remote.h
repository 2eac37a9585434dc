// Deciders outside of this process: OpenID Connect issuers, webhooks for tokens and for authorisation, and a file of
// ABAC policies.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "knarr/auth/authn.h"
#include "knarr/auth/authz.h"

namespace knarr::auth {

struct OidcOptions {
  std::string issuer_url;  // https://...; what tokens call their issuer
  std::string client_id;   // the audience that they must have
  std::string username_claim = "sub";
  std::optional<std::string> username_prefix;  // none: the issuer and "#", but for the claim email; "-": nothing
  std::string groups_claim, groups_prefix;
  std::map<std::string, std::string> required_claims;
  std::string ca_pem;  // who signs the issuer's certificate; "": the system's authorities
  std::vector<std::string> signing_algorithms = {"RS256"};
  const Clock* clock = &Clock::system();
};
// The issuer's keys are fetched on a thread of the source's own, at first and when a token names an unknown one; no
// request waits for that longer than a moment. Error: options that cannot work.
Result<std::shared_ptr<TokenSource>> make_oidc_tokens(OidcOptions options);

struct WebhookOptions {
  std::string kubeconfig;  // the text of the file: where, and with which credentials
  std::chrono::nanoseconds allowed_ttl{std::chrono::minutes(5)}, denied_ttl{seconds(30)};
  const Clock* clock = &Clock::system();
};
// Threads that may wait for one webhook at the same time: a server that asks webhooks needs more than that.
inline constexpr int kWebhookWaiters = 16;
// Asks with a SubjectAccessReview; where it cannot be asked it has no opinion, but an error. After
// some failures in a row it is left alone for a second.
Result<std::shared_ptr<Authorizer>> make_webhook_authorizer(WebhookOptions options);
// Asks with a TokenReview; `allowed_ttl` is for how long any answer is kept.
Result<std::shared_ptr<TokenSource>> make_webhook_tokens(WebhookOptions options);

// Policies of abac.authorization.kubernetes.io/v1beta1, one JSON object a line. Error: the line that is none.
Result<std::shared_ptr<Authorizer>> make_abac_authorizer(std::string_view policies);

}  // namespace knarr::auth
