#include "flow/refusals.h"

#include <algorithm>

namespace knarr::flow {

namespace {
constexpr int kMost = 32;  // seconds
}

void Refusals::add(int64_t second) {
  if (second == now_.second) {
    ++now_.refused;
    return;
  }
  past_.push_back(now_);
  while (now_.second - past_.front().second > std::min(2 * retry_after_, kMost)) past_.pop_front();
  now_ = {second, 1};

  int64_t refused = 0;
  for (const Count& count : past_)
    if (second - count.second <= retry_after_ && count.second < second) refused += count.refused;
  if (second - raised_ >= retry_after_ && refused >= 3 * retry_after_) {
    retry_after_ = std::min(2 * retry_after_, kMost);
    raised_ = second;
  } else if (refused < retry_after_ && retry_after_ > 1) {
    --retry_after_;
  }
}

}  // namespace knarr::flow
