// Values in error messages that upstream prints from its internal Go structures, which have no JSON names: every field, in order, with
// a capital letter, the absent ones as Go's zero values. Private to the module.
#pragma once

#include <string>

#include "schema/layout.h"

namespace knarr::schema {

std::string go_json(const Type& type, const json::Value& object);

// The same for people, as differences are shown: a space for each level.
std::string pretty_go_json(std::string_view text);

template <api::Struct T>
std::string go_json(const T& object) {
  auto document = json::parse(api::encode(object));
  return document.ok() ? go_json(*T::kLayout.type, *document) : "null";
}

}  // namespace knarr::schema
