#include "knarr/client/timers.h"

namespace knarr::client {

Timers::~Timers() {
  std::thread thread;
  {
    Lock lock(mutex_);
    stop_ = true;
    wake_.notify_all();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

Timers& Timers::shared() {
  static Timers* timers = new Timers();  // threads may use it until the very end of the process
  return *timers;
}

Timers::Id Timers::run_after(milliseconds delay, std::function<void()> task) {
  Lock lock(mutex_);
  if (stop_) return 0;
  MonoTime when = Clock::system().mono() + delay;
  Id id = next_++;
  bool first = due_.empty() || when < due_.begin()->first.first;
  due_.emplace(std::pair(when, id), std::move(task));
  when_.emplace(id, when);
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  if (first) wake_.notify_all();
  return id;
}

void Timers::cancel(Id id) {
  Lock lock(mutex_);
  if (auto it = when_.find(id); it != when_.end()) {
    due_.erase({it->second, id});
    when_.erase(it);
    return;
  }
  if (thread_.get_id() == std::this_thread::get_id()) return;
  ended_.wait(lock, [&]() KNARR_REQUIRES(mutex_) { return running_ != id || id == 0; });
}

void Timers::loop() {
  Lock lock(mutex_);
  while (!stop_) {
    if (due_.empty()) {
      wake_.wait(lock);
      continue;
    }
    auto first = due_.begin();
    auto [when, id] = first->first;
    if (when > Clock::system().mono()) {
      wake_.wait_until(lock, when);
      continue;
    }
    std::function<void()> task = std::move(first->second);
    due_.erase(first);
    when_.erase(id);
    running_ = id;
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before anyone is told that it ended
    lock.lock();
    running_ = 0;
    ended_.notify_all();
  }
}

}  // namespace knarr::client
