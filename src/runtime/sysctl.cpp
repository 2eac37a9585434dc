#include "runtime/sysctl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "knarr/linux/fd.h"

namespace knarr::runtime {

namespace {

constexpr std::string_view kIpc[] = {"kernel/shm", "kernel/msg", "kernel/sem", "fs/mqueue/"};

// As containerd sets them: ports below 1024 and ping need no rights in a network of one's own. "0 2147483647": all groups.
constexpr struct {
  const char *name, *value;
} kOfEveryPod[] = {{"net.ipv4.ip_unprivileged_port_start", "0"}, {"net.ipv4.ping_group_range", "0 2147483647"}};

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

Status write_parameter(const std::string& file, const std::string& value) {
  const linux::UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.get(), value.data(), value.size()) < 0) return errno_status(errno, fmt::format("write \"{}\" to {}", value, file));
  return {};
}

}  // namespace

Result<std::string> sysctl_file(const std::string& name, const PodSandboxSpec& pod) {
  std::string path = name;
  // With dots between the parts a slash stands for a dot within one (an interface eth0.1), as sysctl(8) has it.
  if (path.find_first_of("./") != std::string::npos && path[path.find_first_of("./")] == '.') {
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  const bool network = starts_with(path, "net/") && !pod.host_network;
  const bool ipc = !pod.host_ipc && std::any_of(std::begin(kIpc), std::end(kIpc), [&](std::string_view prefix) { return starts_with(path, prefix); });
  if ((!network && !ipc) || path.find("..") != std::string::npos) {
    return bad_request(fmt::format("sysctl \"{}\" is not allowed: it does not belong to a namespace of the pod's own", name));
  }
  return "/proc/sys/" + path;
}

Status set_sysctls(const PodSandboxSpec& pod) {
  if (!pod.host_network) {
    // What this kernel does not have is no reason to refuse the pod.
    for (const auto& [name, value] : kOfEveryPod) {
      const auto file = sysctl_file(name, pod);
      if (pod.sysctls.count(name) == 0 && file.ok()) (void)write_parameter(*file, value);
    }
  }
  for (const auto& [name, value] : pod.sysctls) {
    KNARR_ASSIGN(const std::string file, sysctl_file(name, pod));
    KNARR_RETURN_IF_ERROR(write_parameter(file, value));
  }
  return {};
}

}  // namespace knarr::runtime
