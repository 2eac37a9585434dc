// One event to very many watchers: N connections over TLS, each with a watch of one ConfigMap, held by one thread with epoll;
// the ConfigMap is changed again and again, each change as soon as all have seen the last.
//
//   bench_watch --url … --ca … --cert … --key … --pids 12,13 [--watchers 1000,5000,10000] [--events 10]
//
// Prints for each N the time from the write's request to the last watcher's read (p50, p99), the server's CPU time for each event
// and watcher, and its memory for each watcher.
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
#include <atomic>
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
  std::string tail;  // what may be the beginning of a mark
  bool headed = false;

  Connection() = default;
  Connection(Connection&& other) noexcept : fd(std::exchange(other.fd, -1)), ssl(std::exchange(other.ssl, nullptr)) {}
  ~Connection() {
    if (ssl) SSL_free(ssl);
    if (fd >= 0) close(fd);
  }
};

// Watchers of one object, read by one thread; counts which have seen which event.
class Crowd {
 public:
  Crowd(const Arguments& arguments, int size, int events) : seen_(static_cast<size_t>(events)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
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
      epoll_event event{EPOLLIN, {.u64 = i}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].fd, &event);
      read(connections_[i]);
    }
    reader_ = std::thread([this] { loop(); });
  }
  ~Crowd() {
    stop_ = true;
    reader_.join();
    connections_.clear();
    close(epoll_);
    SSL_CTX_free(context_);
  }

  int opened() const { return opened_; }
  bool wait(const std::atomic<int>& count, int wanted) const {
    for (auto begun = Clock::system().mono(); count < wanted; std::this_thread::sleep_for(std::chrono::microseconds(100))) {
      if (ms_since(begun) > 60'000) return false;
    }
    return true;
  }
  bool wait_opened() const { return wait(opened_, static_cast<int>(connections_.size())); }
  bool wait_seen(int event) const { return wait(seen_[static_cast<size_t>(event)], static_cast<int>(connections_.size())); }

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

  void read(Connection& c) {
    char buffer[16384];
    for (int got; (got = SSL_read(c.ssl, buffer, sizeof buffer)) > 0;) {
      c.tail.append(buffer, static_cast<size_t>(got));
      if (!c.headed && c.tail.find("\r\n\r\n") != std::string::npos) {
        if (!c.tail.starts_with("HTTP/1.1 200")) fail("a watch was refused: " + c.tail);
        c.headed = true;
        ++opened_;
      }
      for (size_t at; (at = c.tail.find(kMark)) != std::string::npos && c.tail.find('"', at + kMark.size()) != std::string::npos;) {
        const auto number = static_cast<size_t>(std::atoi(c.tail.c_str() + at + kMark.size()));
        if (number < seen_.size()) ++seen_[number];
        c.tail.erase(0, at + kMark.size());
      }
      if (c.headed && c.tail.size() > 64) c.tail.erase(0, c.tail.size() - 64);
    }
  }

  void loop() {
    std::vector<epoll_event> events(1024);
    while (!stop_) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 50);
      for (int i = 0; i < n; ++i) read(connections_[events[static_cast<size_t>(i)].data.u64]);
    }
  }

  sockaddr_in address_{};
  SSL_CTX* context_ = nullptr;
  std::vector<std::atomic<int>> seen_;
  std::atomic<int> opened_{0};
  std::atomic<bool> stop_{false};
  int epoll_;
  std::vector<Connection> connections_;
  std::thread reader_;
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
    Crowd crowd(arguments, size, events);
    if (!crowd.wait_opened()) fail(fmt::format("{} of {} watches were opened", crowd.opened(), size));
    print(fmt::format("watch_{}_opened_per_s", size), size * 1000 / ms_since(begun_opening));
    print(fmt::format("watch_{}_rss_each_kib", size), (rss_mib(pids) - rss) * 1024 / size);
    Latencies latencies;
    const double cpu = cpu_us(pids);
    for (int i = 0; i < events; ++i) {
      const auto start = Clock::system().mono();
      const int code = i == 0 ? call(*client, "POST", kPath, body(i)) : call(*client, "PUT", fmt::format("{}/watched", kPath), body(i));
      if (code != 200 && code != 201) fail(fmt::format("a write was answered with {}", code));
      if (!crowd.wait_seen(i)) fail(fmt::format("event {} did not reach all of {} watchers", i, size));
      latencies.push_back(ms_since(start));
    }
    std::sort(latencies.begin(), latencies.end());
    print(fmt::format("watch_{}_last_p50_ms", size), percentile(latencies, 0.5));
    print(fmt::format("watch_{}_last_p99_ms", size), percentile(latencies, 0.99));
    print(fmt::format("watch_{}_cpu_each_us", size), (cpu_us(pids) - cpu) / events / size);
  }
  call(*client, "DELETE", "/api/v1/namespaces/bench-watch", "");
}
