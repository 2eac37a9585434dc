// One thread sleeps until another wakes it with a word. A futex: unlike std::atomic::wait it does not give up the processor four
// times before it sleeps, which is for nothing where a disk or a client is waited for; unlike a condition variable it needs no lock.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace knarr {

class Wakeup {
 public:
  // Sleeps until wake(), which may have been already; answers its word.
  uint32_t wait() {
    uint32_t word = kNone;
    if (!word_.compare_exchange_strong(word, kAsleep, std::memory_order_acq_rel)) return word;
    do futex(FUTEX_WAIT_PRIVATE, kAsleep);
    while ((word = word_.load(std::memory_order_acquire)) == kAsleep);
    return word;
  }
  // Once for each wait(). Touches nothing of this after wait() could return, but for its address.
  void wake(uint32_t word = 1) {  // not 0
    if (word_.exchange(word, std::memory_order_acq_rel) == kAsleep) futex(FUTEX_WAKE_PRIVATE, 1);
  }
  void reset() { word_.store(kNone, std::memory_order_relaxed); }  // before the next wait() and wake()

 private:
  static constexpr uint32_t kNone = 0, kAsleep = UINT32_MAX;

  void futex(int operation, uint32_t value) { ::syscall(SYS_futex, &word_, operation, value, nullptr, nullptr, 0); }

  std::atomic<uint32_t> word_{kNone};
};

}  // namespace knarr
