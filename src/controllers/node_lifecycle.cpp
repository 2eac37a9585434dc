// Notices nodes that have fallen silent. An agent renews its Lease and its status; a node of which nothing new was seen
// for the grace period gets the condition Ready=Unknown, its pods are no longer ready, and its taints follow. Nodes get
// their NoExecute taint one after the other, and none at all while no node is ready: then it is rather the network of
// the control plane that is gone.
//
// Times are this process's own, from when it saw a change, so that clocks of machines need not agree. Heartbeats only
// leave the time of their coming; a node is looked at when its time has run out, or when it changes.
#include <fmt/format.h>

#include <set>

#include "controllers/controller.h"
#include "controllers/node_health.h"
#include "knarr/codec/json.h"
#include "knarr/schema/api/coordination_v1.h"

namespace knarr::controllers {

namespace {

using api::coordination::v1::Lease;

constexpr std::string_view kLeaseNamespace = "kube-node-lease";
constexpr std::string_view kNotCounted = "node.kubernetes.io/exclude-disruption";
constexpr seconds kStartupGrace{60};

// Upstream keeps the old names of two labels true.
struct LabelPair {
  std::string_view key, follower;
};
constexpr LabelPair kFollowingLabels[] = {{"kubernetes.io/os", "beta.kubernetes.io/os"},
                                          {"kubernetes.io/arch", "beta.kubernetes.io/arch"}};

bool follow_labels(Node& node) {
  bool changed = false;
  for (const LabelPair& pair : kFollowingLabels) {
    auto it = node.metadata.labels.find(std::string(pair.key));
    if (it == node.metadata.labels.end()) continue;
    std::string& follower = node.metadata.labels[std::string(pair.follower)];
    if (follower == it->second) continue;
    follower = it->second;
    changed = true;
  }
  return changed;
}

class NodeLifecycleController : public Controller {
 public:
  explicit NodeLifecycleController(Context context)
      : context_(context),
        clock_(*context.options.clock),
        nodes_(context.informers.of<Node>()),
        leases_(context.informers.of<Lease>()),
        pods_(context.informers.of<Pod>()),
        events_(client::EventRecorder::make(
            context.options.transport, {.component = "node-controller", .host = "", .clock = context.options.clock})) {
    by_node_ = pods_->add_index(node_of);
  }

  void watch(client::WorkQueue& queue) override {
    auto node_changed = [this, &queue](const auto& node) {
      see_status(*node);
      queue.add(node->metadata.name);
    };
    nodes_->add_handlers({.add = node_changed,
                          .update = [node_changed](const auto&, const auto& node) { node_changed(node); },
                          .remove = [&queue](const auto& node) { queue.add(node->metadata.name); }});
    auto renewed = [this](const auto& lease) { see_lease(*lease); };
    leases_->add_handlers(
        {.add = renewed, .update = [renewed](const auto&, const auto& lease) { renewed(lease); }, .remove = {}});
    // Pods that come to a node that is not ready; keys of nodes have no slash, those of pods have.
    auto look = [this, &queue](const auto& pod) {
      auto node = nodes_->get(pod->spec.nodeName);
      if (node && ready_condition(*node) && !is_ready(*node)) queue.add(client::key_of(*pod));
    };
    pods_->add_handlers({.add = look,
                         .update =
                             [look](const auto& before, const auto& pod) {
                               if (before->spec.nodeName != pod->spec.nodeName) look(pod);
                             },
                         .remove = {}});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    if (key.find('/') != std::string::npos) return reconcile_pod(key);
    if (!counted_all_) {  // or the first node would look like the only one
      for (const auto& node : nodes_->list()) count(*node);
      all_down_ = all_zones_down();
      counted_all_ = true;
    }
    auto known = nodes_->get(key);
    if (!known) return forget(key, queue);
    if (known_.emplace(key, known->metadata.uid).second) {
      event(*known, "RegisteredNode", fmt::format("Node {0} event: Registered Node {0} in Controller", key));
    }
    KNARR_ASSIGN(Node node, settle_health(*known, queue));
    count(node);
    watch_zones(queue);
    KNARR_RETURN_IF_ERROR(settle_taints(node, queue));
    if (is_ready(node)) unready_pods_of_.erase(key);
    if (unready_pods_of_.contains(key)) {
      KNARR_RETURN_IF_ERROR(mark_pods(key));
      unready_pods_of_.erase(key);
    }
    return {};
  }

 private:
  // The last sign of life of a node.
  struct Seen {
    std::optional<WallTime> heartbeat, renewed;
    bool reported = false;  // it has had a Ready condition
    MonoTime at;
  };
  struct Zone {
    size_t ready = 0, not_ready = 0;
    ZoneState state = ZoneState::kNormal;
    MonoTime next_taint{};
  };
  struct Counted {
    std::string zone;
    bool ready = false;
  };

  void see_status(const Node& node) {
    const NodeCondition* ready = ready_condition(node);
    MonoTime now = clock_.mono();
    Lock lock(mutex_);
    auto [it, fresh] = seen_.try_emplace(node.metadata.name);
    Seen& seen = it->second;
    if (fresh) {
      // A node that never reported has the time since it was made.
      seen.at =
          ready || !node.metadata.creationTimestamp ? now : now - (clock_.wall() - *node.metadata.creationTimestamp);
    } else if (seen.reported != (ready != nullptr) || (ready && seen.heartbeat != ready->lastHeartbeatTime)) {
      seen.at = now;
    }
    seen.reported = ready != nullptr;
    if (ready) seen.heartbeat = ready->lastHeartbeatTime;
  }

  void see_lease(const Lease& lease) {
    if (lease.metadata.namespace_ != kLeaseNamespace) return;
    Lock lock(mutex_);
    Seen& seen = leased_[lease.metadata.name];
    if (seen.renewed && (!lease.spec.renewTime || *lease.spec.renewTime <= *seen.renewed)) return;
    seen.renewed = lease.spec.renewTime;
    seen.at = clock_.mono();
  }

  MonoTime last_sign(const std::string& name) {
    Lock lock(mutex_);
    MonoTime last = seen_[name].at;
    if (auto it = leased_.find(name); it != leased_.end()) last = std::max(last, it->second.at);
    return last;
  }

  Status forget(const std::string& name, client::WorkQueue& queue) {
    if (auto it = known_.find(name); it != known_.end()) {
      Node gone;
      gone.metadata.name = name;
      gone.metadata.uid = it->second;
      event(gone, "RemovingNode", fmt::format("Node {0} event: Removing Node {0} from Controller", name));
      known_.erase(it);
    }
    {
      Lock lock(mutex_);
      seen_.erase(name);
      leased_.erase(name);
    }
    unready_pods_of_.erase(name);
    uncount(name);
    watch_zones(queue);
    return {};
  }

  // The node as it is, or as it has just been marked; comes again when its time has run out.
  Result<Node> settle_health(const Node& known, client::WorkQueue& queue) {
    const std::string& name = known.metadata.name;
    const milliseconds grace = ready_condition(known) ? context_.options.node_monitor_grace : kStartupGrace;
    const MonoTime until = last_sign(name) + grace, now = clock_.mono();
    if (now <= until) {
      queue.add_after(name, std::chrono::ceil<milliseconds>(until - now) + milliseconds(1));
      return known;
    }
    Node silent = known;
    if (!mark_silent(silent, clock_.wall())) return known;
    {
      Lock lock(mutex_);  // what comes back of this write is no sign of life
      Seen& seen = seen_[name];
      seen.reported = true;
      seen.heartbeat = ready_condition(silent)->lastHeartbeatTime;
    }
    auto text = context_.transport.update({"", "v1", "nodes", "status"}, "", name, api::encode(silent));
    if (!text.ok()) return std::move(text).status();
    if (is_ready(known)) {
      event(known, "NodeNotReady", fmt::format("Node {} status is now: NodeNotReady", name));
      unready_pods_of_.insert(name);
    }
    return api::decode_as<Node>(*text);
  }

  Status settle_taints(const Node& node, client::WorkQueue& queue) {
    Node next = node;
    bool taints_changed = set_schedule_taints(next, clock_.wall());
    const std::string_view wanted = execute_taint_for(node);
    if (wanted.empty() || all_down_) {
      if (ready_condition(node)) taints_changed |= set_execute_taint(next, "", clock_.wall());
    } else if (!has_execute_taint(node, wanted) && may_taint(node, queue)) {
      taints_changed |= set_execute_taint(next, wanted, clock_.wall());
    }
    bool labels_changed = follow_labels(next);
    if (!taints_changed && !labels_changed) return {};
    json::Document body(rapidjson::kObjectType);
    auto& alloc = body.GetAllocator();
    json::Value& metadata = json::ensure_object(body, {"metadata"}, alloc);
    json::set(metadata, "resourceVersion", node.metadata.resourceVersion, alloc);
    if (labels_changed) {
      json::Value& labels = json::ensure_object(metadata, {"labels"}, alloc);
      for (const auto& [key, value] : next.metadata.labels) json::set(labels, key, value, alloc);
    }
    if (taints_changed) {
      KNARR_ASSIGN(json::Document spec, json::parse(api::encode(next.spec)));
      json::Value taints(rapidjson::kArrayType);
      if (const json::Value* list = json::find(spec, "taints")) taints = json::copy(*list, alloc);
      json::ensure_object(body, {"spec"}, alloc).AddMember("taints", taints, alloc);
    }
    Status status =
        context_.transport.patch({"", "v1", "nodes", ""}, "", node.metadata.name, client::kMergePatch, json::dump(body))
            .status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

  // Whether it is this node's turn to be given up. One that has the opposite taint has had its turn.
  bool may_taint(const Node& node, client::WorkQueue& queue) {
    if (has_execute_taint(node, kNotReadyTaint) || has_execute_taint(node, kUnreachableTaint)) return true;
    Zone& zone = zones_[zone_of(node)];
    auto pause = taint_pause(zone.state, zone.ready + zone.not_ready);
    if (!pause) return false;  // watch_zones() brings it back
    MonoTime now = clock_.mono();
    if (now < zone.next_taint) {
      queue.add_after(node.metadata.name, std::chrono::ceil<milliseconds>(zone.next_taint - now));
      return false;
    }
    zone.next_taint = now + *pause;
    return true;
  }

  void count(const Node& node) {
    const std::string& name = node.metadata.name;
    if (node.metadata.labels.contains(std::string(kNotCounted))) return uncount(name);
    Counted fresh{zone_of(node), is_ready(node)};
    auto it = counted_.find(name);
    if (it != counted_.end() && it->second.zone == fresh.zone && it->second.ready == fresh.ready) return;
    uncount(name);
    Zone& zone = zones_[fresh.zone];
    ++(fresh.ready ? zone.ready : zone.not_ready);
    counted_.emplace(name, std::move(fresh));
  }

  void uncount(const std::string& name) {
    auto it = counted_.find(name);
    if (it == counted_.end()) return;
    Zone& zone = zones_[it->second.zone];
    --(it->second.ready ? zone.ready : zone.not_ready);
    counted_.erase(it);
  }

  bool all_zones_down() const {
    size_t ready = 0;
    for (const auto& [key, zone] : zones_) ready += zone.ready;
    return ready == 0 && !counted_.empty();
  }

  // Looks whether zones went down or came back, and has all nodes looked at again when one did.
  void watch_zones(client::WorkQueue& queue) {
    bool changed = false;
    for (auto& [key, zone] : zones_) {
      ZoneState state = zone_state(zone.ready, zone.not_ready);
      changed |= state != zone.state;
      zone.state = state;
    }
    bool all_down = all_zones_down();
    if (all_down_ && !all_down) {  // the others were perhaps only not heard: they get their time anew
      Lock lock(mutex_);
      for (auto& [name, seen] : seen_) seen.at = clock_.mono();
    }
    changed |= all_down != all_down_;
    all_down_ = all_down;
    if (!changed) return;
    for (const auto& node : nodes_->list()) queue.add(node->metadata.name);
  }

  Status mark_pods(const std::string& node) {
    Status result;
    for (const auto& pod : pods_->by_index(by_node_, node)) {
      if (Status status = mark_pod(*pod); !status.ok()) result = status;
    }
    return result;
  }

  Status reconcile_pod(const std::string& key) {
    auto pod = pods_->get(key);
    if (!pod) return {};
    auto node = nodes_->get(pod->spec.nodeName);
    if (!node || !ready_condition(*node) || is_ready(*node)) return {};
    return mark_pod(*pod);
  }

  Status mark_pod(const Pod& pod) {
    Pod unready = pod;
    for (auto& condition : unready.status.conditions) {
      if (condition.type != "Ready") continue;
      if (condition.status == "False") return {};
      condition.status = "False";
      condition.lastTransitionTime = std::chrono::floor<seconds>(clock_.wall());
      Status status =
          context_.transport
              .update({"", "v1", "pods", "status"}, pod.metadata.namespace_, pod.metadata.name, api::encode(unready))
              .status();
      if (status.is(reason::kNotFound)) return {};
      if (status.ok()) {
        events_->event(client::event_ref(pod), client::kEventWarning, "NodeNotReady", "Node is not ready");
      }
      return status;
    }
    return {};
  }

  void event(const Node& node, std::string_view reason, const std::string& message) {
    client::EventRef about{"v1", "Node", "", node.metadata.name, node.metadata.uid, "", ""};
    events_->event(about, client::kEventNormal, reason, message);
  }

  Context context_;
  const Clock& clock_;
  std::shared_ptr<client::Informer<Node>> nodes_;
  std::shared_ptr<client::Informer<Lease>> leases_;
  std::shared_ptr<client::Informer<Pod>> pods_;
  std::shared_ptr<client::EventRecorder> events_;
  size_t by_node_ = 0;

  // The worker's own.
  std::map<std::string, std::string> known_;  // name → uid
  std::map<std::string, Counted> counted_;
  std::map<std::string, Zone> zones_;
  bool counted_all_ = false, all_down_ = false;
  std::set<std::string> unready_pods_of_;  // nodes whose pods still have to be marked

  Mutex mutex_;
  std::map<std::string, Seen> seen_ KNARR_GUARDED_BY(mutex_);    // by status
  std::map<std::string, Seen> leased_ KNARR_GUARDED_BY(mutex_);  // by Lease; it may come before its node
};

}  // namespace

std::unique_ptr<Controller> make_node_lifecycle_controller(Context context) {
  return std::make_unique<NodeLifecycleController>(context);
}

}  // namespace knarr::controllers
