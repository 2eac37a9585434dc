// What follows from a node's health, as pure functions: its conditions when it falls silent, its taints, how fast nodes
// of a zone may be given up, and how long a pod stays on a tainted node. Semantics are upstream's node life cycle and
// taint eviction controllers'.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/schema/api/core_v1.h"

namespace knarr::controllers {

using api::core::v1::Node;
using api::core::v1::NodeCondition;
using api::core::v1::Taint;
using api::core::v1::Toleration;

inline constexpr std::string_view kNotReadyTaint = "node.kubernetes.io/not-ready";
inline constexpr std::string_view kUnreachableTaint = "node.kubernetes.io/unreachable";

const NodeCondition* ready_condition(const Node& node);  // null: never reported
bool is_ready(const Node& node);

// Sets what the agent reports (Ready and the pressures) to Unknown, since nothing was heard of the node for too long.
// False when Ready was Unknown already.
bool mark_silent(Node& node, WallTime now);

// Makes the NoSchedule taints what conditions and spec.unschedulable call for; other taints stay. False: nothing to do.
bool set_schedule_taints(Node& node, WallTime now);

// Gives the node one of the two NoExecute taints of readiness, or none (""), and takes the other. False: nothing to do.
bool set_execute_taint(Node& node, std::string_view key, WallTime now);
bool has_execute_taint(const Node& node, std::string_view key);
std::string_view execute_taint_for(const Node& node);  // the one that its Ready condition calls for

// Region and zone, as one key.
std::string zone_of(const Node& node);

enum class ZoneState { kNormal, kPartlyDown, kDown };
ZoneState zone_state(size_t ready, size_t not_ready);
// How long after one node of the zone the next may get its NoExecute taint; nothing: none may.
std::optional<milliseconds> taint_pause(ZoneState state, size_t nodes);

// How long a pod with these tolerations may stay on a node with these NoExecute taints: 0 not at all, nothing: for
// good.
std::optional<seconds> stay_of(std::span<const Toleration> tolerations, std::span<const Taint> taints);
std::vector<Taint> execute_taints(const Node& node);

}  // namespace knarr::controllers
