// Which capabilities a container gets: the set that containerd and Docker give by default, with what the pod adds and drops.
#pragma once

#include "knarr/linux/caps.h"
#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

// `available` is what the caller itself may hand on; what lies outside of it is left away. Error: BadRequest for an unknown name.
Result<linux::CapabilityMask> container_capabilities(const SecurityContext& security, linux::CapabilityMask available);

}  // namespace knarr::runtime
