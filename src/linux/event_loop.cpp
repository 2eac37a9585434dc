#include "knarr/linux/event_loop.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace knarr::linux {

namespace {
// A closed descriptor's number may be taken again within one batch of events; the generation tells old events from new.
uint64_t pack(int fd, uint64_t generation) { return (generation << 32) | static_cast<uint32_t>(fd); }
}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errno_status(errno, "make an epoll descriptor");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_status(errno, "make an eventfd");
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(wake)));
  EventLoop* self = loop.get();
  KNARR_RETURN_IF_ERROR(self->add(self->wake_.get(), EPOLLIN, [self](uint32_t) {
    uint64_t count;
    (void)!read(self->wake_.get(), &count, sizeof count);
    self->run_posted();
  }));
  return loop;
}

EventLoop::~EventLoop() = default;

Status EventLoop::add(int fd, uint32_t events, Handler handler) {
  const uint64_t generation = ++generation_ & 0xffffffff;
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(fd, generation);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_status(errno, fmt::format("watch descriptor {}", fd));
  entries_[fd] = std::make_shared<Entry>(Entry{std::move(handler), generation});
  return {};
}

Status EventLoop::modify(int fd, uint32_t events) {
  const auto it = entries_.find(fd);
  if (it == entries_.end()) return errno_status(ENOENT, fmt::format("change the events of descriptor {}", fd));
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(fd, it->second->generation);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) return errno_status(errno, fmt::format("change the events of descriptor {}", fd));
  return {};
}

void EventLoop::remove(int fd) {
  if (entries_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::add_timer(MonoTime when, Task task) {
  const TimerId id = next_timer_++;
  timer_tasks_.emplace(id, std::move(task));
  heap_.push_back({when, id});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  return id;
}

void EventLoop::cancel_timer(TimerId id) {
  timer_tasks_.erase(id);
  // Many cancelled ones that lie far in the future would pile up: rebuild when most of the heap is dead.
  if (heap_.size() > 64 && heap_.size() > 4 * timer_tasks_.size()) {
    std::erase_if(heap_, [this](const Timer& timer) { return timer_tasks_.count(timer.id) == 0; });
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
}

void EventLoop::post(Task task) {
  bool first;
  {
    Lock lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first) wake();
}

void EventLoop::stop() {
  stopped_.store(true);
  wake();
}

void EventLoop::wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);  // EAGAIN: the counter is full, so it is awake anyway
}

void EventLoop::run_posted() {
  std::vector<Task> tasks;
  {
    Lock lock(mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void EventLoop::run_timers() {
  const MonoTime now = std::chrono::steady_clock::now();
  while (!heap_.empty() && heap_.front().when <= now && !stopped_.load(std::memory_order_relaxed)) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const TimerId id = heap_.back().id;
    heap_.pop_back();
    const auto it = timer_tasks_.find(id);
    if (it == timer_tasks_.end()) continue;
    Task task = std::move(it->second);
    timer_tasks_.erase(it);
    task();
  }
}

int EventLoop::wait(epoll_event* events, int count) {
  while (!heap_.empty() && timer_tasks_.count(heap_.front().id) == 0) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    heap_.pop_back();
  }
  if (heap_.empty()) return epoll_wait(epoll_.get(), events, count, -1);
  const auto left = std::max(heap_.front().when - std::chrono::steady_clock::now(), MonoTime::duration::zero());
  const auto whole = std::chrono::duration_cast<seconds>(left);
  const timespec timeout{whole.count(), std::chrono::nanoseconds(left - whole).count()};
  const int n = epoll_pwait2(epoll_.get(), events, count, &timeout, nullptr);
  if (n >= 0 || errno != ENOSYS) return n;
  // Before Linux 5.11: milliseconds, rounded up so as not to wake just before the time.
  const auto millis = std::chrono::ceil<milliseconds>(left).count();
  return epoll_wait(epoll_.get(), events, count, static_cast<int>(std::min<int64_t>(millis, 1 << 30)));
}

void EventLoop::run() {
  thread_.store(std::this_thread::get_id());
  epoll_event events[64];
  while (!stopped_.load()) {
    const int n = wait(events, 64);
    for (int i = 0; i < n && !stopped_.load(std::memory_order_relaxed); ++i) {
      const auto it = entries_.find(static_cast<int>(events[i].data.u64 & 0xffffffff));
      if (it == entries_.end() || it->second->generation != events[i].data.u64 >> 32) continue;
      const auto entry = it->second;  // the handler may remove itself
      entry->handler(events[i].events);
    }
    run_timers();
  }
  thread_.store(std::thread::id());
}

}  // namespace knarr::linux
