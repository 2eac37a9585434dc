// SPDY/3.1 frames as bytes, with the compressed header blocks. No I/O.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "knarr/http/server.h"

namespace knarr::http::spdy {

enum FrameType : uint16_t {
  kData = 0,  // as data frames have no type, one that control frames do not use
  kSynStream = 1,
  kSynReply = 2,
  kRstStream = 3,
  kPing = 6,
  kGoAway = 7,
  kHeaders = 8,
};
enum Flag : uint8_t { kFin = 1, kUnidirectional = 2 };
enum Reset : uint32_t { kProtocolError = 1, kInvalidStream = 2, kRefused = 3, kCancel = 5 };

// One direction's header compression; its state lasts as long as the connection.
class Inflater {
 public:
  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  // Decompresses and reads a header block. false: malformed or too large, and then the connection cannot go on.
  bool read(std::string_view block, Headers& out);

 private:
  bool inflate_block(std::string_view block, std::string& out);
  z_stream stream_{};
};

class Deflater {
 public:
  Deflater();
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  std::string write(const Headers& headers);

 private:
  z_stream stream_{};
};

struct Frame {
  FrameType type = kData;
  uint8_t flags = 0;
  uint32_t stream = 0;  // of PING its id
  uint32_t value = 0;   // of RST_STREAM the reason
  Headers headers;
  std::string data;
  bool fin() const { return flags & kFin; }
};

// Reads frames; SETTINGS and WINDOW_UPDATE are read over: Kubernetes' clients and servers leave flow control to TCP. A
// data frame is given in parts as they arrive; only the last has its FIN.
class Parser {
 public:
  enum class State { kMore, kFrame, kError };
  State next(std::string& in, Frame& out);
  std::string_view error() const { return error_; }

 private:
  State fail(std::string_view why);
  State read_data(std::string& in, Frame& out);
  State read_control(uint16_t type, uint8_t flags, std::string_view payload, Frame& out);

  Inflater inflater_;
  uint32_t data_stream_ = 0, data_left_ = 0;  // of a data frame that is not all here
  bool in_data_ = false, data_fin_ = false;
  std::string_view error_;
};

void append_data_head(std::string& out, uint32_t stream, uint8_t flags, size_t size);
void append_control(std::string& out, FrameType type, uint8_t flags, std::string_view payload);
void append_u32(std::string& out, uint32_t value);

}  // namespace knarr::http::spdy
