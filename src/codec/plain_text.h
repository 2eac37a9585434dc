// What both who writes and who reads JSON asks of a string, eight bytes at a time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace knarr::json {

// How many bytes from the front stand in a string literal as they are: no quote, no backslash, no control character.
inline size_t plain_prefix(std::string_view text) {
  static_assert(std::endian::native == std::endian::little, "the lowest bit that is found is the first byte's");
  constexpr uint64_t kEach = 0x0101010101010101, kHigh = 0x8080808080808080;
  // The high bit of each byte that is less than `limit`; a borrow sets wrong ones only above a right one.
  const auto less = [](uint64_t bytes, uint64_t limit) { return (bytes - kEach * limit) & ~bytes & kHigh; };
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + i, sizeof eight);
    const uint64_t found = less(eight, 0x20) | less(eight ^ kEach * '"', 1) | less(eight ^ kEach * '\\', 1);
    if (found) return i + static_cast<size_t>(std::countr_zero(found)) / 8;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) >= 0x20 && text[i] != '"' && text[i] != '\\') ++i;
  return i;
}

}  // namespace knarr::json
