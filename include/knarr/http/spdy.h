// The server's end of SPDY/3.1 on a connection that was taken over (or inside a WebSocket): many streams in one
// connection, for exec, attach and port-forward of clients that ask for Upgrade: SPDY/3.1. The client opens streams,
// each with headers (streamtype, port, requestid) that say what it is for. Flow control is left to TCP, as Kubernetes'
// own library does. Source: the SPDY Protocol, draft 3.1.
//
//   response.take_over([](std::unique_ptr<http::Stream> stream, std::string early) {
//     stream->write(http::spdy_handshake(protocol));
//     auto session = http::SpdySession::make(std::move(stream), std::move(early), on_stream);
//     ... streams arrive at on_stream; use them ...
//   });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/http/server.h"

namespace knarr::http {

bool is_spdy_upgrade(const Request& request);

// The 101 response head; `protocol` (of X-Stream-Protocol-Version) may be "".
std::string spdy_handshake(std::string_view protocol);

// One stream of a session, accepted (SYN_REPLY) before on_stream sees it. One thread may read while another writes; a
// stream may outlive its session, and then only fails.
class SpdyStream {
 public:
  virtual ~SpdyStream() = default;  // resets the stream when it is still open
  virtual uint32_t id() const = 0;
  virtual const Headers& headers() const = 0;  // of SYN_STREAM; names in lower case
  std::string_view header(std::string_view name) const;

  // Bytes read; 0 at the end of what the client sends (or after a reset). An error: the session ended, or the deadline
  // passed.
  virtual Result<size_t> read(char* buffer, size_t size, std::optional<MonoTime> deadline = {}) = 0;
  virtual Status write(std::string_view bytes, std::optional<MonoTime> deadline = {}) = 0;
  virtual Status close_write() = 0;  // FIN: nothing more from us
  virtual void reset() = 0;          // RST_STREAM (CANCEL): nothing more either way
};

class SpdySession {
 public:
  struct Options {
    size_t max_streams = 256;       // open at once; more are refused
    size_t max_buffered = 1 << 20;  // bytes of one stream that nobody has read: then the whole connection is not read
  };
  using OnStream =
      std::function<void(std::shared_ptr<SpdyStream>)>;  // on the session's reading thread; must not block on it

  // Starts reading on a thread of its own.
  static std::unique_ptr<SpdySession> make(std::unique_ptr<Stream> stream, std::string early, OnStream on_stream,
                                           Options options);
  static std::unique_ptr<SpdySession> make(std::unique_ptr<Stream> stream, std::string early, OnStream on_stream) {
    return make(std::move(stream), std::move(early), std::move(on_stream), Options());
  }
  virtual ~SpdySession() = default;  // ends the connection and all streams, joins the thread

  // Waits until the client went away or the deadline passed (false).
  virtual bool wait_end(std::optional<MonoTime> deadline = {}) = 0;
  // GOAWAY, then the connection is closed. Streams that wait fail.
  virtual void close() = 0;
};

}  // namespace knarr::http
