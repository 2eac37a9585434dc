// metadata.managedFields as a list of managers with their sets, which are read only when they are asked for. Private to the module.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/schema/apply.h"
#include "schema/apply_typed.h"

namespace knarr::schema {

struct ManagerId {
  std::string_view manager;
  bool applied = false;
  std::string_view api_version;  // "" of appliers: they stay the same whatever version they use
  std::string_view subresource;
  bool operator==(const ManagerId&) const = default;
  std::string text() const;  // as upstream writes it: managers are sorted by it
};

class Manager {
 public:
  ManagerId id;
  std::string_view api_version;
  std::string_view time;  // "" when unknown

  // One from managedFields (`entry` must outlive it), or a new one.
  Manager(ManagerId id, std::string_view api_version, std::string_view time, const json::Value& entry)
      : id(id), api_version(api_version), time(time), entry_(&entry) {}
  Manager(ManagerId id, std::string_view api_version, FieldSet set)
      : id(id), api_version(api_version), set_(std::move(set)), changed_(true) {}

  const FieldSet& set(json::Allocator& alloc) const;
  void set(FieldSet set) {
    set_ = std::move(set);
    changed_ = true;
  }
  bool owns_nothing() const;  // without reading a set for it
  json::Value to_json(json::Allocator& alloc) const;

 private:
  const json::Value* entry_ = nullptr;
  mutable std::optional<FieldSet> set_;
  bool changed_ = false;
};

class Managers {
 public:
  std::vector<Manager> list;

  // Error: what managedFields may not be. With `check`, sets are read too; else they are taken for right, as from the store.
  static Result<Managers> from_json(const json::Value* managed_fields, bool check, json::Allocator& alloc);
  json::Value to_json(json::Allocator& alloc);  // sorted as upstream; null when there are none

  Manager* find(const ManagerId& id);
  void erase(const ManagerId& id);
  void drop_unknown_versions(const Resource& resource);
  // At most ten that update: the oldest become one.
  void cap(json::Allocator& alloc);
};

std::string group_version_of(const Resource& resource);

// Without what no manager may own, and what the endpoint does not take from clients.
FieldSet without_reset_fields(const Resource& resource, std::string_view subresource, const FieldSet& set);
FieldSet without_system_fields(const FieldSet& set);

}  // namespace knarr::schema
