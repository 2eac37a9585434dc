// When clients that were refused should come again: the more are refused, the later (upstream: dropped_requests_tracker.go).
#pragma once

#include <cstdint>
#include <deque>

namespace knarr::flow {

class Refusals {
 public:
  void add(int64_t second);  // one refusal, at this time
  int retry_after() const { return retry_after_; }

 private:
  struct Count {
    int64_t second, refused;
  };
  std::deque<Count> past_;
  Count now_{0, 0};
  int retry_after_ = 1;
  int64_t raised_ = 0;  // when
};

}  // namespace knarr::flow
