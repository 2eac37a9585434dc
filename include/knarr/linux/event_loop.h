// One thread's epoll: descriptors, timers and tasks from other threads. It sleeps in the kernel until the next thing is due;
// nothing polls. run() is called by one thread, the loop's; add/modify/remove and timers belong to that thread (or to whoever
// holds the loop before run()); post() and stop() are for any thread.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/base/sync.h"
#include "knarr/linux/fd.h"

namespace knarr::linux {

class EventLoop {
 public:
  using Handler = std::function<void(uint32_t events)>;  // EPOLLIN and so on
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // never 0

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Level-triggered unless `events` says EPOLLET. The descriptor stays the caller's and is removed before it is closed; a
  // handler may remove any descriptor, its own too, and is then not called again.
  Status add(int fd, uint32_t events, Handler handler);
  Status modify(int fd, uint32_t events);
  void remove(int fd);

  // Calls `task` once, at `when` or soon after it.
  TimerId add_timer(MonoTime when, Task task);
  TimerId add_timer(std::chrono::nanoseconds after, Task task) { return add_timer(std::chrono::steady_clock::now() + after, std::move(task)); }
  void cancel_timer(TimerId id);  // nothing when it has fired

  void post(Task task);  // runs on the loop's thread; what is posted after stop() may never run
  void stop();           // run() returns after the handler it is in

  void run();
  bool in_loop() const { return std::this_thread::get_id() == thread_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    Handler handler;
    uint64_t generation;
  };
  struct Timer {
    MonoTime when;
    TimerId id;
    bool operator>(const Timer& other) const { return when != other.when ? when > other.when : id > other.id; }
  };

  EventLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  int wait(epoll_event* events, int count);
  void run_timers();
  void run_posted();
  void wake();

  // Constant after construction.
  UniqueFd epoll_, wake_;

  // The loop's thread only.
  std::unordered_map<int, std::shared_ptr<Entry>> entries_;
  uint64_t generation_ = 0;
  std::vector<Timer> heap_;                       // min-heap; cancelled ones are skipped when they come up
  std::unordered_map<TimerId, Task> timer_tasks_;  // those that are still to fire
  TimerId next_timer_ = 1;

  std::atomic<std::thread::id> thread_{};
  std::atomic<bool> stopped_{false};
  Mutex mutex_;
  std::vector<Task> posted_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::linux
