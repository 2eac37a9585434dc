#include "preparation.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "knarr/apiserver/document.h"
#include "knarr/codec/quantity.h"
#include "knarr/codec/time.h"
#include "knarr/schema/machinery.h"

namespace knarr::apiserver::prepare {

using json::Allocator;
using json::Value;

namespace {

// The amounts of one side ("requests", "limits") of a container, with only what counts for the class of service.
struct Amounts {
  std::map<std::string_view, std::string_view> cpu_and_memory;
};

bool is_zero(std::string_view quantity) {
  const auto parsed = Quantity::parse(quantity);
  return parsed.ok() && parsed->is_zero();
}

Amounts amounts_of(const Value& container, std::string_view side) {  // or of a pod as a whole
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

// Guaranteed: equal requests and limits for both; BestEffort: none has any; else Burstable.
std::string_view qos_class_of_whole(const Value& spec) {
  const auto requests = amounts_of(spec, "requests").cpu_and_memory, limits = amounts_of(spec, "limits").cpu_and_memory;
  if (requests.empty() && limits.empty()) return "BestEffort";
  const bool same = requests.size() == 2 && limits.size() == 2 &&
                    std::all_of(requests.begin(), requests.end(), [&](const auto& r) { return same_amount(r.second, limits.at(r.first)); });
  return same ? "Guaranteed" : "Burstable";
}

// Of what the pod has as a whole, else of each of its containers.
std::string_view qos_class(const Value& pod) {
  if (json::find(pod, {"spec", "resources"}) != nullptr) return qos_class_of_whole(*json::find(pod, "spec"));
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

const Value& member(const Value& object, std::initializer_list<std::string_view> path) {
  static const Value none;
  const Value* value = json::find(object, path);
  return value ? *value : none;
}

void restore(Value& object, const Value& old, std::string_view key, Allocator& alloc) {
  if (const Value* value = json::find(old, key)) {
    json::set(object, key, json::copy(*value, alloc), alloc);
  } else {
    json::remove(object, key);
  }
}

// The revision of a daemon set's template, which an annotation tells.
constexpr std::string_view kTemplateGeneration = "deprecated.daemonset.template.generation";

int64_t template_generation(const Value& set) {
  const std::string text(json::get_string(set, {"metadata", "annotations", kTemplateGeneration}));
  return std::strtoll(text.c_str(), nullptr, 10);
}

void set_template_generation(Value& set, int64_t generation, Allocator& alloc) {
  json::set(json::ensure_object(set, {"metadata", "annotations"}, alloc), kTemplateGeneration,
            std::to_string(generation), alloc);
}

// A claim's source in its old form, which can name claims and snapshots only, and in its new one.
void sources_of_claim(Value& claim, const Value* old, Allocator& alloc) {
  Value* spec = json::find(claim, "spec");
  if (!spec || !spec->IsObject()) return;
  const bool had_source =
      old && (!member(*old, {"spec", "dataSource"}).IsNull() || !member(*old, {"spec", "dataSourceRef"}).IsNull());
  const bool had_reference = old && !member(*old, {"spec", "dataSourceRef"}).IsNull();
  if (!json::get_string(*spec, {"dataSourceRef", "namespace"}).empty() && !had_reference)
    json::remove(*spec, "dataSourceRef");
  const Value* source = json::find(*spec, "dataSource");
  const Value* reference = json::find(*spec, "dataSourceRef");
  if (source && !reference && !had_source) {
    const std::string_view group = json::get_string(*source, "apiGroup"), kind = json::get_string(*source, "kind");
    const bool known = (kind == "PersistentVolumeClaim" && group.empty()) ||
                       (kind == "VolumeSnapshot" && group == "snapshot.storage.k8s.io");
    if (!known) {
      json::remove(*spec, "dataSource");
      source = nullptr;
    }
  }
  if (!source == !reference) return;
  if (!source && !json::get_string(*reference, "namespace").empty()) return;
  Value copy = json::copy(source ? *source : *reference, alloc);
  json::set(*spec, source ? "dataSourceRef" : "dataSource", std::move(copy), alloc);
}

// An update strategy's maxUnavailable is behind a gate that is closed.
void drop_max_unavailable(Value& set, const Value* old) {
  if (old && !member(*old, {"spec", "updateStrategy", "rollingUpdate", "maxUnavailable"}).IsNull()) return;
  if (Value* rolling = json::find(set, {"spec", "updateStrategy", "rollingUpdate"}))
    json::remove(*rolling, "maxUnavailable");
}

// Members of the spec whose gates are closed: those that were there before stay.
void drop_gated(Value& object, const Value* old, std::initializer_list<std::string_view> names) {
  Value* spec = json::find(object, "spec");
  if (!spec || !spec->IsObject()) return;
  for (const std::string_view name : names) {
    if (!old || member(*old, {"spec", name}).IsNull()) json::remove(*spec, name);
  }
}

bool externally_accessible(const Value& service) {
  const std::string_view type = json::get_string(service, {"spec", "type"});
  const Value& external = member(service, {"spec", "externalIPs"});
  return type == "LoadBalancer" || type == "NodePort" ||
         (type == "ClusterIP" && external.IsArray() && !external.Empty());
}

bool needs_health_port(const Value& service) {
  return json::get_string(service, {"spec", "type"}) == "LoadBalancer" &&
         json::get_string(service, {"spec", "externalTrafficPolicy"}) == "Local";
}

std::set<int64_t> node_ports(const Value& service) {
  std::set<int64_t> out;
  const Value& ports = member(service, {"spec", "ports"});
  if (!ports.IsArray()) return out;
  for (const Value& port : ports.GetArray()) {
    if (const int64_t number = json::get_int(port, "nodePort"); number != 0) out.insert(number);
  }
  return out;
}

// Conditions that were just set have times.
void stamp_conditions(Value& request, const Value& old, WallTime now, Allocator& alloc) {
  Value* conditions = json::find(request, {"status", "conditions"});
  if (!conditions || !conditions->IsArray()) return;
  const Value& before = member(old, {"status", "conditions"});
  for (Value& condition : conditions->GetArray()) {
    if (json::get_string(condition, "lastUpdateTime").empty())
      json::set(condition, "lastUpdateTime", format_time(now), alloc);
    if (!json::get_string(condition, "lastTransitionTime").empty()) continue;
    std::string time = format_time(now);
    if (before.IsArray()) {
      for (const Value& earlier : before.GetArray()) {
        const bool same = json::get_string(earlier, "type") == json::get_string(condition, "type") &&
                          json::get_string(earlier, "status") == json::get_string(condition, "status");
        if (same && !json::get_string(earlier, "lastTransitionTime").empty()) {
          time = json::get_string(earlier, "lastTransitionTime");
          break;
        }
      }
    }
    json::set(condition, "lastTransitionTime", time, alloc);
  }
}

// Decisions stay as they were where their number has not changed.
void keep_conditions(Value& request, const Value& old, std::string_view type, Allocator& alloc) {
  Value* conditions = json::find(request, {"status", "conditions"});
  const Value& before = member(old, {"status", "conditions"});
  const auto of_type = [&](const auto& list) {
    std::vector<rapidjson::SizeType> out;
    if (!list.IsArray()) return out;
    for (rapidjson::SizeType i = 0; i < list.Size(); ++i) {
      if (json::get_string(list[i], "type") == type) out.push_back(i);
    }
    return out;
  };
  if (!conditions) return;
  const auto now = of_type(*conditions), then = of_type(before);
  if (now.size() != then.size()) return;
  for (size_t i = 0; i < now.size(); ++i) (*conditions)[now[i]] = json::copy(before[then[i]], alloc);
}

}  // namespace

void new_pod(Value& pod, const Preparation& preparation, Allocator& alloc) {
  Value status(rapidjson::kObjectType);
  json::set(status, "phase", "Pending", alloc);
  const Value* gates = json::find(pod, {"spec", "schedulingGates"});
  if (gates && gates->IsArray() && !gates->Empty()) {
    Value condition(rapidjson::kObjectType);
    json::set(condition, "type", "PodScheduled", alloc);
    json::set(condition, "status", "False", alloc);
    json::set(condition, "lastProbeTime", Value(), alloc);
    json::set(condition, "lastTransitionTime", format_time(preparation.now), alloc);
    json::set(condition, "reason", "SchedulingGated", alloc);
    json::set(condition, "message", "Scheduling is blocked due to non-empty scheduling gates", alloc);
    Value conditions(rapidjson::kArrayType);
    conditions.PushBack(condition, alloc);
    json::set(status, "conditions", std::move(conditions), alloc);
  }
  json::set(status, "qosClass", qos_class(pod), alloc);
  json::set(pod, "status", std::move(status), alloc);
  // Defaults are set again when an object is read, and plugins may have given the containers requests since.
  if (json::find(pod, {"spec", "resources", "limits"})) schema::apply_defaults(*schema::find_kind("", "v1", "Pod"), pod, alloc);
}

void new_namespace(Value& ns, const Preparation&, Allocator& alloc) {
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

void new_volume(Value& volume, const Preparation& preparation, Allocator& alloc) {
  Value status(rapidjson::kObjectType);
  json::set(status, "phase", "Pending", alloc);
  json::set(status, "lastPhaseTransitionTime", format_time(preparation.now), alloc);
  json::set(volume, "status", std::move(status), alloc);
}

void volume(Value& volume, const Value& old, std::string_view subresource, const Preparation& preparation,
            Allocator& alloc) {
  if (subresource != "status") return;
  Value& status = json::ensure_object(volume, {"status"}, alloc);
  const std::string_view time = json::get_string(status, "lastPhaseTransitionTime"),
                         old_time = json::get_string(old, {"status", "lastPhaseTransitionTime"});
  const bool same_phase = json::get_string(status, "phase") == json::get_string(old, {"status", "phase"});
  if (same_phase && time.empty()) {
    if (!old_time.empty()) json::set(status, "lastPhaseTransitionTime", old_time, alloc);
  } else if (!same_phase && (time.empty() || time == old_time)) {
    json::set(status, "lastPhaseTransitionTime", format_time(preparation.now), alloc);
  }
}

void new_claim(Value& claim, const Preparation&, Allocator& alloc) {
  Value status(rapidjson::kObjectType);
  json::set(status, "phase", "Pending", alloc);
  json::set(claim, "status", std::move(status), alloc);
  sources_of_claim(claim, nullptr, alloc);
}

void claim(Value& claim, const Value& old, std::string_view subresource, const Preparation&, Allocator& alloc) {
  if (subresource.empty()) sources_of_claim(claim, &old, alloc);
}

void new_daemon_set(Value& set, const Preparation&, Allocator& alloc) {
  set_template_generation(set, std::max<int64_t>(template_generation(set), 1), alloc);
}

void daemon_set(Value& set, const Value& old, std::string_view subresource, const Preparation&, Allocator& alloc) {
  const bool changed =
      subresource.empty() && !json::equal(member(set, {"spec", "template"}), member(old, {"spec", "template"}));
  set_template_generation(set, template_generation(old) + (changed ? 1 : 0), alloc);
}

void new_stateful_set(Value& set, const Preparation&, Allocator&) { drop_max_unavailable(set, nullptr); }

void stateful_set(Value& set, const Value& old, std::string_view, const Preparation&, Allocator&) {
  drop_max_unavailable(set, &old);
}

// Unless its user knows better, a job's pods have its name and uid as labels, and it chooses them by the latter.
void new_job(Value& job, const Preparation&, Allocator& alloc) {
  if (json::get_bool(member(job, {"spec"}), "manualSelector")) return;
  const std::string name(json::get_string(job, {"metadata", "name"})), uid(json::get_string(job, {"metadata", "uid"}));
  constexpr std::string_view kUid = "batch.kubernetes.io/controller-uid";
  // The job's own labels may have come from the template before it got these: they are the same map upstream. And a job
  // that has none takes the template's, with these, whenever upstream reads it.
  Value& labels = json::ensure_object(job, {"spec", "template", "metadata", "labels"}, alloc);
  const Value* own = json::find(job, {"metadata", "labels"});
  const bool shared = !own || !own->IsObject() || own->ObjectEmpty() || json::equal(*own, labels);
  for (const auto& [key, text] : {std::pair<std::string_view, const std::string&>{"job-name", name},
                                  {"batch.kubernetes.io/job-name", name},
                                  {"controller-uid", uid},
                                  {kUid, uid}}) {
    if (!json::find(labels, key)) json::set(labels, key, text, alloc);
  }
  Value copy = json::copy(labels, alloc);
  Value& selected = json::ensure_object(job, {"spec", "selector", "matchLabels"}, alloc);
  if (!json::find(selected, kUid)) json::set(selected, kUid, uid, alloc);
  if (shared) json::set(json::ensure_object(job, {"metadata"}, alloc), "labels", std::move(copy), alloc);
}

// Fields of a type that the service no longer is, where the client left them as they were.
void service(Value& service, const Value& old, std::string_view subresource, const Preparation&, Allocator& alloc) {
  if (!subresource.empty()) return;
  Value& spec = json::ensure_object(service, {"spec"}, alloc);
  const std::string_view type = json::get_string(spec, "type"), old_type = json::get_string(old, {"spec", "type"});
  const Value& old_spec = member(old, {"spec"});
  const auto same = [&](std::string_view key) { return json::equal(member(spec, {key}), member(old_spec, {key})); };
  const auto has_ports = [](std::string_view t) { return t == "NodePort" || t == "LoadBalancer"; };
  if (old_type != "ExternalName" && type == "ExternalName") {
    if (same("clusterIP") && same("clusterIPs")) {
      json::remove(spec, "clusterIP");
      json::remove(spec, "clusterIPs");
    }
    if (same("ipFamilies")) json::remove(spec, "ipFamilies");
    if (same("ipFamilyPolicy")) json::remove(spec, "ipFamilyPolicy");
    json::remove(spec, "internalTrafficPolicy");
  }
  if (has_ports(old_type) && !has_ports(type)) {
    const auto before = node_ports(old), now = node_ports(service);
    Value* ports = json::find(spec, "ports");
    if (std::includes(before.begin(), before.end(), now.begin(), now.end()) && ports && ports->IsArray()) {
      for (Value& port : ports->GetArray()) json::remove(port, "nodePort");
    }
  }
  if (needs_health_port(old) && !needs_health_port(service) && same("healthCheckNodePort"))
    json::remove(spec, "healthCheckNodePort");
  if (old_type == "LoadBalancer" && type != "LoadBalancer") {
    if (same("allocateLoadBalancerNodePorts")) json::remove(spec, "allocateLoadBalancerNodePorts");
    if (same("loadBalancerClass")) json::remove(spec, "loadBalancerClass");
  }
  if (externally_accessible(old) && !externally_accessible(service) && same("externalTrafficPolicy"))
    json::remove(spec, "externalTrafficPolicy");
  if (type != "LoadBalancer")
    json::set(json::ensure_object(service, {"status"}, alloc), "loadBalancer", Value(rapidjson::kObjectType), alloc);
}

// An account refers to secrets by their names only.
void new_account(Value& account, const Preparation&, Allocator& alloc) {
  Value* secrets = json::find(account, "secrets");
  if (!secrets || !secrets->IsArray()) return;
  for (Value& secret : secrets->GetArray()) {
    Value name(rapidjson::kObjectType);
    if (const std::string_view text = json::get_string(secret, "name"); !text.empty()) json::set(name, "name", text, alloc);
    secret = std::move(name);
  }
}

void account(Value& account, const Value&, std::string_view, const Preparation& preparation, Allocator& alloc) { new_account(account, preparation, alloc); }

void new_lease(Value& lease, const Preparation&, Allocator&) { drop_gated(lease, nullptr, {"strategy", "preferredHolder"}); }

void lease(Value& lease, const Value& old, std::string_view, const Preparation&, Allocator&) { drop_gated(lease, &old, {"strategy", "preferredHolder"}); }

// What version 1 does not take any more.
void new_endpoint_slice(Value& slice, const Preparation&, Allocator&) {
  Value* endpoints = json::find(slice, "endpoints");
  if (!endpoints || !endpoints->IsArray()) return;
  for (Value& endpoint : endpoints->GetArray()) json::remove(endpoint, "deprecatedTopology");
}

void endpoint_slice(Value& slice, const Value&, std::string_view, const Preparation& preparation, Allocator& alloc) {
  new_endpoint_slice(slice, preparation, alloc);
}

void new_node(Value& node, const Preparation&, Allocator&) { drop_gated(node, nullptr, {"configSource"}); }

void node(Value& node, const Value& old, std::string_view, const Preparation&, Allocator&) { drop_gated(node, &old, {"configSource"}); }

void new_csi_driver(Value& driver, const Preparation&, Allocator&) { drop_gated(driver, nullptr, {"preventPodSchedulingIfMissing"}); }

// Its generation counts changes from nothing on, not from one.
void csi_driver(Value& driver, const Value& old, std::string_view, const Preparation&, Allocator& alloc) {
  drop_gated(driver, &old, {"preventPodSchedulingIfMissing"});
  if (json::equal(member(driver, {"spec"}), member(old, {"spec"}))) return;
  json::set(json::ensure_object(driver, {"metadata"}, alloc), "generation", Value(json::get_int(member(old, {"metadata"}), "generation") + 1), alloc);
}

void new_limit_range(Value& range, const Preparation&, Allocator& alloc) {
  if (json::get_string(range, {"metadata", "name"}).empty()) json::set(json::ensure_object(range, {"metadata"}, alloc), "name", new_uid(), alloc);
}

void new_signing_request(Value& request, const Preparation& preparation, Allocator& alloc) {
  Value& spec = json::ensure_object(request, {"spec"}, alloc);
  for (std::string_view key : {"username", "uid", "groups", "extra"}) json::remove(spec, key);
  const auth::UserInfo& user = preparation.user;
  const auto list = [&](const std::vector<std::string>& texts) {
    Value out(rapidjson::kArrayType);
    for (const std::string& text : texts) out.PushBack(json::string(text, alloc), alloc);
    return out;
  };
  if (!user.name.empty()) json::set(spec, "username", user.name, alloc);
  if (!user.uid.empty()) json::set(spec, "uid", user.uid, alloc);
  if (!user.groups.empty()) json::set(spec, "groups", list(user.groups), alloc);
  for (const auto& [key, values] : user.extra)
    json::set(json::ensure_object(spec, {"extra"}, alloc), key, list(values), alloc);
}

void signing_request(Value& request, const Value& old, std::string_view subresource, const Preparation& preparation,
                     Allocator& alloc) {
  restore(request, old, "spec", alloc);
  if (subresource == "approval") {
    stamp_conditions(request, old, preparation.now, alloc);
    Value conditions = json::copy(member(request, {"status", "conditions"}), alloc);
    restore(request, old, "status", alloc);
    if (!conditions.IsNull())
      json::set(json::ensure_object(request, {"status"}, alloc), "conditions", std::move(conditions), alloc);
  } else if (subresource == "status") {
    keep_conditions(request, old, "Approved", alloc);
    keep_conditions(request, old, "Denied", alloc);
    stamp_conditions(request, old, preparation.now, alloc);
  }
}

std::string_view qos_class_of(const Value& pod) { return qos_class(pod); }

}  // namespace knarr::apiserver::prepare
