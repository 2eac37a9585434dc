// The generated tables, as tables.cpp of the generator defines them.
#pragma once

#include "knarr/schema/type.h"

namespace knarr::schema::tables {

extern const std::span<const Resource> all_resources;
extern const std::span<const Type* const> all_types;

}  // namespace knarr::schema::tables
