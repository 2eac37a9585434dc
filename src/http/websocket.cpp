#include "knarr/http/websocket.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "http/message.h"
#include "http/websocket_parser.h"
#include "knarr/base/sync.h"

namespace knarr::http {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kReadSize = 32 << 10;
constexpr size_t kMaxReadOver = 16 << 20;
constexpr seconds kReadOverTime{1};
constexpr size_t kMaxPiece = 32 << 10;  // of a stream's bytes in one message

std::string accept_key(std::string_view key) {
  const std::string text = fmt::format("{}{}", key, kGuid);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  unsigned char encoded[64];
  const int length = EVP_EncodeBlock(encoded, digest, static_cast<int>(size));
  return {reinterpret_cast<char*>(encoded), static_cast<size_t>(length)};
}

class WebSocketImpl final : public WebSocket {
 public:
  WebSocketImpl(std::unique_ptr<Stream> stream, std::string early, const Options& options)
      : options_(options), stream_(std::move(stream)), parser_(options), in_(std::move(early)) {}

  Result<Message> read(std::optional<MonoTime> deadline) override {
    for (;;) {
      KNARR_ASSIGN(std::optional<Message> message, next());
      if (message) return std::move(*message);
      std::array<char, kReadSize> buffer;
      KNARR_ASSIGN(const size_t got, stream_->read(buffer.data(), buffer.size(), deadline));
      if (got == 0) return unavailable("WebSocket: the connection ended without a close frame");
      in_.append(buffer.data(), got);
    }
  }

  // As read(), but nothing when that would have to wait.
  Result<std::optional<Message>> try_read() {
    for (;;) {
      KNARR_ASSIGN(std::optional<Message> message, next());
      if (message) return message;
      std::array<char, kReadSize> buffer;
      bool end = false;
      KNARR_ASSIGN(const size_t got, stream_->try_read(buffer.data(), buffer.size(), end));
      if (end) return unavailable("WebSocket: the connection ended without a close frame");
      if (got == 0) return std::optional<Message>();
      in_.append(buffer.data(), got);
    }
  }

  Status write(Type type, std::string_view data, std::string_view prefix) override {
    return send(static_cast<websocket::Opcode>(type), data, prefix);
  }
  Status ping() override { return send(websocket::kPing, {}, {}); }

  Status close(uint16_t code, std::string_view reason) override {
    std::string payload;
    if (code != 1005) {
      payload += static_cast<char>(code >> 8);
      payload += static_cast<char>(code & 0xff);
      payload += reason.substr(0, 123);
    }
    return send(websocket::kClose, payload, {});
  }
  void abort() override { stream_->abort(); }

  Status send(websocket::Opcode opcode, std::string_view data, std::string_view prefix,
              std::optional<MonoTime> deadline = {}) {
    const std::string bytes = frame(opcode, data, prefix);
    Lock lock(write_mutex_);
    if (closed_) return unavailable("WebSocket: the connection was closed");
    if (opcode == websocket::kClose) closed_ = true;
    Status written = stream_->write(std::exchange(unsent_, std::string()), deadline);
    if (written.ok()) written = stream_->write(bytes, deadline);
    if (!written.ok()) closed_ = true;  // half a frame may be out
    return written;
  }
  // As write(), but without waiting: takes all of `data`, or nothing (false) while some of what it took before is still
  // unsent.
  Result<bool> try_send(std::string_view data) {
    Lock lock(write_mutex_);
    if (closed_) return unavailable("WebSocket: the connection was closed");
    KNARR_RETURN_IF_ERROR(flush());
    if (!unsent_.empty()) return false;
    unsent_ = frame(websocket::kBinary, data, {});
    KNARR_RETURN_IF_ERROR(flush());
    return true;
  }
  Stream& stream() { return *stream_; }

 private:
  // The next message in what was received; pings are answered on the way.
  Result<std::optional<Message>> next() {
    if (over_) return unavailable("WebSocket: the connection was closed");
    for (;;) {
      switch (parser_.next(in_)) {
        case WebSocketParser::State::kMore:
          return std::optional<Message>();
        case WebSocketParser::State::kMessage:
          return std::optional<Message>(Message{parser_.type(), parser_.take_data(), 0});
        case WebSocketParser::State::kPing:
          KNARR_RETURN_IF_ERROR(send(websocket::kPong, parser_.take_data(), {}));
          break;
        case WebSocketParser::State::kPong:
          break;
        case WebSocketParser::State::kClose: {
          over_ = true;
          [[maybe_unused]] Status answered = close(parser_.code(), {});  // unless we closed first
          return std::optional<Message>(Message{Type::kClose, parser_.take_data(), parser_.code()});
        }
        case WebSocketParser::State::kError: {
          over_ = true;
          [[maybe_unused]] Status told = close(parser_.code(), parser_.error());
          read_over();
          return bad_request(fmt::format("WebSocket: {}", parser_.error()));
        }
      }
    }
  }

  std::string frame(websocket::Opcode opcode, std::string_view data, std::string_view prefix) const {
    std::string out;
    out.reserve(prefix.size() + data.size() + 14);
    char mask[4];
    if (options_.client) RAND_bytes(reinterpret_cast<unsigned char*>(mask), sizeof mask);
    websocket::append_frame_head(out, opcode, prefix.size() + data.size(), options_.client ? mask : nullptr);
    const size_t begin = out.size();
    out.append(prefix).append(data);
    if (options_.client) websocket::apply_mask(out.data() + begin, out.size() - begin, mask);
    return out;
  }

  Status flush() KNARR_REQUIRES(write_mutex_) {
    KNARR_ASSIGN(const size_t took, stream_->try_write(unsent_));
    unsent_.erase(0, took);
    return {};
  }

  // Closing while the other side still sends would reset the connection, and it would not learn why.
  void read_over() {
    stream_->shutdown_write();
    const MonoTime deadline = std::chrono::steady_clock::now() + kReadOverTime;
    std::array<char, kReadSize> buffer;
    for (size_t total = 0; total < kMaxReadOver;) {
      auto got = stream_->read(buffer.data(), buffer.size(), deadline);
      if (!got.ok() || *got == 0) return;
      total += *got;
    }
  }

  const Options options_;
  const std::unique_ptr<Stream> stream_;
  // The reading thread's.
  WebSocketParser parser_;
  std::string in_;
  bool over_ = false;

  Mutex write_mutex_;                                   // held while a frame is written, so that frames do not mix
  bool closed_ KNARR_GUARDED_BY(write_mutex_) = false;  // a close frame was sent, or the connection is broken
  std::string unsent_ KNARR_GUARDED_BY(write_mutex_);
};

class WebSocketStream final : public Stream {
 public:
  explicit WebSocketStream(std::unique_ptr<WebSocketImpl> socket) : socket_(std::move(socket)) {}

  Result<size_t> read(char* buffer, size_t size, std::optional<MonoTime> deadline) override {
    while (pending_.empty() && !ended_) {
      KNARR_ASSIGN(WebSocket::Message message, socket_->read(deadline));
      take(std::move(message));
    }
    return deliver(buffer, size);
  }
  Status write(std::string_view bytes, std::optional<MonoTime> deadline) override {
    while (!bytes.empty()) {
      KNARR_RETURN_IF_ERROR(socket_->send(websocket::kBinary, bytes.substr(0, kMaxPiece), {}, deadline));
      bytes.remove_prefix(std::min(bytes.size(), kMaxPiece));
    }
    return {};
  }
  void shutdown_write() override { [[maybe_unused]] Status told = socket_->close(1000, {}); }
  void abort() override { socket_->abort(); }

  Result<size_t> try_write(std::string_view bytes) override {
    const std::string_view piece = bytes.substr(0, kMaxPiece);
    KNARR_ASSIGN(const bool taken, socket_->try_send(piece));
    return taken ? piece.size() : 0;
  }
  Result<size_t> try_read(char* buffer, size_t size, bool& end) override {
    end = false;
    while (pending_.empty() && !ended_) {
      KNARR_ASSIGN(std::optional<WebSocket::Message> message, socket_->try_read());
      if (!message) return size_t{0};
      take(std::move(*message));
    }
    end = pending_.empty();
    return deliver(buffer, size);
  }
  int fd() const override { return socket_->stream().fd(); }

 private:
  void take(WebSocket::Message message) {
    if (message.type == WebSocket::Type::kClose) {
      ended_ = true;
    } else {
      pending_ = std::move(message.data);
    }
  }
  size_t deliver(char* buffer, size_t size) {
    const size_t n = pending_.copy(buffer, size);
    pending_.erase(0, n);
    return n;
  }

  const std::unique_ptr<WebSocketImpl> socket_;
  std::string pending_;  // of a message, not yet read
  bool ended_ = false;
};

}  // namespace

bool is_websocket_upgrade(const Request& request) {
  return header_has_token(request.headers, "Connection", "upgrade") &&
         header_has_token(request.headers, "Upgrade", "websocket");
}

Result<WebSocketHandshake> websocket_handshake(const Request& request, const std::vector<std::string_view>& supported) {
  if (request.method != "GET" || !is_websocket_upgrade(request))
    return bad_request("the request is no WebSocket upgrade");
  if (request.header("Sec-WebSocket-Version") != "13")
    return bad_request("WebSocket: only version 13 (Sec-WebSocket-Version) is supported");
  const std::string_view key = request.header("Sec-WebSocket-Key");
  if (key.size() != 24) return bad_request("WebSocket: Sec-WebSocket-Key is not 16 bytes in base64");
  WebSocketHandshake handshake;
  for (std::string_view protocol : supported) {
    if (!header_has_token(request.headers, "Sec-WebSocket-Protocol", protocol)) continue;
    handshake.protocol = protocol;
    break;
  }
  const std::string_view offered = request.header("Sec-WebSocket-Protocol");
  if (handshake.protocol.empty() && !offered.empty())
    return bad_request(fmt::format("WebSocket: none of the client's protocols ({}) is supported, only {}", offered,
                                   fmt::join(supported, ", ")));
  Headers headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", accept_key(key)}};
  if (!handshake.protocol.empty()) headers.emplace_back("Sec-WebSocket-Protocol", handshake.protocol);
  append_response_head(handshake.answer, 101, headers);
  handshake.answer += "\r\n";
  return handshake;
}

Result<std::unique_ptr<WebSocket>> WebSocket::accept(std::unique_ptr<Stream> stream, std::string early,
                                                     const WebSocketHandshake& handshake, Options options) {
  KNARR_RETURN_IF_ERROR(stream->write(handshake.answer));
  return make(std::move(stream), std::move(early), options);
}

std::unique_ptr<WebSocket> WebSocket::make(std::unique_ptr<Stream> stream, std::string early, Options options) {
  return std::make_unique<WebSocketImpl>(std::move(stream), std::move(early), options);
}

std::unique_ptr<Stream> make_websocket_stream(std::unique_ptr<WebSocket> socket) {
  // There is only one kind of WebSocket.
  return std::make_unique<WebSocketStream>(
      std::unique_ptr<WebSocketImpl>(static_cast<WebSocketImpl*>(socket.release())));
}

}  // namespace knarr::http
