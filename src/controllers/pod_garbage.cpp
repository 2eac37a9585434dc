// Removes pods that nobody else will: those on nodes that are gone or that somebody declared out of service, those that
// are to go and never had a node, and the oldest of too many that have ended.
#include <algorithm>

#include "controllers/controller.h"
#include "controllers/node_health.h"

namespace knarr::controllers {

namespace {

constexpr std::string_view kOutOfService = "node.kubernetes.io/out-of-service";
constexpr milliseconds kQuarantine{40'000};       // a node may come back at once, with its pods
constexpr size_t kTerminatedPodsKept = 12'500;    // upstream's --terminated-pod-gc-threshold
constexpr std::string_view kTerminatedKey = "/";  // one key for the second job; no pod has it

bool ended(const Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }

class PodGarbageController : public Controller {
 public:
  explicit PodGarbageController(Context context)
      : context_(context), pods_(context.informers.of<Pod>()), nodes_(context.informers.of<Node>()) {
    by_node_ = pods_->add_index(node_of);
    ended_ = pods_->add_index(
        [](const Pod& pod) { return ended(pod) ? std::vector<std::string>{"ended"} : std::vector<std::string>{}; });
  }

  void watch(client::WorkQueue& queue) override {
    pods_->add_handlers({.add = [this, &queue](const auto& pod) { look_at(*pod, queue); },
                         .update = [this, &queue](const auto&, const auto& pod) { look_at(*pod, queue); },
                         .remove = {}});
    nodes_->add_handlers({.add = {},
                          .update =
                              [this, &queue](const auto& before, const auto& node) {
                                if (out_of_service(*before) || !out_of_service(*node)) return;
                                for (const auto& pod : pods_->by_index(by_node_, node->metadata.name)) {
                                  queue.add(client::key_of(*pod));
                                }
                              },
                          .remove =
                              [this, &queue](const auto& node) {
                                for (const auto& pod : pods_->by_index(by_node_, node->metadata.name)) {
                                  queue.add_after(client::key_of(*pod), kQuarantine);
                                }
                              }});
  }

  Status reconcile(const std::string& key, client::WorkQueue&) override {
    if (key == kTerminatedKey) return trim_ended();
    auto pod = pods_->get(key);
    if (!pod) return {};
    const bool terminating = pod->metadata.deletionTimestamp.has_value();
    const std::string& name = pod->spec.nodeName;
    if (name.empty()) return terminating ? give_up(*pod, "") : Status();
    if (auto known = nodes_->get(name)) return terminating && out_of_service(*known) ? give_up(*pod, "") : Status();
    auto node = context_.transport.get({"", "v1", "nodes", ""}, "", name);  // the truth, not the copy
    if (node.ok() || !node.status().is(reason::kNotFound)) return node.ok() ? Status() : node.status();
    return give_up(*pod, "PodGC: node no longer exists");
  }

 private:
  // Whoever shut the machine down said so: its pods will not report their end.
  static bool out_of_service(const Node& node) {
    const auto& taints = node.spec.taints;
    return !is_ready(node) &&
           std::any_of(taints.begin(), taints.end(), [](const Taint& t) { return t.key == kOutOfService; });
  }

  void look_at(const Pod& pod, client::WorkQueue& queue) {
    auto node = nodes_->get(pod.spec.nodeName);
    if (!node && !pod.spec.nodeName.empty()) queue.add_after(client::key_of(pod), kQuarantine);
    if (pod.metadata.deletionTimestamp && (pod.spec.nodeName.empty() || (node && out_of_service(*node))))
      queue.add(client::key_of(pod));
    if (ended(pod)) queue.add(kTerminatedKey);
  }

  Status give_up(const Pod& pod, std::string_view disruption) {
    if (!ended(pod)) KNARR_RETURN_IF_ERROR(mark_failed(pod, disruption));
    return remove(pod);
  }

  // `disruption`: what ended it, when that was not asked for.
  Status mark_failed(const Pod& pod, std::string_view disruption) {
    Pod failed = pod;
    failed.status.phase = "Failed";
    if (!disruption.empty()) {
      api::core::v1::PodCondition condition;
      condition.type = "DisruptionTarget";
      condition.observedGeneration = pod.metadata.generation;
      condition.status = "True";
      condition.reason = "DeletionByPodGC";
      condition.message = disruption;
      condition.lastTransitionTime = context_.options.clock->wall();
      std::erase_if(failed.status.conditions, [](const auto& c) { return c.type == "DisruptionTarget"; });
      failed.status.conditions.push_back(condition);
    }
    Status status =
        context_.transport
            .update({"", "v1", "pods", "status"}, pod.metadata.namespace_, pod.metadata.name, api::encode(failed))
            .status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

  Status remove(const Pod& pod) {
    Status status = context_.transport
                        .remove({"", "v1", "pods", ""}, pod.metadata.namespace_, pod.metadata.name,
                                {.grace_period_seconds = 0, .uid = pod.metadata.uid})
                        .status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

  Status trim_ended() {
    auto pods = pods_->by_index(ended_, "ended");
    if (pods.size() <= kTerminatedPodsKept) return {};
    size_t excess = pods.size() - kTerminatedPodsKept;
    std::partial_sort(
        pods.begin(), pods.begin() + static_cast<long>(excess), pods.end(),
        [](const auto& a, const auto& b) { return a->metadata.creationTimestamp < b->metadata.creationTimestamp; });
    for (size_t i = 0; i < excess; ++i) KNARR_RETURN_IF_ERROR(remove(*pods[i]));
    return {};
  }

  Context context_;
  std::shared_ptr<client::Informer<Pod>> pods_;
  std::shared_ptr<client::Informer<Node>> nodes_;
  size_t by_node_ = 0, ended_ = 0;
};

}  // namespace

std::unique_ptr<Controller> make_pod_garbage_controller(Context context) {
  return std::make_unique<PodGarbageController>(context);
}

}  // namespace knarr::controllers
