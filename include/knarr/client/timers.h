// One thread that runs tasks when they are due and sleeps in between: for retries, heartbeats and time-outs.
// Thread-safe.
//
// Tasks run one after the other, so they hand longer work on. A client's blocking call is fine where a delay of the
// others is.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>

#include "knarr/base/clock.h"
#include "knarr/base/sync.h"

namespace knarr::client {

class Timers {
 public:
  using Id = uint64_t;  // 0: none

  Timers() = default;
  ~Timers();  // runs nothing more; waits for the task that runs
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  Id run_after(milliseconds delay, std::function<void()> task);
  // The task will not run any more, and does not run when this returns (but when called from the task itself).
  void cancel(Id id);

  static Timers& shared();  // of this process; never destroyed

 private:
  void loop();

  Mutex mutex_;
  std::condition_variable_any wake_, ended_;
  std::map<std::pair<MonoTime, Id>, std::function<void()>> due_ KNARR_GUARDED_BY(mutex_);
  std::map<Id, MonoTime> when_ KNARR_GUARDED_BY(mutex_);
  Id next_ KNARR_GUARDED_BY(mutex_) = 1;
  Id running_ KNARR_GUARDED_BY(mutex_) = 0;
  bool stop_ KNARR_GUARDED_BY(mutex_) = false;
  std::thread thread_ KNARR_GUARDED_BY(mutex_);  // started with the first task
};

}  // namespace knarr::client
