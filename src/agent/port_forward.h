// Port-forward: connections of a client to ports of a pod, each a pair of SPDY streams (data and error), in a SPDY
// connection or inside a WebSocket (SPDY/3.1+portforward.k8s.io).
#pragma once

#include <functional>

#include "knarr/base/result.h"
#include "knarr/http/server.h"
#include "knarr/linux/fd.h"

namespace knarr::agent {

// Connects to the port on the loopback of the network namespace at `netns_path` ("": this process's own).
Result<linux::UniqueFd> dial_in_namespace(const std::string& netns_path, int port);

// Answers an upgrade request; `dial` is called for each connection, on a thread of its own. Error: no such upgrade.
Status accept_port_forward(const http::Request& request, http::Response& response,
                           std::function<Result<linux::UniqueFd>(int port)> dial);

}  // namespace knarr::agent
