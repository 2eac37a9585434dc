// Threads that run tasks which may block. They are made when they are first needed and then kept. The one that was last at work
// gets the next task: its memory is still in the processor's caches.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "http/lanes.h"
#include "knarr/base/sync.h"
#include "knarr/base/wakeup.h"

namespace knarr::http {

class WorkerPool {
 public:
  using Task = std::function<void()>;
  explicit WorkerPool(size_t max_threads) : max_threads_(max_threads) {}
  ~WorkerPool() { stop(); }

  void submit(Task task, uint32_t lane = 0);  // dropped after stop()
  void stop();                                // drops what has not begun, waits for what has

 private:
  struct Worker {
    Wakeup wanted;
    std::thread thread;
  };
  void run(Worker& worker);

  const size_t max_threads_;
  Mutex mutex_;
  Lanes<Task> tasks_ KNARR_GUARDED_BY(mutex_);
  std::vector<Worker*> idle_ KNARR_GUARDED_BY(mutex_);  // who came last is called first
  bool stopping_ KNARR_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Worker>> workers_ KNARR_GUARDED_BY(mutex_);  // after stop() they are kept: who woke one may still be at it
};

}  // namespace knarr::http
