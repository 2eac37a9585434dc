#include "http/websocket_parser.h"

namespace knarr::http {

namespace {

constexpr uint16_t kNoCode = 1005, kProtocolError = 1002, kBadText = 1007, kTooBig = 1009;

bool valid_close_code(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

bool valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    const unsigned first = byte(i);
    size_t more = 0;
    unsigned low = 0x80, high = 0xbf;  // of the second byte
    if (first < 0x80) {
      ++i;
      continue;
    } else if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    for (size_t k = 1; k <= more; ++k) {
      if (byte(i + k) < low || byte(i + k) > high) return false;
      low = 0x80;
      high = 0xbf;
    }
    i += more + 1;
  }
  return true;
}

}  // namespace

namespace websocket {

void append_frame_head(std::string& out, Opcode opcode, size_t size, const char* mask) {
  out += static_cast<char>(0x80 | opcode);
  const char masked = mask ? '\x80' : '\0';
  const auto append_size = [&](int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(static_cast<uint64_t>(size) >> (8 * i));
  };
  if (size < 126) {
    out += static_cast<char>(masked | static_cast<char>(size));
  } else if (size < 65536) {
    out += static_cast<char>(masked | 126);
    append_size(2);
  } else {
    out += static_cast<char>(masked | 127);
    append_size(8);
  }
  if (mask) out.append(mask, 4);
}

void apply_mask(char* data, size_t size, const char* mask) {
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>(data[i] ^ mask[i & 3]);
}

}  // namespace websocket

WebSocketParser::State WebSocketParser::fail(uint16_t code, std::string_view error) {
  code_ = code;
  error_ = error;
  return State::kError;
}

WebSocketParser::State WebSocketParser::next(std::string& in) {
  for (;;) {
    if (in.size() < 2) return State::kMore;
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(in[i]); };
    const bool fin = byte(0) & 0x80, masked = byte(1) & 0x80;
    const uint8_t opcode = byte(0) & 0x0f;
    if (byte(0) & 0x70) return fail(kProtocolError, "a reserved bit is set");
    if (masked == options_.client)
      return fail(kProtocolError, options_.client ? "the server masked a frame" : "the client did not mask a frame");
    uint64_t size = byte(1) & 0x7f;
    size_t head = 2;
    if (size >= 126) {
      const size_t bytes = size == 126 ? 2 : 8;
      head += bytes;
      if (in.size() < head) return State::kMore;
      size = 0;
      for (size_t i = 0; i < bytes; ++i) size = size << 8 | byte(2 + i);
    }
    const bool is_control = opcode >= websocket::kClose;
    if (is_control && (!fin || size > 125)) return fail(kProtocolError, "a control frame is fragmented or too long");
    if (is_control ? opcode > websocket::kPong : opcode > websocket::kBinary)
      return fail(kProtocolError, "a frame's opcode is not known");
    if (!is_control && (opcode == websocket::kContinuation) != fragmented_)
      return fail(kProtocolError, "the frames of two messages are mixed");
    if (!is_control && (size > options_.max_message || message_.size() + size > options_.max_message))
      return fail(kTooBig, "a message is too large");
    char mask[4] = {};
    if (masked) {
      if (in.size() < head + 4) return State::kMore;
      in.copy(mask, 4, head);
      head += 4;
    }
    if (in.size() < head + size) return State::kMore;
    std::string payload = in.substr(head, static_cast<size_t>(size));
    in.erase(0, head + static_cast<size_t>(size));
    if (masked) websocket::apply_mask(payload.data(), payload.size(), mask);
    if (is_control) return control(opcode, std::move(payload));
    if (opcode != websocket::kContinuation) message_type_ = static_cast<WebSocket::Type>(opcode);
    if (message_.empty()) {
      message_ = std::move(payload);
    } else {
      message_ += payload;
    }
    fragmented_ = !fin;
    if (fragmented_) continue;
    data_ = std::move(message_);
    message_ = std::string();
    type_ = message_type_;
    if (type_ == WebSocket::Type::kText && !valid_utf8(data_)) return fail(kBadText, "a text message is not UTF-8");
    return State::kMessage;
  }
}

WebSocketParser::State WebSocketParser::control(uint8_t opcode, std::string payload) {
  if (opcode == websocket::kClose) return closed(std::move(payload));
  data_ = std::move(payload);
  return opcode == websocket::kPing ? State::kPing : State::kPong;
}

WebSocketParser::State WebSocketParser::closed(std::string payload) {
  code_ = kNoCode;
  data_.clear();
  if (payload.empty()) return State::kClose;
  if (payload.size() < 2) return fail(kProtocolError, "a close frame has half a code");
  const auto code =
      static_cast<uint16_t>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
  payload.erase(0, 2);
  if (!valid_close_code(code)) return fail(kProtocolError, "a close frame has a code that must not be sent");
  if (!valid_utf8(payload)) return fail(kBadText, "the reason of a close frame is not UTF-8");
  code_ = code;
  data_ = std::move(payload);
  return State::kClose;
}

}  // namespace knarr::http
