// WebSocket (RFC 6455) on a connection that was taken over, for exec, attach and port-forward.
//
//   auto handshake = http::websocket_handshake(request, {"v5.channel.k8s.io", "v4.channel.k8s.io"});
//   if (!handshake.ok()) return answer(handshake.status(), response);
//   response.take_over([handshake = *handshake](std::unique_ptr<http::Stream> stream, std::string early) {
//     auto socket = http::WebSocket::accept(std::move(stream), std::move(early), handshake);
//     ...
//   });
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/http/server.h"

namespace knarr::http {

bool is_websocket_upgrade(const Request& request);

struct WebSocketHandshake {
  std::string protocol;  // the chosen subprotocol, "" when the client offered none
  std::string answer;    // the whole 101 response head
};

// Checks an upgrade request and chooses the first of `supported` that the client offers. 400: not a WebSocket request,
// another version (only 13), or the client offers protocols of which none is supported.
Result<WebSocketHandshake> websocket_handshake(const Request& request, const std::vector<std::string_view>& supported);

// One thread may read while any threads write.
class WebSocket {
 public:
  enum class Type : uint8_t { kText = 1, kBinary = 2, kClose = 8 };
  struct Message {
    Type type = Type::kBinary;
    std::string data;   // of kClose: the reason
    uint16_t code = 0;  // of kClose: 1000 and so on; 1005 when the client gave none
  };
  struct Options {
    size_t max_message = 1 << 20;  // a longer one closes the connection with 1009
    bool client = false;           // this end masks what it sends and takes what is not masked
  };

  // Writes the handshake's answer.
  static Result<std::unique_ptr<WebSocket>> accept(std::unique_ptr<Stream> stream, std::string early,
                                                   const WebSocketHandshake& handshake, Options options);
  static Result<std::unique_ptr<WebSocket>> accept(std::unique_ptr<Stream> stream, std::string early,
                                                   const WebSocketHandshake& handshake) {
    return accept(std::move(stream), std::move(early), handshake, Options());
  }
  // On a connection where the handshake is done.
  static std::unique_ptr<WebSocket> make(std::unique_ptr<Stream> stream, std::string early, Options options);

  virtual ~WebSocket() = default;  // closes the connection

  // The next whole message. Pings are answered and pongs dropped on the way; a close is answered and is the last
  // message. An error: the connection broke, the deadline passed (Timeout), or the client broke the protocol (it is
  // told with 1002 or 1009).
  virtual Result<Message> read(std::optional<MonoTime> deadline = {}) = 0;

  // `prefix` goes in front of `data` in the same message: the channel byte of Kubernetes' protocols.
  virtual Status write(Type type, std::string_view data, std::string_view prefix = {}) = 0;
  Status write_channel(uint8_t channel, std::string_view data) {
    const char byte = static_cast<char>(channel);
    return write(Type::kBinary, data, std::string_view(&byte, 1));
  }
  virtual Status ping() = 0;
  // Sends a close frame, once. The other side answers, which read() sees.
  virtual Status close(uint16_t code = 1000, std::string_view reason = {}) = 0;
  // From any thread: reads and writes that wait fail.
  virtual void abort() = 0;
};

// The binary messages of a WebSocket as one stream of bytes, as port-forward tunnels SPDY in it.
std::unique_ptr<Stream> make_websocket_stream(std::unique_ptr<WebSocket> socket);

}  // namespace knarr::http
