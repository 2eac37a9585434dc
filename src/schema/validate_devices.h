// What claims for devices, classes of devices and slices with devices have in common; private to the module.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/codec/json.h"

#include "schema/validate_groups.h"

namespace knarr::schema::validation {

// More than `max` are not looked at one by one.
template <typename T, typename Check>
bool each(const std::vector<T>& list, size_t max, const Path& path, FieldErrors& errors, const Check& check) {
  if (list.size() > max) {
    errors.too_many(path, list.size(), max);
    return false;
  }
  for (size_t i = 0; i < list.size(); ++i) check(list[i], path.index(i));
  return true;
}

// The same, and no key may be there twice.
template <typename T, typename Check, typename Key>
void each_once(const std::vector<T>& list, size_t max, const Path& path, FieldErrors& errors, const Check& check, const Key& key) {
  if (!each(list, max, path, errors, check)) return;
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = key(list[i]);
    if (!seen.insert(name).second) errors.duplicate(path.index(i), name);
  }
}

inline std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

void pool_name(const std::string& name, const Path& path, FieldErrors& errors);
// example.com/name, or a name alone.
void device_qualified_name(const std::string& name, const Path& path, FieldErrors& errors);
// Conditions that must hold before a pod is bound, and those that end the attempt.
void binding_conditions(const std::vector<std::string>& conditions, const std::vector<std::string>& failures, const Path& path, FieldErrors& errors);

}  // namespace knarr::schema::validation
