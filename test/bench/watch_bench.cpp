// One event to very many watchers: N connections over TLS, each with a watch of one ConfigMap; the ConfigMap is changed again and
// again, each change as soon as all have seen the last.
//
//   bench_watch --url … --ca … --cert … --key … --pids 12,13 [--watchers 1000,5000,10000] [--events 10]
//
// It measures the server, not itself on the cores they share: while an event is under way the client only asks epoll, every 200 µs,
// which sockets hold a whole event (SO_RCVLOWAT); when the last has it the clock stops, and then everything is read, decrypted and
// checked, before the next change. The first event tells how many bytes one has, and is not counted.
//
// Prints for each N the time from the write's request until the last watcher's socket holds the event (p50, p99), the server's CPU
// time for each event and watcher, and its memory for each watcher.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "bench/support.h"

using namespace knarr;
using namespace knarr::bench;

namespace {

constexpr const char* kPath = "/api/v1/namespaces/bench-watch/configmaps";
constexpr std::string_view kMark = "event-number\":\"";

[[noreturn]] void fail(const std::string& why) {
  fmt::print(stderr, "bench_watch: {}\n", why);
  std::exit(1);
}

struct Connection {
  int fd = -1;
  SSL* ssl = nullptr;
  std::string text;    // not looked at yet
  bool headed = false;
  int seen = -1;       // the last event
  int arrived = -1;    // the last event that the socket held

  Connection() = default;
  Connection(Connection&& other) noexcept : fd(std::exchange(other.fd, -1)), ssl(std::exchange(other.ssl, nullptr)) {}
  ~Connection() {
    if (ssl) SSL_free(ssl);
    if (fd >= 0) close(fd);
  }
};

// Watchers of one object.
class Crowd {
 public:
  Crowd(const Arguments& arguments, int size) : epoll_(epoll_create1(EPOLL_CLOEXEC)), ready_(static_cast<size_t>(size)) {
    context_ = SSL_CTX_new(TLS_client_method());
    if (SSL_CTX_use_certificate_chain_file(context_, arguments.text("cert").c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context_, arguments.text("key").c_str(), SSL_FILETYPE_PEM) != 1) {
      fail("cannot read the client's certificate");
    }
    SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
    const std::string& url = arguments.text("url");
    const auto colon = url.rfind(':');
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address_.sin_port = htons(static_cast<uint16_t>(std::atoi(url.c_str() + colon + 1)));
    for (int i = 0; i < size; ++i) connections_.push_back(open());
    for (size_t i = 0; i < connections_.size(); ++i) {
      fcntl(connections_[i].fd, F_SETFL, O_NONBLOCK);
      epoll_event event{EPOLLIN | EPOLLET, {.u64 = i}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].fd, &event);
    }
    read_all([](const Connection& c) { return c.headed; }, "were opened");
  }
  ~Crowd() {
    connections_.clear();
    close(epoll_);
    SSL_CTX_free(context_);
  }

  // Waits until every socket holds the event.
  void wait_arrived(int event) {
    size_t missing = connections_.size();
    for (auto begun = Clock::system().mono(); missing > 0;) {
      const int n = epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()), 0);
      for (int i = 0; i < n; ++i) {
        if (std::exchange(connections_[ready_[static_cast<size_t>(i)].data.u64].arrived, event) != event) --missing;
      }
      if (n == static_cast<int>(ready_.size())) continue;
      if (ms_since(begun) > 60'000) fail(fmt::format("event {} did not come to {} of {} sockets", event, missing, connections_.size()));
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  // Reads the event everywhere.
  void read_event(int event) {
    read_all([event](const Connection& c) { return c.seen >= event; }, "read an event");
  }
  // From here on a socket counts as readable when it holds about as many bytes as the last event had, a length or a number aside.
  void expect_whole_events() {
    constexpr int kSlack = 16;
    for (const Connection& c : connections_) {
      const int bytes = last_size_ - kSlack;
      setsockopt(c.fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
    }
  }

 private:
  Connection open() {
    Connection c;
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c.fd < 0 || connect(c.fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0) fail("cannot connect");
    c.ssl = SSL_new(context_);
    SSL_set_fd(c.ssl, c.fd);
    if (SSL_connect(c.ssl) != 1) fail("the TLS handshake failed");
    const std::string request = fmt::format(
        "GET {}?watch=1&timeoutSeconds=600&fieldSelector=metadata.name%3Dwatched HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n", kPath);
    if (SSL_write(c.ssl, request.data(), static_cast<int>(request.size())) <= 0) fail("cannot send a request");
    return c;
  }

  template <typename Done>
  void read_all(const Done& done, const char* what) {
    for (auto begun = Clock::system().mono();; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      size_t missing = 0;
      for (Connection& c : connections_) {
        if (!done(c)) read(c);
        missing += !done(c);
      }
      if (missing == 0) return;
      if (ms_since(begun) > 60'000) fail(fmt::format("all but {} of {} watches {}", missing, connections_.size(), what));
    }
  }

  void read(Connection& c) {
    char buffer[16384];
    const uint64_t before = BIO_number_read(SSL_get_rbio(c.ssl));
    for (int got; (got = SSL_read(c.ssl, buffer, sizeof buffer)) > 0;) c.text.append(buffer, static_cast<size_t>(got));
    if (const uint64_t bytes = BIO_number_read(SSL_get_rbio(c.ssl)) - before) last_size_ = static_cast<int>(bytes);
    if (const size_t end = c.text.find("\r\n\r\n"); !c.headed && end != std::string::npos) {
      if (!c.text.starts_with("HTTP/1.1 200")) fail("a watch was refused: " + c.text);
      c.headed = true;
      c.text.erase(0, end + 4);
    }
    if (!c.headed) return;
    for (size_t end; (end = c.text.find('\n')) != std::string::npos; c.text.erase(0, end + 1)) {
      const size_t at = c.text.find(kMark);
      if (at >= end) continue;  // a chunk's size, or its end
      const int event = std::atoi(c.text.c_str() + at + kMark.size());
      if (event != c.seen + 1) fail(fmt::format("event {} came after {}", event, c.seen));
      c.seen = event;
    }
    if (c.text.empty()) c.text = std::string();
  }

  sockaddr_in address_{};
  SSL_CTX* context_ = nullptr;
  int epoll_;
  int last_size_ = 0;  // bytes that the last read took from a socket
  std::vector<epoll_event> ready_;
  std::vector<Connection> connections_;
};

std::string body(int event) {
  return fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"watched","namespace":"bench-watch"}},"data":{{"event-number":"{}","text":"{}"}}}})",
                     event, std::string(1000, 'y'));
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments(argc, argv, {{"watchers", "1000,5000,10000"}, {"events", "10"}});
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const auto pids = arguments.numbers("pids");
  const int events = arguments.number("events");
  auto client = make_client(arguments);
  call(*client, "POST", "/api/v1/namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench-watch"}})");
  for (int size : arguments.numbers("watchers")) {
    call(*client, "DELETE", fmt::format("{}/watched", kPath), "");
    const double rss = rss_mib(pids);
    const auto begun_opening = Clock::system().mono();
    Crowd crowd(arguments, size);
    print(fmt::format("watch_{}_opened_per_s", size), size * 1000 / ms_since(begun_opening));
    print(fmt::format("watch_{}_rss_each_kib", size), (rss_mib(pids) - rss) * 1024 / size);
    Latencies latencies;
    double cpu = 0;
    for (int i = 0; i <= events; ++i) {
      const double cpu_before = cpu_us(pids);
      const auto start = Clock::system().mono();
      const int code = i == 0 ? call(*client, "POST", kPath, body(i)) : call(*client, "PUT", fmt::format("{}/watched", kPath), body(i));
      if (code != 200 && code != 201) fail(fmt::format("a write was answered with {}", code));
      if (i > 0) {
        crowd.wait_arrived(i);
        latencies.push_back(ms_since(start));
        cpu += cpu_us(pids) - cpu_before;
      }
      crowd.read_event(i);
      if (i == 0) crowd.expect_whole_events();
    }
    std::sort(latencies.begin(), latencies.end());
    print(fmt::format("watch_{}_last_p50_ms", size), percentile(latencies, 0.5));
    print(fmt::format("watch_{}_last_p99_ms", size), percentile(latencies, 0.99));
    print(fmt::format("watch_{}_cpu_each_us", size), cpu / events / size);
  }
  call(*client, "DELETE", "/api/v1/namespaces/bench-watch", "");
}
