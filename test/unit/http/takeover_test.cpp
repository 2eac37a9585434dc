#include <latch>

#include "feed.h"

namespace knarr::http::test {
namespace {

struct PumpServer {
  explicit PumpServer(const Pki* pki = nullptr) {
    ServerOptions options;
    if (pki) options.tls = pki->tls();
    server = must(Server::start(options, [this](const Request& request, Response& response) {
      response.set_header("Content-Type", "application/json");
      if (request.path == "/watch") response.pump(7, std::make_unique<FeedSource>(feed));
      if (request.path == "/other") response.pump(8, std::make_unique<FeedSource>(feed));
    }));
  }
  std::shared_ptr<Feed> feed = std::make_shared<Feed>();
  std::unique_ptr<Server> server;
};

constexpr std::string_view kWatch = "GET /watch HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_CASE("a pumped response comes in chunks as its topic is woken, and ends") {
  PumpServer p;
  Raw raw(p.server->port()), other(p.server->port());
  p.feed->lines = 1;
  raw.send(kWatch);
  const std::string begin = raw.read_until("line 1\n\r\n");
  CHECK(begin.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(begin.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(begin.find("\r\n\r\n7\r\nline 1\n\r\n") != std::string::npos);
  other.send("GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
  other.read_until("line 1\n");
  p.feed->lines = 2;
  p.server->pump().wake(7);
  raw.read_until("line 2\n");
  pollfd entry{other.fd(), POLLIN, 0};
  CHECK(::poll(&entry, 1, 20) == 0);  // its topic was not woken
  CHECK(p.server->pump().size() == 2);
  p.feed->end = true;
  p.server->pump().wake(7);
  const std::string all = raw.read_all();
  CHECK(all.substr(all.size() - 5) == "0\r\n\r\n");
  CHECK(eventually([&] { return p.feed->sources == 1 && p.server->pump().size() == 1; }));
}

TEST_CASE("HTTP/1.0 is pumped to without chunks") {
  PumpServer p;
  p.feed->lines = 1;
  p.feed->end = true;
  Raw raw(p.server->port());
  raw.send("GET /watch HTTP/1.0\r\n\r\n");
  const std::string all = raw.read_all();
  CHECK(all.substr(all.size() - 11) == "\r\n\r\nline 1\n");
}

TEST_CASE("hundreds of sources over TLS all get every event, and are freed when their clients go") {
  Pki pki;
  PumpServer p(&pki);
  constexpr int kWatchers = 300, kLines = 20;
  ClientOptions options;
  options.url = fmt::format("https://127.0.0.1:{}", p.server->port());
  options.ca_file = pki.ca;
  auto client = must(Client::make(options));
  std::vector<std::thread> threads;
  std::atomic<int> heads{0}, complete{0};
  auto cancel = Client::make_cancel();
  std::vector<std::shared_ptr<Client::Cancel>> cancels;
  for (int i = 0; i < kWatchers; ++i) {
    cancels.push_back(Client::make_cancel());
    threads.emplace_back([&, c = cancels.back()] {
      ClientRequest request;
      request.target = "/watch";
      std::string seen, expected;
      for (int line = 1; line <= kLines; ++line) expected += fmt::format("line {}\n", line);
      const Status status = client->stream(
          request, [&](const ClientResponse&) { return ++heads > 0; },
          [&](std::string_view data) {
            seen += data;
            if (seen == expected) ++complete;
            return true;
          },
          c);
      if (!status.ok() || seen != expected) complete = -100000;
    });
  }
  CHECK(eventually([&] { return heads == kWatchers; }));
  for (int line = 1; line <= kLines; ++line) {
    p.feed->lines = line;
    p.server->pump().wake(7);
  }
  CHECK(eventually([&] { return complete == kWatchers; }));
  CHECK(p.server->pump().size() == kWatchers);
  for (auto& c : cancels) c->cancel();
  for (auto& thread : threads) thread.join();
  CHECK(eventually([&] { return p.feed->sources == 0 && p.server->pump().size() == 0; }));
  CHECK(complete == kWatchers);
}

TEST_CASE("a source is not asked while its client does not read, and goes on afterwards") {
  PumpServer p;
  p.feed->padding = 1000;
  Raw slow(p.server->port(), 4096);
  slow.send(kWatch);
  slow.read_until("\r\n\r\n");
  p.feed->lines = 20000;
  p.server->pump().wake(7);
  CHECK(eventually([&] { return p.feed->calls > 1; }));
  int calls = 0;
  CHECK(eventually([&] {  // it came to rest long before the end
    const int before = std::exchange(calls, p.feed->calls.load());
    std::this_thread::sleep_for(milliseconds(20));
    return before == p.feed->calls;
  }));
  CHECK(calls < 150);
  for (int i = 0; i < 100; ++i) p.server->pump().wake(7);
  p.feed->end = true;
  const std::string all = slow.read_all();
  CHECK(count(all, "line ") == 20000);
  CHECK(all.substr(all.size() - 5) == "0\r\n\r\n");
}

TEST_CASE("a client's going away frees its source at once") {
  PumpServer p;
  auto raw = std::make_unique<Raw>(p.server->port());
  raw->send(kWatch);
  CHECK(eventually([&] { return p.feed->sources == 1; }));
  raw.reset();
  CHECK(eventually([&] { return p.feed->sources == 0; }));
}

TEST_CASE("a source's deadline wakes it") {
  struct Timed final : PumpSource {
    MonoTime end = std::chrono::steady_clock::now() + milliseconds(50);
    int calls = 0;
    More next(std::string& out, size_t) override {
      out += fmt::format("call {}\n", ++calls);
      return std::chrono::steady_clock::now() >= end ? More::kEnd : More::kIdle;
    }
    std::optional<MonoTime> deadline() const override { return end; }
  };
  auto server =
      must(Server::start({}, [](const Request&, Response& response) { response.pump(1, std::make_unique<Timed>()); }));
  Raw raw(server->port());
  raw.send(kWatch);
  const std::string all = raw.read_all();
  CHECK(count(all, "call ") == 2);
  CHECK(all.substr(all.size() - 5) == "0\r\n\r\n");
}

TEST_CASE("stopping ends pumped responses properly") {
  PumpServer p;
  p.feed->lines = 3;
  Raw raw(p.server->port());
  raw.send(kWatch);
  raw.read_until("line 3\n\r\n");
  p.server->stop();
  const std::string all = raw.read_all();
  CHECK(all.substr(all.size() - 5) == "0\r\n\r\n");
  CHECK(p.feed->sources == 0);
  p.server->pump().wake(7);  // harmless
}

TEST_CASE("a streamed response runs on its own thread and sees its client go") {
  std::atomic<bool> ended{false};
  auto server = must(Server::start({}, [&](const Request& request, Response& response) {
    if (request.path == "/log") {
      response.stream([](const Response::Writer& write, const std::function<bool()>&) {
        for (int i = 0; i < 3; ++i) insist(write(fmt::format("log {}\n", i)).ok());
      });
    } else if (request.path == "/follow") {
      response.stream([&](const Response::Writer& write, const std::function<bool()>& gone) {
        insist(write("begin").ok());
        insist(eventually(gone));
        ended = true;
      });
    } else {
      response.stream(
          [](const Response::Writer&, const std::function<bool()>&) { throw std::runtime_error("as asked"); });
    }
  }));
  Raw log(server->port());
  log.send("GET /log HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(log.read_all().find("\r\n\r\n6\r\nlog 0\n\r\n6\r\nlog 1\n\r\n6\r\nlog 2\n\r\n0\r\n\r\n") != std::string::npos);
  {
    Raw follow(server->port());
    follow.send("GET /follow HTTP/1.1\r\nHost: x\r\n\r\n");
    follow.read_until("begin");
  }
  CHECK(eventually([&] { return ended.load(); }));
  Raw thrown(server->port());
  thrown.send("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string cut = thrown.read_all();
  CHECK(cut.find("200 OK") != std::string::npos);
  CHECK(cut.find("\r\n0\r\n") == std::string::npos);
}

// Upgrades to "echo": every byte comes back.
std::unique_ptr<Server> echo_server(const Pki* pki) {
  ServerOptions options;
  if (pki) options.tls = pki->tls();
  return must(Server::start(options, [](const Request& request, Response& response) {
    if (request.header("Upgrade") != "echo") {
      response.status = 400;
      response.body = "no echo";
      return;
    }
    response.take_over([](std::unique_ptr<Stream> stream, std::string early) {
      std::string data = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n" + early;
      char buffer[4096];
      while (stream->write(data).ok()) {
        auto got = stream->read(buffer, sizeof buffer);
        if (!got.ok() || *got == 0) return;
        data.assign(buffer, *got);
      }
    });
  }));
}

ClientRequest echo_request() {
  ClientRequest request;
  request.method = "POST";
  request.target = "/exec";
  request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "echo"}};
  return request;
}

TEST_CASE("a connection that was taken over carries bytes both ways") {
  Pki pki;
  for (const Pki* p : {static_cast<const Pki*>(nullptr), static_cast<const Pki*>(&pki)}) {
    auto server = echo_server(p);
    ClientOptions options;
    options.url = fmt::format("{}://127.0.0.1:{}", p ? "https" : "http", server->port());
    options.ca_file = pki.ca;
    auto client = must(Client::make(options));
    auto upgraded = must(client->upgrade(echo_request()));
    REQUIRE(upgraded.response.status == 101);
    REQUIRE(upgraded.stream);
    REQUIRE(upgraded.stream->write("hello").ok());
    char buffer[64];
    CHECK(must(upgraded.stream->read(buffer, sizeof buffer)) == 5);
    CHECK(std::string_view(buffer, 5) == "hello");
    const auto soon = std::chrono::steady_clock::now() + milliseconds(20);
    CHECK(upgraded.stream->read(buffer, sizeof buffer, soon).status().is(reason::kTimeout));
    // One thread reads while another writes a lot.
    std::thread writer([&] {
      for (int i = 0; i < 200; ++i) insist(upgraded.stream->write(std::string(5000, 'w')).ok());
    });
    for (size_t size = 0; size < 1000000;) size += must(upgraded.stream->read(buffer, sizeof buffer));
    writer.join();
    upgraded.stream->shutdown_write();
    CHECK(must(upgraded.stream->read(buffer, sizeof buffer)) == 0);

    ClientRequest plain;
    plain.target = "/exec";
    auto refused = must(client->upgrade(plain));
    CHECK(refused.response.status == 400);
    CHECK(refused.response.body == "no echo");
    CHECK_FALSE(refused.stream);
  }
}

TEST_CASE("bytes behind the request's head are handed over") {
  auto server = echo_server(nullptr);
  Raw raw(server->port());
  raw.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
  CHECK(raw.read_until("early").find("101 Switching Protocols") != std::string::npos);
}

TEST_CASE("abort ends a read that waits, and stopping the server does so too") {
  auto server = echo_server(nullptr);
  ClientOptions options;
  options.url = fmt::format("http://127.0.0.1:{}", server->port());
  auto client = must(Client::make(options));
  auto first = must(client->upgrade(echo_request()));
  std::thread reader([&] {
    char buffer[16];
    auto got = first.stream->read(buffer, sizeof buffer);
    insist(!got.ok() || *got == 0);
  });
  first.stream->abort();
  reader.join();
  auto second = must(client->upgrade(echo_request()));
  server->stop(milliseconds(0));
  char buffer[16];
  auto got = second.stream->read(buffer, sizeof buffer);
  CHECK((!got.ok() || *got == 0));
  CHECK(server->stats().connections == 0);
}

TEST_CASE("relay joins two connections") {
  auto inner = echo_server(nullptr);
  Pki pki;
  ServerOptions outer_options;
  outer_options.tls = pki.tls();
  auto outer = must(Server::start(outer_options, [&](const Request&, Response& response) {
    response.take_over([&](std::unique_ptr<Stream> stream, std::string early) {
      ClientOptions options;
      options.url = fmt::format("http://127.0.0.1:{}", inner->port());
      auto upgraded = must(must(Client::make(options))->upgrade(echo_request()));
      insist(stream->write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").ok());
      relay(*stream, early, *upgraded.stream, upgraded.early);
    });
  }));
  ClientOptions options;
  options.url = fmt::format("https://127.0.0.1:{}", outer->port());
  options.ca_file = pki.ca;
  auto upgraded = must(must(Client::make(options))->upgrade(echo_request()));
  const std::string sent(3 << 20, 'r');
  std::thread writer([&] {
    insist(upgraded.stream->write(sent).ok());
    upgraded.stream->shutdown_write();
  });
  size_t size = 0;
  std::vector<char> buffer(65536);
  for (;;) {
    const size_t got = must(upgraded.stream->read(buffer.data(), buffer.size()));
    if (got == 0) break;
    size += got;
  }
  writer.join();
  CHECK(size == sent.size());
}

}  // namespace
}  // namespace knarr::http::test
