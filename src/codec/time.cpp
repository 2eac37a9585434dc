#include "knarr/codec/time.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

namespace knarr {

namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

// Reads a fixed-width text from its front.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool literal(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::optional<int> number(size_t digits) {
    if (rest_.size() < digits) return std::nullopt;
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return std::nullopt;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  // As many digits as there are, as microseconds of a fraction (further ones are cut); answers how many there were.
  size_t fraction(int& micros) {
    size_t n = 0;
    for (int unit = 100000; n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9'; ++n, unit /= 10)
      micros += (rest_[n] - '0') * unit;
    rest_.remove_prefix(n);
    return n;
  }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::optional<WallTime> read_time(std::string_view text, bool micro) {
  using namespace std::chrono;
  Reader in(text);
  const auto y = in.number(4);
  if (!y || !in.literal('-')) return std::nullopt;
  const auto mo = in.number(2);
  if (!mo || !in.literal('-')) return std::nullopt;
  const auto d = in.number(2);
  if (!d || !in.literal('T')) return std::nullopt;
  const auto h = in.number(2);
  if (!h || !in.literal(':')) return std::nullopt;
  const auto mi = in.number(2);
  if (!mi || !in.literal(':')) return std::nullopt;
  const auto s = in.number(2);
  if (!s) return std::nullopt;
  int fraction = 0;
  const bool point = in.literal('.');
  const size_t digits = point ? in.fraction(fraction) : 0;
  if ((point && digits == 0) || (micro && digits != 6)) return std::nullopt;
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*mo)}, day{static_cast<unsigned>(*d)}};
  if (!date.ok() || *h > 23 || *mi > 59 || *s > 59) return std::nullopt;

  minutes offset{0};
  if (!in.literal('Z')) {
    const bool west = in.literal('-');
    if (!west && !in.literal('+')) return std::nullopt;
    const auto oh = in.number(2);
    if (!oh || !in.literal(':')) return std::nullopt;
    const auto om = in.number(2);
    if (!om || *oh > 24 || *om > 59) return std::nullopt;
    offset = minutes{(*oh * 60 + *om) * (west ? -1 : 1)};
  }
  if (!in.done()) return std::nullopt;
  return WallTime(sys_days(date)) + hours{*h} + minutes{*mi} + seconds{*s} + microseconds{fraction} - offset;
}

Result<WallTime> time_or_error(std::string_view text, bool micro) {
  if (const auto time = read_time(text, micro)) return *time;
  return bad_request(fmt::format("parsing time \"{}\" as \"2006-01-02T15:04:05{}Z07:00\": it is no such time", text,
                                 micro ? ".000000" : ""));
}

struct Civil {
  int year;
  unsigned month, day;
  int64_t hour, minute, second, micros;
};

Civil civil(WallTime time) {
  using namespace std::chrono;
  const auto date = floor<days>(time);
  const year_month_day ymd(date);
  const int64_t micros = (time - date).count(), whole = micros / 1'000'000;
  return {static_cast<int>(ymd.year()),
          static_cast<unsigned>(ymd.month()),
          static_cast<unsigned>(ymd.day()),
          whole / 3600,
          whole / 60 % 60,
          whole % 60,
          micros % 1'000'000};
}

struct Unit {
  std::string_view name;
  int64_t nanos;
};
constexpr Unit kUnits[] = {{"ns", 1},         {"us", 1000},         {"µs", 1000},          {"μs", 1000},
                           {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};

// The unit that the text begins with: the letters up to the next digit or point.
const Unit* take_unit(std::string_view& text) {
  size_t n = 0;
  while (n < text.size() && text[n] != '.' && (text[n] < '0' || text[n] > '9')) ++n;
  for (const Unit& unit : kUnits) {
    if (text.substr(0, n) != unit.name) continue;
    text.remove_prefix(n);
    return &unit;
  }
  return nullptr;
}

// value with its fraction, without trailing zeros: 1500 of 1000 is 1.5.
std::string with_fraction(uint64_t value, uint64_t unit) {
  std::string out = std::to_string(value / unit);
  uint64_t rest = value % unit;
  if (rest == 0) return out;
  out += '.';
  for (uint64_t place = unit / 10; rest != 0; place /= 10) {
    out += static_cast<char>('0' + rest / place);
    rest %= place;
  }
  return out;
}

}  // namespace

Result<WallTime> parse_time(std::string_view text) { return time_or_error(text, false); }
Result<WallTime> parse_micro_time(std::string_view text) { return time_or_error(text, true); }

std::string format_time(WallTime time) {
  const Civil c = civil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

std::string format_micro_time(WallTime time) {
  const Civil c = civil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", c.year, c.month, c.day, c.hour, c.minute, c.second,
                     c.micros);
}

Result<nanoseconds> parse_duration(std::string_view text) {
  const auto invalid = [&] { return bad_request(fmt::format("time: invalid duration \"{}\"", text)); };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return nanoseconds{0};
  if (rest.empty()) return invalid();

  __extension__ using Wide = unsigned __int128;
  constexpr Wide kMax = std::numeric_limits<int64_t>::max();
  Wide total = 0;
  while (!rest.empty()) {
    Wide whole = 0, fraction = 0, scale = 1;
    bool digits = false;
    for (; !rest.empty() && rest.front() >= '0' && rest.front() <= '9'; rest.remove_prefix(1), digits = true) {
      whole = whole * 10 + static_cast<unsigned>(rest.front() - '0');
      if (whole > kMax) return invalid();
    }
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      for (; !rest.empty() && rest.front() >= '0' && rest.front() <= '9'; rest.remove_prefix(1), digits = true) {
        if (scale >= kMax / 10) continue;  // finer than any unit shows
        fraction = fraction * 10 + static_cast<unsigned>(rest.front() - '0');
        scale *= 10;
      }
    }
    if (!digits) return invalid();
    if (rest.empty()) return bad_request(fmt::format("time: missing unit in duration \"{}\"", text));
    const Unit* unit = take_unit(rest);
    if (!unit) return bad_request(fmt::format("time: unknown unit in duration \"{}\"", text));
    total += whole * static_cast<Wide>(unit->nanos) + fraction * static_cast<Wide>(unit->nanos) / scale;
    if (total > kMax) return invalid();
  }
  const auto count = static_cast<int64_t>(total);
  return nanoseconds{negative ? -count : count};
}

std::string format_duration(nanoseconds duration) {
  const int64_t count = duration.count();
  if (count == 0) return "0s";
  const uint64_t n = count < 0 ? 0 - static_cast<uint64_t>(count) : static_cast<uint64_t>(count);
  const std::string sign = count < 0 ? "-" : "";
  constexpr uint64_t kSecond = 1'000'000'000;
  if (n < 1000) return sign + std::to_string(n) + "ns";
  if (n < 1'000'000) return sign + with_fraction(n, 1000) + "µs";
  if (n < kSecond) return sign + with_fraction(n, 1'000'000) + "ms";
  const uint64_t minutes = n / (60 * kSecond), hours = minutes / 60;
  std::string out = sign;
  if (hours > 0) out += fmt::format("{}h", hours);
  if (minutes > 0) out += fmt::format("{}m", minutes % 60);
  return out + with_fraction(n % (60 * kSecond), kSecond) + "s";
}

std::string human_duration(std::chrono::seconds age) {
  const int64_t seconds = age.count(), minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  const auto pair = [](int64_t big, char big_unit, int64_t small, char small_unit) {
    return small == 0 ? fmt::format("{}{}", big, big_unit) : fmt::format("{}{}{}{}", big, big_unit, small, small_unit);
  };
  if (seconds < -1) return "<invalid>";  // a second of clock difference is no future
  if (seconds < 0) return "0s";
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return fmt::format("{}m", minutes);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return fmt::format("{}h", hours);
  if (hours < 24 * 8) return pair(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return fmt::format("{}d", days);
  if (days < 365 * 8) return pair(days / 365, 'y', days % 365, 'd');
  return fmt::format("{}y", days / 365);
}

}  // namespace knarr
