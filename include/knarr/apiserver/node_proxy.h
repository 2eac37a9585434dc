// How the API server reaches a node's own API (logs, exec, attach, port-forward).
#pragma once

#include <memory>
#include <string>

#include "knarr/base/result.h"
#include "knarr/http/client.h"

namespace knarr::apiserver {

struct NodeAddress {
  std::string node;  // metadata.name
  std::string host;  // an address of its status
  int port = 0;      // status.daemonEndpoints.kubeletEndpoint.Port
};

// Thread-safe. One implementation dials the node; another may use a connection that the node opened (nodes behind NAT).
class NodeProxy {
 public:
  virtual ~NodeProxy() = default;
  virtual Result<std::shared_ptr<http::Client>> client(const NodeAddress& address) = 0;
  // The files of certificates are others now: new connections use these.
  virtual Status reload_tls() { return {}; }
};

// Dials https://host:port with `base`'s certificate authority and client certificate; keeps one client for each
// address.
std::shared_ptr<NodeProxy> make_direct_node_proxy(http::ClientOptions base);

}  // namespace knarr::apiserver
