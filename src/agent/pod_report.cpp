// Telling the API how a pod is, and that nothing is left of it.
#include "agent/pod_status.h"
#include "agent/pods.h"
#include "knarr/base/log.h"

namespace knarr::agent {

Status Pods::report(const std::string& uid) {
  PodPtr pod;
  PodView view;
  bool in_api = false, gone = false, deleted = false;
  {
    Lock lock(mutex_);
    auto it = entries_.find(uid);
    if (it == entries_.end()) return {};
    pod = it->second.pod;
    view = it->second.view;
    in_api = it->second.in_api;
    gone = it->second.sandbox_gone;
    deleted = it->second.deleted;
  }
  if (!in_api || deleted) return {};
  bool final = view.terminating && !view.has_sandbox && gone;
  core::PodStatus status = make_status(*pod, view, services_.clock->wall(), final);
  std::string patch = status_patch(uid, pod->status, status);
  if (!patch.empty()) {
    auto answer =
        api_.patch(pod->metadata.namespace_, pod->metadata.name, client::kStrategicMergePatch, patch, "status");
    if (answer.status().is(reason::kNotFound) || answer.status().is(reason::kConflict))
      return {};  // another pod by now, or none
    if (!answer.ok()) return std::move(answer).status().with_context("tell the status of pod " + client::key_of(*pod));
    if (answer->metadata.uid != uid) return {};
    auto updated = std::make_shared<const core::Pod>(std::move(*answer));
    bool ended = has_ended(*updated) && !gone;
    {
      Lock lock(mutex_);
      auto it = entries_.find(uid);
      if (it == entries_.end()) return {};
      // The newer of this answer and what the watch brought meanwhile.
      auto version = [](const core::Pod& p) { return std::strtoull(p.metadata.resourceVersion.c_str(), nullptr, 10); };
      if (it->second.in_api && version(*updated) >= version(*it->second.pod)) it->second.pod = updated;
    }
    pod = updated;
    if (ended) wake(uid);
  }
  if (final && pod->metadata.deletionTimestamp) return finish_deletion(uid, *pod);
  return {};
}

Status Pods::finish_deletion(const std::string& uid, const core::Pod& pod) {
  client::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.uid = uid;
  Status status = api_.remove(pod.metadata.namespace_, pod.metadata.name, options);
  if (!status.ok() && !status.is(reason::kNotFound) && !status.is(reason::kConflict)) {
    return status.with_context("delete pod " + client::key_of(pod) + ", of which nothing is left");
  }
  Lock lock(mutex_);
  if (auto it = entries_.find(uid); it != entries_.end()) it->second.deleted = true;
  return {};
}

}  // namespace knarr::agent
