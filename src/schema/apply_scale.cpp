// managedFields between an object and its scale subresource, which shows one field of it as its own.
#include <algorithm>

#include "knarr/schema/apply.h"
#include "schema/apply_managers.h"

namespace knarr::schema {

using json::Allocator;
using json::Value;

namespace {

constexpr std::string_view kScaleVersion = "autoscaling/v1";

std::vector<PathElement> path_of(std::string_view dotted) {
  std::vector<PathElement> out;
  while (!dotted.empty()) {
    const size_t dot = dotted.find('.');
    if (dot != 0) out.push_back(field_element(dotted.substr(0, dot)));
    dotted = dot == std::string_view::npos ? std::string_view() : dotted.substr(dot + 1);
  }
  return out;
}

FieldSet set_of(std::string_view dotted) {
  FieldSet out;
  out.insert(path_of(dotted));
  return out;
}

// The same manager on both sides: versions differ between an object and its scale.
bool same_manager(const Manager& a, const Manager& b) {
  return a.id.manager == b.id.manager && a.id.applied == b.id.applied && a.id.subresource == b.id.subresource;
}

Managers managers_in(const Value* list, Allocator& alloc) {
  auto managers = Managers::from_json(list, false, alloc);
  return managers.ok() ? std::move(*managers) : Managers();
}

}  // namespace

Value managed_fields_to_scale(const Resource& parent, std::string_view replicas, const Value* parent_fields, Allocator& alloc) {
  const std::string version = group_version_of(parent);
  const auto path = path_of(replicas);
  Managers out;
  for (const Manager& manager : managers_in(parent_fields, alloc).list) {
    if (manager.api_version != version || !manager.set(alloc).has_path(path)) continue;
    Manager& shown = out.list.emplace_back(manager.id, kScaleVersion, set_of("spec.replicas"));
    shown.time = manager.time;
  }
  return out.to_json(alloc);
}

Value managed_fields_to_parent(const Resource& parent, std::string_view replicas, const Value* parent_fields,
                               const Value* scale_fields, Allocator& alloc) {
  const std::string version = group_version_of(parent);
  const auto path = path_of(replicas), shown = path_of("spec.replicas");
  Managers out = managers_in(parent_fields, alloc), scale = managers_in(scale_fields, alloc);
  for (Manager& manager : out.list) {
    if (manager.api_version != version || !manager.set(alloc).has_path(path)) continue;
    const auto kept = std::find_if(scale.list.begin(), scale.list.end(), [&](const Manager& m) { return same_manager(m, manager); });
    if (kept == scale.list.end()) {
      manager.set(subtract(manager.set(alloc), set_of(replicas)));
    } else {
      scale.list.erase(kept);
    }
  }
  std::erase_if(out.list, [&](const Manager& m) { return m.set(alloc).empty(); });
  for (const Manager& manager : scale.list) {
    if (!manager.set(alloc).has_path(shown)) continue;
    ManagerId id = manager.id;
    if (!id.applied) id.api_version = version;
    out.list.emplace_back(id, version, set_of(replicas));  // without its time, as upstream has it
  }
  return out.to_json(alloc);
}

}  // namespace knarr::schema
