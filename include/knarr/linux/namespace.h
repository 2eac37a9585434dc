// Namespaces: made by the calling thread for itself, entered, named by descriptors.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::linux {

// The calling thread leaves its namespaces for new ones: CLONE_NEWNET | CLONE_NEWIPC | ...
Status unshare_namespaces(int flags);

// The calling thread enters the namespace behind `fd` (of the one kind `flags`), or those of `flags` of the process behind a pidfd.
Status enter_namespaces(int fd, int flags);

// A namespace file; kind as in /proc/<pid>/ns: net, ipc, uts, mnt, pid, cgroup, user. pid 0: the calling thread's.
Result<UniqueFd> open_namespace(pid_t pid, const char* kind);
Result<UniqueFd> open_namespace(const std::string& path);
Result<ino_t> namespace_id(int fd);  // equal for two descriptors of the same namespace

// Runs `work` in the network namespace behind `fd`, on a thread of its own, and waits for it.
Status in_network_namespace(int fd, const std::function<Status()>& work);
Result<UniqueFd> make_network_namespace();  // exists as long as the descriptor

Status set_host_name(const std::string& name);  // of the caller's UTS namespace
Status bring_up_loopback();                     // of the caller's network namespace

}  // namespace knarr::linux
