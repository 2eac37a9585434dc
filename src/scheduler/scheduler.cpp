#include "knarr/scheduler/scheduler.h"

#include <fmt/format.h>

#include <set>

#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/client/events.h"
#include "knarr/client/informer.h"
#include "knarr/client/workqueue.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"
#include "scheduler/plugins.h"

namespace knarr::scheduler {

namespace {

constexpr std::string_view kName = "default-scheduler";

bool waits_for_us(const Pod& pod) {
  return pod.spec.nodeName.empty() && !pod.metadata.deletionTimestamp && pod.spec.schedulerName == kName &&
         pod.spec.schedulingGates.empty() && pod.status.phase != "Succeeded" && pod.status.phase != "Failed";
}

class SchedulerImpl : public Scheduler {
 public:
  explicit SchedulerImpl(Options options)
      : options_(std::move(options)),
        pods_(options_.transport),
        nodes_(options_.transport),
        events_(client::EventRecorder::make(options_.transport,
                                            {.component = std::string(kName), .host = "", .clock = options_.clock})),
        queue_({.name = "scheduler",
                .retry_base = milliseconds(10),
                .retry_limit = milliseconds(60'000),
                .clock = options_.clock}) {
    nodes_.add_handlers({.add = [this](const NodePtr& node) { node_changed(node); },
                         .update = [this](const NodePtr&, const NodePtr& node) { node_changed(node); },
                         .remove = [this](const NodePtr& node) { node_removed(node); }});
    pods_.add_handlers({.add = [this](const PodPtr& pod) { pod_changed(pod); },
                        .update = [this](const PodPtr&, const PodPtr& pod) { pod_changed(pod); },
                        .remove = [this](const PodPtr& pod) { pod_removed(pod); }});
    nodes_.start();
    pods_.start();
    // One worker: decisions follow each other, each sees the one before.
    workers_ = client::run_workers(queue_, 1, [this](const std::string& key) { return schedule(key); });
  }

  ~SchedulerImpl() override {
    pods_.stop();
    nodes_.stop();
    workers_.stop();
  }

 private:
  void node_changed(const NodePtr& node) {
    Lock lock(mutex_);
    snapshot_.set_node(node);
    wake_waiting();
  }
  void node_removed(const NodePtr& node) {
    Lock lock(mutex_);
    snapshot_.remove_node(node->metadata.name);
  }

  void pod_changed(const PodPtr& pod) {
    std::string key = client::key_of(*pod);
    Lock lock(mutex_);
    bool held = snapshot_.holds(key);
    // What was just bound stays counted until the copy of the pod shows its node.
    if (!pod->spec.nodeName.empty()) {
      assumed_.erase(key);
      snapshot_.set_pod(pod);
      if (held && !snapshot_.holds(key)) wake_waiting();  // it ended, and left room
    }
    if (waits_for_us(*pod) && !assumed_.contains(key)) queue_.add(key);
  }
  void pod_removed(const PodPtr& pod) {
    std::string key = client::key_of(*pod);
    Lock lock(mutex_);
    assumed_.erase(key);
    waiting_.erase(key);
    snapshot_.remove_pod(key);
    wake_waiting();
  }

  void wake_waiting() KNARR_REQUIRES(mutex_) {
    for (const std::string& key : waiting_) queue_.add(key);
    waiting_.clear();
  }

  Status schedule(const std::string& key) {
    PodPtr pod = pods_.get(key);
    if (!pod || !waits_for_us(*pod)) return {};
    // Before the nodes are known, every pod would seem to fit nowhere.
    if (!nodes_.wait_synced(seconds(10))) return unavailable("the nodes are not known yet");
    Decision decision;
    {
      Lock lock(mutex_);
      if (assumed_.contains(key)) return {};
      decision = decide(*pod, snapshot_);
      if (decision.node.empty()) {
        waiting_.insert(key);
      } else {
        auto placed = std::make_shared<Pod>(*pod);
        placed->spec.nodeName = decision.node;
        snapshot_.set_pod(placed);
        assumed_.insert(key);
      }
    }
    if (decision.node.empty()) return report_unschedulable(*pod, decision.message);
    Status bound = bind(*pod, decision.node);
    if (bound.ok()) {
      events_->event(client::event_ref(*pod), client::kEventNormal, "Scheduled",
                     fmt::format("Successfully assigned {} to {}", key, decision.node));
      return {};
    }
    Lock lock(mutex_);
    assumed_.erase(key);
    snapshot_.remove_pod(key);
    if (bound.is(reason::kNotFound)) return {};  // deleted meanwhile
    return bound.with_context(fmt::format("bind {} to {}", key, decision.node));
  }

  Status bind(const Pod& pod, const std::string& node) {
    json::Document binding(rapidjson::kObjectType);
    auto& alloc = binding.GetAllocator();
    json::set(binding, "apiVersion", "v1", alloc);
    json::set(binding, "kind", "Binding", alloc);
    auto& metadata = json::ensure_object(binding, {"metadata"}, alloc);
    json::set(metadata, "name", pod.metadata.name, alloc);
    json::set(metadata, "namespace", pod.metadata.namespace_, alloc);
    json::set(metadata, "uid", pod.metadata.uid, alloc);
    auto& target = json::ensure_object(binding, {"target"}, alloc);
    json::set(target, "kind", "Node", alloc);
    json::set(target, "name", node, alloc);
    return options_.transport
        ->create({"", "v1", "pods", "binding"}, pod.metadata.namespace_, pod.metadata.name, json::dump(binding))
        .status();
  }

  Status report_unschedulable(const Pod& pod, const std::string& message) {
    for (const auto& condition : pod.status.conditions) {
      if (condition.type == "PodScheduled" && condition.status == "False" && condition.message == message) return {};
    }
    events_->event(client::event_ref(pod), client::kEventWarning, "FailedScheduling", message);
    std::string quoted;
    json::append_quoted(quoted, message);
    std::string patch = fmt::format(
        R"({{"status":{{"conditions":[{{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":{},"lastTransitionTime":"{}"}}]}}}})",
        quoted, format_time(options_.clock->wall()));
    Status status = options_.transport
                        ->patch({"", "v1", "pods", "status"}, pod.metadata.namespace_, pod.metadata.name,
                                client::kStrategicMergePatch, patch)
                        .status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

  const Options options_;
  client::Informer<Pod> pods_;
  client::Informer<Node> nodes_;
  std::shared_ptr<client::EventRecorder> events_;
  client::WorkQueue queue_;
  Mutex mutex_;
  Snapshot snapshot_ KNARR_GUARDED_BY(mutex_);
  std::set<std::string> waiting_ KNARR_GUARDED_BY(mutex_);  // fitted nowhere; tried again when something changed
  std::set<std::string> assumed_ KNARR_GUARDED_BY(mutex_);  // bound by us, not yet seen so
  client::Workers workers_;
};

}  // namespace

std::unique_ptr<Scheduler> start(Options options) { return std::make_unique<SchedulerImpl>(std::move(options)); }

}  // namespace knarr::scheduler
