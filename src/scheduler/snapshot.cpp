#include "scheduler/snapshot.h"

#include <algorithm>

#include "knarr/client/typed.h"
#include "knarr/codec/quantity.h"

namespace knarr::scheduler {

namespace {

void add(Amounts& to, const Amounts& what) {
  for (const auto& [name, amount] : what) to[name] += amount;
}

void raise(Amounts& to, const Amounts& at_least) {
  for (const auto& [name, amount] : at_least) to[name] = std::max(to[name], amount);
}

}  // namespace

Amounts amounts_of(const std::map<std::string, std::string>& quantities) {
  Amounts amounts;
  for (const auto& [name, text] : quantities) {
    Quantity quantity = Quantity::parse_or_zero(text);
    amounts[name] = name == "cpu" ? quantity.milli_value() : quantity.value();
  }
  return amounts;
}

Amounts requests_of(const Pod& pod) {
  Amounts running;
  for (const auto& container : pod.spec.containers) add(running, amounts_of(container.resources.requests));
  // Init containers run one after the other beside the sidecars that started before them.
  Amounts sidecars, starting;
  for (const auto& container : pod.spec.initContainers) {
    Amounts own = amounts_of(container.resources.requests);
    bool sidecar = container.restartPolicy == "Always";
    if (sidecar) {
      add(running, own);
      add(sidecars, own);
      raise(starting, sidecars);
    } else {
      add(own, sidecars);
      raise(starting, own);
    }
  }
  raise(running, starting);
  add(running, amounts_of(pod.spec.overhead));
  return running;
}

std::set<HostPort> host_ports_of(const Pod& pod) {
  std::set<HostPort> ports;
  for (const auto& container : pod.spec.containers) {
    for (const auto& port : container.ports) {
      if (port.hostPort == 0) continue;
      ports.emplace(port.hostIP.empty() ? "0.0.0.0" : port.hostIP, port.protocol.empty() ? "TCP" : port.protocol,
                    port.hostPort);
    }
  }
  return ports;
}

int64_t NodeInfo::left(std::string_view resource) const {
  auto have = allocatable.find(resource);
  auto used = requested.find(resource);
  return (have == allocatable.end() ? 0 : have->second) - (used == requested.end() ? 0 : used->second);
}

void Snapshot::recount(NodeInfo& info) {
  info.requested.clear();
  info.host_ports.clear();
  for (const auto& [key, pod] : info.pods) {
    add(info.requested, requests_of(*pod));
    info.host_ports.merge(host_ports_of(*pod));
  }
  info.requested["pods"] = static_cast<int64_t>(info.pods.size());
}

void Snapshot::set_node(NodePtr node) {
  NodeInfo& info = nodes_[node->metadata.name];
  info.allocatable = amounts_of(node->status.allocatable.empty() ? node->status.capacity : node->status.allocatable);
  info.node = std::move(node);
}

void Snapshot::remove_node(const std::string& name) {
  auto it = nodes_.find(name);
  if (it == nodes_.end()) return;
  if (it->second.pods.empty()) {
    nodes_.erase(it);
  } else {
    it->second.node = nullptr;
  }
}

void Snapshot::set_pod(const PodPtr& pod) {
  std::string key = client::key_of(*pod);
  bool ended = pod->status.phase == "Succeeded" || pod->status.phase == "Failed";
  auto place = places_.find(key);
  if (pod->spec.nodeName.empty() || ended || (place != places_.end() && place->second != pod->spec.nodeName))
    remove_pod(key);
  if (pod->spec.nodeName.empty() || ended) return;
  NodeInfo& info = nodes_[pod->spec.nodeName];
  info.pods[key] = pod;
  places_[key] = pod->spec.nodeName;
  recount(info);
}

void Snapshot::remove_pod(const std::string& key) {
  auto place = places_.find(key);
  if (place == places_.end()) return;
  auto it = nodes_.find(place->second);
  places_.erase(place);
  it->second.pods.erase(key);
  if (it->second.pods.empty() && !it->second.node) {
    nodes_.erase(it);
  } else {
    recount(it->second);
  }
}

}  // namespace knarr::scheduler
