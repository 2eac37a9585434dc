// Taints and tolerations: what scheduler, controllers and agent all have to decide in the same way.
#pragma once

#include <span>

#include "knarr/schema/api/core_v1.h"

namespace knarr::schema {

bool tolerates(const api::core::v1::Toleration& toleration, const api::core::v1::Taint& taint);

// The first toleration that puts up with the taint; null: none does.
const api::core::v1::Toleration* find_toleration(std::span<const api::core::v1::Toleration> tolerations,
                                                 const api::core::v1::Taint& taint);

}  // namespace knarr::schema
