#include "agent/tasks.h"

#include <thread>

namespace knarr::agent {

void Tasks::submit(std::function<void()> task) {
  Lock lock(mutex_);
  if (stop_) return;
  queue_.push_back(std::move(task));
  if (idle_ >= queue_.size() || threads_ >= limit_) {
    wake_.notify_one();
    return;
  }
  ++threads_;
  std::thread([this] { work(); }).detach();  // stop() waits for the last of them
}

void Tasks::stop() {
  Lock lock(mutex_);
  stop_ = true;
  queue_.clear();
  wake_.notify_all();
  gone_.wait(lock, [&]() KNARR_REQUIRES(mutex_) { return threads_ == 0; });
}

bool Tasks::stop_within(milliseconds limit) {
  Lock lock(mutex_);
  stop_ = true;
  queue_.clear();
  wake_.notify_all();
  return gone_.wait_for(lock, limit, [&]() KNARR_REQUIRES(mutex_) { return threads_ == 0; });
}

void Tasks::work() {
  Lock lock(mutex_);
  while (!stop_) {
    if (queue_.empty()) {
      ++idle_;
      bool woken = wake_.wait_for(lock, linger_, [&]() KNARR_REQUIRES(mutex_) { return stop_ || !queue_.empty(); });
      --idle_;
      if (!woken) break;
      continue;
    }
    auto task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
  --threads_;
  gone_.notify_all();
}

}  // namespace knarr::agent
