#include "volume/atomic_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>
#include <set>
#include <string_view>

#include "knarr/linux/tree.h"

namespace knarr::volume {

namespace {

constexpr const char* kData = "..data";
constexpr const char* kNewData = "..data_tmp";

using Files = std::map<std::string, const File*>;  // by clean path

Result<std::string> clean_path(const std::string& path) {
  if (path.empty()) return bad_request("a file's path must not be empty");
  if (path[0] == '/') return bad_request(fmt::format("file path {} must be relative", path));
  if (path.size() >= PATH_MAX)
    return bad_request(fmt::format("a file path has {} characters, more than {}", path.size(), PATH_MAX));
  std::string clean;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view item = std::string_view(path).substr(at, end - at);
    at = end + 1;
    if (item.empty() || item == ".") continue;
    if (item == "..") return bad_request(fmt::format("file path {} must not contain '..'", path));
    if (item.size() > NAME_MAX)
      return bad_request(fmt::format("a name in file path {} is longer than {} characters", path, NAME_MAX));
    if (clean.empty() && item.starts_with(".."))
      return bad_request(fmt::format("file path {} must not start with '..'", path));
    if (!clean.empty()) clean += '/';
    clean += item;
  }
  if (clean.empty() || clean.find('\0') != std::string::npos) return bad_request("a file's path must name a file");
  return clean;
}

std::string first_step(const std::string& path) { return path.substr(0, path.find('/')); }

std::string read_link(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t n = readlink(path.c_str(), target, sizeof target);
  return n < 0 ? std::string() : std::string(target, static_cast<size_t>(n));
}

// Group and mode as fsGroup of a read-only volume asks: readable by the group, directories entered by it.
mode_t file_mode(const Content& content, const File& file) {
  const mode_t mode = static_cast<mode_t>(file.mode.value_or(content.default_mode)) & 07777;
  return content.fs_group ? mode | 0440 : mode;
}

std::optional<int64_t> owner_of(const Content& content, const File& file) {
  return file.owner ? file.owner : content.owner;
}

Status own(int fd, const std::string& path, const Content& content, std::optional<int64_t> owner) {
  const uid_t uid = owner ? static_cast<uid_t>(*owner) : static_cast<uid_t>(-1);
  const gid_t gid = content.fs_group ? static_cast<gid_t>(*content.fs_group) : static_cast<gid_t>(-1);
  if (uid == static_cast<uid_t>(-1) && gid == static_cast<gid_t>(-1)) return {};
  if (fchown(fd, uid, gid) != 0) return errno_status(errno, fmt::format("change the owner of {}", path));
  return {};
}

Status write_file(const std::string& path, const Content& content, const File& file) {
  linux::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) return errno_status(errno, fmt::format("create {}", path));
  KNARR_RETURN_IF_ERROR(linux::write_all(fd.get(), file.content, path));
  KNARR_RETURN_IF_ERROR(own(fd.get(), path, content, owner_of(content, file)));
  if (fchmod(fd.get(), file_mode(content, file)) != 0) return errno_status(errno, fmt::format("chmod {}", path));
  return {};
}

Status set_up_directory(const std::string& path, const Content& content) {
  linux::UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.get() < 0) return errno_status(errno, fmt::format("open directory {}", path));
  KNARR_RETURN_IF_ERROR(own(fd.get(), path, content, {}));
  if (fchmod(fd.get(), content.fs_group ? 02755 : 0755) != 0) return errno_status(errno, fmt::format("chmod {}", path));
  return {};
}

// Makes the directories between the version's own and a file.
Status make_parents(const std::string& version, const std::string& file, const Content& content) {
  for (size_t end = file.find('/'); end != std::string::npos; end = file.find('/', end + 1)) {
    const std::string path = version + "/" + file.substr(0, end);
    if (mkdir(path.c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      return errno_status(errno, fmt::format("make directory {}", path));
    }
    KNARR_RETURN_IF_ERROR(set_up_directory(path, content));
  }
  return {};
}

bool same_file(const std::string& path, const Content& content, const File& file) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
      static_cast<size_t>(info.st_size) != file.content.size())
    return false;
  if ((info.st_mode & 07777) != file_mode(content, file)) return false;
  if (content.fs_group && info.st_gid != static_cast<gid_t>(*content.fs_group)) return false;
  const auto owner = owner_of(content, file);
  if (owner && info.st_uid != static_cast<uid_t>(*owner)) return false;
  auto there = linux::read_file(path);
  return there.ok() && *there == file.content;
}

// How many files a version holds: one that is no longer wanted shows as a count that is too high.
Result<size_t> count_files(const std::string& directory) {
  KNARR_ASSIGN(const std::vector<std::string> names, linux::list_directory(directory));
  size_t count = 0;
  for (const std::string& name : names) {
    struct stat info;
    const std::string path = directory + "/" + name;
    if (lstat(path.c_str(), &info) != 0) return errno_status(errno, fmt::format("stat {}", path));
    if (!S_ISDIR(info.st_mode)) {
      ++count;
      continue;
    }
    KNARR_ASSIGN(const size_t below, count_files(path));
    count += below;
  }
  return count;
}

bool up_to_date(const std::string& version, const Content& content, const Files& files) {
  for (const auto& [path, file] : files) {
    if (!same_file(version + "/" + path, content, *file)) return false;
  }
  auto count = count_files(version);
  return count.ok() && *count == files.size();
}

Result<std::string> new_version(const std::string& directory) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char stamp[64];
  strftime(stamp, sizeof stamp, "..%Y_%m_%d_%H_%M_%S.", &utc);
  std::string path = fmt::format("{}/{}XXXXXX", directory, stamp);
  if (mkdtemp(path.data()) == nullptr) return errno_status(errno, fmt::format("make a directory in {}", directory));
  return path;
}

Status write_version(const std::string& version, const Content& content, const Files& files) {
  KNARR_RETURN_IF_ERROR(set_up_directory(version, content));
  for (const auto& [path, file] : files) {
    KNARR_RETURN_IF_ERROR(make_parents(version, path, content));
    KNARR_RETURN_IF_ERROR(write_file(version + "/" + path, content, *file));
  }
  return {};
}

Status swap_data(const std::string& directory, const std::string& version) {
  const std::string link = directory + "/" + kNewData, data = directory + "/" + kData;
  unlink(link.c_str());  // of a call that did not come this far
  if (symlink(version.substr(version.rfind('/') + 1).c_str(), link.c_str()) != 0)
    return errno_status(errno, fmt::format("make link {}", link));
  if (rename(link.c_str(), data.c_str()) != 0) return errno_status(errno, fmt::format("rename {} to {}", link, data));
  return {};
}

// User-visible links and nothing else: links for what is wanted, no links or old versions for what is not.
Status tidy(const std::string& directory, const Content& content, const Files& files, const std::string& version_name) {
  std::set<std::string> wanted;
  for (const auto& [path, file] : files) wanted.insert(first_step(path));
  KNARR_ASSIGN(const std::vector<std::string> names, linux::list_directory(directory));
  for (const std::string& name : names) {
    if (name == kData || name == version_name || wanted.erase(name) > 0) continue;
    KNARR_RETURN_IF_ERROR(linux::remove_tree(directory + "/" + name));
  }
  for (const std::string& name : wanted) {
    const std::string link = directory + "/" + name;
    if (symlink(fmt::format("{}/{}", kData, name).c_str(), link.c_str()) != 0)
      return errno_status(errno, fmt::format("make link {}", link));
    if (content.owner && lchown(link.c_str(), static_cast<uid_t>(*content.owner), static_cast<gid_t>(-1)) != 0) {
      return errno_status(errno, fmt::format("change the owner of {}", link));
    }
  }
  return {};
}

}  // namespace

Status write_atomically(const std::string& directory, const Content& content) {
  Files files;
  for (const File& file : content.files) {
    KNARR_ASSIGN(std::string path, clean_path(file.path));
    files[std::move(path)] = &file;  // of two with one path the later counts, as in a projected volume
  }
  std::string version_name = read_link(directory + "/" + kData);
  if (version_name.empty() || !up_to_date(directory + "/" + version_name, content, files)) {
    KNARR_ASSIGN(const std::string version, new_version(directory));
    Status status = write_version(version, content, files);
    if (status.ok()) status = swap_data(directory, version);
    if (!status.ok()) {
      (void)linux::remove_tree(version);
      return status;
    }
    version_name = version.substr(version.rfind('/') + 1);
  }
  return tidy(directory, content, files, version_name);
}

}  // namespace knarr::volume
