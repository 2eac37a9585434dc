// The node's own API over HTTPS, for the API server: logs, exec, attach, and what runs here. Only the server and
// administrators may use it: their certificates are signed by the cluster's authority.
#pragma once

#include <memory>
#include <string>

#include "agent/log_file.h"
#include "agent/pods.h"
#include "knarr/http/server.h"

namespace knarr::agent {

struct NodeApiOptions {
  std::string address;
  int port = 0;  // another free one when it is taken
  std::string certificate_file, key_file, client_ca_file;
  std::function<Status()> health;
};

class NodeApi {
 public:
  static Result<std::unique_ptr<NodeApi>> start(NodeApiOptions options, Pods& pods, runtime::Runtime& runtime);
  virtual ~NodeApi() = default;  // ends streams that run
  virtual int port() const = 0;
  virtual Status reload_tls() = 0;  // the files of certificates are others now
};

// What /containerLogs takes from its query. Error: BadRequest.
Result<LogQuery> parse_log_query(const http::Request& request, WallTime now);

// Whether this certificate may use the API.
bool may_use_node_api(const std::optional<http::PeerCertificate>& peer);

}  // namespace knarr::agent
