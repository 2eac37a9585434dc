#include "knarr/http/server.h"

#include <openssl/ssl.h>

#include <condition_variable>
#include <latch>

#include "support.h"

namespace knarr::http::test {
namespace {

// Answers with what it was asked.
void echo(const Request& request, Response& response) {
  if (request.path == "/throw") throw std::runtime_error("as asked");
  if (request.path == "/none") response.status = 204;
  if (request.path == "/big") {
    response.body.assign(8 << 20, 'b');
    return;
  }
  response.set_header("Content-Type", "text/plain");
  response.set_header("X-Method", request.method);
  response.body = fmt::format("{} {} [{}]", request.method, request.path, request.body);
}

std::unique_ptr<Server> start(Handler handler = echo, ServerOptions options = {}) {
  return must(Server::start(std::move(options), std::move(handler)));
}

ClientOptions client_options(const Server& server, const Pki* pki = nullptr) {
  ClientOptions options;
  options.url = fmt::format("{}://127.0.0.1:{}", pki ? "https" : "http", server.port());
  if (pki) options.ca_file = pki->ca;
  return options;
}

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_CASE("requests of every kind are answered") {
  auto server = start();
  struct Case {
    const char* request;
    std::vector<const char*> expected;
  };
  const Case cases[] = {
      {"GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
       {"HTTP/1.1 200 OK\r\n", "Content-Length: 11\r\n", "Connection: close\r\n", "Date: ", "\r\n\r\nGET /a b []"}},
      {"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", {"POST /p [abc]"}},
      {"POST /bare HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {"POST /bare []"}},
      {"PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
       "close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
       {"PUT /c [abcde]"}},
      {"GET /with-body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
       {"GET /with-body [hi]"}},
      {"BREW /tea HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {"BREW /tea []"}},
      {"GET /old HTTP/1.0\r\n\r\n", {"HTTP/1.1 200 OK\r\n", "Connection: close\r\n", "GET /old []"}},
      {"\r\n\r\nGET /lines HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {"GET /lines []"}},
      {"GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {"HTTP/1.1 500 Internal Server Error\r\n"}},
  };
  for (const Case& c : cases) {
    INFO(c.request);
    Raw raw(server->port());
    raw.send(c.request);
    const std::string answer = raw.read_all();
    INFO(answer);
    for (const char* text : c.expected) CHECK(answer.find(text) != std::string::npos);
    CHECK(count(answer, "HTTP/1.1 ") == 1);
  }
}

TEST_CASE("HEAD gets the length and no body") {
  auto server = start();
  Raw raw(server->port());
  raw.send("HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = raw.read_all();
  CHECK(answer.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(answer.substr(answer.size() - 4) == "\r\n\r\n");
}

TEST_CASE("204 has neither length nor body, and the connection goes on") {
  auto server = start();
  Raw raw(server->port());
  raw.send("DELETE /none HTTP/1.1\r\nHost: x\r\n\r\nGET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = raw.read_all();
  const std::string first = answer.substr(0, answer.find("\r\n\r\n") + 4);
  CHECK(first.find("204 No Content") != std::string::npos);
  CHECK(first.find("Content-Length") == std::string::npos);
  CHECK(answer.substr(first.size(), 12) == "HTTP/1.1 200");
}

TEST_CASE("a connection serves many requests, pipelined ones in their order") {
  auto server = start();
  Raw raw(server->port());
  raw.send(kGet);
  CHECK(raw.read_until("GET /a []").find("200 OK") != std::string::npos);
  raw.seen().clear();
  std::string many;
  for (int i = 0; i < 50; ++i) {
    many += fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
    many += fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb", i);
  }
  many += "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  raw.send(many);
  const std::string answer = raw.read_all();
  size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answer.find(fmt::format("GET /{} []", i), at);
    REQUIRE(at != std::string::npos);
    at = answer.find(fmt::format("POST /{} [b]", i), at);
    REQUIRE(at != std::string::npos);
  }
  CHECK(answer.find("GET /last []", at) != std::string::npos);
  CHECK(server->stats().requests == 102);
}

TEST_CASE("requests may come byte by byte") {
  auto server = start();
  Raw raw(server->port());
  for (char c : std::string("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"))
    raw.send(std::string(1, c));
  CHECK(raw.read_until("POST /slow [ab]").find("[ab]") != std::string::npos);
}

TEST_CASE("what is too much or malformed is refused, and the answer arrives") {
  ServerOptions options;
  options.max_body = 1000;
  options.max_header = 2000;
  options.error_body = [](int code, std::string_view message, Response& response) {
    response.body = fmt::format("refused {}: {}", code, message);
  };
  auto server = start(echo, options);
  struct Case {
    std::string request;
    const char* expected;
  };
  const Case cases[] = {
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'a'), "refused 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n", "refused 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'a') +
           "\r\n0\r\n\r\n",
       "refused 413"},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'a') + "\r\n\r\n", "refused 431"},
      {"GET /" + std::string(3000, 'a'), "refused 431"},
      {"nonsense\r\n\r\n", "refused 400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "refused 501"},
      {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "refused 400"},
      {std::string("\x16\x03\x01\x02\x00", 5) + "\r\n\r\n", "refused 400"},
  };
  for (const Case& c : cases) {
    INFO(c.request.substr(0, 80));
    Raw raw(server->port());
    raw.send(c.request);
    raw.finish_sending();
    const std::string answer = raw.read_all();
    CHECK(answer.find(c.expected) != std::string::npos);
    const size_t body = answer.size() - std::min(answer.find("\r\n\r\n") + 4, answer.size());
    CHECK(answer.find(fmt::format("Content-Length: {}\r\n", body)) != std::string::npos);
    CHECK(count(answer, "HTTP/1.1 ") == 1);
  }
}

TEST_CASE("a large upload that is refused does not lose its answer") {
  ServerOptions options;
  options.max_body = 1000;
  auto server = start(echo, options);
  auto client = must(Client::make(client_options(*server)));
  ClientRequest request;
  request.method = "POST";
  request.target = "/up";
  request.body.assign(4 << 20, 'a');
  CHECK(must(client->send(request)).status == 413);
}

TEST_CASE("Expect: 100-continue") {
  auto server = start();
  Raw raw(server->port());
  raw.send("POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(raw.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("abc");
  CHECK(raw.read_until("POST /e [abc]").find("200 OK") != std::string::npos);
}

TEST_CASE("connections that say nothing, or too slowly, are closed") {
  ServerOptions options;
  options.idle_timeout = seconds(1);
  options.header_timeout = seconds(1);
  auto server = start(echo, options);
  Raw idle(server->port()), slow(server->port()), body(server->port()), used(server->port());
  slow.send("GET / HT");
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  used.send(kGet);
  used.read_until("GET /a []");
  for (Raw* raw : {&idle, &slow, &body, &used}) CHECK(raw->closed_within(5000));
  CHECK(eventually([&] { return server->stats().connections == 0; }));
}

TEST_CASE("a client that does not take its answer is cut off") {
  ServerOptions options;
  options.header_timeout = seconds(1);
  auto server = start(echo, options);
  Raw raw(server->port(), 4096);
  raw.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(eventually([&] { return server->stats().requests == 1 && server->stats().connections == 0; }));
}

TEST_CASE("a large answer reaches a client that takes its time") {
  auto server = start();
  auto client = must(Client::make(client_options(*server)));
  size_t size = 0;
  ClientRequest request;
  request.target = "/big";
  REQUIRE(client
              ->stream(
                  request, [](const ClientResponse& head) { return head.status == 200; },
                  [&](std::string_view data) {
                    size += data.size();
                    return true;
                  })
              .ok());
  CHECK(size == 8 << 20);
}

// Numbers one after the other, so that what is lost, doubled or out of order shows.
class Numbers final : public BodySource {
 public:
  explicit Numbers(size_t size) : left_(size) {}
  static char at(size_t i) { return static_cast<char>('0' + (i * 7 + i / 251) % 64); }
  size_t left() const override { return left_; }
  size_t read(char* out, size_t room) override {
    const size_t size = std::min(room, left_);
    for (size_t i = 0; i < size; ++i) out[i] = at(next_++);
    left_ -= size;
    return size;
  }

 private:
  size_t next_ = 0, left_;
};

TEST_CASE("a body that is made while it is sent arrives whole, and the connection goes on") {
  Pki pki;
  const bool tls = GENERATE(false, true);
  ServerOptions options;
  if (tls) options.tls = pki.tls();
  auto server = start(
      [](const Request& request, Response& response) {
        response.source = std::make_shared<Numbers>(static_cast<size_t>(std::stoul(request.path.substr(1))));
      },
      options);
  auto client = must(Client::make(client_options(*server, tls ? &pki : nullptr)));
  for (const size_t size : {0u, 1u, 16384u, 65300u, 65536u, 65537u, 1u << 20, 9u << 20}) {
    ClientRequest request;
    request.target = fmt::format("/{}", size);
    std::string seen;
    std::string length;
    REQUIRE(client
                ->stream(
                    request,
                    [&](const ClientResponse& head) {
                      length = head.header("Content-Length");
                      return head.status == 200;
                    },
                    [&](std::string_view data) {
                      seen += data;
                      if (seen.size() < 100'000) std::this_thread::yield();
                      return true;
                    })
                .ok());
    CHECK(length == std::to_string(size));
    REQUIRE(seen.size() == size);
    size_t wrong = 0;
    for (size_t i = 0; i < size; ++i) wrong += seen[i] != Numbers::at(i);
    CHECK(wrong == 0);
  }
  if (tls) return;
  Raw raw(server->port());
  raw.send("HEAD /70000 HTTP/1.1\r\nHost: x\r\n\r\nGET /5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = raw.read_all();
  CHECK(answers.find("Content-Length: 70000\r\n") != std::string::npos);
  CHECK(answers.size() < 1000);
  CHECK(answers.substr(answers.size() - 9) == "\r\n\r\n07>EL");
}

TEST_CASE("connections beyond the limit wait") {
  ServerOptions options;
  options.max_connections = 2;
  auto server = start(echo, options);
  auto first = std::make_unique<Raw>(server->port());
  Raw second(server->port()), third(server->port());
  second.send(kGet);
  second.read_until("GET /a []");
  third.send(kGet);
  pollfd entry{third.fd(), POLLIN, 0};
  CHECK(::poll(&entry, 1, 100) == 0);
  first.reset();
  CHECK(third.read_until("GET /a []").find("200 OK") != std::string::npos);
}

TEST_CASE("TLS: who the client is") {
  Pki pki;
  ServerOptions options;
  options.tls = pki.tls();
  auto server = start(
      [](const Request& request, Response& response) {
        response.body =
            request.peer ? fmt::format("{} {}", request.peer->common_name, fmt::join(request.peer->organizations, ","))
                         : "nobody";
        if (request.peer) response.set_header("X-Sha", request.peer->sha256);
      },
      options);
  const auto ask = [&](ClientOptions o) {
    ClientRequest request;
    request.target = "/";
    return must(must(Client::make(std::move(o)))->send(request));
  };
  CHECK(ask(client_options(*server, &pki)).body == "nobody");

  auto alice = client_options(*server, &pki);
  alice.certificate_file = pki.client_crt;
  alice.key_file = pki.client_key;
  const auto answer = ask(alice);
  CHECK(answer.body == "alice builders,system:masters");
  CHECK(answer.header("x-sha").size() == 64);

  auto in_memory = client_options(*server, &pki);
  in_memory.ca_file.clear();
  in_memory.ca_pem = slurp(pki.ca);
  in_memory.certificate_pem = slurp(pki.client_crt);
  in_memory.key_pem = slurp(pki.client_key);
  CHECK(ask(in_memory).body == "alice builders,system:masters");

  auto mallory = client_options(*server, &pki);
  mallory.certificate_file = pki.stranger_crt;
  mallory.key_file = pki.stranger_key;
  CHECK(ask(mallory).body == "nobody");
}

// One GET on a TLS connection made with OpenSSL itself; `session` is offered, and replaced by what the server gave.
struct TlsGet {
  bool resumed = false;
  std::string version, alpn, answer;
};

TlsGet tls_get(SSL_CTX* context, int port, SSL_SESSION** session) {
  Raw raw(port);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, raw.fd());
  if (*session) SSL_set_session(ssl, *session);
  TlsGet result;
  REQUIRE(SSL_connect(ssl) == 1);
  REQUIRE(SSL_write(ssl, kGet.data(), static_cast<int>(kGet.size())) > 0);
  char buffer[4096];
  const int n = SSL_read(ssl, buffer, sizeof buffer);
  REQUIRE(n > 0);
  result.answer.assign(buffer, static_cast<size_t>(n));
  result.resumed = SSL_session_reused(ssl);
  result.version = SSL_get_version(ssl);
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  result.alpn.assign(reinterpret_cast<const char*>(name), size);
  SSL_SESSION_free(*session);
  *session = SSL_get1_session(ssl);
  SSL_shutdown(ssl);
  SSL_free(ssl);
  return result;
}

TEST_CASE("TLS: sessions are resumed and keep the client's identity") {
  Pki pki;
  ServerOptions options;
  options.tls = pki.tls();
  auto server = start([](const Request& request,
                         Response& response) { response.body = request.peer ? request.peer->common_name : "nobody"; },
                      options);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>("\x08http/1.1"), 9);
    REQUIRE(SSL_CTX_use_certificate_chain_file(context, pki.client_crt.c_str()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey_file(context, pki.client_key.c_str(), SSL_FILETYPE_PEM) == 1);
    SSL_SESSION* session = nullptr;
    for (int i = 0; i < 3; ++i) {
      const TlsGet get = tls_get(context, server->port(), &session);
      INFO(get.version << " " << i);
      CHECK(get.resumed == (i > 0));
      CHECK(get.alpn == "http/1.1");
      CHECK(get.answer.find("alice") != std::string::npos);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
  }
  SSL_CTX* old = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(old, 0);
  SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
  Raw raw(server->port());
  SSL* ssl = SSL_new(old);
  SSL_set_fd(ssl, raw.fd());
  CHECK(SSL_connect(ssl) != 1);
  SSL_free(ssl);
  SSL_CTX_free(old);
}

TEST_CASE("TLS: the client trusts only whom it was told to, under the right name") {
  Pki pki;
  ServerOptions options;
  options.tls = pki.tls();
  auto server = start(echo, options);
  const auto ask = [&](ClientOptions o) {
    ClientRequest request;
    request.target = "/";
    return must(Client::make(std::move(o)))->send(request);
  };
  auto wrong_ca = client_options(*server, &pki);
  wrong_ca.ca_file = pki.stranger_crt;
  CHECK(ask(wrong_ca).status().message().find("not trusted") != std::string::npos);
  auto wrong_name = client_options(*server, &pki);
  wrong_name.server_name = "elsewhere";
  CHECK_FALSE(ask(wrong_name).ok());
  auto good_name = client_options(*server, &pki);
  good_name.server_name = "localhost";
  CHECK(ask(good_name).ok());
  auto of_the_system = client_options(*server, &pki);
  of_the_system.ca_file.clear();
  CHECK_FALSE(ask(of_the_system).ok());
  ::setenv("SSL_CERT_FILE", pki.ca.c_str(), 1);
  CHECK(ask(of_the_system).ok());
  ::unsetenv("SSL_CERT_FILE");
  auto careless = wrong_ca;
  careless.insecure_skip_verify = true;
  CHECK(ask(careless).ok());
  CHECK_FALSE(ask(client_options(*server)).ok());  // plain HTTP to a TLS port
}

TEST_CASE("TLS: new certificates for new connections") {
  Pki pki;
  ServerOptions options;
  options.tls = pki.tls();
  auto server = start(echo, options);
  auto old_client = must(Client::make(client_options(*server, &pki)));
  ClientRequest request;
  request.target = "/";
  CHECK(old_client->send(request).ok());
  pki.renew_server();
  REQUIRE(server->reload_tls().ok());
  CHECK(old_client->send(request).ok());  // on its open connection
  CHECK_FALSE(must(Client::make(client_options(*server, &pki)))->send(request).ok());
  auto renewed = client_options(*server, &pki);
  renewed.ca_file = pki.dir.file("ca2.crt");
  CHECK(must(Client::make(renewed))->send(request).ok());
  std::filesystem::remove(pki.server_key);
  CHECK_FALSE(server->reload_tls().ok());
  CHECK(must(Client::make(renewed))->send(request).ok());  // the last good ones stay
}

TEST_CASE("handlers that wait do not keep others from being served") {
  std::latch release(1);
  auto server = start([&](const Request& request, Response& response) {
    if (request.path == "/wait") release.wait();
    response.body = request.path;
  });
  std::vector<std::unique_ptr<Raw>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::make_unique<Raw>(server->port()));
    waiting.back()->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  CHECK(eventually([&] { return server->stats().in_flight == 8; }));
  Raw raw(server->port());
  raw.send(kGet);
  CHECK(raw.read_until("/a").find("200 OK") != std::string::npos);
  release.count_down();
  for (auto& each : waiting) CHECK(each->read_until("/wait").find("200 OK") != std::string::npos);
}

TEST_CASE("a thousand idle connections cost no CPU time") {
  auto server = start();
  std::vector<std::unique_ptr<Raw>> idle;
  for (int i = 0; i < 1000; ++i) idle.push_back(std::make_unique<Raw>(server->port()));
  for (auto& raw : idle) raw->send(kGet);
  for (auto& raw : idle) raw->read_until("GET /a []");
  CHECK(server->stats().connections == 1000);
  const auto used = [] {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
  };
  const double before = used();
  std::this_thread::sleep_for(milliseconds(300));
  CHECK(used() - before < 3.0);
}

TEST_CASE("stopping lets requests end, closes idle connections and takes no new ones") {
  std::latch entered(1);
  std::promise<void> release;
  auto released = release.get_future().share();
  auto server = start([&](const Request& request, Response& response) {
    if (request.path == "/wait") {
      entered.count_down();
      released.wait();
    }
    response.body = "done";
  });
  Raw idle(server->port()), busy(server->port());
  idle.send(kGet);
  idle.read_until("done");
  busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.wait();
  std::thread stopper([&] { server->stop(seconds(10)); });
  CHECK(idle.closed_within(5000));
  const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(server->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0);
  ::close(probe);
  release.set_value();
  const std::string answer = busy.read_all();
  CHECK(answer.find("done") != std::string::npos);
  CHECK(answer.find("Connection: close") != std::string::npos);
  stopper.join();
  CHECK(server->stats().connections == 0);
}

TEST_CASE("addresses that cannot be listened on are named") {
  auto server = start();
  ServerOptions taken;
  taken.port = server->port();
  CHECK(Server::start(taken, echo).status().message().find(std::to_string(server->port())) != std::string::npos);
  ServerOptions nowhere;
  nowhere.address = "example.invalid";
  CHECK_FALSE(Server::start(nowhere, echo).ok());
  ServerOptions six;
  six.address = "::";
  CHECK(Server::start(six, echo).ok());
}

}  // namespace
}  // namespace knarr::http::test
