#include "cli/access.h"

#include <fmt/format.h>

#include "knarr/apiserver/extract.h"

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

Result<AccessControl> make_access_control(const Options& options, const Instance& instance, store::Store& store) {
  AccessControl access;
  auth::ServiceAccountTokenOptions accounts;
  accounts.store = &store;
  accounts.issuer = options.text("service-account-issuer");
  accounts.api_audiences = split_list(options.text("api-audiences"));
  if (accounts.api_audiences.empty()) accounts.api_audiences = {accounts.issuer};
  KNARR_ASSIGN(accounts.keys,
               auth::load_service_account_keys(instance.pki(), options.text("service-account-signing-key-file"),
                                               split_list(options.text("service-account-key-file"))));
  const std::vector<std::string> audiences = accounts.api_audiences;
  access.service_accounts = std::make_shared<auth::ServiceAccountTokens>(std::move(accounts));

  std::vector<std::shared_ptr<auth::TokenSource>> tokens = {access.service_accounts,
                                                            auth::make_bootstrap_tokens(store, Clock::system())};
  access.tokens = auth::make_token_union(std::move(tokens), audiences);
  access.authenticator = auth::make_union_authenticator(
      {auth::make_certificate_authenticator(), auth::make_token_authenticator(access.tokens)});
  access.rbac = std::make_shared<auth::RbacAuthorizer>(store);
  KNARR_ASSIGN(access.authorizer, make_authorizer(options, store, access));
  return access;
}

}  // namespace knarr::cli
