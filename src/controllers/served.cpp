#include "controllers/served.h"

#include <algorithm>
#include <set>

namespace knarr::controllers {

std::vector<const schema::Resource*> stored_resources() {
  std::vector<const schema::Resource*> out;
  std::set<std::string_view> seen;
  for (const schema::Resource& resource : schema::resources()) {
    if (!has_verb(resource, "list") || !has_verb(resource, "delete")) continue;
    if (seen.insert(resource.storage_name).second) out.push_back(&resource);
  }
  return out;
}

}  // namespace knarr::controllers
