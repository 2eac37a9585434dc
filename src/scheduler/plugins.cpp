#include "scheduler/plugins.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "knarr/schema/taints.h"

namespace knarr::scheduler {

namespace {

using api::core::v1::NodeSelectorRequirement;
using api::core::v1::NodeSelectorTerm;
using api::core::v1::Taint;
using Reasons = std::vector<std::string>;

bool tolerated(const Pod& pod, const Taint& taint) {
  return schema::find_toleration(pod.spec.tolerations, taint) != nullptr;
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// One requirement against a set of labels or fields.
bool meets(const NodeSelectorRequirement& requirement, const std::map<std::string, std::string>& have) {
  auto it = have.find(requirement.key);
  bool there = it != have.end();
  bool listed =
      there && std::find(requirement.values.begin(), requirement.values.end(), it->second) != requirement.values.end();
  const std::string& op = requirement.operator_;
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return there;
  if (op == "DoesNotExist") return !there;
  if ((op == "Gt" || op == "Lt") && there && requirement.values.size() == 1) {
    auto left = number(it->second), right = number(requirement.values[0]);
    if (left && right) return op == "Gt" ? *left > *right : *left < *right;
  }
  return false;
}

bool matches(const NodeSelectorTerm& term, const Node& node) {
  if (term.matchExpressions.empty() && term.matchFields.empty()) return false;
  const std::map<std::string, std::string> fields = {{"metadata.name", node.metadata.name}};
  return std::all_of(term.matchExpressions.begin(), term.matchExpressions.end(),
                     [&](const auto& r) { return meets(r, node.metadata.labels); }) &&
         std::all_of(term.matchFields.begin(), term.matchFields.end(), [&](const auto& r) { return meets(r, fields); });
}

Reasons node_ready(const PodView&, const NodeInfo& node) {
  for (const auto& condition : node.node->status.conditions) {
    if (condition.type == "Ready" && condition.status == "True") return {};
  }
  return {"node(s) were not ready"};
}

Reasons node_name(const PodView& pod, const NodeInfo& node) {
  if (pod.pod.spec.nodeName.empty() || pod.pod.spec.nodeName == node.node->metadata.name) return {};
  return {"node(s) didn't match the requested node name"};
}

Reasons node_unschedulable(const PodView& pod, const NodeInfo& node) {
  Taint taint;
  taint.key = "node.kubernetes.io/unschedulable";
  taint.effect = "NoSchedule";
  if (!node.node->spec.unschedulable || tolerated(pod.pod, taint)) return {};
  return {"node(s) were unschedulable"};
}

Reasons taints(const PodView& pod, const NodeInfo& node) {
  for (const Taint& taint : node.node->spec.taints) {
    if (taint.effect != "NoSchedule" && taint.effect != "NoExecute") continue;
    if (!tolerated(pod.pod, taint)) return {"node(s) had untolerated taint(s)"};
  }
  return {};
}

Reasons node_affinity(const PodView& pod, const NodeInfo& node) {
  const Reasons refused = {"node(s) didn't match Pod's node affinity/selector"};
  for (const auto& [key, value] : pod.pod.spec.nodeSelector) {
    auto it = node.node->metadata.labels.find(key);
    if (it == node.node->metadata.labels.end() || it->second != value) return refused;
  }
  const auto& affinity = pod.pod.spec.affinity;
  if (!affinity || !affinity->nodeAffinity || !affinity->nodeAffinity->requiredDuringSchedulingIgnoredDuringExecution)
    return {};
  const auto& terms = affinity->nodeAffinity->requiredDuringSchedulingIgnoredDuringExecution->nodeSelectorTerms;
  bool any = std::any_of(terms.begin(), terms.end(), [&](const auto& term) { return matches(term, *node.node); });
  return any ? Reasons{} : refused;
}

Reasons host_ports(const PodView& pod, const NodeInfo& node) {
  for (const auto& [address, protocol, port] : pod.host_ports) {
    for (const auto& [used_address, used_protocol, used_port] : node.host_ports) {
      bool same_address = address == used_address || address == "0.0.0.0" || used_address == "0.0.0.0";
      if (port == used_port && protocol == used_protocol && same_address)
        return {"node(s) didn't have free ports for the requested pod ports"};
    }
  }
  return {};
}

Reasons resources_fit(const PodView& pod, const NodeInfo& node) {
  Reasons reasons;
  if (node.left("pods") < 1) reasons.emplace_back("Too many pods");
  for (const auto& [name, amount] : pod.requests) {
    if (amount > 0 && amount > node.left(name)) reasons.push_back("Insufficient " + name);
  }
  return reasons;
}

constexpr Filter kFilters[] = {
    {"NodeUnschedulable", node_unschedulable}, {"NodeName", node_name},   {"TaintToleration", taints},
    {"NodeAffinity", node_affinity},           {"NodeReady", node_ready}, {"NodePorts", host_ports},
    {"NodeResourcesFit", resources_fit},
};

// How full the node would be with the pod, as a share of one in thousandths, for cpu or memory; pods that ask for
// nothing count as upstream counts them (100m, 200 MiB), so that they spread too.
int64_t share_used(const PodView& pod, const NodeInfo& node, std::string_view resource, int64_t least) {
  auto have = node.allocatable.find(resource);
  if (have == node.allocatable.end() || have->second <= 0) return 1000;
  auto asked = pod.requests.find(resource);
  int64_t own = asked == pod.requests.end() || asked->second == 0 ? least : asked->second;
  int64_t used = have->second - node.left(resource) + own;
  return std::clamp<int64_t>(used * 1000 / have->second, 0, 1000);
}

constexpr int64_t kLeastCpu = 100, kLeastMemory = 200 << 20;

int64_t least_allocated(const PodView& pod, const NodeInfo& node) {
  return (2000 - share_used(pod, node, "cpu", kLeastCpu) - share_used(pod, node, "memory", kLeastMemory)) / 20;
}

int64_t balanced_allocation(const PodView& pod, const NodeInfo& node) {
  int64_t cpu = share_used(pod, node, "cpu", kLeastCpu), memory = share_used(pod, node, "memory", kLeastMemory);
  return 100 - std::abs(cpu - memory) / 20;
}

int64_t preferred_taints(const PodView& pod, const NodeInfo& node) {
  int64_t untolerated = std::count_if(
      node.node->spec.taints.begin(), node.node->spec.taints.end(),
      [&](const Taint& taint) { return taint.effect == "PreferNoSchedule" && !tolerated(pod.pod, taint); });
  return 100 / (1 + untolerated);
}

int64_t preferred_affinity(const PodView& pod, const NodeInfo& node) {
  const auto& affinity = pod.pod.spec.affinity;
  if (!affinity || !affinity->nodeAffinity) return 0;
  int64_t all = 0, met = 0;
  for (const auto& term : affinity->nodeAffinity->preferredDuringSchedulingIgnoredDuringExecution) {
    all += term.weight;
    if (matches(term.preference, *node.node)) met += term.weight;
  }
  return all > 0 ? met * 100 / all : 0;
}

constexpr Score kScores[] = {
    {"TaintToleration", 3, preferred_taints},
    {"NodeAffinity", 2, preferred_affinity},
    {"NodeResourcesFit", 1, least_allocated},
    {"NodeResourcesBalancedAllocation", 1, balanced_allocation},
};

}  // namespace

std::span<const Filter> filters() { return kFilters; }
std::span<const Score> scores() { return kScores; }

Decision decide(const Pod& pod, const Snapshot& snapshot) {
  PodView view(pod);
  std::map<std::string, int> refusals;
  const NodeInfo* best = nullptr;
  int64_t best_score = -1;
  size_t known = 0;
  for (const auto& [name, info] : snapshot.nodes()) {
    if (!info.node) continue;
    ++known;
    Reasons reasons;
    for (const Filter& filter : kFilters) {
      reasons = filter.function(view, info);
      if (!reasons.empty()) break;
    }
    if (!reasons.empty()) {
      for (const std::string& reason : reasons) ++refusals[reason];
      continue;
    }
    int64_t score = 0;
    for (const Score& part : kScores) score += part.weight * part.function(view, info);
    if (score > best_score || (score == best_score && info.pods.size() < best->pods.size())) {
      best = &info;
      best_score = score;
    }
  }
  if (best) return {best->node->metadata.name, ""};
  if (known == 0) return {"", "no nodes available to schedule pods"};
  std::vector<std::string> parts;
  for (const auto& [reason, count] : refusals) parts.push_back(fmt::format("{} {}", count, reason));
  return {"", fmt::format("0/{} nodes are available: {}.", known, fmt::join(parts, ", "))};
}

}  // namespace knarr::scheduler
