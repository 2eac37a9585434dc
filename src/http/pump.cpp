#include "http/pump_watch.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "http/message.h"
#include "knarr/base/log.h"

namespace knarr::http {

namespace {

constexpr size_t kBudget = 64 << 10;    // of one call of a source
constexpr size_t kPrefix = 10;          // room for a chunk's size line in front of its data
constexpr size_t kMaxInput = 64 << 10;  // what a watching client may send before it is cut off
constexpr size_t kLaneFull = 64;     // watches in every lane before another one begins
constexpr size_t kSessionLoad = 16;  // what a session counts for, whose watches are yet to come

}  // namespace

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
  item.id = next_id_.fetch_add(1, std::memory_order_relaxed);
  if (item.session && !item.session->watch(item.stream, item.id)) return;
  {
    Lock lock(mutex_);
    size_.fetch_add(1, std::memory_order_relaxed);
    if (!item.session) connections_.fetch_add(1, std::memory_order_relaxed);
    ++watched_[item.topic];
    arrived_.push_back(std::move(item));
    if (std::exchange(signalled_, true)) return;
  }
  signal();
}

void PumpLane::hear(News news) {
  {
    Lock lock(mutex_);
    heard_.push_back(std::move(news));
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

// What other threads left: new watches, news of sessions, woken topics.
void PumpLane::take_news() {
  uint64_t count;
  [[maybe_unused]] ssize_t n = ::read(wake_.get(), &count, sizeof count);
  std::unordered_set<uint32_t> woken;
  std::vector<PumpItem> arrived;
  std::vector<News> heard;
  {
    Lock lock(mutex_);
    signalled_ = false;
    woken.swap(woken_);
    arrived.swap(arrived_);
    heard.swap(heard_);
  }
  for (PumpItem& item : arrived) register_watch(std::move(item));
  take_heard(heard);
  for (uint32_t topic : woken) {
    auto found = topics_.find(topic);
    if (found == topics_.end()) continue;
    for (Watch* watch : found->second) {
      watch->woken = true;
      if (can_ask(*watch)) enqueue(*watch);
    }
  }
}

void PumpLane::register_watch(PumpItem item) {
  auto owned = std::make_unique<Watch>();
  Watch& watch = *owned;
  watch.id = item.id;
  watch.channel = std::move(item.channel);
  watch.source = std::move(item.source);
  watch.unsent = std::move(item.head);
  watch.topic = item.topic;
  watch.chunked = item.chunked;
  watch.stream = item.stream;
  watches_.emplace(watch.id, std::move(owned));
  std::vector<Watch*>& others = topics_[watch.topic];
  watch.place = others.size();
  others.push_back(&watch);
  if (item.session ? !add_to_group(watch, std::move(item.session)) : !add_to_epoll(watch)) return close(watch);
  enqueue(watch);
}

bool PumpLane::add_to_epoll(Watch& watch) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;  // edge-triggered: set once, for as long as it lives
  event.data.ptr = &watch;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watch.channel.fd(), &event) < 0) {
    log::error("http", "a watch could not be added to epoll", {{"error", std::generic_category().message(errno)}});
    return false;
  }
  note_stall(watch);
  return true;
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
        handle(*static_cast<Watch*>(event.data.ptr), event.events);
      }
    }
    if (news) take_news();
    run_deadlines();
    std::vector<Group*> groups;
    groups.swap(ready_groups_);
    for (Group* group : groups) pump_group(*group);
    std::vector<Watch*> ready;
    ready.swap(ready_);
    for (size_t i = 0; i < ready.size(); ++i) {
      Watch* const watch = ready[i];
      if (i + 2 < ready.size()) prefetch(*ready[i + 2], *ready[i + 1]);
      watch->queued = false;
      if (!watch->closed) advance(*watch);
    }
    if (empty_groups_) forget_groups();
    std::erase_if(closed_, [](const auto& watch) { return !watch->queued; });
  }
  close_all();
}

// Thousands of watches are more than a cache holds: what is needed next is fetched while this one's event is sent. It makes an
// event to 5,000 a tenth cheaper.
void PumpLane::prefetch(const Watch& second, const Watch& next) {
  constexpr size_t kLine = 64, kTlsLines = 8;
  const auto fetch = [](const void* from, size_t lines) {
    for (size_t i = 0; i < lines; ++i) __builtin_prefetch(static_cast<const char*>(from) + i * kLine);
  };
  fetch(&second, sizeof second / kLine);
  fetch(next.source.get(), 1);
  if (next.channel.encrypted()) fetch(next.channel.ssl(), kTlsLines);
}

int PumpLane::timeout() const {
  if (!ready_.empty() || !ready_groups_.empty()) return 0;
  if (due_.empty()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(due_.front().when - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
}

void PumpLane::handle(Watch& watch, uint32_t events) {
  if (watch.closed) return;
  if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) return close(watch);
  if ((events & EPOLLIN) && !drain_input(watch)) return close(watch);
  if ((events & EPOLLOUT) && (!watch.unsent.empty() || watch.ended)) advance(watch);
}

// A watching client has nothing to say, but TLS has: key updates and its farewell. false: the watch is over.
bool PumpLane::drain_input(Watch& watch) {
  std::array<char, 4096> buffer;
  for (;;) {
    size_t got = 0;
    const Io io = watch.channel.read(buffer.data(), buffer.size(), got);
    if (io == Io::kWantRead || io == Io::kWantWrite) return true;
    if (io != Io::kDone) return false;
    watch.input += got;
    if (watch.input > kMaxInput) return false;
  }
}

// Sends what is left over; only then is the source asked for more.
void PumpLane::advance(Watch& watch) {
  Progress progress = flush(watch);
  if (progress == Progress::kReady && watch.woken) progress = pull(watch);
  if (progress == Progress::kClosed) return close(watch);
  if (progress == Progress::kReady && watch.woken) enqueue(watch);
}

PumpLane::Progress PumpLane::flush(Watch& watch) {
  size_t sent = 0;
  while (sent < watch.unsent.size()) {
    size_t took = 0;
    const Io io = watch.channel.write(std::string_view(watch.unsent).substr(sent), took);
    if (io == Io::kError || io == Io::kEnd) return Progress::kClosed;
    sent += took;
    if (io != Io::kDone) break;
  }
  if (sent < watch.unsent.size()) {
    watch.unsent.erase(0, sent);
    if (sent > 0) note_stall(watch);
    return Progress::kWaiting;
  }
  watch.unsent = std::string();
  return watch.ended ? Progress::kClosed : Progress::kReady;
}

// Appends what the source gives to scratch_.
PumpSource::More PumpLane::ask_source(Watch& watch, bool& failed) {
  try {
    return watch.source->next(scratch_, kBudget);
  } catch (const std::exception& error) {
    log::error("http", "a watch ended because its source failed", {{"error", error.what()}});
  }
  failed = true;
  return PumpSource::More::kEnd;
}

// Asks the source once and sends what it gave as one chunk.
PumpLane::Progress PumpLane::pull(Watch& watch) {
  scratch_.assign(kPrefix, ' ');
  bool failed = false;
  const PumpSource::More more = ask_source(watch, failed);
  if (failed) return Progress::kClosed;
  watch.woken = more == PumpSource::More::kAgain;
  std::string_view bytes = std::string_view(scratch_).substr(kPrefix);
  if (!bytes.empty() && watch.chunked) {
    char line[kPrefix + 1];
    const auto end = fmt::format_to_n(line, sizeof line, "{:x}\r\n", bytes.size());
    const size_t begin = kPrefix - end.size;
    std::copy(line, end.out, scratch_.begin() + static_cast<std::ptrdiff_t>(begin));
    scratch_ += "\r\n";
    bytes = std::string_view(scratch_).substr(begin);
  }
  if (more == PumpSource::More::kEnd) {
    watch.ended = true;
    if (watch.chunked) {
      const size_t size = bytes.size();
      scratch_ += kLastChunk;
      bytes = std::string_view(scratch_).substr(scratch_.size() - kLastChunk.size() - size);
    }
  } else {
    note_deadline(watch);
  }
  while (!bytes.empty()) {
    size_t took = 0;
    const Io io = watch.channel.write(bytes, took);
    if (io == Io::kError || io == Io::kEnd) return Progress::kClosed;
    bytes.remove_prefix(took);
    if (io != Io::kDone) break;
  }
  watch.unsent = bytes;
  trim_scratch();
  if (!watch.unsent.empty()) {
    note_stall(watch);
    return Progress::kWaiting;
  }
  return watch.ended ? Progress::kClosed : Progress::kReady;
}

// A large event's room is not kept.
void PumpLane::trim_scratch() {
  constexpr size_t kKept = 256 << 10;
  if (scratch_.capacity() > kKept) scratch_ = std::string();
}

// A deadline that stays in the past would have us turn without end.
void PumpLane::note_deadline(Watch& watch) {
  constexpr milliseconds kSoonest{10};
  const auto deadline = watch.source->deadline();
  if (deadline && (!watch.noted || *watch.noted > *deadline))
    note(watch, std::max(*deadline, std::chrono::steady_clock::now() + kSoonest));
}

void PumpLane::note_stall(Watch& watch) {
  watch.progress = std::chrono::steady_clock::now();
  note(watch, watch.progress + kStallLimit);
}

void PumpLane::note(Watch& watch, MonoTime when) {
  if (watch.noted && *watch.noted <= when) return;
  watch.noted = when;
  due_.push_back({when, watch.id});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

void PumpLane::run_deadlines() {
  const MonoTime now = std::chrono::steady_clock::now();
  while (!due_.empty() && due_.front().when <= now) {
    const Due due = due_.front();
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
    auto found = watches_.find(due.id);
    if (found == watches_.end() || found->second->noted != due.when) continue;
    Watch& watch = *found->second;
    watch.noted.reset();
    if (watch.blocked) {
      watch.woken = true;
      continue;
    }
    if (!watch.unsent.empty()) {
      watch.woken = true;  // whatever was due is looked at when the socket has room again
      if (now >= watch.progress + kStallLimit) {
        close(watch);
      } else {
        note(watch, watch.progress + kStallLimit);
      }
      continue;
    }
    const auto deadline = watch.source->deadline();
    if (deadline && *deadline > now) {  // it moved away meanwhile
      note(watch, *deadline);
    } else if (deadline) {
      watch.woken = true;
      enqueue(watch);
    }
  }
}

void PumpLane::enqueue(Watch& watch) {
  if (std::exchange(watch.queued, true)) return;
  if (!watch.group) return ready_.push_back(&watch);
  watch.group->ready.push_back(&watch);
  queue_group(*watch.group);
}

bool PumpLane::can_ask(const Watch& watch) { return watch.unsent.empty() && !watch.blocked; }

void PumpLane::close(Watch& watch) {
  auto topic = topics_.find(watch.topic);
  std::vector<Watch*>& others = topic->second;
  others.back()->place = watch.place;
  std::swap(others[watch.place], others.back());
  others.pop_back();
  if (others.empty()) topics_.erase(topic);
  watch.channel.close();  // leaves epoll by being closed
  watch.closed = true;
  if (watch.group && --watch.group->watches == 0) empty_groups_ = true;
  if (!watch.group) connections_.fetch_sub(1, std::memory_order_relaxed);
  {
    Lock lock(mutex_);
    auto watched = watched_.find(watch.topic);
    if (--watched->second == 0) watched_.erase(watched);
  }
  size_.fetch_sub(1, std::memory_order_relaxed);
  const auto owner = watches_.find(watch.id);
  owner->second->source.reset();
  closed_.push_back(std::move(owner->second));
  watches_.erase(owner);
}

void PumpLane::close_all() {
  std::vector<PumpItem> arrived;
  {
    Lock lock(mutex_);
    arrived.swap(arrived_);
  }
  for (PumpItem& item : arrived) register_watch(std::move(item));
  while (!watches_.empty()) {
    Watch& watch = *watches_.begin()->second;
    if (watch.group) {
      watch.group->session->finish(watch.stream, true);
    } else if (flush(watch) == Progress::kReady && watch.chunked) {
      size_t took = 0;
      watch.channel.write(kLastChunk, took);
    }
    close(watch);
  }
  ready_.clear();
  closed_.clear();
  ready_groups_.clear();
  groups_.clear();
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

size_t PumpImpl::connections() const {
  Lock lock(mutex_);
  size_t count = 0;
  for (const auto& lane : lanes_) count += lane->connections();
  return count;
}

// The lane with the fewest connections, or a new one.
PumpLane& PumpImpl::choose() {
  const auto load = [](const auto& lane) { return std::max(lane->size(), lane->sessions * kSessionLoad); };
  const auto fewest = std::min_element(lanes_.begin(), lanes_.end(),
                                       [&](const auto& a, const auto& b) { return load(a) < load(b); });
  if (load(*fewest) < kLaneFull || lanes_.size() == max_lanes_ || stopped_) return **fewest;
  auto lane = PumpLane::start();
  if (!lane.ok()) {
    log::warn("http", "watches share fewer threads than they could", {{"error", lane.status()}});
    return **fewest;
  }
  lanes_.push_back(std::move(*lane));
  return *lanes_.back();
}

PumpLane& PumpImpl::lane_for(Http2Session& session) {
  if (Http2Watcher* chosen = session.watcher()) return static_cast<PumpLane&>(*chosen);
  PumpLane& lane = choose();
  ++lane.sessions;
  session.set_watcher(&lane);
  return lane;
}

void PumpImpl::attach(PumpItem item) {
  PumpLane* lane = nullptr;
  {
    Lock lock(mutex_);
    lane = &(item.session ? lane_for(*item.session) : choose());
  }
  lane->attach(std::move(item));
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
