// What the kernel is asked to hold containers and pods to: from requests and limits to cgroup figures, and which group a pod
// belongs to. Pure; Kubernetes' own arithmetic.
#pragma once

#include <string>

#include "agent/machine.h"
#include "knarr/runtime/runtime.h"

namespace knarr::agent {

// All pods of the node, and within it those of the two classes that do not get all they may use.
inline constexpr const char* kPodsGroup = "kubepods";
inline constexpr const char* kBurstableGroup = "kubepods/burstable";
inline constexpr const char* kBestEffortGroup = "kubepods/besteffort";

runtime::Resources container_resources(const core::ResourceRequirements& wanted);

// Of the pod's own group: the sum of its containers or what its largest init container asks for, and a limit only where each
// container has one. `max_pids`: 0 is no limit.
runtime::Resources pod_resources(const core::Pod& pod, int64_t max_pids = 0);
std::string pod_group(const core::Pod& pod);  // the parent of that

// What pods together may take, so that the node itself goes on when they want more.
runtime::Resources node_resources(const Machine& machine, const Usage& usage);

int64_t cpu_request_milli(const core::Pod& pod);
int64_t cpu_shares_of_milli(int64_t milli);

}  // namespace knarr::agent
