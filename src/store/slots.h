// The objects of a table in key order, and sets of some of them in the same order.
#pragma once

#include <set>
#include <string_view>

#include "knarr/store/store.h"

namespace knarr::store {

struct Slot {
  mutable ObjectPtr object;  // replaced in place by one with the same key
};

struct ByKey {
  using is_transparent = void;
  static std::string_view key(const Slot& slot) { return slot.object->key; }
  static std::string_view key(const Slot* slot) { return slot->object->key; }
  static std::string_view key(std::string_view key) { return key; }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return key(a) < key(b);
  }
};

using Objects = std::set<Slot, ByKey>;
using Slots = std::set<const Slot*, ByKey>;

}  // namespace knarr::store
