// The resources that are stored, as the controllers that treat all of them alike see them.
#pragma once

#include <string_view>
#include <vector>

#include "knarr/apiserver/rest.h"
#include "knarr/schema/type.h"

namespace knarr::controllers {

inline bool has_verb(const schema::Resource& resource, std::string_view verb) {
  return std::find(resource.verbs.begin(), resource.verbs.end(), verb) != resource.verbs.end();
}

// What can be listed and deleted, each kind of stored object once (under one of its versions).
std::vector<const schema::Resource*> stored_resources();

}  // namespace knarr::controllers
