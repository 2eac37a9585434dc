#include "knarr/http/spdy.h"

#include <map>

#include "http/spdy_frames.h"
#include "support.h"

namespace knarr::http::test {
namespace {

using namespace spdy;

// The client's end, frame by frame.
class SpdyClient {
 public:
  SpdyClient(std::unique_ptr<Stream> stream, std::string early) : stream_(std::move(stream)), in_(std::move(early)) {}

  void open(uint32_t id, const Headers& headers, uint8_t flags = 0) {
    std::string payload, frame;
    append_u32(payload, id);
    append_u32(payload, 0);
    payload.append(2, '\0');
    payload += deflater_.write(headers);
    append_control(frame, kSynStream, flags, payload);
    send(frame);
  }
  void data(uint32_t id, std::string_view bytes, bool fin = false) {
    std::string frame;
    append_data_head(frame, id, fin ? kFin : 0, bytes.size());
    frame += bytes;
    send(frame);
  }
  void control(FrameType type, uint32_t first, std::optional<uint32_t> second = {}) {
    std::string payload, frame;
    append_u32(payload, first);
    if (second) append_u32(payload, *second);
    append_control(frame, type, 0, payload);
    send(frame);
  }
  void send(std::string_view bytes) { insist(stream_->write(bytes).ok()); }

  // The next frame; nothing at the end.
  std::optional<Frame> next() {
    char buffer[4096];
    for (;;) {
      Frame frame;
      const auto state = parser_.next(in_, frame);
      insist(state != Parser::State::kError, std::string(parser_.error()));
      if (state == Parser::State::kFrame) return frame;
      auto got = stream_->read(buffer, sizeof buffer, std::chrono::steady_clock::now() + seconds(5));
      if (!got.ok() || *got == 0) return {};
      in_.append(buffer, *got);
    }
  }
  Stream& stream() { return *stream_; }

 private:
  std::unique_ptr<Stream> stream_;
  std::string in_;
  Parser parser_;
  Deflater deflater_;
};

// A server whose every session hands its streams to `on_stream`, and lives until the client goes or `close` is set.
struct SpdyServer {
  explicit SpdyServer(SpdySession::OnStream on_stream, SpdySession::Options session_options = {}) {
    ServerOptions options;
    options.tls = pki.tls();
    server =
        must(Server::start(options, [this, on_stream, session_options](const Request& request, Response& response) {
          insist(is_spdy_upgrade(request));
          response.take_over([this, on_stream, session_options](std::unique_ptr<Stream> stream, std::string early) {
            insist(stream->write(spdy_handshake("v4.channel.k8s.io")).ok());
            auto session = SpdySession::make(std::move(stream), std::move(early), on_stream, session_options);
            while (!close && !session->wait_end(std::chrono::steady_clock::now() + milliseconds(5))) {
            }
            session.reset();
            ++ended;
          });
        }));
  }
  SpdyClient connect() {
    ClientOptions options;
    options.url = fmt::format("https://127.0.0.1:{}", server->port());
    options.ca_file = pki.ca;
    ClientRequest request;
    request.method = "POST";
    request.target = "/exec";
    request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
    auto upgraded = must(must(Client::make(options))->upgrade(request));
    insist(upgraded.stream != nullptr);
    CHECK(upgraded.response.header("X-Stream-Protocol-Version") == "v4.channel.k8s.io");
    return {std::move(upgraded.stream), std::move(upgraded.early)};
  }
  Pki pki;
  std::atomic<bool> close{false};
  std::atomic<int> ended{0};
  std::unique_ptr<Server> server;
};

// Every stream is answered with what comes in it, by a thread of its own.
void echo(std::shared_ptr<SpdyStream> stream) {
  std::thread([stream] {
    char buffer[1000];
    for (;;) {
      auto got = stream->read(buffer, sizeof buffer);
      if (!got.ok()) return;
      if (*got == 0) break;
      if (!stream->write(std::string_view(buffer, *got)).ok()) return;
    }
    [[maybe_unused]] Status closed = stream->close_write();
  }).detach();
}

TEST_CASE("header blocks survive compression, with its state, and several values") {
  Deflater deflater;
  Inflater inflater;
  const Headers first = {{"streamtype", "stdin"}, {"port", "80"}};
  Headers seen;
  CHECK(inflater.read(deflater.write(first), seen));
  CHECK(seen == first);
  for (int i = 0; i < 20; ++i) {
    const Headers next = {{"streamtype", "data"}, {"requestid", std::to_string(i)}};
    seen.clear();
    CHECK(inflater.read(deflater.write(next), seen));
    CHECK(seen == next);
  }
  seen.clear();
  CHECK(inflater.read(deflater.write({{"X-Multi", std::string("a\0b", 3)}}), seen));
  CHECK(seen == Headers{{"x-multi", "a"}, {"x-multi", "b"}});
  CHECK_FALSE(inflater.read("garbage", seen));
}

TEST_CASE("frames are read however they are cut") {
  Deflater deflater;
  std::string syn, bytes, ping;
  append_u32(syn, 1);
  append_u32(syn, 0);
  syn.append(2, '\0');
  syn += deflater.write({{"streamtype", "error"}});
  append_control(bytes, kSynStream, 0, syn);
  append_data_head(bytes, 1, kFin, 5);
  bytes += "hello";
  append_control(bytes, static_cast<FrameType>(4), 0, std::string(12, '\0'));  // SETTINGS
  append_u32(ping, 3);
  append_control(bytes, kPing, 0, ping);
  for (size_t step = 1; step <= bytes.size(); ++step) {
    Parser parser;
    std::string in, data;
    bool syn_seen = false, fin = false, ping_seen = false;
    for (size_t at = 0; at < bytes.size(); at += step) {
      in += bytes.substr(at, step);
      Frame frame;
      while (parser.next(in, frame) == Parser::State::kFrame) {
        if (frame.type == kSynStream) syn_seen = frame.headers == Headers{{"streamtype", "error"}};
        if (frame.type == kData) data += frame.data;
        if (frame.type == kData && frame.fin()) fin = true;
        if (frame.type == kPing) ping_seen = frame.stream == 3;
      }
    }
    INFO(step);
    CHECK(syn_seen);
    CHECK(data == "hello");
    CHECK(fin);
    CHECK(ping_seen);
  }
}

TEST_CASE("streams carry bytes both ways and end each by itself") {
  SpdyServer server(echo);
  auto client = server.connect();
  client.open(1, {{"streamtype", "stdin"}});
  client.open(3, {{"streamtype", "stdout"}});
  std::map<uint32_t, std::string> received;
  std::map<uint32_t, bool> replied, finished;
  client.data(1, "one");
  client.data(3, "three");
  client.data(1, std::string(100000, 'x'), true);
  client.control(kPing, 7);
  client.data(3, "", true);
  bool ponged = false;
  while (!finished[1] || !finished[3] || !ponged) {
    auto frame = client.next();
    REQUIRE(frame);
    if (frame->type == kSynReply) replied[frame->stream] = true;
    if (frame->type == kPing) ponged = frame->stream == 7;
    if (frame->type != kData) continue;
    received[frame->stream] += frame->data;
    if (frame->fin()) finished[frame->stream] = true;
  }
  CHECK(replied[1]);
  CHECK(replied[3]);
  CHECK(received[1] == "one" + std::string(100000, 'x'));
  CHECK(received[3] == "three");
  client.control(kGoAway, 0, 0);
  CHECK(eventually([&] { return server.ended == 1; }));
}

TEST_CASE("streams that must not be are refused") {
  SpdySession::Options options;
  options.max_streams = 2;
  std::atomic<int> opened{0};
  std::vector<std::shared_ptr<SpdyStream>> kept;
  SpdyServer server(
      [&](std::shared_ptr<SpdyStream> stream) {
        kept.push_back(std::move(stream));
        ++opened;
      },
      options);
  auto client = server.connect();
  client.open(2, {{"a", "b"}});  // even: the server's
  client.open(5, {{"a", "b"}});
  client.open(3, {{"a", "b"}});  // out of order
  client.open(7, {{"a", "b"}});
  client.open(9, {{"a", "b"}});  // one too many
  std::vector<std::pair<uint32_t, uint32_t>> resets;
  while (resets.size() < 3) {
    auto frame = client.next();
    REQUIRE(frame);
    if (frame->type == kRstStream) resets.emplace_back(frame->stream, frame->value);
  }
  CHECK(resets == std::vector<std::pair<uint32_t, uint32_t>>{{2, kProtocolError}, {3, kProtocolError}, {9, kRefused}});
  CHECK(opened == 2);
  server.close = true;
  CHECK(client.next()->type == kGoAway);
  CHECK_FALSE(client.next());
  client.stream().abort();
  CHECK(eventually([&] { return server.ended == 1; }));
  CHECK(eventually([&] { return server.server->stats().connections == 0; }));  // though streams are still held
}

TEST_CASE("resets reach the other side") {
  std::promise<std::shared_ptr<SpdyStream>> promise;
  SpdyServer server([&](std::shared_ptr<SpdyStream> stream) { promise.set_value(std::move(stream)); });
  auto client = server.connect();
  client.open(1, {{"streamtype", "data"}});
  auto stream = promise.get_future().get();
  CHECK(stream->header("StreamType") == "data");
  char byte;
  CHECK(stream->read(&byte, 1, std::chrono::steady_clock::now() + milliseconds(10)).status().is(reason::kTimeout));
  SECTION("the client's") {
    client.control(kRstStream, 1, kCancel);
    CHECK(must(stream->read(&byte, 1)) == 0);
    CHECK_FALSE(stream->write("x").ok());
  }
  SECTION("ours") {
    stream->reset();
    CHECK(client.next()->type == kSynReply);
    auto frame = client.next();
    CHECK(frame->type == kRstStream);
    CHECK(frame->value == kCancel);
  }
  SECTION("a client that is gone") {
    client.stream().abort();
    CHECK_FALSE(stream->read(&byte, 1).ok());
    CHECK(eventually([&] { return server.ended == 1; }));
    CHECK_FALSE(stream->write("x").ok());  // it outlives its session
  }
}

TEST_CASE("a stream that is not read holds the connection back, and nothing is lost") {
  SpdySession::Options options;
  options.max_buffered = 10000;
  std::promise<std::shared_ptr<SpdyStream>> promise;
  SpdyServer server([&](std::shared_ptr<SpdyStream> stream) { promise.set_value(std::move(stream)); }, options);
  auto client = server.connect();
  client.open(1, {{"streamtype", "data"}});
  auto stream = promise.get_future().get();
  constexpr size_t kTotal = 20 << 20;
  std::thread sender([&] {
    const std::string piece(1 << 16, 'p');
    for (size_t sent = 0; sent < kTotal; sent += piece.size()) client.data(1, piece);
    client.data(1, "", true);
  });
  size_t size = 0;
  std::vector<char> buffer(65536);
  while (size_t got = must(stream->read(buffer.data(), buffer.size()))) size += got;
  sender.join();
  CHECK(size == kTotal);
}

TEST_CASE("what is no SPDY ends the connection") {
  SpdyServer server([](std::shared_ptr<SpdyStream>) {});
  auto client = server.connect();
  client.send(std::string("\x80\x02\x00\x01\x00\x00\x00\x00", 8));
  CHECK_FALSE(client.next());
  CHECK(eventually([&] { return server.ended == 1; }));
}

}  // namespace
}  // namespace knarr::http::test
