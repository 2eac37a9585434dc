// Mounts: the mount table, mount(2) with an owner, and the file-descriptor mount API (Linux 5.12) with which a mount is made
// detached, given its attributes, and only then attached where it can be seen. No state; thread-safe.
#pragma once

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::linux {

// One line of /proc/<pid>/mountinfo, unescaped (proc(5)).
struct MountInfo {
  int id = 0, parent = 0;
  std::string root, mount_point, options;
  std::vector<std::string> propagation;  // shared:N, master:N, ...; none: private
  std::string type, source, super_options;
};
std::vector<MountInfo> parse_mounts(std::string_view mountinfo);  // lines of an unknown form are left out
Result<std::vector<MountInfo>> read_mounts(const std::string& path = "/proc/self/mountinfo");

// mount(2); "" stands for a null pointer.
Status mount_at(const std::string& source, const std::string& target, const std::string& type, unsigned long flags, const std::string& data = "");

// Lazy by default: the path is free at once, whoever still uses the mount keeps it. OK when nothing is mounted there.
Status unmount(const std::string& target, int flags = MNT_DETACH);

// Unmounts whatever is mounted at `path` or beneath it, the innermost and latest first.
Status unmount_tree(const std::string& path);

// A mount that goes with its owner.
class ScopedMount {
 public:
  ScopedMount() = default;
  explicit ScopedMount(std::string target) : target_(std::move(target)) {}
  ScopedMount(ScopedMount&& other) noexcept : target_(std::exchange(other.target_, {})) {}
  ScopedMount& operator=(ScopedMount&& other) noexcept;
  ~ScopedMount();
  const std::string& target() const { return target_; }
  std::string release() { return std::exchange(target_, {}); }

 private:
  std::string target_;
};

// A new file system, not attached to anything yet. An option without a value is a flag. `attributes`: MOUNT_ATTR_*.
using MountOptions = std::vector<std::pair<std::string, std::string>>;
Result<UniqueFd> make_filesystem(const std::string& type, const std::string& source, const MountOptions& options, uint64_t attributes);

// Splits "size=64m,noexec" into options of the file system and MOUNT_ATTR_* flags.
MountOptions parse_mount_options(std::string_view text, uint64_t& attributes);

// An overlay, not attached yet: layers from the lowest to the highest, any number and length of paths. Its writes are not
// flushed when it is unmounted (volatile), where the kernel can: the upper is thought to live no longer than the machine is up.
struct Overlay {
  std::vector<std::string> lower;
  std::string upper, work;
};
Result<UniqueFd> make_overlay(const Overlay& overlay, uint64_t attributes = 0);
// The same in the way of kernels before 6.5, to which make_overlay turns there by itself.
Result<UniqueFd> make_overlay_by_options(const Overlay& overlay, uint64_t attributes = 0);

// A copy of the mount at a path (or behind an O_PATH descriptor), not attached yet; recursive takes what is mounted beneath.
Result<UniqueFd> clone_mount(const std::string& path, bool recursive);
Result<UniqueFd> clone_mount(int fd, bool recursive, const std::string& name);

// Changes a detached or attached mount. propagation: 0 (as it is), MS_PRIVATE, MS_SLAVE, MS_SHARED.
Status change_mount(int mount_fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive);

// Puts a detached mount onto a directory or file (O_PATH descriptor or path).
Status attach_mount(int mount_fd, int target_fd, const std::string& name);
Status attach_mount(int mount_fd, const std::string& target);

}  // namespace knarr::linux
