// Capability sets as 64-bit masks, their names, and the calling thread's own sets. Source: capabilities(7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr::linux {

using CapabilityMask = uint64_t;  // bit n: capability n

// "NET_ADMIN" or "CAP_NET_ADMIN", any case. Error: BadRequest for a name that is none.
Result<int> parse_capability(std::string_view name);
std::string capability_name(int capability);  // "CAP_NET_ADMIN"; "CAP_99" for one that is not known here

CapabilityMask known_capabilities();               // those that the running kernel has
Result<CapabilityMask> permitted_capabilities();   // the calling thread's
bool has_capability(int capability);               // effective, of the calling thread

// Steps of a thread that gives up rights, in their order: the bounding set while it still has CAP_SETPCAP, then (after the
// change of user) the others. Ambient ones are set to `ambient`, which must lie within permitted and inheritable.
Status limit_bounding_set(CapabilityMask keep);
Status set_capabilities(CapabilityMask permitted, CapabilityMask effective, CapabilityMask inheritable, CapabilityMask ambient);

}  // namespace knarr::linux
