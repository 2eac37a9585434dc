// The filters and scores, each a small pure function, as two tables that one extends by adding a line.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/snapshot.h"

namespace knarr::scheduler {

// What of a pod the plugins need again and again, computed once.
struct PodView {
  explicit PodView(const Pod& pod) : pod(pod), requests(requests_of(pod)), host_ports(host_ports_of(pod)) {}
  const Pod& pod;
  Amounts requests;
  std::set<HostPort> host_ports;
};

// Why the node cannot take the pod, in upstream's words ("Insufficient cpu"); nothing when it can. Several reasons may
// apply.
using FilterFunction = std::vector<std::string> (*)(const PodView& pod, const NodeInfo& node);
struct Filter {
  std::string_view name;
  FilterFunction function;
};
std::span<const Filter> filters();

// 0 (worst) to 100 (best).
using ScoreFunction = int64_t (*)(const PodView& pod, const NodeInfo& node);
struct Score {
  std::string_view name;
  int64_t weight;
  ScoreFunction function;
};
std::span<const Score> scores();

struct Decision {
  std::string node;     // "" when none fits
  std::string message;  // then: "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable."
};
// The node for the pod; equal scores are settled by fewer pods, then by name, so that the answer is always the same.
Decision decide(const Pod& pod, const Snapshot& snapshot);

}  // namespace knarr::scheduler
