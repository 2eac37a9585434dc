#include "strategy.h"

#include <map>
#include <string_view>

#include "signing_requests.h"

namespace knarr::apiserver {

namespace {

using json::Value;

// A node that says again what it said before, at a later time.
bool only_heartbeats_differ(const Value& node, const Value& old) {
  const auto without_times = [](const Value& from) {
    json::Document copy = json::copy(from);
    if (Value* metadata = json::find(copy, "metadata")) {
      json::remove(*metadata, "resourceVersion");
      if (Value* managers = json::find(*metadata, "managedFields"); managers && managers->IsArray())
        for (Value& manager : managers->GetArray()) json::remove(manager, "time");
    }
    if (Value* conditions = json::find(copy, {"status", "conditions"}); conditions && conditions->IsArray())
      for (Value& condition : conditions->GetArray()) json::remove(condition, "lastHeartbeatTime");
    return copy;
  };
  return json::equal(without_times(node), without_times(old));
}

const std::map<std::string_view, Strategy>& table() {
  static const std::map<std::string_view, Strategy> rows = {
      {"pods", {.returns_deleted = true, .generation = true, .prepare_create = prepare::new_pod}},
      {"namespaces", {.returns_deleted = true, .prepare_create = prepare::new_namespace}},
      {"services", {.create_on_update = true, .returns_deleted = true, .prepare_update = prepare::service}},
      {"serviceaccounts", {.returns_deleted = true, .prepare_create = prepare::new_account, .prepare_update = prepare::account}},
      {"persistentvolumes",
       {.returns_deleted = true, .prepare_create = prepare::new_volume, .prepare_update = prepare::volume}},
      {"persistentvolumeclaims",
       {.returns_deleted = true, .prepare_create = prepare::new_claim, .prepare_update = prepare::claim}},
      {"nodes", {.prepare_create = prepare::new_node, .prepare_update = prepare::node}},
      {"podtemplates", {.returns_deleted = true, .generation = true}},
      {"resourcequotas", {.returns_deleted = true}},
      {"endpoints", {.create_on_update = true}},
      {"events", {.create_on_update = true, .lazy = true}},
      {"events.events.k8s.io", {.create_on_update = true, .lazy = true}},
      {"limitranges", {.create_on_update = true, .prepare_create = prepare::new_limit_range}},
      {"replicationcontrollers", {.generation = true, .orphans_by_default = true}},
      {"daemonsets.apps",
       {.generation = true, .prepare_create = prepare::new_daemon_set, .prepare_update = prepare::daemon_set}},
      {"deployments.apps", {.generation = true}},
      {"replicasets.apps", {.generation = true}},
      {"statefulsets.apps",
       {.generation = true, .prepare_create = prepare::new_stateful_set, .prepare_update = prepare::stateful_set}},
      {"jobs.batch", {.generation = true, .orphans_by_default = true, .prepare_create = prepare::new_job}},
      {"certificatesigningrequests.certificates.k8s.io",
       {.prepare_create = prepare::new_signing_request,
        .prepare_update = prepare::signing_request,
        .validate = validate_signing_request}},
      {"cronjobs.batch", {.generation = true}},
      {"leases.coordination.k8s.io",
       {.create_on_update = true, .unconditional_update = false, .prepare_create = prepare::new_lease, .prepare_update = prepare::lease}},
      {"endpointslices.discovery.k8s.io",
       {.generation = true, .prepare_create = prepare::new_endpoint_slice, .prepare_update = prepare::endpoint_slice}},
      {"ingresses.networking.k8s.io", {.generation = true}},
      {"ingressclasses.networking.k8s.io", {.generation = true}},
      {"networkpolicies.networking.k8s.io", {.generation = true}},
      {"poddisruptionbudgets.policy", {.unconditional_update = false, .generation = true}},
      {"roles.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"clusterroles.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"rolebindings.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"clusterrolebindings.rbac.authorization.k8s.io", {.create_on_update = true}},
      {"priorityclasses.scheduling.k8s.io", {.generation = true}},
      {"runtimeclasses.node.k8s.io", {.create_on_update = true, .unconditional_update = false}},
      {"storageclasses.storage.k8s.io", {.returns_deleted = true}},
      {"volumeattributesclasses.storage.k8s.io", {.returns_deleted = true}},
      {"csidrivers.storage.k8s.io",
       {.unconditional_update = false, .returns_deleted = true, .prepare_create = prepare::new_csi_driver, .prepare_update = prepare::csi_driver}},
      {"csinodes.storage.k8s.io", {.unconditional_update = false, .returns_deleted = true}},
      {"csistoragecapacities.storage.k8s.io", {.unconditional_update = false}},
      {"volumeattachments.storage.k8s.io", {.unconditional_update = false, .returns_deleted = true}},
      {"mutatingadmissionpolicies.admissionregistration.k8s.io", {.unconditional_update = false, .generation = true}},
      {"mutatingadmissionpolicybindings.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"mutatingwebhookconfigurations.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"validatingadmissionpolicies.admissionregistration.k8s.io", {.unconditional_update = false, .generation = true}},
      {"validatingadmissionpolicybindings.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"validatingwebhookconfigurations.admissionregistration.k8s.io",
       {.unconditional_update = false, .generation = true}},
      {"flowschemas.flowcontrol.apiserver.k8s.io", {.generation = true}},
      {"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", {.generation = true}},
      {"customresourcedefinitions.apiextensions.k8s.io", {.unconditional_update = false, .generation = true}},
      {"deviceclasses.resource.k8s.io", {.returns_deleted = true, .generation = true}},
      {"resourceclaims.resource.k8s.io", {.returns_deleted = true, .prepare_update = prepare::resource_claim}},
      {"resourceclaimtemplates.resource.k8s.io", {.returns_deleted = true}},
      {"resourceslices.resource.k8s.io",
       {.returns_deleted = true,
        .generation = true,
        .prepare_create = prepare::new_resource_slice,
        .prepare_update = prepare::resource_slice}},
  };
  return rows;
}

}  // namespace

const Strategy& strategy_of(const schema::Resource& resource) {
  static const Strategy none, custom{.unconditional_update = false, .generation = true};
  if (resource.custom) return custom;
  const auto found = table().find(resource.storage_name);
  return found == table().end() ? none : found->second;
}

store::Durability durability_of(const schema::Resource& resource, std::string_view ns) {
  const bool lease = ns == "kube-node-lease" && resource.storage_name == "leases.coordination.k8s.io";
  return strategy_of(resource).lazy || lease ? store::Durability::kLazy : store::Durability::kDurable;
}

store::Durability durability_of(const schema::Resource& resource, std::string_view ns, const Value& object,
                                const Value& old) {
  if (resource.storage_name == "nodes" && only_heartbeats_differ(object, old)) return store::Durability::kLazy;
  return durability_of(resource, ns);
}

}  // namespace knarr::apiserver
