#include "bench/watch_crowd.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace knarr::bench {

namespace {

constexpr std::string_view kMark = "event-number\":\"";

}  // namespace

void fail(const std::string& why) {
  fmt::print(stderr, "bench_watch: {}\n", why);
  std::exit(1);
}

void Watch::take(std::string_view bytes) {
  rest_.append(bytes);
  for (size_t end; (end = rest_.find('\n')) != std::string::npos; rest_.erase(0, end + 1)) {
    const size_t at = rest_.find(kMark);
    if (at >= end) continue;
    const int event = std::atoi(rest_.c_str() + at + kMark.size());
    if (event != seen_ + 1) fail(fmt::format("event {} came after {}", event, seen_));
    seen_ = event;
  }
  if (rest_.empty()) rest_ = std::string();
}

Wire::~Wire() {
  if (ssl) SSL_free(ssl);
  if (fd >= 0) close(fd);
}

Dialer::Dialer(const Arguments& arguments) : context_(SSL_CTX_new(TLS_client_method())) {
  if (SSL_CTX_use_certificate_chain_file(context_, arguments.text("cert").c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context_, arguments.text("key").c_str(), SSL_FILETYPE_PEM) != 1) {
    fail("cannot read the client's certificate");
  }
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
  const std::string& url = arguments.text("url");
  address_.sin_family = AF_INET;
  address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address_.sin_port = htons(static_cast<uint16_t>(std::atoi(url.c_str() + url.rfind(':') + 1)));
}

Wire Dialer::open(std::string_view protocol, int receive_buffer) const {
  Wire wire;
  wire.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (wire.fd < 0) fail("cannot make a socket");
  if (receive_buffer > 0) {
    setsockopt(wire.fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    int given = 0;
    socklen_t length = sizeof given;
    getsockopt(wire.fd, SOL_SOCKET, SO_RCVBUF, &given, &length);  // twice what was asked for, or less
    if (given < 2 * receive_buffer) fail(fmt::format("sockets need net.core.rmem_max={}", receive_buffer));
  }
  if (connect(wire.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) fail("cannot connect");
  wire.ssl = SSL_new(context_);
  SSL_set_fd(wire.ssl, wire.fd);
  if (!protocol.empty()) {
    const std::string offer = static_cast<char>(protocol.size()) + std::string(protocol);
    SSL_set_alpn_protos(wire.ssl, reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
  }
  if (SSL_connect(wire.ssl) != 1) fail("the TLS handshake failed");
  const unsigned char* agreed = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(wire.ssl, &agreed, &length);
  if (std::string_view(reinterpret_cast<const char*>(agreed), length) != protocol)
    fail(fmt::format("the server does not speak {}", protocol));
  return wire;
}

}  // namespace knarr::bench
