#include "knarr/codec/intorstring.h"

#include <fmt/format.h>

#include <charconv>

namespace knarr {

IntOrString IntOrString::from_json(const json::Value& value) {
  if (value.IsInt()) return value.GetInt();
  if (value.IsString()) return std::string(json::view(value));
  return {};
}

json::Value IntOrString::to_json(json::Allocator& alloc) const {
  return is_int ? json::Value(number) : json::string(text, alloc);
}

Result<int> IntOrString::scaled(int total, bool round_up) const {
  if (is_int) return number;
  int percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || end != text.data() + text.size() - 1 || *end != '%') {
    return bad_request(
        fmt::format("invalid value for IntOrString: invalid type: string is not a percentage: \"{}\"", text));
  }
  const int64_t product = static_cast<int64_t>(percent) * total;
  int64_t result = product / 100;
  if (product % 100 != 0) {
    if (round_up && product > 0) ++result;
    if (!round_up && product < 0) --result;
  }
  return static_cast<int>(result);
}

}  // namespace knarr
