// Which devices the processes of a cgroup may open: a small BPF program on a v2 group, which needs no controller there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "knarr/base/result.h"
#include "knarr/linux/cgroup.h"

namespace knarr::linux {

struct CharacterDevice {
  uint32_t major;
  std::optional<uint32_t> minor;  // absent: all of the major
};

// From now on the group's processes, and those of groups beneath, open only these devices. Making device nodes stays allowed (it
// is a capability's business): a node that may not be opened does nothing. Needs CAP_SYS_ADMIN or CAP_BPF and a kernel with
// CONFIG_CGROUP_BPF.
Status allow_only_devices(const Cgroup& cgroup, std::span<const CharacterDevice> devices);

}  // namespace knarr::linux
