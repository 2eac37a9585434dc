// The options of writes (meta/v1 CreateOptions and so on), as they stand in the query.
#pragma once

#include "knarr/apiserver/rest.h"
#include "server_impl.h"

namespace knarr::apiserver {

// `options_kind`: CreateOptions, UpdateOptions, PatchOptions or DeleteOptions, as errors name them. Error: Invalid.
Result<RequestContext> make_context(const Exchange& exchange, std::string_view options_kind);

}  // namespace knarr::apiserver
