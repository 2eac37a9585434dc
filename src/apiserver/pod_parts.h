// pods/ephemeralcontainers and pods/resize: endpoints that change one part of a pod only.
#pragma once

#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"

namespace knarr::apiserver {

bool is_pod_part(std::string_view subresource);

// Everything but the endpoint's part stays as it was.
void prepare_pod_part(std::string_view subresource, json::Value& pod, const json::Value& old, json::Allocator& alloc);

// What may not be done to that part. The pod as such is checked besides.
std::vector<Cause> validate_pod_part(std::string_view subresource, const json::Value& pod, const json::Value& old);

}  // namespace knarr::apiserver
