// Deletes pods from nodes with NoExecute taints that they do not tolerate, or no longer: a toleration may be for a
// time, which runs from when this controller first saw pod and taint together, as upstream's does.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/controller.h"
#include "controllers/node_health.h"

namespace knarr::controllers {

namespace {

class TaintEvictionController : public Controller {
 public:
  explicit TaintEvictionController(Context context)
      : context_(context),
        clock_(*context.options.clock),
        nodes_(context.informers.of<Node>()),
        pods_(context.informers.of<Pod>()),
        events_(client::EventRecorder::make(
            context.options.transport,
            {.component = "taint-eviction-controller", .host = "", .clock = context.options.clock})) {
    by_node_ = pods_->add_index(node_of);
  }

  void watch(client::WorkQueue& queue) override {
    // Keys of nodes have no slash, those of pods have.
    nodes_->add_handlers({.add =
                              [&queue](const auto& node) {
                                if (!execute_taints(*node).empty()) queue.add(node->metadata.name);
                              },
                          .update =
                              [&queue](const auto& before, const auto& node) {
                                if (execute_taints(*before) != execute_taints(*node)) queue.add(node->metadata.name);
                              },
                          .remove = {}});
    pods_->add_handlers({.add = [&queue](const auto& pod) { queue.add(client::key_of(*pod)); },
                         .update =
                             [&queue](const auto& before, const auto& pod) {
                               if (before->spec.nodeName != pod->spec.nodeName ||
                                   before->spec.tolerations != pod->spec.tolerations)
                                 queue.add(client::key_of(*pod));
                             },
                         .remove = [&queue](const auto& pod) { queue.add(client::key_of(*pod)); }});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    if (key.find('/') == std::string::npos) {
      for (const auto& pod : pods_->by_index(by_node_, key)) queue.add(client::key_of(*pod));
      return {};
    }
    auto pod = pods_->get(key);
    auto node = pod && !pod->spec.nodeName.empty() ? nodes_->get(pod->spec.nodeName) : nullptr;
    const auto taints = node ? execute_taints(*node) : std::vector<Taint>{};
    if (taints.empty()) return cancel(key);
    const auto stay = stay_of(pod->spec.tolerations, taints);
    if (!stay) return cancel(key);  // for good

    const MonoTime now = clock_.mono();
    auto [it, fresh] = planned_.try_emplace(key, Planned{pod->metadata.uid, now, now + *stay});
    Planned& planned = it->second;
    if (!fresh && planned.uid != pod->metadata.uid) planned = {pod->metadata.uid, now, now + *stay};
    if (planned.done) return {};
    // A change of tolerations or taints counts from the beginning.
    planned.due = stay->count() == 0 ? now : planned.since + *stay;
    if (planned.due > now) {
      queue.add_after(key, std::chrono::ceil<milliseconds>(planned.due - now));
      return {};
    }
    KNARR_RETURN_IF_ERROR(evict(*pod));
    planned.done = true;
    return {};
  }

 private:
  struct Planned {
    std::string uid;
    MonoTime since, due;
    bool done = false;
  };

  Status cancel(const std::string& key) {
    auto it = planned_.find(key);
    if (it == planned_.end()) return {};
    if (!it->second.done) event(key, "Cancelling deletion of Pod " + key);
    planned_.erase(it);
    return {};
  }

  Status evict(const Pod& pod) {
    const std::string key = client::key_of(pod);
    Status status = mark(pod);
    if (status.ok()) {
      event(key, "Marking for deletion Pod " + key);
      status =
          context_.transport
              .remove({"", "v1", "pods", ""}, pod.metadata.namespace_, pod.metadata.name, {.uid = pod.metadata.uid})
              .status();
    }
    // Gone, or another of the name: nothing is left to do here.
    if (status.is(reason::kNotFound)) return {};
    return status;
  }

  Status mark(const Pod& pod) {
    api::core::v1::PodCondition condition;
    condition.type = "DisruptionTarget";
    condition.observedGeneration = pod.metadata.generation;
    condition.status = "True";
    condition.reason = "DeletionByTaintManager";
    condition.message = "Taint manager: deleting due to NoExecute taint";
    condition.lastTransitionTime = std::chrono::floor<seconds>(clock_.wall());
    Pod marked = pod;
    auto& conditions = marked.status.conditions;
    auto known =
        std::find_if(conditions.begin(), conditions.end(), [&](const auto& c) { return c.type == condition.type; });
    if (known == conditions.end()) {
      conditions.push_back(std::move(condition));
    } else {
      if (known->status == condition.status) condition.lastTransitionTime = known->lastTransitionTime;
      if (*known == condition) return {};
      *known = std::move(condition);
    }
    return context_.transport
        .update({"", "v1", "pods", "status"}, pod.metadata.namespace_, pod.metadata.name, api::encode(marked))
        .status();
  }

  void event(const std::string& key, const std::string& message) {
    auto [ns, name] = client::split_key(key);
    events_->event({"v1", "Pod", ns, name, "", "", ""}, client::kEventNormal, "TaintManagerEviction", message);
  }

  Context context_;
  const Clock& clock_;
  std::shared_ptr<client::Informer<Node>> nodes_;
  std::shared_ptr<client::Informer<Pod>> pods_;
  std::shared_ptr<client::EventRecorder> events_;
  size_t by_node_ = 0;
  std::map<std::string, Planned> planned_;  // the worker's own
};

}  // namespace

std::unique_ptr<Controller> make_taint_eviction_controller(Context context) {
  return std::make_unique<TaintEvictionController>(context);
}

}  // namespace knarr::controllers
