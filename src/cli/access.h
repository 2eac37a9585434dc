// Who may do what, put together from the server's options: authenticators, authorisers, the audit log.
#pragma once

#include "cli/instance.h"
#include "knarr/apiserver/server.h"
#include "knarr/auth/rbac.h"
#include "knarr/auth/service_account.h"

namespace knarr::cli {

struct AccessControl {
  std::shared_ptr<auth::ServiceAccountTokens> service_accounts;
  std::shared_ptr<auth::TokenSource> tokens;
  std::shared_ptr<auth::Authenticator> authenticator;
  std::shared_ptr<auth::RbacAuthorizer> rbac;
  std::shared_ptr<auth::Authorizer> authorizer;
  apiserver::AuditOptions audit;
};

// Errors: options that do not fit, files that cannot be read. `store` must outlive what is made.
Result<AccessControl> make_access_control(const Options& options, const Instance& instance, store::Store& store);

// The keys of ServiceAccount tokens.
auth::ServiceAccountKeyFiles service_account_key_files(const Options& options, const Instance& instance);

// Whether requests may have to wait for services elsewhere.
bool asks_webhooks(const Options& options);

}  // namespace knarr::cli
