#include "knarr/admission/quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "admission/pod_resources.h"
#include "knarr/codec/selector.h"
#include "knarr/codec/time.h"

namespace knarr::admission::quota {

namespace {

using json::Value;

constexpr std::string_view kRequests = "requests.", kHugePages = "hugepages-";
constexpr std::string_view kByClass = ".storageclass.storage.k8s.io/", kClaims = "persistentvolumeclaims";

constexpr std::array<std::string_view, 11> kPodNames = {"count/pods",
                                                        "cpu",
                                                        "memory",
                                                        "ephemeral-storage",
                                                        "requests.cpu",
                                                        "requests.memory",
                                                        "requests.ephemeral-storage",
                                                        "limits.cpu",
                                                        "limits.memory",
                                                        "limits.ephemeral-storage",
                                                        "pods"};
constexpr std::array<std::string_view, 4> kServiceNames = {"count/services", "services", "services.nodeports",
                                                           "services.loadbalancers"};
constexpr std::array<std::string_view, 3> kClaimNames = {"count/persistentvolumeclaims", kClaims, "requests.storage"};
constexpr std::array<std::string_view, 4> kAliased = {"configmaps", "resourcequotas", "replicationcontrollers",
                                                      "secrets"};  // counted also without "count/"

template <typename List>
bool contains(const List& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool is_native(std::string_view name) {
  return name.find('/') == std::string_view::npos || name.find("kubernetes.io/") != std::string_view::npos;
}

// "requests.example.com/gpu"
bool is_extended_request(std::string_view name) {
  return name.starts_with(kRequests) &&
         (!is_native(name) || name.starts_with("requests.deviceclass.resource.kubernetes.io/"));
}

bool is_pod_name(std::string_view name) {
  return contains(kPodNames, name) || name.starts_with(kHugePages) || name.starts_with("requests.hugepages-") ||
         is_extended_request(name);
}

bool is_claim_name(std::string_view name) {
  if (contains(kClaimNames, name)) return true;
  return name.ends_with(".storageclass.storage.k8s.io/persistentvolumeclaims") ||
         name.ends_with(".storageclass.storage.k8s.io/requests.storage");
}

Quantity one() { return Quantity(1); }

// Under the names of quotas: what is asked for and what is the most.
Amounts pod_usage_of(const Amounts& requests, const Amounts& limits) {
  Amounts out;
  out.emplace("pods", one());
  for (std::string_view name : {"cpu", "memory", "ephemeral-storage"}) {
    if (const auto request = requests.find(name); request != requests.end()) {
      out.insert_or_assign(std::string(name), request->second);
      out.insert_or_assign(std::string(kRequests).append(name), request->second);
    }
    if (const auto limit = limits.find(name); limit != limits.end())
      out.insert_or_assign(std::string("limits.").append(name), limit->second);
  }
  for (const auto& [name, request] : requests) {
    if (name.starts_with(kHugePages)) out.insert_or_assign(name, request);
    if (name.starts_with(kHugePages) || !is_native(name) || name.starts_with("deviceclass.resource.kubernetes.io/"))
      out.insert_or_assign(std::string(kRequests) + name, request);
  }
  return out;
}

// A pod that has ended counts for nothing but itself, and so does one whose time to end is long over.
bool still_uses(const Value& pod, WallTime now) {
  const std::string_view phase = json::get_string(pod, {"status", "phase"});
  if (phase == "Failed" || phase == "Succeeded") return false;
  const auto deleted = parse_time(json::get_string(pod, {"metadata", "deletionTimestamp"}));
  const Value* grace = json::find(pod, {"metadata", "deletionGracePeriodSeconds"});
  return !deleted.ok() || !grace || !grace->IsInt64() || now <= *deleted + seconds(grace->GetInt64());
}

Amounts pod_usage(const Value& pod, WallTime now) {
  Amounts out;
  if (still_uses(pod, now))
    out = pod_usage_of(pod_amounts(pod, "requests", {.status_too = true}),
                       pod_amounts(pod, "limits", {.status_too = true}));
  out.insert_or_assign("count/pods", one());
  return out;
}

Amounts service_usage(const Value& service) {
  const Value* ports = json::find(service, {"spec", "ports"});
  const int64_t count = ports && ports->IsArray() ? ports->Size() : 0;
  const std::string_view type = json::get_string(service, {"spec", "type"});
  int64_t node_ports = type == "NodePort" || type == "LoadBalancer" ? count : 0;
  const Value* allocate = json::find(service, {"spec", "allocateLoadBalancerNodePorts"});
  if (type == "LoadBalancer" && allocate && allocate->IsFalse()) {
    node_ports = 0;
    for (int64_t i = 0; i < count; ++i)
      node_ports += json::get_int((*ports)[static_cast<rapidjson::SizeType>(i)], "nodePort") != 0;
  }
  return {{"count/services", one()},
          {"services", one()},
          {"services.loadbalancers", Quantity(type == "LoadBalancer")},
          {"services.nodeports", Quantity(node_ports)}};
}

Amounts claim_usage(const Value& claim) {
  Amounts out{{std::string(kClaims), one()}, {"count/persistentvolumeclaims", one()}};
  const Value* beta = json::find(claim, {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"});
  const std::string storage_class(beta && beta->IsString() ? json::view(*beta)
                                                           : json::get_string(claim, {"spec", "storageClassName"}));
  if (!storage_class.empty()) out.emplace(fmt::format("{}{}{}", storage_class, kByClass, kClaims), one());
  const std::string_view asked = json::get_string(claim, {"spec", "resources", "requests", "storage"});
  if (asked.empty()) return out;
  Quantity storage = Quantity::parse_or_zero(asked);
  const Quantity granted =
      Quantity::parse_or_zero(json::get_string(claim, {"status", "allocatedResources", "storage"}));
  if (granted > storage) storage = granted;
  if (storage != Quantity(storage.value())) storage = Quantity(storage.value(), storage.format());
  out.emplace("requests.storage", storage);
  if (!storage_class.empty()) out.emplace(fmt::format("{}{}requests.storage", storage_class, kByClass), storage);
  return out;
}

bool crosses_namespaces(const Value& pod) {
  const auto term_does = [](const Value& term) {
    const Value* namespaces = json::find(term, "namespaces");
    return (namespaces && namespaces->IsArray() && !namespaces->Empty()) || json::find(term, "namespaceSelector");
  };
  for (std::string_view kind : {"podAffinity", "podAntiAffinity"}) {
    const Value* affinity = json::find(pod, {"spec", "affinity", kind});
    if (!affinity) continue;
    if (const Value* terms = json::find(*affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        terms && terms->IsArray() && std::any_of(terms->Begin(), terms->End(), term_does))
      return true;
    if (const Value* terms = json::find(*affinity, "preferredDuringSchedulingIgnoredDuringExecution");
        terms && terms->IsArray() && std::any_of(terms->Begin(), terms->End(), [&](const Value& weighted) {
          const Value* term = json::find(weighted, "podAffinityTerm");
          return term && term_does(*term);
        }))
      return true;
  }
  return false;
}

// In, NotIn, Exists and DoesNotExist over the names that an object has (none, or one, or more of a claim).
bool selects(const Value& requirement, const std::vector<std::string_view>& names) {
  const std::string_view op = json::get_string(requirement, "operator");
  if (op == "Exists") return !names.empty();
  if (op == "DoesNotExist") return names.empty();
  const Value* values = json::find(requirement, "values");
  const auto listed = [&](std::string_view name) {
    return values && values->IsArray() &&
           std::any_of(values->Begin(), values->End(), [&](const Value& value) { return json::view(value) == name; });
  };
  if (op == "In") return std::any_of(names.begin(), names.end(), listed);
  return names.empty() || !std::all_of(names.begin(), names.end(), listed);
}

bool pod_in_scope(std::string_view scope, const Value& requirement, const Value& pod) {
  const Value* deadline = json::find(pod, {"spec", "activeDeadlineSeconds"});
  const bool terminating = deadline && deadline->IsInt64() && deadline->GetInt64() >= 0;
  const bool best_effort = json::get_string(pod, {"status", "qosClass"}) == "BestEffort";
  if (scope == "Terminating") return terminating;
  if (scope == "NotTerminating") return !terminating;
  if (scope == "BestEffort") return best_effort;
  if (scope == "NotBestEffort") return !best_effort;
  if (scope == "CrossNamespacePodAffinity") return crosses_namespaces(pod);
  if (scope != "PriorityClass") return false;
  const std::string_view name = json::get_string(pod, {"spec", "priorityClassName"});
  return selects(requirement, name.empty() ? std::vector<std::string_view>() : std::vector{name});
}

bool claim_in_scope(std::string_view scope, const Value& requirement, const Value& claim) {
  if (scope != "VolumeAttributesClass") return false;
  std::vector<std::string_view> names;
  for (std::string_view name :
       {json::get_string(claim, {"spec", "volumeAttributesClassName"}),
        json::get_string(claim, {"status", "currentVolumeAttributesClassName"}),
        json::get_string(claim, {"status", "modifyVolumeStatus", "targetVolumeAttributesClassName"})})
    if (!name.empty() && !contains(names, name)) names.push_back(name);
  return selects(requirement, names);
}

}  // namespace

bool is_counted(std::string_view resource) {
  constexpr std::array<std::string_view, 4> kNever = {"events", "events.events.k8s.io", "bindings",
                                                      "localsubjectaccessreviews.authorization.k8s.io"};
  return !contains(kNever, resource);
}

std::vector<std::string> matching(std::string_view resource, const Amounts& hard) {
  std::vector<std::string> out;
  for (const auto& [name, amount] : hard) {
    bool mine = false;
    if (resource == "pods") {
      mine = is_pod_name(name);
    } else if (resource == "services") {
      mine = contains(kServiceNames, name);
    } else if (resource == kClaims) {
      mine = is_claim_name(name);
    } else {
      mine = (name.starts_with("count/") && std::string_view(name).substr(6) == resource) ||
             (name == resource && contains(kAliased, resource));
    }
    if (mine) out.push_back(name);
  }
  return out;
}

Amounts usage(std::string_view resource, const Value& object, WallTime now) {
  if (resource == "pods") return pod_usage(object, now);
  if (resource == "services") return service_usage(object);
  if (resource == kClaims) return claim_usage(object);
  Amounts out{{fmt::format("count/{}", resource), one()}};
  if (contains(kAliased, resource)) out.emplace(resource, one());
  return out;
}

bool has_scopes(const Value& quota) {
  const Value* scopes = json::find(quota, {"spec", "scopes"});
  const Value* selector = json::find(quota, {"spec", "scopeSelector", "matchExpressions"});
  return (scopes && scopes->IsArray() && !scopes->Empty()) || (selector && selector->IsArray() && !selector->Empty());
}

bool in_scopes(std::string_view resource, const Value& quota, const Value& object) {
  const auto in = [&](std::string_view scope, const Value& requirement) {
    if (resource == "pods") return pod_in_scope(scope, requirement, object);
    return resource == kClaims && claim_in_scope(scope, requirement, object);
  };
  if (const Value* scopes = json::find(quota, {"spec", "scopes"}); scopes && scopes->IsArray()) {
    json::Document exists(rapidjson::kObjectType);
    json::set(exists, "operator", "Exists", exists.GetAllocator());
    for (const Value& scope : scopes->GetArray())
      if (!in(json::view(scope), exists)) return false;
  }
  if (const Value* selector = json::find(quota, {"spec", "scopeSelector", "matchExpressions"});
      selector && selector->IsArray()) {
    for (const Value& requirement : selector->GetArray())
      if (!in(json::get_string(requirement, "scopeName"), requirement)) return false;
  }
  return true;
}

std::string missing_amounts(const std::vector<std::string>& names, const Value& pod) {
  constexpr std::array<std::string_view, 6> kDemanded = {
      "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
  for (std::string_view side : {"requests", "limits"})
    for (std::string_view name : {"cpu", "memory"})
      if (json::find(pod, {"spec", "resources", side, name})) return "";  // said for the pod as a whole
  std::map<std::string, std::set<std::string>> missing;                   // name -> containers
  for (std::string_view list : {"containers", "initContainers"}) {
    const Value* containers = json::find(pod, {"spec", list});
    if (!containers || !containers->IsArray()) continue;
    for (const Value& container : containers->GetArray()) {
      const Amounts said = pod_usage_of(amounts_of(json::find(container, {"resources", "requests"})),
                                        amounts_of(json::find(container, {"resources", "limits"})));
      for (const std::string& name : names)
        if (contains(kDemanded, name) && !said.contains(name))
          missing[name].emplace(json::get_string(container, "name"));
    }
  }
  if (missing.empty()) return "";
  std::vector<std::string> parts;
  for (const auto& [name, containers] : missing)
    parts.push_back(fmt::format("{} for: {}", name, fmt::join(containers, ",")));
  return fmt::format("must specify {}", fmt::join(parts, "; "));
}

}  // namespace knarr::admission::quota
