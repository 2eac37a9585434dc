// What store_writer does and store_kill_loop expects, so that both compute the same.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "knarr/store/store.h"

namespace knarr::store::test {

constexpr int kWriters = 6;   // each with keys of its own ...
constexpr int kKeys = 16;     // ... so many
constexpr int kCounters = 2;  // and all with these, by compare-and-swap
constexpr const char* kPods = "pods";
constexpr const char* kLeases = "leases";  // written lazily

inline uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t h = (a * 0x9e3779b97f4a7c15u) ^ (b + 0x632be59bd9b4e019u);
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  return h ^ (h >> 27);
}

// The nth operation of a writer.
struct Operation {
  std::string key;
  bool remove;
  std::string text;  // of a put; begins with n
};
inline Operation operation(int writer, uint64_t n) {
  const uint64_t h = mix(static_cast<uint64_t>(writer), n);
  Operation op{fmt::format("w{}/{}", writer, n % kKeys), h % 5 == 0, {}};
  op.text = fmt::format("{}:", n);
  op.text.append(h % 3000, static_cast<char>('a' + h % 26));
  return op;
}

inline Write make_put(ResourceId resource, std::string_view key, std::string_view text) {
  Write w;
  w.resource = resource;
  w.key = key;
  w.value = fmt::format("|{}", text);
  w.rev_pos = 0;  // values are <revision>|<text>
  return w;
}
inline std::string_view text_of(std::string_view value) { return value.substr(value.find('|') + 1); }

}  // namespace knarr::store::test
