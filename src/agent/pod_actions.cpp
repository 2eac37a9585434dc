// Carrying out a pod's plan: its sandbox, volumes and network, the start and the end of containers.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "agent/container_spec.h"
#include "agent/log_file.h"
#include "agent/pod_files.h"
#include "agent/pod_resources.h"
#include "agent/pods.h"
#include "knarr/base/log.h"
#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

using State = ContainerView::State;

constexpr milliseconds kFirstSandboxDelay{500}, kLongestSandboxDelay{60'000};
constexpr milliseconds kStartRetry{10'000};  // after an error before there was a process
constexpr seconds kLeastGrace{2};            // between the stop signal and SIGKILL
constexpr seconds kVolumeRefresh{60};
constexpr size_t kTerminationMessage = 4096, kTerminationLog = 2048;

std::string new_container_id() {
  static thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return fmt::format("{:016x}{:016x}", random(), random());
}

}  // namespace

// --- sandbox, network, volumes ---

PodFacts Pods::facts(const core::Pod& pod, const PodView& view) const {
  return {pod, view.host_ip, view.pod_ips, services_.node_allocatable(), services_.api_host, services_.api_port};
}

// True when the pod has its sandbox now.
bool Pods::make_sandbox(const PodPtr& pod, const PodView& view) {
  const std::string& uid = pod->metadata.uid;
  WallTime now = services_.clock->wall(), not_before{};
  bool has_volumes = false;
  VolumePaths volumes;
  with_entry(uid, [&](Entry& entry) {
    not_before = entry.retry_sandbox;
    has_volumes = entry.has_volumes;
    volumes = entry.volumes;
  });
  if (not_before > now) {
    queue_.add_after(uid, std::chrono::ceil<milliseconds>(not_before - now));
    return false;
  }
  // Pulls begin now and go on beside all that follows.
  for (const auto* containers : {&pod->spec.initContainers, &pod->spec.containers}) {
    for (const auto& container : *containers) puller_.ask(*pod, container);
  }

  std::string directory = pod_directory(uid);
  Status status = linux::make_directories(directory, 0750);
  if (status.ok()) status = linux::make_directories(log_directory(*pod), 0755);
  if (!status.ok()) {
    sandbox_failed(pod, "FailedCreatePodSandBox", status);
    return false;
  }
  if (!has_volumes) {
    volume::PodVolumes store(directory);
    auto made = make_volumes(facts(*pod, view), store, *services_.sources, seconds(0));
    if (!made.ok()) {
      sandbox_failed(pod, "FailedMount", made.status());
      return false;
    }
    volumes = std::move(*made);
    with_entry(uid, [&](Entry& entry) {
      entry.volumes = volumes;
      entry.has_volumes = true;
    });
    if (has_content_volumes(*pod)) refresh_volumes();
  }

  if (!view.containers.empty()) {  // what is left of an earlier sandbox
    if (auto cleared = services_.runtime->remove_sandbox(uid); !cleared.ok()) {
      sandbox_failed(pod, "FailedCreatePodSandBox", cleared);
      return false;
    }
  }
  MonoTime began = services_.clock->mono();
  auto sandbox = services_.runtime->run_sandbox(make_sandbox_spec(*pod, log_directory(*pod), services_.pod_max_pids));
  if (!sandbox.ok() && !sandbox.status().is(reason::kAlreadyExists)) {
    sandbox_failed(pod, "FailedCreatePodSandBox", sandbox.status().with_context("Failed to create pod sandbox"));
    return false;
  }
  MonoTime has_namespaces = services_.clock->mono();
  auto addresses = make_network(*pod);
  MonoTime has_network = services_.clock->mono();
  if (addresses.ok()) {
    std::string first = addresses->empty() ? "" : addresses->front();
    std::string host_hosts = pod->spec.hostNetwork ? linux::read_file("/etc/hosts", 1 << 20).value_or("") : "";
    status = linux::replace_file(directory + "/hosts", hosts_text(*pod, pod_hostname(*pod), first, host_hosts), 0644);
    if (status.ok())
      status = linux::replace_file(directory + "/resolv.conf", resolv_text(*pod, read_host_resolv()), 0644);
  } else {
    status = addresses.status().with_context("Failed to create pod sandbox: set up the pod's network");
  }
  if (!status.ok()) {
    (void)services_.runtime->remove_sandbox(uid);
    sandbox_failed(pod, "FailedCreatePodSandBox", status);
    return false;
  }
  auto ms = [](auto time) { return std::chrono::duration_cast<milliseconds>(time).count(); };
  log::debug("agent", "sandbox made",
             {{"pod", client::key_of(*pod)},
              {"namespaces_ms", ms(has_namespaces - began)},
              {"network_ms", ms(has_network - has_namespaces)}});
  with_entry(uid, [&](Entry& entry) {
    entry.view.has_sandbox = true;
    entry.view.pod_ips = std::move(*addresses);
    entry.retry_delay = milliseconds(0);
    for (auto& [name, container] : entry.view.containers) container.in_sandbox = false;
  });
  if (pod_group(*pod) == kBurstableGroup) weigh_burstable();
  return true;
}

Result<std::vector<std::string>> Pods::make_network(const core::Pod& pod) {
  if (pod.spec.hostNetwork) return std::vector<std::string>{services_.node_ip()};
  network::PodNetwork* network = services_.network();
  if (!network) return unavailable("the pod network is not ready: this node has no pod CIDR yet");
  KNARR_ASSIGN(std::string netns, services_.runtime->network_namespace(pod.metadata.uid));
  KNARR_ASSIGN(auto address, network->attach(pod.metadata.uid, netns));
  return std::vector<std::string>{address.address};
}

void Pods::sandbox_failed(const PodPtr& pod, std::string_view reason, const Status& status) {
  milliseconds delay{0};
  with_entry(pod->metadata.uid, [&](Entry& entry) {
    entry.retry_delay =
        entry.retry_delay.count() == 0 ? kFirstSandboxDelay : std::min(entry.retry_delay * 2, kLongestSandboxDelay);
    delay = entry.retry_delay;
    entry.retry_sandbox = services_.clock->wall() + delay;
  });
  log::warn("agent", "cannot prepare a pod", {{"pod", client::key_of(*pod)}, {"error", status}});
  event(*pod, "", client::kEventWarning, reason, status.message());
  queue_.add_after(pod->metadata.uid, delay);
}

// Everything of the pod but its logs. True when it is gone.
bool Pods::remove_sandbox(const std::string& uid, const core::Pod& pod) {
  Status status = services_.runtime->remove_sandbox(uid);
  if (network::PodNetwork* network = services_.network(); status.ok() && network && !pod.spec.hostNetwork)
    status = network->detach(uid);
  if (status.ok()) status = volume::PodVolumes(pod_directory(uid)).remove_all();
  if (status.ok()) status = linux::remove_tree(pod_directory(uid));
  if (!status.ok()) {
    log::warn("agent", "cannot take a pod down, trying again", {{"pod", client::key_of(pod)}, {"error", status}});
    queue_.add_rate_limited(uid);
    return false;
  }
  {
    Lock lock(mutex_);
    if (auto it = entries_.find(uid); it != entries_.end()) {
      Entry& entry = it->second;
      entry.view.has_sandbox = false;
      entry.sandbox_gone = true;
      entry.has_volumes = false;
      for (auto& [name, container] : entry.view.containers) container.in_sandbox = false;
      changed_.notify_all();
    }
  }
  if (pod_group(pod) == kBurstableGroup) weigh_burstable();
  return true;
}

// The group of burstable pods weighs as much as they asked for together. The call stays under the lock: of two at once the
// later figure must be the one that stays.
void Pods::weigh_burstable() {
  Lock lock(mutex_);
  int64_t milli = 0;
  for (const auto& [uid, entry] : entries_) {
    if (entry.view.has_sandbox && entry.pod && pod_group(*entry.pod) == kBurstableGroup) milli += cpu_request_milli(*entry.pod);
  }
  if (milli == burstable_milli_) return;
  burstable_milli_ = milli;
  runtime::Resources resources;
  resources.cpu_shares = cpu_shares_of_milli(milli);
  Status status = services_.runtime->limit_group(kBurstableGroup, resources);
  if (!status.ok() && !status.is(reason::kNotFound)) log::warn("agent", "cannot weigh the burstable pods", {{"error", status}});
}

void Pods::refresh_volumes_of(const core::Pod& pod, const PodView& view) {
  Lock lock(refresh_mutex_);
  volume::PodVolumes store(pod_directory(pod.metadata.uid));
  auto made = make_volumes(facts(pod, view), store, *services_.sources, kVolumeRefresh / 2);
  if (!made.ok()) log::debug("agent", "a volume was not updated", {{"pod", client::key_of(pod)}, {"error", made.status()}});
}

// Once a minute while there is a pod that shows objects of the API as files.
void Pods::refresh_volumes() {
  Lock lock(mutex_);
  if (refresh_timer_ != 0) return;
  refresh_timer_ = services_.timers->run_after(kVolumeRefresh, [this] {
    tasks_.submit([this] {
      std::vector<std::pair<PodPtr, PodView>> pods;
      {
        Lock lock(mutex_);
        refresh_timer_ = 0;
        for (auto& [uid, entry] : entries_) {
          if (entry.view.has_sandbox && !entry.view.terminating && has_content_volumes(*entry.pod)) {
            pods.emplace_back(entry.pod, entry.view);
          }
        }
      }
      for (auto& [pod, view] : pods) refresh_volumes_of(*pod, view);
      if (!pods.empty()) refresh_volumes();
    });
  });
}

// --- the start of a container ---

// True when something changed: it runs, or ended at once.
bool Pods::start_container(const PodPtr& pod, const PodView& view, const std::string& name) {
  const std::string& uid = pod->metadata.uid;
  const FoundContainer container = find_container(pod->spec, name);
  if (!container) return false;
  auto image = puller_.ask(*pod, *container);
  if (!image.image) {
    if (!image.reason.empty() || image.retry) {
      WallTime now = services_.clock->wall();
      with_entry(uid, [&](Entry& entry) {
        ContainerView& c = entry.view.containers[name];
        c.waiting_reason = image.reason;
        c.waiting_message = image.message;
      });
      if (image.retry) queue_.add_after(uid, std::chrono::ceil<milliseconds>(*image.retry - now));
    }
    return false;
  }

  const ContainerView& before = view.container(name);
  int attempt = before.state == State::kNone ? 0 : before.attempt + 1;
  std::string id = new_container_id();
  auto spec = container_spec(*pod, view, *container, *image.image, id, attempt);
  if (!spec.ok()) {
    start_failed(pod, name, "CreateContainerConfigError", spec.status().message(), kStartRetry, "Failed");
    return false;
  }
  // What the runtime tells of this run may come before start_container answers: the view knows its id from here on.
  bool go = with_entry(uid, [&](Entry& entry) {
    ContainerView& c = entry.view.containers[name];
    std::optional<core::ContainerStateTerminated> previous;
    if (c.state == State::kExited) previous = end_of_run(c);
    WallTime now = services_.clock->wall();
    ContainerView fresh;
    if (previous) {
      fresh.restart_delay = next_restart_delay(c.restart_delay, c.restart_counted, now);
      fresh.restart_counted = now;
    }
    fresh.previous = std::move(previous);
    fresh.id = id;
    fresh.attempt = attempt;
    fresh.in_sandbox = true;
    fresh.image = container->image;
    fresh.image_id = image.image->repo_digests.empty() ? image.image->id : image.image->repo_digests.front();
    fresh.hook_running = container->lifecycle && container->lifecycle->postStart;
    c = std::move(fresh);
  });
  if (!go) return false;

  auto status = services_.runtime->start_container(uid, *spec);
  puller_.used(uid, name);
  if (!status.ok()) {
    with_entry(uid, [&](Entry& entry) {  // as if it had not been tried, but for the time of the next try
      ContainerView& c = entry.view.containers[name];
      if (c.id != id) return;
      c = before;
      c.in_sandbox = c.in_sandbox && entry.view.has_sandbox;
    });
    start_failed(pod, name, "CreateContainerError", status.status().message(), kStartRetry, "Failed");
    return false;
  }
  event(*pod, name, client::kEventNormal, "Created", "Container created");
  container_started(pod, *container, *image.image, *status);
  if (!before.id.empty() && before.in_sandbox) {
    (void)services_.runtime->remove_container(uid, before.id);
    if (attempt >= 2) remove_log(log_path(*pod, name, attempt - 2));
  }
  return true;
}

Result<runtime::ContainerSpec> Pods::container_spec(const core::Pod& pod, const PodView& view,
                                                    const core::Container& container, const image::Image& image,
                                                    const std::string& id, int attempt) {
  PodFacts known = facts(pod, view);
  KNARR_ASSIGN(Variables environment, make_environment(known, container, *services_.sources));
  VolumePaths volumes;
  bool has_volumes = false;
  with_entry(pod.metadata.uid, [&](Entry& entry) {
    volumes = entry.volumes;
    has_volumes = entry.has_volumes;
  });
  std::string directory = pod_directory(pod.metadata.uid);
  if (!has_volumes) {  // an adopted pod: they are there, this answers where
    volume::PodVolumes store(directory);
    KNARR_ASSIGN(volumes, make_volumes(known, store, *services_.sources, seconds(0)));
    with_entry(pod.metadata.uid, [&](Entry& entry) {
      entry.volumes = volumes;
      entry.has_volumes = true;
    });
    if (has_content_volumes(pod)) refresh_volumes();
  }
  KNARR_ASSIGN(auto mounts, make_mounts(container, volumes, environment));
  auto add_file = [&](std::string source, std::string destination) {
    bool taken = std::any_of(mounts.begin(), mounts.end(),
                             [&](const runtime::Mount& m) { return m.destination == destination; });
    if (!taken)
      mounts.push_back({.source = std::move(source), .destination = std::move(destination), .recursive = false});
  };
  add_file(directory + "/hosts", "/etc/hosts");
  add_file(directory + "/resolv.conf", "/etc/resolv.conf");
  std::string termination = termination_path(pod, container.name, id);
  if (!container.terminationMessagePath.empty()) {
    KNARR_RETURN_IF_ERROR(linux::make_directories(termination.substr(0, termination.rfind('/')), 0755));
    linux::UniqueFd file(open(termination.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    if (!file) return errno_status(errno, "create the termination message file " + termination);
    fchmod(file.get(), 0666);  // whatever the umask is: the container's user writes it
    add_file(termination, container.terminationMessagePath);
  }
  std::string sees;
  for (const auto& ephemeral : pod.spec.ephemeralContainers) {
    if (ephemeral.name != container.name || ephemeral.targetContainerName.empty()) continue;
    const ContainerView& target = view.container(ephemeral.targetContainerName);
    if (target.state != State::kRunning)
      return unavailable(fmt::format("unable to find target container {}", ephemeral.targetContainerName));
    sees = target.id;
  }
  auto spec = make_container_spec({.pod = pod,
                              .container = container,
                              .image = image,
                              .environment = environment,
                              .mounts = std::move(mounts),
                              .termination_log = termination,
                              .id = id,
                              .attempt = attempt,
                              .seccomp_directory = services_.data_dir + "/seccomp",
                              .node_memory_bytes = services_.node_memory_bytes});
  if (spec.ok()) spec->process_namespace_of = std::move(sees);
  return spec;
}

void Pods::start_failed(const PodPtr& pod, const std::string& container, std::string reason, std::string message,
                        milliseconds retry, std::string_view event_reason) {
  event(*pod, container, client::kEventWarning, event_reason, "Error: " + message);
  log::warn("agent", "cannot start a container",
            {{"pod", client::key_of(*pod)}, {"container", container}, {"error", message}});
  with_entry(pod->metadata.uid, [&](Entry& entry) {
    ContainerView& c = entry.view.containers[container];
    c.waiting_reason = std::move(reason);
    c.waiting_message = std::move(message);
    // When the sandbox was lost meanwhile, that was why: the next one may try at once.
    if (entry.view.has_sandbox) c.not_before = services_.clock->wall() + retry;
  });
  queue_.add_after(pod->metadata.uid, retry);
}

void Pods::container_started(const PodPtr& pod, const core::Container& container, const image::Image& image,
                             const runtime::ContainerStatus& status) {
  const std::string& uid = pod->metadata.uid;
  bool running = false, hook = container.lifecycle && container.lifecycle->postStart;
  HandlerTarget target{uid, status.id, ""};
  WallTime began{};
  with_entry(uid, [&](Entry& entry) {
    ContainerView& c = entry.view.containers[container.name];
    if (c.id != status.id) return;
    if (c.state != State::kExited) take_runtime_status(c, status);  // its end may have been told already
    if (c.state == State::kExited) {
      entry.unread_ends.insert(container.name);
      c.hook_running = false;
      return;
    }
    running = true;
    began = c.started_at;
    c.started = !hook && !container.startupProbe;
    c.ready = !container.readinessProbe;
    target.host = entry.view.pod_ips.empty() ? services_.node_ip() : entry.view.pod_ips.front();
  });
  if (status.state == runtime::ContainerState::kExited && status.pid == 0 && !status.message.empty()) {
    event(*pod, container.name, client::kEventWarning, "Failed", "Error: " + status.message);
    return;
  }
  event(*pod, container.name, client::kEventNormal, "Started", "Container started");
  log::debug("agent", "container started",
             {{"pod", client::key_of(*pod)}, {"container", container.name}, {"image", image.id}});
  if (!running) return;
  if (hook) {
    tasks_.submit([this, pod, container, target] { run_post_start(pod, container, target); });
  }
  probes_.start(target, container, began, services_.clock->wall(), false);
}

void Pods::run_post_start(const PodPtr& pod, const core::Container& container, const HandlerTarget& target) {
  HandlerResult result =
      services_.handlers->run(target, *container.lifecycle->postStart, container, std::chrono::hours(1));
  if (!result.success) {
    event(*pod, container.name, client::kEventWarning, "FailedPostStartHook", "PostStartHook failed: " + result.output);
  }
  with_entry(pod->metadata.uid, [&](Entry& entry) {
    ContainerView& c = entry.view.containers[container.name];
    if (c.id != target.container_id) return;
    c.hook_running = false;
    if (c.state != State::kRunning) return;
    if (!result.success) c.must_end = "FailedPostStartHook";
    if (!container.startupProbe) c.started = true;
  });
  wake(pod->metadata.uid);
}

// --- the end of a container ---

seconds Pods::grace_of(const core::Pod& pod, const PodView& view, const core::Container& container) const {
  if (pod.metadata.deletionGracePeriodSeconds) return seconds(*pod.metadata.deletionGracePeriodSeconds);
  seconds grace(pod.spec.terminationGracePeriodSeconds.value_or(30));
  if (view.container(container.name).must_end.empty()) return grace;
  for (const auto* probe : {&container.startupProbe, &container.livenessProbe}) {
    if (*probe && (*probe)->terminationGracePeriodSeconds) return seconds(*(*probe)->terminationGracePeriodSeconds);
  }
  return grace;
}

void Pods::stop_container(const PodPtr& pod, const PodView& view, const Plan::Stop& stop) {
  const FoundContainer container = find_container(pod->spec, stop.container);
  if (!container) return;
  seconds grace = grace_of(*pod, view, *container);
  HandlerTarget target{pod->metadata.uid, view.container(stop.container).id,
                       view.pod_ips.empty() ? services_.node_ip() : view.pod_ips.front()};
  bool fresh = false;
  client::Timers::Id replaced = 0;
  auto kill = [this, target] {
    (void)services_.runtime->signal_container(target.pod_id, target.container_id, SIGKILL);
  };
  with_entry(pod->metadata.uid, [&](Entry& entry) KNARR_REQUIRES(mutex_) {
    if (draining_) grace = std::min(grace, drain_grace_);
    ContainerView& c = entry.view.containers[stop.container];
    if (c.state != State::kRunning || c.id != target.container_id) return;
    MonoTime deadline = services_.clock->mono() + std::max(grace, kLeastGrace);
    if (!c.stopping) {
      fresh = c.stopping = true;
      entry.stops[stop.container] = {deadline, grace, 0};
      return;
    }
    StopState& known = entry.stops[stop.container];
    if (grace >= known.grace || deadline >= known.deadline) return;  // the same again; else: less grace than before
    known.grace = grace;
    known.deadline = deadline;
    replaced = known.timer;
    known.timer = services_.timers->run_after(std::max(grace, kLeastGrace), kill);
  });
  services_.timers->cancel(replaced);
  if (!fresh) return;
  probes_.ending(target.container_id);
  event(*pod, stop.container, client::kEventNormal, "Killing", stop.why);
  if (container->lifecycle && container->lifecycle->preStop && grace.count() > 0) {
    tasks_.submit([this, pod, container = *container, target, grace] { end_container(pod, container, target, grace); });
  } else {
    end_container(pod, *container, target, grace);
  }
}

// The preStop hook, the stop signal, and a timer for SIGKILL. Blocks as long as the hook takes.
void Pods::end_container(const PodPtr& pod, const core::Container& container, const HandlerTarget& target,
                         seconds grace) {
  MonoTime began = services_.clock->mono();
  if (container.lifecycle && container.lifecycle->preStop && grace.count() > 0) {
    HandlerResult result = services_.handlers->run(target, *container.lifecycle->preStop, container, grace);
    if (!result.success) {
      event(*pod, container.name, client::kEventWarning, "FailedPreStopHook", "PreStopHook failed: " + result.output);
    }
  }
  int signal = SIGTERM;
  if (auto image = services_.images->find(container.image)) signal = stop_signal(container, image->config.stop_signal);
  auto left = std::chrono::duration_cast<milliseconds>(began + grace - services_.clock->mono());
  left = std::max<milliseconds>(left, kLeastGrace);
  Status status = services_.runtime->signal_container(target.pod_id, target.container_id, signal);
  if (!status.ok()) {
    log::warn("agent", "cannot signal a container",
              {{"pod", client::key_of(*pod)}, {"container", container.name}, {"error", status}});
  }
  with_entry(target.pod_id, [&](Entry& entry) {
    auto it = entry.stops.find(container.name);
    const ContainerView& c = entry.view.container(container.name);
    if (it == entry.stops.end() || it->second.timer != 0 || c.state != State::kRunning || c.id != target.container_id)
      return;
    it->second.deadline = services_.clock->mono() + left;
    it->second.timer = services_.timers->run_after(left, [this, target] {
      (void)services_.runtime->signal_container(target.pod_id, target.container_id, SIGKILL);
    });
  });
}

// The termination messages of containers that ended since the last look.
void Pods::read_ends(const std::string& uid, const core::Pod& pod) {
  std::map<std::string, ContainerView> ended;
  with_entry(uid, [&](Entry& entry) {
    for (const auto& name : entry.unread_ends) ended.emplace(name, entry.view.container(name));
    entry.unread_ends.clear();
  });
  for (auto& [name, view] : ended) {
    probes_.stop(view.id);
    const FoundContainer container = find_container(pod.spec, name);
    if (!container) continue;
    std::string message = termination_message(pod, *container, view);
    if (message.empty()) continue;
    with_entry(uid, [&, id = view.id, &name = name](Entry& entry) {
      ContainerView& c = entry.view.containers[name];
      if (c.id == id) c.message = std::move(message);
    });
  }
}

std::string Pods::termination_message(const core::Pod& pod, const core::Container& container,
                                      const ContainerView& view) const {
  auto text = linux::read_file(termination_path(pod, container.name, view.id), 1 << 20);
  std::string message = text.value_or("");
  if (message.size() > kTerminationMessage) message.erase(0, message.size() - kTerminationMessage);
  if (message.empty() && view.exit_code != 0 && container.terminationMessagePolicy == "FallbackToLogsOnError") {
    message = tail_of_log(log_path(pod, container.name, view.attempt), 80, kTerminationLog);
  }
  return message;
}

}  // namespace knarr::agent
