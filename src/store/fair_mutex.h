// A shared mutex that lets a writer in: readers that come while one waits stand behind it. (glibc's own prefers
// readers, so that many of them starve a writer.) Readers do not nest.
#pragma once

#include <atomic>

#include "knarr/base/sync.h"

namespace knarr::store {

class KNARR_CAPABILITY FairMutex {
 public:
  void lock() KNARR_ACQUIRE() KNARR_NO_TSA {
    gate_.lock();
    writer_.store(true, std::memory_order_relaxed);
    mutex_.lock();
  }
  void unlock() KNARR_RELEASE() KNARR_NO_TSA {
    writer_.store(false, std::memory_order_relaxed);
    mutex_.unlock();
    gate_.unlock();
  }
  void lock_shared() KNARR_TSA(acquire_shared_capability()) KNARR_NO_TSA {
    if (writer_.load(std::memory_order_relaxed)) {
      gate_.lock();
      gate_.unlock();
    }
    mutex_.lock_shared();
  }
  void unlock_shared() KNARR_TSA(release_shared_capability()) KNARR_NO_TSA { mutex_.unlock_shared(); }

 private:
  std::mutex gate_;
  std::atomic<bool> writer_{false};
  std::shared_mutex mutex_;
};

class KNARR_SCOPED_CAPABILITY FairReadLock {
 public:
  explicit FairReadLock(FairMutex& mutex) KNARR_TSA(acquire_shared_capability(mutex)) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~FairReadLock() KNARR_RELEASE() { mutex_.unlock_shared(); }
  FairReadLock(const FairReadLock&) = delete;
  FairReadLock& operator=(const FairReadLock&) = delete;

 private:
  FairMutex& mutex_;
};

class KNARR_SCOPED_CAPABILITY FairWriteLock {
 public:
  explicit FairWriteLock(FairMutex& mutex) KNARR_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~FairWriteLock() KNARR_RELEASE() { mutex_.unlock(); }
  FairWriteLock(const FairWriteLock&) = delete;
  FairWriteLock& operator=(const FairWriteLock&) = delete;

 private:
  FairMutex& mutex_;
};

}  // namespace knarr::store
