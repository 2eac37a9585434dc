// A queue of keys for controllers, and the workers that empty it.
//
// A key that is added many times is worked on once; one that is added while it is worked on comes again afterwards; no
// key is worked on twice at once. Failed keys come back after a back-off of their own. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/base/sync.h"

namespace knarr::client {

class WorkQueue {
 public:
  struct Options {
    std::string name;                     // for the log
    milliseconds retry_base{5};           // doubled with each failure of a key ...
    milliseconds retry_limit{1'000'000};  // ... up to this
    const Clock* clock = &Clock::system();
  };
  WorkQueue() : WorkQueue(Options()) {}
  explicit WorkQueue(Options options) : options_(std::move(options)) {}

  void add(std::string_view key);
  void add_after(std::string_view key, milliseconds delay);  // the earliest of several counts
  void add_rate_limited(std::string_view key);               // after the key's back-off, which this doubles
  void forget(std::string_view key);                         // the key's back-off begins anew
  int failures(std::string_view key) const;

  std::optional<std::string> get();      // waits; nothing after shut_down(). done() must follow
  std::optional<std::string> try_get();  // nothing when none is due
  void done(const std::string& key);

  void shut_down();  // get() answers nothing from now on, keys that wait are dropped
  bool shutting_down() const;
  size_t size() const;  // keys that are due and wait
  const std::string& name() const { return options_.name; }

 private:
  void push(std::string_view key) KNARR_REQUIRES(mutex_);
  void move_due() KNARR_REQUIRES(mutex_);
  std::optional<std::string> pop() KNARR_REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::string> queue_ KNARR_GUARDED_BY(mutex_);
  std::unordered_set<std::string> dirty_
      KNARR_GUARDED_BY(mutex_);  // to be worked on: in the queue, or again after done()
  std::unordered_set<std::string> processing_ KNARR_GUARDED_BY(mutex_);
  std::unordered_map<std::string, int> failures_ KNARR_GUARDED_BY(mutex_);
  std::set<std::pair<MonoTime, std::string>> delayed_ KNARR_GUARDED_BY(mutex_);
  std::unordered_map<std::string, MonoTime> delays_ KNARR_GUARDED_BY(mutex_);
  bool shut_down_ KNARR_GUARDED_BY(mutex_) = false;
};

// The threads of run_workers. Shuts the queue down and joins them when destroyed; the queue must live longer.
class Workers {
 public:
  Workers() = default;
  Workers(WorkQueue& queue, std::vector<std::thread> threads) : queue_(&queue), threads_(std::move(threads)) {}
  Workers(Workers&& other) noexcept : queue_(other.queue_), threads_(std::move(other.threads_)) {
    other.threads_.clear();
  }
  Workers& operator=(Workers&& other) noexcept;
  ~Workers() { stop(); }
  void stop();

 private:
  WorkQueue* queue_ = nullptr;
  std::vector<std::thread> threads_;
};

// Calls reconcile(key) for each key, on `n` threads. An error is logged (a Conflict only at debug: it is the normal
// answer to a stale read) and the key comes back after its back-off; OK ends its back-off. For a later visit reconcile
// calls queue.add_after.
[[nodiscard]] Workers run_workers(WorkQueue& queue, int n, std::function<Status(const std::string& key)> reconcile);

}  // namespace knarr::client
