// What to do next for a pod: a pure function of what is wanted (the Pod) and what is there (the PodView). The worker
// carries it out and asks again; it may stop or be killed at any point, and the next plan goes on from what is there
// then.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/pod_view.h"

namespace knarr::agent {

struct Plan {
  struct Stop {
    std::string container;
    std::string why;
    bool operator==(const Stop&) const = default;
  };

  bool create_sandbox = false;     // and then plan again
  std::vector<std::string> start;  // containers, in this order
  std::vector<Stop> stop;          // with preStop hook, stop signal and grace period
  bool remove_sandbox = false;     // nothing runs and nothing will
  bool past_deadline = false;      // activeDeadlineSeconds are over: mark the view and plan again
  struct Waiting {                 // containers that wait for their back-off
    std::string container, reason, message;
    bool operator==(const Waiting&) const = default;
  };
  std::vector<Waiting> waiting;
  std::optional<WallTime> wake;  // plan again at this time

  bool operator==(const Plan&) const = default;
};

Plan make_plan(const core::Pod& pod, const PodView& view, WallTime now);

// Back-off of restarts, as upstream: none at first, then 10 s doubled with each restart up to 5 min, and from the start
// again after 10 min without one.
milliseconds next_restart_delay(milliseconds current, WallTime counted, WallTime now);

}  // namespace knarr::agent
