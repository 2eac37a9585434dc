// The server over HTTP/2, with a client that speaks it over real sockets.
#include <latch>

#include "feed.h"
#include "http2_client.h"

namespace knarr::http::test {
namespace {

Pki& pki() {
  static Pki made;
  return made;
}

std::unique_ptr<Server> start(Handler handler, ServerOptions options = {}) {
  options.tls = pki().tls();
  return must(Server::start(std::move(options), std::move(handler)));
}

std::string pattern(size_t size) {
  std::string text(size, ' ');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 23);
  return text;
}

// So many bytes of the pattern, and fewer than it told if it is cut.
class PatternSource final : public BodySource {
 public:
  explicit PatternSource(size_t size, size_t cut = SIZE_MAX) : text_(pattern(size)), cut_(cut) {}
  size_t left() const override { return text_.size() - sent_; }
  size_t read(char* out, size_t room) override {
    const size_t size = std::min({room, left(), cut_ - std::min(cut_, sent_)});
    text_.copy(out, size, sent_);
    sent_ += size;
    return size;
  }

 private:
  const std::string text_;
  const size_t cut_;
  size_t sent_ = 0;
};

TEST_CASE("HTTP/2: a request's parts arrive, and its answer's") {
  Request seen;
  auto server = start([&](const Request& request, Response& response) {
    seen = request;
    response.status = 201;
    response.set_header("X-Mixed-Case", "v");
    response.set_header("Connection", "close");
    response.body = "hello";
  });
  Http2Client client(server->port(), pki());
  const auto& answer = client.wait(client.send("POST", "/a%20b?x=1&y=%2F", "the body", {{"x-one", "1"}, {"cookie", "a=b"}, {"cookie", "c=d"}}));
  CHECK(answer.status == 201);
  CHECK(answer.body == "hello");
  CHECK(answer.error == 0);
  CHECK(answer.headers.at("content-length") == "5");
  CHECK(answer.headers.at("x-mixed-case") == "v");
  CHECK(answer.headers.count("date") == 1);
  CHECK(answer.headers.count("connection") == 0);
  CHECK(seen.method == "POST");
  CHECK(seen.path == "/a b");
  CHECK(seen.target == "/a%20b?x=1&y=%2F");
  CHECK(seen.param("y") == "/");
  CHECK(seen.body == "the body");
  CHECK(seen.header("Host") == "the.host");
  CHECK(seen.header("X-One") == "1");
  CHECK(seen.header("Cookie") == "a=b; c=d");
  CHECK(seen.peer.value().common_name == "alice");
  CHECK(seen.remote_address.find("127.0.0.1:") == 0);
  CHECK(client.max_streams() == 100);
  CHECK(server->stats().connections == 1);
  CHECK(server->stats().requests == 1);
}

TEST_CASE("HTTP/2: HEAD, and answers without a body") {
  auto server = start([](const Request& request, Response& response) {
    if (request.path == "/204") response.status = 204;
    if (request.path != "/empty") response.body = "four";
  });
  Http2Client client(server->port(), pki());
  struct Case {
    const char *method, *path, *length, *body;
    int status;
  };
  for (const Case& c : {Case{"HEAD", "/", "4", "", 200}, Case{"GET", "/204", "", "", 204}, Case{"GET", "/empty", "0", "", 200},
                        Case{"GET", "/", "4", "four", 200}}) {
    const auto& answer = client.wait(client.send(c.method, c.path));
    INFO(c.method << " " << c.path);
    CHECK(answer.status == c.status);
    CHECK(answer.body == c.body);
    CHECK((answer.headers.count("content-length") ? answer.headers.at("content-length") : "") == c.length);
  }
}

TEST_CASE("HTTP/2: requests of one connection are handled side by side") {
  constexpr int kCount = 100;
  std::latch all(3);
  auto server = start([&](const Request& request, Response& response) {
    if (request.path == "/meet") all.arrive_and_wait();  // needs three handlers at once
    response.body = request.target;
  });
  Http2Client client(server->port(), pki());
  std::vector<int32_t> streams;
  for (int i = 0; i < kCount; ++i) streams.push_back(client.get(i < 3 ? "/meet" : "/" + std::to_string(i)));
  for (int i = 0; i < kCount; ++i) CHECK(client.wait(streams[static_cast<size_t>(i)]).body == (i < 3 ? "/meet" : "/" + std::to_string(i)));
  CHECK(server->stats().requests == kCount);
  CHECK(server->stats().in_flight == 0);
}

TEST_CASE("HTTP/2: large bodies go both ways through small windows") {
  constexpr size_t kSize = 400'000;
  auto server = start([&](const Request& request, Response& response) {
    if (request.path == "/echo") response.body = request.body;
    if (request.path == "/source") response.source = std::make_shared<PatternSource>(kSize);
    if (request.path == "/cut") response.source = std::make_shared<PatternSource>(kSize, 100'000);
  });
  for (const uint32_t window : {0u, 1000u, 1u << 20}) {
    Http2Client client(server->port(), pki(), {.window = window});
    const int32_t echo = client.send("PUT", "/echo", pattern(kSize));
    const int32_t source = client.get("/source");
    CHECK(client.wait(source).body == pattern(kSize));
    CHECK(client.wait(echo).body == pattern(kSize));
    CHECK(client.answer(source).headers.at("content-length") == std::to_string(kSize));
    const auto& cut = client.wait(client.get("/cut"));
    CHECK(cut.error == NGHTTP2_INTERNAL_ERROR);
    CHECK_FALSE(cut.ended);
  }
}

TEST_CASE("HTTP/2: a stream without room holds up no other") {
  auto server = start([](const Request& request, Response& response) { response.body = pattern(request.path == "/large" ? 100'000 : 10); });
  Http2Client client(server->port(), pki(), {.window = 5000, .keep_window = true});
  const int32_t large = client.get("/large");
  CHECK(client.until([&] { return client.answer(large).body.size() == 5000; }));
  CHECK(client.wait(client.get("/small")).body == pattern(10));
  for (size_t seen = 5000; seen < 100'000; seen = client.answer(large).body.size()) {
    client.make_room(large, 5000);
    REQUIRE(client.until([&] { return client.answer(large).body.size() > seen; }));
  }
  CHECK(client.wait(large).body == pattern(100'000));
}

TEST_CASE("HTTP/2: what is too large is refused, and the connection serves on") {
  std::atomic<int> handled{0};
  ServerOptions options;
  options.max_body = 10'000;
  options.max_header = 40'000;
  options.error_body = [](int code, std::string_view message, Response& response) {
    response.status = code;
    response.body = fmt::format("{}: {}", code, message);
  };
  auto server = start([&](const Request&, Response&) { ++handled; }, options);
  Http2Client client(server->port(), pki());
  // Too long as it says itself, and as it comes.
  const auto& told = client.wait(client.send("POST", "/", std::string(400'000, 'x'), {{"content-length", "400000"}}));
  CHECK(told.status == 413);
  CHECK(told.body == "413: the request's body is larger than this server takes");
  CHECK(client.wait(client.send("POST", "/", std::string(400'000, 'x'))).status == 413);
  Http2Client::Fields many;
  for (int i = 0; i < 30; ++i) many.emplace_back("x-" + std::to_string(i), std::string(1500, 'y'));
  const auto& headers = client.wait(client.send("GET", "/", {}, many));
  CHECK(headers.status == 431);
  CHECK(headers.body == "431: the request's headers are larger than this server takes");
  CHECK(handled == 0);
  CHECK(client.wait(client.send("POST", "/", std::string(10'000, 'x'))).status == 200);
  CHECK(handled == 1);
}

TEST_CASE("HTTP/2: a client that waits for 100 Continue gets it") {
  auto server = start([](const Request& request, Response& response) { response.body = request.body; });
  Http2Client client(server->port(), pki());
  CHECK(client.wait(client.send("POST", "/", "body", {{"expect", "100-continue"}})).body == "body");
}

TEST_CASE("HTTP/2: a stream that was cancelled is not handled, nor counted as running") {
  std::atomic<int> handled{0};
  std::latch entered(1), go(1);
  ServerOptions options;
  options.writers = 1;  // the others wait behind the first
  auto server = start(
      [&](const Request& request, Response&) {
        ++handled;
        if (request.path != "/first") return;
        entered.count_down();
        go.wait();
      },
      options);
  Http2Client client(server->port(), pki());
  const int32_t first = client.send("POST", "/first");
  entered.wait();
  std::vector<int32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(client.send("POST", "/"));
  for (const int32_t stream : streams) client.cancel(stream);
  client.wait(client.get("/after"));  // what came before it has been read
  client.cancel(first);
  go.count_down();
  CHECK(client.wait(client.send("POST", "/last")).status == 200);
  CHECK(handled == 3);
  CHECK(server->stats().in_flight == 0);
}

TEST_CASE("HTTP/2: an upgrade is refused") {
  auto server = start([](const Request&, Response& response) { response.take_over([](std::unique_ptr<Stream>, std::string) {}); });
  Http2Client client(server->port(), pki());
  const auto& answer = client.wait(client.get("/"));
  CHECK(answer.status == 400);
  CHECK(answer.body == "Upgrade request required\n");
}

TEST_CASE("HTTP/2: streamed answers wait for their client, and end or break off") {
  std::atomic<bool> broken{false};
  std::latch gone(1);
  auto server = start([&](const Request& request, Response& response) {
    response.stream([&, path = request.path](const Response::Writer& write, const std::function<bool()>& left) {
      if (path == "/end") {
        for (int i = 0; i < 50; ++i) insist(write(pattern(10'000)).ok());
        return;
      }
      if (path == "/throw") throw std::runtime_error("as asked");
      while (write("more and more").ok()) continue;
      broken = left();
      gone.count_down();
    });
  });
  Http2Client client(server->port(), pki(), {.window = 20'000});
  CHECK(client.wait(client.get("/end")).body.size() == 500'000);
  CHECK(client.answer(1).headers.count("content-length") == 0);
  CHECK(client.wait(client.get("/throw")).error == NGHTTP2_INTERNAL_ERROR);
  const int32_t endless = client.get("/endless");
  client.until([&] { return client.answer(endless).body.size() > 50'000; });
  client.cancel(endless);
  gone.wait();
  CHECK(broken);
  CHECK(client.wait(client.send("HEAD", "/end")).status == 200);
}

TEST_CASE("replies say status and headers late, on both protocols") {
  std::atomic<int> left{0};
  std::latch waiting(1);
  auto server = start([&](const Request& request, Response& response) {
    response.reply([&, path = request.path](Reply& reply) {
      if (path == "/sized") {
        insist(reply.begin(202, {{"Content-Length", "4"}, {"X-A", "b"}, {"Transfer-Encoding", "chunked"}}).ok());
        (void)reply.write("four");
        return reply.end();
      }
      if (path == "/open") {
        insist(reply.begin(200, {}).ok());
        for (int i = 0; i < 3; ++i) (void)reply.write("abc");
        return reply.end();
      }
      if (path == "/cut") {
        (void)reply.begin(200, {});
        (void)reply.write("abc");
        return;
      }
      auto told = std::make_shared<std::promise<void>>();
      reply.on_gone([told] { told->set_value(); });
      waiting.count_down();
      told->get_future().wait();
      ++left;
    });
  });
  SECTION("HTTP/2") {
    Http2Client client(server->port(), pki());
    const auto& sized = client.wait(client.get("/sized"));
    CHECK(sized.status == 202);
    CHECK(sized.headers.at("content-length") == "4");
    CHECK(sized.headers.at("x-a") == "b");
    CHECK(sized.body == "four");
    const auto& head = client.wait(client.send("HEAD", "/sized"));
    CHECK(head.status == 202);
    CHECK(head.headers.at("content-length") == "4");
    CHECK(client.wait(client.get("/open")).body == "abcabcabc");
    CHECK(client.wait(client.get("/cut")).error == NGHTTP2_INTERNAL_ERROR);
    const int32_t stays = client.get("/wait");
    waiting.wait();
    client.cancel(stays);
    CHECK(eventually([&] { return left == 1; }));
  }
  SECTION("HTTP/1.1") {
    ClientOptions options;
    options.url = fmt::format("https://127.0.0.1:{}", server->port());
    options.ca_file = pki().ca;
    auto client = must(Client::make(options));
    const auto ask = [&](std::string method, std::string target) {
      ClientRequest request;
      request.method = method;
      request.target = target;
      return client->send(request);
    };
    const auto sized = must(ask("GET", "/sized"));
    CHECK(sized.status == 202);
    CHECK(sized.header("X-A") == "b");
    CHECK(sized.header("Transfer-Encoding").empty());
    CHECK(sized.body == "four");
    CHECK(must(ask("HEAD", "/sized")).header("Content-Length") == "4");
    CHECK(must(ask("GET", "/open")).body == "abcabcabc");
    CHECK_FALSE(ask("GET", "/cut").ok());
    Http2Client h2(server->port(), pki());  // for the other branch of the handler
    h2.get("/wait");
    waiting.wait();
  }
}

struct Watched {
  explicit Watched(ServerOptions options = {}) {
    server = start([this](const Request& request, Response& response) {
      if (request.path == "/watch") response.pump(7, std::make_unique<FeedSource>(feed));
    }, options);
  }
  void say(int lines) {
    feed->lines = lines;
    server->pump().wake(7);
  }
  std::shared_ptr<Feed> feed = std::make_shared<Feed>();
  std::unique_ptr<Server> server;
};

TEST_CASE("HTTP/2: watches of one connection are sent together, and end each for itself") {
  Watched w;
  Http2Client client(w.server->port(), pki());
  std::vector<int32_t> streams;
  for (int i = 0; i < 90; ++i) streams.push_back(client.get("/watch"));
  CHECK(eventually([&] { return w.server->pump().size() == 90; }));
  std::string expected;
  for (int line = 1; line <= 5; ++line) {
    expected += fmt::format("line {}\n", line);
    w.say(line);
    for (const int32_t stream : streams)
      CHECK(client.until([&] { return client.answer(stream).body == expected; }));
  }
  CHECK(client.answer(streams[0]).status == 200);
  CHECK(w.server->stats().pumped == 90);
  CHECK(w.server->stats().connections == 1);
  for (size_t i = 0; i < 50; ++i) client.cancel(streams[i]);
  CHECK(eventually([&] { return w.server->pump().size() == 40 && w.feed->sources == 40; }));
  w.feed->end = true;
  w.server->pump().wake(7);
  for (size_t i = 50; i < streams.size(); ++i) CHECK(client.wait(streams[i]).ended);
  CHECK(eventually([&] { return w.feed->sources == 0; }));
}

TEST_CASE("HTTP/2: a watch without room is not asked until there is some") {
  Watched w;
  w.feed->padding = 1000;
  Http2Client client(w.server->port(), pki(), {.window = 3000, .keep_window = true});
  const int32_t full = client.get("/watch");
  w.say(1000);
  CHECK(client.until([&] { return client.answer(full).body.size() == 3000; }));
  client.listen(20);
  const int calls = w.feed->calls;
  for (int i = 0; i < 5; ++i) w.say(1001 + i);
  client.listen(20);
  CHECK(w.feed->calls == calls);
  for (size_t seen = 3000; seen < 100'000; seen = client.answer(full).body.size()) {
    client.make_room(full, 3000);
    REQUIRE(client.until([&] { return client.answer(full).body.size() > seen; }));
  }
}

TEST_CASE("HTTP/2: watches of a client that reads nothing end with it") {
  Watched w;
  w.feed->padding = 10'000;
  {
    Http2Client client(w.server->port(), pki(), {.window = 1 << 30, .receive_buffer = 4096});
    for (int i = 0; i < 50; ++i) client.get("/watch");
    CHECK(eventually([&] { return w.feed->sources == 50; }));
    w.say(1000);
    CHECK(eventually([&] { return w.feed->calls > 50; }));
    Http2Client other(w.server->port(), pki());
    CHECK(other.wait(other.get("/")).status == 200);
  }
  CHECK(eventually([&] { return w.feed->sources == 0 && w.server->pump().size() == 0 && w.server->stats().connections == 0; }));
}

TEST_CASE("HTTP/2: a server that stops says GOAWAY, and lets streams end") {
  auto w = std::make_unique<Watched>();
  Http2Client client(w->server->port(), pki()), idle(w->server->port(), pki());
  w->feed->lines = 1;
  const int32_t watch = client.get("/watch");
  CHECK(client.until([&] { return !client.answer(watch).body.empty(); }));
  idle.wait(idle.get("/"));
  std::thread stopping([&] { w->server->stop(); });
  CHECK(client.wait(watch).ended);
  CHECK(client.until([&] { return client.goaway(); }));
  CHECK(client.goaway_error() == NGHTTP2_NO_ERROR);
  CHECK(idle.until([&] { return idle.goaway(); }));
  idle.until([&] { return idle.ended(); });
  CHECK(idle.ended());
  stopping.join();
  CHECK(w->server->stats().connections == 0);
}

TEST_CASE("HTTP/2: deadlines of sessions, requests and answers") {
  ServerOptions options;
  SECTION("nothing is asked for") {
    options.idle_timeout = seconds(1);
    Watched w(options);
    Http2Client client(w.server->port(), pki());
    CHECK(client.until([&] { return client.ended(); }));
    CHECK(client.goaway());
  }
  SECTION("a request that does not end, an answer that is not read") {
    options.header_timeout = seconds(1);
    auto server = start([](const Request&, Response& response) { response.body = pattern(100'000); }, options);
    Http2Client client(server->port(), pki(), {.window = 1000, .keep_window = true});
    const int32_t half = client.begin("POST", "/", "half of it");
    const int32_t unread = client.get("/");
    CHECK(client.until([&] { return client.answer(half).closed && client.answer(unread).closed; }));
    CHECK(client.answer(half).error == NGHTTP2_CANCEL);
    CHECK(client.answer(unread).error == NGHTTP2_CANCEL);
    CHECK(server->stats().connections == 1);
  }
}

}  // namespace
}  // namespace knarr::http::test
