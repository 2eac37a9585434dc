// What may change of a pod that exists.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/schema/type.h"
#include "schema/go_json.h"
#include "schema/text_diff.h"
#include "schema/validate.h"

namespace knarr::schema::validation {
namespace {

bool is_gated(const core::Pod& pod) { return !pod.spec.schedulingGates.empty(); }

// Containers neither come nor go; images may change. False: the lists do not correspond.
bool container_images(const std::vector<core::Container>& now, const std::vector<core::Container>& old, const Path& path, FieldErrors& errors) {
  if (now.size() != old.size()) {
    errors.forbidden(path, "pod updates may not add or remove containers");
    return false;
  }
  for (size_t i = 0; i < now.size(); ++i) {  // once more than for any pod
    const std::string& image = now[i].image;
    const Path at = path.index(i).child("image");
    const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
    if (image.empty()) {
      errors.required(at);
    } else if (is_space(image.front()) || is_space(image.back())) {
      errors.invalid(at, image, "must not have leading or trailing whitespace");
    }
  }
  return true;
}

bool active_deadline(const core::PodSpec& now, const core::PodSpec& old, FieldErrors& errors) {
  Path path("spec.activeDeadlineSeconds");
  if (!now.activeDeadlineSeconds) {
    if (old.activeDeadlineSeconds) errors.invalid_json(path, "null", "must not update from a positive integer to nil value");
    return true;
  }
  int64_t seconds = *now.activeDeadlineSeconds;
  if (seconds < 0 || seconds > INT32_MAX) {
    errors.invalid(path, seconds, names::in_range(seconds, 0, INT32_MAX));
    return false;
  }
  if (old.activeDeadlineSeconds.value_or(seconds) < seconds) {
    errors.invalid(path, seconds, "must be less than or equal to previous value");
    return false;
  }
  return true;
}

void only_added_tolerations(const std::vector<core::Toleration>& now, const std::vector<core::Toleration>& old, FieldErrors& errors) {
  for (core::Toleration before : old) {
    bool found = std::any_of(now.begin(), now.end(), [&](const core::Toleration& t) {
      before.tolerationSeconds = t.tolerationSeconds;  // these may change
      return before == t;
    });
    if (!found) return errors.forbidden(Path("spec.tolerations"), "existing toleration can not be modified except its tolerationSeconds");
  }
  tolerations(now, Path("spec.tolerations"), errors);  // once more than for any pod
}

void only_removed_gates(const std::vector<core::PodSchedulingGate>& now, const std::vector<core::PodSchedulingGate>& old, FieldErrors& errors) {
  for (size_t i = 0; i < now.size(); ++i) {
    const bool again = std::find(now.begin() + static_cast<ptrdiff_t>(i) + 1, now.end(), now[i]) != now.end();  // told of the last
    if (!again && std::find(old.begin(), old.end(), now[i]) == old.end())
      errors.forbidden(Path("spec.schedulingGates").index(i).child("name"), "only deletion is allowed, but found new scheduling gate '" + now[i].name + "'");
  }
}

// Terms keep what they have and may ask for more.
bool only_adds(const core::NodeSelectorTerm& now, const core::NodeSelectorTerm& old) {
  auto extends = [](const auto& longer, const auto& shorter) {
    return longer.size() >= shorter.size() && std::equal(shorter.begin(), shorter.end(), longer.begin());
  };
  bool was_empty = old.matchExpressions.empty() && old.matchFields.empty();
  if (was_empty) return now.matchExpressions.empty() && now.matchFields.empty();
  return extends(now.matchExpressions, old.matchExpressions) && extends(now.matchFields, old.matchFields);
}

void narrower_affinity(const core::PodSpec& now, const core::PodSpec& old, FieldErrors& errors) {
  auto terms = [](const core::PodSpec& spec) {
    const bool there = spec.affinity && spec.affinity->nodeAffinity && spec.affinity->nodeAffinity->requiredDuringSchedulingIgnoredDuringExecution;
    return there ? spec.affinity->nodeAffinity->requiredDuringSchedulingIgnoredDuringExecution->nodeSelectorTerms
                 : std::vector<core::NodeSelectorTerm>();
  };
  Path path("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
  const auto before = terms(old), after = terms(now);
  if (before.empty()) return;
  if (before.size() != after.size()) {
    std::string list = "[";
    for (const auto& term : after) list += (list.size() > 1 ? "," : "") + api::encode(term);
    return errors.invalid_json(path, list + "]", "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
  }
  for (size_t i = 0; i < before.size(); ++i) {
    if (!only_adds(after[i], before[i]))
      errors.invalid_json(path.index(i), api::encode(after[i]), "only additions are allowed (no mutations or deletions)");
  }
}

// While gates hold a pod back, where it may run may become narrower. What is judged here is put back in `now`.
void narrower_placement(core::PodSpec& now, const core::PodSpec& old, FieldErrors& errors) {
  auto there = [&](const auto& pair) {
    auto it = now.nodeSelector.find(pair.first);
    return it != now.nodeSelector.end() && it->second == pair.second;
  };
  if (!std::all_of(old.nodeSelector.begin(), old.nodeSelector.end(), there)) {
    std::string map = "{";
    for (const auto& [key, value] : now.nodeSelector) {
      if (map.size() > 1) map += ",";
      json::append_quoted(map, key);
      map += ":";
      json::append_quoted(map, value);
    }
    errors.invalid_json(Path("spec.nodeSelector"), map + "}", "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
  }
  now.nodeSelector = old.nodeSelector;

  narrower_affinity(now, old, errors);
  if (now.affinity) now.affinity->nodeAffinity.reset();
  if (old.affinity) now.affinity.ensure().nodeAffinity = old.affinity->nodeAffinity;
  if (!old.affinity && now.affinity == core::Affinity()) now.affinity.reset();
}

void state_transitions(const std::vector<core::ContainerStatus>& now, const std::vector<core::ContainerStatus>& old,
                       const std::vector<core::Container>& containers, const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  auto may_restart = [&](const std::string& name, int32_t exit_code) {
    std::string policy = spec.restartPolicy;
    for (const core::Container& c : containers) {
      if (c.name != name) continue;
      if (!c.restartPolicyRules.empty()) return true;
      policy = c.restartPolicy.value_or(policy);
    }
    return policy == "OnFailure" ? exit_code != 0 : policy != "Never";
  };
  for (size_t i = 0; i < old.size(); ++i) {
    if (!old[i].state.terminated || may_restart(old[i].name, old[i].state.terminated->exitCode)) continue;
    for (const core::ContainerStatus& status : now) {
      if (status.name == old[i].name && !status.state.terminated)
        errors.forbidden(path.index(i).child("state"), "may not be transitioned to non-terminated state");
    }
  }
}

template <typename Address>
void addresses(const std::vector<Address>& list, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < list.size(); ++i) errors.invalid(path.index(i), list[i].ip, names::ip(list[i].ip));
  auto is_ipv6 = [](const std::string& ip) { return ip.find(':') != std::string::npos; };
  if (list.size() < 2) return;
  if (list.size() == 2 && is_ipv6(list[0].ip) != is_ipv6(list[1].ip)) return;
  std::string all = "[";
  for (const Address& a : list) all += (all.size() > 1 ? "," : "") + api::encode(a);
  errors.invalid_json(path, all + "]", "may specify no more than one IP for each IP family");
}

}  // namespace

void pod_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors) {
  if (!container_images(pod.spec.containers, old.spec.containers, Path("spec.containers"), errors)) return;
  if (!container_images(pod.spec.initContainers, old.spec.initContainers, Path("spec.initContainers"), errors)) return;
  if (!active_deadline(pod.spec, old.spec, errors)) return;
  only_added_tolerations(pod.spec.tolerations, old.spec.tolerations, errors);
  only_removed_gates(pod.spec.schedulingGates, old.spec.schedulingGates, errors);

  // With all that may change put back, nothing may be left that differs.
  core::PodSpec rest = pod.spec;
  for (size_t i = 0; i < rest.containers.size(); ++i) rest.containers[i].image = old.spec.containers[i].image;
  for (size_t i = 0; i < rest.initContainers.size(); ++i) rest.initContainers[i].image = old.spec.initContainers[i].image;
  rest.activeDeadlineSeconds = old.spec.activeDeadlineSeconds;
  rest.tolerations = old.spec.tolerations;
  rest.schedulingGates = old.spec.schedulingGates;
  if (old.spec.terminationGracePeriodSeconds.value_or(0) < 0 && rest.terminationGracePeriodSeconds == 1)
    rest.terminationGracePeriodSeconds = old.spec.terminationGracePeriodSeconds;
  if (is_gated(old)) narrower_placement(rest, old.spec, errors);
  if (rest == old.spec) return;
  errors.forbidden(Path("spec"),
                   "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
                   "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
                   "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n" +
                       text_diff(pretty_go_json(go_json(old.spec)), pretty_go_json(go_json(rest))));
}

void pod_status_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors) {
  const core::PodStatus &status = pod.status, &before = old.status;
  Path path("status");
  for (size_t i = 0; i < status.conditions.size(); ++i) {
    const core::PodCondition& c = status.conditions[i];
    Path at = path.child("conditions").index(i);
    if (c.observedGeneration < 0) errors.invalid(at.child("observedGeneration"), c.observedGeneration, "must be a non-negative integer");
    errors.invalid(at.child("Type"), c.type, names::qualified_name(c.type));
  }
  if (status.nominatedNodeName != before.nominatedNodeName && !status.nominatedNodeName.empty()) {
    Path at = path.child("nominatedNodeName");
    errors.invalid(at, status.nominatedNodeName, names::dns1123_subdomain(status.nominatedNodeName));
    if (!old.spec.nodeName.empty()) errors.forbidden(at, "may not be set on pods that are already bound to a node");
  }
  if (status.observedGeneration < 0)
    errors.invalid(path.child("observedGeneration"), status.observedGeneration, "must be a non-negative integer");
  if (status.qosClass != before.qosClass) errors.invalid(path.child("qosClass"), status.qosClass, kImmutable);
  state_transitions(status.containerStatuses, before.containerStatuses, old.spec.containers, old.spec, path.child("containerStatuses"), errors);
  state_transitions(status.initContainerStatuses, before.initContainerStatuses, old.spec.initContainers, old.spec,
                    path.child("initContainerStatuses"), errors);
  addresses(status.podIPs, path.child("podIPs"), errors);
  addresses(status.hostIPs, path.child("hostIPs"), errors);
}

}  // namespace knarr::schema::validation
