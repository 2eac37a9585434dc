// ComponentStatuses: objects that nobody stores. What they speak of runs as long as this server does.
#pragma once

#include <vector>

#include "knarr/store/store.h"

namespace knarr::apiserver {

const std::vector<store::ObjectPtr>& component_statuses();  // in the order of their names

}  // namespace knarr::apiserver
