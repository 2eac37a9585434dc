#include "knarr/codec/base64.h"

#include <fmt/format.h>

#include <array>

namespace knarr::base64 {

namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<int8_t, 256> reverse(std::string_view alphabet) {
  std::array<int8_t, 256> table{};
  for (auto& entry : table) entry = -1;
  for (size_t i = 0; i < alphabet.size(); ++i) table[static_cast<unsigned char>(alphabet[i])] = static_cast<int8_t>(i);
  return table;
}
constexpr auto kFromStandard = reverse(kStandard);
constexpr auto kFromUrl = reverse(kUrl);

std::string encode_with(std::string_view alphabet, bool padded, std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  size_t i = 0;
  const auto at = [&](size_t k) -> uint32_t { return k < bytes.size() ? static_cast<unsigned char>(bytes[k]) : 0; };
  for (; i < bytes.size(); i += 3) {
    const uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    const size_t digits = std::min<size_t>(bytes.size() - i, 3) + 1;
    for (size_t d = 0; d < digits; ++d) out += alphabet[group >> (18 - 6 * d) & 63];
    if (padded) out.append(4 - digits, '=');
  }
  return out;
}

Status illegal(size_t offset) { return bad_request(fmt::format("illegal base64 data at input byte {}", offset)); }

Result<std::string> decode_with(const std::array<int8_t, 256>& digits, bool padded, std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  uint32_t group = 0;
  int have = 0, padding = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    if (padded && c == '=' && have >= 2 && have + padding < 4) {
      ++padding;
      continue;
    }
    const int8_t digit = digits[static_cast<unsigned char>(c)];
    if (digit < 0 || padding > 0) return illegal(i);
    group = group << 6 | static_cast<uint32_t>(digit);
    if (++have == 4) {
      out += static_cast<char>(group >> 16);
      out += static_cast<char>(group >> 8);
      out += static_cast<char>(group);
      group = 0;
      have = 0;
    }
  }
  // Go tells where the incomplete group begins, unless padding was begun.
  if (have == 1 || (padded && have > 0 && have + padding != 4))
    return illegal(padding > 0 ? text.size() : text.size() - static_cast<size_t>(have));
  if (have >= 2) out += static_cast<char>(group >> (have == 2 ? 4 : 10));
  if (have == 3) out += static_cast<char>(group >> 2);
  return out;
}

}  // namespace

std::string encode(std::string_view bytes) { return encode_with(kStandard, true, bytes); }
std::string encode_url(std::string_view bytes) { return encode_with(kUrl, false, bytes); }
Result<std::string> decode(std::string_view text) { return decode_with(kFromStandard, true, text); }
Result<std::string> decode_url(std::string_view text) { return decode_with(kFromUrl, false, text); }

}  // namespace knarr::base64
