#include "knarr/client/workqueue.h"

#include "knarr/base/log.h"

namespace knarr::client {

void WorkQueue::push(std::string_view key) {
  if (shut_down_ || !dirty_.emplace(key).second) return;
  if (processing_.contains(std::string(key))) return;  // done() puts it back
  queue_.emplace_back(key);
  wake_.notify_one();
}

void WorkQueue::add(std::string_view key) {
  Lock lock(mutex_);
  push(key);
}

void WorkQueue::add_after(std::string_view key, milliseconds delay) {
  Lock lock(mutex_);
  if (shut_down_) return;
  if (delay <= milliseconds(0)) return push(key);
  MonoTime due = options_.clock->mono() + delay;
  auto [it, fresh] = delays_.try_emplace(std::string(key), due);
  if (!fresh) {
    if (it->second <= due) return;
    delayed_.erase({it->second, it->first});
    it->second = due;
  }
  auto place = delayed_.emplace(due, key).first;
  if (place == delayed_.begin()) wake_.notify_one();  // a waiter has to wait for less
}

void WorkQueue::add_rate_limited(std::string_view key) {
  milliseconds delay = options_.retry_base;
  {
    Lock lock(mutex_);
    int& failures = failures_[std::string(key)];
    for (int i = 0; i < failures && delay < options_.retry_limit; ++i) delay *= 2;
    ++failures;
  }
  add_after(key, std::min(delay, options_.retry_limit));
}

void WorkQueue::forget(std::string_view key) {
  Lock lock(mutex_);
  failures_.erase(std::string(key));
}

int WorkQueue::failures(std::string_view key) const {
  Lock lock(mutex_);
  auto it = failures_.find(std::string(key));
  return it == failures_.end() ? 0 : it->second;
}

void WorkQueue::move_due() {
  MonoTime now = options_.clock->mono();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    std::string key = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    delays_.erase(key);
    push(key);
  }
}

std::optional<std::string> WorkQueue::pop() {
  move_due();
  if (queue_.empty() || shut_down_) return {};
  std::string key = std::move(queue_.front());
  queue_.pop_front();
  dirty_.erase(key);
  processing_.insert(key);
  return key;
}

std::optional<std::string> WorkQueue::get() {
  Lock lock(mutex_);
  while (!shut_down_) {
    if (auto key = pop()) {
      // The waiter that minds the next delay may be this one: another takes that over.
      if (!delayed_.empty() || !queue_.empty()) wake_.notify_one();
      return key;
    }
    if (delayed_.empty()) {
      wake_.wait(lock);
    } else {
      wake_.wait_for(lock, delayed_.begin()->first - options_.clock->mono());
    }
  }
  return {};
}

std::optional<std::string> WorkQueue::try_get() {
  Lock lock(mutex_);
  return pop();
}

void WorkQueue::done(const std::string& key) {
  Lock lock(mutex_);
  processing_.erase(key);
  if (dirty_.contains(key)) {
    queue_.push_back(key);
    wake_.notify_one();
  }
}

void WorkQueue::shut_down() {
  Lock lock(mutex_);
  shut_down_ = true;
  queue_.clear();
  dirty_.clear();
  delayed_.clear();
  delays_.clear();
  wake_.notify_all();
}

bool WorkQueue::shutting_down() const {
  Lock lock(mutex_);
  return shut_down_;
}

size_t WorkQueue::size() const {
  Lock lock(mutex_);
  return queue_.size();
}

Workers& Workers::operator=(Workers&& other) noexcept {
  stop();
  queue_ = other.queue_;
  threads_ = std::move(other.threads_);
  other.threads_.clear();
  return *this;
}

void Workers::stop() {
  if (threads_.empty()) return;
  queue_->shut_down();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Workers run_workers(WorkQueue& queue, int n, std::function<Status(const std::string& key)> reconcile) {
  std::vector<std::thread> threads;
  auto shared = std::make_shared<const std::function<Status(const std::string&)>>(std::move(reconcile));
  for (int i = 0; i < n; ++i) {
    threads.emplace_back([&queue, shared] {
      while (auto key = queue.get()) {
        Status status = (*shared)(*key);
        if (status.ok()) {
          queue.forget(*key);
        } else {
          auto level = status.code() == 409 ? log::Level::kDebug : log::Level::kWarn;
          log::write(level, queue.name(), "trying again", {{"key", *key}, {"error", status}});
          queue.add_rate_limited(*key);
        }
        queue.done(*key);
      }
    });
  }
  return Workers(queue, std::move(threads));
}

}  // namespace knarr::client
