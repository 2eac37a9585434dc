#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "http/server_impl.h"
#include "knarr/base/log.h"

namespace knarr::http {

namespace {

// What epoll tells of our own descriptors; of connections it tells their address, of sessions an odd number.
constexpr uint64_t kListenerTag = 1, kTimerTag = 2, kStopTag = 3, kWakeTag = 4;

constexpr int kAcceptBatch = 16, kMaxSpares = 62, kDefaultWriters = 16;
constexpr int kIntake = 32;  // events that are looked at before the next request that waits is handled
constexpr milliseconds kBusyPatience{5};     // all pollers inside handlers for so long: a spare one helps out
constexpr milliseconds kAcceptPause{200};    // when descriptors or connections ran out
constexpr milliseconds kSweepInterval{100};  // at the soonest
constexpr seconds kAbortPatience{5};         // for handlers' threads after their connections were aborted

thread_local bool t_polling = false;  // this thread counts in polling_

int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
      return fmt::format("{}:{}", text, ntohs(v6.sin6_port));
    }
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(v4.sin_port));
}

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

// Finds clients that went away without a word.
void set_keepalive(int fd) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler) {
  auto server = std::make_unique<ServerImpl>(std::move(options), std::move(handler));
  KNARR_RETURN_IF_ERROR(server->start());
  return std::unique_ptr<Server>(std::move(server));
}

ServerImpl::ServerImpl(ServerOptions options, Handler handler)
    : options_(std::move(options)),
      handler_(std::move(handler)),
      spares_(kMaxSpares),
      writers_(static_cast<size_t>(options_.writers > 0 ? options_.writers : kDefaultWriters)) {}

Status ServerImpl::start() {
  if (options_.tls) KNARR_RETURN_IF_ERROR(reload_tls());
  KNARR_RETURN_IF_ERROR(listen());
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  stop_event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wake_event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !timer_ || !stop_event_ || !wake_event_) return errno_status(errno, "make epoll, timerfd and eventfd");
  KNARR_RETURN_IF_ERROR(add_own(timer_.get(), EPOLLIN | EPOLLONESHOT, kTimerTag));
  KNARR_RETURN_IF_ERROR(add_own(stop_event_.get(), EPOLLIN, kStopTag));  // stays set, and so every poller sees it
  KNARR_RETURN_IF_ERROR(add_own(wake_event_.get(), EPOLLIN | EPOLLET, kWakeTag));  // each write wakes one poller
  workers_ =
      options_.workers > 0 ? options_.workers : std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  KNARR_ASSIGN(pump_, PumpImpl::start(static_cast<size_t>(workers_)));
  for (int i = 0; i < workers_; ++i) pollers_.emplace_back([this] { poll_loop(false); });
  watchman_ = std::thread([this] { watch_pollers(); });
  return add_own(listener_.get(), EPOLLIN | EPOLLONESHOT, kListenerTag);
}

Status ServerImpl::listen() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string where = fmt::format("listen on {} port {}", options_.address, options_.port);
  const int error = ::getaddrinfo(options_.address.c_str(), std::to_string(options_.port).c_str(), &hints, &found);
  if (error)
    return bad_request(
        fmt::format("{}: {}; the address must be an IP address of this machine", where, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  listener_.reset(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return errno_status(errno, where);
  set_option(listener_.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (found->ai_family == AF_INET6) set_option(listener_.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(listener_.get(), found->ai_addr, found->ai_addrlen) < 0 || ::listen(listener_.get(), 4096) < 0) {
    const int error_number = errno;
    if (error_number != EADDRINUSE) return errno_status(error_number, where);
    return internal_error(fmt::format("{}: another process uses it; stop that one or choose another port", where));
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &size) < 0) return errno_status(errno, where);
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(bound).sin_port);
  return {};
}

Status ServerImpl::reload_tls() {
  if (!options_.tls) return {};
  KNARR_ASSIGN(SslContextPtr context, make_server_context(*options_.tls));
  std::shared_ptr<SSL_CTX> shared(std::move(context));
  Lock lock(tls_mutex_);
  tls_.swap(shared);
  return {};
}

Status ServerImpl::add_own(int fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return errno_status(errno, "epoll_ctl");
  return {};
}

void ServerImpl::rearm_own(int fd, uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = tag;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);  // fails only while stopping, when it is out of epoll
}

// One event at a time: what another poller could take is left to it while this one is inside a handler.
void ServerImpl::poll_loop(bool spare) {
  t_polling = true;
  polling_.fetch_add(1);
  int taken_in = 0;
  while (!spare || polling_.load() <= workers_) {
    const bool work = ready_count_.load() > 0;
    epoll_event event;
    if (!work) sleeping_.fetch_add(1);
    const int found = work && taken_in >= kIntake ? 0 : ::epoll_wait(epoll_.get(), &event, 1, work ? 0 : -1);
    if (!work) sleeping_.fetch_sub(1);
    turns_.fetch_add(1, std::memory_order_relaxed);
    if (found <= 0) {  // nothing (more) has come; or EINTR
      taken_in = 0;
      run_ready();
      continue;
    }
    ++taken_in;
    if (event.data.u64 == kStopTag) break;
    if (event.data.u64 == kWakeTag) continue;
    if (event.data.u64 == kListenerTag) {
      accept_some();
    } else if (event.data.u64 == kTimerTag) {
      sweep();
    } else if (Http2Session::is_session(event.data.u64)) {
      drive_session(Http2Session::id_of(event.data.u64));
    } else {
      drive(*static_cast<Connection*>(event.data.ptr));
    }
  }
  polling_.fetch_sub(1);
  t_polling = false;
}

void ServerImpl::enter_handler() {
  if (!t_polling || polling_.fetch_sub(1) > 1) return;
  Lock lock(watchman_mutex_);
  if (!std::exchange(all_busy_, true)) watchman_wanted_.notify_one();
}

void ServerImpl::leave_handler() {
  if (t_polling) polling_.fetch_add(1);
}

bool ServerImpl::full() const {
  return connections_.load() + session_count_.load() + pump_->connections() + streams_->size() >=
         options_.max_connections;
}

void ServerImpl::accept_some() {
  for (int i = 0; i < kAcceptBatch; ++i) {
    if (stopping_) return;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    linux::UniqueFd fd;
    if (!full()) {
      fd.reset(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (!fd && (errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM)) continue;
      if (!fd && !stopping_)
        log::warn("http", "no connections are accepted for a moment",
                  {{"error", std::generic_category().message(errno)}});
    }
    if (!fd) {  // too many: they wait in the backlog until the next sweep
      accept_paused_ = true;
      note_sweep(now_ns() + std::chrono::nanoseconds(kAcceptPause).count());
      return;
    }
    adopt(std::move(fd), address_text(address));
  }
  rearm_own(listener_.get(), kListenerTag);
}

void ServerImpl::adopt(linux::UniqueFd fd, std::string remote_address) {
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_keepalive(fd.get());
  SslPtr ssl;
  if (options_.tls) {
    std::shared_ptr<SSL_CTX> context;
    {
      Lock lock(tls_mutex_);
      context = tls_;
    }
    auto made = make_server_ssl(context.get(), fd.get());
    if (!made.ok()) return log::error("http", "a connection was dropped", {{"error", made.status()}});
    ssl = std::move(*made);
  }
  auto owned = std::make_unique<Connection>(Channel(std::move(fd), std::move(ssl)),
                                            RequestLimits{options_.max_header, options_.max_body});
  owned->remote_address = std::move(remote_address);
  owned->state = options_.tls ? Connection::State::kHandshake : Connection::State::kReading;
  Connection& connection = *owned.release();  // epoll and the registry hold it from here on
  insert(connection);
  connection.idle = true;
  set_deadline(connection, options_.tls ? options_.header_timeout : options_.idle_timeout);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
  event.data.ptr = &connection;
  int error = 0;
  {
    Lock lock(connection.hand_over);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.channel.fd(), &event) < 0) error = errno;
  }
  if (!error) return;
  log::error("http", "a connection was dropped", {{"error", errno_status(error, "epoll_ctl")}});
  close(connection);
}

void ServerImpl::insert(Connection& connection) {
  Lock lock(registry_mutex_);
  connection.index = registry_.size();
  registry_.push_back(&connection);
  connections_ = registry_.size();
}

void ServerImpl::remove(Connection& connection) {
  Lock lock(registry_mutex_);
  registry_.back()->index = connection.index;
  std::swap(registry_[connection.index], registry_.back());
  registry_.pop_back();
  connections_ = registry_.size();
  if (registry_.empty()) registry_changed_.notify_all();
}

// Gives the connection to whichever poller the next event wakes. It must not be touched afterwards.
void ServerImpl::arm(Connection& connection, uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.ptr = &connection;
  Lock lock(connection.hand_over);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.channel.fd(), &event);
}

void ServerImpl::close(Connection& connection) {
  remove(connection);
  connection.channel.close();
  delete &connection;
}

void ServerImpl::set_deadline(Connection& connection, std::chrono::nanoseconds after) {
  const int64_t when = now_ns() + after.count();
  connection.deadline = when;
  if (when < next_sweep_.load()) note_sweep(when);
}

void ServerImpl::note_sweep(int64_t when) {
  Lock lock(timer_mutex_);
  if (when >= next_sweep_.load()) return;
  next_sweep_ = when;
  itimerspec spec{};
  spec.it_value.tv_sec = when / 1'000'000'000;
  spec.it_value.tv_nsec = when % 1'000'000'000;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

// Shuts down the sockets of connections that are over time; epoll then tells of them, and who gets that event closes
// them.
void ServerImpl::sweep() {
  uint64_t expirations;
  [[maybe_unused]] ssize_t n = ::read(timer_.get(), &expirations, sizeof expirations);
  next_sweep_ = INT64_MAX;
  const int64_t now = now_ns();
  int64_t soonest = INT64_MAX;
  {
    Lock lock(registry_mutex_);
    for (Connection* connection : registry_) {
      const int64_t deadline = connection->deadline.load();
      if (deadline <= now) {
        ::shutdown(connection->channel.fd(), SHUT_RDWR);
      } else {
        soonest = std::min(soonest, deadline);
      }
    }
  }
  sweep_sessions(now, soonest);
  if (accept_paused_ && !stopping_) {
    if (full()) {
      soonest = std::min(soonest, now + std::chrono::nanoseconds(kAcceptPause).count());
    } else {
      accept_paused_ = false;
      rearm_own(listener_.get(), kListenerTag);
    }
  }
  rearm_own(timer_.get(), kTimerTag);
  if (soonest != INT64_MAX) note_sweep(std::max(soonest, now + std::chrono::nanoseconds(kSweepInterval).count()));
}

void ServerImpl::watch_pollers() {
  Lock lock(watchman_mutex_);
  for (;;) {
    while (!all_busy_ && !watchman_stop_) watchman_wanted_.wait(lock);
    const uint64_t turns = turns_.load();
    const MonoTime until = std::chrono::steady_clock::now() + kBusyPatience;
    while (!watchman_stop_ && watchman_wanted_.wait_until(lock, until) != std::cv_status::timeout) continue;
    if (watchman_stop_) return;
    all_busy_ = polling_.load() == 0;
    if (all_busy_ && turns_.load() == turns) spares_.submit([this] { poll_loop(true); });
  }
}

void ServerImpl::shutdown_connections(bool only_idle) {
  Lock lock(registry_mutex_);
  for (Connection* connection : registry_)
    if (!only_idle || connection->idle) ::shutdown(connection->channel.fd(), SHUT_RDWR);
}

template <typename Call>
void ServerImpl::for_sessions(Call call) {
  std::vector<std::shared_ptr<Http2Session>> sessions;
  {
    Lock lock(sessions_mutex_);
    for (const auto& [id, session] : sessions_) sessions.push_back(session);
  }
  for (const auto& session : sessions) call(*session);
}

void ServerImpl::sweep_sessions(int64_t now, int64_t& soonest) {
  if (session_count_.load() == 0) return;
  for_sessions([&](Http2Session& session) {
    if (session.deadline() <= now) session.expire(now);
    soonest = std::min(soonest, session.deadline());
  });
}

bool ServerImpl::wait_no_sessions(MonoTime deadline) {
  Lock lock(sessions_mutex_);
  while (!sessions_.empty()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    sessions_changed_.wait_until(lock, deadline);
  }
  return true;
}

bool ServerImpl::wait_no_connections(MonoTime deadline) {
  Lock lock(registry_mutex_);
  while (!registry_.empty()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    registry_changed_.wait_until(lock, deadline);
  }
  return true;
}

void ServerImpl::stop(milliseconds grace) {
  Lock stop_lock(stop_mutex_);
  if (stopped_) return;
  stopped_ = true;
  stopping_ = true;
  if (!pump_) return;  // start() failed before there was any thread
  const MonoTime deadline = std::chrono::steady_clock::now() + grace;
  if (options_.gate) options_.gate->open();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  ::shutdown(listener_.get(), SHUT_RDWR);  // refuses new ones at once; closed when no poller can be using it
  shutdown_connections(true);
  for_sessions([](Http2Session& session) { session.go_away(); });
  pump_->stop();
  bool quiet = wait_no_connections(deadline);
  quiet = wait_no_sessions(deadline) && quiet;
  quiet = streams_->wait_empty(deadline) && quiet;
  if (!quiet) {
    shutdown_connections(false);
    for_sessions([](Http2Session& session) { session.shut_down(); });
    streams_->abort_all();
    if (!streams_->wait_empty(std::chrono::steady_clock::now() + kAbortPatience))
      log::warn("http", "a handler still holds a connection after the server stopped");
  }
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(stop_event_.get(), &one, sizeof one);
  {
    Lock lock(watchman_mutex_);
    watchman_stop_ = true;
    watchman_wanted_.notify_all();
  }
  if (watchman_.joinable()) watchman_.join();
  for (std::thread& poller : pollers_) poller.join();
  spares_.stop();
  writers_.stop();
  pump_->stop();  // what handlers attached meanwhile
  listener_.reset();
  {
    Lock lock(ready_mutex_);
    ready_.clear();
  }
  std::vector<Connection*> left;
  {
    Lock lock(registry_mutex_);
    left = registry_;
  }
  for (Connection* connection : left) close(*connection);
  for_sessions([](Http2Session& session) { session.close(); });
  Lock lock(sessions_mutex_);
  sessions_.clear();
}

Server::Stats ServerImpl::stats() const {
  Stats stats;
  stats.pumped = pump_->size();
  stats.connections = connections_.load() + session_count_.load() + pump_->connections() + streams_->size();
  stats.requests = requests_.load();
  stats.in_flight = in_flight_.load();
  return stats;
}

}  // namespace knarr::http
