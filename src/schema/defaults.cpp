// Defaulting, driven by the tables: whatever a type says of its absent fields holds wherever the type stands, in a Pod as in the
// template of what makes Pods. Rules that look at more than one field are the functions below, registered by type.
#include <algorithm>
#include <map>
#include <optional>

#include "knarr/codec/base64.h"
#include "knarr/codec/quantity.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "schema/defaults.h"
#include "schema/documents.h"

namespace knarr::schema {

using json::Allocator;
using json::Value;

namespace defaults {

void set_if_empty(Value& object, std::string_view key, std::string_view text, Allocator& alloc) {
  if (json::get_string(object, key).empty()) json::set(object, key, text, alloc);
}

void set_if_absent(Value& object, std::string_view key, Value value, Allocator& alloc) {
  if (json::find(object, key) == nullptr) json::set(object, key, std::move(value), alloc);
}

void copy_missing(Value& owner, std::string_view to, std::string_view from, Allocator& alloc) {
  const Value* source = json::find(owner, from);
  if (source == nullptr || !source->IsObject()) return;
  Value missing = json::copy(*source, alloc);
  Value& target = json::ensure_object(owner, {to}, alloc);
  for (auto& [key, value] : missing.GetObject()) {
    if (json::find(target, json::view(key)) == nullptr) json::set(target, json::view(key), std::move(value), alloc);
  }
}

void add(Rules& rules, std::string_view type, Rule rule) { rules.emplace(find_type(type), rule); }

}  // namespace defaults

namespace {

using defaults::copy_missing;
using defaults::Rules;
using defaults::set_if_absent;
using defaults::set_if_empty;

bool is_unset(const Value* value, bool pointer) {
  if (value == nullptr || value->IsNull()) return true;
  if ((value->IsArray() && value->Empty()) || (value->IsObject() && value->ObjectEmpty() && !pointer)) return true;
  if (pointer) return false;
  return (value->IsString() && value->GetStringLength() == 0) || (value->IsNumber() && value->GetDouble() == 0);
}

// Components of lower-case letters and digits, with separators between them only.
bool is_repository(std::string_view path) {
  char before = '/';
  for (char c : path) {
    bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    bool after_alnum = (before >= 'a' && before <= 'z') || (before >= '0' && before <= '9');
    bool separator = c == '.' || c == '_' || c == '-' || c == '/';
    bool repeated = (c == '-' || c == '_') && before == c;
    if (!alnum && !(separator && (after_alnum || repeated))) return false;
    before = c;
  }
  return !path.empty() && before != '/' && before != '.' && before != '_' && before != '-';
}

// Whether an image's tag is "latest": named so, or with neither tag nor digest. What is no reference has no tag.
bool is_latest(std::string_view image) {
  size_t digest = image.find('@');
  std::string_view name = image.substr(0, digest), tag;
  size_t colon = name.rfind(':'), slash = name.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    tag = name.substr(colon + 1);
    name = name.substr(0, colon);
  } else if (digest == std::string_view::npos) {
    tag = "latest";
  }
  size_t first = name.find('/');
  bool has_registry = first != std::string_view::npos && (name.substr(0, first).find_first_of(".:") != std::string_view::npos ||
                                                          name.substr(0, first) == "localhost");
  const std::string_view repository = has_registry ? name.substr(first + 1) : name;
  constexpr std::string_view kLibrary = "library/";  // of which names without a slash are
  const bool in_library = !has_registry && first == std::string_view::npos;
  return tag == "latest" && repository.size() + (in_library ? kLibrary.size() : 0) <= 255 && is_repository(repository);
}

void default_container(Value& container, Allocator& alloc) {
  set_if_empty(container, "imagePullPolicy", is_latest(json::get_string(container, "image")) ? "Always" : "IfNotPresent", alloc);
}

void default_volume(Value& volume, Allocator& alloc) {
  bool has_source = false;
  for (const auto& [key, value] : volume.GetObject()) has_source = has_source || (json::view(key) != "name" && !value.IsNull());
  if (!has_source) json::set(volume, "emptyDir", Value(rapidjson::kObjectType), alloc);
  if (Value* image = json::find(volume, "image"); image && image->IsObject())
    set_if_empty(*image, "pullPolicy", is_latest(json::get_string(*image, "reference")) ? "Always" : "IfNotPresent", alloc);
}

// serviceAccount is the old name of serviceAccountName and always says the same.
void default_pod_spec(Value& spec, Allocator& alloc) {
  std::string name(json::get_string(spec, "serviceAccountName"));
  if (name.empty()) name = json::get_string(spec, "serviceAccount");
  if (name.empty()) return;
  json::set(spec, "serviceAccountName", name, alloc);
  json::set(spec, "serviceAccount", name, alloc);
}

// What the containers of a pod need at its busiest: all that run together, or an init container beside the sidecars that
// were started before it. Absent when none of them asks for the resource.
std::optional<Quantity> request_of_containers(const Value& spec, std::string_view name) {
  bool any = false;
  auto request = [&](const Value& container) {
    std::string_view amount = json::get_string(container, {"resources", "requests", name});
    any = any || !amount.empty();
    return amount.empty() ? Quantity() : Quantity::parse_or_zero(amount);
  };
  Quantity sidecars, busiest;
  for (const Value& container : items(spec, "initContainers")) {
    Quantity now = sidecars + request(container);
    if (json::get_string(container, "restartPolicy") == "Always") sidecars = now;
    if (now > busiest) busiest = now;
  }
  Quantity together = sidecars;
  for (const Value& container : items(spec, "containers")) together += request(container);
  if (!any) return std::nullopt;
  return together > busiest ? together : busiest;
}

// Requests of the pod as a whole: those of its containers where they have some, else its limits.
void default_pod_level_requests(Value& spec, Allocator& alloc) {
  Value* resources = json::find(spec, "resources");
  if (resources == nullptr) return;
  const Value* limits = json::find(*resources, "limits");
  if (limits == nullptr || !limits->IsObject() || limits->ObjectEmpty()) return;
  const Value limited = json::copy(*limits, alloc);
  for (std::string_view name : {"cpu", "memory"}) {
    if (json::find(*resources, {"requests", name}) != nullptr) continue;
    if (auto amount = request_of_containers(spec, name))
      json::set(json::ensure_object(*resources, {"requests"}, alloc), name, amount->to_string(), alloc);
  }
  for (const auto& [key, limit] : limited.GetObject()) {
    const std::string_view name = json::view(key);
    const bool is_supported = name == "cpu" || name == "memory" || name.starts_with("hugepages-");
    if (is_supported && json::find(*resources, {"requests", name}) == nullptr)
      json::set(json::ensure_object(*resources, {"requests"}, alloc), name, json::copy(limit, alloc), alloc);
  }
}

void default_pod(Value& pod, Allocator& alloc) {
  Value* spec = json::find(pod, "spec");
  if (spec == nullptr || !spec->IsObject()) return;
  bool host_network = json::get_bool(*spec, "hostNetwork");
  for (std::string_view list : {"containers", "initContainers"}) {
    Value* containers = json::find(*spec, list);
    if (containers == nullptr || !containers->IsArray()) continue;
    for (Value& container : containers->GetArray()) {
      if (Value* resources = json::find(container, "resources"); resources && resources->IsObject())
        copy_missing(*resources, "requests", "limits", alloc);
      Value* ports = host_network ? json::find(container, "ports") : nullptr;
      if (ports == nullptr || !ports->IsArray()) continue;
      for (Value& port : ports->GetArray()) {
        if (port.IsObject() && json::get_int(port, "hostPort") == 0 && json::get_int(port, "containerPort") != 0)
          json::set(port, "hostPort", Value(json::get_int(port, "containerPort")), alloc);
      }
    }
  }
  default_pod_level_requests(*spec, alloc);
  if (json::get_int(*spec, "terminationGracePeriodSeconds") < 0) json::set(*spec, "terminationGracePeriodSeconds", Value(1), alloc);
  if (is_unset(json::find(*spec, "enableServiceLinks"), true)) json::set(*spec, "enableServiceLinks", Value(true), alloc);
}

// A field and a list that replaced it: the old field is its first element, and rules where a client says both and they differ.
void mirror_list(Value& object, std::string_view one, std::string_view many, std::string_view key, Allocator& alloc) {
  const std::string first(json::get_string(object, one));
  const Value* list = json::find(object, many);
  if (list != nullptr && list->IsArray() && !list->Empty()) {
    const Value& item = (*list)[0];
    const std::string text(key.empty() && item.IsString() ? json::view(item) : json::get_string(item, key));
    if (first.empty() && !text.empty()) json::set(object, one, text, alloc);
    if (first.empty() || first == text) return;
  }
  if (first.empty()) return;
  Value item = json::string(first, alloc);
  if (!key.empty()) {
    Value holder(rapidjson::kObjectType);
    json::set(holder, key, std::move(item), alloc);
    item = std::move(holder);
  }
  Value array(rapidjson::kArrayType);
  array.PushBack(item, alloc);
  json::set(object, many, std::move(array), alloc);
}

void default_pod_status(Value& status, Allocator& alloc) { mirror_list(status, "podIP", "podIPs", "ip", alloc); }
void default_node_spec(Value& spec, Allocator& alloc) { mirror_list(spec, "podCIDR", "podCIDRs", "", alloc); }

void default_node_status(Value& status, Allocator& alloc) {
  if (json::find(status, "allocatable") == nullptr) copy_missing(status, "allocatable", "capacity", alloc);
}

void default_namespace(Value& ns, Allocator& alloc) {
  std::string name(json::get_string(ns, {"metadata", "name"}));
  if (!name.empty()) json::set(json::ensure_object(ns, {"metadata", "labels"}, alloc), "kubernetes.io/metadata.name", name, alloc);
}

// stringData is for writing only: it becomes data.
void default_secret(Value& secret, Allocator& alloc) {
  Value* texts = json::find(secret, "stringData");
  if (texts == nullptr) return;
  Value source = json::copy(*texts, alloc);
  json::remove(secret, "stringData");
  if (!source.IsObject() || source.ObjectEmpty()) return;
  Value& data = json::ensure_object(secret, {"data"}, alloc);
  for (const auto& [key, text] : source.GetObject()) {
    if (text.IsString()) json::set(data, json::view(key), base64::encode(json::view(text)), alloc);
  }
}

void default_service_port(Value& port, Allocator& alloc) {
  const Value* target = json::find(port, "targetPort");
  if (is_unset(target, false)) json::set(port, "targetPort", Value(json::get_int(port, "port")), alloc);
}

void default_service_spec(Value& spec, Allocator& alloc) {
  std::string_view affinity = json::get_string(spec, "sessionAffinity");
  if (affinity == "None") json::remove(spec, "sessionAffinityConfig");
  if (affinity == "ClientIP" && json::find(spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"}) == nullptr)
    json::set(json::ensure_object(spec, {"sessionAffinityConfig", "clientIP"}, alloc), "timeoutSeconds", Value(10800), alloc);
  std::string type(json::get_string(spec, "type"));
  bool balanced = type == "LoadBalancer", external = balanced || type == "NodePort";
  bool reachable = external || (type == "ClusterIP" && !items(spec, "externalIPs").Empty());
  if (reachable) set_if_empty(spec, "externalTrafficPolicy", "Cluster", alloc);
  if (external || type == "ClusterIP") set_if_absent(spec, "internalTrafficPolicy", Value("Cluster"), alloc);
  if (balanced && json::find(spec, "allocateLoadBalancerNodePorts") == nullptr)
    json::set(spec, "allocateLoadBalancerNodePorts", Value(true), alloc);
}

void default_service(Value& service, Allocator& alloc) {
  if (json::get_string(service, {"spec", "type"}) != "LoadBalancer") return;
  Value* ingress = json::find(service, {"status", "loadBalancer", "ingress"});
  if (ingress == nullptr || !ingress->IsArray()) return;
  for (Value& point : ingress->GetArray()) {
    if (!json::get_string(point, "ip").empty()) set_if_absent(point, "ipMode", Value("VIP"), alloc);
  }
}

const Rules& rules() {
  static const Rules table = [] {
    Rules out;
    for (const auto& [name, rule] : std::initializer_list<std::pair<std::string_view, defaults::Rule>>{
             {"core/v1.Container", default_container},
             {"core/v1.EphemeralContainer", default_container},
             {"core/v1.Namespace", default_namespace},
             {"core/v1.NodeSpec", default_node_spec},
             {"core/v1.NodeStatus", default_node_status},
             {"core/v1.Pod", default_pod},
             {"core/v1.PodSpec", default_pod_spec},
             {"core/v1.PodStatus", default_pod_status},
             {"core/v1.Secret", default_secret},
             {"core/v1.Service", default_service},
             {"core/v1.ServicePort", default_service_port},
             {"core/v1.ServiceSpec", default_service_spec},
             {"core/v1.Volume", default_volume},
         })
      defaults::add(out, name, rule);
    defaults::add_workload_rules(out);
    defaults::add_other_rules(out);
    return out;
  }();
  return table;
}

// What Go writes of a field that nobody filled and that is never left out; of lists, maps and pointers that is null.
Value zero_of(const Field& field) {
  if (field.pointer || field.shape == Shape::kList || field.shape == Shape::kMap) return Value();
  switch (field.shape) {
    case Shape::kObject: return Value(rapidjson::kObjectType);
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kDouble:
    case Shape::kIntOrString: return Value(0);
    case Shape::kBool: return Value(false);
    case Shape::kQuantity: return Value("0");
    case Shape::kTime:
    case Shape::kMicroTime: return Value();  // null
    default: return Value("");
  }
}

Value parsed(std::string_view text, Allocator& alloc) {
  auto document = json::parse(text);
  return document.ok() ? json::copy(*document, alloc) : Value();
}

// Amounts are kept in canonical form; those of resource lists to the thousandth.
void canonicalize(Value& quantity, bool of_resource_list, Allocator& alloc) {
  if (!quantity.IsString()) return;
  auto parsed = Quantity::parse(json::view(quantity));
  if (!parsed.ok()) return;
  std::string text = of_resource_list && *parsed != Quantity(parsed->value(), parsed->format())
                         ? Quantity::milli(parsed->milli_value(), parsed->format()).to_string()
                         : parsed->to_string();
  if (text != json::view(quantity)) quantity = json::string(text, alloc);
}

// What becomes of empty lists and maps of which Go's decoder and encoder make null.
struct Empties {
  bool stay = false;
  bool found = false;  // such that stay
};

void walk(const Type& type, Value& object, Empties& empties, Allocator& alloc);

void walk_value(Shape shape, const Field& field, Value& value, bool in_map, Empties& empties, Allocator& alloc) {
  if (shape == Shape::kObject && field.type != nullptr) {
    if (value.IsObject()) walk(*field.type, value, empties, alloc);
  } else if (shape == Shape::kQuantity) {
    canonicalize(value, in_map, alloc);
  }
}

void walk(const Type& type, Value& object, Empties& empties, Allocator& alloc) {
  for (uint16_t index : type.defaulted) {
    const Field& field = type.fields[index];
    std::string_view text = field.default_json.empty() ? field.sets_json : field.default_json;
    const Value* now = json::find(object, field.name);
    if (!is_unset(now, field.pointer || text.empty())) continue;
    if (empties.stay && text.empty() && now != nullptr && !now->IsNull()) {
      empties.found = true;
      continue;
    }
    json::set(object, field.name, text.empty() ? zero_of(field) : parsed(text, alloc), alloc);
  }
  for (auto& [key, value] : object.GetObject()) {
    const Field* field = type.find(json::view(key));
    if (field == nullptr) continue;
    if (field->shape == Shape::kList && value.IsArray()) {
      if (field->element != Shape::kObject && field->element != Shape::kQuantity) continue;
      for (Value& item : value.GetArray()) walk_value(field->element, *field, item, false, empties, alloc);
    } else if (field->shape == Shape::kMap && value.IsObject()) {
      if (field->element != Shape::kObject && field->element != Shape::kQuantity) continue;
      for (auto& [_, item] : value.GetObject()) walk_value(field->element, *field, item, true, empties, alloc);
    } else {
      walk_value(field->shape, *field, value, false, empties, alloc);
    }
  }
  if (auto rule = rules().find(&type); rule != rules().end()) rule->second(object, alloc);
}

}  // namespace

void apply_defaults(const Resource& resource, Value& object, Allocator& alloc) {
  if (resource.custom) return custom::apply_defaults(resource, object, alloc);
  Empties empties;
  if (resource.type != nullptr && object.IsObject()) walk(*resource.type, object, empties, alloc);
}

bool apply_defaults_but_empties(const Resource& resource, Value& object, Allocator& alloc) {
  Empties empties{.stay = true};
  if (resource.custom) {
    custom::apply_defaults(resource, object, alloc);
  } else if (resource.type != nullptr && object.IsObject()) {
    walk(*resource.type, object, empties, alloc);
  }
  return empties.found;
}

}  // namespace knarr::schema
