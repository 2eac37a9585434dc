// The aggregated discovery document (APIGroupDiscoveryList of apidiscovery.k8s.io/v2) in Kubernetes' protobuf form.
#pragma once

#include <string>
#include <string_view>

namespace knarr::apiserver {

// From its JSON text.
std::string discovery_protobuf(std::string_view text);

}  // namespace knarr::apiserver
