#include "knarr/admission/chain.h"

#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// In upstream's order (its AllOrderedPlugins), which clients see in what an earlier plugin refuses.
constexpr PluginPtr (*kPlugins[])(store::Store& store) = {
    make_namespace_lifecycle,
    make_service_account,
    make_priority,
    make_default_toleration_seconds,
};

}  // namespace

apiserver::AdmissionChain default_chain(store::Store& store) {
  apiserver::AdmissionChain chain;
  for (const auto make : kPlugins) chain.push_back(make(store));
  return chain;
}

}  // namespace knarr::admission
