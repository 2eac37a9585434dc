#include "cli/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "knarr/apiserver/extract.h"
#include "knarr/auth/remote.h"
#include "knarr/codec/time.h"
#include "knarr/linux/tree.h"

namespace knarr::cli {

namespace {

using auth::Authorizer;

// An answer for everybody: modes for experiments.
class Constant : public Authorizer {
 public:
  explicit Constant(bool allow) : allow_(allow) {}
  auth::Authorization authorize(const auth::Attributes&) override {
    if (allow_) return {auth::Decision::kAllow, {}};
    return {auth::Decision::kNoOpinion, "Everything is forbidden."};
  }

 private:
  const bool allow_;
};

// The content of the file that an option names, which must be given.
Result<std::string> read_option(const Options& options, std::string_view name) {
  if (options.text(name).empty()) return bad_request(fmt::format("--{} is missing", name));
  auto text = linux::read_file(options.text(name));
  return text.ok() ? text : text.status().with_context(fmt::format("--{}", name));
}

Result<std::chrono::nanoseconds> duration_option(const Options& options, std::string_view name) {
  auto value = parse_duration(options.text(name));
  if (value.ok()) return value;
  return bad_request(fmt::format("--{} \"{}\": want a duration, like 30s or 5m", name, options.text(name)));
}

Result<int64_t> number_option(const Options& options, std::string_view name) {
  const std::string& text = options.text(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return bad_request(fmt::format("--{} \"{}\": want a number", name, text));
  return value;
}

Result<std::shared_ptr<auth::TokenSource>> make_oidc(const Options& options) {
  auth::OidcOptions oidc;
  oidc.issuer_url = options.text("oidc-issuer-url");
  oidc.client_id = options.text("oidc-client-id");
  oidc.username_claim = options.text("oidc-username-claim");
  if (options.is_set("oidc-username-prefix")) oidc.username_prefix = options.text("oidc-username-prefix");
  oidc.groups_claim = options.text("oidc-groups-claim");
  oidc.groups_prefix = options.text("oidc-groups-prefix");
  oidc.signing_algorithms = split_list(options.text("oidc-signing-algs"));
  if (!options.text("oidc-ca-file").empty()) {
    KNARR_ASSIGN(oidc.ca_pem, read_option(options, "oidc-ca-file"));
  }
  for (const std::string& claim : split_list(options.text("oidc-required-claim"))) {
    const size_t equals = claim.find('=');
    if (equals == std::string::npos || equals == 0)
      return bad_request(fmt::format("--oidc-required-claim \"{}\": want CLAIM=VALUE", claim));
    oidc.required_claims[claim.substr(0, equals)] = claim.substr(equals + 1);
  }
  return auth::make_oidc_tokens(std::move(oidc));
}

Result<apiserver::AuditOptions> make_audit(const Options& options) {
  apiserver::AuditOptions audit;
  if (options.text("audit-log-path").empty()) return audit;
  KNARR_ASSIGN(const std::string text, read_option(options, "audit-policy-file"));
  auto policy = auth::AuditPolicy::parse(text);
  if (!policy.ok()) return policy.status().with_context(options.text("audit-policy-file"));
  audit.policy = std::make_shared<const auth::AuditPolicy>(std::move(*policy));
  auth::AuditLogOptions log;
  log.path = options.text("audit-log-path");
  KNARR_ASSIGN(const int64_t megabytes, number_option(options, "audit-log-maxsize"));
  KNARR_ASSIGN(const int64_t files, number_option(options, "audit-log-maxbackup"));
  KNARR_ASSIGN(const int64_t days, number_option(options, "audit-log-maxage"));
  log.max_bytes = megabytes << 20;
  log.max_files = static_cast<int>(files);
  log.max_days = static_cast<int>(days);
  KNARR_ASSIGN(audit.log, auth::AuditLog::open(std::move(log)));
  return audit;
}

Result<std::shared_ptr<Authorizer>> make_authorizer(const Options& options, store::Store& store,
                                                    const AccessControl& access) {
  std::vector<std::shared_ptr<Authorizer>> parts = {auth::make_group_authorizer({std::string(auth::kGroupMasters)})};
  const auto modes = split_list(options.text("authorization-mode"));
  if (modes.empty()) return bad_request("--authorization-mode: at least one mode is needed");
  for (const std::string& mode : modes) {
    if (mode == "Node") {
      parts.push_back(auth::make_node_authorizer({.store = &store, .pods_by_node = apiserver::kIndexPodNode}));
    } else if (mode == "RBAC") {
      parts.push_back(access.rbac);
    } else if (mode == "ABAC") {
      KNARR_ASSIGN(const std::string text, read_option(options, "authorization-policy-file"));
      auto abac = auth::make_abac_authorizer(text);
      if (!abac.ok()) return abac.status().with_context(options.text("authorization-policy-file"));
      parts.push_back(std::move(*abac));
    } else if (mode == "Webhook") {
      auth::WebhookOptions webhook;
      KNARR_ASSIGN(webhook.kubeconfig, read_option(options, "authorization-webhook-config-file"));
      KNARR_ASSIGN(webhook.allowed_ttl, duration_option(options, "authorization-webhook-cache-authorized-ttl"));
      KNARR_ASSIGN(webhook.denied_ttl, duration_option(options, "authorization-webhook-cache-unauthorized-ttl"));
      KNARR_ASSIGN(auto authorizer, auth::make_webhook_authorizer(std::move(webhook)));
      parts.push_back(std::move(authorizer));
    } else if (mode == "AlwaysAllow" || mode == "AlwaysDeny") {
      parts.push_back(std::make_shared<Constant>(mode == "AlwaysAllow"));
    } else {
      return bad_request(
          fmt::format("--authorization-mode \"{}\": want Node, RBAC, ABAC, Webhook, AlwaysAllow or AlwaysDeny", mode));
    }
  }
  return auth::make_union_authorizer(std::move(parts));
}

}  // namespace

bool asks_webhooks(const Options& options) {
  const auto modes = split_list(options.text("authorization-mode"));
  return !options.text("authentication-token-webhook-config-file").empty() ||
         std::find(modes.begin(), modes.end(), "Webhook") != modes.end();
}

auth::ServiceAccountKeyFiles service_account_key_files(const Options& options, const Instance& instance) {
  return {.directory = instance.pki(),
          .signing_file = options.text("service-account-signing-key-file"),
          .further_files = split_list(options.text("service-account-key-file"))};
}

Result<AccessControl> make_access_control(const Options& options, const Instance& instance, store::Store& store) {
  AccessControl access;
  auth::ServiceAccountTokenOptions accounts;
  accounts.store = &store;
  accounts.issuer = options.text("service-account-issuer");
  accounts.api_audiences = split_list(options.text("api-audiences"));
  if (accounts.api_audiences.empty()) accounts.api_audiences = {accounts.issuer};
  KNARR_ASSIGN(accounts.keys,
               auth::load_service_account_keys(service_account_key_files(options, instance)));
  const std::vector<std::string> audiences = accounts.api_audiences;
  access.service_accounts = std::make_shared<auth::ServiceAccountTokens>(std::move(accounts));

  std::vector<std::shared_ptr<auth::TokenSource>> tokens = {access.service_accounts,
                                                            auth::make_bootstrap_tokens(store, Clock::system())};
  if (!options.text("oidc-issuer-url").empty()) {
    KNARR_ASSIGN(auto oidc, make_oidc(options));
    tokens.push_back(std::move(oidc));
  }
  if (!options.text("authentication-token-webhook-config-file").empty()) {
    auth::WebhookOptions webhook;
    KNARR_ASSIGN(webhook.kubeconfig, read_option(options, "authentication-token-webhook-config-file"));
    KNARR_ASSIGN(webhook.allowed_ttl, duration_option(options, "authentication-token-webhook-cache-ttl"));
    KNARR_ASSIGN(auto asked, auth::make_webhook_tokens(std::move(webhook)));
    tokens.push_back(std::move(asked));
  }
  access.tokens = auth::make_token_union(std::move(tokens), audiences);
  access.authenticator = auth::make_union_authenticator(
      {auth::make_certificate_authenticator(), auth::make_token_authenticator(access.tokens)});
  access.rbac = std::make_shared<auth::RbacAuthorizer>(store);
  KNARR_ASSIGN(access.authorizer, make_authorizer(options, store, access));
  KNARR_ASSIGN(access.audit, make_audit(options));
  return access;
}

}  // namespace knarr::cli
