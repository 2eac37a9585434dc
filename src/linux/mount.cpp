#include "knarr/linux/mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "knarr/base/log.h"
#include "knarr/linux/tree.h"

namespace knarr::linux {

namespace {

const char* or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool parse_int(std::string_view text, int& value) {
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

// What the kernel says about a file system context's last error: "e overlay: ...".
std::string context_message(int context) {
  std::string message;
  char buffer[512];
  for (int i = 0; i < 8; ++i) {
    const ssize_t n = read(context, buffer, sizeof buffer);
    if (n <= 0) break;
    std::string_view line(buffer, static_cast<size_t>(n));
    while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
    if (line.size() > 2 && line[1] == ' ') line.remove_prefix(2);
    message += message.empty() ? " (" : "; ";
    message += line;
  }
  return message.empty() ? message : message + ")";
}

struct Context {
  UniqueFd fd;
  const std::string& type;

  Status set(const std::string& key, const std::string& value) const {
    const int rc = value.empty() ? fsconfig(fd.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                                 : fsconfig(fd.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
    if (rc == 0) return {};
    const int error = errno;
    return errno_status(error, fmt::format("mount {}: option {}={}{}", type, key, value, context_message(fd.get())));
  }

  Result<UniqueFd> create(uint64_t attributes) const {
    if (fsconfig(fd.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
      const int error = errno;
      return errno_status(error, fmt::format("mount {}{}", type, context_message(fd.get())));
    }
    UniqueFd made(fsmount(fd.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!made) return errno_status(errno, fmt::format("mount {}", type));
    return made;
  }
};

Result<Context> open_context(const std::string& type) {
  UniqueFd fd(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("mount {}: open the file system type", type));
  return Context{std::move(fd), type};
}

Result<UniqueFd> make_overlay_by_layers(const Context& context, const Overlay& overlay, uint64_t attributes) {
  KNARR_RETURN_IF_ERROR(context.set("source", "overlay"));
  for (auto layer = overlay.lower.rbegin(); layer != overlay.lower.rend(); ++layer) KNARR_RETURN_IF_ERROR(context.set("lowerdir+", *layer));
  if (!overlay.upper.empty()) {
    KNARR_RETURN_IF_ERROR(context.set("upperdir", overlay.upper));
    KNARR_RETURN_IF_ERROR(context.set("workdir", overlay.work));
    KNARR_RETURN_IF_ERROR(context.set("volatile", ""));
  }
  return context.create(attributes);
}

// Before Linux 6.5 an option for one layer fails only when all are mounted, and the kernel's log tells of each that did.
bool overlay_has_contexts() {
  utsname names{};
  int major = 0, minor = 0;
  return uname(&names) != 0 || sscanf(names.release, "%d.%d", &major, &minor) != 2 || major > 6 || (major == 6 && minor >= 5);
}

}  // namespace

// All layers stand in one option of mount(2), of a page at most: descriptors make the paths short and free of characters that
// would need quoting.
Result<UniqueFd> make_overlay_by_options(const Overlay& overlay, uint64_t attributes) {
  std::vector<UniqueFd> held;
  auto short_path = [&held](const std::string& path) -> Result<std::string> {
    UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return errno_status(errno, fmt::format("open layer {}", path));
    held.push_back(std::move(fd));
    return fd_path(held.back().get());
  };
  std::string data = "lowerdir=";
  for (auto layer = overlay.lower.rbegin(); layer != overlay.lower.rend(); ++layer) {
    KNARR_ASSIGN(const std::string path, short_path(*layer));
    data += (layer == overlay.lower.rbegin() ? "" : ":") + path;
  }
  std::string target = overlay.work;
  if (!overlay.upper.empty()) {
    KNARR_ASSIGN(const std::string upper, short_path(overlay.upper));
    KNARR_ASSIGN(const std::string work, short_path(overlay.work));
    data += fmt::format(",upperdir={},workdir={},volatile", upper, work);
  }
  // A place to mount on for a moment: the copy of it is what the caller gets.
  if (target.empty()) return internal_error("mount overlay: no work directory to mount on");
  target += "/../.mount";
  KNARR_RETURN_IF_ERROR(make_directories(target));
  KNARR_RETURN_IF_ERROR(mount_at("overlay", target, "overlay", 0, data));
  auto copy = clone_mount(target, false);
  (void)unmount(target);
  rmdir(target.c_str());
  KNARR_RETURN_IF_ERROR(copy.status());
  if (attributes != 0) KNARR_RETURN_IF_ERROR(change_mount(copy->get(), attributes, 0, 0, false));
  return copy;
}

std::vector<MountInfo> parse_mounts(std::string_view mountinfo) {
  std::vector<MountInfo> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 3) continue;
    MountInfo info;
    if (!parse_int(fields[0], info.id) || !parse_int(fields[1], info.parent)) continue;
    info.root = unescape(fields[3]);
    info.mount_point = unescape(fields[4]);
    info.options = fields[5];
    info.propagation.assign(fields.begin() + 6, dash);
    info.type = dash[1];
    info.source = unescape(dash[2]);
    if (fields.end() - dash > 3) info.super_options = dash[3];
    mounts.push_back(std::move(info));
  }
  return mounts;
}

Result<std::vector<MountInfo>> read_mounts(const std::string& path) {
  KNARR_ASSIGN(const std::string text, read_file(path));
  return parse_mounts(text);
}

Status mount_at(const std::string& source, const std::string& target, const std::string& type, unsigned long flags, const std::string& data) {
  if (mount(or_null(source), target.c_str(), or_null(type), flags, or_null(data)) == 0) return {};
  return errno_status(errno, fmt::format("mount {} {} on {}", type.empty() ? "bind" : type, source, target));
}

Status unmount(const std::string& target, int flags) {
  if (umount2(target.c_str(), flags | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) return {};
  return errno_status(errno, fmt::format("unmount {}", target));
}

Status unmount_tree(const std::string& path) {
  KNARR_ASSIGN(const auto mounts, read_mounts());
  const std::string inside = path == "/" ? path : path + "/";
  // The table is in the order of mounting, so backwards is innermost first, also for mounts upon each other.
  Status first;
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->mount_point != path && mount->mount_point.compare(0, inside.size(), inside) != 0) continue;
    Status status = unmount(mount->mount_point);
    if (!status.ok() && first.ok()) first = std::move(status);
  }
  return first;
}

ScopedMount& ScopedMount::operator=(ScopedMount&& other) noexcept {
  std::swap(target_, other.target_);
  return *this;
}

ScopedMount::~ScopedMount() {
  if (target_.empty()) return;
  if (Status status = unmount(target_); !status.ok()) log::warn("linux", "could not unmount", {{"error", status}});
}

Result<UniqueFd> make_filesystem(const std::string& type, const std::string& source, const MountOptions& options, uint64_t attributes) {
  KNARR_ASSIGN(const Context context, open_context(type));
  if (!source.empty()) KNARR_RETURN_IF_ERROR(context.set("source", source));
  for (const auto& [key, value] : options) KNARR_RETURN_IF_ERROR(context.set(key, value));
  return context.create(attributes);
}

MountOptions parse_mount_options(std::string_view text, uint64_t& attributes) {
  struct Flag {
    std::string_view name;
    uint64_t set, clear;
  };
  static constexpr Flag kFlags[] = {
      {"ro", MOUNT_ATTR_RDONLY, 0},          {"rw", 0, MOUNT_ATTR_RDONLY},          {"nosuid", MOUNT_ATTR_NOSUID, 0},
      {"suid", 0, MOUNT_ATTR_NOSUID},        {"nodev", MOUNT_ATTR_NODEV, 0},        {"dev", 0, MOUNT_ATTR_NODEV},
      {"noexec", MOUNT_ATTR_NOEXEC, 0},      {"exec", 0, MOUNT_ATTR_NOEXEC},        {"noatime", MOUNT_ATTR_NOATIME, 0},
      {"nodiratime", MOUNT_ATTR_NODIRATIME, 0}, {"relatime", 0, MOUNT_ATTR__ATIME}, {"strictatime", MOUNT_ATTR_STRICTATIME, 0},
      {"defaults", 0, 0},
  };
  MountOptions options;
  for (const std::string_view part : split(text, ',')) {
    const auto flag = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& f) { return f.name == part; });
    if (flag != std::end(kFlags)) {
      attributes = (attributes & ~flag->clear) | flag->set;
      continue;
    }
    const size_t equals = part.find('=');
    options.emplace_back(part.substr(0, equals), equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1));
  }
  return options;
}

Result<UniqueFd> make_overlay(const Overlay& overlay, uint64_t attributes) {
  static const std::string kType = "overlay";
  static const bool kByLayers = overlay_has_contexts();
  if (!kByLayers) return make_overlay_by_options(overlay, attributes);
  KNARR_ASSIGN(const Context context, open_context(kType));
  auto made = make_overlay_by_layers(context, overlay, attributes);
  // EINVAL (a code of 500) is how an older kernel answers an option for one layer, at once or when it mounts. Where it meant
  // something else, the other way fails as well, and says why.
  if (!made.ok() && made.status().code() == 500) return make_overlay_by_options(overlay, attributes);
  return made;
}

Result<UniqueFd> clone_mount(const std::string& path, bool recursive) {
  UniqueFd fd(open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)));
  if (!fd) return errno_status(errno, fmt::format("bind {}", path));
  return fd;
}

Result<UniqueFd> clone_mount(int source, bool recursive, const std::string& name) {
  UniqueFd fd(open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0)));
  if (!fd) return errno_status(errno, fmt::format("bind {}", name));
  return fd;
}

Status change_mount(int mount_fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive) {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes) == 0) return {};
  return errno_status(errno, "change the attributes of a mount");
}

Status attach_mount(int mount_fd, int target_fd, const std::string& name) {
  if (move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return {};
  return errno_status(errno, fmt::format("mount on {}", name));
}

Status attach_mount(int mount_fd, const std::string& target) {
  if (move_mount(mount_fd, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0) return {};
  return errno_status(errno, fmt::format("mount on {}", target));
}

}  // namespace knarr::linux
