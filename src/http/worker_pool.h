// Threads that run tasks which may block. They are made when they are first needed and then kept.
#pragma once

#include <condition_variable>
#include <functional>
#include <thread>
#include <vector>

#include "http/lanes.h"
#include "knarr/base/sync.h"

namespace knarr::http {

class WorkerPool {
 public:
  using Task = std::function<void()>;
  explicit WorkerPool(size_t max_threads) : max_threads_(max_threads) {}
  ~WorkerPool() { stop(); }

  void submit(Task task, uint32_t lane = 0);  // dropped after stop()
  void stop();                                // drops what has not begun, waits for what has

 private:
  void run();

  const size_t max_threads_;
  Mutex mutex_;
  std::condition_variable_any wanted_;
  Lanes<Task> tasks_ KNARR_GUARDED_BY(mutex_);
  size_t idle_ KNARR_GUARDED_BY(mutex_) = 0;
  bool stopping_ KNARR_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::http
