#include "knarr/linux/fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace knarr::linux {

namespace {

constexpr size_t kMaxFds = 16;  // in one message; more than any of ours carries

struct UnixAddress {
  sockaddr_un address{};
  UniqueFd directory;  // keeps /proc/self/fd/N alive while the address is used
};

Result<UnixAddress> unix_address(const std::string& path) {
  UnixAddress result;
  result.address.sun_family = AF_UNIX;
  std::string usable = path;
  if (path.size() >= sizeof result.address.sun_path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return errno_status(ENAMETOOLONG, fmt::format("unix socket {}", path));
    const std::string directory = path.substr(0, slash == 0 ? 1 : slash);
    result.directory.reset(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!result.directory) return errno_status(errno, fmt::format("open {}", directory));
    usable = fd_path(result.directory.get()) + path.substr(slash);
    if (usable.size() >= sizeof result.address.sun_path) return errno_status(ENAMETOOLONG, fmt::format("unix socket {}", path));
  }
  std::memcpy(result.address.sun_path, usable.c_str(), usable.size() + 1);
  return result;
}

}  // namespace

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) {
    const int saved = errno;
    close(fd_);
    errno = saved;
  }
  fd_ = fd;
}

Result<Pipe> make_pipe(int flags) {
  int fds[2];
  if (pipe2(fds, flags | O_CLOEXEC) != 0) return errno_status(errno, "make a pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<SocketPair> make_socketpair(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) return errno_status(errno, "make a socket pair");
  return SocketPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return errno_status(errno, fmt::format("duplicate descriptor {}", fd));
  return copy;
}

Status set_nonblocking(int fd, bool nonblocking) {
  const int flags = fcntl(fd, F_GETFL);
  const int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (flags < 0 || (wanted != flags && fcntl(fd, F_SETFL, wanted) != 0)) {
    return errno_status(errno, fmt::format("set O_NONBLOCK of descriptor {}", fd));
  }
  return {};
}

std::string fd_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

Result<UniqueFd> listen_unix(const std::string& path, mode_t mode, int backlog) {
  KNARR_ASSIGN(UnixAddress address, unix_address(path));
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd) return errno_status(errno, "make a unix socket");
  struct stat info;
  if (lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) unlink(path.c_str());
  // The file's mode is the socket's mode at bind, less the umask: nobody else can connect in between.
  if (fchmod(socket_fd.get(), mode) != 0) return errno_status(errno, fmt::format("set the mode of socket {}", path));
  if (bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address.address), sizeof address.address) != 0) {
    return errno_status(errno, fmt::format("bind unix socket {}", path));
  }
  if (listen(socket_fd.get(), backlog) != 0) return errno_status(errno, fmt::format("listen on unix socket {}", path));
  return socket_fd;
}

Result<UniqueFd> connect_unix(const std::string& path) {
  KNARR_ASSIGN(UnixAddress address, unix_address(path));
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket_fd) return errno_status(errno, "make a unix socket");
  while (connect(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address.address), sizeof address.address) != 0) {
    if (errno != EINTR) return errno_status(errno, fmt::format("connect to unix socket {}", path));
  }
  return socket_fd;
}

Result<size_t> send_with_fds(int socket, std::string_view bytes, std::span<const int> fds) {
  if (fds.size() > kMaxFds) return internal_error(fmt::format("send {} descriptors: at most {} go at once", fds.size(), kMaxFds));
  iovec io{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    std::memset(control, 0, sizeof control);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  for (;;) {
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EAGAIN) return size_t{0};
    if (errno != EINTR) return errno_status(errno, "send on a unix socket");
  }
}

Result<Received> receive_with_fds(int socket, char* buffer, size_t size) {
  iovec io{buffer, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EAGAIN) return Received{Received::kWouldBlock, 0, {}};
    if (errno == ECONNRESET) return Received{Received::kEnd, 0, {}};
    if (errno != EINTR) return errno_status(errno, "receive from a unix socket");
  }
  Received result;
  result.bytes = static_cast<size_t>(got);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      result.fds.emplace_back(fd);
    }
  }
  if (got == 0) result.state = Received::kEnd;
  return result;
}

}  // namespace knarr::linux
