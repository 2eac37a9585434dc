// What cgroups hold processes to, and limits that a process sets for itself before it gives up its rights. Where the kernel lets it go less far than was asked
// (no CAP_SYS_RESOURCE), it goes as far as it may: the agent tells that in a node condition.
#pragma once

#include <cstdint>
#include <string>

#include "knarr/base/result.h"
#include "knarr/linux/cgroup.h"
#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

// Where pods' groups lie when they do not say it, and where their shims are, away from what the service manager watches.
inline constexpr const char* kPodsGroup = "kubepods";
inline constexpr const char* kShimsGroup = "knarr";

linux::CgroupLimits group_limits(const Resources& resources);      // of several containers together
linux::CgroupLimits container_limits(const Resources& resources);  // and what holds for each container alone

Status set_oom_score(int adjustment);  // -1000..1000, of the calling process

// "RLIMIT_NOFILE" or "nofile". Error: BadRequest for a name that is none.
Status set_limit(const std::string& name, uint64_t soft, uint64_t hard);

}  // namespace knarr::runtime
