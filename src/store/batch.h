// Transactions that are to be journaled together: each is checked against the head as changed by those before it in the
// batch, and becomes events with revisions of their own. What fails its check leaves no trace. Used by the committing
// thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "knarr/store/store.h"
#include "store/tables.h"

namespace knarr::store {

// `value` with the decimal revision at `pos`, in place of `old_digits` that stand there.
std::string with_revision(std::string_view value, size_t pos, size_t old_digits, Revision revision);

class Batch {
 public:
  Batch(const Tables& tables, Revision last) : tables_(tables), last_(last) {}

  // All writes or none; `objects` gets the new objects in order. Consumes the writes.
  Status add(std::span<Write> writes, std::vector<ObjectPtr>& objects);

  const std::vector<EventPtr>& events() const { return events_; }  // in revision order
  Revision last() const { return last_; }                          // of the last event, or what the batch began with

 private:
  struct Key {
    ResourceId resource;
    std::string_view key;  // into an object that events_ holds
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const { return std::hash<std::string_view>()(k.key) * 31 + k.resource; }
  };
  struct Undo {
    Key key;
    std::optional<ObjectPtr> before;  // none: the batch had not touched the key
  };

  ObjectPtr head(ResourceId resource, std::string_view key) const;
  Status check(const Write& write, const Object* current) const;
  std::shared_ptr<Object> next_object(Write& write, const Object* current);

  const Tables& tables_;
  Revision last_;
  std::vector<EventPtr> events_;
  std::unordered_map<Key, ObjectPtr, KeyHash> changed_;  // null: deleted
};

}  // namespace knarr::store
