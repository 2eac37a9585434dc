// A container's file system, built by its first process inside its own mount namespace, so that the host never sees one of
// these mounts and none can be left behind: overlay root, the usual kernel file systems, devices, the pod's mounts, masks.
#pragma once

#include <string>

#include "knarr/base/result.h"
#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

struct RootPlan {
  const PodSandboxSpec& pod;
  const ContainerSpec& container;
  std::string directory;  // of the container, on the host: upper, work and root lie in it
  std::string pod_shm;    // the pod's /dev/shm: a path or /proc/self/fd/N; "": the host's
  int pod_shm_fd = -1;    // when it is a mount that is attached nowhere
  bool cgroup_v2 = false;
  bool old_mount_ways = false;
};

// Called in new mount (and cgroup) namespaces; afterwards "/" is the container's root and the current directory.
Status enter_container_root(const RootPlan& plan);

// Binds the terminal behind `slave` onto /dev/console; in the container's root.
Status bind_console(int slave);

}  // namespace knarr::runtime
