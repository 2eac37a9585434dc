// Objects between the versions of one resource.
//
// autoscaling/v1 keeps what it has no fields for in annotations, as upstream does, so that nothing is lost on the way
// there and back. The two kinds of Event have the same content under other names.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "knarr/schema/machinery.h"
#include "schema/documents.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Document;
using json::Value;

void rename(Value& object, std::string_view from, std::string_view to, Allocator& alloc) {
  Value* value = json::find(object, from);
  if (value == nullptr) return;
  Value moved = std::move(*value);
  json::remove(object, from);
  json::set(object, to, std::move(moved), alloc);
}

void copy_member(const Value& from, std::string_view from_key, Value& to, std::string_view to_key, Allocator& alloc) {
  if (const Value* value = json::find(from, from_key); value != nullptr && !value->IsNull())
    json::set(to, to_key, json::copy(*value, alloc), alloc);
}

// Events: names in core/v1 and in events.k8s.io/v1.
constexpr std::pair<std::string_view, std::string_view> kEventNames[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
};

void convert_event(bool to_core, Value& event, Allocator& alloc) {
  for (const auto& [core, newer] : kEventNames) rename(event, to_core ? newer : core, to_core ? core : newer, alloc);
}

// Autoscaling.
constexpr std::string_view kMetrics = "autoscaling.alpha.kubernetes.io/metrics";
constexpr std::string_view kCurrentMetrics = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr std::string_view kConditions = "autoscaling.alpha.kubernetes.io/conditions";
constexpr std::string_view kBehavior = "autoscaling.alpha.kubernetes.io/behavior";
constexpr std::string_view kCurrentPercentage = "currentCPUUtilizationPercentage";
constexpr std::string_view kRoundTrip[] = {kMetrics,
                                           kBehavior,
                                           "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
                                           "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
                                           kCurrentMetrics,
                                           kConditions};

// Where the parts of a metric stand: {member in v2, below it, member in v1}.
struct Place {
  std::string_view outer, inner, flat;
};
struct Metric {
  std::string_view name;  // of the member: resource, pods, ...
  std::span<const Place> spec, status;
};
constexpr Place kResourceSpec[] = {{"target", "averageUtilization", "targetAverageUtilization"},
                                   {"target", "averageValue", "targetAverageValue"}};
constexpr Place kResourceStatus[] = {{"current", "averageUtilization", "currentAverageUtilization"},
                                     {"current", "averageValue", "currentAverageValue"}};
constexpr Place kPodsSpec[] = {{"metric", "name", "metricName"},
                               {"target", "averageValue", "targetAverageValue"},
                               {"metric", "selector", "selector"}};
constexpr Place kPodsStatus[] = {{"metric", "name", "metricName"},
                                 {"current", "averageValue", "currentAverageValue"},
                                 {"metric", "selector", "selector"}};
constexpr Place kObjectSpec[] = {{"", "describedObject", "target"},
                                 {"metric", "name", "metricName"},
                                 {"target", "value", "targetValue"},
                                 {"metric", "selector", "selector"},
                                 {"target", "averageValue", "averageValue"}};
constexpr Place kObjectStatus[] = {{"", "describedObject", "target"},
                                   {"metric", "name", "metricName"},
                                   {"current", "value", "currentValue"},
                                   {"metric", "selector", "selector"},
                                   {"current", "averageValue", "averageValue"}};
constexpr Place kExternalSpec[] = {{"metric", "name", "metricName"},
                                   {"metric", "selector", "metricSelector"},
                                   {"target", "value", "targetValue"},
                                   {"target", "averageValue", "targetAverageValue"}};
constexpr Place kExternalStatus[] = {{"metric", "name", "metricName"},
                                     {"metric", "selector", "metricSelector"},
                                     {"current", "value", "currentValue"},
                                     {"current", "averageValue", "currentAverageValue"}};
constexpr Metric kMetricKinds[] = {{"object", kObjectSpec, kObjectStatus},
                                   {"pods", kPodsSpec, kPodsStatus},
                                   {"resource", kResourceSpec, kResourceStatus},
                                   {"containerResource", kResourceSpec, kResourceStatus},
                                   {"external", kExternalSpec, kExternalStatus}};

// Amounts that v1 writes even where v2 has none.
bool always_written(std::string_view metric, std::string_view flat) {
  if (metric == "object") return flat == "targetValue" || flat == "currentValue";
  if (metric == "pods") return flat == "targetAverageValue" || flat == "currentAverageValue";
  if (metric == "external") return flat == "currentValue";
  return flat == "currentAverageValue";
}

Value flat_metric(const Value& metric, bool status, Allocator& alloc) {
  Value out(rapidjson::kObjectType);
  copy_member(metric, "type", out, "type", alloc);
  for (const Metric& kind : kMetricKinds) {
    const Value* source = json::find(metric, kind.name);
    if (source == nullptr || !source->IsObject()) continue;
    Value flat(rapidjson::kObjectType);
    copy_member(*source, "name", flat, "name", alloc);
    for (const Place& place : status ? kind.status : kind.spec) {
      copy_member(place.outer.empty() ? *source : child(*source, place.outer), place.inner, flat, place.flat, alloc);
      if (json::find(flat, place.flat) == nullptr && always_written(kind.name, place.flat))
        json::set(flat, place.flat, "0", alloc);
    }
    copy_member(*source, "container", flat, "container", alloc);
    json::set(out, kind.name, std::move(flat), alloc);
  }
  return out;
}

bool is_zero_amount(const Value* amount) {
  return amount == nullptr || (amount->IsString() && json::view(*amount) == "0") ||
         (amount->IsNumber() && amount->GetDouble() == 0);
}

// What a target of v2 is called; v1 has no such word.
std::string_view target_type(std::string_view kind, const Value& flat) {
  if (kind == "pods") return "AverageValue";
  if (kind == "object") return json::find(flat, "averageValue") ? "AverageValue" : "Value";
  if (kind == "external") return json::find(flat, "targetValue") ? "Value" : "AverageValue";
  if (kind == "containerResource" || kind == "resource")
    return json::find(flat, "targetAverageUtilization") ? "Utilization" : "AverageValue";
  return "";
}

Value nested_metric(const Value& metric, bool status, Allocator& alloc) {
  Value out(rapidjson::kObjectType);
  copy_member(metric, "type", out, "type", alloc);
  for (const Metric& kind : kMetricKinds) {
    const Value* flat = json::find(metric, kind.name);
    if (flat == nullptr || !flat->IsObject()) continue;
    Value nested(rapidjson::kObjectType);
    copy_member(*flat, "name", nested, "name", alloc);
    copy_member(*flat, "container", nested, "container", alloc);
    if (!status)
      json::set(json::ensure_object(nested, {"target"}, alloc), "type", target_type(kind.name, *flat), alloc);
    for (const Place& place : status ? kind.status : kind.spec) {
      const bool zero_of_average = kind.name == "object" && place.flat == "targetValue" &&
                                   json::find(*flat, "averageValue") != nullptr &&
                                   is_zero_amount(json::find(*flat, place.flat));
      if (json::find(*flat, place.flat) == nullptr || zero_of_average) continue;
      Value& holder = place.outer.empty() ? nested : json::ensure_object(nested, {place.outer}, alloc);
      copy_member(*flat, place.flat, holder, place.inner, alloc);
    }
    json::set(out, kind.name, std::move(nested), alloc);
  }
  return out;
}

// Upstream keeps the behavior as its internal type, whose members have Go's names and are all written.
void go_rules(std::string& out, const Value* rules) {
  if (rules == nullptr || !rules->IsObject()) {
    out += "null";
    return;
  }
  const auto member = [&](std::string_view key) {
    const Value* value = json::find(*rules, key);
    return value == nullptr ? std::string("null") : json::dump(*value);
  };
  out += fmt::format(R"({{"StabilizationWindowSeconds":{},"SelectPolicy":{},"Policies":)",
                     member("stabilizationWindowSeconds"), member("selectPolicy"));
  if (json::find(*rules, "policies") == nullptr) {
    out += "null";
  } else {
    std::string list;
    for (const Value& policy : items(*rules, "policies")) {
      list += list.empty() ? "[" : ",";
      list += "{\"Type\":";
      json::append_quoted(list, json::get_string(policy, "type"));
      list += fmt::format(",\"Value\":{},\"PeriodSeconds\":{}}}", json::get_int(policy, "value"),
                          json::get_int(policy, "periodSeconds"));
    }
    out += list.empty() ? "[]" : list + "]";
  }
  out += fmt::format(",\"Tolerance\":{}}}", member("tolerance"));
}

std::string go_behavior(const Value& behavior) {
  std::string out = "{\"ScaleUp\":";
  go_rules(out, json::find(behavior, "scaleUp"));
  out += ",\"ScaleDown\":";
  go_rules(out, json::find(behavior, "scaleDown"));
  return out + "}";
}

// Members with Go's names as the API has them: PeriodSeconds becomes periodSeconds. Nulls are left out.
Value api_names(const Value& value, Allocator& alloc) {
  if (value.IsArray()) {
    Value out(rapidjson::kArrayType);
    for (const Value& item : value.GetArray()) out.PushBack(api_names(item, alloc), alloc);
    return out;
  }
  if (!value.IsObject()) return json::copy(value, alloc);
  Value out(rapidjson::kObjectType);
  for (const auto& [key, member] : value.GetObject()) {
    if (member.IsNull()) continue;
    std::string name(json::view(key));
    if (!name.empty() && name[0] >= 'A' && name[0] <= 'Z') name[0] = static_cast<char>(name[0] - 'A' + 'a');
    json::set(out, name, api_names(member, alloc), alloc);
  }
  return out;
}

bool is_cpu_utilization(const Value& metric, std::string_view part) {
  return json::get_string(metric, "type") == "Resource" && json::get_string(metric, {"resource", "name"}) == "cpu" &&
         json::find(metric, {"resource", part, "averageUtilization"}) != nullptr;
}

void drop_round_trip(Value& object) {
  Value* annotations = json::find(object, {"metadata", "annotations"});
  if (annotations == nullptr || !annotations->IsObject()) return;
  for (std::string_view name : kRoundTrip) json::remove(*annotations, name);
  if (annotations->ObjectEmpty()) json::remove(*json::find(object, "metadata"), "annotations");
}

void annotate(Value& object, std::string_view name, const std::string& text, Allocator& alloc) {
  json::set(json::ensure_object(object, {"metadata", "annotations"}, alloc), name, text, alloc);
}

void autoscaler_to_v1(Value& hpa, Allocator& alloc) {
  drop_round_trip(hpa);
  Value* spec = json::find(hpa, "spec");
  if (spec != nullptr && spec->IsObject()) {
    Value others(rapidjson::kArrayType);
    bool found = false;
    for (const Value& metric : items(*spec, "metrics")) {
      if (!is_cpu_utilization(metric, "target")) {
        others.PushBack(flat_metric(metric, false, alloc), alloc);
      } else if (!std::exchange(found, true)) {
        copy_member(child(child(metric, "resource"), "target"), "averageUtilization", *spec,
                    "targetCPUUtilizationPercentage", alloc);
      }
    }
    if (!others.Empty()) annotate(hpa, kMetrics, json::dump(others), alloc);
    if (const Value* behavior = json::find(*spec, "behavior"); behavior != nullptr && behavior->IsObject())
      annotate(hpa, kBehavior, go_behavior(*behavior), alloc);
    json::remove(*spec, "metrics");
    json::remove(*spec, "behavior");
  }
  Value* status = json::find(hpa, "status");
  if (status == nullptr || !status->IsObject()) return;
  if (const auto metrics = items(*status, "currentMetrics"); !metrics.Empty()) {
    Value flat(rapidjson::kArrayType);
    for (const Value& metric : metrics) {
      flat.PushBack(flat_metric(metric, true, alloc), alloc);
      if (is_cpu_utilization(metric, "current") && json::find(*status, kCurrentPercentage) == nullptr)
        copy_member(child(child(metric, "resource"), "current"), "averageUtilization", *status, kCurrentPercentage,
                    alloc);
    }
    annotate(hpa, kCurrentMetrics, json::dump(flat), alloc);
  }
  if (const Value* conditions = json::find(*status, "conditions");
      conditions != nullptr && !items(*status, "conditions").Empty())
    annotate(hpa, kConditions, json::dump(*conditions), alloc);
  json::remove(*status, "currentMetrics");
  json::remove(*status, "conditions");
}

// The list in an annotation; null when it is absent or no list.
Document annotated(const Value& hpa, std::string_view name) {
  auto document = json::parse(json::get_string(hpa, {"metadata", "annotations", name}));
  return document.ok() ? std::move(*document) : Document();
}

Value cpu_metric(Value utilization, Allocator& alloc) {
  Value metric(rapidjson::kObjectType);
  json::set(metric, "type", "Resource", alloc);
  Value& resource = json::ensure_object(metric, {"resource"}, alloc);
  json::set(resource, "name", "cpu", alloc);
  Value& target = json::ensure_object(resource, {"target"}, alloc);
  json::set(target, "type", "Utilization", alloc);
  json::set(target, "averageUtilization", std::move(utilization), alloc);
  return metric;
}

void autoscaler_to_v2(Value& hpa, Allocator& alloc) {
  Value& spec = json::ensure_object(hpa, {"spec"}, alloc);
  Value metrics(rapidjson::kArrayType);
  if (const Document others = annotated(hpa, kMetrics); others.IsArray()) {
    for (const Value& metric : others.GetArray()) metrics.PushBack(nested_metric(metric, false, alloc), alloc);
  }
  if (const Value* percentage = json::find(spec, "targetCPUUtilizationPercentage");
      percentage != nullptr && percentage->IsInt())
    metrics.PushBack(cpu_metric(json::copy(*percentage, alloc), alloc), alloc);
  if (metrics.Empty()) metrics.PushBack(cpu_metric(Value(80), alloc), alloc);
  json::remove(spec, "targetCPUUtilizationPercentage");
  json::set(spec, "metrics", std::move(metrics), alloc);
  if (const Document behavior = annotated(hpa, kBehavior); behavior.IsObject()) {
    Value rules = api_names(behavior, alloc);
    if (!rules.ObjectEmpty()) json::set(spec, "behavior", std::move(rules), alloc);
  }
  Value& status = json::ensure_object(hpa, {"status"}, alloc);
  if (const Value* percentage = json::find(status, kCurrentPercentage); percentage != nullptr && percentage->IsInt()) {
    Value metric(rapidjson::kObjectType);
    json::set(metric, "type", "Resource", alloc);
    json::set(json::ensure_object(metric, {"resource"}, alloc), "name", "cpu", alloc);
    json::set(json::ensure_object(metric, {"resource", "current"}, alloc), "averageUtilization",
              json::copy(*percentage, alloc), alloc);
    Value list(rapidjson::kArrayType);
    list.PushBack(metric, alloc);
    json::set(status, "currentMetrics", std::move(list), alloc);
    json::remove(status, kCurrentPercentage);
  }
  if (const Document current = annotated(hpa, kCurrentMetrics); current.IsArray()) {
    Value list(rapidjson::kArrayType);
    for (const Value& metric : current.GetArray()) list.PushBack(nested_metric(metric, true, alloc), alloc);
    json::set(status, "currentMetrics", std::move(list), alloc);
  }
  if (const Document conditions = annotated(hpa, kConditions); conditions.IsArray())
    json::set(status, "conditions", json::copy(conditions, alloc), alloc);
  drop_round_trip(hpa);
}

}  // namespace

Status convert(const Resource& from, const Resource& to, Value& object, Allocator& alloc) {
  if (from.storage_name != to.storage_name)
    return Status(500, reason::kInternalError,
                  fmt::format("cannot convert {} of {}/{} to {} of {}/{}: they are not versions of one resource",
                              from.kind, from.group, from.version, to.kind, to.group, to.version));
  if (!object.IsObject() || (from.group == to.group && from.version == to.version)) return Status::OK();
  const std::string version = to.group.empty() ? std::string(to.version) : fmt::format("{}/{}", to.group, to.version);
  json::set(object, "apiVersion", version, alloc);
  if (to.custom != nullptr) return Status::OK();
  if (to.storage_name == "events") {
    convert_event(to.group.empty(), object, alloc);
  } else if (to.kind == "HorizontalPodAutoscaler") {
    to.version == "v1" ? autoscaler_to_v1(object, alloc) : autoscaler_to_v2(object, alloc);
  }
  // What is left out when empty differs between the versions.
  std::vector<std::string> unknown;
  KNARR_RETURN_IF_ERROR(normalize(*to.type, object, alloc, unknown));
  apply_defaults(to, object, alloc);
  return Status::OK();
}

}  // namespace knarr::schema
