#include "knarr/schema/type.h"

#include <algorithm>

#include "schema/tables.h"

namespace knarr::schema {

const Field* Type::find(std::string_view json_name) const {
  auto it = std::lower_bound(by_name.begin(), by_name.end(), json_name,
                             [this](uint16_t index, std::string_view name) { return fields[index].name < name; });
  return it != by_name.end() && fields[*it].name == json_name ? &fields[*it] : nullptr;
}

std::span<const Resource> resources() { return tables::all_resources; }
std::span<const Type* const> types() { return tables::all_types; }

const Type* find_type(std::string_view name) {
  auto all = types();
  auto it = std::lower_bound(all.begin(), all.end(), name, [](const Type* type, std::string_view n) { return type->name < n; });
  return it != all.end() && (*it)->name == name ? *it : nullptr;
}

}  // namespace knarr::schema
