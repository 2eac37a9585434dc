// The transport over HTTPS: what runs on another machine, or in another process.
#pragma once

#include <memory>

#include "knarr/base/result.h"
#include "knarr/client/client.h"
#include "knarr/http/client.h"

namespace knarr::client {

// Each watch has a connection and a thread of its own. A server that is silent for longer than its bookmarks allow is
// taken for gone.
Result<std::shared_ptr<Transport>> make_https_transport(http::ClientOptions options);
// The same over a client of the caller's.
std::shared_ptr<Transport> make_https_transport(std::shared_ptr<http::Client> client);

// The Status of an answer that is no success: a meta/v1.Status body as the server sent it, else one made from the HTTP
// code.
Status status_of_response(int code, std::string_view body);

}  // namespace knarr::client
