// What a pod asks for in all, as limits and quotas count it.
#pragma once

#include <string_view>

#include "knarr/admission/quota.h"

namespace knarr::admission {

struct PodResourceOptions {
  bool overhead = true;     // of its runtime class
  bool status_too = false;  // what the node has granted and what is in effect, where that is more (in-place resizing)
};
// `side` is "requests" or "limits": the sum of what runs at once at any time.
Amounts pod_amounts(const json::Value& pod, std::string_view side, PodResourceOptions options);

}  // namespace knarr::admission
