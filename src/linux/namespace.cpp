#include "knarr/linux/namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace knarr::linux {

Status unshare_namespaces(int flags) {
  if (unshare(flags) == 0) return {};
  return errno_status(errno, fmt::format("make namespaces ({:#x})", flags));
}

Status enter_namespaces(int fd, int flags) {
  if (setns(fd, flags) == 0) return {};
  return errno_status(errno, fmt::format("enter namespaces ({:#x})", flags));
}

Result<UniqueFd> open_namespace(pid_t pid, const char* kind) {
  return open_namespace(pid == 0 ? fmt::format("/proc/thread-self/ns/{}", kind) : fmt::format("/proc/{}/ns/{}", pid, kind));
}

Result<UniqueFd> open_namespace(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("open namespace {}", path));
  return fd;
}

Result<ino_t> namespace_id(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) return errno_status(errno, "stat a namespace");
  return info.st_ino;
}

Status in_network_namespace(int fd, const std::function<Status()>& work) {
  Status status;
  std::thread thread([&] {
    status = enter_namespaces(fd, CLONE_NEWNET);
    if (status.ok()) status = work();
  });
  thread.join();
  return status;
}

Result<UniqueFd> make_network_namespace() {
  Result<UniqueFd> made = internal_error("make a network namespace");
  std::thread thread([&] {
    Status status = unshare_namespaces(CLONE_NEWNET);
    made = status.ok() ? open_namespace(0, "net") : Result<UniqueFd>(std::move(status));
  });
  thread.join();
  return made;
}

Status set_host_name(const std::string& name) {
  if (sethostname(name.data(), name.size()) == 0) return {};
  return errno_status(errno, fmt::format("set the host name {}", name));
}

Status bring_up_loopback() {
  UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd) return errno_status(errno, "make a socket to bring lo up");
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ);
  if (ioctl(socket_fd.get(), SIOCGIFFLAGS, &request) != 0) return errno_status(errno, "read the flags of lo");
  request.ifr_flags |= IFF_UP;
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) return errno_status(errno, "bring lo up");
  return {};
}

}  // namespace knarr::linux
