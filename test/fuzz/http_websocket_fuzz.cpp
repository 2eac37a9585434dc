// Frames from strangers, cut anywhere: messages stay within their limit, and the parser comes to an end.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/websocket_parser.h"

using namespace knarr::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  WebSocket::Options options;
  options.max_message = 512;
  options.client = data[0] & 1;
  const size_t step = 1 + data[0] / 2;
  WebSocketParser parser(options);
  std::string in;
  for (size_t at = 0; at < bytes.size(); at += step) {
    in += bytes.substr(at, step);
    for (;;) {
      const size_t before = in.size();
      const auto state = parser.next(in);
      if (state == WebSocketParser::State::kError || state == WebSocketParser::State::kClose) return 0;
      if (state == WebSocketParser::State::kMore) break;
      if (in.size() >= before || parser.take_data().size() > options.max_message) abort();
    }
  }
  return 0;
}
