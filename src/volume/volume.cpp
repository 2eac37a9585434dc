#include "knarr/volume/volume.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "knarr/linux/mount.h"
#include "knarr/linux/tree.h"
#include "volume/atomic_writer.h"

namespace knarr::volume {

namespace {

constexpr std::string_view kPlugins = "volumes/kubernetes.io~";

bool is_mount_point(const std::string& path) {
  struct stat here, above;
  return stat(path.c_str(), &here) == 0 && stat((path + "/..").c_str(), &above) == 0 && here.st_dev != above.st_dev;
}

Status mount_tmpfs(const std::string& path, int64_t size_limit_bytes) {
  if (is_mount_point(path)) return {};
  std::string options = "mode=0777";
  if (size_limit_bytes > 0) options += fmt::format(",size={}", size_limit_bytes);
  return linux::mount_at("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

Status valid_component(std::string_view what, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.size() > NAME_MAX || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return bad_request(fmt::format("\"{}\" cannot be a {}: want one file name", name, what));
  }
  return {};
}

std::string real_path(const std::string& path) {
  std::unique_ptr<char, decltype(&free)> resolved(realpath(path.c_str(), nullptr), &free);
  return resolved ? resolved.get() : path;
}

}  // namespace

PodVolumes::PodVolumes(std::string pod_directory) : directory_(std::move(pod_directory)) {}

Result<std::string> PodVolumes::empty_dir(const std::string& name, bool memory, int64_t size_limit_bytes,
                                          std::optional<int64_t> fs_group) {
  KNARR_RETURN_IF_ERROR(valid_component("volume name", name));
  const std::string path = fmt::format("{}/{}empty-dir/{}", directory_, kPlugins, name);
  KNARR_RETURN_IF_ERROR(linux::make_directories(path));
  if (memory) KNARR_RETURN_IF_ERROR(mount_tmpfs(path, size_limit_bytes));
  // As upstream: writable for every user; with fsGroup also owned by the group, which new files inherit.
  if (fs_group && chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*fs_group)) != 0) {
    return errno_status(errno, fmt::format("give {} to group {}", path, *fs_group));
  }
  if (chmod(path.c_str(), fs_group ? 02777 : 0777) != 0) return errno_status(errno, fmt::format("chmod {}", path));
  return path;
}

Result<std::string> PodVolumes::content(const std::string& kind, const std::string& name, const Content& content,
                                        bool memory) {
  KNARR_RETURN_IF_ERROR(valid_component("volume kind", kind));
  KNARR_RETURN_IF_ERROR(valid_component("volume name", name));
  const std::string path = fmt::format("{}/{}{}/{}", directory_, kPlugins, kind, name);
  KNARR_RETURN_IF_ERROR(linux::make_directories(path));
  if (memory) KNARR_RETURN_IF_ERROR(mount_tmpfs(path, 0));
  const mode_t mode = content.fs_group ? 02777 : 0777;
  if (content.fs_group && chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*content.fs_group)) != 0) {
    return errno_status(errno, fmt::format("give {} to group {}", path, *content.fs_group));
  }
  if (chmod(path.c_str(), mode) != 0) return errno_status(errno, fmt::format("chmod {}", path));
  KNARR_RETURN_IF_ERROR(write_atomically(path, content).with_context(fmt::format("{} volume {}", kind, name)));
  return path;
}

Result<std::string> PodVolumes::host_path(const std::string& path, const std::string& type) {
  if (path.empty() || path[0] != '/') return bad_request(fmt::format("hostPath \"{}\" must be absolute", path));
  if (fmt::format("{}/", path).find("/../") != std::string::npos) {
    return bad_request(fmt::format("hostPath {} must not contain '..'", path));
  }
  if (type.empty()) return path;  // no check: a missing path is for the mount to report

  if (type == "DirectoryOrCreate") {
    KNARR_RETURN_IF_ERROR(linux::make_directories(path).with_context(
        fmt::format("hostPath type check failed: {} is not a directory", path)));
    return path;
  }
  struct stat info {};
  const bool exists = stat(path.c_str(), &info) == 0;
  if (!exists && errno != ENOENT && errno != ENOTDIR) return errno_status(errno, fmt::format("hostPath {}", path));
  if (type == "FileOrCreate" && !exists) {
    // The directory is not made: upstream wants it to be there, too.
    linux::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (fd.get() < 0) return errno_status(errno, fmt::format("hostPath type check failed: create file {}", path));
    return path;
  }

  struct Check {
    std::string_view type;
    mode_t format;
    std::string_view complaint;
  };
  static constexpr Check kChecks[] = {
      {"Directory", S_IFDIR, "a directory"},         {"File", S_IFREG, "a file"},
      {"FileOrCreate", S_IFREG, "a file"},           {"Socket", S_IFSOCK, "a socket file"},
      {"CharDevice", S_IFCHR, "a character device"}, {"BlockDevice", S_IFBLK, "a block device"},
  };
  for (const Check& check : kChecks) {
    if (check.type != type) continue;
    if (exists && (info.st_mode & S_IFMT) == check.format) return path;
    std::string message = fmt::format("hostPath type check failed: {} is not {}", path, check.complaint);
    return exists ? bad_request(std::move(message)) : not_found(message + ": it does not exist");
  }
  return bad_request(fmt::format("hostPath {}: \"{}\" is no hostPath type", path, type));
}

Result<std::string> PodVolumes::sub_path(const std::string& volume_path, const std::string& sub_path) {
  if (sub_path.empty()) return volume_path;
  if (sub_path[0] == '/') return bad_request(fmt::format("subPath \"{}\" must be relative", sub_path));
  if (fmt::format("/{}/", sub_path).find("/../") != std::string::npos) {
    return bad_request(fmt::format("subPath \"{}\" must not contain '..'", sub_path));
  }
  linux::UniqueFd root(open(volume_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return errno_status(errno, fmt::format("subPath \"{}\": open volume {}", sub_path, volume_path));
  auto target = linux::open_in_root(root.get(), sub_path, O_PATH);
  if (!target.ok() && target.status().is(reason::kNotFound))
    target = linux::make_directories_in_root(root.get(), sub_path, 0750);
  if (!target.ok()) return std::move(target).status().with_context(fmt::format("subPath of volume {}", volume_path));

  // Answer where it really is: a path without links, so that whoever mounts it cannot be led elsewhere by one.
  char real[PATH_MAX];
  const ssize_t n = readlink(linux::fd_path(target->get()).c_str(), real, sizeof real);
  if (n < 0) return errno_status(errno, fmt::format("resolve subPath \"{}\" of {}", sub_path, volume_path));
  const std::string resolved(real, static_cast<size_t>(n));
  const std::string base = real_path(volume_path);
  if (resolved != base && !resolved.starts_with(base + "/")) {
    return bad_request(fmt::format("subPath \"{}\" leads out of the volume {}", sub_path, volume_path));
  }
  return resolved;
}

Status PodVolumes::remove_all() {
  const std::string volumes = real_path(directory_ + "/volumes");
  KNARR_RETURN_IF_ERROR(linux::unmount_tree(volumes));
  return linux::remove_tree(volumes);
}

}  // namespace knarr::volume
