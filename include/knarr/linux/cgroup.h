// The cgroup v2 hierarchy. On a host where the controllers belong to v1 (hybrid), groups can still be made, to know and to kill
// what runs in them; only the limits are missing. v1 hierarchies are never touched. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::linux {

struct CgroupLimits {  // 0: leave as it is (no limit in a new group)
  int64_t memory_max = 0;
  bool memory_no_swap = false;    // where the kernel has swap control
  bool memory_oom_group = false;  // out of memory ends the whole group, not one process of it
  int64_t cpu_quota_us = 0, cpu_period_us = 100'000;
  int64_t cpu_weight = 0;  // 1..10000
  int64_t pids_max = 0;
};

struct CgroupStats {  // what the group's controllers tell; absent where there is no such controller
  std::optional<uint64_t> cpu_usage_us, memory_bytes, memory_working_set_bytes, pids;
};

// One group, by its directory. Does not own it: groups outlive the process that made them.
class Cgroup {
 public:
  Cgroup() = default;
  explicit Cgroup(std::string directory) : directory_(std::move(directory)) {}

  bool valid() const { return !directory_.empty(); }
  const std::string& directory() const { return directory_; }

  Result<UniqueFd> open() const;  // for CLONE_INTO_CGROUP
  Status add(int pid) const;      // 0: the caller
  Status set(const CgroupLimits& limits) const;  // NotFound where the controller of one is missing; the others are set
  Result<std::vector<int>> processes() const;    // of this group alone
  bool populated() const;                        // something runs in it or beneath
  uint64_t oom_kills() const;                    // since it was made; 0 without a memory controller
  CgroupStats stats() const;
  Status kill() const;    // SIGKILL for all in it and beneath. OK when it is gone
  Status remove() const;  // it and the empty groups beneath. OK when it is gone; EBUSY while processes are in it

 private:
  Status write(const char* file, std::string_view value) const;
  Result<std::string> read(const char* file) const;
  std::string directory_;
};

class CgroupHierarchy {
 public:
  // Where v2 is mounted. NotFound: nowhere, or the mount is read-only.
  static Result<CgroupHierarchy> detect();
  static CgroupHierarchy at(std::string root) { return CgroupHierarchy(std::move(root)); }  // as detect() answered before

  const std::string& root() const { return root_; }
  // Makes the group (relative path) and its parents, and turns on in the parents each controller that can be. With "/." at the
  // end also in the group itself, for groups that will be made in it.
  Result<Cgroup> create(const std::string& path) const;
  // Controllers that work in the group at `path`, which exists.
  std::set<std::string> controllers(const std::string& path) const;

 private:
  explicit CgroupHierarchy(std::string root) : root_(std::move(root)) {}
  Result<Cgroup> make(const std::string& path) const;
  std::string root_;
};

// v1's cpu.shares (2..262144, 1024 is the middle) as v2's weight, as Kubernetes and the OCI runtimes compute it.
int64_t cpu_weight_of_shares(int64_t shares);

}  // namespace knarr::linux
