// The kernel parameters that belong to a pod's namespaces.
#pragma once

#include <string>

#include "knarr/base/result.h"
#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

// The file of a parameter ("net.ipv4.ip_forward", or with slashes). Error: BadRequest when it does not lie in a namespace of
// the pod's own, so that setting it would change the host.
Result<std::string> sysctl_file(const std::string& name, const PodSandboxSpec& pod);

// Sets the pod's parameters, and those that every pod with a network of its own gets; called in its namespaces.
Status set_sysctls(const PodSandboxSpec& pod);

}  // namespace knarr::runtime
