#include "agent/port_forward.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <thread>

#include "agent/tasks.h"
#include "knarr/http/spdy.h"
#include "knarr/http/websocket.h"
#include "knarr/linux/namespace.h"

namespace knarr::agent {

namespace {

constexpr std::string_view kProtocol = "portforward.k8s.io", kTunnel = "SPDY/3.1+portforward.k8s.io";
constexpr size_t kConnections = 128;
constexpr std::chrono::hours kLongestIdle{4};  // upstream's streaming-connection-idle-timeout

using StreamPtr = std::shared_ptr<http::SpdyStream>;

Result<linux::UniqueFd> dial_loopback(int port) {
  linux::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_status(errno, "make a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  int error = errno;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = address.sin_port;
  six.sin6_addr = in6addr_loopback;
  linux::UniqueFd other(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (other && connect(other.get(), reinterpret_cast<sockaddr*>(&six), sizeof six) == 0) return other;
  return errno_status(error, fmt::format("connect to localhost:{} inside the pod", port));
}

void copy_to_socket(http::SpdyStream& stream, int fd) {
  char buffer[16 << 10];
  while (true) {
    auto n = stream.read(buffer, sizeof buffer);
    if (!n.ok() || *n == 0) break;
    for (size_t done = 0; done < *n;) {
      ssize_t written = send(fd, buffer + done, *n - done, MSG_NOSIGNAL);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return;
      done += static_cast<size_t>(written);
    }
  }
  shutdown(fd, SHUT_WR);
}

void copy_from_socket(int fd, http::SpdyStream& stream) {
  char buffer[16 << 10];
  while (true) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || !stream.write({buffer, static_cast<size_t>(n)}).ok()) break;
  }
  (void)stream.close_write();
}

// All connections of one client.
class Forwarder {
 public:
  explicit Forwarder(std::function<Result<linux::UniqueFd>(int port)> dial)
      : dial_(std::move(dial)), relays_(kConnections) {}

  void serve(std::unique_ptr<http::Stream> stream, std::string early) {
    auto session =
        http::SpdySession::make(std::move(stream), std::move(early), [this](StreamPtr s) { take(std::move(s)); });
    session->wait_end(Clock::system().mono() + kLongestIdle);
    session.reset();  // streams fail now, and the relays end
    relays_.stop();
  }

 private:
  struct Pair {
    StreamPtr data, error;
  };

  void take(StreamPtr stream) {
    std::string id(stream->header("requestid"));
    Pair& pair = pairs_[id];  // only the session's reading thread comes here
    (stream->header("streamtype") == "error" ? pair.error : pair.data) = std::move(stream);
    if (!pair.data || !pair.error) return;
    relays_.submit([this, pair] { relay(pair); });
    pairs_.erase(id);
  }

  void relay(const Pair& pair) {
    std::string_view text = pair.data->header("port");
    int port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    auto socket = port > 0 && port < 65536 ? dial_(port) : Result<linux::UniqueFd>(bad_request("no such port"));
    if (!socket.ok()) {
      (void)pair.error->write(fmt::format("error forwarding port {}: {}", port, socket.status().message()));
      (void)pair.error->close_write();
      (void)pair.data->close_write();
      return;
    }
    (void)pair.error->close_write();
    std::thread up([&] { copy_to_socket(*pair.data, socket->get()); });
    copy_from_socket(socket->get(), *pair.data);
    up.join();
  }

  const std::function<Result<linux::UniqueFd>(int port)> dial_;
  std::map<std::string, Pair> pairs_;
  Tasks relays_;
};

}  // namespace

Result<linux::UniqueFd> dial_in_namespace(const std::string& netns_path, int port) {
  if (netns_path.empty()) return dial_loopback(port);
  KNARR_ASSIGN(linux::UniqueFd netns, linux::open_namespace(netns_path));
  linux::UniqueFd socket;
  KNARR_RETURN_IF_ERROR(linux::in_network_namespace(netns.get(), [&]() -> Status {
    KNARR_ASSIGN(socket, dial_loopback(port));
    return {};
  }));
  return socket;
}

Status accept_port_forward(const http::Request& request, http::Response& response,
                           std::function<Result<linux::UniqueFd>(int port)> dial) {
  if (http::is_websocket_upgrade(request)) {
    KNARR_ASSIGN(auto handshake, http::websocket_handshake(request, {kTunnel}));
    response.take_over([handshake, dial = std::move(dial)](std::unique_ptr<http::Stream> stream, std::string early) {
      auto socket = http::WebSocket::accept(std::move(stream), std::move(early), handshake);
      if (socket.ok()) Forwarder(dial).serve(http::make_websocket_stream(std::move(*socket)), "");
    });
    return {};
  }
  if (http::is_spdy_upgrade(request)) {
    response.take_over([dial = std::move(dial)](std::unique_ptr<http::Stream> stream, std::string early) {
      if (stream->write(http::spdy_handshake(kProtocol)).ok())
        Forwarder(dial).serve(std::move(stream), std::move(early));
    });
    return {};
  }
  return bad_request("port-forward needs an upgrade to WebSocket or SPDY/3.1");
}

}  // namespace knarr::agent
