// The variables by which containers find Services, as Docker's links had them.
#pragma once

#include <memory>
#include <vector>

#include "agent/environment.h"

namespace knarr::agent {

// Of every Service with an address: NAME_SERVICE_HOST, NAME_SERVICE_PORT, NAME_PORT_80_TCP and so on.
Variables service_variables(const std::vector<std::shared_ptr<const core::Service>>& services);
// Those of the Service "kubernetes", where pods reach the API at `host`:`port` rather than at the Service's address.
Variables api_variables(const std::string& host, const std::string& port);

}  // namespace knarr::agent
