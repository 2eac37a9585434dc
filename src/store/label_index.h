// Which objects of a table have which value of a label: made for a label's key when a list asks for it, kept up with the
// table's changes, and let go when it is kept up again and again without being asked. Locked as its table is.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "store/slots.h"

namespace knarr::store {

// The value of an object's label; null: it has no such label.
const std::string* label_of(const Object& object, std::string_view key);

class LabelIndex {
 public:
  bool empty() const { return keys_.empty(); }
  bool has(std::string_view key) const { return keys_.contains(key); }
  // Whether make() would index the key: there is room, or something that no list has asked for lately.
  bool has_room() const { return keys_.size() < kMaxKeys || stale() != keys_.end(); }
  void make(std::string_view key, const Objects& objects);

  static const Slots kNone;
  // The objects that have the label with this value; of a key that has() it.
  const Slots& find(std::string_view key, std::string_view value) const;

  void add(const Slot* slot, const Object& object);
  void remove(const Slot* slot, const Object& object);

 private:
  static constexpr size_t kMaxKeys = 4;
  struct Key {
    std::unordered_map<std::string, Slots> values;
    size_t size = 0;  // objects
    // Read and written by lists, side by side.
    mutable std::atomic<size_t> changes{0};      // since a list last asked
    mutable std::atomic<uint64_t> asked{0};      // when that was, in questions
  };
  using Keys = std::map<std::string, Key, std::less<>>;

  static void insert(Key& key, const Slot* slot, const std::string& value);
  Keys::const_iterator stale() const;
  void count_change(Keys::iterator& key);

  Keys keys_;
  mutable std::atomic<uint64_t> questions_{0};
};

}  // namespace knarr::store
