// Rows of server-printed tables and values of field selectors.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "knarr/codec/time.h"
#include "knarr/schema/api/coordination_v1.h"
#include "knarr/schema/api/core_v1.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "knarr/codec/selector.h"
#include "schema/documents.h"
#include "schema/print.h"

namespace knarr::schema {

namespace printing {

void Row::age(const json::Value& object) { age(time_at(object, {"metadata", "creationTimestamp"})); }

void Row::containers(const json::Value& pod_template) {
  std::string names, images;
  for (const json::Value& container : items(child(pod_template, "spec"), "containers")) {
    if (!names.empty()) names += ',', images += ',';
    names += json::get_string(container, "name");
    images += json::get_string(container, "image");
  }
  text(names);
  text(images);
}

std::string Row::age_text(const OptionalTime& since) const {
  return since ? human_duration(std::chrono::duration_cast<std::chrono::seconds>(now_ - *since)) : "<unknown>";
}

OptionalTime time_at(const json::Value& object, Path path) {
  const auto time = parse_time(json::get_string(object, path));
  return time.ok() ? OptionalTime(*time) : std::nullopt;
}

int64_t int_at(const json::Value& object, Path path, int64_t otherwise) {
  const json::Value* value = json::find(object, path);
  return value != nullptr && value->IsInt64() ? value->GetInt64() : otherwise;
}

std::string labels_text(const json::Value* labels) {
  std::map<std::string_view, std::string_view> sorted;
  if (labels != nullptr && labels->IsObject()) {
    for (const auto& [key, value] : labels->GetObject()) {
      if (value.IsString()) sorted.emplace(json::view(key), json::view(value));
    }
  }
  std::string out;
  for (const auto& [key, value] : sorted) out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  return out.empty() ? "<none>" : out;
}

std::string selector_text(const json::Value* selector) {
  const auto labels = selector::Labels::from_label_selector(selector);
  if (!labels.ok()) return "<error>";
  const std::string text = labels->to_string();
  return text.empty() ? "<none>" : text;
}

std::string joined(const json::Value& list, std::string_view separator) {
  std::string out;
  if (!list.IsArray()) return out;
  for (const json::Value& item : list.GetArray()) {
    if (!out.empty()) out += separator;
    if (item.IsString()) out += json::view(item);
  }
  return out;
}

std::string first_of(const std::vector<std::string>& list, size_t max, size_t count, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < std::min(max, list.size()); ++i) out.append(i > 0 ? separator : "").append(list[i]);
  return count > max ? fmt::format("{} + {} more...", out, count - max) : out;
}

}  // namespace printing

namespace {

using json::Allocator;
using json::Value;
namespace core = api::core::v1;
using printing::OptionalTime;
using printing::Row;

std::string or_else(std::string text, std::string_view otherwise) { return text.empty() ? std::string(otherwise) : text; }

bool is_restartable(const core::PodSpec& spec, const std::string& init_container) {
  for (const core::Container& c : spec.initContainers) {
    if (c.name == init_container) return c.restartPolicy == "Always";
  }
  return false;
}

const core::PodCondition* find_condition(const core::Pod& pod, std::string_view type) {
  for (const core::PodCondition& c : pod.status.conditions) {
    if (c.type == type) return &c;
  }
  return nullptr;
}

bool is_true(const core::PodCondition* condition) { return condition != nullptr && condition->status == "True"; }

// Why a container ended: its reason, or its signal or exit code.
std::string end_of(const core::ContainerStateTerminated& end) {
  if (!end.reason.empty()) return end.reason;
  if (end.signal != 0) return fmt::format("Signal:{}", end.signal);
  return fmt::format("ExitCode:{}", end.exitCode);
}

// What the columns READY, STATUS and RESTARTS tell.
struct PodSummary {
  size_t ready = 0, total = 0;
  std::string status;
  int restarts = 0;
  OptionalTime last_restart;

  explicit PodSummary(const core::Pod& pod) : total(pod.spec.containers.size()) {
    status = or_else(pod.status.reason, pod.status.phase);
    for (const core::PodCondition& c : pod.status.conditions) {
      if (c.type == "PodScheduled" && c.reason == "SchedulingGated") status = c.reason;
    }
    for (const core::Container& c : pod.spec.initContainers) total += c.restartPolicy == "Always";
    bool initializing = look_at_init_containers(pod);
    if (!initializing || is_true(find_condition(pod, "Initialized"))) look_at_containers(pod);
    if (!pod.metadata.deletionTimestamp) return;
    bool ended = pod.status.phase == "Succeeded" || pod.status.phase == "Failed";
    if (pod.status.reason == "NodeLost") {
      status = "Unknown";
    } else if (!ended) {
      status = "Terminating";
    }
  }

 private:
  static void count(const core::ContainerStatus& c, int& restarts, OptionalTime& last) {
    restarts += c.restartCount;
    if (c.lastState.terminated && c.lastState.terminated->finishedAt > last) last = c.lastState.terminated->finishedAt;
  }

  // True while an init container has not done its work.
  bool look_at_init_containers(const core::Pod& pod) {
    for (size_t i = 0; i < pod.status.initContainerStatuses.size(); ++i) {
      const core::ContainerStatus& c = pod.status.initContainerStatuses[i];
      count(c, restarts, last_restart);
      bool restartable = is_restartable(pod.spec, c.name);
      if (restartable) count(c, sidecar_restarts_, last_sidecar_restart_);
      if (c.state.terminated && c.state.terminated->exitCode == 0) continue;
      if (restartable && c.started == true) {
        ready += c.ready;
        continue;
      }
      if (c.state.terminated) {
        status = "Init:" + end_of(*c.state.terminated);
      } else if (c.state.waiting && !c.state.waiting->reason.empty() && c.state.waiting->reason != "PodInitializing") {
        status = "Init:" + c.state.waiting->reason;
      } else {
        status = fmt::format("Init:{}/{}", i, pod.spec.initContainers.size());
      }
      return true;
    }
    return false;
  }

  void look_at_containers(const core::Pod& pod) {
    restarts = sidecar_restarts_;
    last_restart = last_sidecar_restart_;
    bool running = false;
    std::string failure;
    for (auto c = pod.status.containerStatuses.rbegin(); c != pod.status.containerStatuses.rend(); ++c) {
      count(*c, restarts, last_restart);
      if (c->state.waiting && !c->state.waiting->reason.empty()) {
        status = c->state.waiting->reason;
      } else if (c->state.terminated) {
        status = end_of(*c->state.terminated);
        if (c->state.terminated->exitCode != 0) failure = status;
      } else if (c->ready && c->state.running) {
        running = true;
        ++ready;
      }
    }
    if (status != "Completed") return;
    if (running && is_true(find_condition(pod, "Ready"))) {
      status = "Running";
    } else if (!failure.empty()) {
      status = failure;
    } else if (running) {
      status = "NotReady";
    }
  }

  int sidecar_restarts_ = 0;
  OptionalTime last_sidecar_restart_;
};

void print(const core::Pod& pod, Row& row) {
  PodSummary summary(pod);
  row.text(pod.metadata.name);
  row.text(fmt::format("{}/{}", summary.ready, summary.total));
  row.text(summary.status);
  std::string restarts = std::to_string(summary.restarts);
  if (summary.restarts != 0 && summary.last_restart) restarts += " (" + row.age_text(summary.last_restart) + " ago)";
  row.text(restarts);
  row.age(pod.metadata.creationTimestamp);
  row.text(pod.status.podIPs.empty() ? "" : pod.status.podIPs[0].ip, "<none>");
  row.text(pod.spec.nodeName, "<none>");
  row.text(pod.status.nominatedNodeName, "<none>");
  size_t holding = 0;
  for (const core::PodReadinessGate& gate : pod.spec.readinessGates) holding += is_true(find_condition(pod, gate.conditionType));
  row.text(pod.spec.readinessGates.empty() ? "<none>" : fmt::format("{}/{}", holding, pod.spec.readinessGates.size()));
}

std::string node_status(const core::Node& node) {
  std::string status = "Unknown";
  for (const core::NodeCondition& c : node.status.conditions) {
    if (c.type == "Ready") status = c.status == "True" ? "Ready" : "NotReady";
  }
  return node.spec.unschedulable ? status + ",SchedulingDisabled" : status;
}

std::string node_roles(const core::Node& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [key, value] : node.metadata.labels) {
    if (key.size() > kPrefix.size() && key.starts_with(kPrefix)) roles.insert(key.substr(kPrefix.size()));
    if (key == "kubernetes.io/role" && !value.empty()) roles.insert(value);
  }
  return fmt::format("{}", fmt::join(roles, ","));
}

std::string node_address(const core::Node& node, std::string_view type) {
  for (const core::NodeAddress& a : node.status.addresses) {
    if (a.type == type) return a.address;
  }
  return "<none>";
}

void print(const core::Node& node, Row& row) {
  const core::NodeSystemInfo& info = node.status.nodeInfo;
  row.text(node.metadata.name);
  row.text(node_status(node));
  row.text(node_roles(node), "<none>");
  row.age(node.metadata.creationTimestamp);
  row.text(info.kubeletVersion);
  row.text(node_address(node, "InternalIP"));
  row.text(node_address(node, "ExternalIP"));
  row.text(info.osImage, "<unknown>");
  row.text(or_else(info.kernelVersion, "<unknown>") + (info.architecture.empty() ? "" : " (" + info.architecture + ")"));
  row.text(info.containerRuntimeVersion, "<unknown>");
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

void print(const core::Event& event, Row& row) {
  std::string first = row.age_text(event.firstTimestamp ? event.firstTimestamp : event.eventTime);
  std::string last = event.lastTimestamp ? row.age_text(event.lastTimestamp) : first;
  int count = event.count == 0 ? 1 : event.count;
  if (event.series) {
    last = row.age_text(event.series->lastObservedTime);
    count = event.series->count;
  }
  std::string object = event.involvedObject.kind;
  for (char& c : object) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (!event.involvedObject.name.empty()) object += "/" + event.involvedObject.name;
  std::string source = or_else(event.source.component, event.reportingComponent);
  std::string instance = or_else(event.source.host, event.reportingInstance);
  row.text(last);
  row.text(event.type);
  row.text(event.reason);
  row.text(object);
  row.text(event.involvedObject.fieldPath);
  row.text(instance.empty() ? source : source + ", " + instance);
  row.text(trimmed(event.message));
  row.text(first);
  row.number(count);
  row.text(event.metadata.name);
}

void print(const core::Namespace& ns, Row& row) {
  row.text(ns.metadata.name);
  row.text(ns.status.phase);
  row.age(ns.metadata.creationTimestamp);
}

void print(const core::Secret& secret, Row& row) {
  row.text(secret.metadata.name);
  row.text(secret.type);
  row.number(static_cast<int64_t>(secret.data.size()));
  row.age(secret.metadata.creationTimestamp);
}

void print(const core::ConfigMap& map, Row& row) {
  row.text(map.metadata.name);
  row.number(static_cast<int64_t>(map.data.size() + map.binaryData.size()));
  row.age(map.metadata.creationTimestamp);
}

void print(const api::coordination::v1::Lease& lease, Row& row) {
  row.text(lease.metadata.name);
  row.text(lease.spec.holderIdentity.value_or(""));
  row.age(lease.metadata.creationTimestamp);
}

template <typename T>
void print_object(const Value& object, Row& row) {
  T typed;
  api::decode(object, typed);
  print(typed, row);
}

// An event in its newer form is printed like any other.
void print_new_event(const Value& event, Row& row) {
  static const Resource* const from = find_resource("events.k8s.io", "v1", "events");
  static const Resource* const to = find_resource("", "v1", "events");
  json::Document copy = json::copy(event);
  if (convert(*from, *to, copy, copy.GetAllocator()).ok()) print_object<core::Event>(copy, row);
}

printing::Printer printer_of(const Type* type) {
  static const printing::Printers table = [] {
    printing::Printers out = {
        {"coordination/v1.Lease", print_object<api::coordination::v1::Lease>},
        {"core/v1.ConfigMap", print_object<core::ConfigMap>},
        {"core/v1.Event", print_object<core::Event>},
        {"core/v1.Namespace", print_object<core::Namespace>},
        {"core/v1.Node", print_object<core::Node>},
        {"core/v1.Pod", print_object<core::Pod>},
        {"core/v1.Secret", print_object<core::Secret>},
        {"events/v1.Event", print_new_event},
    };
    printing::add_workload_printers(out);
    printing::add_network_printers(out);
    printing::add_other_printers(out);
    return out;
  }();
  auto it = table.find(type->name);
  return it == table.end() ? nullptr : it->second;
}

constexpr Column kNameAndAge[] = {
    {.name = "Name", .type = "string", .format = "name", .doc = "Name of the object.", .priority = 0},
    {.name = "Age", .type = "string", .format = "", .doc = "Time since the object was created.", .priority = 0},
};

// Field selectors whose value is not simply the text at that path.
std::string special_field(const Resource& resource, const Value& object, std::string_view field) {
  if (resource.kind == "Event" && field == "source")
    return or_else(std::string(json::get_string(object, {"source", "component"})), json::get_string(object, "reportingComponent"));
  if (resource.kind == "Job" && field == "status.successful")
    return std::to_string(printing::int_at(object, {"status", "succeeded"}));
  if (resource.kind == "Pod" && field == "status.podIPs") {
    for (const Value& ip : items(child(object, "status"), "podIPs")) return std::string(json::get_string(ip, "ip"));
  }
  return "";
}

}  // namespace

std::vector<Column> columns(const Resource& resource) {
  if (resource.columns.empty()) return {std::begin(kNameAndAge), std::end(kNameAndAge)};
  return {resource.columns.begin(), resource.columns.end()};
}

void print_row(const Resource& resource, const Value& object, WallTime now, Value& cells, Allocator& alloc) {
  if (resource.custom) return custom::print_row(resource, object, now, cells, alloc);
  cells.SetArray();
  Row row(now, cells, alloc);
  if (printing::Printer printer = printer_of(resource.type)) return printer(object, row);
  row.name(object);
  if (resource.columns.size() > 1 && resource.columns[1].type == "date") {
    row.text(json::get_string(object, {"metadata", "creationTimestamp"}));
  } else {
    row.age(object);
  }
}

std::string field_value(const Resource& resource, const Value& object, std::string_view field) {
  if (resource.custom) return custom::field_value(object, field);
  if (field == "spec.host") field = "spec.nodeName";  // its old name
  const Value* value = &object;
  for (std::string_view rest = field; value != nullptr && !rest.empty();) {
    size_t dot = rest.find('.');
    value = json::find(*value, rest.substr(0, dot));
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  }
  if (value == nullptr || value->IsNull()) {
    // Booleans have a value even where they are left out.
    if (field == "spec.unschedulable" || field == "spec.hostNetwork") return "false";
    return special_field(resource, object, field);
  }
  if (value->IsString()) return std::string(json::view(*value));
  if (value->IsBool()) return value->GetBool() ? "true" : "false";
  if (value->IsNumber()) return json::dump(*value);
  return special_field(resource, object, field);
}

}  // namespace knarr::schema
