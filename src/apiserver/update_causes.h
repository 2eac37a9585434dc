// Upstream checks the metadata of an updated object for every kind, and again in the rules of the kind: what is wrong with it
// is told as often.
#pragma once

#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/schema/type.h"

namespace knarr::apiserver {

// `causes` are those of the kind's own check, each once.
std::vector<Cause> causes_of_update(const schema::Resource& resource, std::string_view subresource,
                                    std::vector<Cause> causes);

}  // namespace knarr::apiserver
