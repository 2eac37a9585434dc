// One resource: its objects in key order, its secondary indexes, and the ring of its recent events.
//
// Written by one thread at a time (who leads the commits), under `mutex`; read by all under its shared side. Table
// takes no lock itself: what is consistent with what is decided by its caller.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "knarr/store/store.h"
#include "store/fair_mutex.h"
#include "store/label_index.h"
#include "store/slots.h"

namespace knarr::store {

class Table {
 public:
  Table(ResourceId id, std::string name, Revision start) : id(id), name(std::move(name)), ring_floor_(start) {}

  const ResourceId id;
  const std::string name;
  mutable FairMutex mutex;

  bool marked_lazy = false;  // the journal knows that this resource has lazy writes; only the committing thread asks
  Revision lazy_floor = 0;   // no watch can be resumed from before this; constant after loading

  // Loading: an object without an event.
  void load(ObjectPtr object);
  // The ring begins after this revision; while loading.
  void start_at(Revision revision) { ring_floor_ = revision; }

  ObjectPtr get(std::string_view key) const;
  size_t count() const { return objects_.size(); }
  std::vector<ObjectPtr> with_index(uint32_t index, std::string_view value) const;

  // Whether list() with these labels would be quicker with an index that index_labels() makes.
  bool wants_index(const ListOptions& options) const;
  void index_labels(const ListOptions& options);
  // The objects now; fills all of ListResult but the revision.
  void list(const ListOptions& options, ListResult& out) const;
  // The objects as they were at options.at, which is not before ring_floor().
  void list_at(const ListOptions& options, ListResult& out) const;

  // Applies the event to the objects and appends it to the ring. What the ring lets go for its limit of events, and
  // what it replaced, is moved to `garbage`, to be freed without the lock.
  void apply(const EventPtr& event, size_t ring_limit, std::vector<EventPtr>& garbage);
  // Lets the oldest event go if its revision is this one (the hub's limit of bytes).
  void drop_oldest(Revision revision, std::vector<EventPtr>& garbage);

  // The ring: every event after ring_floor(), each with a number that never changes.
  Revision ring_floor() const { return ring_floor_; }
  uint64_t ring_begin() const { return ring_begin_; }
  uint64_t ring_end() const { return ring_begin_ + ring_.size(); }
  const EventPtr& ring_at(uint64_t number) const { return ring_[number - ring_begin_]; }
  uint64_t ring_after(Revision revision) const;  // the number of the first event after the revision

  // Events for what of the current objects is newer than `since`, in no order.
  void changed_since(Revision since, std::vector<EventPtr>& out) const;

 private:
  static bool has_labels(const Object& object, const ListOptions& options);
  void index_add(const Slot* slot, const Object& object);
  void index_remove(const Slot* slot, const Object& object);

  Objects objects_;
  std::unordered_map<std::string, Slots> indexes_;  // by index number and value, see index_key()
  LabelIndex labels_;
  std::deque<EventPtr> ring_;
  uint64_t ring_begin_ = 0;
  Revision ring_floor_;
};

}  // namespace knarr::store
