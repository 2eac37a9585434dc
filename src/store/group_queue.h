// Leader commits for followers: whoever finds nobody at work takes all jobs that wait, its own first, and runs them as
// one batch on its own thread; those that come meanwhile wait, and one of them leads the next batch. A lone caller pays
// for no thread hop; many share one batch.
#pragma once

#include <sched.h>

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "knarr/base/sync.h"
#include "knarr/base/wakeup.h"

namespace knarr::store {

// What a job needs for its caller to wait with; derive from it.
class GroupJob {
 private:
  template <typename Job>
  friend class GroupQueue;
  enum Call : uint32_t { kLead = 1, kDone };

  Wakeup called_;
};

template <typename Job>
class GroupQueue {
 public:
  using JobPtr = std::shared_ptr<Job>;  // shared: the leader wakes a caller that may be gone as soon as it is woken

  // `take` moves a non-empty batch from the front of those that wait (quick, under a lock); `run` carries it out.
  // Neither is ever called by two threads at a time.
  using Take = std::function<void(std::deque<JobPtr>& waiting, std::vector<JobPtr>& batch)>;
  using Run = std::function<void(std::vector<JobPtr>& batch)>;

  GroupQueue(Take take, Run run) : take_(std::move(take)), run_(std::move(run)) {}

  // Returns when the job has been run.
  void submit(JobPtr job) KNARR_EXCLUDES(mutex_) {
    if (!enqueue(job)) {
      if (job->called_.wait() == GroupJob::kDone) return;
      ::sched_yield();  // who is about to submit is in this batch too: one disk write less for it
    }
    std::vector<JobPtr> batch;
    {
      Lock lock(mutex_);
      take_(waiting_, batch);
    }
    run_(batch);
    hand_over();
    for (const JobPtr& done : batch)
      if (done != job) done->called_.wake(GroupJob::kDone);
  }

 private:
  // True: nobody is at work, the caller leads.
  bool enqueue(const JobPtr& job) KNARR_EXCLUDES(mutex_) {
    Lock lock(mutex_);
    waiting_.push_back(job);
    return !std::exchange(busy_, true);
  }

  // The next leader starts before the followers are woken: its disk write overlaps with what they do next.
  void hand_over() KNARR_EXCLUDES(mutex_) {
    JobPtr next;
    {
      Lock lock(mutex_);
      if (waiting_.empty())
        busy_ = false;
      else
        next = waiting_.front();
    }
    if (next) next->called_.wake(GroupJob::kLead);
  }

  const Take take_;
  const Run run_;
  Mutex mutex_;
  std::deque<JobPtr> waiting_ KNARR_GUARDED_BY(mutex_);
  bool busy_ KNARR_GUARDED_BY(mutex_) = false;
};

}  // namespace knarr::store
