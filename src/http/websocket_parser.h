// WebSocket frames, taken from bytes and made into messages. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "knarr/http/websocket.h"

namespace knarr::http {

namespace websocket {
enum Opcode : uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// The head of a frame of `size` bytes; `mask` non-null: four bytes that follow in it.
void append_frame_head(std::string& out, Opcode opcode, size_t size, const char* mask);
void apply_mask(char* data, size_t size, const char* mask);
}  // namespace websocket

class WebSocketParser {
 public:
  enum class State { kMore, kMessage, kPing, kPong, kClose, kError };
  explicit WebSocketParser(const WebSocket::Options& options) : options_(options) {}

  // Takes the next event from the front of `in`. kMessage: type() and data(); kPing: data() is to be sent back; kClose:
  // code() and data(); kError: the connection is to be closed with code().
  State next(std::string& in);

  WebSocket::Type type() const { return type_; }
  std::string take_data() { return std::exchange(data_, std::string()); }
  uint16_t code() const { return code_; }
  std::string_view error() const { return error_; }

 private:
  State fail(uint16_t code, std::string_view error);
  State control(uint8_t opcode, std::string payload);
  State closed(std::string payload);

  const WebSocket::Options options_;
  std::string message_;  // what came of a fragmented message
  bool fragmented_ = false;
  WebSocket::Type message_type_ = WebSocket::Type::kBinary, type_ = WebSocket::Type::kBinary;
  std::string data_;
  uint16_t code_ = 0;
  std::string_view error_;
};

}  // namespace knarr::http
