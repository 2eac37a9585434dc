// What the scheduler knows of every node at one moment: what it offers and what its pods ask for. Updated piece by
// piece as pods and nodes change. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "knarr/schema/api.h"

namespace knarr::scheduler {

using api::core::v1::Node;
using api::core::v1::Pod;
using PodPtr = std::shared_ptr<const Pod>;
using NodePtr = std::shared_ptr<const Node>;

// Amounts by resource name; cpu in thousandths, everything else in units.
using Amounts = std::map<std::string, int64_t, std::less<>>;
Amounts amounts_of(const std::map<std::string, std::string>& quantities);

// What the pod needs at its peak: its containers and sidecars together, or its largest init container, plus its
// overhead.
Amounts requests_of(const Pod& pod);

using HostPort = std::tuple<std::string, std::string, int>;  // address, protocol, port
std::set<HostPort> host_ports_of(const Pod& pod);

struct NodeInfo {
  NodePtr node;
  Amounts allocatable;
  Amounts requested;                                // by the pods here; "pods" is their number
  std::map<std::string, PodPtr, std::less<>> pods;  // by namespace/name
  std::set<HostPort> host_ports;

  int64_t left(std::string_view resource) const;
};

class Snapshot {
 public:
  void set_node(NodePtr node);
  void remove_node(const std::string& name);
  // A pod that is on a node and not ended; any other is taken out.
  void set_pod(const PodPtr& pod);
  void remove_pod(const std::string& key);

  const std::map<std::string, NodeInfo, std::less<>>& nodes() const { return nodes_; }
  bool holds(const std::string& key) const { return places_.contains(key); }

 private:
  void recount(NodeInfo& info);

  std::map<std::string, NodeInfo, std::less<>>
      nodes_;  // also of nodes that pods name but that are not there (node is null)
  std::map<std::string, std::string, std::less<>> places_;  // pod -> node
};

}  // namespace knarr::scheduler
