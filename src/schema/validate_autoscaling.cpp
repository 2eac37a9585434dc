// HorizontalPodAutoscalers (upstream: pkg/apis/autoscaling/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace autoscaling = api::autoscaling::v2;

namespace {

constexpr int32_t kMaxPeriodSeconds = 1800, kMaxWindowSeconds = 3600;

void path_segment(const std::string& value, const Path& path, FieldErrors& errors, std::string_view when_absent = "") {
  if (value.empty()) return errors.required(path, when_absent);
  errors.invalid(path, value, names::path_segment_name(value));
}

enum class ApiVersions { kWithGroup, kAnyGroup, kAny };

void object_reference(const autoscaling::CrossVersionObjectReference& ref, ApiVersions allowed, const Path& path, FieldErrors& errors) {
  path_segment(ref.kind, path.child("kind"), errors);
  path_segment(ref.name, path.child("name"), errors);
  if (allowed == ApiVersions::kAny) return;
  const std::string& version = ref.apiVersion;
  if (version != "/" && std::count(version.begin(), version.end(), '/') > 1) {
    errors.invalid(path.child("apiVersion"), version, "unexpected GroupVersion string: " + version);
  } else if (allowed == ApiVersions::kWithGroup && (version.find('/') == version.npos || version.front() == '/')) {
    errors.invalid(path.child("apiVersion"), version, "apiVersion must specify API group");
  }
}

void metric_target(const autoscaling::MetricTarget& target, const Path& path, FieldErrors& errors) {
  if (target.type.empty()) errors.required(path.child("type"), "must specify a metric target type");
  if (target.type != "Utilization" && target.type != "Value" && target.type != "AverageValue")
    errors.invalid(path.child("type"), target.type, "must be either Utilization, Value, or AverageValue");
  for (const auto& [name, amount] : {std::pair("value", &target.value), std::pair("averageValue", &target.averageValue)}) {
    if (*amount && Quantity::parse_or_zero(**amount).sign() <= 0) errors.invalid(path.child(name), **amount, "must be positive");
  }
  if (target.averageUtilization && *target.averageUtilization < 1)
    errors.invalid(path.child("averageUtilization"), *target.averageUtilization, "must be greater than 0");
}

void metric_name(const autoscaling::MetricIdentifier& metric, const Path& path, FieldErrors& errors) {
  path_segment(metric.name, path.child("metric", "name"), errors, "must specify a metric name");
}

// Of the pods or of one of their containers: a value or a share of what they asked for.
void resource_target(const autoscaling::MetricTarget& target, const Path& path, FieldErrors& errors) {
  metric_target(target, path, errors);
  if (!target.averageUtilization && !target.averageValue)
    errors.required(path.child("averageUtilization"), "must set either a target raw value or a target utilization");
  if (target.averageUtilization && target.averageValue)
    errors.forbidden(path.child("averageValue"), "may not set both a target raw value and a target utilization");
}

void check(const autoscaling::ObjectMetricSource& source, ApiVersions allowed, const Path& path, FieldErrors& errors) {
  object_reference(source.describedObject, allowed, path.child("describedObject"), errors);
  metric_name(source.metric, path, errors);
  metric_target(source.target, path.child("target"), errors);
  if (!source.target.value && !source.target.averageValue)
    errors.required(path.child("target", "averageValue"), "must set either a target value or averageValue");
}

void check(const autoscaling::ExternalMetricSource& source, ApiVersions, const Path& path, FieldErrors& errors) {
  metric_name(source.metric, path, errors);
  metric_target(source.target, path.child("target"), errors);
  if (!source.target.value && !source.target.averageValue)
    errors.required(path.child("target", "averageValue"), "must set either a target value for metric or a per-pod target");
  if (source.target.value && source.target.averageValue)
    errors.forbidden(path.child("target", "value"), "may not set both a target value for metric and a per-pod target");
}

void check(const autoscaling::PodsMetricSource& source, ApiVersions, const Path& path, FieldErrors& errors) {
  metric_name(source.metric, path, errors);
  metric_target(source.target, path.child("target"), errors);
  if (!source.target.averageValue) errors.required(path.child("target", "averageValue"), "must specify a positive target averageValue");
}

void check(const autoscaling::ResourceMetricSource& source, ApiVersions, const Path& path, FieldErrors& errors) {
  if (source.name.empty()) errors.required(path.child("name"), "must specify a resource name");
  resource_target(source.target, path.child("target"), errors);
}

void check(const autoscaling::ContainerResourceMetricSource& source, ApiVersions, const Path& path, FieldErrors& errors) {
  if (source.name.empty()) {
    errors.required(path.child("name"), "must specify a resource name");
  } else {
    container_resource_name(source.name, path.child("name"), errors);
  }
  if (source.container.empty()) {
    errors.required(path.child("container"), "must specify a container");
  } else {
    errors.invalid(path.child("container"), source.container, names::dns1123_label(source.container));
  }
  resource_target(source.target, path.child("target"), errors);
}

bool metric_type(const std::string& type, const Path& path, FieldErrors& errors) {
  return errors.one_of(path.child("type"), type, {"ContainerResource", "External", "Object", "Pods", "Resource"});
}

void metric(const autoscaling::MetricSpec& spec, ApiVersions allowed, const Path& path, FieldErrors& errors) {
  if (spec.type.empty()) errors.required(path.child("type"), "must specify a metric source type");
  const bool known = metric_type(spec.type, path, errors);
  std::set<std::string_view> present;
  auto source = [&](const auto& s, std::string_view name) {
    if (!s) return;
    present.insert(name);
    if (present.size() == 1) check(*s, allowed, path.child(name), errors);
  };
  source(spec.object, "object");
  source(spec.external, "external");
  source(spec.pods, "pods");
  source(spec.resource, "resource");
  source(spec.containerResource, "containerResource");
  std::string expected = spec.type;
  if (!known) {
    metric_type(spec.type, path, errors);
  } else {
    expected[0] = static_cast<char>(expected[0] + 32);
    if (!present.count(expected)) errors.required(path.child(expected), "must populate information for the given metric source");
  }
  if (present.size() == 1) return;
  for (std::string_view name : present) {
    if (name != expected) errors.forbidden(path.child(name), "must populate the given metric source only");
  }
}

void scaling_rules(const api::Box<autoscaling::HPAScalingRules>& rules, const Path& path, FieldErrors& errors) {
  if (!rules) return;
  const Path window = path.child("stabilizationWindowSeconds"), policies = path.child("policies");
  const int32_t seconds = rules->stabilizationWindowSeconds.value_or(0);
  if (seconds < 0) errors.invalid(window, seconds, "must be greater than or equal to zero");
  if (seconds > kMaxWindowSeconds) errors.invalid(window, seconds, fmt::format("must be less than or equal to {}", kMaxWindowSeconds));
  if (rules->selectPolicy) errors.one_of(path.child("selectPolicy"), *rules->selectPolicy, {"Disabled", "Max", "Min"});
  if (rules->policies.empty()) errors.required(policies, "must specify at least one Policy");
  for (size_t i = 0; i < rules->policies.size(); ++i) {
    const auto& policy = rules->policies[i];
    const Path at = policies.index(i), period = at.child("periodSeconds");
    errors.one_of(at.child("type"), policy.type, {"Percent", "Pods"});
    if (policy.value <= 0) errors.invalid(at.child("value"), policy.value, "must be greater than zero");
    if (policy.periodSeconds <= 0) errors.invalid(period, policy.periodSeconds, "must be greater than zero");
    if (policy.periodSeconds > kMaxPeriodSeconds)
      errors.invalid(period, policy.periodSeconds, fmt::format("must be less than or equal to {}", kMaxPeriodSeconds));
  }
  if (rules->tolerance && Quantity::parse_or_zero(*rules->tolerance).sign() < 0)
    errors.invalid(path.child("tolerance"), *rules->tolerance, "must be greater than or equal to 0");
}

void autoscaler_spec(const autoscaling::HorizontalPodAutoscalerSpec& spec, const autoscaling::HorizontalPodAutoscalerSpec* old, const Path& path,
                     FieldErrors& errors) {
  const Path min = path.child("minReplicas"), max = path.child("maxReplicas");
  const int32_t lowest = old && old->minReplicas == 0 ? 0 : 1;
  if (spec.minReplicas && *spec.minReplicas < lowest) errors.invalid(min, *spec.minReplicas, fmt::format("must be greater than or equal to {}", lowest));
  if (spec.maxReplicas == 0) {
    errors.required(max, "must be set and greater than 0");
  } else if (spec.maxReplicas < 0) {
    errors.invalid(max, spec.maxReplicas, "must be greater than or equal to 1");
  }
  if (spec.minReplicas && spec.maxReplicas < *spec.minReplicas)
    errors.invalid(max, spec.maxReplicas, "must be greater than or equal to `minReplicas`");
  const auto& target = spec.scaleTargetRef;
  const bool same = old && old->scaleTargetRef.apiVersion == target.apiVersion && old->scaleTargetRef.kind == target.kind;
  const ApiVersions allowed = same                                     ? ApiVersions::kAny
                              : target.kind == "ReplicationController" ? ApiVersions::kAnyGroup
                                                                       : ApiVersions::kWithGroup;
  object_reference(target, allowed, path.child("scaleTargetRef"), errors);
  bool of_others = false;  // metrics that are there without any pod
  for (size_t i = 0; i < spec.metrics.size(); ++i) {
    metric(spec.metrics[i], ApiVersions::kAnyGroup, path.child("metrics").index(i), errors);
    of_others = of_others || spec.metrics[i].type == "Object" || spec.metrics[i].type == "External";
  }
  if (spec.minReplicas == 0 && !of_others)
    errors.forbidden(path.child("metrics"), "must specify at least one Object or External metric to support scaling to zero replicas");
  if (!spec.behavior) return;
  scaling_rules(spec.behavior->scaleUp, path.child("behavior", "scaleUp"), errors);
  scaling_rules(spec.behavior->scaleDown, path.child("behavior", "scaleDown"), errors);
}

}  // namespace

void autoscaler(const autoscaling::HorizontalPodAutoscaler& a, const autoscaling::HorizontalPodAutoscaler* old, FieldErrors& errors) {
  object_meta(a.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (old && !(a.status == old->status)) {
    errors.non_negative(Path("status.currentReplicas"), a.status.currentReplicas);
    errors.non_negative(Path("status.desiredReplicas"), a.status.desiredReplicas);
    return;
  }
  autoscaler_spec(a.spec, old ? &old->spec : nullptr, Path("spec"), errors);
}

}  // namespace knarr::schema::validation
