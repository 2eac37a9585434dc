// What servers answer, and URLs that people type.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/client_connection.h"

using namespace knarr::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)parse_url(bytes);
  size_t from = 0;
  const size_t end = find_head_end(bytes, from);
  if (end == std::string_view::npos) return 0;
  ResponseHead head;
  if (parse_response_head(bytes.substr(0, end), "GET", head).code) return 0;
  if (head.status < 100 || head.status > 999) abort();
  if (head.framing != Framing::kChunked) return 0;
  std::string_view rest = bytes.substr(end);
  std::string body;
  ChunkDecoder decoder;
  if (decoder.feed(rest, body, 1000) == ChunkDecoder::State::kMore && !rest.empty()) abort();
  if (body.size() > 1000) abort();
  return 0;
}
