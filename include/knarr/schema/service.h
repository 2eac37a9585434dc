// What must be right about a Service before addresses are looked for.
#pragma once

#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"

namespace knarr::schema {

// Errors in the service's addresses and their families. `old` is null on create.
std::vector<Cause> service_address_errors(const json::Value& service, const json::Value* old);

}  // namespace knarr::schema
