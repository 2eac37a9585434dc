#include "http/pump.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "knarr/base/log.h"

namespace knarr::http {

namespace {

constexpr size_t kBudget = 64 << 10;    // of one call of a source
constexpr size_t kPrefix = 10;          // room for a chunk's size line in front of its data
constexpr size_t kMaxInput = 64 << 10;  // what a watching client may send before it is cut off
constexpr seconds kStallLimit{120};     // a client that reads nothing for so long is cut off
constexpr size_t kKeptScratch = 256 << 10;
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace

struct PumpImpl::Connection {
  uint64_t id = 0;
  Channel channel;
  std::unique_ptr<PumpSource> source;
  std::string unsent;             // what the socket did not take yet
  size_t input = 0;               // bytes that the client sent
  MonoTime progress{};            // when the socket last took something, while `unsent` is there
  std::optional<MonoTime> noted;  // the earliest deadline that stands in due_
  uint32_t topic = 0;
  bool chunked = true;
  bool woken = true;    // the source may have something
  bool queued = false;  // in ready_
  bool ended = false;   // the source is done: close when `unsent` is gone
};

PumpImpl::PumpImpl(linux::UniqueFd epoll, linux::UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

Result<std::unique_ptr<PumpImpl>> PumpImpl::start() {
  linux::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errno_status(errno, "epoll_create1");
  linux::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_status(errno, "eventfd");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = 0;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) < 0) return errno_status(errno, "epoll_ctl");
  std::unique_ptr<PumpImpl> pump(new PumpImpl(std::move(epoll), std::move(wake)));
  pump->thread_ = std::thread([p = pump.get()] { p->run(); });
  return pump;
}

PumpImpl::~PumpImpl() { stop(); }

void PumpImpl::signal() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(wake_.get(), &one, sizeof one);  // cannot fail but by being set already
}

void PumpImpl::wake(uint32_t topic) {
  {
    Lock lock(mutex_);
    woken_.insert(topic);
    if (std::exchange(signalled_, true)) return;
  }
  signal();
}

void PumpImpl::attach(PumpItem item) {
  {
    Lock lock(mutex_);
    size_.fetch_add(1, std::memory_order_relaxed);
    arrived_.push_back(std::move(item));
    if (std::exchange(signalled_, true)) return;
  }
  signal();
}

void PumpImpl::stop() {
  {
    Lock lock(mutex_);
    stopping_ = true;
  }
  signal();
  if (thread_.joinable()) thread_.join();
  close_all();  // what was attached after the thread ended
}

// What other threads left: new connections and woken topics.
void PumpImpl::take_news() {
  uint64_t count;
  [[maybe_unused]] ssize_t n = ::read(wake_.get(), &count, sizeof count);
  std::unordered_set<uint32_t> woken;
  std::vector<PumpItem> arrived;
  {
    Lock lock(mutex_);
    signalled_ = false;
    woken.swap(woken_);
    arrived.swap(arrived_);
  }
  for (PumpItem& item : arrived) register_connection(std::move(item));
  for (uint32_t topic : woken) {
    auto found = topics_.find(topic);
    if (found == topics_.end()) continue;
    for (uint64_t id : found->second) {
      Connection& connection = *connections_.at(id);
      connection.woken = true;
      if (connection.unsent.empty()) enqueue(connection);
    }
  }
}

void PumpImpl::register_connection(PumpItem item) {
  auto owned = std::make_unique<Connection>();
  Connection& connection = *owned;
  connection.id = next_id_++;
  connection.channel = std::move(item.channel);
  connection.source = std::move(item.source);
  connection.unsent = std::move(item.head);
  connection.topic = item.topic;
  connection.chunked = item.chunked;
  connections_.emplace(connection.id, std::move(owned));
  topics_[connection.topic].insert(connection.id);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;  // edge-triggered: set once, for as long as it lives
  event.data.u64 = connection.id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.channel.fd(), &event) < 0) {
    log::error("http", "a watch could not be added to epoll", {{"error", std::generic_category().message(errno)}});
    close(connection);
    return;
  }
  note_stall(connection);
  enqueue(connection);
}

void PumpImpl::run() {
  std::array<epoll_event, 256> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout());
    {
      Lock lock(mutex_);
      if (stopping_) break;
    }
    bool news = false;
    for (int i = 0; i < count; ++i) {
      if (events[static_cast<size_t>(i)].data.u64 == 0) {
        news = true;
      } else {
        handle(events[static_cast<size_t>(i)].data.u64, events[static_cast<size_t>(i)].events);
      }
    }
    if (news) take_news();
    run_deadlines();
    std::vector<uint64_t> ready;
    ready.swap(ready_);
    for (uint64_t id : ready) {
      auto found = connections_.find(id);
      if (found == connections_.end()) continue;
      found->second->queued = false;
      advance(*found->second);
    }
  }
  close_all();
}

int PumpImpl::timeout() const {
  if (!ready_.empty()) return 0;
  if (due_.empty()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(due_.front().when - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
}

void PumpImpl::handle(uint64_t id, uint32_t events) {
  auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) return close(connection);
  if ((events & EPOLLIN) && !drain_input(connection)) return close(connection);
  if ((events & EPOLLOUT) && (!connection.unsent.empty() || connection.ended)) advance(connection);
}

// A watching client has nothing to say, but TLS has: key updates and its farewell. false: the connection is over.
bool PumpImpl::drain_input(Connection& connection) {
  std::array<char, 4096> buffer;
  for (;;) {
    size_t got = 0;
    const Io io = connection.channel.read(buffer.data(), buffer.size(), got);
    if (io == Io::kWantRead || io == Io::kWantWrite) return true;
    if (io != Io::kDone) return false;
    connection.input += got;
    if (connection.input > kMaxInput) return false;
  }
}

// Sends what is left over; only then is the source asked for more.
void PumpImpl::advance(Connection& connection) {
  Progress progress = flush(connection);
  if (progress == Progress::kReady && connection.woken) progress = pull(connection);
  if (progress == Progress::kClosed) return close(connection);
  if (progress == Progress::kReady && connection.woken) enqueue(connection);
}

PumpImpl::Progress PumpImpl::flush(Connection& connection) {
  size_t sent = 0;
  while (sent < connection.unsent.size()) {
    size_t took = 0;
    const Io io = connection.channel.write(std::string_view(connection.unsent).substr(sent), took);
    if (io == Io::kError || io == Io::kEnd) return Progress::kClosed;
    sent += took;
    if (io != Io::kDone) break;
  }
  if (sent < connection.unsent.size()) {
    connection.unsent.erase(0, sent);
    if (sent > 0) note_stall(connection);
    return Progress::kWaiting;
  }
  connection.unsent = std::string();
  return connection.ended ? Progress::kClosed : Progress::kReady;
}

// Asks the source once and sends what it gave as one chunk.
PumpImpl::Progress PumpImpl::pull(Connection& connection) {
  scratch_.assign(kPrefix, ' ');
  PumpSource::More more = PumpSource::More::kEnd;
  try {
    more = connection.source->next(scratch_, kBudget);
  } catch (const std::exception& error) {
    log::error("http", "a watch ended because its source failed", {{"error", error.what()}});
    return Progress::kClosed;
  }
  connection.woken = more == PumpSource::More::kAgain;
  std::string_view bytes = std::string_view(scratch_).substr(kPrefix);
  if (!bytes.empty() && connection.chunked) {
    char line[kPrefix + 1];
    const auto end = fmt::format_to_n(line, sizeof line, "{:x}\r\n", bytes.size());
    const size_t begin = kPrefix - end.size;
    std::copy(line, end.out, scratch_.begin() + static_cast<std::ptrdiff_t>(begin));
    scratch_ += "\r\n";
    bytes = std::string_view(scratch_).substr(begin);
  }
  if (more == PumpSource::More::kEnd) {
    connection.ended = true;
    if (connection.chunked) {
      const size_t size = bytes.size();
      scratch_ += kLastChunk;
      bytes = std::string_view(scratch_).substr(scratch_.size() - kLastChunk.size() - size);
    }
  } else {
    note_deadline(connection);
  }
  while (!bytes.empty()) {
    size_t took = 0;
    const Io io = connection.channel.write(bytes, took);
    if (io == Io::kError || io == Io::kEnd) return Progress::kClosed;
    bytes.remove_prefix(took);
    if (io != Io::kDone) break;
  }
  connection.unsent = bytes;
  if (scratch_.capacity() > kKeptScratch) scratch_ = std::string();
  if (!connection.unsent.empty()) {
    note_stall(connection);
    return Progress::kWaiting;
  }
  return connection.ended ? Progress::kClosed : Progress::kReady;
}

// A deadline that stays in the past would have us turn without end.
void PumpImpl::note_deadline(Connection& connection) {
  constexpr milliseconds kSoonest{10};
  if (const auto deadline = connection.source->deadline())
    note(connection, std::max(*deadline, std::chrono::steady_clock::now() + kSoonest));
}

void PumpImpl::note_stall(Connection& connection) {
  connection.progress = std::chrono::steady_clock::now();
  note(connection, connection.progress + kStallLimit);
}

void PumpImpl::note(Connection& connection, MonoTime when) {
  if (connection.noted && *connection.noted <= when) return;
  connection.noted = when;
  due_.push_back({when, connection.id});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

void PumpImpl::run_deadlines() {
  const MonoTime now = std::chrono::steady_clock::now();
  while (!due_.empty() && due_.front().when <= now) {
    const Due due = due_.front();
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
    auto found = connections_.find(due.id);
    if (found == connections_.end() || found->second->noted != due.when) continue;
    Connection& connection = *found->second;
    connection.noted.reset();
    if (!connection.unsent.empty()) {
      connection.woken = true;  // whatever was due is looked at when the socket has room again
      if (now >= connection.progress + kStallLimit) {
        close(connection);
      } else {
        note(connection, connection.progress + kStallLimit);
      }
      continue;
    }
    const auto deadline = connection.source->deadline();
    if (deadline && *deadline > now) {  // it moved away meanwhile
      note(connection, *deadline);
    } else if (deadline) {
      connection.woken = true;
      enqueue(connection);
    }
  }
}

void PumpImpl::enqueue(Connection& connection) {
  if (std::exchange(connection.queued, true)) return;
  ready_.push_back(connection.id);
}

void PumpImpl::close(Connection& connection) {
  auto topic = topics_.find(connection.topic);
  topic->second.erase(connection.id);
  if (topic->second.empty()) topics_.erase(topic);
  connection.channel.close();  // leaves epoll by being closed
  size_.fetch_sub(1, std::memory_order_relaxed);
  connections_.erase(connection.id);  // `connection` is gone from here on
}

void PumpImpl::close_all() {
  std::vector<PumpItem> arrived;
  {
    Lock lock(mutex_);
    arrived.swap(arrived_);
  }
  for (PumpItem& item : arrived) register_connection(std::move(item));
  while (!connections_.empty()) {
    Connection& connection = *connections_.begin()->second;
    if (flush(connection) == Progress::kReady && connection.chunked) {
      size_t took = 0;
      connection.channel.write(kLastChunk, took);
    }
    close(connection);
  }
}

}  // namespace knarr::http
