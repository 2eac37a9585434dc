// Private to the module.
#pragma once

#include "knarr/schema/type.h"

namespace knarr::schema {

// Takes away what belongs to features that are off, unless `old` (null on create) has it too.
void drop_disabled_fields(const Resource& resource, json::Value& object, const json::Value* old);

}  // namespace knarr::schema
