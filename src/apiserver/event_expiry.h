// Events are kept for a while after they last happened, as upstream keeps them. There is no timer: who adds or lists
// events pays for the sweep, at most once a minute, so that an idle server does nothing. Thread-safe.
#pragma once

#include <atomic>

#include "knarr/base/clock.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

class EventExpiry {
 public:
  EventExpiry(store::Store& store, const Clock& clock, std::chrono::nanoseconds kept);
  void sweep_if_due();

 private:
  void sweep();

  store::Store& store_;
  const Clock& clock_;
  const std::chrono::nanoseconds kept_, interval_;
  const store::ResourceId events_;
  std::atomic<MonoTime> next_;
};

}  // namespace knarr::apiserver
