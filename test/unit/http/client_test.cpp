#include "knarr/http/client.h"

#include <netinet/in.h>

#include <latch>

#include "knarr/base/sync.h"
#include "support.h"

namespace knarr::http::test {
namespace {

// A server that says what the test wants, byte for byte, on one connection after the other.
class Script {
 public:
  // Each connection: reads a request head, then sends the text, then closes (unless it is to stay open for the next
  // text).
  struct Step {
    std::string answer;
    bool close = true;
  };
  explicit Script(std::vector<Step> steps) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, steps = std::move(steps)] { run(steps); });
  }
  ~Script() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  std::string request(size_t i) {
    Lock lock(mutex_);
    return i < requests_.size() ? requests_[i] : "";
  }
  int connections() const { return connections_; }

 private:
  void run(const std::vector<Step>& steps) {
    linux::UniqueFd connection;
    for (const Step& step : steps) {
      if (!connection) {
        connection.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection) return;
        ++connections_;
      }
      std::string seen;
      char buffer[4096];
      while (seen.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(connection.get(), buffer, sizeof buffer, 0);
        if (n <= 0) break;
        seen.append(buffer, static_cast<size_t>(n));
      }
      {
        Lock lock(mutex_);
        requests_.push_back(seen);
      }
      ::send(connection.get(), step.answer.data(), step.answer.size(), MSG_NOSIGNAL);
      if (step.close) connection.reset();
    }
    char byte;
    if (connection) [[maybe_unused]]
      ssize_t n = ::recv(connection.get(), &byte, 1, 0);  // until the client closes
  }

  linux::UniqueFd listener_;
  int port_ = 0;
  std::atomic<int> connections_{0};
  Mutex mutex_;
  std::vector<std::string> requests_ KNARR_GUARDED_BY(mutex_);
  std::thread thread_;
};

std::shared_ptr<Client> client_of(const std::string& url, milliseconds timeout = seconds(5)) {
  ClientOptions options;
  options.url = url;
  options.request_timeout = timeout;
  return must(Client::make(options));
}

ClientRequest get(std::string target = "/x") {
  ClientRequest request;
  request.target = std::move(target);
  return request;
}

TEST_CASE("bodies of every framing") {
  struct Case {
    std::string answer, method;
    int status;
    std::string body;
    bool good;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "GET", 200, "hello", true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "GET", 200, "hello",
       true},
      {"HTTP/1.1 200 OK\r\n\r\nhello", "GET", 200, "hello", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 200, "", true},
      {"HTTP/1.1 204 No Content\r\n\r\n", "DELETE", 204, "", true},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "GET", 404, "no", true},
      {"HTTP/1.1 307 Temporary Redirect\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", "GET", 307, "", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "GET", 0, "", false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", "GET", 0, "", false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "GET", 0, "", false},
      {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "GET", 0, "", false},
      {"", "POST", 0, "", false},
  };
  for (const Case& c : cases) {
    INFO(c.answer);
    Script script({{c.answer}});
    ClientRequest request = get();
    request.method = c.method;
    auto answer = client_of(script.url())->send(request);
    REQUIRE(answer.ok() == c.good);
    if (!c.good) continue;
    CHECK(answer->status == c.status);
    CHECK(answer->body == c.body);
  }
}

TEST_CASE("what a request looks like") {
  Script script({{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  ClientOptions options;
  options.url = script.url() + "/prefix/";
  options.bearer_token = "token";
  options.user_agent = "agent/1";
  ClientRequest request = get("/x?a=b");
  request.method = "POST";
  request.body = "{}";
  request.headers = {{"Accept", "application/json"}, {"X-Break", "a\r\nInjected: b"}};
  REQUIRE(must(Client::make(options))->send(request).ok());
  const std::string sent = script.request(0);
  CHECK(sent.find("POST /prefix/x?a=b HTTP/1.1\r\nHost: 127.0.0.1:") == 0);
  for (const char* line :
       {"\r\nUser-Agent: agent/1\r\n", "\r\nAuthorization: Bearer token\r\n", "\r\nAccept: application/json\r\n",
        "\r\nContent-Length: 2\r\n", "\r\nX-Break: a  Injected: b\r\n"}) {
    INFO(line);
    CHECK(sent.find(line) != std::string::npos);
  }
  CHECK_FALSE(client_of(script.url())->send(get("/a b")).ok());
  CHECK_FALSE(client_of(script.url())->send(get("x")).ok());
}

constexpr const char* kShort = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";

TEST_CASE("a connection is kept and used again, unless the server says otherwise") {
  Script kept({{kShort, false},
               {kShort, false},
               {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"},
               {kShort}});
  auto client = client_of(kept.url());
  for (int i = 0; i < 4; ++i) CHECK(must(client->send(get())).body == "a");
  CHECK(kept.connections() == 2);
}

TEST_CASE("a kept connection that the server closed is replaced") {
  Script closed({{kShort}, {kShort}});
  auto client = client_of(closed.url());
  CHECK(client->send(get()).ok());
  ClientRequest post = get();
  post.method = "POST";
  // Whether the close was seen in time or not, a GET arrives; a POST does when it was seen.
  CHECK(client->send(get()).ok());
  // Closed in answer to the request itself: only what may be repeated is.
  Script cut({{kShort, false}, {""}, {kShort, false}, {""}});
  client = client_of(cut.url());
  CHECK(client->send(get()).ok());
  CHECK(client->send(get()).ok());
  CHECK_FALSE(client->send(post).ok());
}

TEST_CASE("a server that is not there, or does not answer in time") {
  std::string url;
  {
    Script gone({});
    url = gone.url();
  }
  auto refused = client_of(url)->send(get());
  CHECK(refused.status().is(reason::kServiceUnavailable));
  CHECK(refused.status().message().find(url) != std::string::npos);
  Script silent({{"", false}, {"", false}});
  auto late = client_of(silent.url(), milliseconds(30))->send(get());
  CHECK(late.status().is(reason::kTimeout));
}

TEST_CASE("a stream is stopped by its callbacks and from another thread") {
  std::promise<void> release;
  auto released = release.get_future().share();
  auto server = must(Server::start({}, [&](const Request&, Response& response) {
    response.stream([&](const Response::Writer& write, const std::function<bool()>&) {
      for (int i = 0; i < 10; ++i) [[maybe_unused]] Status s = write("piece");
      released.wait();
    });
  }));
  auto client = client_of(fmt::format("http://127.0.0.1:{}", server->port()));
  int pieces = 0;
  CHECK(client
            ->stream(
                get(), [](const ClientResponse& head) { return head.status != 200; },
                [](std::string_view) { return true; })
            .ok());
  CHECK(client
            ->stream(
                get(), [](const ClientResponse&) { return true; }, [&](std::string_view) { return ++pieces < 1; })
            .ok());
  CHECK(pieces == 1);
  auto cancel = Client::make_cancel();
  std::latch begun(1);
  std::thread stopper([&] {
    begun.wait();
    cancel->cancel();
  });
  size_t size = 0;
  CHECK(client
            ->stream(
                get(), [](const ClientResponse&) { return true; },
                [&](std::string_view data) {
                  size += data.size();
                  if (size == 50) begun.count_down();
                  return true;
                },
                cancel)
            .ok());
  stopper.join();
  CHECK(size == 50);
  CHECK(client
            ->stream(
                get(), [](const ClientResponse&) { return true; }, [](std::string_view) { return true; }, cancel)
            .ok());
  release.set_value();
}

TEST_CASE("many threads share a client") {
  Pki pki;
  ServerOptions options;
  options.tls = pki.tls();
  auto server = must(Server::start(
      options, [](const Request& request, Response& response) { response.body = request.path + request.body; }));
  ClientOptions client_options;
  client_options.url = fmt::format("https://localhost:{}", server->port());
  client_options.ca_file = pki.ca;
  auto client = must(Client::make(client_options));
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        ClientRequest request = get(fmt::format("/{}/{}", t, i));
        if (i % 2) {
          request.method = "POST";
          request.body = "body";
        }
        auto answer = client->send(request);
        good += answer.ok() && answer->body == request.target + request.body;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 400);
}

}  // namespace
}  // namespace knarr::http::test
