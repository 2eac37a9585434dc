#include "knarr/admission/chain.h"

#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// In upstream's order (its AllOrderedPlugins), which clients see in what an earlier plugin refuses.
constexpr PluginPtr (*kPlugins[])(store::Store& store) = {
    make_device_access,  // part of validation there
    make_namespace_lifecycle,
    make_limit_ranger,
    make_service_account,
    make_taint_nodes_by_condition,
    make_pod_security,
    make_priority,
    make_default_toleration_seconds,
    make_default_storage_class,
    make_storage_object_in_use_protection,
    make_persistent_volume_claim_resize,
    make_runtime_class,
    make_certificate_subject_restriction,
    make_default_ingress_class,
    make_resource_quota,
};

}  // namespace

apiserver::AdmissionChain default_chain(store::Store& store) {
  apiserver::AdmissionChain chain;
  for (const auto make : kPlugins) chain.push_back(make(store));
  return chain;
}

}  // namespace knarr::admission
