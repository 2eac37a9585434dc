// How answers are written, and the counters behind /metrics.
#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <functional>

#include "knarr/apiserver/rest.h"
#include "negotiate.h"
#include "render.h"
#include "server_impl.h"

namespace knarr::apiserver {

namespace {

constexpr size_t kCompressAbove = 128 * 1024;  // as upstream: up to it it is not worth the time
constexpr int kCompressLevel = 1;

// Packs bytes as they come: what they were never stands in memory as a whole.
class Gzip {
 public:
  Gzip() { ready_ = deflateInit2(&stream_, kCompressLevel, Z_DEFLATED, kWindowBits, kMemory, Z_DEFAULT_STRATEGY) == Z_OK; }
  ~Gzip() { deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  bool ready() const { return ready_; }
  void add(std::string_view text) { run(text, Z_NO_FLUSH); }
  std::string finish() {
    run({}, Z_FINISH);
    return std::move(out_);
  }

 private:
  static constexpr int kWindowBits = 15 + 16, kMemory = 8;  // 16: with a gzip header

  void run(std::string_view text, int flush) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_.avail_in = static_cast<uInt>(text.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(piece_.data());
      stream_.avail_out = static_cast<uInt>(piece_.size());
      deflate(&stream_, flush);
      out_.append(piece_.data(), piece_.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

  z_stream stream_{};
  bool ready_ = false;
  std::array<char, 32 << 10> piece_;
  std::string out_;
};

// The text of a Warning header's quoted string (RFC 7234): no control characters.
std::string quoted_warning(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out += '"';
}

}  // namespace

void answer_status(http::Response& response, const Status& status, std::string_view continue_token) {
  response.status = status.code();
  response.set_header("Content-Type", "application/json");
  // An eviction that a budget forbids is for its client to repeat: without the header libraries do not do so themselves.
  const int retry_after = std::max(status.details().retry_after_seconds, status.causes().empty() ? 1 : 0);
  if ((status.code() == 429 || status.code() == 504) && retry_after > 0)
    response.set_header("Retry-After", std::to_string(retry_after));
  response.body = status_json(status, continue_token);
}

void answer_no_such_path(http::Response& response) {
  response.status = 404;
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  response.set_header("X-Content-Type-Options", "nosniff");
  response.body = "404 page not found\n";
}

void answer_json(http::Response& response, int code, std::string text, const Output& output) {
  response.status = code;
  response.set_header("Content-Type", output.content_type());
  response.body = format_json(std::move(text), output);
}

void add_warnings(http::Response& response, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) response.add_header("Warning", "299 - " + quoted_warning(warning));
}

void compress(const http::Request& request, http::Response& response) {
  if (response.takeover || response.body_size() <= kCompressAbove || !takes_gzip(request)) return;
  Gzip gzip;
  if (!gzip.ready()) return;  // no memory for it: the body goes as it is
  if (response.source) {
    std::array<char, 64 << 10> window;
    while (const size_t got = response.source->read(window.data(), window.size())) gzip.add({window.data(), got});
    response.source.reset();
  } else {
    gzip.add(response.body);
  }
  response.body = gzip.finish();
  response.set_header("Content-Encoding", "gzip");
  response.add_header("Vary", "Accept-Encoding");
}

void RequestCounts::add(const RequestInfo& info, int code) {
  std::string key =
      fmt::format(R"(verb="{}",group="{}",version="{}",resource="{}",subresource="{}",code="{}")", info.verb,
                  info.resource_request ? info.group : "", info.version, info.resource, info.subresource, code);
  constexpr size_t kMaxKeys = 4096;  // names come from clients: the map is bounded
  Lock lock(mutex_);
  if (counts_.size() >= kMaxKeys && !counts_.contains(key)) key = R"(verb="other")";
  ++counts_[std::move(key)];
}

std::string RequestCounts::to_text() const {
  std::string out =
      "# HELP apiserver_request_total Requests answered, by what they were and the code.\n"
      "# TYPE apiserver_request_total counter\n";
  Lock lock(mutex_);
  for (const auto& [key, count] : counts_) out += fmt::format("apiserver_request_total{{{}}} {}\n", key, count);
  return out;
}

std::shared_ptr<const Documents::Document> Documents::get(const std::string& key, uint64_t number,
                                                          const std::function<std::string()>& make) {
  constexpr size_t kKept = 512;  // documents of groups that are gone are not kept for ever
  Lock lock(mutex_);
  if (documents_.size() > kKept) documents_.clear();
  auto& [state, slot] = documents_[key];
  if (!slot || state != number) {
    state = number;
    auto document = std::make_shared<Document>();
    document->text = make();
    document->etag = fmt::format("{:016X}{:08X}", std::hash<std::string>()(document->text), document->text.size());
    slot = std::move(document);
  }
  return slot;
}

}  // namespace knarr::apiserver
