// The scheduler: gives each pod that has no node the best node that can take it. It follows pods and nodes, keeps one
// snapshot of what every node has left, and decides one pod after the other: filters say where the pod may run, scores
// where it should. A pod that fits nowhere waits until something changes that could help, not for a timer.
#pragma once

#include <memory>

#include "knarr/base/clock.h"
#include "knarr/client/client.h"

namespace knarr::scheduler {

struct Options {
  std::shared_ptr<client::Transport> transport;
  const Clock* clock = &Clock::system();
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;  // stops
};

std::unique_ptr<Scheduler> start(Options options);

}  // namespace knarr::scheduler
