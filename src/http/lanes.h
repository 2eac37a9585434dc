// What waits for a thread: lanes take turns, within a lane it is first come, first served; lane 0 goes before all others.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

namespace knarr::http {

// Not thread-safe.
template <typename T>
class Lanes {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  void push(uint32_t lane, T item) {
    ++size_;
    if (lane == 0) return first_.push_back(std::move(item));
    auto& waiting = lanes_[lane];
    if (waiting.empty()) turns_.push_back(lane);
    waiting.push_back(std::move(item));
  }
  T pop() {  // not when empty
    --size_;
    if (!first_.empty()) return take(first_);
    const uint32_t lane = turns_.front();
    turns_.pop_front();
    const auto it = lanes_.find(lane);
    T item = take(it->second);
    if (it->second.empty()) {
      lanes_.erase(it);
    } else {
      turns_.push_back(lane);
    }
    return item;
  }
  void clear() { *this = Lanes(); }

 private:
  static T take(std::deque<T>& from) {
    T item = std::move(from.front());
    from.pop_front();
    return item;
  }

  std::deque<T> first_;
  std::unordered_map<uint32_t, std::deque<T>> lanes_;
  std::deque<uint32_t> turns_;  // lanes with something in them
  size_t size_ = 0;
};

}  // namespace knarr::http
