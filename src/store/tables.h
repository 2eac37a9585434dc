// The tables by number and by name. A number is looked up without a lock: readers follow a directory that is replaced
// by a larger one when it is full, and never freed before the end.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "knarr/base/sync.h"
#include "store/table.h"

namespace knarr::store {

class Tables {
 public:
  Tables() { grow(); }

  Table& at(ResourceId id) const { return *directory_.load(std::memory_order_acquire)[id]; }

  ResourceId intern(std::string_view name) {
    Lock lock(mutex_);
    auto it = ids_.find(name);
    if (it != ids_.end()) return it->second;
    const auto id = static_cast<ResourceId>(tables_.size());
    if (id == capacity_) grow();
    Table& table = tables_.emplace_back(id, std::string(name), start_);
    ids_.emplace(table.name, id);
    directories_.back()[id] = &table;
    return id;
  }

  // After loading: the rings of all tables, and of those to come, begin after this revision.
  void start_at(Revision revision) {
    Lock lock(mutex_);
    start_ = revision;
    for (Table& table : tables_) table.start_at(revision);
  }

 private:
  void grow() KNARR_NO_TSA {
    capacity_ = capacity_ ? capacity_ * 2 : 128;
    directories_.push_back(std::make_unique<Table*[]>(capacity_));
    for (size_t i = 0; i < tables_.size(); ++i) directories_.back()[i] = &tables_[i];
    directory_.store(directories_.back().get(), std::memory_order_release);
  }

  Mutex mutex_;
  std::deque<Table> tables_ KNARR_GUARDED_BY(mutex_);
  std::unordered_map<std::string_view, ResourceId> ids_ KNARR_GUARDED_BY(mutex_);
  size_t capacity_ KNARR_GUARDED_BY(mutex_) = 0;
  Revision start_ KNARR_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Table*[]>> directories_ KNARR_GUARDED_BY(mutex_);
  std::atomic<Table**> directory_{nullptr};
};

}  // namespace knarr::store
