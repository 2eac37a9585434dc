// All pods of the node together: what is left over, logs that grow, the end of all; and what others ask about pods.
#include <fmt/format.h>

#include <algorithm>

#include "agent/log_file.h"
#include "agent/pods.h"
#include "knarr/base/log.h"
#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

using State = ContainerView::State;

constexpr int64_t kLogLimit = 10 << 20;  // upstream's containerLogMaxSize and containerLogMaxFiles
constexpr size_t kLogsKept = 5;

}  // namespace

void Pods::remove_unknown() {
  std::map<std::string, runtime::PodSandboxStatus> unknown;
  std::vector<std::string> keep;
  {
    Lock lock(mutex_);
    unknown.swap(adopted_);
    for (auto& [uid, entry] : entries_) keep.push_back(uid);
  }
  for (auto& [uid, sandbox] : unknown) {
    log::info("agent", "removing a pod that the API does not know",
              {{"pod", sandbox.spec.namespace_ + "/" + sandbox.spec.name}, {"uid", uid}});
    auto status = services_.runtime->remove_sandbox(uid);
    if (!status.ok()) log::warn("agent", "cannot remove it", {{"uid", uid}, {"error", status}});
    if (network::PodNetwork* network = services_.network()) (void)network->detach(uid);
    (void)linux::remove_tree(sandbox.spec.log_directory);
  }
  if (network::PodNetwork* network = services_.network()) {
    if (auto status = network->keep_only(keep); !status.ok()) {
      log::warn("agent", "addresses of earlier pods stay behind", {{"error", status}});
    }
  }
  std::string logs = services_.data_dir + "/log/pods";
  for (const auto& name : linux::list_directory(logs).value_or({})) {  // <namespace>_<name>_<uid>
    std::string uid = name.substr(name.rfind('_') + 1);
    if (std::find(keep.begin(), keep.end(), uid) == keep.end()) (void)linux::remove_tree(logs + "/" + name);
  }
  auto directories = linux::list_directory(services_.data_dir + "/pods");
  if (!directories.ok()) return;
  for (const auto& uid : *directories) {
    if (std::find(keep.begin(), keep.end(), uid) != keep.end()) continue;
    if (auto status = volume::PodVolumes(pod_directory(uid)).remove_all(); !status.ok()) {
      log::warn("agent", "volumes of an earlier pod stay behind", {{"uid", uid}, {"error", status}});
      continue;
    }
    (void)linux::remove_tree(pod_directory(uid));
  }
}

void Pods::retry_all() {
  std::vector<std::string> uids;
  {
    Lock lock(mutex_);
    for (auto& [uid, entry] : entries_) {
      entry.retry_sandbox = {};
      uids.push_back(uid);
    }
  }
  for (const auto& uid : uids) wake(uid);
}

void Pods::node_moved() {
  const std::string address = services_.node_ip();
  std::vector<std::string> uids;
  {
    Lock lock(mutex_);
    for (auto& [uid, entry] : entries_) {
      entry.view.host_ip = address;
      if (entry.pod->spec.hostNetwork && !entry.view.pod_ips.empty()) entry.view.pod_ips = {address};
      uids.push_back(uid);
    }
  }
  for (const auto& uid : uids) wake(uid);
}

void Pods::drain(seconds limit) {
  informer_->stop();
  reporters_.stop();  // the API goes on thinking of them as it did: the next agent starts them again
  std::vector<std::string> uids;
  {
    Lock lock(mutex_);
    draining_ = true;
    drain_grace_ = limit;
    for (auto& [uid, entry] : entries_) {
      entry.view.terminating = true;
      uids.push_back(uid);
    }
  }
  for (const auto& uid : uids) wake(uid);
  Lock lock(mutex_);
  changed_.wait_for(lock, limit + seconds(5), [&]() KNARR_REQUIRES(mutex_) {
    return std::all_of(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second.sandbox_gone; });
  });
}

void Pods::rotate_logs() {
  struct Log {
    std::string pod_uid, container_id, path;
  };
  std::vector<Log> logs;
  {
    Lock lock(mutex_);
    for (auto& [uid, entry] : entries_) {
      for (auto& [name, container] : entry.view.containers) {
        if (container.state == State::kRunning)
          logs.push_back({uid, container.id, log_path(*entry.pod, name, container.attempt)});
      }
    }
  }
  for (const Log& log : logs) {
    auto rotated = rotate_log(log.path, kLogLimit, kLogsKept, services_.clock->wall());
    Status status = rotated.status();
    if (rotated.ok() && *rotated) status = services_.runtime->reopen_log(log.pod_uid, log.container_id);
    if (!status.ok() && !status.is(reason::kNotFound))
      log::warn("agent", "cannot rotate a log", {{"log", log.path}, {"error", status}});
  }
}

// --- questions ---

// The newest pod of that name: one that is made again while the old one still ends is another.
const Pods::Entry* Pods::find(std::string_view ns, std::string_view pod_name, std::string_view uid) const {
  const Entry* found = nullptr;
  for (const auto& [id, entry] : entries_) {
    const auto& meta = entry.pod->metadata;
    if (meta.namespace_ != ns || meta.name != pod_name || (!uid.empty() && id != uid)) continue;
    if (!found || found->pod->metadata.creationTimestamp < meta.creationTimestamp) found = &entry;
  }
  return found;
}

Result<std::string> Pods::locate_pod(std::string_view ns, std::string_view pod_name) {
  Lock lock(mutex_);
  const Entry* found = find(ns, pod_name, "");
  if (!found) return not_found(fmt::format("pod \"{}/{}\" not found", ns, pod_name));
  if (!found->view.has_sandbox) return bad_request(fmt::format("pod {} is not running", pod_name));
  return found->pod->metadata.uid;
}

Result<ContainerLocation> Pods::locate(std::string_view ns, std::string_view pod_name, std::string_view container_name,
                                       std::string_view uid) {
  Lock lock(mutex_);
  const Entry* found = find(ns, pod_name, uid);
  if (!found) return not_found(fmt::format("pod \"{}/{}\" not found", ns, pod_name));
  const core::Pod& pod = *found->pod;
  const FoundContainer spec = find_container(pod.spec, container_name);
  if (!spec) {
    return not_found(fmt::format("container {} not found in pod {}_{}", container_name, pod_name, ns));
  }
  const ContainerView& container = found->view.container(std::string(container_name));
  ContainerLocation location;
  location.pod_uid = pod.metadata.uid;
  location.container_id = container.id;
  location.attempt = container.attempt;
  location.running = container.state == State::kRunning;
  location.started_once = container.state != State::kNone;
  location.waiting_reason = !container.waiting_reason.empty() ? container.waiting_reason
                            : pod.spec.initContainers.empty() ? "ContainerCreating"
                                                              : "PodInitializing";
  location.tty = spec->tty;
  location.stdin_open = spec->stdin;
  location.log_path = log_path(pod, std::string(container_name), container.attempt);
  if (container.attempt > 0)
    location.previous_log_path = log_path(pod, std::string(container_name), container.attempt - 1);
  return location;
}

std::vector<Pods::PodPtr> Pods::list() {
  std::vector<PodPtr> pods;
  Lock lock(mutex_);
  for (auto& [uid, entry] : entries_) pods.push_back(entry.pod);
  return pods;
}

std::vector<std::string> Pods::images_in_use() {
  std::set<std::string> ids;
  Lock lock(mutex_);
  for (auto& [uid, entry] : entries_) {
    for (auto& [name, container] : entry.view.containers) {
      if (auto image = services_.images->find(container.image_id)) ids.insert(image->id);
    }
    for (const auto* containers : {&entry.pod->spec.containers, &entry.pod->spec.initContainers}) {
      for (const auto& container : *containers) {
        if (auto image = services_.images->find(container.image)) ids.insert(image->id);
      }
    }
  }
  return {ids.begin(), ids.end()};
}

uint64_t Pods::watch_ends(std::function<void(const std::string& container_id)> callback) {
  Lock lock(mutex_);
  end_watchers_.emplace(next_watcher_, std::move(callback));
  return next_watcher_++;
}

void Pods::unwatch_ends(uint64_t id) {
  Lock lock(mutex_);
  end_watchers_.erase(id);
}

std::optional<bool> Pods::is_running(const std::string& pod_uid, const std::string& container_id) {
  std::optional<bool> running;
  with_entry(pod_uid, [&](Entry& entry) {
    for (auto& [name, container] : entry.view.containers) {
      if (container.id == container_id) running = container.state == State::kRunning;
    }
  });
  return running;
}

}  // namespace knarr::agent
