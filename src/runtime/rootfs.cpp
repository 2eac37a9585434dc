#include "runtime/rootfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "knarr/linux/mount.h"
#include "knarr/linux/tree.h"

namespace knarr::runtime {

namespace {

using linux::UniqueFd;

constexpr uint64_t kNoSuid = MOUNT_ATTR_NOSUID, kNoDev = MOUNT_ATTR_NODEV, kNoExec = MOUNT_ATTR_NOEXEC, kReadOnly = MOUNT_ATTR_RDONLY;

struct Standard {
  const char *destination, *type, *options;
  uint64_t attributes;
};
constexpr Standard kStandard[] = {
    {"/proc", "proc", "", kNoSuid | kNoDev | kNoExec},
    {"/dev", "tmpfs", "mode=755,size=65536k", kNoSuid | MOUNT_ATTR_STRICTATIME},
    {"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", kNoSuid | kNoExec},
    {"/dev/mqueue", "mqueue", "", kNoSuid | kNoDev | kNoExec},
    {"/sys", "sysfs", "", kNoSuid | kNoDev | kNoExec | kReadOnly},
    {"/sys/fs/cgroup", "cgroup2", "", kNoSuid | kNoDev | kNoExec | kReadOnly},
};

// As the kubelet gives them to runtimes: what tells about, or reaches, the whole machine.
constexpr const char* kMasked[] = {"/proc/asound",       "/proc/acpi",       "/proc/interrupts",  "/proc/kcore",
                                   "/proc/keys",         "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                   "/proc/sched_debug",  "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
constexpr const char* kReadOnlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

struct Device {
  const char* name;
  unsigned major, minor;
};
constexpr Device kDevices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

// A mount of the pod whose source was copied while the namespace was still the host's.
struct PreparedMount {
  const Mount* mount;
  UniqueFd source;  // -1 where the type makes its own
};

std::string normal(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

class RootBuilder {
 public:
  explicit RootBuilder(const RootPlan& plan) : plan_(plan), spec_(plan.container), privileged_(plan.container.security.privileged) {}

  Status build() {
    KNARR_RETURN_IF_ERROR(copy_sources());
    // From here nothing that is mounted reaches the host; what the host mounts later still reaches slaves.
    KNARR_RETURN_IF_ERROR(linux::mount_at("", "/", "", MS_SLAVE | MS_REC));
    KNARR_RETURN_IF_ERROR(mount_root());
    KNARR_RETURN_IF_ERROR(mount_standard());
    KNARR_RETURN_IF_ERROR(make_devices());
    KNARR_RETURN_IF_ERROR(mount_given());
    KNARR_RETURN_IF_ERROR(protect_paths());
    if (spec_.security.read_only_root) {
      Status status = linux::change_mount(root_.get(), kReadOnly, 0, 0, false);
      if (!status.ok()) return status.with_context("make the root read-only");
    }
    return pivot();
  }

 private:
  Status copy_sources() {
    for (const Mount& mount : spec_.mounts) {
      PreparedMount prepared{&mount, UniqueFd()};
      if (mount.type == "bind") {
        // A host path that is not there becomes a directory, as with the other runtimes.
        if (access(mount.source.c_str(), F_OK) != 0 && errno == ENOENT) KNARR_RETURN_IF_ERROR(linux::make_directories(mount.source));
        KNARR_ASSIGN(prepared.source, linux::clone_mount(mount.source, mount.recursive));
      }
      mounts_.push_back(std::move(prepared));
    }
    // Parents before what lies in them, whatever order they were given in.
    std::stable_sort(mounts_.begin(), mounts_.end(), [](const PreparedMount& a, const PreparedMount& b) {
      const auto depth = [](const PreparedMount& m) {
        const std::string path = normal(m.mount->destination);
        return path == "/" ? 0 : std::count(path.begin(), path.end(), '/');
      };
      return depth(a) < depth(b);
    });
    if (!given("/dev/shm")) {
      if (plan_.pod_shm_fd >= 0) {
        KNARR_ASSIGN(shm_, linux::clone_mount(plan_.pod_shm_fd, false, "the pod's /dev/shm"));
      } else {
        KNARR_ASSIGN(shm_, linux::clone_mount(plan_.pod_shm.empty() ? "/dev/shm" : plan_.pod_shm, false));
      }
    }
    return {};
  }

  bool given(const std::string& destination) const {
    return std::any_of(spec_.mounts.begin(), spec_.mounts.end(), [&](const Mount& m) { return normal(m.destination) == destination; });
  }

  Status mount_root() {
    linux::Overlay overlay;
    overlay.lower = spec_.lower_directories;
    overlay.upper = plan_.directory + "/upper";
    overlay.work = plan_.directory + "/work";
    const std::string target = plan_.directory + "/root";
    KNARR_ASSIGN(root_, plan_.old_mount_ways ? linux::make_overlay_by_options(overlay) : linux::make_overlay(overlay));
    KNARR_RETURN_IF_ERROR(linux::change_mount(root_.get(), 0, 0, MS_PRIVATE, false));
    return linux::attach_mount(root_.get(), target);
  }

  // The place for a mount in the root, made when it is missing: a directory, or a file for what is none.
  Result<UniqueFd> target(const std::string& destination, bool directory) {
    if (directory) {
      auto made = linux::make_directories_in_root(root_.get(), destination);
      if (!made.ok()) return made.status();
      return made;
    }
    auto there = linux::open_in_root(root_.get(), destination, O_PATH);
    if (there.ok() || !there.status().is(reason::kNotFound)) return there;
    const size_t slash = destination.rfind('/');
    if (slash != std::string::npos && slash > 0) KNARR_RETURN_IF_ERROR(linux::make_directories_in_root(root_.get(), destination.substr(0, slash)).status());
    return linux::open_in_root(root_.get(), destination, O_RDONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, 0644);
  }

  Status place(int mount, const std::string& destination, bool directory) {
    auto where = target(destination, directory);
    if (!where.ok()) return std::move(where).status().with_context(fmt::format("make the mount point {}", destination));
    return linux::attach_mount(mount, where->get(), destination);
  }

  Status mount_standard() {
    for (const Standard& standard : kStandard) {
      const std::string type = standard.type;
      if (given(standard.destination) || (type == "cgroup2" && !plan_.cgroup_v2)) continue;
      uint64_t attributes = standard.attributes;
      if (privileged_ && (type == "sysfs" || type == "cgroup2")) attributes &= ~kReadOnly;
      const auto options = linux::parse_mount_options(standard.options, attributes);
      KNARR_ASSIGN(const UniqueFd mount, linux::make_filesystem(type, type, options, attributes));
      KNARR_RETURN_IF_ERROR(place(mount.get(), standard.destination, true));
    }
    if (shm_) KNARR_RETURN_IF_ERROR(place(shm_.get(), "/dev/shm", true));
    return {};
  }

  Status make_devices() {
    if (given("/dev")) return {};
    KNARR_ASSIGN(const UniqueFd dev, linux::open_in_root(root_.get(), "/dev", O_RDONLY | O_DIRECTORY));
    for (const Device& device : kDevices) KNARR_RETURN_IF_ERROR(make_device(dev.get(), device.name, S_IFCHR | 0666, makedev(device.major, device.minor)));
    static constexpr const char* kLinks[][2] = {{"/proc/self/fd", "fd"},
                                                {"/proc/self/fd/0", "stdin"},
                                                {"/proc/self/fd/1", "stdout"},
                                                {"/proc/self/fd/2", "stderr"},
                                                {"pts/ptmx", "ptmx"}};
    for (const auto& [to, name] : kLinks) {
      if (symlinkat(to, dev.get(), name) != 0 && errno != EEXIST) return errno_status(errno, fmt::format("link /dev/{}", name));
    }
    return privileged_ ? copy_host_devices("/dev", dev.get(), 0) : Status::OK();
  }

  static Status make_device(int directory, const char* name, mode_t mode, dev_t number) {
    if (mknodat(directory, name, mode, number) != 0) {
      if (errno == EEXIST) return {};
      return errno_status(errno, fmt::format("make device {}", name));
    }
    if (fchmodat(directory, name, mode & 07777, 0) != 0) return errno_status(errno, fmt::format("chmod device {}", name));
    return {};
  }

  // A privileged container sees the machine's devices.
  Status copy_host_devices(const std::string& from, int into, int depth) {
    std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(from.c_str()), closedir);
    if (!entries) return {};
    while (const dirent* entry = readdir(entries.get())) {
      const std::string name = entry->d_name, path = from + "/" + name;
      struct stat info;
      if (name == "." || name == ".." || lstat(path.c_str(), &info) != 0) continue;
      if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
        if (name == "console" && depth == 0) continue;
        KNARR_RETURN_IF_ERROR(make_device(into, name.c_str(), info.st_mode, info.st_rdev));
      } else if (S_ISDIR(info.st_mode) && depth < 4 && !(depth == 0 && (name == "pts" || name == "shm" || name == "mqueue" || name == "fd"))) {
        if (mkdirat(into, name.c_str(), info.st_mode & 07777) != 0 && errno != EEXIST) return errno_status(errno, fmt::format("make {}", path));
        const UniqueFd directory(openat(into, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!directory) return errno_status(errno, fmt::format("open {}", path));
        KNARR_RETURN_IF_ERROR(copy_host_devices(path, directory.get(), depth + 1));
      }
    }
    return {};
  }

  Status mount_given() {
    for (PreparedMount& prepared : mounts_) {
      Status status = prepared.source ? mount_bind(prepared) : mount_new(*prepared.mount);
      if (!status.ok()) return status.with_context(fmt::format("mount {} on {}", prepared.mount->source, prepared.mount->destination));
    }
    return {};
  }

  Status mount_bind(const PreparedMount& prepared) {
    const Mount& mount = *prepared.mount;
    uint64_t propagation = MS_PRIVATE;
    if (mount.propagation == "rslave" || mount.propagation == "slave") propagation = MS_SLAVE;
    if (mount.propagation == "rshared" || mount.propagation == "shared") propagation = MS_SHARED;
    KNARR_RETURN_IF_ERROR(linux::change_mount(prepared.source.get(), 0, 0, propagation, true));
    if (mount.read_only) KNARR_RETURN_IF_ERROR(linux::change_mount(prepared.source.get(), kReadOnly, 0, 0, mount.recursive_read_only));
    struct stat info;
    if (fstat(prepared.source.get(), &info) != 0) return errno_status(errno, fmt::format("stat {}", mount.source));
    return place(prepared.source.get(), mount.destination, S_ISDIR(info.st_mode));
  }

  Status mount_new(const Mount& mount) {
    const std::string type = mount.type == "cgroup" ? "cgroup2" : mount.type;
    uint64_t attributes = kNoSuid | (type == "tmpfs" ? kNoDev : type == "devpts" ? kNoExec : kNoDev | kNoExec);
    const auto options = linux::parse_mount_options(mount.options, attributes);
    if (mount.read_only) attributes |= kReadOnly;
    KNARR_ASSIGN(const UniqueFd made, linux::make_filesystem(type, mount.source.empty() ? type : mount.source, options, attributes));
    return place(made.get(), mount.destination, true);
  }

  Status protect_paths() {
    const SecurityContext& security = spec_.security;
    const bool by_default = !privileged_ && !security.unmasked_proc;
    std::vector<std::string> masked = security.masked_paths, read_only = security.read_only_paths;
    if (masked.empty() && by_default) masked.assign(std::begin(kMasked), std::end(kMasked));
    if (read_only.empty() && by_default) read_only.assign(std::begin(kReadOnlyPaths), std::end(kReadOnlyPaths));
    for (const std::string& path : read_only) {
      auto there = linux::open_in_root(root_.get(), path, O_PATH);
      if (!there.ok() && there.status().is(reason::kNotFound)) continue;
      KNARR_RETURN_IF_ERROR(there.status());
      KNARR_ASSIGN(const UniqueFd copy, linux::clone_mount(there->get(), true, path));
      KNARR_RETURN_IF_ERROR(linux::change_mount(copy.get(), kReadOnly, 0, 0, true));
      KNARR_RETURN_IF_ERROR(linux::attach_mount(copy.get(), there->get(), path));
    }
    for (const std::string& path : masked) {
      auto there = linux::open_in_root(root_.get(), path, O_PATH);
      if (!there.ok() && there.status().is(reason::kNotFound)) continue;
      KNARR_RETURN_IF_ERROR(there.status());
      struct stat info;
      if (fstat(there->get(), &info) != 0) return errno_status(errno, fmt::format("stat {}", path));
      auto cover = S_ISDIR(info.st_mode) ? linux::make_filesystem("tmpfs", "tmpfs", {{"size", "0"}, {"nr_inodes", "1"}}, kReadOnly | kNoSuid | kNoDev | kNoExec)
                                         : linux::clone_mount("/dev/null", false);
      KNARR_RETURN_IF_ERROR(cover.status());
      KNARR_RETURN_IF_ERROR(linux::attach_mount(cover->get(), there->get(), path));
    }
    return {};
  }

  // With both directories the same, the old root comes to lie upon the new one and is taken off there; no directory is needed.
  Status pivot() {
    if (fchdir(root_.get()) != 0) return errno_status(errno, "enter the container's root");
    if (syscall(SYS_pivot_root, ".", ".") != 0) return errno_status(errno, "pivot into the container's root");
    if (umount2(".", MNT_DETACH) != 0) return errno_status(errno, "detach the host's root");
    if (chdir("/") != 0) return errno_status(errno, "enter the container's root");
    return {};
  }

  const RootPlan& plan_;
  const ContainerSpec& spec_;
  const bool privileged_;
  std::vector<PreparedMount> mounts_;
  UniqueFd shm_, root_;
};

}  // namespace

Status enter_container_root(const RootPlan& plan) { return RootBuilder(plan).build(); }

Status bind_console(int slave) {
  const UniqueFd file(open("/dev/console", O_RDONLY | O_CREAT | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
  if (!file && errno != ENXIO && errno != EIO) return errno_status(errno, "make /dev/console");
  char path[64];
  if (ttyname_r(slave, path, sizeof path) != 0) return errno_status(errno, "name the terminal");
  KNARR_ASSIGN(const UniqueFd copy, linux::clone_mount(path, false));
  return linux::attach_mount(copy.get(), "/dev/console");
}

}  // namespace knarr::runtime
