// What clients send as HTTP/2: requests are within their limits, every one can be answered in each way that there is,
// and what is held for a client does not grow with what it says.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/http2_protocol.h"

using namespace knarr::http;

namespace {

constexpr RequestLimits kLimits{4096, 8192};
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kEnough = 16 << 10;
constexpr size_t kLargestStep = 300 << 10;  // one frame and what goes before it

// A body that is made as it is sent.
class Letters final : public BodySource {
 public:
  explicit Letters(size_t size) : left_(size) {}
  size_t left() const override { return left_; }
  size_t read(char* out, size_t room) override {
    const size_t size = std::min(room, left_);
    std::fill_n(out, size, 'x');
    left_ -= size;
    return size;
  }

 private:
  size_t left_;
};

// Frames of the right length: each of the bytes' records is type, flags, stream and length, a byte each, and the
// payload.
std::string framed(std::string_view bytes) {
  std::string out;
  while (bytes.size() >= 4) {
    const size_t size = std::min<size_t>(static_cast<uint8_t>(bytes[3]), bytes.size() - 4);
    out.append({0, 0, static_cast<char>(size), bytes[0], bytes[1], 0, 0, 0, bytes[2]}).append(bytes.substr(4, size));
    bytes.remove_prefix(4 + size);
  }
  return out;
}

// Answers a request in a way that depends on its stream.
void answer(Http2Protocol& protocol, const Http2Protocol::Arrival& arrival, uint8_t ways) {
  const Request& request = arrival.request;
  Response response;
  response.headers.emplace_back("Content-Type", "text/plain");
  const int32_t id = arrival.stream;
  if (arrival.error.code) {
    response.status = arrival.error.code;
    response.body = arrival.error.message;
    return protocol.respond(id, response, false);
  }
  if (request.body.size() > kLimits.max_body || request.path.empty() || request.method.empty()) abort();
  for (const auto& [name, value] : request.headers)
    if (value.find_first_of("\r\n") != std::string::npos || name.empty()) abort();
  switch ((static_cast<uint32_t>(id) / 2 + ways) % 5) {
    case 0:
      response.body = std::string(100 + request.body.size(), 'a');
      return protocol.respond(id, response, request.method == "HEAD");
    case 1:
      response.source = std::make_shared<Letters>(100'000);
      return protocol.respond(id, response, request.method == "HEAD");
    case 2:
      protocol.open_body(id, response);
      protocol.append(id, "one");
      protocol.append(id, std::string(1000, 'b'));
      return protocol.end(id);
    case 3:
      protocol.open_body(id, response);
      protocol.watch(id, static_cast<uint64_t>(id));
      protocol.append(id, "an event\n");
      return protocol.ask_for_room(id);
    default:
      protocol.open_body(id, response);
      return protocol.reset(id);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t step = 1 + data[0];
  const uint8_t ways = data[1];
  const std::string_view raw(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string bytes = ways & 0x40 ? framed(raw) : std::string(raw);
  Http2Protocol protocol(kLimits);
  int64_t now = 0;
  if (!protocol.feed(kPreface)) abort();
  for (size_t at = 0; at < bytes.size(); at += step) {
    protocol.set_time(++now);
    const bool good = protocol.feed(std::string_view(bytes).substr(at, step));
    for (const auto& arrival : protocol.take_arrivals()) answer(protocol, arrival, ways);
    for (uint64_t watch : protocol.take_roomy()) {
      protocol.append(static_cast<int32_t>(watch), "another\n");
      if (watch % 4 == 3) protocol.end(static_cast<int32_t>(watch));
    }
    protocol.take_gone();
    if (protocol.open_streams() > Http2Protocol::kMaxStreams) abort();
    std::string out;
    if (!protocol.produce(out, kEnough)) return 0;
    if (out.size() > kLargestStep) abort();
    if (!good || protocol.over()) return 0;
    if (ways & 0x80) protocol.expire({.request = 50, .answer = 60, .watch = 100});
  }
  protocol.go_away();
  std::string out;
  protocol.produce(out, kEnough);
  protocol.abandon();
  if (protocol.open_streams() != 0) abort();
  return 0;
}
