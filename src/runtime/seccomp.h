// Seccomp profiles compiled to BPF and kept as files, so that a container's start only reads one (compiling takes libseccomp
// about 10 ms). Used by the agent; the shim loads what it is given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/sync.h"
#include "knarr/linux/caps.h"

namespace knarr::runtime {

struct SeccompAction {
  enum Kind { kAllow, kErrno, kKillProcess, kKillThread, kTrap, kLog, kTrace } kind = kAllow;
  int error = 1;  // errno or trace data; EPERM
  bool operator==(const SeccompAction&) const = default;
};

struct SeccompArgument {
  unsigned index = 0;
  int comparison = 0;  // scmp_compare
  uint64_t value = 0, value_two = 0;
};

struct SeccompRule {
  std::vector<std::string> names;  // those that the machine does not know are left away
  SeccompAction action;
  std::vector<SeccompArgument> arguments;  // all must hold
};

struct SeccompProfile {
  SeccompAction otherwise{SeccompAction::kErrno, 1};
  std::vector<SeccompRule> rules;
  bool newer_than_known_is_enosys = false;  // so that a libc that probes for them falls back
};

// What containerd and Docker let a container with these capabilities do.
SeccompProfile default_seccomp_profile(linux::CapabilityMask capabilities);

// Docker's and the OCI's JSON form. Error: BadRequest with what is wrong in it.
Result<SeccompProfile> parse_seccomp_profile(std::string_view text, linux::CapabilityMask capabilities);

// An array of struct sock_filter, as bytes.
Result<std::string> compile_seccomp(const SeccompProfile& profile);

// Thread-safe.
class SeccompCache {
 public:
  explicit SeccompCache(std::string directory) : directory_(std::move(directory)) {}

  // The file for a container's `seccomp` ("RuntimeDefault", "Unconfined", "Localhost:<path>"); "" for none.
  Result<std::string> filter(const std::string& profile, linux::CapabilityMask capabilities);

 private:
  Mutex mutex_;  // one compiles, the others wait for the file
  std::string directory_;
};

}  // namespace knarr::runtime
