#include "agent/pod_resources.h"

#include <algorithm>

#include "agent/pod_view.h"
#include "knarr/codec/quantity.h"

namespace knarr::agent {

namespace {

using Amounts = std::map<std::string, std::string>;

constexpr int64_t kLeastShares = 2, kMostShares = 262144, kSharesPerCpu = 1024;
constexpr int64_t kPeriod = 100'000, kLeastQuota = 1000;  // microseconds

int64_t amount(const Amounts& amounts, const std::string& name) {
  auto it = amounts.find(name);
  if (it == amounts.end()) return 0;
  Quantity quantity = Quantity::parse_or_zero(it->second);
  return name == "cpu" ? quantity.milli_value() : quantity.value();
}

int64_t quota_of_milli(int64_t milli) { return milli > 0 ? std::max(milli * kPeriod / 1000, kLeastQuota) : 0; }

// What all containers together have at their peak: sidecars stay, other init containers run beside those before them.
int64_t total(const core::Pod& pod, Amounts core::ResourceRequirements::*amounts, const std::string& name) {
  if (pod.spec.resources) {
    const auto& whole = (*pod.spec.resources).*amounts;
    if (whole.contains(name)) return amount(whole, name);
  }
  int64_t running = 0, sidecars = 0, starting = 0;
  for (const auto& container : pod.spec.containers) running += amount(container.resources.*amounts, name);
  for (const auto& container : pod.spec.initContainers) {
    int64_t own = amount(container.resources.*amounts, name);
    if (is_sidecar(container)) sidecars += own;
    starting = std::max(starting, sidecars + (is_sidecar(container) ? 0 : own));
  }
  int64_t most = std::max(running + sidecars, starting);
  bool limits = amounts == &core::ResourceRequirements::limits;
  return limits && most == 0 ? 0 : most + amount(pod.spec.overhead, name);
}

// The pod has a limit when it says so itself, or each of its containers does.
bool is_limited(const core::Pod& pod, const std::string& name) {
  if (pod.spec.resources && amount((*pod.spec.resources).limits, name) > 0) return true;
  for (const auto* containers : {&pod.spec.containers, &pod.spec.initContainers}) {
    for (const auto& container : *containers) {
      if (amount(container.resources.limits, name) == 0) return false;
    }
  }
  return true;
}

}  // namespace

int64_t cpu_shares_of_milli(int64_t milli) {
  return std::clamp(milli * kSharesPerCpu / 1000, kLeastShares, kMostShares);
}

runtime::Resources container_resources(const core::ResourceRequirements& wanted) {
  runtime::Resources resources;
  int64_t limit = amount(wanted.limits, "cpu");
  int64_t request = wanted.requests.contains("cpu") ? amount(wanted.requests, "cpu") : limit;
  resources.memory_limit_bytes = amount(wanted.limits, "memory");
  resources.cpu_quota_us = quota_of_milli(limit);
  resources.cpu_period_us = kPeriod;
  resources.cpu_shares = cpu_shares_of_milli(request);
  return resources;
}

int64_t cpu_request_milli(const core::Pod& pod) { return total(pod, &core::ResourceRequirements::requests, "cpu"); }

runtime::Resources pod_resources(const core::Pod& pod, int64_t max_pids) {
  runtime::Resources resources;
  resources.pids_limit = max_pids;
  resources.cpu_shares = kLeastShares;
  if (pod.status.qosClass == "BestEffort") return resources;
  resources.cpu_shares = cpu_shares_of_milli(cpu_request_milli(pod));
  resources.cpu_period_us = kPeriod;
  if (is_limited(pod, "cpu")) resources.cpu_quota_us = quota_of_milli(total(pod, &core::ResourceRequirements::limits, "cpu"));
  if (is_limited(pod, "memory")) resources.memory_limit_bytes = total(pod, &core::ResourceRequirements::limits, "memory");
  return resources;
}

std::string pod_group(const core::Pod& pod) {
  if (pod.status.qosClass == "Guaranteed") return kPodsGroup;
  return pod.status.qosClass == "BestEffort" ? kBestEffortGroup : kBurstableGroup;
}

runtime::Resources node_resources(const Machine& machine, const Usage& usage) {
  runtime::Resources resources;
  resources.memory_limit_bytes = Quantity::parse_or_zero(node_allocatable(machine, usage)["memory"]).value();
  resources.cpu_shares = cpu_shares_of_milli(machine.cpus * 1000);
  resources.pids_limit = pids_for_pods(usage);
  return resources;
}

}  // namespace knarr::agent
