// The FlowSchemas and PriorityLevelConfigurations that every cluster has (upstream: apis/flowcontrol/bootstrap).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "knarr/schema/api/flowcontrol_v1.h"

namespace knarr::schema {

// Mandatory ones are always there and as they are here; the suggested ones are an administrator's to change or to give up.
template <typename T>
struct FlowDefault {
  T object;
  bool mandatory;
};

// Made on first use, suggested ones first.
std::span<const FlowDefault<api::flowcontrol::v1::PriorityLevelConfiguration>> default_priority_levels();
std::span<const FlowDefault<api::flowcontrol::v1::FlowSchema>> default_flow_schemas();

// The mandatory one of this name; null: none is.
const api::flowcontrol::v1::PriorityLevelConfiguration* mandatory_priority_level(std::string_view name);
const api::flowcontrol::v1::FlowSchema* mandatory_flow_schema(std::string_view name);

}  // namespace knarr::schema
