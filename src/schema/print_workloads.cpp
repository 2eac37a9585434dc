// Rows of what makes pods, and of what scales and limits them.
#include <fmt/format.h>

#include "knarr/codec/quantity.h"
#include "knarr/codec/selector.h"
#include "knarr/codec/time.h"
#include "knarr/schema/machinery.h"
#include "schema/documents.h"
#include "schema/print.h"

namespace knarr::schema::printing {

namespace {

using json::Value;

const Value& template_of(const Value& object) { return child(child(object, "spec"), "template"); }

void print_pod_template(const Value& object, Row& row) {
  const Value& pod = child(object, "template");
  row.name(object);
  row.containers(pod);
  row.text(labels_text(json::find(pod, {"metadata", "labels"})));
}

// Replica sets and replication controllers.
void print_replicas(const Value& object, Row& row) {
  row.name(object);
  row.number(int_at(object, {"spec", "replicas"}));
  row.number(int_at(object, {"status", "replicas"}));
  row.number(int_at(object, {"status", "readyReplicas"}));
  row.age(object);
  row.containers(template_of(object));
}

void print_replication_controller(const Value& object, Row& row) {
  print_replicas(object, row);
  row.text(labels_text(json::find(object, {"spec", "selector"})));
}

void print_replica_set(const Value& object, Row& row) {
  print_replicas(object, row);
  row.text(selector_text(json::find(object, {"spec", "selector"})));
}

void print_deployment(const Value& object, Row& row) {
  row.name(object);
  row.text(fmt::format("{}/{}", int_at(object, {"status", "readyReplicas"}), int_at(object, {"spec", "replicas"})));
  row.number(int_at(object, {"status", "updatedReplicas"}));
  row.number(int_at(object, {"status", "availableReplicas"}));
  row.age(object);
  row.containers(template_of(object));
  const auto selector = selector::Labels::from_label_selector(json::find(object, {"spec", "selector"}));
  row.text(selector.ok() ? selector->to_string() : "<invalid>");
}

void print_stateful_set(const Value& object, Row& row) {
  row.name(object);
  row.text(fmt::format("{}/{}", int_at(object, {"status", "readyReplicas"}), int_at(object, {"spec", "replicas"})));
  row.age(object);
  row.containers(template_of(object));
}

void print_daemon_set(const Value& object, Row& row) {
  row.name(object);
  for (std::string_view number :
       {"desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable"})
    row.number(int_at(object, {"status", number}));
  row.text(labels_text(json::find(template_of(object), {"spec", "nodeSelector"})));
  row.age(object);
  row.containers(template_of(object));
  row.text(selector_text(json::find(object, {"spec", "selector"})));
}

// kind.group/name of the owner that controls the object.
std::string controller_of(const Value& object) {
  for (const Value& owner : items(child(object, "metadata"), "ownerReferences")) {
    if (!json::get_bool(owner, "controller")) continue;
    const std::string_view version = json::get_string(owner, "apiVersion");
    const size_t slash = version.find('/');
    std::string name(json::get_string(owner, "kind"));
    if (slash != std::string_view::npos) name.append(".").append(version.substr(0, slash));
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return fmt::format("{}/{}", name, json::get_string(owner, "name"));
  }
  return "<none>";
}

void print_controller_revision(const Value& object, Row& row) {
  row.name(object);
  row.text(controller_of(object));
  row.number(json::get_int(object, "revision"));
  row.age(object);
}

bool has_condition(const Value& object, std::string_view type) {
  for (const Value& condition : items(child(object, "status"), "conditions")) {
    if (json::get_string(condition, "type") == type) return json::get_string(condition, "status") == "True";
  }
  return false;
}

std::string job_status(const Value& job) {
  if (has_condition(job, "Complete")) return "Complete";
  if (has_condition(job, "Failed")) return "Failed";
  if (!json::get_string(job, {"metadata", "deletionTimestamp"}).empty()) return "Terminating";
  for (std::string_view type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"}) {
    if (has_condition(job, type)) return std::string(type);
  }
  return "Running";
}

std::string job_completions(const Value& job) {
  const int64_t succeeded = int_at(job, {"status", "succeeded"}), parallelism = int_at(job, {"spec", "parallelism"});
  if (json::find(job, {"spec", "completions"}))
    return fmt::format("{}/{}", succeeded, int_at(job, {"spec", "completions"}));
  return parallelism > 1 ? fmt::format("{}/1 of {}", succeeded, parallelism) : fmt::format("{}/1", succeeded);
}

void print_job(const Value& job, Row& row) {
  row.name(job);
  row.text(job_status(job));
  row.text(job_completions(job));
  const OptionalTime start = time_at(job, {"status", "startTime"}), end = time_at(job, {"status", "completionTime"});
  row.text(start ? human_duration(std::chrono::duration_cast<std::chrono::seconds>(end.value_or(row.now()) - *start))
                 : "");
  row.age(job);
  row.containers(template_of(job));
  row.text(selector_text(json::find(job, {"spec", "selector"})));
}

void print_cron_job(const Value& job, Row& row) {
  const Value& spec = child(job, "spec");
  const Value& made = child(child(spec, "jobTemplate"), "spec");
  row.name(job);
  row.text(json::get_string(spec, "schedule"));
  row.text(json::get_string(spec, "timeZone"), "<none>");
  row.text(json::find(spec, "suspend") == nullptr ? "<unset>" : json::get_bool(spec, "suspend") ? "True" : "False");
  row.number(items(child(job, "status"), "active").Size());
  const OptionalTime last = time_at(job, {"status", "lastScheduleTime"});
  row.text(last ? row.age_text(last) : "<none>");
  row.age(job);
  row.containers(child(made, "template"));
  row.text(selector_text(json::find(made, "selector")));
}

// What of a metric's value is there, as a table shows it.
std::string amount(const Value& holder, std::string_view key) {
  const std::string_view text = json::get_string(holder, key);
  return text.empty() ? "<nil>" : Quantity::parse_or_zero(text).to_string();
}

struct MetricKind {
  std::string_view type, member;
  bool of_resource;  // the name stands before it, and it may be a percentage
};
constexpr MetricKind kMetricKinds[] = {{"External", "external", false},
                                       {"Pods", "pods", false},
                                       {"Object", "object", false},
                                       {"Resource", "resource", true},
                                       {"ContainerResource", "containerResource", true}};

std::string metric_text(const Value& spec, const Value& status) {
  for (const MetricKind& kind : kMetricKinds) {
    if (json::get_string(spec, "type") != kind.type) continue;
    const Value& source = child(spec, kind.member);
    const Value& target = child(source, "target");
    const bool known = json::find(status, kind.member) != nullptr;
    const Value& current = child(child(status, kind.member), "current");
    const bool average = json::find(target, "averageValue") != nullptr;
    if (kind.of_resource) {
      const std::string_view name = json::get_string(source, "name");
      if (average)
        return fmt::format("{}: {}/{}", name, known ? amount(current, "averageValue") : "<unknown>",
                           amount(target, "averageValue"));
      const auto percentage = [](const Value& holder, std::string_view otherwise) {
        return json::find(holder, "averageUtilization")
                   ? fmt::format("{}%", json::get_int(holder, "averageUtilization"))
                   : std::string(otherwise);
      };
      return fmt::format("{}: {}/{}", name, percentage(current, "<unknown>"), percentage(target, "<auto>"));
    }
    if (kind.type == "Pods")
      return fmt::format("{}/{}", known ? amount(current, "averageValue") : "<unknown>",
                         amount(target, "averageValue"));
    if (average)
      return fmt::format("{}/{} (avg)",
                         json::find(current, "averageValue") ? amount(current, "averageValue") : "<unknown>",
                         amount(target, "averageValue"));
    return fmt::format("{}/{}", known ? amount(current, "value") : "<unknown>", amount(target, "value"));
  }
  return "<unknown type>";
}

void print_autoscaler(const Value& hpa, Row& row) {
  const Value& spec = child(hpa, "spec");
  const auto metrics = items(spec, "metrics"), current = items(child(hpa, "status"), "currentMetrics");
  std::vector<std::string> texts;
  for (rapidjson::SizeType i = 0; i < metrics.Size(); ++i)
    texts.push_back(metric_text(metrics[i], i < current.Size() ? current[i] : empty_object()));
  row.name(hpa);
  row.text(fmt::format("{}/{}", json::get_string(spec, {"scaleTargetRef", "kind"}),
                       json::get_string(spec, {"scaleTargetRef", "name"})));
  row.text(texts.empty() ? "<none>" : first_of(texts, 2, texts.size(), ", "));
  row.text(json::find(spec, "minReplicas") ? std::to_string(json::get_int(spec, "minReplicas")) : "<unset>");
  row.number(json::get_int(spec, "maxReplicas"));
  row.number(int_at(hpa, {"status", "currentReplicas"}));
  row.age(hpa);
}

void print_old_autoscaler(const Value& hpa, Row& row) {
  static const Resource* const from = find_resource("autoscaling", "v1", "horizontalpodautoscalers");
  static const Resource* const to = find_resource("autoscaling", "v2", "horizontalpodautoscalers");
  json::Document copy = json::copy(hpa);
  if (convert(*from, *to, copy, copy.GetAllocator()).ok()) print_autoscaler(copy, row);
}

void print_scale(const Value& scale, Row& row) {
  row.name(scale);
  row.number(int_at(scale, {"spec", "replicas"}));
  row.number(int_at(scale, {"status", "replicas"}));
  row.age(scale);
}

void print_disruption_budget(const Value& budget, Row& row) {
  const auto bound = [&](std::string_view key) {
    const Value* value = json::find(budget, {"spec", key});
    if (value == nullptr || value->IsNull()) return std::string("N/A");
    return value->IsString() ? std::string(json::view(*value)) : json::dump(*value);
  };
  row.name(budget);
  row.text(bound("minAvailable"));
  row.text(bound("maxUnavailable"));
  row.number(int_at(budget, {"status", "disruptionsAllowed"}));
  row.age(budget);
}

void print_quota(const Value& quota, Row& row) {
  const Value& status = child(quota, "status");
  const Value& used = child(status, "used");
  std::map<std::string_view, std::string> rows;
  for (const auto& [key, hard] : child(status, "hard").GetObject()) {
    const std::string_view name = json::view(key), now = json::get_string(used, name);
    rows[name] = fmt::format("{}: {}/{}", name, now.empty() ? "0" : now,
                             hard.IsString() ? json::view(hard) : std::string_view());
  }
  std::string requests, limits;
  for (const auto& [name, text] : rows) {
    std::string& column = name.starts_with("limits.") ? limits : requests;
    column += column.empty() ? text : ", " + text;
  }
  row.name(quota);
  row.text(requests);
  row.text(limits);
  row.age(quota);
}

void print_priority_class(const Value& object, Row& row) {
  row.name(object);
  row.number(json::get_int(object, "value"));
  row.boolean(json::get_bool(object, "globalDefault"));
  row.age(object);
  row.text(json::get_string(object, "preemptionPolicy"));
}

void print_runtime_class(const Value& object, Row& row) {
  row.name(object);
  row.text(json::get_string(object, "handler"));
  row.age(object);
}

}  // namespace

void add_workload_printers(Printers& printers) {
  printers.insert({
      {"apps/v1.ControllerRevision", print_controller_revision},
      {"apps/v1.DaemonSet", print_daemon_set},
      {"apps/v1.Deployment", print_deployment},
      {"apps/v1.ReplicaSet", print_replica_set},
      {"apps/v1.StatefulSet", print_stateful_set},
      {"autoscaling/v1.HorizontalPodAutoscaler", print_old_autoscaler},
      {"autoscaling/v1.Scale", print_scale},
      {"autoscaling/v2.HorizontalPodAutoscaler", print_autoscaler},
      {"batch/v1.CronJob", print_cron_job},
      {"batch/v1.Job", print_job},
      {"core/v1.PodTemplate", print_pod_template},
      {"core/v1.ReplicationController", print_replication_controller},
      {"core/v1.ResourceQuota", print_quota},
      {"node/v1.RuntimeClass", print_runtime_class},
      {"policy/v1.PodDisruptionBudget", print_disruption_budget},
      {"scheduling/v1.PriorityClass", print_priority_class},
  });
}

}  // namespace knarr::schema::printing
