// JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on documents. The result is bounded: at most 10,000 operations,
// 3 MiB of copies, and no nesting beyond json::kMaxDepth.
#pragma once

#include <string>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"

namespace knarr::patch {

inline constexpr size_t kMaxOperations = 10000;        // of a JSON patch, as upstream
inline constexpr size_t kMaxCopied = 3 * 1024 * 1024;  // bytes that its "copy" operations may add

// Whether a JSON patch's operations have members of the types that they should have; else BadRequest. `unknown`: paths of
// those that no operation has, "[0].more".
Status check_operations(const json::Value& patch, std::vector<std::string>& unknown);

// Both leave `target` in an undefined, but valid state on error. `alloc` is target's.
// Errors: BadRequest where the patch is none, RequestEntityTooLarge beyond the limits, Invalid (422) where it does not
// apply.
Status apply_json(json::Value& target, const json::Value& patch, json::Allocator& alloc);
Status apply_merge(json::Value& target, const json::Value& patch, json::Allocator& alloc);

}  // namespace knarr::patch
