// What this kernel and our rights in it give to containers.
#pragma once

#include <string>

#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

struct Probe {
  Capabilities capabilities;
  std::string cgroup_root;  // where v2 is mounted; "" without
};
Probe probe_kernel();

}  // namespace knarr::runtime
