#include "http/channel.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

namespace knarr::http {

namespace {

constexpr size_t kRecord = 16384;  // the most that one TLS record carries

int clamp(size_t size) { return static_cast<int>(std::min<size_t>(size, INT_MAX)); }

}  // namespace

Io Channel::errno_result(int err, bool writing) {
  if (err == EAGAIN || err == EWOULDBLOCK) return writing ? Io::kWantWrite : Io::kWantRead;
  error_ = std::generic_category().message(err);
  return Io::kError;
}

Io Channel::ssl_result(int result) {
  const int err = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kEnd;
    case SSL_ERROR_SYSCALL:
      error_ = err ? std::generic_category().message(err) : "the connection was closed";
      break;
    default: {
      const bool cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
      error_ = cut ? "the connection was closed" : take_tls_errors();
    }
  }
  ERR_clear_error();
  return Io::kError;
}

Io Channel::handshake() {
  ERR_clear_error();
  errno = 0;
  int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Io::kDone : ssl_result(result);
}

Io Channel::read(char* buffer, size_t size, size_t& got) {
  got = 0;
  if (ssl_) {
    ERR_clear_error();
    errno = 0;
    int n = SSL_read(ssl_.get(), buffer, clamp(size));
    if (n <= 0) return ssl_result(n);
    got = static_cast<size_t>(n);
    return Io::kDone;
  }
  ssize_t n;
  do n = ::recv(fd_.get(), buffer, size, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno_result(errno, false);
  got = static_cast<size_t>(n);
  return n == 0 ? Io::kEnd : Io::kDone;
}

Io Channel::write(std::string_view bytes, size_t& took) { return write(bytes, {}, took); }

Io Channel::write(std::string_view head, std::string_view body, size_t& took) {
  took = 0;
  if (!ssl_) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = body.empty() ? 1 : 2;
    ssize_t n;
    do n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno_result(errno, true);
    took = static_cast<size_t>(n);
    return Io::kDone;
  }
  // A small message is one record and so one packet.
  std::string joined;
  if (!body.empty() && head.size() + body.size() <= kRecord) {
    joined.reserve(head.size() + body.size());
    joined.append(head).append(body);
    head = joined;
    body = {};
  }
  for (std::string_view part : {head, body}) {
    while (!part.empty()) {
      ERR_clear_error();
      errno = 0;
      int n = SSL_write(ssl_.get(), part.data(), clamp(part.size()));
      if (n <= 0) return took > 0 && SSL_want_write(ssl_.get()) ? Io::kDone : ssl_result(n);
      took += static_cast<size_t>(n);
      part.remove_prefix(static_cast<size_t>(n));
    }
  }
  return Io::kDone;
}

void Channel::shutdown_write() {
  if (ssl_ && SSL_is_init_finished(ssl_.get())) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

void Channel::close() {
  if (!fd_.valid()) return;
  if (ssl_ && SSL_is_init_finished(ssl_.get())) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ssl_.reset();
  fd_.reset();
}

}  // namespace knarr::http
