// What a controller gets and gives. It registers handlers on the shared informers that put keys into its queue, and
// reconciles one key at a time; it holds no state that it could derive, so it may be killed at any line.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "controllers/publications.h"
#include "knarr/client/events.h"
#include "knarr/client/informer.h"
#include "knarr/client/workqueue.h"
#include "knarr/controllers/controllers.h"
#include "knarr/schema/api.h"

namespace knarr::controllers {

using api::core::v1::Namespace;
using api::core::v1::Node;
using api::core::v1::Pod;

struct Context {
  const Options& options;
  client::Informers& informers;
  client::Transport& transport;
  Publications* publications = nullptr;  // null in tests of those that need none
};

class Controller {
 public:
  virtual ~Controller() = default;
  // Registers handlers. The informers start afterwards.
  virtual void watch(client::WorkQueue& queue) = 0;
  virtual Status reconcile(const std::string& key, client::WorkQueue& queue) = 0;
  // The options' trusted_ca() answers something else now: add the keys of what shows it. On any thread.
  virtual void authority_changed(client::WorkQueue&) {}
};

// An index of pods by the node they are bound to.
inline std::vector<std::string> node_of(const Pod& pod) {
  return pod.spec.nodeName.empty() ? std::vector<std::string>{} : std::vector<std::string>{pod.spec.nodeName};
}

std::unique_ptr<Controller> make_cluster_role_aggregation_controller(Context context);
std::unique_ptr<Controller> make_token_secret_controller(Context context);
std::unique_ptr<Controller> make_token_cleaner(Context context);
std::unique_ptr<Controller> make_ip_address_controller(Context context);
std::unique_ptr<Controller> make_service_cidr_controller(Context context);
std::unique_ptr<Controller> make_node_authority_controller(Context context);
std::unique_ptr<Controller> make_namespace_controller(Context context);
std::unique_ptr<Controller> make_garbage_collector(Context context);
std::unique_ptr<Controller> make_quota_controller(Context context);
std::unique_ptr<Controller> make_disruption_controller(Context context);
std::unique_ptr<Controller> make_certificate_controller(Context context);
std::unique_ptr<Controller> make_storage_protection_controller(Context context);
std::unique_ptr<Controller> make_pod_garbage_controller(Context context);
std::unique_ptr<Controller> make_node_cidr_controller(Context context);
std::unique_ptr<Controller> make_node_lifecycle_controller(Context context);
std::unique_ptr<Controller> make_taint_eviction_controller(Context context);
std::unique_ptr<Controller> make_flow_configuration_controller(Context context);

struct ControllerEntry {
  std::string_view name;
  std::unique_ptr<Controller> (*make)(Context context);
};
std::span<const ControllerEntry> controller_table();

}  // namespace knarr::controllers
