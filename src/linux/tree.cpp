#include "knarr/linux/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace knarr::linux {

namespace {

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
using UniqueDir = std::unique_ptr<DIR, CloseDir>;

std::string parent_of(const std::string& path) {
  auto slash = path.find_last_not_of('/');
  slash = path.rfind('/', slash == std::string::npos ? 0 : slash);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Deletes one directory tree without recursion of unbounded depth: what lies deeper than kMaxDepth is moved up into the
// top directory, which is emptied until nothing is left. Whoever nests directories cannot exhaust our stack or
// descriptors.
class TreeRemover {
 public:
  TreeRemover(int parent, const std::string& name) : parent_(parent), name_(name) {}

  Status run() {
    struct stat info;
    if (fstatat(parent_, name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? Status::OK() : errno_status(errno, fmt::format("stat {} to delete it", name_));
    }
    if (!S_ISDIR(info.st_mode)) return unlink(parent_, name_, name_, 0);
    device_ = info.st_dev;
    top_.reset(openat(parent_, name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (top_.get() < 0) return errno_status(errno, fmt::format("open {} to delete it", name_));
    do {
      moved_ = false;
      KNARR_RETURN_IF_ERROR(empty(top_.get(), name_, 0));
    } while (moved_);
    return unlink(parent_, name_, name_, AT_REMOVEDIR);
  }

 private:
  static constexpr int kMaxDepth = 48;

  static Status unlink(int parent, const std::string& name, const std::string& where, int flags) {
    if (unlinkat(parent, name.c_str(), flags) == 0 || errno == ENOENT) return {};
    if (errno == EBUSY)
      return errno_status(EBUSY, fmt::format("delete {}: it is a mount point, unmount it first", where));
    return errno_status(errno, fmt::format("delete {}", where));
  }

  Status empty(int directory, const std::string& where, int depth) {
    UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (copy.get() < 0) return errno_status(errno, fmt::format("open {} to delete it", where));
    UniqueDir entries(fdopendir(copy.get()));
    if (!entries) return errno_status(errno, fmt::format("read {} to delete it", where));
    (void)copy.release();
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(entries.get());
      if (entry == nullptr)
        return errno == 0 ? Status::OK() : errno_status(errno, fmt::format("read {} to delete it", where));
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      KNARR_RETURN_IF_ERROR(remove(directory, name, fmt::format("{}/{}", where, name), depth));
    }
  }

  Status remove(int directory, const std::string& name, const std::string& where, int depth) {
    UniqueFd child(openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (child.get() < 0) {
      if (errno == ENOTDIR || errno == ELOOP) return unlink(directory, name, where, 0);
      return errno == ENOENT ? Status::OK() : errno_status(errno, fmt::format("open {} to delete it", where));
    }
    struct stat info;
    if (fstat(child.get(), &info) != 0) return errno_status(errno, fmt::format("stat {} to delete it", where));
    if (info.st_dev != device_)
      return errno_status(EBUSY, fmt::format("delete {}: it is a mount point, unmount it first", where));
    if (depth < kMaxDepth) {
      KNARR_RETURN_IF_ERROR(empty(child.get(), where, depth + 1));
    } else {
      // A name that no entry of the top directory has: taken ones are skipped.
      while (renameat2(directory, name.c_str(), top_.get(), fmt::format(".deleting-{}", ++serial_).c_str(),
                       RENAME_NOREPLACE) != 0) {
        if (errno != EEXIST) return errno_status(errno, fmt::format("move {} up to delete it", where));
      }
      moved_ = true;
      return {};
    }
    return unlink(directory, name, where, AT_REMOVEDIR);
  }

  int parent_;
  const std::string& name_;
  UniqueFd top_;
  dev_t device_ = 0;
  uint64_t serial_ = 0;
  bool moved_ = false;
};

}  // namespace

Status make_directories(const std::string& path, mode_t mode) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? Status::OK() : errno_status(ENOTDIR, fmt::format("make directory {}", path));
  }
  for (size_t end = path.find_first_not_of('/'); end != std::string::npos;) {
    end = path.find('/', end);
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), mode) == 0) {
      if (chmod(part.c_str(), mode) != 0) return errno_status(errno, fmt::format("chmod {}", part));
    } else if (errno != EEXIST) {
      return errno_status(errno, fmt::format("make directory {}", part));
    }
    if (end != std::string::npos) end = path.find_first_not_of('/', end);
  }
  if (stat(path.c_str(), &info) != 0) return errno_status(errno, fmt::format("make directory {}", path));
  return S_ISDIR(info.st_mode) ? Status::OK() : errno_status(ENOTDIR, fmt::format("make directory {}", path));
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  UniqueDir dir(opendir(path.c_str()));
  if (!dir) return errno_status(errno, fmt::format("read directory {}", path));
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return errno_status(errno, fmt::format("read directory {}", path));
  return names;
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return errno_status(errno, fmt::format("open {}", path));
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n == 0) return content;
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno_status(errno, fmt::format("read {}", path));
    }
    if (content.size() + static_cast<size_t>(n) > limit)
      return bad_request(fmt::format("{} is larger than the {} bytes allowed", path, limit));
    content.append(buffer, static_cast<size_t>(n));
  }
}

Status write_all(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno_status(errno, fmt::format("write {}", what));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status sync_directory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || fsync(fd.get()) != 0) return errno_status(errno, fmt::format("fsync directory {}", path));
  return {};
}

static Status replace(const std::string& path, std::string_view content, mode_t mode, bool durable) {
  std::string temporary = path + ".XXXXXX";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0) return errno_status(errno, fmt::format("make a temporary file beside {}", path));
  Status status = write_all(fd.get(), content, temporary);
  if (status.ok() && fchmod(fd.get(), mode) != 0) status = errno_status(errno, fmt::format("chmod {}", temporary));
  if (status.ok() && durable && fsync(fd.get()) != 0) status = errno_status(errno, fmt::format("fsync {}", temporary));
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0)
    status = errno_status(errno, fmt::format("rename {} to {}", temporary, path));
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return durable ? sync_directory(parent_of(path)) : Status::OK();
}

Status replace_file(const std::string& path, std::string_view content, mode_t mode) {
  return replace(path, content, mode, true);
}
Status replace_file_unsynced(const std::string& path, std::string_view content, mode_t mode) {
  return replace(path, content, mode, false);
}

Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    const long fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    // EAGAIN: a rename elsewhere raced with the resolution of "..".
    if (errno != EAGAIN && errno != EINTR) return errno_status(errno, fmt::format("open {}", path));
    if (attempt == 64) return errno_status(errno, fmt::format("open {}: the tree is being moved", path));
  }
}

Result<UniqueFd> make_directories_in_root(int root, const std::string& path, mode_t mode) {
  constexpr int kDirectory = O_RDONLY | O_DIRECTORY;
  if (auto there = open_in_root(root, path.empty() ? "." : path, kDirectory);
      there.ok() || !there.status().is(reason::kNotFound))
    return there;
  // One step after the other from the root, each resolved anew, so that links on the way count as the kernel sees them.
  std::string done;
  UniqueFd directory;
  for (size_t at = path.find_first_not_of('/'); at != std::string::npos;) {
    const size_t end = path.find('/', at);
    const std::string step = path.substr(at, end == std::string::npos ? end : end - at);
    const std::string next = done.empty() ? step : done + "/" + step;
    auto opened = open_in_root(root, next, kDirectory);
    if (!opened.ok() && opened.status().is(reason::kNotFound) && step != "." && step != "..") {
      KNARR_ASSIGN(UniqueFd parent, open_in_root(root, done.empty() ? "." : done, kDirectory));
      if (mkdirat(parent.get(), step.c_str(), mode) == 0) {
        if (fchmodat(parent.get(), step.c_str(), mode, 0) != 0)
          return errno_status(errno, fmt::format("chmod {}", next));
      } else if (errno != EEXIST) {
        return errno_status(errno, fmt::format("make directory {}", next));
      }
      opened = open_in_root(root, next, kDirectory);
    }
    KNARR_RETURN_IF_ERROR(opened.status());
    directory = std::move(opened).value();
    done = next;
    at = end == std::string::npos ? end : path.find_first_not_of('/', end);
  }
  return directory;
}

Status remove_tree_at(int parent, const std::string& name) { return TreeRemover(parent, name).run(); }
Status remove_tree(const std::string& path) { return remove_tree_at(AT_FDCWD, path); }

}  // namespace knarr::linux
