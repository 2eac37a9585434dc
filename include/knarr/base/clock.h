// Time, injected: code that waits or stamps takes a Clock, so that its tests tick an integer instead of sleeping.
#pragma once

#include <atomic>
#include <chrono>

namespace knarr {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;  // since the epoch, UTC; may jump
using MonoTime = std::chrono::steady_clock::time_point;             // never goes back; for deadlines and durations
using std::chrono::milliseconds;
using std::chrono::seconds;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual MonoTime mono() const = 0;

  static const Clock& system();  // the machine's clocks; lives forever
};

// A clock that moves only when told. Thread-safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(WallTime start = WallTime{}) : start_(start) {}
  WallTime wall() const override { return start_ + std::chrono::microseconds(elapsed_.load()); }
  MonoTime mono() const override { return MonoTime{} + std::chrono::microseconds(elapsed_.load()); }
  void advance(std::chrono::microseconds by) { elapsed_ += by.count(); }

 private:
  WallTime start_;
  std::atomic<int64_t> elapsed_{0};
};

}  // namespace knarr
