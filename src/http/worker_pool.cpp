#include "http/worker_pool.h"

#include <system_error>

#include "knarr/base/log.h"

namespace knarr::http {

void WorkerPool::submit(Task task, uint32_t lane) {
  Worker* wanted = nullptr;
  {
    Lock lock(mutex_);
    if (stopping_) return;
    tasks_.push(lane, std::move(task));
    if (!idle_.empty()) {
      wanted = idle_.back();
      idle_.pop_back();
    } else if (workers_.size() < max_threads_) {
      auto worker = std::make_unique<Worker>();
      try {
        worker->thread = std::thread([this, &self = *worker] { run(self); });
        workers_.push_back(std::move(worker));
      } catch (const std::system_error& error) {  // those that are there must do
        log::warn("http", "a worker thread could not be started", {{"error", error.what()}});
      }
    }
  }
  if (wanted) wanted->wanted.wake();
}

void WorkerPool::run(Worker& worker) {
  for (;;) {
    Task task;
    {
      Lock lock(mutex_);
      if (stopping_) return;
      if (tasks_.empty()) {
        worker.wanted.reset();
        idle_.push_back(&worker);
      } else {
        task = tasks_.pop();
      }
    }
    if (task) {
      task();
    } else {
      worker.wanted.wait();
    }
  }
}

void WorkerPool::stop() {
  std::vector<Worker*> idle;
  std::vector<std::thread> threads;
  {
    Lock lock(mutex_);
    stopping_ = true;
    tasks_.clear();
    idle.swap(idle_);
    for (const auto& worker : workers_) {
      if (worker->thread.joinable()) threads.push_back(std::move(worker->thread));
    }
  }
  for (Worker* worker : idle) worker->wanted.wake();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace knarr::http
