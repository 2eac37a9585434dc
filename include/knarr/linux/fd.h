// File descriptors with one owner, pipes, and unix sockets that carry descriptors. Everything made here is O_CLOEXEC.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::linux {

// Owns a descriptor and closes it. Movable; -1 when it owns none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);  // keeps errno

 private:
  int fd_ = -1;
};

struct Pipe {
  UniqueFd read, write;
};
Result<Pipe> make_pipe(int flags = 0);  // flags: O_NONBLOCK, O_DIRECT

struct SocketPair {
  UniqueFd first, second;
};
Result<SocketPair> make_socketpair(int type = SOCK_STREAM);  // of AF_UNIX; type may carry SOCK_NONBLOCK

Result<UniqueFd> duplicate(int fd);
Status set_nonblocking(int fd, bool nonblocking = true);

// "/proc/self/fd/N": a path for calls that take none of the *at kind.
std::string fd_path(int fd);

// Unix stream sockets by path, of any length (the kernel's 108 bytes are got round). Listening replaces a socket file that
// is left from before; its mode is set before anyone can connect.
Result<UniqueFd> listen_unix(const std::string& path, mode_t mode = 0600, int backlog = 16);
Result<UniqueFd> connect_unix(const std::string& path);

// Sends bytes, with descriptors attached to the first of them; answers how many bytes went (all, on a blocking socket that
// is not interrupted). 0: a non-blocking socket is full, nothing was sent. No SIGPIPE.
Result<size_t> send_with_fds(int socket, std::string_view bytes, std::span<const int> fds = {});

// Receives up to `size` bytes and the descriptors that came with them. kWouldBlock: nothing there yet on a non-blocking
// socket. kEnd: the other side closed.
struct Received {
  enum State { kData, kWouldBlock, kEnd } state = kData;
  size_t bytes = 0;
  std::vector<UniqueFd> fds;
};
Result<Received> receive_with_fds(int socket, char* buffer, size_t size);

}  // namespace knarr::linux
