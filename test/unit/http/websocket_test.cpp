#include "knarr/http/websocket.h"

#include "http/websocket_parser.h"
#include "support.h"

namespace knarr::http::test {
namespace {

std::string masked(uint8_t first, std::string payload) {
  const char mask[4] = {1, 2, 3, 4};
  std::string out(1, static_cast<char>(first));
  out += static_cast<char>(0x80 | payload.size());
  out.append(mask, 4);
  websocket::apply_mask(payload.data(), payload.size(), mask);
  return out + payload;
}

TEST_CASE("frames become messages however they are cut") {
  const std::string bytes = masked(0x01, "He") + masked(0x89, "ping") + masked(0x00, "ll") + masked(0x80, "o") +
                            masked(0x82, std::string("\x00\x01", 2)) + masked(0x88, std::string("\x03\xe8", 2) + "bye");
  for (size_t step = 1; step <= bytes.size(); ++step) {
    WebSocketParser parser{WebSocket::Options{}};
    std::string in;
    std::vector<std::string> events;
    for (size_t at = 0; at < bytes.size(); at += step) {
      in += bytes.substr(at, step);
      for (auto state = parser.next(in); state != WebSocketParser::State::kMore; state = parser.next(in)) {
        events.push_back(fmt::format("{}:{}", static_cast<int>(state), parser.take_data()));
        if (state == WebSocketParser::State::kError) break;
      }
    }
    INFO(step);
    CHECK(events == std::vector<std::string>{"2:ping", "1:Hello", std::string("1:\x00\x01", 4), "4:bye"});
    CHECK(parser.code() == 1000);
    CHECK(in.empty());
  }
}

TEST_CASE("frames that break the protocol are refused with the right code") {
  struct Case {
    std::string bytes;
    int code;
  };
  const Case cases[] = {
      {std::string("\x82\x01"
                   "a"),
       1002},                     // not masked
      {masked(0xc2, "a"), 1002},  // a reserved bit
      {masked(0x83, "a"), 1002},  // unknown opcodes
      {masked(0x8b, "a"), 1002},
      {masked(0x80, "a"), 1002},                           // a continuation of nothing
      {masked(0x01, "a") + masked(0x81, "b"), 1002},       // a message inside another
      {masked(0x09, "a"), 1002},                           // a fragmented ping
      {std::string("\x89\xfe\x00\x7e\0\0\0\0", 8), 1002},  // a long ping
      {masked(0x88, "a"), 1002},                           // half a close code
      {masked(0x88, std::string("\x03\xed", 2)), 1002},    // 1005 must not be sent
      {masked(0x81, "\xc3\x28"), 1007},                    // not UTF-8
      {masked(0x81, "\xed\xa0\x80"), 1007},
      {std::string("\x82\xff\0\0\0\0\0\0\x04\x01", 10), 1009},  // 1025 bytes
      {std::string("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10), 1009},
      {masked(0x02, std::string(100, 'a')) + std::string("\x80\xfe\x03\xff", 4), 1009},
  };
  for (const Case& c : cases) {
    WebSocket::Options options;
    options.max_message = 1024;
    WebSocketParser parser(options);
    std::string in = c.bytes;
    INFO(&c - cases);
    CHECK(parser.next(in) == WebSocketParser::State::kError);
    CHECK(parser.code() == c.code);
  }
}

Request upgrade_request(Headers headers) {
  Request request;
  request.method = "GET";
  request.headers = std::move(headers);
  return request;
}

TEST_CASE("the handshake") {
  const Headers good = {{"Connection", "keep-alive, Upgrade"},
                        {"Upgrade", "WebSocket"},
                        {"Sec-WebSocket-Version", "13"},
                        {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  auto plain = websocket_handshake(upgrade_request(good), {"v5.channel.k8s.io"});
  REQUIRE(plain.ok());
  CHECK(plain->protocol.empty());
  CHECK(plain->answer.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
  auto offering = good;
  offering.emplace_back("Sec-WebSocket-Protocol", "v1.x, v4.channel.k8s.io");
  offering.emplace_back("Sec-WebSocket-Protocol", "v5.channel.k8s.io");
  auto chosen = websocket_handshake(upgrade_request(offering), {"v5.channel.k8s.io", "v4.channel.k8s.io"});
  REQUIRE(chosen.ok());
  CHECK(chosen->protocol == "v5.channel.k8s.io");
  CHECK(chosen->answer.find("Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n") != std::string::npos);
  CHECK_FALSE(websocket_handshake(upgrade_request(offering), {"v9"}).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    auto less = good;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    INFO(good[i].first);
    CHECK_FALSE(websocket_handshake(upgrade_request(less), {}).ok());
  }
}

// Sends every message back on channel 1 and tells how the connection ended.
struct ChannelEcho {
  explicit ChannelEcho(bool as_stream = false) {
    ServerOptions options;
    options.tls = pki.tls();
    server = must(Server::start(options, [this, as_stream](const Request& request, Response& response) {
      auto handshake = websocket_handshake(request, {"v5.channel.k8s.io", "v4.channel.k8s.io"});
      if (!handshake.ok()) {
        response.status = 400;
        response.body = handshake.status().message();
        return;
      }
      response.take_over([this, as_stream, handshake = *handshake](std::unique_ptr<Stream> stream, std::string early) {
        auto socket = must(WebSocket::accept(std::move(stream), std::move(early), handshake));
        if (as_stream) return echo_stream(std::move(socket));
        for (;;) {
          auto message = socket->read();
          if (!message.ok()) return end.set_value(message.status().message());
          if (message->type == WebSocket::Type::kClose)
            return end.set_value(fmt::format("closed {} {}", message->code, message->data));
          insist(socket->write_channel(1, message->data).ok());
        }
      });
    }));
    ClientOptions client_options;
    client_options.url = fmt::format("https://127.0.0.1:{}", server->port());
    client_options.ca_file = pki.ca;
    client = must(Client::make(client_options));
  }
  void echo_stream(std::unique_ptr<WebSocket> socket) {
    auto bytes = make_websocket_stream(std::move(socket));
    char buffer[1000];
    for (;;) {
      const size_t got = must(bytes->read(buffer, sizeof buffer));
      if (got == 0) return;
      insist(bytes->write(std::string_view(buffer, got)).ok());
    }
  }
  std::unique_ptr<WebSocket> connect() {
    ClientRequest request;
    request.target = "/exec";
    request.headers = {{"Connection", "Upgrade"},
                       {"Upgrade", "websocket"},
                       {"Sec-WebSocket-Version", "13"},
                       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                       {"Sec-WebSocket-Protocol", "v4.channel.k8s.io"}};
    auto upgraded = must(client->upgrade(request));
    REQUIRE(upgraded.response.status == 101);
    CHECK(upgraded.response.header("Sec-WebSocket-Protocol") == "v4.channel.k8s.io");
    WebSocket::Options options;
    options.client = true;
    return WebSocket::make(std::move(upgraded.stream), std::move(upgraded.early), options);
  }
  Pki pki;
  std::promise<std::string> end;
  std::unique_ptr<Server> server;
  std::shared_ptr<Client> client;
};

TEST_CASE("messages go both ways over TLS, pings are answered, the end is told") {
  ChannelEcho echo;
  auto socket = echo.connect();
  for (const size_t size : {0, 1, 125, 126, 65535, 65536, 1000000}) {
    const std::string sent(size, 'm');
    REQUIRE(socket->write(WebSocket::Type::kBinary, sent).ok());
    REQUIRE(socket->ping().ok());
    CHECK(must(socket->read()).data == "\x01" + sent);
  }
  REQUIRE(socket->close(1000, "done").ok());
  const auto last = must(socket->read());
  CHECK(last.type == WebSocket::Type::kClose);
  CHECK(last.code == 1000);
  CHECK(echo.end.get_future().get() == "closed 1000 done");
  CHECK_FALSE(socket->write(WebSocket::Type::kBinary, "late").ok());
}

TEST_CASE("a message that is too large closes the connection and says so") {
  ChannelEcho echo;
  auto socket = echo.connect();
  REQUIRE(socket->write(WebSocket::Type::kBinary, std::string((1 << 20) + 1, 'm')).ok());
  const auto last = must(socket->read());
  CHECK(last.type == WebSocket::Type::kClose);
  CHECK(last.code == 1009);
  CHECK(echo.end.get_future().get().find("too large") != std::string::npos);
}

TEST_CASE("many threads write whole messages") {
  ChannelEcho echo;
  auto socket = echo.connect();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i)
        insist(socket->write(WebSocket::Type::kBinary, std::string(300, static_cast<char>('a' + t))).ok());
    });
  for (int i = 0; i < 400; ++i) {
    const std::string data = must(socket->read()).data;
    REQUIRE(data.size() == 301);
    CHECK(data.find_first_not_of(data[1], 1) == std::string::npos);
  }
  for (auto& thread : threads) thread.join();
}

TEST_CASE("a stream of bytes inside a WebSocket, with and without waiting") {
  ChannelEcho echo(true);
  auto stream = make_websocket_stream(echo.connect());
  const std::string sent(300000, 's');
  std::string_view left = sent;
  size_t received = 0;
  char buffer[4096];
  while (received < sent.size()) {
    if (!left.empty()) left.remove_prefix(must(stream->try_write(left)));
    bool end = false;
    received += must(stream->try_read(buffer, sizeof buffer, end));
    REQUIRE_FALSE(end);
  }
  REQUIRE(stream->write("more").ok());
  CHECK(must(stream->read(buffer, sizeof buffer)) == 4);
  stream->shutdown_write();
  CHECK(must(stream->read(buffer, sizeof buffer)) == 0);
}

}  // namespace
}  // namespace knarr::http::test
