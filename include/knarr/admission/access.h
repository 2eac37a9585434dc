// The plugins that keep users and nodes from giving themselves more than they have.
#pragma once

#include <functional>
#include <memory>

#include "knarr/apiserver/admission.h"
#include "knarr/auth/rbac.h"
#include "knarr/schema/catalog.h"

namespace knarr::admission {

struct AccessOptions {
  std::shared_ptr<auth::RbacAuthorizer> rbac;    // who holds which rules
  std::shared_ptr<auth::Authorizer> authorizer;  // who may escalate and bind
  std::function<schema::CatalogPtr()> catalog;    // which resource is of a kind; asked when there are requests
};

// Puts NodeRestriction, the checks of roles and bindings and those of admission policies' parameters where they belong in the chain. `store` must outlive it.
void add_access_plugins(apiserver::AdmissionChain& chain, store::Store& store, const AccessOptions& options);

}  // namespace knarr::admission
