// Why an object does not fit its type, in the words of upstream's converter of what strategic merge made. Pure; thread-safe.
#pragma once

#include <string>

#include "knarr/codec/json.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

// "cannot convert int64 to string", "cannot restore slice from string"; "" when every known field fits.
std::string conversion_error(const Type& type, const json::Value& object);

}  // namespace knarr::schema
