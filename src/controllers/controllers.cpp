#include "knarr/controllers/controllers.h"

#include <fmt/format.h>

#include "controllers/controller.h"
#include "knarr/base/log.h"

namespace knarr::controllers {

namespace {

constexpr ControllerEntry kControllers[] = {
    {"namespace", make_namespace_controller},
    {"garbage-collector", make_garbage_collector},
    {"resource-quota", make_quota_controller},
    {"disruption", make_disruption_controller},
    {"certificates", make_certificate_controller},
    {"storage-protection", make_storage_protection_controller},
    {"pod-garbage", make_pod_garbage_controller},
    {"node-cidr", make_node_cidr_controller},
    {"node-lifecycle", make_node_lifecycle_controller},
    {"taint-eviction", make_taint_eviction_controller},
    {"token-secrets", make_token_secret_controller},
    {"token-cleaner", make_token_cleaner},
    {"node-authority", make_node_authority_controller},
    {"ip-addresses", make_ip_address_controller},
    {"service-cidrs", make_service_cidr_controller},
    {"cluster-role-aggregation", make_cluster_role_aggregation_controller},
    {"flow-configuration", make_flow_configuration_controller},
};

struct SystemPriority {
  std::string_view name;
  int value;
  std::string_view description;
};
constexpr SystemPriority kSystemPriorities[] = {
    {"system-cluster-critical", 2'000'000'000,
     "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."},
    {"system-node-critical", 2'000'001'000,
     "Used for system critical pods that must not be moved from their current node."},
};

constexpr std::string_view kNamespaces[] = {"default", "kube-system", "kube-public", "kube-node-lease"};

class Running : public Controllers {
 public:
  explicit Running(Options options)
      : options_(std::move(options)), informers_(options_.transport), publications_(*options_.rest) {
    for (const ControllerEntry& entry : kControllers) {
      Loop& loop = loops_.emplace_back();
      loop.controller = entry.make({options_, informers_, *options_.transport, &publications_});
      loop.queue = std::make_unique<client::WorkQueue>(client::WorkQueue::Options{.name = std::string(entry.name),
                                                                                  .retry_base = milliseconds(5),
                                                                                  .retry_limit = seconds(60),
                                                                                  .clock = options_.clock});
      loop.controller->watch(*loop.queue);
    }
    informers_.start();
    publications_.start();
    for (Loop& loop : loops_) {
      loop.workers = client::run_workers(*loop.queue, 1, [this, &loop](const std::string& key) -> Status {
        // A controller that acts on half of what there is would delete the other half.
        if (!informers_.wait_synced(seconds(30))) return unavailable("the informers have not synced yet");
        return loop.controller->reconcile(key, *loop.queue);
      });
    }
  }

  ~Running() override {
    informers_.stop();
    publications_.stop();
    for (Loop& loop : loops_) loop.workers.stop();
  }

  void authority_changed() override {
    for (Loop& loop : loops_) loop.controller->authority_changed(*loop.queue);
  }

 private:
  struct Loop {
    std::unique_ptr<client::WorkQueue> queue;  // outlives the controller, whose own watches add to it
    std::unique_ptr<Controller> controller;
    client::Workers workers;
  };

  const Options options_;
  client::Informers informers_;
  Publications publications_;
  std::deque<Loop> loops_;
};

}  // namespace

std::span<const ControllerEntry> controller_table() { return kControllers; }

Status bootstrap(client::Transport& transport) {
  for (std::string_view name : kNamespaces) {
    std::string body = fmt::format(R"({{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{}"}}}})", name);
    Status status = transport.create({"", "v1", "namespaces", ""}, "", name, body).status();
    if (!status.ok() && !status.is(reason::kAlreadyExists))
      return status.with_context(fmt::format("create namespace {}", name));
  }
  for (const SystemPriority& priority : kSystemPriorities) {
    std::string body = fmt::format(
        R"({{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{{"name":"{}"}},"value":{},"description":"{}"}})",
        priority.name, priority.value, priority.description);
    Status status =
        transport.create({"scheduling.k8s.io", "v1", "priorityclasses", ""}, "", priority.name, body).status();
    if (!status.ok() && !status.is(reason::kAlreadyExists))
      return status.with_context(fmt::format("create priority class {}", priority.name));
  }
  return {};
}

std::unique_ptr<Controllers> start(Options options) { return std::make_unique<Running>(std::move(options)); }

}  // namespace knarr::controllers
