// A process in a container, from the clone to its exec: the container's first one, or one that joins it.
//
// The shim is single-threaded, so its clone may run ordinary code before the exec. The two talk over a socket that the exec
// closes: the child sends the terminal's master, then kReady just before the exec, or what went wrong.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/cgroup.h"
#include "knarr/linux/fd.h"
#include "runtime/fields.h"

namespace knarr::runtime {

struct StandardStreams {
  linux::UniqueFd in, out, err;  // the child's ends; -1: /dev/null
};

struct ProcessPlan {
  ProcessPlan(const PodSandboxSpec& p, const ContainerRequest& c, const std::vector<std::string>& a, bool t)
      : pod(p), container(c), args(a), terminal(t) {}

  const PodSandboxSpec& pod;
  const ContainerRequest& container;
  const std::vector<std::string>& args;
  const bool terminal;
  StandardStreams streams;

  // The first process: builds its root.
  std::string directory, pod_shm;
  int pod_shm_fd = -1;
  bool cgroup_v2 = false;
  bool old_mount_ways = false;

  bool device_filter = false;  // its cgroup has one; without, it must not make device nodes

  int join_pidfd = -1;     // the process whose mount and cgroup namespaces it joins; -1: it gets its own
  int pid_namespace = -1;  // pidfd of a process whose pid namespace it joins; -1: see new_pid_namespace
  bool new_pid_namespace = false;
  const linux::Cgroup* cgroup = nullptr;
};

struct StartedProcess {
  pid_t pid = 0;
  linux::UniqueFd pidfd;
  linux::UniqueFd handshake;  // non-blocking
};

// Clones it. Whether it came to its exec is told by the handshake.
Result<StartedProcess> start_process(ProcessPlan plan);

// What has come over a handshake so far.
struct Handshake {
  bool ready = false, ended = false;
  std::string error;         // "": none yet
  linux::UniqueFd terminal;  // the master
};
void read_handshake(int socket, Handshake& handshake);

// A child that does nothing but reap, the first process of a pid namespace that a pod's containers share.
Result<StartedProcess> start_reaper();

}  // namespace knarr::runtime
