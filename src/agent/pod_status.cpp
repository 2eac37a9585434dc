#include "agent/pod_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "knarr/codec/json.h"

namespace knarr::agent {

namespace {

using State = ContainerView::State;
using Statuses = std::vector<core::ContainerStatus>;

std::vector<core::VolumeMountStatus> mount_statuses(const core::Container& container) {
  std::vector<core::VolumeMountStatus> mounts;
  for (const auto& mount : container.volumeMounts) {
    core::VolumeMountStatus status;
    status.name = mount.name;
    status.mountPath = mount.mountPath;
    status.readOnly = mount.readOnly;
    if (mount.readOnly) status.recursiveReadOnly = "Disabled";
    mounts.push_back(std::move(status));
  }
  return mounts;
}

core::ContainerStatus container_status(const core::Pod& pod, const core::Container& container,
                                       const ContainerView& view, bool init, bool nothing_starts) {
  core::ContainerStatus status;
  status.name = container.name;
  status.image = container.image;
  status.volumeMounts = mount_statuses(container);
  status.restartCount = view.attempt;
  status.started = false;
  if (view.previous) status.lastState.terminated = *view.previous;
  if (view.state != State::kNone) {
    if (!view.id.empty()) status.containerID = "knarr://" + view.id;
    if (!view.image.empty()) status.image = view.image;
    status.imageID = view.image_id;
    status.allocatedResources = container.resources.requests;
    status.resources = container.resources;
  }
  switch (view.state) {
    case State::kRunning:
      status.state.running.ensure().startedAt = whole_seconds(view.started_at);
      status.started = view.started;
      status.ready = view.ready && view.started;
      return status;
    case State::kExited: {
      status.state.terminated = end_of_run(view);
      bool done = init && !is_sidecar(container) && view.exit_code == 0;
      status.ready = done;
      if (nothing_starts || view.waiting_reason.empty() || done ||
          !should_restart(container, pod.spec, init, view.exit_code))
        return status;
      status.lastState = status.state;
      status.state = {};
      status.state.waiting.ensure() = {view.waiting_reason, view.waiting_message};
      return status;
    }
    case State::kNone:
      break;
  }
  auto& waiting = status.state.waiting.ensure();
  waiting.reason = pod.spec.initContainers.empty() ? "ContainerCreating" : "PodInitializing";
  if (!view.waiting_reason.empty()) waiting = {view.waiting_reason, view.waiting_message};
  return status;
}

struct Count {
  int pending_init = 0, failed_init = 0;
  int pending_sidecars = 0, running = 0, waiting = 0, stopped = 0, stopped_for_good = 0, succeeded = 0;
};

// The end that a status tells of: the current one, or the last when it waits to be started again.
const core::ContainerStateTerminated* end_of(const core::ContainerStatus& status) {
  if (status.state.terminated) return &*status.state.terminated;
  if (status.state.waiting && status.lastState.terminated) return &*status.lastState.terminated;
  return nullptr;
}

std::string phase_of(const core::Pod& pod, const Statuses& init, const Statuses& regular, bool final) {
  Count n;
  for (size_t i = 0; i < init.size(); ++i) {
    const core::Container& container = pod.spec.initContainers[i];
    const core::ContainerStateTerminated* end = end_of(init[i]);
    if (is_sidecar(container)) {
      if (init[i].state.running) {
        ++n.running;
        if (!init[i].started.value_or(false)) ++n.pending_sidecars;
      } else if (!end) {
        ++n.pending_sidecars;
        ++n.waiting;
      }
    } else if (!end) {
      ++n.pending_init;
    } else if (end->exitCode != 0 && !should_restart(container, pod.spec, true, end->exitCode)) {
      ++n.failed_init;
    }
  }
  bool initialized = false;
  for (size_t i = 0; i < regular.size(); ++i) {
    const core::ContainerStateTerminated* end = end_of(regular[i]);
    if (regular[i].state.running) ++n.running;
    if (regular[i].state.running || regular[i].state.terminated) initialized = true;
    if (!end) {
      if (!regular[i].state.running) ++n.waiting;
      continue;
    }
    ++n.stopped;
    if (!should_restart(pod.spec.containers[i], pod.spec, false, end->exitCode)) ++n.stopped_for_good;
    if (regular[i].state.terminated && end->exitCode == 0) ++n.succeeded;
  }
  if (n.failed_init > 0) return "Failed";
  if (n.pending_init > 0 || (n.pending_sidecars > 0 && !initialized) || n.waiting > 0) return "Pending";
  if (n.running > 0) return "Running";
  if (n.stopped == 0) return "Pending";
  if (final) return n.stopped == n.succeeded ? "Succeeded" : "Failed";
  if (n.stopped != n.stopped_for_good) return "Running";
  return n.stopped == n.succeeded ? "Succeeded" : "Failed";
}

core::PodCondition condition(std::string type, bool is, std::string reason = {}, std::string message = {}) {
  core::PodCondition c;
  c.type = std::move(type);
  c.status = is ? "True" : "False";
  c.reason = std::move(reason);
  c.message = std::move(message);
  return c;
}

core::PodCondition initialized_condition(const core::PodSpec& spec, const Statuses& init, const Statuses& regular,
                                         const std::string& phase) {
  if (phase == "Succeeded") return condition("Initialized", true, "PodCompleted");
  std::vector<std::string> incomplete;
  for (size_t i = 0; i < init.size(); ++i) {
    bool done = is_sidecar(spec.initContainers[i]) ? init[i].started.value_or(false) : init[i].ready;
    if (!done) incomplete.push_back(init[i].name);
  }
  bool started =
      std::any_of(regular.begin(), regular.end(), [](const auto& s) { return s.state.running || s.state.terminated; });
  if (incomplete.empty() || started) return condition("Initialized", true);
  return condition("Initialized", false, "ContainersNotInitialized",
                   fmt::format("containers with incomplete status: [{}]", fmt::join(incomplete, " ")));
}

core::PodCondition containers_ready_condition(const core::PodSpec& spec, const Statuses& init, const Statuses& regular,
                                              const std::string& phase) {
  if (phase == "Succeeded") return condition("ContainersReady", false, "PodCompleted");
  if (phase == "Failed") return condition("ContainersReady", false, "PodFailed");
  std::vector<std::string> unready;
  for (size_t i = 0; i < init.size(); ++i) {
    if (is_sidecar(spec.initContainers[i]) && !init[i].ready) unready.push_back(init[i].name);
  }
  for (const auto& status : regular) {
    if (!status.ready) unready.push_back(status.name);
  }
  if (unready.empty()) return condition("ContainersReady", true);
  return condition("ContainersReady", false, "ContainersNotReady",
                   fmt::format("containers with unready status: [{}]", fmt::join(unready, " ")));
}

core::PodCondition ready_condition(const core::Pod& pod, const core::PodCondition& containers_ready) {
  if (containers_ready.status != "True")
    return condition("Ready", false, containers_ready.reason, containers_ready.message);
  std::vector<std::string> missing;
  for (const auto& gate : pod.spec.readinessGates) {
    const auto& conditions = pod.status.conditions;
    auto it =
        std::find_if(conditions.begin(), conditions.end(), [&](const auto& c) { return c.type == gate.conditionType; });
    if (it == conditions.end()) {
      missing.push_back(
          fmt::format("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.conditionType));
    } else if (it->status != "True") {
      missing.push_back(fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but {}",
                                    gate.conditionType, it->status));
    }
  }
  if (missing.empty()) return condition("Ready", true);
  return condition("Ready", false, "ReadinessGatesNotReady", fmt::format("{}", fmt::join(missing, ", ")));
}

void set_condition(core::PodStatus& status, core::PodCondition fresh, int64_t generation, WallTime now) {
  fresh.observedGeneration = generation;
  fresh.lastTransitionTime = whole_seconds(now);
  for (auto& known : status.conditions) {
    if (known.type != fresh.type) continue;
    if (known.status == fresh.status && known.lastTransitionTime) fresh.lastTransitionTime = known.lastTransitionTime;
    known = std::move(fresh);
    return;
  }
  status.conditions.push_back(std::move(fresh));
}

}  // namespace

core::PodStatus make_status(const core::Pod& pod, const PodView& view, WallTime now, bool final) {
  const core::PodSpec& spec = pod.spec;
  core::PodStatus status = pod.status;
  bool nothing_starts = view.terminating || final || pod.metadata.deletionTimestamp.has_value();

  status.initContainerStatuses.clear();
  for (const auto& container : spec.initContainers) {
    status.initContainerStatuses.push_back(
        container_status(pod, container, view.container(container.name), true, nothing_starts));
  }
  status.containerStatuses.clear();
  for (const auto& container : spec.containers) {
    status.containerStatuses.push_back(
        container_status(pod, container, view.container(container.name), false, nothing_starts));
  }
  std::sort(status.containerStatuses.begin(), status.containerStatuses.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });

  status.ephemeralContainerStatuses.clear();
  for (const auto& container : spec.ephemeralContainers) {
    core::ContainerStatus told =
        container_status(pod, as_container(container), view.container(container.name), false, nothing_starts);
    told.ready = false;  // nobody waits for it
    told.started.reset();
    told.allocatedResources.clear();
    told.resources = {};
    status.ephemeralContainerStatuses.push_back(std::move(told));
  }

  Statuses in_order;  // as in the spec, for what is computed from both
  for (const auto& container : spec.containers) {
    in_order.push_back(*std::find_if(status.containerStatuses.begin(), status.containerStatuses.end(),
                                     [&](const auto& s) { return s.name == container.name; }));
  }

  status.phase = has_ended(pod) ? pod.status.phase : phase_of(pod, status.initContainerStatuses, in_order, final);
  if (!view.end_reason.empty()) {
    status.phase = "Failed";
    status.reason = view.end_reason;
    status.message = view.end_message;
  }
  status.observedGeneration = pod.metadata.generation;
  status.hostIP = view.host_ip;
  status.hostIPs.clear();
  if (!view.host_ip.empty()) status.hostIPs.push_back({view.host_ip});
  status.podIPs.clear();
  for (const auto& ip : view.pod_ips) status.podIPs.push_back({ip});
  status.podIP = view.pod_ips.empty() ? "" : view.pod_ips.front();
  if (view.start_time != WallTime{}) status.startTime = whole_seconds(view.start_time);

  auto set = [&](core::PodCondition c) { set_condition(status, std::move(c), pod.metadata.generation, now); };
  set(condition("PodReadyToStartContainers", view.has_sandbox));
  set(initialized_condition(spec, status.initContainerStatuses, in_order, status.phase));
  core::PodCondition containers_ready =
      containers_ready_condition(spec, status.initContainerStatuses, in_order, status.phase);
  set(ready_condition(pod, containers_ready));
  set(std::move(containers_ready));
  set(condition("PodScheduled", true));
  return status;
}

std::string status_patch(const std::string& uid, const core::PodStatus& before, const core::PodStatus& after) {
  if (before == after) return {};
  std::string text = api::encode(after);
  auto document = json::parse(text);
  if (!document.ok()) return {};
  auto& alloc = document->GetAllocator();
  // What went away has to be said, and these lists would be merged with what is there.
  if (after.reason.empty() && !before.reason.empty()) json::set(*document, "reason", json::Value(), alloc);
  if (after.message.empty() && !before.message.empty()) json::set(*document, "message", json::Value(), alloc);
  if (after.podIP.empty() && !before.podIP.empty()) json::set(*document, "podIP", json::Value(), alloc);
  auto replace_list = [&](std::string_view name, bool same, bool fresh) {
    if (fresh) return;
    if (same) {
      json::remove(*document, name);
      return;
    }
    json::Value list(rapidjson::kArrayType);
    json::Value directive(rapidjson::kObjectType);
    json::set(directive, "$patch", "replace", alloc);
    list.PushBack(directive, alloc);
    if (json::Value* items = json::find(*document, name); items && items->IsArray()) {
      for (auto& item : items->GetArray()) list.PushBack(json::copy(item, alloc), alloc);
    }
    json::set(*document, name, std::move(list), alloc);
  };
  replace_list("podIPs", before.podIPs == after.podIPs, before.podIPs.empty());
  replace_list("hostIPs", before.hostIPs == after.hostIPs, before.hostIPs.empty());
  // Conditions of others are theirs: only what this node changed is sent, and merged by type.
  json::Value conditions(rapidjson::kArrayType);
  if (json::Value* all = json::find(*document, "conditions"); all && all->IsArray()) {
    for (size_t i = 0; i < after.conditions.size() && i < all->Size(); ++i) {
      const auto& ours = after.conditions[i];
      auto known = std::find_if(before.conditions.begin(), before.conditions.end(),
                                [&](const auto& condition) { return condition.type == ours.type; });
      bool fresh = known == before.conditions.end();
      if (!fresh && *known == ours) continue;
      json::Value condition = json::copy((*all)[static_cast<rapidjson::SizeType>(i)], alloc);
      if (!fresh && ours.reason.empty()) json::set(condition, "reason", json::Value(), alloc);
      if (!fresh && ours.message.empty()) json::set(condition, "message", json::Value(), alloc);
      conditions.PushBack(condition, alloc);
    }
  }
  if (conditions.Empty()) {
    json::remove(*document, "conditions");
  } else {
    json::set(*document, "conditions", std::move(conditions), alloc);
  }
  return fmt::format(R"({{"metadata":{{"uid":"{}"}},"status":{}}})", uid, json::dump(*document));
}

}  // namespace knarr::agent
