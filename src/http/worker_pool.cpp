#include "http/worker_pool.h"

#include <system_error>

#include "knarr/base/log.h"

namespace knarr::http {

void WorkerPool::submit(Task task, uint32_t lane) {
  Lock lock(mutex_);
  if (stopping_) return;
  tasks_.push(lane, std::move(task));
  if (idle_ < tasks_.size() && threads_.size() < max_threads_) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {  // those that are there must do
      log::warn("http", "a worker thread could not be started", {{"error", error.what()}});
    }
  }
  wanted_.notify_one();
}

void WorkerPool::run() {
  Lock lock(mutex_);
  for (;;) {
    ++idle_;
    while (tasks_.empty() && !stopping_) wanted_.wait(lock);
    --idle_;
    if (stopping_) return;
    Task task = tasks_.pop();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

void WorkerPool::stop() {
  std::vector<std::thread> threads;
  {
    Lock lock(mutex_);
    stopping_ = true;
    tasks_.clear();
    threads.swap(threads_);
    wanted_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace knarr::http
