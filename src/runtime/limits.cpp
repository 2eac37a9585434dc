#include "runtime/limits.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "knarr/linux/fd.h"

namespace knarr::runtime {

namespace {

constexpr struct {
  const char* name;
  int resource;
} kLimits[] = {
    {"AS", RLIMIT_AS},           {"CORE", RLIMIT_CORE},       {"CPU", RLIMIT_CPU},         {"DATA", RLIMIT_DATA},
    {"FSIZE", RLIMIT_FSIZE},     {"LOCKS", RLIMIT_LOCKS},     {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE},
    {"NICE", RLIMIT_NICE},       {"NOFILE", RLIMIT_NOFILE},   {"NPROC", RLIMIT_NPROC},     {"RSS", RLIMIT_RSS},
    {"RTPRIO", RLIMIT_RTPRIO},   {"RTTIME", RLIMIT_RTTIME},   {"SIGPENDING", RLIMIT_SIGPENDING}, {"STACK", RLIMIT_STACK},
};

}  // namespace

linux::CgroupLimits group_limits(const Resources& resources) {
  linux::CgroupLimits limits;
  limits.memory_max = resources.memory_limit_bytes;
  limits.cpu_quota_us = resources.cpu_quota_us;
  limits.cpu_period_us = resources.cpu_period_us;
  limits.cpu_weight = linux::cpu_weight_of_shares(resources.cpu_shares);
  limits.pids_max = resources.pids_limit;
  return limits;
}

linux::CgroupLimits container_limits(const Resources& resources) {
  linux::CgroupLimits limits = group_limits(resources);
  // A container without its limits too: it may be ended because its pod or the machine has no memory left, and then as a whole.
  limits.memory_oom_group = limits.memory_no_swap = true;
  return limits;
}

Status set_oom_score(int adjustment) {
  const linux::UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (!file) return errno_status(errno, "open /proc/self/oom_score_adj");
  const std::string text = std::to_string(std::clamp(adjustment, -1000, 1000));
  if (write(file.get(), text.data(), text.size()) < 0 && errno != EACCES) return errno_status(errno, fmt::format("write {} to /proc/self/oom_score_adj", text));
  return {};
}

Status set_limit(const std::string& name, uint64_t soft, uint64_t hard) {
  const char* bare = strncasecmp(name.c_str(), "RLIMIT_", 7) == 0 ? name.c_str() + 7 : name.c_str();
  const auto limit = std::find_if(std::begin(kLimits), std::end(kLimits), [&](const auto& l) { return strcasecmp(l.name, bare) == 0; });
  if (limit == std::end(kLimits)) return bad_request(fmt::format("there is no resource limit \"{}\"", name));
  const auto resource = static_cast<__rlimit_resource>(limit->resource);
  rlimit wanted{std::min(soft, hard), hard};
  if (setrlimit(resource, &wanted) == 0) return {};
  const int error = errno;
  rlimit now;
  if (error != EPERM || getrlimit(resource, &now) != 0) return errno_status(error, fmt::format("set the resource limit {}", name));
  wanted = {std::min(wanted.rlim_cur, now.rlim_max), std::min(wanted.rlim_max, now.rlim_max)};
  if (setrlimit(resource, &wanted) != 0) return errno_status(errno, fmt::format("set the resource limit {}", name));
  return {};
}

}  // namespace knarr::runtime
