#include "agent/dial.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

namespace knarr::agent {

Result<linux::UniqueFd> connect_tcp(const std::string& host, int port, MonoTime deadline) {
  std::string what = fmt::format("dial tcp {}:{}", host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0 || !found) {
    return unavailable(what + ": no such host");
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  linux::UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_status(errno, what);
  if (connect(fd.get(), found->ai_addr, found->ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return errno_status(errno, what);
  pollfd wait{fd.get(), POLLOUT, 0};
  if (poll(&wait, 1, remaining_ms(deadline)) <= 0) return timeout_error(what + ": i/o timeout");
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return errno_status(error, what);
  return fd;
}

}  // namespace knarr::agent
