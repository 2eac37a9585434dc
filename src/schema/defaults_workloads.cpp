// Defaults of what makes pods.
#include <limits>

#include "schema/defaults.h"
#include "schema/documents.h"

namespace knarr::schema::defaults {

namespace {

using json::Allocator;
using json::Value;

constexpr std::string_view kRolling = "RollingUpdate";

void deployment_strategy(Value& strategy, Allocator& alloc) {
  if (json::get_string(strategy, "type") != kRolling) return;
  Value& rolling = json::ensure_object(strategy, {"rollingUpdate"}, alloc);
  set_if_absent(rolling, "maxUnavailable", Value("25%"), alloc);
  set_if_absent(rolling, "maxSurge", Value("25%"), alloc);
}

// Numbers that are no pointers in upstream's own structures are there whenever their owner is.
void daemon_set_strategy(Value& strategy, Allocator& alloc) {
  const bool rolls = json::get_string(strategy, "type") == kRolling;
  if (!rolls && json::find(strategy, "rollingUpdate") == nullptr) return;
  Value& rolling = json::ensure_object(strategy, {"rollingUpdate"}, alloc);
  set_if_absent(rolling, "maxUnavailable", Value(rolls ? 1 : 0), alloc);
  set_if_absent(rolling, "maxSurge", Value(0), alloc);
}

// Upstream keeps the revision of the template in an annotation, which is there from the beginning.
void daemon_set(Value& set, Allocator& alloc) {
  constexpr std::string_view kGeneration = "deprecated.daemonset.template.generation";
  set_if_empty(json::ensure_object(set, {"metadata", "annotations"}, alloc), kGeneration, "0", alloc);
}

// Whoever names the strategy without its details has none.
void stateful_set_strategy(Value& strategy, Allocator& alloc) {
  if (json::get_string(strategy, "type").empty()) {
    json::set(strategy, "type", kRolling, alloc);
    json::ensure_object(strategy, {"rollingUpdate"}, alloc);
  }
  Value* rolling = json::find(strategy, "rollingUpdate");
  if (json::get_string(strategy, "type") == kRolling && rolling != nullptr && rolling->IsObject())
    set_if_absent(*rolling, "partition", Value(0), alloc);
}

// Claims in it are whole objects upstream, with kind and version.
void stateful_set_spec(Value& spec, Allocator& alloc) {
  Value* claims = json::find(spec, "volumeClaimTemplates");
  if (claims == nullptr || !claims->IsArray()) return;
  for (Value& claim : claims->GetArray()) {
    if (!claim.IsObject()) continue;
    set_if_empty(claim, "kind", "PersistentVolumeClaim", alloc);
    set_if_empty(claim, "apiVersion", "v1", alloc);
  }
}

// Labels that were not given are those of the pods.
void labels_of_template(Value& object, Allocator& alloc) {
  const Value* labels = json::find(object, {"spec", "template", "metadata", "labels"});
  if (labels == nullptr || !labels->IsObject() || labels->ObjectEmpty()) return;
  Value& metadata = json::ensure_object(object, {"metadata"}, alloc);
  const Value* own = json::find(metadata, "labels");
  if (own != nullptr && own->IsObject() && !own->ObjectEmpty()) return;
  // Looked up again: making room may have moved it.
  Value copy = json::copy(*json::find(object, {"spec", "template", "metadata", "labels"}), alloc);
  json::set(metadata, "labels", std::move(copy), alloc);
}

void replication_controller(Value& controller, Allocator& alloc) {
  const Value* labels = json::find(controller, {"spec", "template", "metadata", "labels"});
  if (labels == nullptr || !labels->IsObject() || labels->ObjectEmpty()) return;
  const Value* selector = json::find(controller, {"spec", "selector"});
  if (selector == nullptr || !selector->IsObject() || selector->ObjectEmpty()) {
    Value copy = json::copy(*labels, alloc);
    json::set(*json::find(controller, "spec"), "selector", std::move(copy), alloc);
  }
  labels_of_template(controller, alloc);
}

void job(Value& job, Allocator& alloc) {
  Value& spec = json::ensure_object(job, {"spec"}, alloc);
  if (json::find(spec, "completions") == nullptr && json::find(spec, "parallelism") == nullptr)
    json::set(spec, "completions", Value(1), alloc);
  set_if_absent(spec, "parallelism", Value(1), alloc);
  const bool per_index = json::find(spec, "backoffLimitPerIndex") != nullptr;
  set_if_absent(spec, "backoffLimit", Value(per_index ? std::numeric_limits<int32_t>::max() : 6), alloc);
  labels_of_template(job, alloc);
  Value& again = *json::find(job, "spec");
  set_if_absent(again, "completionMode", Value("NonIndexed"), alloc);
  set_if_absent(again, "suspend", Value(false), alloc);
  const bool has_policy = json::find(again, "podFailurePolicy") != nullptr;
  set_if_absent(again, "podReplacementPolicy", json::string(has_policy ? "Failed" : "TerminatingOrFailed", alloc),
                alloc);
  set_if_absent(again, "manualSelector", Value(false), alloc);
}

Value scaling_policy(std::string_view type, int amount, Allocator& alloc) {
  Value policy(rapidjson::kObjectType);
  json::set(policy, "type", type, alloc);
  json::set(policy, "value", Value(amount), alloc);
  json::set(policy, "periodSeconds", Value(15), alloc);
  return policy;
}

void behavior(Value& behavior, Allocator& alloc) {
  for (const bool up : {true, false}) {
    Value& rules = json::ensure_object(behavior, {up ? "scaleUp" : "scaleDown"}, alloc);
    if (up) set_if_absent(rules, "stabilizationWindowSeconds", Value(0), alloc);
    set_if_absent(rules, "selectPolicy", Value("Max"), alloc);
    if (json::find(rules, "policies") != nullptr) continue;
    Value policies(rapidjson::kArrayType);
    if (up) policies.PushBack(scaling_policy("Pods", 4, alloc), alloc);
    policies.PushBack(scaling_policy("Percent", 100, alloc), alloc);
    json::set(rules, "policies", std::move(policies), alloc);
  }
}

void autoscaler_spec(Value& spec, Allocator& alloc) {
  if (!items(spec, "metrics").Empty()) return;
  Value metric(rapidjson::kObjectType);
  json::set(metric, "type", "Resource", alloc);
  Value& resource = json::ensure_object(metric, {"resource"}, alloc);
  json::set(resource, "name", "cpu", alloc);
  Value& target = json::ensure_object(resource, {"target"}, alloc);
  json::set(target, "type", "Utilization", alloc);
  json::set(target, "averageUtilization", Value(80), alloc);
  Value metrics(rapidjson::kArrayType);
  metrics.PushBack(metric, alloc);
  json::set(spec, "metrics", std::move(metrics), alloc);
}

// Version 1 shows the metric that there is when none was asked for.
void autoscaler_v1(Value& autoscaler, Allocator& alloc) {
  if (!json::get_string(autoscaler, {"metadata", "annotations", "autoscaling.alpha.kubernetes.io/metrics"}).empty()) return;
  set_if_absent(json::ensure_object(autoscaler, {"spec"}, alloc), "targetCPUUtilizationPercentage", Value(80), alloc);
}

}  // namespace

void add_workload_rules(Rules& rules) {
  add(rules, "apps/v1.DaemonSet", daemon_set);
  add(rules, "apps/v1.DaemonSetUpdateStrategy", daemon_set_strategy);
  add(rules, "apps/v1.DeploymentStrategy", deployment_strategy);
  add(rules, "apps/v1.StatefulSetSpec", stateful_set_spec);
  add(rules, "apps/v1.StatefulSetUpdateStrategy", stateful_set_strategy);
  add(rules, "autoscaling/v1.HorizontalPodAutoscaler", autoscaler_v1);
  add(rules, "autoscaling/v2.HorizontalPodAutoscalerBehavior", behavior);
  add(rules, "autoscaling/v2.HorizontalPodAutoscalerSpec", autoscaler_spec);
  add(rules, "batch/v1.Job", job);
  add(rules, "core/v1.ReplicationController", replication_controller);
}

}  // namespace knarr::schema::defaults
