// SPDY frames from strangers, with their compressed headers: bounded, whatever they say.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/spdy_frames.h"

using namespace knarr::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = 1 + data[0];
  spdy::Parser parser;
  std::string in;
  for (size_t at = 0; at < bytes.size(); at += step) {
    in += bytes.substr(at, step);
    spdy::Frame frame;
    for (auto state = parser.next(in, frame); state != spdy::Parser::State::kMore; state = parser.next(in, frame)) {
      if (state == spdy::Parser::State::kError) return 0;
      if (frame.headers.size() > 1000 || frame.data.size() > bytes.size()) abort();
    }
  }
  return 0;
}
