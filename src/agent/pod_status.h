// A pod's status as its node tells it: a pure function of the Pod object and of what the agent knows. Source: the
// kubelet's observable behaviour in Kubernetes 1.36.
#pragma once

#include "agent/pod_view.h"

namespace knarr::agent {

// The whole new status. What others own in `pod.status` (their conditions, qosClass, nominatedNodeName) is kept, and a
// condition that does not change keeps its transition time. `final`: nothing of the pod runs any more and nothing will,
// whatever its policy.
core::PodStatus make_status(const core::Pod& pod, const PodView& view, WallTime now, bool final = false);

// The strategic merge patch that makes a server's `before` into `after`; "" when they are the same.
std::string status_patch(const std::string& uid, const core::PodStatus& before, const core::PodStatus& after);

}  // namespace knarr::agent
