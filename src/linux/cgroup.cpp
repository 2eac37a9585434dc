#include "knarr/linux/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cmath>
#include <memory>

#include "knarr/linux/mount.h"
#include "knarr/linux/tree.h"

namespace knarr::linux {

namespace {

constexpr std::string_view kWanted[] = {"cpu", "memory", "pids", "io", "cpuset", "hugetlb"};

std::set<std::string> words(std::string_view text) {
  std::set<std::string> result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (end > at) result.emplace(text.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

// The value of "key value" in a flat-keyed file.
std::optional<uint64_t> keyed(std::string_view text, std::string_view key) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == ' ') return number(line.substr(key.size() + 1));
    at = end + 1;
  }
  return std::nullopt;
}

Status write_file(const std::string& path, std::string_view value) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("open {}", path));
  if (::write(fd.get(), value.data(), value.size()) < 0) return errno_status(errno, fmt::format("write \"{}\" to {}", value, path));
  return {};
}

Status remove_groups(const std::string& directory) {
  if (rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EBUSY && errno != ENOTEMPTY) return errno_status(errno, fmt::format("remove cgroup {}", directory));
  std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (!entries) return errno_status(errno, fmt::format("open cgroup {}", directory));
  while (const dirent* entry = readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") KNARR_RETURN_IF_ERROR(remove_groups(directory + "/" + name));
  }
  if (rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
  return errno_status(errno, fmt::format("remove cgroup {}", directory));
}

}  // namespace

Status Cgroup::write(const char* file, std::string_view value) const { return write_file(fmt::format("{}/{}", directory_, file), value); }
Result<std::string> Cgroup::read(const char* file) const { return read_file(fmt::format("{}/{}", directory_, file)); }

Result<UniqueFd> Cgroup::open() const {
  UniqueFd fd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("open cgroup {}", directory_));
  return fd;
}

Status Cgroup::add(int pid) const { return write("cgroup.procs", std::to_string(pid)); }

Status Cgroup::set(const CgroupLimits& limits) const {
  Status missing;
  const auto put = [&](bool wanted, const char* file, const std::string& value, bool optional = false) -> Status {
    if (!wanted) return {};
    Status status = write(file, value);
    if (!status.is(reason::kNotFound)) return status;
    // The others are still to be set: a machine may have one controller without another.
    if (!optional && missing.ok()) missing = std::move(status);
    return {};
  };
  KNARR_RETURN_IF_ERROR(put(limits.memory_max > 0, "memory.max", std::to_string(limits.memory_max)));
  KNARR_RETURN_IF_ERROR(put(limits.memory_oom_group, "memory.oom.group", "1", true));
  KNARR_RETURN_IF_ERROR(put(limits.memory_no_swap, "memory.swap.max", "0", true));
  KNARR_RETURN_IF_ERROR(put(limits.cpu_quota_us > 0, "cpu.max", fmt::format("{} {}", limits.cpu_quota_us, limits.cpu_period_us)));
  KNARR_RETURN_IF_ERROR(put(limits.cpu_weight > 0, "cpu.weight", std::to_string(limits.cpu_weight)));
  KNARR_RETURN_IF_ERROR(put(limits.pids_max > 0, "pids.max", std::to_string(limits.pids_max)));
  return missing;
}

Result<std::vector<int>> Cgroup::processes() const {
  KNARR_ASSIGN(const std::string text, read("cgroup.procs"));
  std::vector<int> pids;
  for (const std::string& word : words(text)) pids.push_back(static_cast<int>(number(word).value_or(0)));
  return pids;
}

bool Cgroup::populated() const {
  auto events = read("cgroup.events");
  return events.ok() && keyed(*events, "populated").value_or(0) != 0;
}

uint64_t Cgroup::oom_kills() const {
  auto events = read("memory.events");
  return events.ok() ? keyed(*events, "oom_kill").value_or(0) : 0;
}

CgroupStats Cgroup::stats() const {
  CgroupStats stats;
  if (auto text = read("cpu.stat"); text.ok()) stats.cpu_usage_us = keyed(*text, "usage_usec");
  if (auto text = read("memory.current"); text.ok()) stats.memory_bytes = number(*text);
  if (auto text = read("memory.stat"); text.ok() && stats.memory_bytes) {
    const uint64_t inactive = keyed(*text, "inactive_file").value_or(0);
    stats.memory_working_set_bytes = *stats.memory_bytes > inactive ? *stats.memory_bytes - inactive : 0;
  }
  if (auto text = read("pids.current"); text.ok()) stats.pids = number(*text);
  return stats;
}

Status Cgroup::kill() const {
  Status status = write("cgroup.kill", "1");
  if (!status.is(reason::kNotFound)) return status;
  // Before Linux 5.14 there is no such file: one after the other, until a pass finds none.
  for (int pass = 0; pass < 100; ++pass) {
    auto pids = processes();
    if (!pids.ok() || pids->empty()) break;
    for (const int pid : *pids) ::kill(pid, SIGKILL);
  }
  return {};
}

Status Cgroup::remove() const { return remove_groups(directory_); }

Result<CgroupHierarchy> CgroupHierarchy::detect() {
  KNARR_ASSIGN(const auto mounts, read_mounts());
  for (const MountInfo& mount : mounts) {
    if (mount.type != "cgroup2") continue;
    if (access(mount.mount_point.c_str(), W_OK) != 0) {
      return not_found(fmt::format("the cgroup v2 hierarchy at {} cannot be written", mount.mount_point));
    }
    return CgroupHierarchy(mount.mount_point);
  }
  return not_found("no cgroup v2 hierarchy is mounted");
}

Result<Cgroup> CgroupHierarchy::create(const std::string& path) const {
  // A parent that is empty may be removed by whoever made it, just before our group would hold it.
  auto group = make(path);
  for (int again = 0; again < 3 && !group.ok() && group.status().is(reason::kNotFound); ++again) group = make(path);
  return group;
}

Result<Cgroup> CgroupHierarchy::make(const std::string& path) const {
  std::string directory = root_;
  for (size_t at = path.find_first_not_of('/'); at != std::string::npos;) {
    // What is on already costs a read; a controller that cannot be turned on here (EBUSY, EPERM) is left off: controllers() tells.
    if (auto available = read_file(directory + "/cgroup.controllers"); available.ok()) {
      const auto on = words(read_file(directory + "/cgroup.subtree_control").value_or(""));
      for (const std::string& controller : words(*available)) {
        const bool wanted = std::find(std::begin(kWanted), std::end(kWanted), controller) != std::end(kWanted);
        if (wanted && on.count(controller) == 0) (void)write_file(directory + "/cgroup.subtree_control", "+" + controller);
      }
    }
    const size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == ".") break;
    directory += "/" + path.substr(at, end - at);
    if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return errno_status(errno, fmt::format("make cgroup {}", directory));
    at = path.find_first_not_of('/', end);
  }
  return Cgroup(directory);
}

std::set<std::string> CgroupHierarchy::controllers(const std::string& path) const {
  return words(read_file(fmt::format("{}/{}/cgroup.controllers", root_, path)).value_or(""));
}

int64_t cpu_weight_of_shares(int64_t shares) {
  // The curve that runc and crun have used since 2025: it meets (2, 1), (1024, 100) and (262144, 10000).
  if (shares <= 0) return 0;
  const double x = std::log2(static_cast<double>(std::clamp<int64_t>(shares, 2, 262144)));
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(std::pow(10, (x * x + 125 * x) / 612.0 - 7.0 / 34.0))), 1, 10000);
}

}  // namespace knarr::linux
