// The last deletions of all resources, bounded by number and bytes: what a watch needs, beside the current objects, to
// go on from a revision that the ring no longer reaches. Not thread-safe.
#pragma once

#include <deque>
#include <vector>

#include "knarr/store/store.h"

namespace knarr::store {

class Deletions {
 public:
  Deletions(size_t max_count, size_t max_bytes) : max_count_(max_count), max_bytes_(max_bytes) {}

  // In ascending revision.
  void add(ObjectPtr last_state) {
    bytes_ += last_state->value.size();
    objects_.push_back(std::move(last_state));
    while (objects_.size() > max_count_ || bytes_ > max_bytes_) {
      bytes_ -= objects_.front()->value.size();
      forgotten_ = objects_.front()->revision;
      objects_.pop_front();
    }
  }

  // Those of the resource after `since` that were there at `since`.
  void since(ResourceId resource, Revision since, std::vector<EventPtr>& out) const {
    for (const ObjectPtr& object : objects_)
      if (object->resource == resource && object->revision > since && object->create_revision <= since)
        out.push_back(std::make_shared<Event>(EventType::kDeleted, object, nullptr));
  }

  Revision forgotten() const { return forgotten_; }  // deletions at or before this are not remembered
  void forget_until(Revision revision) { forgotten_ = std::max(forgotten_, revision); }

 private:
  const size_t max_count_, max_bytes_;
  std::deque<ObjectPtr> objects_;
  size_t bytes_ = 0;
  Revision forgotten_ = 0;
};

}  // namespace knarr::store
