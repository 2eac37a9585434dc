// Workloads: Deployments, ReplicaSets, StatefulSets, DaemonSets, their revisions, ReplicationControllers and PodTemplates
// (upstream: pkg/apis/apps/validation, pkg/apis/core/validation).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "knarr/schema/api/apps_v1.h"
#include "schema/go_json.h"
#include "schema/validate.h"

namespace knarr::schema::validation {

namespace apps = api::apps::v1;

namespace {

constexpr std::string_view kNoMatch = "`selector` does not match template `labels`";
constexpr std::string_view kAboveReplicas = "cannot be greater than status.replicas";

std::string json_of(const IntOrString& value) {
  json::Document document;
  return json::dump(value.to_json(document.GetAllocator()));
}

// The value of a percentage that is well formed.
std::optional<int> percentage(const IntOrString& value) {
  if (value.is_int || !names::percent(value.text).empty()) return {};
  return std::atoi(value.text.c_str());
}

int number_or_percentage(const IntOrString& value) {
  if (auto share = percentage(value)) return *share;
  if (value.is_int) return value.number;
  // A text counts when all of it is a number.
  int number = 0;
  const char *begin = value.text.data(), *end = begin + value.text.size();
  const auto [stop, error] = std::from_chars(begin + (value.text.starts_with('+') ? 1 : 0), end, number);
  return error == std::errc() && stop == end ? number : 0;
}

// Answers whether the selector can be used. `bad` is upstream's word for one that cannot.
bool workload_selector(const api::Box<meta::LabelSelector>& selector, std::string_view kind, std::string_view bad, const Path& path,
                       FieldErrors& errors) {
  if (!selector) {
    errors.required(path);
    return true;
  }
  const size_t before = errors.count();
  label_selector(*selector, path, errors);
  const bool good = errors.count() == before;
  if (selector->matchLabels.empty() && selector->matchExpressions.empty())
    errors.invalid_json(path, api::encode(*selector), fmt::format("empty selector is invalid for {}", kind));
  if (!good && !bad.empty()) errors.invalid_json(path, api::encode(*selector), bad);
  return good;
}

// A template whose pods run until they are deleted.
void lasting_pods(const core::PodTemplateSpec& t, std::string_view kind, const Path& path, FieldErrors& errors) {
  if (t.spec.restartPolicy != "Always") errors.unsupported(path.child("spec", "restartPolicy"), t.spec.restartPolicy, {"Always"});
  if (t.spec.activeDeadlineSeconds)
    errors.forbidden(path.child("spec", "activeDeadlineSeconds"), fmt::format("activeDeadlineSeconds in {} is not Supported", kind));
}

void template_matches(const core::PodTemplateSpec& t, const api::Box<meta::LabelSelector>& selector, const Path& path, FieldErrors& errors) {
  const bool empty = selector && selector->matchLabels.empty() && selector->matchExpressions.empty();
  if (!empty && !(selector && selects(*selector, t.metadata.labels)))
    errors.invalid_json(path.child("metadata", "labels"), labels_json(t.metadata.labels), kNoMatch);
}

void replica_template(const core::PodTemplateSpec& t, const api::Box<meta::LabelSelector>& selector, const Path& path, FieldErrors& errors) {
  template_matches(t, selector, path, errors);
  pod_template(t, path, errors);
  lasting_pods(t, "ReplicaSet", path, errors);
}

void immutable_selector(const api::Box<meta::LabelSelector>& now, const api::Box<meta::LabelSelector>& old, FieldErrors& errors) {
  if (now == old) return;
  errors.invalid_json(Path("spec.selector"), now ? api::encode(*now) : "null", kImmutable);
}

void rolling_deployment(const apps::RollingUpdateDeployment& r, const Path& path, FieldErrors& errors) {
  const IntOrString unavailable = r.maxUnavailable.value_or(0), surge = r.maxSurge.value_or(0);
  int_or_percent(unavailable, path.child("maxUnavailable"), errors);
  int_or_percent(surge, path.child("maxSurge"), errors);
  if (number_or_percentage(unavailable) == 0 && number_or_percentage(surge) == 0)
    errors.invalid_json(path.child("maxUnavailable"), json_of(unavailable), "may not be 0 when `maxSurge` is 0");
  at_most_all(unavailable, path.child("maxUnavailable"), errors);
}

void deployment_strategy(const apps::DeploymentStrategy& s, const Path& path, FieldErrors& errors) {
  if (s.type == "Recreate") {
    if (s.rollingUpdate) errors.forbidden(path.child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'");
  } else if (s.type == "RollingUpdate") {
    if (s.rollingUpdate) {
      rolling_deployment(*s.rollingUpdate, path.child("rollingUpdate"), errors);
    } else {
      errors.required(path.child("rollingUpdate"), "this should be defaulted and never be nil");
    }
  } else {
    errors.unsupported_json(path, go_json(s), {"Recreate", "RollingUpdate"});
  }
}

void deployment_spec(const apps::DeploymentSpec& spec, const Path& path, FieldErrors& errors) {
  errors.non_negative(path.child("replicas"), spec.replicas.value_or(0));
  if (workload_selector(spec.selector, "deployment", "invalid label selector", path.child("selector"), errors))
    replica_template(spec.template_, spec.selector, path.child("template"), errors);
  deployment_strategy(spec.strategy, path.child("strategy"), errors);
  errors.non_negative(path.child("minReadySeconds"), spec.minReadySeconds);
  if (spec.revisionHistoryLimit) errors.non_negative(path.child("revisionHistoryLimit"), *spec.revisionHistoryLimit);
  if (spec.progressDeadlineSeconds) {
    errors.non_negative(path.child("progressDeadlineSeconds"), *spec.progressDeadlineSeconds);
    if (*spec.progressDeadlineSeconds <= spec.minReadySeconds)
      errors.invalid(path.child("progressDeadlineSeconds"), *spec.progressDeadlineSeconds, "must be greater than minReadySeconds");
  }
}

// Counters of a status, none of which may be below zero.
void counters(std::initializer_list<std::pair<std::string_view, std::optional<int64_t>>> list, const Path& path, FieldErrors& errors) {
  for (const auto& [name, value] : list) {
    if (value) errors.non_negative(path.child(name), *value);
  }
}

void at_most(std::string_view name, int32_t value, int32_t limit, std::string_view message, const Path& path, FieldErrors& errors) {
  if (value > limit) errors.invalid(path.child(name), value, message);
}

void collisions(std::optional<int32_t> now, std::optional<int32_t> old, FieldErrors& errors) {
  if (old && (!now || *now < *old)) errors.invalid(Path("status.collisionCount"), now.value_or(0), "cannot be decremented");
}

void deployment_status(const apps::DeploymentStatus& s, const apps::DeploymentStatus& old, FieldErrors& errors) {
  const Path path("status");
  counters({{"observedGeneration", s.observedGeneration},
            {"replicas", s.replicas},
            {"updatedReplicas", s.updatedReplicas},
            {"readyReplicas", s.readyReplicas},
            {"availableReplicas", s.availableReplicas},
            {"unavailableReplicas", s.unavailableReplicas},
            {"terminatingReplicas", s.terminatingReplicas},
            {"collisionCount", s.collisionCount}},
           path, errors);
  at_most("updatedReplicas", s.updatedReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("readyReplicas", s.readyReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("availableReplicas", s.availableReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("availableReplicas", s.availableReplicas, s.readyReplicas, "cannot be greater than readyReplicas", path, errors);
  collisions(s.collisionCount, old.collisionCount, errors);
}

// Of a ReplicaSet or ReplicationController, which have the same fields.
template <typename T>
void replica_status(const T& s, std::optional<int32_t> terminating, FieldErrors& errors) {
  const Path path("status");
  counters({{"replicas", s.replicas},
            {"fullyLabeledReplicas", s.fullyLabeledReplicas},
            {"readyReplicas", s.readyReplicas},
            {"availableReplicas", s.availableReplicas},
            {"observedGeneration", s.observedGeneration},
            {"terminatingReplicas", terminating}},
           path, errors);
  at_most("fullyLabeledReplicas", s.fullyLabeledReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("readyReplicas", s.readyReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("availableReplicas", s.availableReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("availableReplicas", s.availableReplicas, s.readyReplicas, "cannot be greater than readyReplicas", path, errors);
}

void rolling_stateful_set(const apps::RollingUpdateStatefulSetStrategy& r, const Path& path, FieldErrors& errors) {
  errors.non_negative(path.child("partition"), r.partition.value_or(0));
  if (!r.maxUnavailable) return;
  const Path at = path.child("maxUnavailable");
  int_or_percent(*r.maxUnavailable, at, errors);
  if (number_or_percentage(*r.maxUnavailable) == 0) errors.invalid_json(at, json_of(*r.maxUnavailable), "cannot be 0");
  at_most_all(*r.maxUnavailable, at, errors);
}

void stateful_set_strategy(const apps::StatefulSetUpdateStrategy& s, const Path& path, FieldErrors& errors) {
  if (s.type.empty()) {
    errors.required(path);
  } else if (s.type == "OnDelete") {
    if (!s.rollingUpdate) return;
    errors.invalid_json(path.child("rollingUpdate"), go_json(*s.rollingUpdate), "only allowed for updateStrategy 'RollingUpdate'");
  } else if (s.type == "RollingUpdate") {
    if (s.rollingUpdate) rolling_stateful_set(*s.rollingUpdate, path.child("rollingUpdate"), errors);
  } else {
    errors.invalid_json(path, go_json(s), "must be 'RollingUpdate' or 'OnDelete'");
  }
}

// What the controller will make of the template: it names the pods, and adds a volume for each claim.
core::PodTemplateSpec as_made(const apps::StatefulSetSpec& spec) {
  core::PodTemplateSpec t = spec.template_;
  t.spec.subdomain.clear();
  t.spec.hostname.clear();
  if (spec.volumeClaimTemplates.empty()) return t;
  std::vector<core::Volume> volumes;
  std::set<std::string> claimed;
  for (const auto& claim : spec.volumeClaimTemplates) {
    if (!claimed.insert(claim.metadata.name).second) continue;
    core::Volume volume;
    volume.name = claim.metadata.name;
    volume.persistentVolumeClaim.emplace();
    volume.persistentVolumeClaim->claimName = claim.metadata.name;
    volumes.push_back(std::move(volume));
  }
  for (auto& volume : t.spec.volumes) {
    if (!claimed.count(volume.name)) volumes.push_back(std::move(volume));
  }
  t.spec.volumes = std::move(volumes);
  return t;
}

void stateful_set_spec(const apps::StatefulSetSpec& spec, bool update, const Path& path, FieldErrors& errors) {
  if (spec.podManagementPolicy.empty()) {
    errors.required(path.child("podManagementPolicy"));
  } else if (spec.podManagementPolicy != "OrderedReady" && spec.podManagementPolicy != "Parallel") {
    errors.invalid(path.child("podManagementPolicy"), spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'");
  }
  stateful_set_strategy(spec.updateStrategy, path.child("updateStrategy"), errors);
  if (const auto& retention = spec.persistentVolumeClaimRetentionPolicy) {
    const Path at = path.child("persistentVolumeClaimRetentionPolicy");
    errors.one_of(at.child("whenDeleted"), retention->whenDeleted, {"Retain", "Delete"});
    errors.one_of(at.child("whenScaled"), retention->whenScaled, {"Retain", "Delete"});
  }
  for (size_t i = 0; !update && i < spec.volumeClaimTemplates.size(); ++i)
    claim_spec(spec.volumeClaimTemplates[i].spec, nullptr, path.child("volumeClaimTemplates").index(i).child("spec"), errors);
  errors.non_negative(path.child("replicas"), spec.replicas.value_or(0));
  errors.non_negative(path.child("minReadySeconds"), spec.minReadySeconds);
  if (spec.ordinals) errors.non_negative(path.child("ordinals.start"), spec.ordinals->start);
  if (!update && !spec.serviceName.empty())
    errors.invalid(path.child("serviceName"), spec.serviceName, names::dns1123_label(spec.serviceName));
  if (workload_selector(spec.selector, "statefulset", "", path.child("selector"), errors)) {
    const auto t = as_made(spec);
    template_matches(t, spec.selector, path.child("template"), errors);
    pod_template(t, path.child("template"), errors);
    labels(t.metadata.labels, path.child("template", "labels"), errors);
    annotations(t.metadata.annotations, path.child("template", "annotations"), errors);
  } else {
    errors.invalid_json(path.child("selector"), api::encode(*spec.selector), "");
  }
  lasting_pods(spec.template_, "StatefulSet", path.child("template"), errors);
}

void frozen_stateful_set(const apps::StatefulSetSpec& now, const apps::StatefulSetSpec& old, FieldErrors& errors) {
  apps::StatefulSetSpec same = now;
  same.replicas = old.replicas;
  same.template_ = old.template_;
  same.updateStrategy = old.updateStrategy;
  same.minReadySeconds = old.minReadySeconds;
  same.ordinals = old.ordinals;
  same.revisionHistoryLimit = old.revisionHistoryLimit;
  same.persistentVolumeClaimRetentionPolicy = old.persistentVolumeClaimRetentionPolicy;
  if (!(same == old)) {
    errors.forbidden(Path("spec"),
                     "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
                     "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
  }
}

void stateful_set_status(const apps::StatefulSetStatus& s, const apps::StatefulSetStatus& old, FieldErrors& errors) {
  const Path path("status");
  counters({{"replicas", s.replicas},
            {"readyReplicas", s.readyReplicas},
            {"currentReplicas", s.currentReplicas},
            {"updatedReplicas", s.updatedReplicas},
            {"availableReplicas", s.availableReplicas},
            {"observedGeneration", s.observedGeneration},
            {"collisionCount", s.collisionCount}},
           path, errors);
  at_most("readyReplicas", s.readyReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("currentReplicas", s.currentReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("updatedReplicas", s.updatedReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("availableReplicas", s.availableReplicas, s.replicas, kAboveReplicas, path, errors);
  at_most("availableReplicas", s.availableReplicas, s.readyReplicas, "cannot be greater than status.readyReplicas", path, errors);
  collisions(s.collisionCount, old.collisionCount, errors);
}

void rolling_daemon_set(const apps::RollingUpdateDaemonSet& r, const Path& path, FieldErrors& errors) {
  const IntOrString unavailable = r.maxUnavailable.value_or(0), surge = r.maxSurge.value_or(0);
  int_or_percent(unavailable, path.child("maxUnavailable"), errors);
  int_or_percent(surge, path.child("maxSurge"), errors);
  at_most_all(unavailable, path.child("maxUnavailable"), errors);
  at_most_all(surge, path.child("maxSurge"), errors);
  const bool has_unavailable = number_or_percentage(unavailable) != 0, has_surge = number_or_percentage(surge) != 0;
  if (has_unavailable && has_surge) {
    errors.invalid_json(path.child("maxSurge"), json_of(surge), "may not be set when maxUnavailable is non-zero");
  } else if (!has_unavailable && !has_surge) {
    errors.required(path.child("maxUnavailable"), "cannot be 0 when maxSurge is 0");
  }
}

void daemon_set_strategy(const apps::DaemonSetUpdateStrategy& s, const Path& path, FieldErrors& errors) {
  if (s.type == "OnDelete") return;
  if (s.type != "RollingUpdate") return errors.unsupported_json(path, go_json(s), {"RollingUpdate", "OnDelete"});
  if (!s.rollingUpdate) return errors.required(path.child("rollingUpdate"));
  rolling_daemon_set(*s.rollingUpdate, path.child("rollingUpdate"), errors);
}

void daemon_set_spec(const apps::DaemonSetSpec& spec, const Path& path, FieldErrors& errors) {
  const size_t before = errors.count();
  if (spec.selector) label_selector(*spec.selector, path.child("selector"), errors);
  if (errors.count() == before && !(spec.selector && selects(*spec.selector, spec.template_.metadata.labels)))
    errors.invalid_json(path.child("template").child("metadata", "labels"), labels_json(spec.template_.metadata.labels), kNoMatch);
  if (spec.selector && spec.selector->matchLabels.empty() && spec.selector->matchExpressions.empty())
    errors.invalid_json(path.child("selector"), api::encode(*spec.selector), "empty selector is invalid for daemonset");
  pod_template(spec.template_, path.child("template"), errors);
  lasting_pods(spec.template_, "DaemonSet", path.child("template"), errors);
  errors.non_negative(path.child("minReadySeconds"), spec.minReadySeconds);
  daemon_set_strategy(spec.updateStrategy, path.child("updateStrategy"), errors);
  if (spec.revisionHistoryLimit) errors.non_negative(path.child("revisionHistoryLimit"), *spec.revisionHistoryLimit);
}

void daemon_set_status(const apps::DaemonSetStatus& s, const apps::DaemonSetStatus& old, FieldErrors& errors) {
  counters({{"currentNumberScheduled", s.currentNumberScheduled},
            {"numberMisscheduled", s.numberMisscheduled},
            {"desiredNumberScheduled", s.desiredNumberScheduled},
            {"numberReady", s.numberReady},
            {"observedGeneration", s.observedGeneration},
            {"updatedNumberScheduled", s.updatedNumberScheduled},
            {"numberAvailable", s.numberAvailable},
            {"numberUnavailable", s.numberUnavailable},
            {"collisionCount", s.collisionCount}},
           Path("status"), errors);
  collisions(s.collisionCount, old.collisionCount, errors);
}

template <typename T>
const meta::ObjectMeta* meta_of(const T* object) {
  return object ? &object->metadata : nullptr;
}

}  // namespace

void int_or_percent(const IntOrString& value, const Path& path, FieldErrors& errors) {
  if (value.is_int) return errors.non_negative(path, value.number);
  for (const std::string& problem : names::percent(value.text)) errors.invalid_json(path, json_of(value), problem);
}

void at_most_all(const IntOrString& value, const Path& path, FieldErrors& errors) {
  if (percentage(value).value_or(0) > 100) errors.invalid_json(path, json_of(value), "must not be greater than 100%");
}

void deployment(const apps::Deployment& d, const apps::Deployment* old, FieldErrors& errors) {
  object_meta(d.metadata, meta_of(old), true, names::dns1123_subdomain, errors);
  if (!old || !(d.spec == old->spec)) deployment_spec(d.spec, Path("spec"), errors);
  if (!old) return;
  immutable_selector(d.spec.selector, old->spec.selector, errors);
  if (!(d.status == old->status)) deployment_status(d.status, old->status, errors);
}

void replica_set(const apps::ReplicaSet& set, const apps::ReplicaSet* old, FieldErrors& errors) {
  object_meta(set.metadata, meta_of(old), true, names::dns1123_subdomain, errors);
  if (!old || !(set.spec == old->spec)) {
    const Path path("spec");
    errors.non_negative(path.child("replicas"), set.spec.replicas.value_or(0));
    errors.non_negative(path.child("minReadySeconds"), set.spec.minReadySeconds);
    if (workload_selector(set.spec.selector, "deployment", "invalid label selector", path.child("selector"), errors))
      replica_template(set.spec.template_, set.spec.selector, path.child("template"), errors);
  }
  if (!old) return;
  immutable_selector(set.spec.selector, old->spec.selector, errors);
  if (!(set.status == old->status)) replica_status(set.status, set.status.terminatingReplicas, errors);
}

void stateful_set(const apps::StatefulSet& set, const apps::StatefulSet* old, FieldErrors& errors) {
  object_meta(set.metadata, meta_of(old), true, names::dns1123_label, errors);
  if (!old || !(set.spec == old->spec)) stateful_set_spec(set.spec, old != nullptr, Path("spec"), errors);
  if (!old) return;
  frozen_stateful_set(set.spec, old->spec, errors);
  if (!(set.status == old->status)) stateful_set_status(set.status, old->status, errors);
}

void daemon_set(const apps::DaemonSet& set, const apps::DaemonSet* old, FieldErrors& errors) {
  object_meta(set.metadata, meta_of(old), true, names::dns1123_subdomain, errors);
  if (old) immutable_selector(set.spec.selector, old->spec.selector, errors);
  if (!old || !(set.spec == old->spec)) daemon_set_spec(set.spec, Path("spec"), errors);
  if (old && !(set.status == old->status)) daemon_set_status(set.status, old->status, errors);
}

void controller_revision(const apps::ControllerRevision& revision, const apps::ControllerRevision* old, FieldErrors& errors) {
  object_meta(revision.metadata, meta_of(old), true, names::dns1123_subdomain, errors);
  errors.non_negative(Path("revision"), revision.revision);
  const Path data("data");
  if (old) {
    if (revision.data != old->data) errors.invalid_json(data, revision.data.empty() ? "null" : revision.data, kImmutable);
  } else if (revision.data.empty() || revision.data == "null") {
    errors.required(data, "data is mandatory");
  } else if (revision.data.front() != '{') {
    errors.required(data, "data must be a valid JSON object");
  }
}

void replication_controller(const core::ReplicationController& rc, const core::ReplicationController* old, FieldErrors& errors) {
  long_named_meta(rc.metadata, meta_of(old), true, errors);
  if (!old || !(rc.spec == old->spec)) {
    const Path path("spec"), at = path.child("template");
    errors.non_negative(path.child("minReadySeconds"), rc.spec.minReadySeconds);
    if (rc.spec.selector.empty()) errors.required(path.child("selector"));
    if (rc.spec.replicas) {
      errors.non_negative(path.child("replicas"), *rc.spec.replicas);
    } else {
      errors.required(path.child("replicas"));
    }
    if (!rc.spec.template_) {
      errors.required(at);
    } else {
      const auto& t = *rc.spec.template_;
      const bool matches = std::all_of(rc.spec.selector.begin(), rc.spec.selector.end(), [&](const auto& pair) {
        auto label = t.metadata.labels.find(pair.first);
        return label != t.metadata.labels.end() && label->second == pair.second;
      });
      if (!matches) errors.invalid_json(at.child("metadata", "labels"), labels_json(t.metadata.labels), kNoMatch);
      pod_template(t, at, errors);
      lasting_pods(t, "ReplicationController", at, errors);
    }
  }
  if (old && !(rc.status == old->status)) replica_status(rc.status, std::nullopt, errors);
}

void pod_template_object(const core::PodTemplate& t, const core::PodTemplate* old, FieldErrors& errors) {
  object_meta(t.metadata, meta_of(old), true, names::dns1123_subdomain, errors);
  if (!old || !(t.template_ == old->template_)) pod_template(t.template_, Path("template"), errors);
}

}  // namespace knarr::schema::validation
