// Mutexes that clang's thread-safety analysis understands, and the annotations for what they guard.
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define KNARR_TSA(x) __attribute__((x))
#else
#define KNARR_TSA(x)
#endif
#define KNARR_CAPABILITY KNARR_TSA(capability("mutex"))
#define KNARR_SCOPED_CAPABILITY KNARR_TSA(scoped_lockable)
#define KNARR_GUARDED_BY(x) KNARR_TSA(guarded_by(x))
#define KNARR_REQUIRES(...) KNARR_TSA(requires_capability(__VA_ARGS__))
#define KNARR_REQUIRES_SHARED(...) KNARR_TSA(requires_shared_capability(__VA_ARGS__))
#define KNARR_EXCLUDES(...) KNARR_TSA(locks_excluded(__VA_ARGS__))
#define KNARR_ACQUIRE(...) KNARR_TSA(acquire_capability(__VA_ARGS__))
#define KNARR_RELEASE(...) KNARR_TSA(release_capability(__VA_ARGS__))
#define KNARR_NO_TSA KNARR_TSA(no_thread_safety_analysis)

namespace knarr {

class KNARR_CAPABILITY Mutex {
 public:
  void lock() KNARR_ACQUIRE() { mutex_.lock(); }
  void unlock() KNARR_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class KNARR_SCOPED_CAPABILITY Lock {
 public:
  explicit Lock(Mutex& mutex) KNARR_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() KNARR_RELEASE() { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // For std::condition_variable_any.
  void lock() KNARR_NO_TSA { mutex_.lock(); }
  void unlock() KNARR_NO_TSA { mutex_.unlock(); }

 private:
  Mutex& mutex_;
};

class KNARR_CAPABILITY SharedMutex {
 public:
  void lock() KNARR_ACQUIRE() { mutex_.lock(); }
  void unlock() KNARR_RELEASE() { mutex_.unlock(); }
  void lock_shared() KNARR_TSA(acquire_shared_capability()) { mutex_.lock_shared(); }
  void unlock_shared() KNARR_TSA(release_shared_capability()) { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

class KNARR_SCOPED_CAPABILITY WriteLock {
 public:
  explicit WriteLock(SharedMutex& mutex) KNARR_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriteLock() KNARR_RELEASE() { mutex_.unlock(); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class KNARR_SCOPED_CAPABILITY ReadLock {
 public:
  explicit ReadLock(SharedMutex& mutex) KNARR_TSA(acquire_shared_capability(mutex)) : mutex_(mutex) { mutex_.lock_shared(); }
  ~ReadLock() KNARR_RELEASE() { mutex_.unlock_shared(); }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  SharedMutex& mutex_;
};

}  // namespace knarr
