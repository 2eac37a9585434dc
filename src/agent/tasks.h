// A few threads for what blocks (pulls, hooks, probes): started when there is work, gone again after a while without.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>

#include "knarr/base/clock.h"
#include "knarr/base/sync.h"

namespace knarr::agent {

class Tasks {
 public:
  explicit Tasks(size_t threads, seconds linger = seconds(20)) : limit_(threads), linger_(linger) {}
  ~Tasks() { stop(); }

  void submit(std::function<void()> task);  // dropped after stop()
  void stop();                              // starts nothing more and waits for what runs
  bool stop_within(milliseconds limit);     // the same; false when something still runs then

 private:
  void work();

  const size_t limit_;
  const seconds linger_;
  Mutex mutex_;
  std::condition_variable_any wake_, gone_;
  std::deque<std::function<void()>> queue_ KNARR_GUARDED_BY(mutex_);
  size_t threads_ KNARR_GUARDED_BY(mutex_) = 0;
  size_t idle_ KNARR_GUARDED_BY(mutex_) = 0;
  bool stop_ KNARR_GUARDED_BY(mutex_) = false;
};

}  // namespace knarr::agent
