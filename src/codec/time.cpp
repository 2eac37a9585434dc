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

// Reads a text as Go's time.Parse reads one of RFC 3339, and says in its words why it is none.
class Reader {
 public:
  Reader(std::string_view text, bool micro) : text_(text), rest_(text), micro_(micro) {}

  Result<WallTime> read() {
    using namespace std::chrono;
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0, fraction = 0;
    minutes offset{0};
    const bool fits = number("2006", 4, 4, y) && literal('-') && number("01", 2, 2, mo) && in_range("month", mo, 1, 12) && literal('-') && number("02", 2, 2, d) &&
                      literal('T') && number("15", 1, 2, h) && in_range("hour", h, 0, 23) && literal(':') && number("04", 2, 2, mi) && in_range("minute", mi, 0, 59) &&
                      literal(':') && number("05", 2, 2, s) && in_range("second", s, 0, 59) && this->fraction(fraction) && zone(offset);
    if (!fits) return bad_request(fmt::format("parsing time {}{}", quoted(text_), why_));
    if (!rest_.empty()) return bad_request(fmt::format("parsing time {}: extra text: {}", quoted(text_), quoted(rest_)));
    const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
    if (!date.ok()) return bad_request(fmt::format("parsing time {}: day out of range", quoted(text_)));
    return WallTime(sys_days(date)) + hours{h} + minutes{mi} + seconds{s} + microseconds{fraction} - offset;
  }

 private:
  static std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      if (c < ' ' || c > '~') {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      } else {
        out += c;
      }
    }
    return out += '"';
  }

  bool digit(size_t at) const { return at < rest_.size() && rest_[at] >= '0' && rest_[at] <= '9'; }
  bool refuse(std::string_view wanted) {
    why_ = fmt::format(" as \"2006-01-02T15:04:05{}Z07:00\": cannot parse {} as \"{}\"", micro_ ? ".000000" : "", quoted(rest_), wanted);
    return false;
  }
  bool in_range(std::string_view what, int value, int least, int most) {
    if (value >= least && value <= most) return true;
    why_ = fmt::format(": {} out of range", what);
    return false;
  }
  bool literal(char c) {
    if (!rest_.starts_with(c)) return refuse(std::string_view(&c, 1));
    rest_.remove_prefix(1);
    return true;
  }
  bool number(std::string_view name, size_t least, size_t most, int& value) {
    size_t n = 0;
    while (n < most && digit(n)) value = value * 10 + (rest_[n++] - '0');
    if (n < least) return refuse(name);
    rest_.remove_prefix(n);
    return true;
  }
  // Microseconds, as six digits or, where none need be, as many as there are; further ones are cut.
  bool fraction(int& micros) {
    const bool point = rest_.starts_with('.') || rest_.starts_with(',');
    size_t n = 1;
    for (int unit = 100000; point && digit(n) && !(micro_ && n > 6); ++n, unit /= 10) micros += (rest_[n] - '0') * unit;
    if (micro_ && n != 7) return refuse(".000000");
    if (point && n > 1) rest_.remove_prefix(n);
    return true;
  }
  bool zone(std::chrono::minutes& offset) {
    if (rest_.starts_with('Z')) {
      rest_.remove_prefix(1);
      return true;
    }
    const bool west = rest_.starts_with('-');
    if ((!west && !rest_.starts_with('+')) || rest_.size() < 6 || rest_[3] != ':' || !digit(1) || !digit(2) || !digit(4) || !digit(5)) return refuse("Z07:00");
    const int h = (rest_[1] - '0') * 10 + rest_[2] - '0', m = (rest_[4] - '0') * 10 + rest_[5] - '0';
    rest_.remove_prefix(6);
    offset = std::chrono::minutes{(h * 60 + m) * (west ? -1 : 1)};
    return in_range("time zone offset hour", h, 0, 24) && in_range("time zone offset minute", m, 0, 60);
  }

  const std::string_view text_;
  std::string_view rest_;
  const bool micro_;
  std::string why_;
};

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

// With zeros in front. Every write formats times: fmt's way of reading a pattern costs ten times as much.
void append_digits(std::string& out, int64_t value, size_t width) {
  const size_t begin = out.size();
  out.resize(begin + width, '0');
  for (size_t at = begin + width; at-- > begin; value /= 10) out[at] = static_cast<char>('0' + value % 10);
}

// 2006-01-02T15:04:05
void append_seconds(std::string& out, const Civil& c) {
  out.reserve(sizeof "2006-01-02T15:04:05.000000Z");
  if (c.year >= 0 && c.year <= 9999) {
    append_digits(out, c.year, 4);
  } else {
    out += fmt::format("{:04}", c.year);
  }
  for (const auto& [mark, value] : {std::pair<char, int64_t>('-', c.month), {'-', c.day}, {'T', c.hour}, {':', c.minute}, {':', c.second}}) {
    out += mark;
    append_digits(out, value, 2);
  }
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

Result<WallTime> parse_time(std::string_view text) { return Reader(text, false).read(); }
Result<WallTime> parse_micro_time(std::string_view text) { return Reader(text, true).read(); }

std::string format_time(WallTime time) {
  std::string out;
  append_seconds(out, civil(time));
  return out += 'Z';
}

std::string format_micro_time(WallTime time) {
  const Civil c = civil(time);
  std::string out;
  append_seconds(out, c);
  out += '.';
  append_digits(out, c.micros, 6);
  return out += 'Z';
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
