// Requests from strangers: however the bytes are cut, the same requests are read, within the limits.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/connection.h"

using namespace knarr::http;

namespace {

constexpr RequestLimits kLimits{4096, 8192};

// What was read, as text.
std::vector<std::string> read(std::string_view bytes, size_t step) {
  std::vector<std::string> seen;
  RequestReader reader(kLimits);
  std::string in;
  for (size_t at = 0; at < bytes.size(); at += step) {
    in += bytes.substr(at, step);
    for (;;) {
      const auto state = reader.feed(in);
      if (state == RequestReader::State::kMore) break;
      if (state == RequestReader::State::kError) {
        seen.push_back("error");
        return seen;
      }
      const auto taken = reader.take();
      if (taken.request.body.size() > kLimits.max_body || taken.request.path.empty()) abort();
      std::string text = taken.request.method + ' ' + taken.request.path + '\n' + taken.request.body;
      for (const auto& [name, value] : taken.request.query) text += '\n' + name + '=' + value;
      for (const auto& [name, value] : taken.request.headers) {
        if (value.find_first_of("\r\n") != std::string::npos) abort();
        text += '\n' + name + ':' + value;
      }
      seen.push_back(std::move(text));
      if (in.empty()) break;
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = 1 + data[0] % 64;
  const auto whole = read(bytes, bytes.size() + 1), cut = read(bytes, step);
  // A limit may be noticed sooner when more is there at once, so only what both read must agree.
  for (size_t i = 0; i < std::min(whole.size(), cut.size()); ++i)
    if (whole[i] != cut[i] && whole[i] != "error" && cut[i] != "error") abort();
  return 0;
}
