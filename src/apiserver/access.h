// Who a request is from, whom it speaks for, and whether it may be served.
#pragma once

#include "server_impl.h"

namespace knarr::apiserver {

// The user of the request's credentials; with none and where `anonymous` is allowed system:anonymous; else 401.
Status authenticate(auth::Authenticator* authenticator, bool anonymous, Exchange& exchange);
// Makes the user that Impersonate-* headers name the request's user, if the one who asks may.
Status impersonate(auth::Authorizer* authorizer, Exchange& exchange);
// 403 unless the request's user may do what it asks for.
Status authorize(auth::Authorizer* authorizer, Exchange& exchange);

}  // namespace knarr::apiserver
