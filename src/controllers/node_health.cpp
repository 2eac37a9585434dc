#include "controllers/node_health.h"

#include <algorithm>
#include <array>

#include "knarr/schema/taints.h"

namespace knarr::controllers {

namespace {

constexpr std::string_view kNoSchedule = "NoSchedule", kNoExecute = "NoExecute";
constexpr std::string_view kUnschedulableTaint = "node.kubernetes.io/unschedulable";

struct ConditionTaint {
  std::string_view type, status, taint;
};
constexpr std::array kConditionTaints = {
    ConditionTaint{"Ready", "False", kNotReadyTaint},
    ConditionTaint{"Ready", "Unknown", kUnreachableTaint},
    ConditionTaint{"MemoryPressure", "True", "node.kubernetes.io/memory-pressure"},
    ConditionTaint{"DiskPressure", "True", "node.kubernetes.io/disk-pressure"},
    ConditionTaint{"NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"},
    ConditionTaint{"PIDPressure", "True", "node.kubernetes.io/pid-pressure"},
};
// NetworkUnavailable is the control plane's own.
constexpr std::string_view kReportedByAgent[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};

// Upstream's --unhealthy-zone-threshold, --large-cluster-size-threshold and the pauses of its two eviction rates.
constexpr double kUnhealthyShare = 0.55;
constexpr size_t kUnhealthyAtLeast = 3, kLargeZone = 50;
constexpr milliseconds kNormalPause{10'000}, kCarefulPause{100'000};

WallTime whole_seconds(WallTime time) { return std::chrono::floor<seconds>(time); }

bool of_scheduling(const Taint& taint) {
  return taint.effect == kNoSchedule &&
         (taint.key == kUnschedulableTaint || std::any_of(kConditionTaints.begin(), kConditionTaints.end(),
                                                          [&](const auto& c) { return c.taint == taint.key; }));
}

Taint make_taint(std::string_view key, std::string_view effect, WallTime now) {
  Taint taint;
  taint.key = key;
  taint.effect = effect;
  taint.timeAdded = whole_seconds(now);
  return taint;
}

std::vector<std::string_view> wanted_schedule_taints(const Node& node) {
  std::vector<std::string_view> wanted;
  for (const NodeCondition& condition : node.status.conditions) {
    for (const ConditionTaint& c : kConditionTaints) {
      if (c.type == condition.type && c.status == condition.status) wanted.push_back(c.taint);
    }
  }
  if (node.spec.unschedulable) wanted.push_back(kUnschedulableTaint);
  return wanted;
}

}  // namespace

const NodeCondition* ready_condition(const Node& node) {
  for (const NodeCondition& condition : node.status.conditions) {
    if (condition.type == "Ready") return &condition;
  }
  return nullptr;
}

bool is_ready(const Node& node) {
  const NodeCondition* ready = ready_condition(node);
  return ready && ready->status == "True";
}

bool mark_silent(Node& node, WallTime now) {
  const NodeCondition* ready = ready_condition(node);
  if (ready && ready->status == "Unknown") return false;
  auto& conditions = node.status.conditions;
  for (std::string_view type : kReportedByAgent) {
    auto known = std::find_if(conditions.begin(), conditions.end(), [&](const auto& c) { return c.type == type; });
    if (known == conditions.end()) {
      NodeCondition never;
      never.type = type;
      never.status = "Unknown";
      never.reason = "NodeStatusNeverUpdated";
      never.message = "Kubelet never posted node status.";
      never.lastHeartbeatTime = node.metadata.creationTimestamp;
      never.lastTransitionTime = whole_seconds(now);
      conditions.push_back(std::move(never));
    } else if (known->status != "Unknown") {
      known->status = "Unknown";
      known->reason = "NodeStatusUnknown";
      known->message = "Kubelet stopped posting node status.";
      known->lastTransitionTime = whole_seconds(now);
    }
  }
  return true;
}

bool set_schedule_taints(Node& node, WallTime now) {
  auto& taints = node.spec.taints;
  const auto wanted = wanted_schedule_taints(node);
  auto is_wanted = [&](const Taint& t) { return std::find(wanted.begin(), wanted.end(), t.key) != wanted.end(); };
  bool changed = std::erase_if(taints, [&](const Taint& t) { return of_scheduling(t) && !is_wanted(t); }) > 0;
  for (std::string_view key : wanted) {
    if (std::any_of(taints.begin(), taints.end(),
                    [&](const Taint& t) { return t.key == key && t.effect == kNoSchedule; }))
      continue;
    taints.push_back(make_taint(key, kNoSchedule, now));
    changed = true;
  }
  return changed;
}

bool has_execute_taint(const Node& node, std::string_view key) {
  return std::any_of(node.spec.taints.begin(), node.spec.taints.end(),
                     [&](const Taint& t) { return t.key == key && t.effect == kNoExecute; });
}

bool set_execute_taint(Node& node, std::string_view key, WallTime now) {
  bool changed =
      std::erase_if(node.spec.taints, [&](const Taint& t) {
        return t.effect == kNoExecute && t.key != key && (t.key == kNotReadyTaint || t.key == kUnreachableTaint);
      }) > 0;
  if (key.empty() || has_execute_taint(node, key)) return changed;
  node.spec.taints.push_back(make_taint(key, kNoExecute, now));
  return true;
}

std::string_view execute_taint_for(const Node& node) {
  const NodeCondition* ready = ready_condition(node);
  if (!ready || ready->status == "True") return {};
  return ready->status == "False" ? kNotReadyTaint : kUnreachableTaint;
}

std::string zone_of(const Node& node) {
  auto label = [&](const char* old_key, const char* key) -> std::string {
    const auto& labels = node.metadata.labels;
    if (auto it = labels.find(old_key); it != labels.end()) return it->second;
    auto it = labels.find(key);
    return it == labels.end() ? "" : it->second;
  };
  std::string region = label("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region");
  std::string zone = label("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone");
  return region.empty() && zone.empty() ? "" : region + '/' + zone;  // neither can have a slash
}

ZoneState zone_state(size_t ready, size_t not_ready) {
  if (ready == 0 && not_ready > 0) return ZoneState::kDown;
  bool many = not_ready >= kUnhealthyAtLeast &&
              static_cast<double>(not_ready) / static_cast<double>(ready + not_ready) >= kUnhealthyShare;
  return many ? ZoneState::kPartlyDown : ZoneState::kNormal;
}

std::optional<milliseconds> taint_pause(ZoneState state, size_t nodes) {
  if (state != ZoneState::kPartlyDown) return kNormalPause;
  if (nodes > kLargeZone) return kCarefulPause;
  return {};
}

std::optional<seconds> stay_of(std::span<const Toleration> tolerations, std::span<const Taint> taints) {
  std::optional<seconds> shortest;
  for (const Taint& taint : taints) {
    const Toleration* toleration = schema::find_toleration(tolerations, taint);
    if (!toleration) return seconds(0);
    if (!toleration->tolerationSeconds) continue;
    seconds stay(std::max<int64_t>(*toleration->tolerationSeconds, 0));
    if (!shortest || stay < *shortest) shortest = stay;
  }
  return shortest;
}

std::vector<Taint> execute_taints(const Node& node) {
  std::vector<Taint> found;
  for (const Taint& taint : node.spec.taints) {
    if (taint.effect == kNoExecute) found.push_back(taint);
  }
  return found;
}

}  // namespace knarr::controllers
