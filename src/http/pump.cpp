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
constexpr size_t kLaneFull = 64;  // connections in every lane before another one begins
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace

struct PumpLane::Connection {
  uint64_t id = 0;
  size_t place = 0;  // among those of its topic
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
  bool closed = false;
};

PumpLane::PumpLane(linux::UniqueFd epoll, linux::UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

Result<std::unique_ptr<PumpLane>> PumpLane::start() {
  linux::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errno_status(errno, "epoll_create1");
  linux::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_status(errno, "eventfd");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) < 0) return errno_status(errno, "epoll_ctl");
  std::unique_ptr<PumpLane> pump(new PumpLane(std::move(epoll), std::move(wake)));
  pump->thread_ = std::thread([p = pump.get()] { p->run(); });
  return pump;
}

PumpLane::~PumpLane() { stop(); }

void PumpLane::signal() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(wake_.get(), &one, sizeof one);  // cannot fail but by being set already
}

void PumpLane::wake(uint32_t topic) {
  {
    Lock lock(mutex_);
    if (!watched_.contains(topic)) return;
    woken_.insert(topic);
    if (std::exchange(signalled_, true)) return;
  }
  signal();
}

void PumpLane::attach(PumpItem item) {
  {
    Lock lock(mutex_);
    size_.fetch_add(1, std::memory_order_relaxed);
    ++watched_[item.topic];
    arrived_.push_back(std::move(item));
    if (std::exchange(signalled_, true)) return;
  }
  signal();
}

void PumpLane::stop() {
  {
    Lock lock(mutex_);
    stopping_ = true;
  }
  signal();
  if (thread_.joinable()) thread_.join();
  close_all();  // what was attached after the thread ended
}

// What other threads left: new connections and woken topics.
void PumpLane::take_news() {
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
    for (Connection* connection : found->second) {
      connection->woken = true;
      if (connection->unsent.empty()) enqueue(*connection);
    }
  }
}

void PumpLane::register_connection(PumpItem item) {
  auto owned = std::make_unique<Connection>();
  Connection& connection = *owned;
  connection.id = next_id_++;
  connection.channel = std::move(item.channel);
  connection.source = std::move(item.source);
  connection.unsent = std::move(item.head);
  connection.topic = item.topic;
  connection.chunked = item.chunked;
  connections_.emplace(connection.id, std::move(owned));
  std::vector<Connection*>& others = topics_[connection.topic];
  connection.place = others.size();
  others.push_back(&connection);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;  // edge-triggered: set once, for as long as it lives
  event.data.ptr = &connection;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.channel.fd(), &event) < 0) {
    log::error("http", "a watch could not be added to epoll", {{"error", std::generic_category().message(errno)}});
    close(connection);
    return;
  }
  note_stall(connection);
  enqueue(connection);
}

void PumpLane::run() {
  std::array<epoll_event, 256> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout());
    {
      Lock lock(mutex_);
      if (stopping_) break;
    }
    bool news = false;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (!event.data.ptr) {
        news = true;
      } else {
        handle(*static_cast<Connection*>(event.data.ptr), event.events);
      }
    }
    if (news) take_news();
    run_deadlines();
    std::vector<Connection*> ready;
    ready.swap(ready_);
    for (size_t i = 0; i < ready.size(); ++i) {
      Connection* const connection = ready[i];
      if (i + 2 < ready.size()) prefetch(*ready[i + 2], *ready[i + 1]);
      connection->queued = false;
      if (!connection->closed) advance(*connection);
    }
    std::erase_if(closed_, [](const auto& connection) { return !connection->queued; });
  }
  close_all();
}

// Thousands of watches are more than a cache holds: what is needed next is fetched while this one's event is sent. It makes an
// event to 5,000 a tenth cheaper.
void PumpLane::prefetch(const Connection& second, const Connection& next) {
  constexpr size_t kLine = 64, kTlsLines = 8;
  const auto fetch = [](const void* from, size_t lines) {
    for (size_t i = 0; i < lines; ++i) __builtin_prefetch(static_cast<const char*>(from) + i * kLine);
  };
  fetch(&second, sizeof second / kLine);
  fetch(next.source.get(), 1);
  if (next.channel.encrypted()) fetch(next.channel.ssl(), kTlsLines);
}

int PumpLane::timeout() const {
  if (!ready_.empty()) return 0;
  if (due_.empty()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(due_.front().when - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
}

void PumpLane::handle(Connection& connection, uint32_t events) {
  if (connection.closed) return;
  if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) return close(connection);
  if ((events & EPOLLIN) && !drain_input(connection)) return close(connection);
  if ((events & EPOLLOUT) && (!connection.unsent.empty() || connection.ended)) advance(connection);
}

// A watching client has nothing to say, but TLS has: key updates and its farewell. false: the connection is over.
bool PumpLane::drain_input(Connection& connection) {
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
void PumpLane::advance(Connection& connection) {
  Progress progress = flush(connection);
  if (progress == Progress::kReady && connection.woken) progress = pull(connection);
  if (progress == Progress::kClosed) return close(connection);
  if (progress == Progress::kReady && connection.woken) enqueue(connection);
}

PumpLane::Progress PumpLane::flush(Connection& connection) {
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
PumpLane::Progress PumpLane::pull(Connection& connection) {
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
void PumpLane::note_deadline(Connection& connection) {
  constexpr milliseconds kSoonest{10};
  const auto deadline = connection.source->deadline();
  if (deadline && (!connection.noted || *connection.noted > *deadline))
    note(connection, std::max(*deadline, std::chrono::steady_clock::now() + kSoonest));
}

void PumpLane::note_stall(Connection& connection) {
  connection.progress = std::chrono::steady_clock::now();
  note(connection, connection.progress + kStallLimit);
}

void PumpLane::note(Connection& connection, MonoTime when) {
  if (connection.noted && *connection.noted <= when) return;
  connection.noted = when;
  due_.push_back({when, connection.id});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

void PumpLane::run_deadlines() {
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

void PumpLane::enqueue(Connection& connection) {
  if (std::exchange(connection.queued, true)) return;
  ready_.push_back(&connection);
}

void PumpLane::close(Connection& connection) {
  auto topic = topics_.find(connection.topic);
  std::vector<Connection*>& others = topic->second;
  others.back()->place = connection.place;
  std::swap(others[connection.place], others.back());
  others.pop_back();
  if (others.empty()) topics_.erase(topic);
  connection.channel.close();  // leaves epoll by being closed
  connection.closed = true;
  {
    Lock lock(mutex_);
    auto watched = watched_.find(connection.topic);
    if (--watched->second == 0) watched_.erase(watched);
  }
  size_.fetch_sub(1, std::memory_order_relaxed);
  const auto owner = connections_.find(connection.id);
  owner->second->source.reset();
  closed_.push_back(std::move(owner->second));
  connections_.erase(owner);
}

void PumpLane::close_all() {
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
  ready_.clear();
  closed_.clear();
}

Result<std::unique_ptr<PumpImpl>> PumpImpl::start(size_t max_lanes) {
  std::unique_ptr<PumpImpl> pump(new PumpImpl(std::max<size_t>(max_lanes, 1)));
  KNARR_ASSIGN(auto lane, PumpLane::start());
  Lock lock(pump->mutex_);
  pump->lanes_.push_back(std::move(lane));
  return pump;
}

void PumpImpl::wake(uint32_t topic) {
  Lock lock(mutex_);
  for (const auto& lane : lanes_) lane->wake(topic);
}

size_t PumpImpl::size() const {
  Lock lock(mutex_);
  size_t size = 0;
  for (const auto& lane : lanes_) size += lane->size();
  return size;
}

// The lane with the fewest connections, or a new one.
PumpLane& PumpImpl::choose() {
  const auto fewest = std::min_element(lanes_.begin(), lanes_.end(),
                                       [](const auto& a, const auto& b) { return a->size() < b->size(); });
  if ((*fewest)->size() < kLaneFull || lanes_.size() == max_lanes_ || stopped_) return **fewest;
  auto lane = PumpLane::start();
  if (!lane.ok()) {
    log::warn("http", "watches share fewer threads than they could", {{"error", lane.status()}});
    return **fewest;
  }
  lanes_.push_back(std::move(*lane));
  return *lanes_.back();
}

void PumpImpl::attach(PumpItem item) {
  Lock lock(mutex_);
  choose().attach(std::move(item));
}

void PumpImpl::stop() {
  std::vector<PumpLane*> lanes;
  {
    Lock lock(mutex_);
    stopped_ = true;
    for (const auto& lane : lanes_) lanes.push_back(lane.get());
  }
  for (PumpLane* lane : lanes) lane->stop();
}

}  // namespace knarr::http
