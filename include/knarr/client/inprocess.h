// The transport of what runs inside the server: straight to the REST verbs, with the same admission and validation as
// over HTTPS.
#pragma once

#include <memory>

#include "knarr/apiserver/rest.h"
#include "knarr/auth/authn.h"
#include "knarr/client/client.h"

namespace knarr::client {

// `rest` outlives the transport and its watches. All watches of a transport are served by one thread of it, which waits
// for the store's publications and for nothing else.
std::shared_ptr<Transport> make_inprocess_transport(apiserver::Rest& rest, auth::UserInfo user);

}  // namespace knarr::client
