#include "agent/pod_view.h"

#include <algorithm>

namespace knarr::agent {

namespace {

void take_end(ContainerView& view, const core::ContainerStateTerminated& end) {
  view.state = ContainerView::State::kExited;
  view.exit_code = end.exitCode;
  view.signal = end.signal;
  view.reason = end.reason;
  view.message = end.message;
  view.started_at = end.startedAt.value_or(WallTime{});
  view.finished_at = end.finishedAt.value_or(WallTime{});
}

ContainerView from_status(const core::ContainerStatus& status) {
  ContainerView view;
  view.attempt = status.restartCount;
  view.image = status.image;
  view.image_id = status.imageID;
  std::string_view id = status.containerID;
  view.id = std::string(id.substr(id.find("//") == std::string_view::npos ? 0 : id.find("//") + 2));
  if (status.lastState.terminated) view.previous = *status.lastState.terminated;
  if (status.state.terminated) {
    take_end(view, *status.state.terminated);
  } else if (status.state.running) {
    core::ContainerStateTerminated lost;
    lost.exitCode = 137;
    lost.reason = "ContainerStatusUnknown";
    lost.message = "The container could not be located when the pod was terminated";
    lost.startedAt = status.state.running->startedAt;
    take_end(view, lost);
  } else if (view.previous) {  // it waited to be started again
    take_end(view, *view.previous);
    view.previous.reset();
  } else {
    view.id.clear();
  }
  return view;
}

}  // namespace

std::optional<WallTime> whole_seconds(WallTime time) {
  if (time == WallTime{}) return {};
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::floor<seconds>(time));
}

core::ContainerStateTerminated end_of_run(const ContainerView& view) {
  core::ContainerStateTerminated end;
  end.exitCode = view.exit_code;  // says the signal too, as upstream
  end.reason = view.reason.empty() ? (view.exit_code == 0 ? "Completed" : "Error") : view.reason;
  end.message = view.message;
  end.startedAt = whole_seconds(view.started_at);
  end.finishedAt = whole_seconds(view.finished_at);
  if (!view.id.empty()) end.containerID = "knarr://" + view.id;
  return end;
}

PodView view_from_status(const core::Pod& pod) {
  PodView view;
  if (pod.status.startTime) view.start_time = *pod.status.startTime;
  view.host_ip = pod.status.hostIP;
  for (const auto& ip : pod.status.podIPs) view.pod_ips.push_back(ip.ip);
  for (const auto* statuses :
       {&pod.status.initContainerStatuses, &pod.status.containerStatuses, &pod.status.ephemeralContainerStatuses}) {
    for (const auto& status : *statuses) view.containers[status.name] = from_status(status);
  }
  return view;
}

bool should_restart(const core::Container& container, const core::PodSpec& spec, bool init, int exit_code) {
  for (const auto& rule : container.restartPolicyRules) {
    if (!rule.exitCodes) continue;
    const auto& values = rule.exitCodes->values;
    bool listed = std::find(values.begin(), values.end(), exit_code) != values.end();
    if (listed == (rule.exitCodes->operator_ == "In")) return rule.action == "Restart";
  }
  const std::string& policy = container.restartPolicy ? *container.restartPolicy : spec.restartPolicy;
  if (policy == "Never") return false;
  if (policy == "OnFailure" || (init && !is_sidecar(container))) return exit_code != 0;
  return true;
}

FoundContainer find_container(const core::PodSpec& spec, std::string_view name) {
  for (const auto* containers : {&spec.containers, &spec.initContainers}) {
    for (const auto& container : *containers) {
      if (container.name == name) return FoundContainer(&container);
    }
  }
  for (const auto& container : spec.ephemeralContainers) {
    if (container.name == name) return FoundContainer(as_container(container));
  }
  return {};
}

core::Container as_container(const core::EphemeralContainer& container) {
  core::Container same;
  same.name = container.name;
  same.image = container.image;
  same.command = container.command;
  same.args = container.args;
  same.workingDir = container.workingDir;
  same.envFrom = container.envFrom;
  same.env = container.env;
  same.volumeMounts = container.volumeMounts;
  same.terminationMessagePath = container.terminationMessagePath;
  same.terminationMessagePolicy = container.terminationMessagePolicy;
  same.imagePullPolicy = container.imagePullPolicy;
  same.securityContext = container.securityContext;
  same.stdin = container.stdin;
  same.stdinOnce = container.stdinOnce;
  same.tty = container.tty;
  same.restartPolicy = "Never";  // whatever the pod's is
  return same;
}

}  // namespace knarr::agent
