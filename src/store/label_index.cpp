#include "store/label_index.h"

#include <algorithm>

namespace knarr::store {

namespace {

constexpr uint64_t kStaleAfter = 16;    // questions for other keys
constexpr size_t kPatience = 1024;      // changes without a question that are always borne

}  // namespace

const Slots LabelIndex::kNone;

const std::string* label_of(const Object& object, std::string_view key) {
  for (const auto& [name, value] : object.extract.labels)
    if (name == key) return &value;
  return nullptr;
}

LabelIndex::Keys::const_iterator LabelIndex::stale() const {
  const auto oldest = std::min_element(keys_.begin(), keys_.end(),
                                       [](const auto& a, const auto& b) { return a.second.asked < b.second.asked; });
  return oldest != keys_.end() && questions_ - oldest->second.asked > kStaleAfter ? oldest : keys_.end();
}

void LabelIndex::make(std::string_view name, const Objects& objects) {
  if (has(name)) return;
  if (keys_.size() >= kMaxKeys) {
    const auto victim = stale();
    if (victim == keys_.end()) return;
    keys_.erase(victim);
  }
  Key& key = keys_[std::string(name)];
  key.asked = questions_.load();
  for (const Slot& slot : objects)
    if (const std::string* value = label_of(*slot.object, name)) insert(key, &slot, *value);
}

// While an index is made, objects come in order: each belongs at the end.
void LabelIndex::insert(Key& key, const Slot* slot, const std::string& value) {
  Slots& slots = key.values[value];
  slots.insert(slots.end(), slot);
  ++key.size;
}

const Slots& LabelIndex::find(std::string_view name, std::string_view value) const {
  const Key& key = keys_.find(name)->second;
  key.changes = 0;
  key.asked = ++questions_;
  const auto found = key.values.find(std::string(value));
  return found == key.values.end() ? kNone : found->second;
}

// Keeping an index for more changes than it would take to make it anew does not pay.
void LabelIndex::count_change(Keys::iterator& key) {
  if (++key->second.changes > kPatience + 2 * key->second.size) {
    key = keys_.erase(key);
  } else {
    ++key;
  }
}

void LabelIndex::add(const Slot* slot, const Object& object) {
  for (auto key = keys_.begin(); key != keys_.end();) {
    const std::string* value = label_of(object, key->first);
    if (!value) {
      ++key;
      continue;
    }
    insert(key->second, slot, *value);
    count_change(key);
  }
}

void LabelIndex::remove(const Slot* slot, const Object& object) {
  for (auto& [name, key] : keys_) {
    const std::string* value = label_of(object, name);
    if (!value) continue;
    const auto found = key.values.find(*value);
    found->second.erase(slot);
    --key.size;
    if (found->second.empty()) key.values.erase(found);
  }
}

}  // namespace knarr::store
