// The API server's HTTP front: routing, request pipeline, discovery and the connections to nodes, above Rest.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "knarr/apiserver/node_proxy.h"
#include "knarr/apiserver/rest.h"
#include "knarr/auth/audit.h"
#include "knarr/auth/authn.h"
#include "knarr/auth/authz.h"
#include "knarr/auth/service_account.h"
#include "knarr/http/server.h"

namespace knarr::apiserver {

// Which requests are recorded, and where. Without either none is.
struct AuditOptions {
  std::shared_ptr<const auth::AuditPolicy> policy;
  std::shared_ptr<auth::AuditLog> log;
};

struct ApiServerOptions {
  Rest* rest = nullptr;
  std::shared_ptr<auth::Authenticator> authenticator;
  std::shared_ptr<auth::TokenSource> tokens;                     // for TokenReviews
  std::shared_ptr<auth::ServiceAccountTokens> service_accounts;  // optional: their keys are told to who may ask
  std::shared_ptr<auth::Authorizer> authorizer;
  bool anonymous = true;                  // requests without credentials are system:anonymous, else Unauthorized
  AuditOptions audit;
  std::shared_ptr<NodeProxy> node_proxy;  // optional: without it logs and exec answer 503
  std::string external_address;           // host:port that /api tells clients as serverAddressByClientCIDRs
  std::string version_suffix = "knarr";   // of /version's gitVersion: v1.36.3+knarr
  int seats = 600;                        // requests that are worked on at once, shared out by priority levels
  std::string foreign_prefix;             // paths that another handler, in front of this one, answers: they need no seat
};

class ApiServer {
 public:
  static std::unique_ptr<ApiServer> make(ApiServerOptions options);
  virtual ~ApiServer() = default;  // detach()

  // For http::Server::start and http::ServerOptions::gate; the ApiServer outlives the server. The gate finds out who sends a
  // request and makes it wait for its turn; a handler without its gate refuses what would have to wait.
  virtual http::Handler handler() = 0;
  virtual http::Gate& gate() = 0;
  // For http::ServerOptions::error_body: a Status object.
  static void error_body(int code, std::string_view message, http::Response& response);

  // Connects the store's publications to the server's pump: watches wake up from then on. After Server::start.
  virtual void attach(http::Pump& pump) = 0;
  virtual void detach() = 0;  // before the server goes

  // A named check of /readyz (and /livez and /healthz when `live`): OK or what is wrong. Before the server starts.
  virtual void add_check(std::string name, bool live, std::function<Status()> check) = 0;
};

}  // namespace knarr::apiserver
