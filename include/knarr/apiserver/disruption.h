// What evictions and the disruption controller both write into a PodDisruptionBudget's status.
#pragma once

#include <string_view>

#include "knarr/base/clock.h"
#include "knarr/codec/json.h"

namespace knarr::apiserver {

inline constexpr std::string_view kDisruptionAllowed = "DisruptionAllowed";

// The condition as status.disruptionsAllowed has it: SufficientPods or InsufficientPods.
void set_disruption_allowed(json::Value& status, WallTime now, json::Allocator& alloc);

// A meta/v1.Condition of that type; its transition time changes only with its status.
struct ConditionState {
  std::string_view type, status, reason, message;
  int64_t observed_generation = 0;
};
void set_condition(json::Value& status, const ConditionState& state, WallTime now, json::Allocator& alloc);
const json::Value* find_condition(const json::Value& status, std::string_view type);  // null: there is none

}  // namespace knarr::apiserver
