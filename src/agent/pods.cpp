#include "agent/pods.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/base/log.h"
#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

using State = ContainerView::State;

constexpr int kWorkers = 4, kReporters = 2;
constexpr size_t kTaskThreads = 16, kProbeThreads = 8;
constexpr milliseconds kStopLimit{2000};
constexpr int kStepsAtOnce = 64;  // of one pod, before others have their turn

uint64_t version_of(const core::Pod& pod) { return std::strtoull(pod.metadata.resourceVersion.c_str(), nullptr, 10); }

}  // namespace

void take_runtime_status(ContainerView& view, const runtime::ContainerStatus& status) {
  view.started_at = status.started_at;
  if (status.state == runtime::ContainerState::kRunning) {
    view.state = State::kRunning;
    return;
  }
  if (status.state != runtime::ContainerState::kExited) return;
  view.state = State::kExited;
  view.finished_at = status.finished_at;
  view.signal = status.signal;
  view.exit_code = status.signal != 0 && status.exit_code == 0 ? 128 + status.signal : status.exit_code;
  view.reason = status.oom_killed ? "OOMKilled" : status.reason;
  view.message = status.message;
  view.ready = view.hook_running = view.stopping = false;
  view.must_end.clear();
}

Pods::Pods(PodServices services)
    : services_(std::move(services)),
      api_(services_.transport),
      queue_({.name = "pods",
              .retry_base = milliseconds(100),
              .retry_limit = milliseconds(30'000),
              .clock = services_.clock}),
      reports_({.name = "pod status",
                .retry_base = milliseconds(50),
                .retry_limit = milliseconds(10'000),
                .clock = services_.clock}),
      tasks_(kTaskThreads),
      probing_(kProbeThreads),
      puller_(
          *services_.images, *services_.sources, tasks_, *services_.clock,
          [this](const ImagePuller::Note& note) {
            PodPtr pod;
            with_entry(note.pod_uid, [&](Entry& entry) { pod = entry.pod; });
            auto type = note.warning ? client::kEventWarning : client::kEventNormal;
            if (pod) event(*pod, note.container, type, note.reason, note.message);
          },
          [this](const std::string& uid) { wake(uid); }),
      probes_(*services_.timers, probing_, *services_.handlers,
              [this](const Probes::Result& result) { on_probe(result); }) {}

Pods::~Pods() { (void)stop(); }

void Pods::adopt(std::vector<runtime::PodSandboxStatus> found) {
  Lock lock(mutex_);
  for (auto& sandbox : found) {
    std::string uid = sandbox.spec.id;
    adopted_.insert_or_assign(uid, std::move(sandbox));
  }
}

void Pods::start(std::shared_ptr<client::Informer<core::Pod>> informer) {
  informer_ = std::move(informer);
  informer_->add_handlers({.add = [this](const PodPtr& pod) { on_pod(pod); },
                           .update = [this](const PodPtr&, const PodPtr& pod) { on_pod(pod); },
                           .remove = [this](const PodPtr& pod) { on_pod_removed(pod); }});
  workers_ = client::run_workers(queue_, kWorkers, [this](const std::string& uid) { return sync(uid); });
  reporters_ = client::run_workers(reports_, kReporters, [this](const std::string& uid) { return report(uid); });
  informer_->start();
}

bool Pods::stop() {
  if (informer_) informer_->stop();
  client::Timers::Id refresh;
  {
    Lock lock(mutex_);
    refresh = refresh_timer_;
  }
  services_.timers->cancel(refresh);
  probes_.stop_all();
  workers_.stop();
  reporters_.stop();
  std::vector<client::Timers::Id> timers;
  {
    Lock lock(mutex_);
    for (auto& [uid, entry] : entries_) {
      for (auto& [name, stop] : entry.stops) timers.push_back(stop.timer);
    }
  }
  for (auto timer : timers) services_.timers->cancel(timer);
  bool probes_ended = probing_.stop_within(kStopLimit), tasks_ended = tasks_.stop_within(kStopLimit);
  return probes_ended && tasks_ended;
}

// --- causes ---

void Pods::on_pod(const PodPtr& pod) {
  const std::string& uid = pod->metadata.uid;
  std::optional<PodView> adopted, shown;  // shown: its volumes tell of its labels or annotations, which changed
  {
    Lock lock(mutex_);
    auto [it, fresh] = entries_.try_emplace(uid);
    Entry& entry = it->second;
    if (!fresh) {
      if (entry.pod && version_of(*entry.pod) > version_of(*pod)) return;  // an answer to a write of ours came first
      const bool changed = entry.pod && (entry.pod->metadata.labels != pod->metadata.labels ||
                                         entry.pod->metadata.annotations != pod->metadata.annotations);
      entry.pod = pod;
      if (changed && entry.has_volumes && !entry.view.terminating && has_content_volumes(*pod)) shown = entry.view;
    } else {
      entry.pod = pod;
      entry.view = view_from_status(*pod);
      entry.view.host_ip = services_.node_ip();
      if (entry.view.start_time == WallTime{}) entry.view.start_time = services_.clock->wall();
      if (auto known = adopted_.find(uid); known != adopted_.end()) {
        adopt_into(entry, known->second);
        adopted_.erase(known);
        adopted = entry.view;
      }
    }
  }
  if (adopted) {
    start_probes(*pod, *adopted);
    if (has_content_volumes(*pod)) refresh_volumes();
  }
  if (shown) tasks_.submit([this, pod, view = std::move(*shown)] { refresh_volumes_of(*pod, view); });
  wake(uid);
}

void Pods::adopt_into(Entry& entry, const runtime::PodSandboxStatus& sandbox) {
  entry.view.has_sandbox = true;
  if (network::PodNetwork* network = services_.network(); network && entry.view.pod_ips.empty()) {
    for (auto& [uid, address] : network->list()) {
      if (uid == entry.pod->metadata.uid) entry.view.pod_ips = {address.address};
    }
  }
  for (const auto& status : sandbox.containers) {
    const FoundContainer container = find_container(entry.pod->spec, status.name);
    if (!container || status.state == runtime::ContainerState::kCreated) continue;
    ContainerView& view = entry.view.containers[status.name];
    if (view.in_sandbox && view.attempt > status.attempt) continue;  // an earlier run of the same container
    bool told = view.id == status.id;                                // the API heard of this run before
    ContainerView before = view;
    if (!told && before.state == State::kExited) view.previous = end_of_run(before);
    view.id = status.id;
    view.attempt = status.attempt;
    view.in_sandbox = true;
    view.image = told ? before.image : container->image;
    take_runtime_status(view, status);
    if (view.state == State::kExited) {
      entry.unread_ends.insert(status.name);
      continue;
    }
    const core::ContainerStatus* api = nullptr;
    for (const auto* statuses : {&entry.pod->status.containerStatuses, &entry.pod->status.initContainerStatuses}) {
      for (const auto& s : *statuses) {
        if (s.name == status.name) api = &s;
      }
    }
    view.started = !container->startupProbe || (told && api && api->started.value_or(false));
    view.ready = !container->readinessProbe || (told && api && api->ready);
  }
}

void Pods::start_probes(const core::Pod& pod, const PodView& view) {
  for (const auto& [name, container] : view.containers) {
    const FoundContainer spec = find_container(pod.spec, name);
    if (!spec || container.state != State::kRunning) continue;
    std::string host = view.pod_ips.empty() ? services_.node_ip() : view.pod_ips.front();
    probes_.start({pod.metadata.uid, container.id, host}, *spec, container.started_at, services_.clock->wall(),
                  container.started);
  }
}

void Pods::on_pod_removed(const PodPtr& pod) {
  bool known = with_entry(pod->metadata.uid, [&](Entry& entry) {
    entry.in_api = false;
    entry.pod = pod;
    entry.view.terminating = true;
  });
  if (known) wake(pod->metadata.uid);
}

void Pods::on_container(const std::string& pod_id, const runtime::ContainerStatus& status) {
  std::vector<std::function<void(const std::string&)>> watchers;
  bool relevant = false;
  with_entry(pod_id, [&](Entry& entry) KNARR_REQUIRES(mutex_) {
    auto it = entry.view.containers.find(status.name);
    if (it == entry.view.containers.end() || it->second.id != status.id) return;
    bool was_exited = it->second.state == State::kExited;
    take_runtime_status(it->second, status);
    if (it->second.state != State::kExited || was_exited) return;
    relevant = true;
    entry.unread_ends.insert(status.name);
    if (auto stop = entry.stops.find(status.name); stop != entry.stops.end()) {
      entry.stops.erase(stop);  // its timer finds another state and does nothing
    }
    for (auto& [id, callback] : end_watchers_) watchers.push_back(callback);
  });
  for (auto& callback : watchers) callback(status.id);
  if (relevant) wake(pod_id);
}

void Pods::on_sandbox_lost(const std::string& pod_id) {
  WallTime now = services_.clock->wall();
  PodPtr pod;
  std::vector<std::string> lost;
  with_entry(pod_id, [&](Entry& entry) {
    if (!entry.view.has_sandbox) return;
    pod = entry.pod;
    entry.view.has_sandbox = false;
    for (auto& [name, container] : entry.view.containers) {
      container.in_sandbox = false;
      container.not_before = {};  // a start that failed because of this may be tried at once
      if (container.state != State::kRunning) continue;
      lost.push_back(container.id);
      container.state = State::kExited;
      container.exit_code = 137;
      container.reason = "ContainerStatusUnknown";
      container.message = "The container could not be located when the pod was terminated";
      container.finished_at = now;
      container.ready = container.hook_running = container.stopping = false;
    }
    entry.stops.clear();
  });
  if (!pod) return;
  event(*pod, "", client::kEventNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  for (const auto& id : lost) probes_.stop(id);
  wake(pod_id);
}

void Pods::on_probe(const Probes::Result& result) {
  PodPtr pod;
  bool changed = false;
  with_entry(result.pod_id, [&](Entry& entry) {
    auto it = entry.view.containers.find(result.container);
    if (it == entry.view.containers.end() || it->second.id != result.container_id ||
        it->second.state != State::kRunning)
      return;
    pod = entry.pod;
    ContainerView& container = it->second;
    if (!result.decided) return;
    switch (result.kind) {
      case ProbeKind::kReadiness:
        changed = container.ready != result.success;
        container.ready = result.success;
        break;
      case ProbeKind::kStartup:
        if (result.success) {
          changed = !container.started;
          container.started = true;
          break;
        }
        [[fallthrough]];
      case ProbeKind::kLiveness:
        if (result.success || !container.must_end.empty()) break;
        changed = true;
        container.must_end = fmt::format("Container {} failed {} probe, will be restarted", result.container,
                                         result.kind == ProbeKind::kStartup ? "startup" : "liveness");
        break;
    }
  });
  if (!pod) return;
  if (!result.success) {
    event(*pod, result.container, client::kEventWarning, "Unhealthy",
          fmt::format("{} probe failed: {}", to_string(result.kind), result.output));
  }
  if (changed) wake(result.pod_id);
}

// --- the work on one pod ---

Status Pods::sync(const std::string& uid) {
  for (int i = 0; i < kStepsAtOnce; ++i) {
    if (sync_once(uid) == Step::kDone) return {};
  }
  queue_.add(uid);
  return {};
}

Pods::Step Pods::sync_once(const std::string& uid) {
  PodPtr pod;
  PodView view;
  bool in_api = true, gone = false, ends = false;
  bool known = with_entry(uid, [&](Entry& entry) {
    if (entry.pod->metadata.deletionTimestamp) entry.view.terminating = true;
    pod = entry.pod;
    view = entry.view;
    in_api = entry.in_api;
    gone = entry.sandbox_gone;
    ends = !entry.unread_ends.empty();
  });
  if (!known) return Step::kDone;
  if (ends) {
    read_ends(uid, *pod);
    return Step::kAgain;
  }

  WallTime now = services_.clock->wall();
  Plan plan = make_plan(*pod, view, now);
  if (plan.past_deadline) {
    with_entry(uid, [&](Entry& entry) {
      entry.view.terminating = true;
      entry.view.end_reason = "DeadlineExceeded";
      entry.view.end_message = "Pod was active on the node longer than the specified deadline";
    });
    event(*pod, "", client::kEventNormal, "DeadlineExceeded",
          "Pod was active on the node longer than the specified deadline");
    return Step::kAgain;
  }
  if (plan.wake) queue_.add_after(uid, std::chrono::ceil<milliseconds>(*plan.wake - now));
  apply_waiting(pod, plan);
  for (const auto& stop : plan.stop) stop_container(pod, view, stop);

  bool again = false;
  if (plan.create_sandbox) again = make_sandbox(pod, view);
  for (const auto& name : plan.start) {
    if (start_container(pod, view, name)) again = true;
    bool hook = false;
    with_entry(uid, [&](Entry& entry) { hook = entry.view.container(name).hook_running; });
    if (hook) break;
  }
  if (plan.remove_sandbox) again = remove_sandbox(uid, *pod);
  if (again) return Step::kAgain;

  // Nothing runs and nothing will: what is left on the node goes before the API hears that it has ended.
  bool nothing = !view.has_sandbox && plan.stop.empty() && (view.terminating || has_ended(*pod));
  if (nothing && !gone && !remove_sandbox(uid, *pod)) return Step::kDone;
  if (nothing && !in_api) {
    forget(uid);
    return Step::kDone;
  }
  reports_.add(uid);
  return Step::kDone;
}

void Pods::apply_waiting(const PodPtr& pod, const Plan& plan) {
  for (const auto& waiting : plan.waiting) {
    bool fresh = false;
    with_entry(pod->metadata.uid, [&](Entry& entry) {
      auto it = entry.view.containers.find(waiting.container);
      if (it == entry.view.containers.end()) return;
      fresh = it->second.waiting_reason != waiting.reason || it->second.waiting_message != waiting.message;
      it->second.waiting_reason = waiting.reason;
      it->second.waiting_message = waiting.message;
    });
    if (fresh) {
      event(*pod, waiting.container, client::kEventWarning, "BackOff",
            fmt::format("Back-off restarting failed container {} in pod {}_{}({})", waiting.container,
                        pod->metadata.name, pod->metadata.namespace_, pod->metadata.uid));
    }
  }
}

void Pods::forget(const std::string& uid) {
  PodPtr pod;
  {
    Lock lock(mutex_);
    auto it = entries_.find(uid);
    if (it == entries_.end()) return;
    pod = it->second.pod;
    entries_.erase(it);
    changed_.notify_all();
  }
  puller_.forget(uid);
  if (auto status = linux::remove_tree(log_directory(*pod)); !status.ok()) {
    log::warn("agent", "a pod's logs stay behind", {{"pod", client::key_of(*pod)}, {"error", status}});
  }
  log::info("agent", "pod removed", {{"pod", client::key_of(*pod)}, {"uid", uid}});
}

void Pods::event(const core::Pod& pod, const std::string& container, std::string_view type, std::string_view reason,
                 std::string_view message) const {
  std::string path;
  if (!container.empty()) {
    auto named = [&](const auto& c) { return c.name == container; };
    const auto& init = pod.spec.initContainers;
    const auto& ephemeral = pod.spec.ephemeralContainers;
    path = fmt::format("spec.{}{{{}}}",
                       std::any_of(init.begin(), init.end(), named)             ? "initContainers"
                       : std::any_of(ephemeral.begin(), ephemeral.end(), named) ? "ephemeralContainers"
                                                                                : "containers",
                       container);
  }
  services_.events->event(client::event_ref(pod, std::move(path)), type, reason, message);
}

std::string Pods::log_directory(const core::Pod& pod) const {
  return fmt::format("{}/log/pods/{}_{}_{}", services_.data_dir, pod.metadata.namespace_, pod.metadata.name,
                     pod.metadata.uid);
}

std::string Pods::log_path(const core::Pod& pod, const std::string& container, int attempt) const {
  return fmt::format("{}/{}/{}.log", log_directory(pod), container, attempt);
}

std::string Pods::termination_path(const core::Pod& pod, const std::string& container, const std::string& id) const {
  return fmt::format("{}/containers/{}/{}", pod_directory(pod.metadata.uid), container, id);
}

}  // namespace knarr::agent
