#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <vector>

#include "knarr/linux/tree.h"

namespace knarr::image {

namespace {

constexpr size_t kReadBuffer = 128 << 10;
constexpr std::string_view kWhiteout = ".wh.", kWhiteoutMeta = ".wh..wh.", kOpaque = ".wh..wh..opq";

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// Names in archives are UTF-8; libarchive converts them to the thread's locale, which in a daemon is "C" and loses
// letters.
class Utf8Locale {
 public:
  Utf8Locale() : before_(utf8() != nullptr ? uselocale(utf8()) : nullptr) {}
  ~Utf8Locale() {
    if (before_ != nullptr) uselocale(before_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  // Loaded once and kept: it is the same for every archive.
  static locale_t utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }
  locale_t before_;
};

// "./a//b/" → "a/b"; "" is the root itself. Refuses "..": an honest archive has no use for it.
Result<std::string> clean_name(std::string_view name) {
  if (name.size() >= PATH_MAX) return bad_request("its name is too long");
  std::string clean;
  while (!name.empty()) {
    const std::string_view step = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(name.size(), step.size() + 1));
    if (step.empty() || step == ".") continue;
    if (step == "..") return bad_request("its name contains \"..\"");
    if (step.size() > NAME_MAX) return bad_request("a part of its name is too long");
    if (!clean.empty()) clean += '/';
    clean += step;
  }
  return clean;
}

struct SplitName {
  std::string parent, name;
};
SplitName split(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

class Unpacker {
 public:
  Unpacker(ByteSource& source, linux::UniqueFd root, const UnpackOptions& options)
      : source_(source), root_(std::move(root)), options_(options), buffer_(kReadBuffer) {}

  Result<Unpacked> run() {
    Utf8Locale locale;
    archive_.reset(archive_read_new());
    if (!archive_ || archive_read_support_format_tar(archive_.get()) != ARCHIVE_OK ||
        archive_read_support_format_empty(archive_.get()) != ARCHIVE_OK)
      return internal_error("start libarchive");
    if (archive_read_open(archive_.get(), this, nullptr, &Unpacker::feed, nullptr) != ARCHIVE_OK)
      return archive_error("open the archive");
    archive_entry* entry = nullptr;
    for (;;) {
      const int code = archive_read_next_header(archive_.get(), &entry);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
        return archive_error(fmt::format("read entry {}", result_.entries + 1));
      const char* raw_name = archive_entry_pathname(entry);
      const std::string shown = raw_name != nullptr ? raw_name : fmt::format("number {}", result_.entries + 1);
      Status status = raw_name != nullptr ? unpack(entry, raw_name) : bad_request("its name is no UTF-8");
      if (!status.ok()) return status.with_context(fmt::format("entry {}", shown.substr(0, 300)));
    }
    KNARR_RETURN_IF_ERROR(set_directory_times());
    return result_;
  }

 private:
  static la_ssize_t feed(archive* a, void* self_pointer, const void** data) {
    auto& self = *static_cast<Unpacker*>(self_pointer);
    auto n = self.source_.read(self.buffer_.data(), self.buffer_.size());
    if (!n.ok()) {
      self.source_error_ = n.status();
      archive_set_error(a, EIO, "%s", n.status().message().c_str());
      return -1;
    }
    *data = self.buffer_.data();
    return static_cast<la_ssize_t>(*n);
  }

  Status archive_error(std::string what) const {
    if (!source_error_.ok()) return Status(source_error_).with_context(what);
    const char* why = archive_error_string(archive_.get());
    return bad_request(fmt::format("{}: {}", what, why != nullptr ? why : "damaged"));
  }

  // The directory that the entry stands in. The last one is kept open: entries of one directory come together.
  Result<int> parent_of(const std::string& path) {
    if (path.empty()) return root_.get();
    if (!parent_ || path != parent_path_) {
      KNARR_ASSIGN(parent_, linux::make_directories_in_root(root_.get(), path));
      parent_path_ = path;
    }
    return parent_.get();
  }

  Status unpack(archive_entry* entry, const char* raw_name) {
    if (++result_.entries > options_.limits.entries)
      return bad_request(fmt::format("more than {} entries", options_.limits.entries));
    KNARR_ASSIGN(const std::string path, clean_name(raw_name));
    if (path.empty()) return set_metadata(entry, root_.get(), ".", S_IFDIR);
    const SplitName at = split(path);
    KNARR_ASSIGN(const int parent, parent_of(at.parent));
    if (options_.layer && at.name.starts_with(kWhiteout)) return white_out(parent, at.name);
    if (archive_entry_hardlink(entry) != nullptr) return link(parent, at.name, archive_entry_hardlink(entry));

    const mode_t type = archive_entry_filetype(entry);
    switch (type) {
      case AE_IFDIR:
        KNARR_RETURN_IF_ERROR(make_directory(parent, at.name));
        directory_times_.push_back({path, time_of(entry)});
        break;
      case AE_IFREG:
        return write_file(entry, parent, at.name);
      case AE_IFLNK: {
        const char* target = archive_entry_symlink(entry);
        if (target == nullptr || *target == '\0') return bad_request("a symbolic link without a target");
        KNARR_RETURN_IF_ERROR(make_room(parent, at.name));
        if (symlinkat(target, parent, at.name.c_str()) != 0) return errno_status(errno, "make the link");
        break;
      }
      case AE_IFCHR:
      case AE_IFBLK:
      case AE_IFIFO: {
        if (!options_.layer) return {};
        KNARR_RETURN_IF_ERROR(make_room(parent, at.name));
        const dev_t device =
            type == AE_IFIFO ? 0 : makedev(archive_entry_rdevmajor(entry), archive_entry_rdevminor(entry));
        if (mknodat(parent, at.name.c_str(), type | 0600, device) != 0) return errno_status(errno, "make the device");
        break;
      }
      default:
        return {};  // sockets mean nothing to who did not bind them
    }
    return set_metadata(entry, parent, at.name, type);
  }

  // A later entry of the same name replaces an earlier one, of whatever kind.
  Status make_room(int parent, const std::string& name) {
    const int error = unlinkat(parent, name.c_str(), 0) == 0 ? 0 : errno;
    if (error == ENOENT) return {};
    parent_path_.clear();  // the way to the directory that is kept open may have led through it
    if (error == 0) return {};
    if (error != EISDIR && error != EPERM) return errno_status(error, "replace an earlier entry");
    return linux::remove_tree_at(parent, name);
  }

  Status make_directory(int parent, const std::string& name) {
    if (mkdirat(parent, name.c_str(), 0755) == 0) return {};
    if (errno != EEXIST) return errno_status(errno, "make the directory");
    struct stat info {};
    if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return errno_status(errno, "look at an earlier entry");
    if (S_ISDIR(info.st_mode)) return {};
    KNARR_RETURN_IF_ERROR(make_room(parent, name));
    return mkdirat(parent, name.c_str(), 0755) == 0 ? Status::OK() : errno_status(errno, "make the directory");
  }

  Status write_file(archive_entry* entry, int parent, const std::string& name) {
    const int64_t size = archive_entry_size(entry);
    if (size < 0 || static_cast<uint64_t>(size) > options_.limits.bytes - result_.bytes) {
      return bad_request(
          fmt::format("it claims {} bytes, and all files together may have {}", size, options_.limits.bytes));
    }
    result_.bytes += static_cast<uint64_t>(size);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    linux::UniqueFd file(openat(parent, name.c_str(), kFlags, 0600));
    if (!file && errno == EEXIST) {
      KNARR_RETURN_IF_ERROR(make_room(parent, name));
      file.reset(openat(parent, name.c_str(), kFlags, 0600));
    }
    if (!file) return errno_status(errno, "create the file");

    for (;;) {
      const void* data = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      const int code = archive_read_data_block(archive_.get(), &data, &length, &offset);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return archive_error("read its content");
      if (offset < 0 || offset > size || length > static_cast<uint64_t>(size - offset))
        return bad_request("its content is longer than it says");
      const char* bytes = static_cast<const char*>(data);
      while (length > 0) {
        const ssize_t n = pwrite(file.get(), bytes, length, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_status(errno, "write its content");
        bytes += n;
        offset += n;
        length -= static_cast<size_t>(n);
      }
    }
    struct stat info {};
    if (fstat(file.get(), &info) == 0 && info.st_size < size &&
        ftruncate(file.get(), size) != 0) {  // it ends in a hole
      return errno_status(errno, "set its size");
    }
    return set_metadata(entry, file.get(), "", S_IFREG);
  }

  Status link(int parent, const std::string& name, const char* raw_target) {
    KNARR_ASSIGN(const std::string path, clean_name(raw_target));
    const SplitName target = split(path);
    auto directory =
        linux::open_in_root(root_.get(), target.parent.empty() ? "." : target.parent, O_PATH | O_DIRECTORY);
    if (!directory.ok() || target.name.empty())
      return bad_request(fmt::format("it is a hard link to {}, which the archive does not hold", raw_target));
    struct stat there {
    }, here{};
    if (fstatat(directory->get(), target.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(there.st_mode)) {
      return bad_request(fmt::format("it is a hard link to {}, which is no file of the archive", raw_target));
    }
    if (fstatat(parent, name.c_str(), &here, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == there.st_ino) return {};
    KNARR_RETURN_IF_ERROR(make_room(parent, name));
    if (linkat(directory->get(), target.name.c_str(), parent, name.c_str(), 0) != 0)
      return errno_status(errno, fmt::format("hard link it to {}", raw_target));
    return {};
  }

  Status white_out(int parent, const std::string& name) {
    if (name == kOpaque) {
      const int failed = fsetxattr(parent, "trusted.overlay.opaque", "y", 1, 0);
      return failed == 0 ? Status::OK() : errno_status(errno, "mark the directory as opaque for overlayfs");
    }
    if (name.starts_with(kWhiteoutMeta)) return {};  // AUFS' own bookkeeping
    const std::string hidden = name.substr(kWhiteout.size());
    if (hidden.empty() || hidden == "." || hidden == "..") return bad_request("a whiteout of nothing");
    if (mknodat(parent, hidden.c_str(), S_IFCHR, makedev(0, 0)) == 0) return {};
    if (errno == EEXIST) return {};  // whiteouts hide lower layers, never what the same layer brings
    return errno_status(errno, "make the whiteout");
  }

  static timespec time_of(archive_entry* entry) {
    if (archive_entry_mtime_is_set(entry) == 0) return {0, UTIME_NOW};
    const long nanoseconds = archive_entry_mtime_nsec(entry);
    return {archive_entry_mtime(entry), nanoseconds >= 0 && nanoseconds < 1'000'000'000 ? nanoseconds : 0};
  }

  // Owner, mode, attributes and time of what stands at `name` in `at`, or of `at` itself when the name is empty. In
  // this order: a change of owner clears the set-user-id bit and capabilities.
  Status set_metadata(archive_entry* entry, int at, const std::string& name, mode_t type) {
    const int empty = name.empty() ? AT_EMPTY_PATH : 0;
    if (options_.layer) {
      const auto uid = static_cast<uid_t>(archive_entry_uid(entry));
      const auto gid = static_cast<gid_t>(archive_entry_gid(entry));
      if (fchownat(at, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW | empty) != 0)
        return errno_status(errno, fmt::format("give it to {}:{}", uid, gid));
    }
    if (type != S_IFLNK) {
      const mode_t mode = archive_entry_perm(entry) & 07777;
      const int failed = name.empty() ? fchmod(at, mode) : fchmodat(at, name.c_str(), mode, 0);
      if (failed != 0) return errno_status(errno, "set its mode");
    }
    if (options_.layer) KNARR_RETURN_IF_ERROR(set_attributes(entry, at, name));
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, time_of(entry)};
    const int failed =
        name.empty() ? futimens(at, times.data()) : utimensat(at, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
    return failed == 0 ? Status::OK() : errno_status(errno, "set its time");
  }

  // Capabilities and what users keep. Others stay out: trusted.overlay.* would give a layer a say in how it is mounted.
  Status set_attributes(archive_entry* entry, int at, const std::string& name) {
    const char* attribute = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &attribute, &value, &size) == ARCHIVE_OK) {
      const std::string_view key = attribute;
      if (key != "security.capability" && !key.starts_with("user.")) continue;
      const std::string path = name.empty() ? linux::fd_path(at) : linux::fd_path(at) + "/" + name;
      const int failed = name.empty() ? setxattr(path.c_str(), attribute, value, size, 0)
                                      : lsetxattr(path.c_str(), attribute, value, size, 0);
      if (failed == 0 || (errno == ENOTSUP && key != "security.capability")) continue;
      return errno_status(errno, fmt::format("set its attribute {}", key));
    }
    return {};
  }

  // At the end: what was written in a directory changed its time.
  Status set_directory_times() {
    for (const auto& [path, time] : directory_times_) {
      auto directory = linux::open_in_root(root_.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!directory.ok()) continue;  // replaced by a later entry
      const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, time};
      if (futimens(directory->get(), times.data()) != 0)
        return errno_status(errno, fmt::format("set the time of {}", path));
    }
    return {};
  }

  ByteSource& source_;
  const linux::UniqueFd root_;
  const UnpackOptions& options_;
  std::vector<char> buffer_;
  std::unique_ptr<archive, FreeArchive> archive_;
  Status source_error_;
  std::string parent_path_;
  linux::UniqueFd parent_;
  std::vector<std::pair<std::string, timespec>> directory_times_;
  Unpacked result_;
};

}  // namespace

Result<Unpacked> unpack_tar(ByteSource& source, const std::string& directory, const UnpackOptions& options) {
  linux::UniqueFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return errno_status(errno, fmt::format("open {}", directory));
  return Unpacker(source, std::move(root), options).run();
}

}  // namespace knarr::image
