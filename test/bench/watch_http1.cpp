// A connection for each watcher. Epoll tells which sockets hold a whole event (SO_RCVLOWAT); the first two events tell
// how many bytes one has.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "bench/watch_crowd.h"

namespace knarr::bench {

namespace {

struct Connection {
  explicit Connection(Wire w) : wire(std::move(w)) {}
  Wire wire;
  Watch watch;
  std::string head;  // of the answer, until it is whole
  bool headed = false;
  int arrived = -1;  // the last event that the socket held
};

class Http1Crowd final : public Crowd {
 public:
  Http1Crowd(const Dialer& dialer, int size) : epoll_(epoll_create1(EPOLL_CLOEXEC)), ready_(static_cast<size_t>(size)) {
    const std::string request = fmt::format("GET {}{} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n",
                                            kWatchPath, kWatchQuery);
    for (int i = 0; i < size; ++i) {
      Connection& c = connections_.emplace_back(dialer.open());
      if (SSL_write(c.wire.ssl, request.data(), static_cast<int>(request.size())) <= 0) fail("cannot send a request");
    }
    for (size_t i = 0; i < connections_.size(); ++i) {
      fcntl(connections_[i].wire.fd, F_SETFL, O_NONBLOCK);
      epoll_event event{EPOLLIN | EPOLLET, {.u64 = i}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].wire.fd, &event);
    }
    read_all([](const Connection& c) { return c.headed; }, "were opened");
  }
  ~Http1Crowd() override { close(epoll_); }

  MonoTime wait_arrived(int event) override {
    size_t missing = connections_.size();
    for (auto begun = Clock::system().mono(); missing > 0;) {
      const int n = epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()), 0);
      for (int i = 0; i < n; ++i) {
        if (std::exchange(connections_[ready_[static_cast<size_t>(i)].data.u64].arrived, event) != event) --missing;
      }
      if (n == static_cast<int>(ready_.size())) continue;
      if (ms_since(begun) > kPatienceMs)
        fail(fmt::format("event {} did not come to {} of {} sockets", event, missing, connections_.size()));
      std::this_thread::sleep_for(kAsk);
    }
    return Clock::system().mono();
  }

  void read_event(int event) override {
    read_all([event](const Connection& c) { return c.watch.seen() >= event; }, "read an event");
    if (event <= 1) expect_whole_events();
  }

  size_t connections() const override { return connections_.size(); }

 private:
  // From here on a socket counts as readable when it holds about as many bytes as the last event had, a length or a
  // number aside.
  void expect_whole_events() {
    constexpr int kSlack = 16;
    for (const Connection& c : connections_) {
      const int bytes = last_size_ - kSlack;
      setsockopt(c.wire.fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
    }
  }

  template <typename Done>
  void read_all(const Done& done, const char* what) {
    for (auto begun = Clock::system().mono();; std::this_thread::sleep_for(milliseconds(1))) {
      size_t missing = 0;
      for (Connection& c : connections_) {
        if (!done(c)) read(c);
        missing += !done(c);
      }
      if (missing == 0) return;
      if (ms_since(begun) > kPatienceMs)
        fail(fmt::format("all but {} of {} watches {}", missing, connections_.size(), what));
    }
  }

  void read(Connection& c) {
    char buffer[16384];
    BIO* bio = SSL_get_rbio(c.wire.ssl);
    const uint64_t before = BIO_number_read(bio);
    for (int got; (got = SSL_read(c.wire.ssl, buffer, sizeof buffer)) > 0;)
      take(c, std::string_view(buffer, static_cast<size_t>(got)));
    if (const uint64_t bytes = BIO_number_read(bio) - before) last_size_ = static_cast<int>(bytes);
  }

  static void take(Connection& c, std::string_view bytes) {
    if (c.headed) return c.watch.take(bytes);
    c.head.append(bytes);
    const size_t end = c.head.find("\r\n\r\n");
    if (end == std::string::npos) return;
    if (!c.head.starts_with("HTTP/1.1 200")) fail("a watch was refused: " + c.head);
    c.headed = true;
    c.watch.take(std::string_view(c.head).substr(end + 4));
    c.head = std::string();
  }

  int epoll_;
  int last_size_ = 0;  // bytes that the last read took from a socket
  std::vector<epoll_event> ready_;
  std::vector<Connection> connections_;
};

}  // namespace

std::unique_ptr<Crowd> http1_crowd(const Dialer& dialer, int size) {
  return std::make_unique<Http1Crowd>(dialer, size);
}

}  // namespace knarr::bench
