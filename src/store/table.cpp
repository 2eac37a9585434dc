#include "store/table.h"

#include <algorithm>
#include <map>

namespace knarr::store {

namespace {

constexpr size_t kLabelIndexFrom = 256;  // objects: fewer are looked through as fast

std::string index_key(uint32_t index, std::string_view value) {
  std::string key(reinterpret_cast<const char*>(&index), sizeof index);
  key.append(value);
  return key;
}

}  // namespace

void Table::index_add(const Slot* slot, const Object& object) {
  for (const auto& [index, value] : object.extract.index) indexes_[index_key(index, value)].insert(slot);
  labels_.add(slot, object);
}

void Table::index_remove(const Slot* slot, const Object& object) {
  for (const auto& [index, value] : object.extract.index) {
    auto it = indexes_.find(index_key(index, value));
    if (it == indexes_.end()) continue;
    it->second.erase(slot);
    if (it->second.empty()) indexes_.erase(it);
  }
  labels_.remove(slot, object);
}

void Table::load(ObjectPtr object) {
  auto [it, inserted] = objects_.insert(Slot{std::move(object)});
  if (inserted) index_add(&*it, *it->object);
}

ObjectPtr Table::get(std::string_view key) const {
  auto it = objects_.find(key);
  return it == objects_.end() ? nullptr : it->object;
}

std::vector<ObjectPtr> Table::with_index(uint32_t index, std::string_view value) const {
  std::vector<ObjectPtr> out;
  auto it = indexes_.find(index_key(index, value));
  if (it == indexes_.end()) return out;
  out.reserve(it->second.size());
  for (const Slot* slot : it->second) out.push_back(slot->object);
  return out;
}

namespace {

const ObjectPtr& object_of(const Slot& slot) { return slot.object; }
const ObjectPtr& object_of(const Slot* slot) { return slot->object; }

// Where a list begins, in all objects or in some of them.
template <typename Set>
typename Set::const_iterator first_of(const Set& objects, const ListOptions& options) {
  if (!options.start_after.empty() && options.start_after >= options.prefix)
    return objects.upper_bound(std::string_view(options.start_after));
  return options.prefix.empty() ? objects.begin() : objects.lower_bound(std::string_view(options.prefix));
}

template <typename Set, typename Wanted>
void collect(const Set& objects, const ListOptions& options, const Wanted& wanted, ListResult& out) {
  for (auto it = first_of(objects, options); it != objects.end(); ++it) {
    const ObjectPtr& object = object_of(*it);
    if (!object->key.starts_with(options.prefix)) break;
    if (!wanted(*object)) continue;
    if (options.limit && out.objects.size() >= options.limit)
      ++out.remaining;
    else
      out.objects.push_back(object);
  }
  out.more = out.remaining > 0;
}

}  // namespace

bool Table::has_labels(const Object& object, const ListOptions& options) {
  return std::all_of(options.labels.begin(), options.labels.end(), [&](const auto& label) {
    const std::string* value = label_of(object, label.first);
    return value && *value == label.second;
  });
}

bool Table::wants_index(const ListOptions& options) const {
  if (objects_.size() < kLabelIndexFrom) return false;
  return std::any_of(options.labels.begin(), options.labels.end(),
                     [&](const auto& label) { return !labels_.has(label.first) && labels_.has_room(); });
}

void Table::index_labels(const ListOptions& options) {
  for (const auto& [key, value] : options.labels) labels_.make(key, objects_);
}

void Table::list(const ListOptions& options, ListResult& out) const {
  if (options.labels.empty()) {
    if (options.prefix.empty() && options.start_after.empty())
      out.objects.reserve(options.limit ? std::min(options.limit, objects_.size()) : objects_.size());
    return collect(objects_, options, [](const Object&) { return true; }, out);
  }
  const Slots* fewest = nullptr;
  for (const auto& [key, value] : options.labels) {
    if (!labels_.has(key)) continue;
    const Slots& some = labels_.find(key, value);
    if (!fewest || some.size() < fewest->size()) fewest = &some;
  }
  const auto wanted = [&](const Object& object) { return has_labels(object, options); };
  if (fewest) return collect(*fewest, options, wanted, out);
  collect(objects_, options, wanted, out);
}

void Table::list_at(const ListOptions& options, ListResult& out) const {
  // Every key that changed since, with what it was then: the `previous` of its first event.
  std::map<std::string_view, ObjectPtr> before;
  for (uint64_t n = ring_after(options.at); n < ring_end(); ++n) {
    const Event& event = *ring_at(n);
    before.emplace(event.object->key, event.previous);
  }
  auto emit = [&](const ObjectPtr& object) {
    if (!has_labels(*object, options)) return;
    if (options.limit && out.objects.size() >= options.limit)
      ++out.remaining;
    else
      out.objects.push_back(object);
  };
  auto wanted = [&](std::string_view key) {
    return key.starts_with(options.prefix) && (options.start_after.empty() || key > options.start_after);
  };
  auto old = before.begin();
  auto emit_old_until = [&](const Object* limit) {
    for (; old != before.end() && (!limit || old->first < limit->key); ++old)
      if (old->second && wanted(old->first)) emit(old->second);
  };
  for (auto it = first_of(objects_, options); it != objects_.end() && it->object->key.starts_with(options.prefix); ++it) {
    emit_old_until(it->object.get());
    if (old != before.end() && old->first == it->object->key) {
      if (old->second) emit(old->second);
      ++old;
    } else {
      emit(it->object);
    }
  }
  emit_old_until(nullptr);
  out.more = out.remaining > 0;
}

void Table::apply(const EventPtr& event, size_t ring_limit, std::vector<EventPtr>& garbage) {
  const ObjectPtr& object = event->object;
  switch (event->type) {
    case EventType::kAdded:
      load(object);
      break;
    case EventType::kModified: {
      auto it = objects_.find(std::string_view(object->key));
      const Extract &was = it->object->extract, &is = object->extract;
      const bool moved = was.index != is.index || (!labels_.empty() && was.labels != is.labels);
      if (moved) index_remove(&*it, *it->object);
      it->object = object;
      if (moved) index_add(&*it, *object);
      break;
    }
    case EventType::kDeleted: {
      auto it = objects_.find(std::string_view(object->key));
      index_remove(&*it, *it->object);
      objects_.erase(it);
      break;
    }
  }
  ring_.push_back(event);
  if (ring_.size() > ring_limit) drop_oldest(ring_.front()->revision(), garbage);
}

void Table::drop_oldest(Revision revision, std::vector<EventPtr>& garbage) {
  if (ring_.empty() || ring_.front()->revision() != revision) return;
  ring_floor_ = revision;
  garbage.push_back(std::move(ring_.front()));
  ring_.pop_front();
  ++ring_begin_;
}

uint64_t Table::ring_after(Revision revision) const {
  auto it = std::upper_bound(ring_.begin(), ring_.end(), revision,
                             [](Revision r, const EventPtr& event) { return r < event->revision(); });
  return ring_begin_ + static_cast<uint64_t>(it - ring_.begin());
}

void Table::changed_since(Revision since, std::vector<EventPtr>& out) const {
  for (const Slot& slot : objects_) {
    if (slot.object->revision <= since) continue;
    const bool added = slot.object->create_revision > since;
    out.push_back(std::make_shared<Event>(added ? EventType::kAdded : EventType::kModified, slot.object, nullptr));
  }
}

}  // namespace knarr::store
