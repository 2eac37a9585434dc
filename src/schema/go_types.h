// Names of upstream's Go types, for error messages that tell them. Private to the module.
#pragma once

#include <string>

#include "knarr/schema/type.h"

namespace knarr::schema {

// What Go calls the type of a field whose name does not follow from its shape: v1.TaintEffect, []v1.Capability. "": it follows.
std::string_view go_type_name(const Type& type, const Field& field);
// The structure within the type's own that has the field: LocalObjectReference. "": there is none.
std::string_view go_embedded_name(const Type& type, const Field& field);

}  // namespace knarr::schema
