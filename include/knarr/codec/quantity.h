// Amounts with suffixes ("100m", "1.5Gi", "12e6") as Kubernetes has them: exact to one billionth, rounded away from
// zero below that, printed in upstream's canonical form. A value type.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr {

class Quantity {
 public:
  enum class Format : uint8_t { kDecimalSI, kBinarySI, kDecimalExponent };

  Quantity() = default;                                                            // 0
  explicit Quantity(int64_t value, Format format = Format::kDecimalSI);            // value
  static Quantity milli(int64_t thousandths, Format format = Format::kDecimalSI);  // value / 1000

  // Error: BadRequest with upstream's message (regular expression, numeric part or suffix).
  static Result<Quantity> parse(std::string_view text);
  // 0 where the text is no quantity; for values that validation has seen.
  static Quantity parse_or_zero(std::string_view text);

  std::string to_string() const;  // canonical
  Format format() const { return format_; }

  // Rounded away from zero, limited to int64.
  int64_t value() const;
  int64_t milli_value() const;
  double to_double() const;

  bool is_zero() const { return nanos_ == 0; }
  int sign() const { return nanos_ < 0 ? -1 : nanos_ > 0; }

  // As upstream: zero takes over the other's format. Limited to ±10^28.
  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  friend Quantity operator+(Quantity a, const Quantity& b) { return a += b; }
  friend Quantity operator-(Quantity a, const Quantity& b) { return a -= b; }

  bool operator==(const Quantity& other) const { return nanos_ == other.nanos_; }
  std::strong_ordering operator<=>(const Quantity& other) const { return nanos_ <=> other.nanos_; }

 private:
  __extension__ using Int128 = __int128;

  Int128 nanos_ = 0;
  Format format_ = Format::kDecimalSI;
  std::string text_;  // as it was written, where upstream prints that again; else empty
};

}  // namespace knarr
