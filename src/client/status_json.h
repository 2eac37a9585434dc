// meta/v1.Status objects as the client reads them.
#pragma once

#include <string_view>

#include "knarr/base/status.h"

namespace knarr::client {

// The error that a meta/v1.Status object says; an InternalError that tells so when the text is none or says Success.
Status parse_status(std::string_view text);

}  // namespace knarr::client
