#include "knarr/codec/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace knarr {

namespace {

__extension__ using Int128 = __int128;

constexpr Int128 kNanos = 1'000'000'000;
constexpr Int128 kWholeLimit =
    Int128(10'000'000'000'000'000) * 1'000'000'000'000;  // 10^28: in nanos well within 128 bits
constexpr Int128 kLimit = kWholeLimit * kNanos;
constexpr Int128 kBinaryCap =
    Int128(std::numeric_limits<int64_t>::max()) * kNanos;  // upstream caps binary amounts there
constexpr int kFastDigits = 18;  // upstream's fast path takes as many; it decides whose text is kept

struct Suffix {
  int base;
  int exponent;
  Quantity::Format format;
};

constexpr std::string_view kDecimalSuffixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};  // 10^-9 and up
constexpr std::string_view kBinarySuffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};            // 2^0 and up

std::optional<Suffix> interpret(std::string_view text) {
  for (int i = 0; i < static_cast<int>(std::size(kDecimalSuffixes)); ++i) {
    if (text == kDecimalSuffixes[i]) return Suffix{10, 3 * (i - 3), Quantity::Format::kDecimalSI};
  }
  for (int i = 1; i < static_cast<int>(std::size(kBinarySuffixes)); ++i) {
    if (text == kBinarySuffixes[i]) return Suffix{2, 10 * i, Quantity::Format::kBinarySI};
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return std::nullopt;
  text.remove_prefix(1);
  if (text[0] == '+') text.remove_prefix(1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Suffix{10, exponent, Quantity::Format::kDecimalExponent};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view take_digits(std::string_view& text) {
  size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

// digits * 10^exponent in nanos, rounded up; absent beyond the limit.
std::optional<Int128> scale_decimal(std::string_view whole, std::string_view fraction, int exponent) {
  const int64_t point = static_cast<int64_t>(whole.size()) + exponent + 9;  // where nanos end in whole + fraction
  const auto digit = [&](size_t i) { return (i < whole.size() ? whole[i] : fraction[i - whole.size()]) - '0'; };
  const size_t count = whole.size() + fraction.size();
  Int128 nanos = 0;
  bool rest = false;
  for (size_t i = 0; i < count; ++i) {
    if (static_cast<int64_t>(i) >= point) {
      rest = rest || digit(i) != 0;
      continue;
    }
    if (nanos > kLimit / 10) return std::nullopt;
    nanos = nanos * 10 + digit(i);
  }
  if (nanos != 0) {
    for (int64_t i = static_cast<int64_t>(count); i < point; ++i) {
      if (nanos > kLimit / 10) return std::nullopt;
      nanos *= 10;
    }
  }
  return nanos + rest;
}

// 0.digits * 2^exponent in nanos, rounded up. No product exceeds 2^120.
Int128 scale_binary_fraction(std::string_view digits, int exponent) {
  constexpr size_t kExact = 18;
  Int128 value = 0, unit = 1;  // digits so far, as value / unit
  for (char c : digits.substr(0, kExact)) {
    value = value * 10 + (c - '0');
    unit *= 10;
  }
  const bool rest = digits.substr(std::min(digits.size(), kExact)).find_first_not_of('0') != std::string_view::npos;
  value <<= exponent;
  if (unit <= kNanos) return value * (kNanos / unit);
  unit /= kNanos;
  return value / unit + (value % unit != 0 || rest);
}

Int128 divide_away_from_zero(Int128 a, Int128 b) { return a / b + (a % b != 0 ? (a < 0 ? -1 : 1) : 0); }

int64_t saturate(Int128 v) {
  return static_cast<int64_t>(
      std::clamp<Int128>(v, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
}

std::string decimal(Int128 v) {
  if (v == 0) return "0";
  std::string out;
  const bool negative = v < 0;
  for (; v != 0; v /= 10) out += static_cast<char>('0' + (negative ? -(v % 10) : v % 10));
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

// Whether upstream, having read this in its fast path, prints the text as it was given.
bool keeps_text(std::string_view whole, std::string_view fraction, const Suffix& suffix, Int128 nanos) {
  const auto digits = static_cast<int>(whole.size() + fraction.size());
  if (suffix.base == 2) {
    const int precision = 15 - static_cast<int>(whole.size()) - suffix.exponent * 3 / 10 - 1;
    return fraction.empty() && precision >= 0 && (static_cast<int64_t>(nanos / kNanos >> suffix.exponent) & 7) != 0;
  }
  const int scale = suffix.exponent - static_cast<int>(fraction.size());
  if (digits > kFastDigits || scale < -9 || scale % 3 != 0) return false;
  const char first = whole.empty() ? '0' : whole.front();
  const std::string shifted = std::string(whole).append(fraction);
  return first != '0' && !shifted.ends_with("000");
}

}  // namespace

Quantity::Quantity(int64_t value, Format format) : nanos_(Int128(value) * kNanos), format_(format) {}

Quantity Quantity::milli(int64_t thousandths, Format format) {
  Quantity out;
  out.nanos_ = Int128(thousandths) * (kNanos / 1000);
  out.format_ = format;
  return out;
}

Result<Quantity> Quantity::parse(std::string_view text) {
  const auto wrong_format = [] {
    return bad_request("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  };
  if (text.empty()) return wrong_format();
  std::string_view rest = text;
  const bool negative = rest.front() == '-';
  if (negative || rest.front() == '+') rest.remove_prefix(1);
  while (!rest.empty() && rest.front() == '0') rest.remove_prefix(1);
  std::string_view whole = take_digits(rest), fraction;
  const bool no_digits = whole.empty() && text.find_first_of("0123456789") == std::string_view::npos;
  if (whole.empty()) whole = "0";
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    fraction = take_digits(rest);
  }
  // What is left must look like a suffix before it is one.
  size_t n = 0;
  while (n < rest.size() && std::string_view("eEinumkKMGTP").find(rest[n]) != std::string_view::npos) ++n;
  if (n < rest.size() && (rest[n] == '-' || rest[n] == '+')) ++n;
  while (n < rest.size() && is_digit(rest[n])) ++n;
  if (n < rest.size()) return wrong_format();

  const auto suffix = interpret(rest);
  if (!suffix) return bad_request("unable to parse quantity's suffix");
  const bool binary = suffix->base == 2;
  auto nanos =
      binary ? scale_decimal(whole, "", 0) : scale_decimal(whole, fraction, std::clamp(suffix->exponent, -1000, 1000));
  Quantity out;
  out.format_ = suffix->format;
  if (binary && nanos) {
    const Int128 factor = Int128(1) << suffix->exponent;
    nanos = *nanos > kBinaryCap / factor ? kBinaryCap : *nanos * factor;
    nanos = std::min(*nanos + scale_binary_fraction(fraction, suffix->exponent), kBinaryCap);
    if (*nanos > 0 && *nanos < kNanos) out.format_ = Format::kDecimalSI;
    if (no_digits && suffix->exponent > 40) nanos.reset();  // with the smaller ones, upstream takes it for zero
  }
  if (!nanos) return bad_request("unable to parse numeric part of quantity");
  out.nanos_ = negative ? -*nanos : *nanos;
  if (keeps_text(whole, fraction, *suffix, *nanos)) out.text_ = text;
  return out;
}

Quantity Quantity::parse_or_zero(std::string_view text) {
  auto parsed = parse(text);
  return parsed.ok() ? std::move(*parsed) : Quantity();
}

std::string Quantity::to_string() const {
  if (!text_.empty()) return text_;
  if (nanos_ == 0) return "0";
  if (format_ == Format::kBinarySI && nanos_ % kNanos == 0 && (nanos_ >= 1024 * kNanos || nanos_ <= -1024 * kNanos)) {
    Int128 mantissa = nanos_ / kNanos;
    size_t power = 0;
    for (; mantissa % 1024 == 0 && power + 1 < std::size(kBinarySuffixes); ++power) mantissa /= 1024;
    return decimal(mantissa).append(kBinarySuffixes[power]);
  }
  Int128 mantissa = nanos_;
  int power = 0;  // of thousands above nano
  const int highest = format_ == Format::kDecimalExponent ? 1000 : static_cast<int>(std::size(kDecimalSuffixes)) - 1;
  for (; mantissa % 1000 == 0 && power < highest; ++power) mantissa /= 1000;
  if (format_ != Format::kDecimalExponent) return decimal(mantissa).append(kDecimalSuffixes[power]);
  return power == 3 ? decimal(mantissa) : fmt::format("{}e{}", decimal(mantissa), 3 * (power - 3));
}

int64_t Quantity::value() const { return saturate(divide_away_from_zero(nanos_, kNanos)); }
int64_t Quantity::milli_value() const { return saturate(divide_away_from_zero(nanos_, kNanos / 1000)); }
double Quantity::to_double() const { return static_cast<double>(nanos_) / 1e9; }

Quantity& Quantity::operator+=(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = std::clamp(nanos_ + other.nanos_, -kLimit, kLimit);
  text_.clear();
  return *this;
}

Quantity& Quantity::operator-=(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = std::clamp(nanos_ - other.nanos_, -kLimit, kLimit);
  text_.clear();
  return *this;
}

}  // namespace knarr
