// When the old key of ServiceAccount tokens may be forgotten.
#pragma once

#include "knarr/auth/service_account.h"
#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/store/store.h"

namespace knarr::cli {

// Conflict: tokens of the key that was replaced are still in use, as far as it can be known: in token Secrets, in pods, which get new
// ones before the old ones end, and with others that may remember this server's keys for an hour. OK when no rotation is under way.
Status check_account_key_unused(store::Store& store, const auth::ServiceAccountTokens& tokens, const std::string& directory,
                                const Clock& clock);

}  // namespace knarr::cli
