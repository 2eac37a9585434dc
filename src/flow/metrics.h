// What /metrics tells of the priority levels, in upstream's names.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "flow/level.h"

namespace knarr::flow {

// The configuration is not changed meanwhile.
std::string metrics_text(const std::map<std::string, std::shared_ptr<Level>>& levels);

}  // namespace knarr::flow
