// Lazy writes that are published but not in the journal: for each key its last state, and the deletions before it,
// which the journal's table of deletions needs too. Not thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/store/store.h"

namespace knarr::store {

class LazyWrites {
 public:
  struct Entry {
    ObjectPtr object;
    bool deleted = false;
  };

  bool empty() const { return keys_.empty(); }
  size_t size() const { return keys_.size(); }
  size_t bytes() const { return bytes_; }

  void add(const Event& event) {
    Key& key = keys_[{event.object->resource, event.object->key}];
    if (key.put) bytes_ -= key.put->value.size();
    key.put = nullptr;
    bytes_ += event.object->value.size();
    if (event.type == EventType::kDeleted)
      key.deletions.push_back(event.object);
    else
      key.put = event.object;
  }

  // What must come before a durable write of the key: its deletions. Its last put is superseded.
  void before(const Object& object, std::vector<Entry>& out) const {
    auto it = keys_.find({object.resource, object.key});
    if (it == keys_.end()) return;
    for (const ObjectPtr& deletion : it->second.deletions) out.push_back({deletion, true});
  }
  void superseded(const Object& object) {
    auto it = keys_.find({object.resource, object.key});
    if (it == keys_.end()) return;
    bytes_ -= it->second.bytes();
    keys_.erase(it);
  }

  // All, in the order of their revisions.
  std::vector<Entry> all() const {
    std::vector<Entry> out;
    for (const auto& [id, key] : keys_) {
      for (const ObjectPtr& deletion : key.deletions) out.push_back({deletion, true});
      if (key.put) out.push_back({key.put, false});
    }
    std::sort(out.begin(), out.end(),
              [](const Entry& a, const Entry& b) { return a.object->revision < b.object->revision; });
    return out;
  }
  void clear() {
    keys_.clear();
    bytes_ = 0;
  }

 private:
  struct Key {
    ObjectPtr put;
    std::vector<ObjectPtr> deletions;

    size_t bytes() const {
      size_t sum = put ? put->value.size() : 0;
      for (const ObjectPtr& deletion : deletions) sum += deletion->value.size();
      return sum;
    }
  };
  std::map<std::pair<ResourceId, std::string>, Key, std::less<>> keys_;
  size_t bytes_ = 0;
};

}  // namespace knarr::store
