// Defaults of the kinds that neither are pods nor make them.
#include "knarr/base/clock.h"
#include "knarr/codec/time.h"
#include "schema/defaults.h"
#include "schema/documents.h"

namespace knarr::schema::defaults {

namespace {

using json::Allocator;
using json::Value;

// Limits of containers: what is not said follows from what is.
void limit_range_item(Value& item, Allocator& alloc) {
  if (json::get_string(item, "type") != "Container") return;
  copy_missing(item, "default", "max", alloc);
  copy_missing(item, "defaultRequest", "default", alloc);
  copy_missing(item, "defaultRequest", "min", alloc);
}

void network_policy_spec(Value& spec, Allocator& alloc) {
  if (!items(spec, "policyTypes").Empty()) return;
  Value types(rapidjson::kArrayType);
  types.PushBack("Ingress", alloc);
  if (!items(spec, "egress").Empty()) types.PushBack("Egress", alloc);
  json::set(spec, "policyTypes", std::move(types), alloc);
}

void subject(Value& subject, Allocator& alloc) {
  const std::string_view kind = json::get_string(subject, "kind");
  if (kind == "User" || kind == "Group") set_if_empty(subject, "apiGroup", "rbac.authorization.k8s.io", alloc);
}

void device_request(Value& request, Allocator& alloc) {
  if (json::get_string(request, "allocationMode") == "ExactCount" && json::get_int(request, "count") == 0)
    json::set(request, "count", Value(1), alloc);
}

void device_taint(Value& taint, Allocator& alloc) {
  set_if_empty(taint, "timeAdded", format_time(Clock::system().wall()), alloc);
}

void definition_spec(Value& spec, Allocator& alloc) {
  Value& names = json::ensure_object(spec, {"names"}, alloc);
  const std::string kind(json::get_string(names, "kind"));
  std::string singular = kind;
  for (char& c : singular) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (!singular.empty()) set_if_empty(names, "singular", singular, alloc);
  if (!kind.empty()) set_if_empty(names, "listKind", kind + "List", alloc);
}

void definition(Value& definition, Allocator& alloc) {
  const Value& spec = child(definition, "spec");
  if (!items(child(definition, "status"), "storedVersions").Empty()) return;
  for (const Value& version : items(spec, "versions")) {
    if (!json::get_bool(version, "storage")) continue;
    Value stored(rapidjson::kArrayType);
    stored.PushBack(json::string(json::get_string(version, "name"), alloc), alloc);
    json::set(json::ensure_object(definition, {"status"}, alloc), "storedVersions", std::move(stored), alloc);
    return;
  }
}

}  // namespace

void add_other_rules(Rules& rules) {
  add(rules, "apiextensions/v1.CustomResourceDefinition", definition);
  add(rules, "apiextensions/v1.CustomResourceDefinitionSpec", definition_spec);
  add(rules, "core/v1.LimitRangeItem", limit_range_item);
  add(rules, "networking/v1.NetworkPolicySpec", network_policy_spec);
  add(rules, "rbac/v1.Subject", subject);
  add(rules, "resource/v1.DeviceSubRequest", device_request);
  add(rules, "resource/v1.DeviceTaint", device_taint);
  add(rules, "resource/v1.ExactDeviceRequest", device_request);
}

}  // namespace knarr::schema::defaults
