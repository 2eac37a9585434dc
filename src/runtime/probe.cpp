#include "runtime/probe.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include "knarr/linux/caps.h"
#include "knarr/linux/cgroup.h"
#include "knarr/linux/devices.h"
#include "runtime/limits.h"

namespace knarr::runtime {

namespace {

bool try_device_filter(const linux::CgroupHierarchy& hierarchy) {
  const auto group = hierarchy.create(fmt::format("{}/probe-{}", kPodsGroup, getpid()));
  if (!group.ok()) return false;
  const bool works = linux::allow_only_devices(*group, {}).ok();
  (void)group->remove();
  return works;
}

}  // namespace

Probe probe_kernel() {
  Probe probe;
  Capabilities& found = probe.capabilities;
  const auto hierarchy = linux::CgroupHierarchy::detect();
  if (!hierarchy.ok()) {
    found.missing.push_back(hierarchy.status().message() + ": resource limits are not enforced");
  } else if (const auto group = hierarchy->create(fmt::format("{}/.", kPodsGroup)); !group.ok()) {
    found.missing.push_back(group.status().message() + ": resource limits are not enforced");
  } else {
    probe.cgroup_root = hierarchy->root();
    found.cgroup_v2 = true;
    const auto controllers = hierarchy->controllers(kPodsGroup);
    const auto check = [&](const char* controller, bool& here, const char* what) {
      here = controllers.count(controller) != 0;
      if (!here) found.missing.push_back(std::string("no cgroup v2 ") + controller + " controller: " + what + " limits are not enforced");
    };
    check("memory", found.memory_limits, "memory");
    check("cpu", found.cpu_limits, "CPU");
    check("pids", found.pids_limits, "process");
    found.device_filter = try_device_filter(*hierarchy);
  }
  if (!found.device_filter) found.missing.push_back("no BPF device filter for cgroups: containers cannot make device nodes");
  found.oom_score_adjust = linux::has_capability(CAP_SYS_RESOURCE);
  if (!found.oom_score_adjust) found.missing.push_back("no CAP_SYS_RESOURCE: OOM scores are not lowered, hard limits are not raised");
  found.seccomp = access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
  if (!found.seccomp) found.missing.push_back("the kernel has no seccomp filters: containers run without");
  return probe;
}

}  // namespace knarr::runtime
