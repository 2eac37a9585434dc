#include "strategy.h"

#include <map>
#include <string_view>

#include "knarr/codec/quantity.h"
#include "knarr/codec/time.h"

namespace knarr::apiserver {

namespace {

using json::Allocator;
using json::Value;

// The amounts of one side ("requests", "limits") of a container, with only what counts for the class of service.
struct Amounts {
  std::map<std::string_view, std::string_view> cpu_and_memory;
};

bool is_zero(std::string_view quantity) {
  const auto parsed = Quantity::parse(quantity);
  return parsed.ok() && parsed->is_zero();
}

Amounts amounts_of(const Value& container, std::string_view side) {
  Amounts out;
  const Value* list = json::find(container, {"resources", side});
  for (std::string_view name : {"cpu", "memory"}) {
    const std::string_view amount = list ? json::get_string(*list, name) : std::string_view();
    if (!amount.empty() && !is_zero(amount)) out.cpu_and_memory[name] = amount;
  }
  return out;
}

bool same_amount(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto left = Quantity::parse(a), right = Quantity::parse(b);
  return left.ok() && right.ok() && *left == *right;
}

// Guaranteed: each container has equal requests and limits for both; BestEffort: none has any; else Burstable.
std::string_view qos_class(const Value& pod) {
  bool any = false, guaranteed = true;
  for (std::string_view member : {"initContainers", "containers"}) {
    const Value* list = json::find(pod, {"spec", member});
    if (!list || !list->IsArray()) continue;
    for (const Value& container : list->GetArray()) {
      const Amounts requests = amounts_of(container, "requests"), limits = amounts_of(container, "limits");
      any = any || !requests.cpu_and_memory.empty() || !limits.cpu_and_memory.empty();
      if (limits.cpu_and_memory.size() != 2) guaranteed = false;
      for (const auto& [name, amount] : requests.cpu_and_memory) {
        const auto limit = limits.cpu_and_memory.find(name);
        if (limit == limits.cpu_and_memory.end() || !same_amount(limit->second, amount)) guaranteed = false;
      }
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

void prepare_pod(Value& pod, WallTime now, Allocator& alloc) {
  if (Value* spec = json::find(pod, "spec"); spec && json::get_int(*spec, "terminationGracePeriodSeconds") < 0)
    json::set(*spec, "terminationGracePeriodSeconds", Value(1), alloc);
  Value status(rapidjson::kObjectType);
  json::set(status, "phase", "Pending", alloc);
  const Value* gates = json::find(pod, {"spec", "schedulingGates"});
  if (gates && gates->IsArray() && !gates->Empty()) {
    Value condition(rapidjson::kObjectType);
    json::set(condition, "type", "PodScheduled", alloc);
    json::set(condition, "status", "False", alloc);
    json::set(condition, "lastProbeTime", Value(), alloc);
    json::set(condition, "lastTransitionTime", format_time(now), alloc);
    json::set(condition, "reason", "SchedulingGated", alloc);
    json::set(condition, "message", "Scheduling is blocked due to non-empty scheduling gates", alloc);
    Value conditions(rapidjson::kArrayType);
    conditions.PushBack(condition, alloc);
    json::set(status, "conditions", std::move(conditions), alloc);
  }
  json::set(status, "qosClass", qos_class(pod), alloc);
  json::set(pod, "status", std::move(status), alloc);
}

void prepare_namespace(Value& ns, WallTime, Allocator& alloc) {
  Value& spec = json::ensure_object(ns, {"spec"}, alloc);
  Value* finalizers = json::find(spec, "finalizers");
  if (!finalizers || !finalizers->IsArray())
    finalizers = &json::set(spec, "finalizers", Value(rapidjson::kArrayType), alloc);
  bool has = false;
  for (const Value& item : finalizers->GetArray()) has = has || (item.IsString() && json::view(item) == "kubernetes");
  if (!has) finalizers->PushBack(json::string("kubernetes", alloc), alloc);
  Value status(rapidjson::kObjectType);
  json::set(status, "phase", "Active", alloc);
  json::set(ns, "status", std::move(status), alloc);
}

// A node that says again what it said before, at a later time.
bool only_heartbeats_differ(const Value& node, const Value& old) {
  const auto without_times = [](const Value& from) {
    json::Document copy = json::copy(from);
    if (Value* metadata = json::find(copy, "metadata")) {
      json::remove(*metadata, "resourceVersion");
      if (Value* managers = json::find(*metadata, "managedFields"); managers && managers->IsArray())
        for (Value& manager : managers->GetArray()) json::remove(manager, "time");
    }
    if (Value* conditions = json::find(copy, {"status", "conditions"}); conditions && conditions->IsArray())
      for (Value& condition : conditions->GetArray()) json::remove(condition, "lastHeartbeatTime");
    return copy;
  };
  return json::equal(without_times(node), without_times(old));
}

void prepare_claim(Value& claim, WallTime, Allocator& alloc) {
  Value status(rapidjson::kObjectType);
  json::set(status, "phase", "Pending", alloc);
  json::set(claim, "status", std::move(status), alloc);
}

const std::map<std::string_view, Strategy>& table() {
  static const std::map<std::string_view, Strategy> rows = {
      {"pods", {.returns_deleted = true, .generation = true, .prepare_create = prepare_pod}},
      {"namespaces", {.returns_deleted = true, .prepare_create = prepare_namespace}},
      {"services", {.create_on_update = true, .returns_deleted = true}},
      {"serviceaccounts", {.returns_deleted = true}},
      {"persistentvolumes", {.returns_deleted = true, .prepare_create = prepare_claim}},
      {"persistentvolumeclaims", {.returns_deleted = true, .prepare_create = prepare_claim}},
      {"podtemplates", {.returns_deleted = true, .generation = true}},
      {"resourcequotas", {.returns_deleted = true}},
      {"endpoints", {.create_on_update = true}},
      {"events", {.create_on_update = true, .lazy = true}},
      {"events.events.k8s.io", {.create_on_update = true, .lazy = true}},
      {"limitranges", {.create_on_update = true}},
      {"replicationcontrollers", {.generation = true, .orphans_by_default = true}},
      {"daemonsets.apps", {.generation = true}},
      {"deployments.apps", {.generation = true}},
      {"replicasets.apps", {.generation = true}},
      {"statefulsets.apps", {.generation = true}},
      {"jobs.batch", {.generation = true, .orphans_by_default = true}},
      {"cronjobs.batch", {.generation = true}},
      {"leases.coordination.k8s.io", {.create_on_update = true, .unconditional_update = false}},
      {"endpointslices.discovery.k8s.io", {.generation = true}},
      {"ingresses.networking.k8s.io", {.generation = true}},
      {"ingressclasses.networking.k8s.io", {.generation = true}},
      {"networkpolicies.networking.k8s.io", {.generation = true}},
      {"poddisruptionbudgets.policy", {.unconditional_update = false, .generation = true}},
      {"roles.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"clusterroles.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"rolebindings.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"clusterrolebindings.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"priorityclasses.scheduling.k8s.io", {.generation = true}},
      {"runtimeclasses.node.k8s.io", {.create_on_update = true, .unconditional_update = false}},
      {"storageclasses.storage.k8s.io", {.returns_deleted = true}},
      {"volumeattributesclasses.storage.k8s.io", {.returns_deleted = true}},
      {"csidrivers.storage.k8s.io", {.unconditional_update = false, .returns_deleted = true}},
      {"csinodes.storage.k8s.io", {.unconditional_update = false, .returns_deleted = true}},
      {"csistoragecapacities.storage.k8s.io", {.unconditional_update = false}},
      {"volumeattachments.storage.k8s.io", {.unconditional_update = false, .returns_deleted = true}},
      {"mutatingadmissionpolicies.admissionregistration.k8s.io", {.unconditional_update = false, .generation = true}},
      {"mutatingadmissionpolicybindings.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"mutatingwebhookconfigurations.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"validatingadmissionpolicies.admissionregistration.k8s.io", {.unconditional_update = false, .generation = true}},
      {"validatingadmissionpolicybindings.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"validatingwebhookconfigurations.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"flowschemas.flowcontrol.apiserver.k8s.io", {.generation = true}},
      {"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", {.generation = true}},
      {"customresourcedefinitions.apiextensions.k8s.io", {.unconditional_update = false, .generation = true}},
      {"deviceclasses.resource.k8s.io", {.returns_deleted = true, .generation = true}},
      {"resourceclaims.resource.k8s.io", {.returns_deleted = true}},
      {"resourceclaimtemplates.resource.k8s.io", {.returns_deleted = true}},
      {"resourceslices.resource.k8s.io", {.returns_deleted = true, .generation = true}},
  };
  return rows;
}

}  // namespace

const Strategy& strategy_of(const schema::Resource& resource) {
  static const Strategy none;
  const auto found = table().find(resource.storage_name);
  return found == table().end() ? none : found->second;
}

store::Durability durability_of(const schema::Resource& resource, std::string_view ns) {
  const bool lease = ns == "kube-node-lease" && resource.storage_name == "leases.coordination.k8s.io";
  return strategy_of(resource).lazy || lease ? store::Durability::kLazy : store::Durability::kDurable;
}

store::Durability durability_of(const schema::Resource& resource, std::string_view ns, const Value& object,
                                const Value& old) {
  if (resource.storage_name == "nodes" && only_heartbeats_differ(object, old)) return store::Durability::kLazy;
  return durability_of(resource, ns);
}

}  // namespace knarr::apiserver
