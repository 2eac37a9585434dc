// What the files that hand a client's connection on to pods and nodes share.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "knarr/http/client.h"
#include "server_impl.h"

namespace knarr::apiserver {

// Passes an upgrade request on, and what follows it both ways.
void relay_upgrade(http::Client& node, const http::ClientRequest& wanted, http::Stream& client, std::string_view early);

// A node by its name, and a client for its API.
Result<NodeAddress> find_node(Rest& rest, const std::string& name);
Result<std::shared_ptr<http::Client>> client_of_node(Rest& rest, NodeProxy* nodes, const std::string& node);

// An error as the whole answer.
void reply_status(http::Reply& reply, const Status& status);

// pods/proxy, services/proxy and nodes/proxy.
Status serve_proxy(Rest& rest, NodeProxy* nodes, const Target& target, Exchange& exchange);

}  // namespace knarr::apiserver
