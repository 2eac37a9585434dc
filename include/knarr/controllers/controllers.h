// The controllers: loops that bring what is towards what is asked for. One file a controller, one table of them all.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "knarr/apiserver/rest.h"
#include "knarr/auth/authz.h"
#include "knarr/auth/pki.h"
#include "knarr/auth/service_account.h"
#include "knarr/base/clock.h"
#include "knarr/client/client.h"

namespace knarr::controllers {

struct Options {
  std::shared_ptr<client::Transport> transport;
  apiserver::Rest* rest = nullptr;  // what the transport leads to: for controllers that read the store's own index
  // Whom to trust, as it is now: published to every namespace as ConfigMap kube-root-ca.crt.
  std::function<std::string()> trusted_ca = [] { return std::string(); };
  const auth::CertificateAuthority* ca = nullptr;  // signs CertificateSigningRequests; null: nothing does
  // While an authority is turned back: a node has followed, or may have. On a controller's thread; must not wait.
  std::function<void()> node_followed = [] {};
  std::shared_ptr<auth::Authorizer> authorizer;    // says which nodes may have certificates; null: none
  std::shared_ptr<const auth::ServiceAccountTokens> service_accounts;  // makes the tokens that live in Secrets
  std::string cluster_cidr;                                            // nodes get their share of it
  milliseconds node_monitor_grace{50'000};                             // a node that is silent for longer is not ready
  const Clock* clock = &Clock::system();
};

// Makes what every cluster has from its first second on: the namespaces default, kube-system, kube-public,
// kube-node-lease, and the priority classes of what the cluster itself needs.
Status bootstrap(client::Transport& transport);
// Where the API is to be found from inside the cluster.
struct ApiAddress {
  std::string service_cidr, service_address;  // 10.96.0.0/16, 10.96.0.1
  std::string address;                        // IPv4, of this server
  int port = 6443;
};
// Makes the service "kubernetes" with its endpoints, and the ServiceCIDR that its address is of.
Status publish_api(client::Transport& transport, const ApiAddress& api);
// Makes and mends the default roles and bindings (RBAC) of every cluster.
Status reconcile_default_rbac(client::Transport& transport);

class Controllers {
 public:
  virtual ~Controllers() = default;  // stops all
  virtual void authority_changed() = 0;  // trusted_ca() answers something else now
};
std::unique_ptr<Controllers> start(Options options);

}  // namespace knarr::controllers
