// A connected non-blocking socket, with TLS or without, that is read and written until it would block. One thread at a
// time.
#pragma once

#include <string>
#include <string_view>

#include "http/tls.h"
#include "knarr/linux/fd.h"

namespace knarr::http {

enum class Io : uint8_t {
  kDone,       // something was read or written
  kWantRead,   // nothing: wait until the socket can be read
  kWantWrite,  // nothing: wait until it can be written
  kEnd,        // the other side will send no more
  kError,      // the connection is broken; errno or TLS' reason is in error_text()
};

class Channel {
 public:
  Channel() = default;
  Channel(linux::UniqueFd fd, SslPtr ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)) {}
  Channel(Channel&&) = default;
  Channel& operator=(Channel&&) = default;

  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  bool encrypted() const { return ssl_ != nullptr; }
  SSL* ssl() const { return ssl_.get(); }

  void start_tls(SslPtr ssl) { ssl_ = std::move(ssl); }
  Io handshake();  // TLS only, of either side
  Io read(char* buffer, size_t size, size_t& got);
  Io write(std::string_view bytes, size_t& took);
  // Both in one go where that is cheaper; `took` counts over both.
  Io write(std::string_view head, std::string_view body, size_t& took);
  // Whether bytes may wait in TLS' own buffers, of which epoll knows nothing.
  bool has_buffered() const { return ssl_ && SSL_has_pending(ssl_.get()); }
  // Tells the other side that nothing more comes: close_notify as far as the socket takes it, then FIN.
  void shutdown_write();
  void close();  // close_notify, then close

  const std::string& error_text() const { return error_; }

 private:
  Io ssl_result(int result);
  Io errno_result(int err, bool writing);

  linux::UniqueFd fd_;
  SslPtr ssl_;
  std::string error_;
};

}  // namespace knarr::http
