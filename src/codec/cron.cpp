#include "knarr/codec/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "knarr/codec/time.h"

namespace knarr {

namespace {

struct Bounds {
  unsigned least, most;
  std::span<const std::string_view> names;  // of the values from `least` on
};

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr Bounds kMinute{0, 59, {}}, kHour{0, 23, {}}, kDay{1, 31, {}}, kMonth{1, 12, kMonths}, kWeekday{0, 6, kWeekdays};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = 0;; ) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    if (end == text.size()) return parts;
    at = end + 1;
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; (at = text.find_first_not_of(" \t\n\v\f\r", at)) != text.npos;) {
    const size_t end = std::min(text.find_first_of(" \t\n\v\f\r", at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
  return parts;
}

Result<unsigned> number(std::string_view text) {
  int64_t value = 0;
  const bool sign = text.starts_with('-') || text.starts_with('+');
  const std::string_view digits = text.substr(sign);
  if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) {
    return bad_request(fmt::format("failed to parse int from {0}: strconv.Atoi: parsing \"{0}\": invalid syntax", text));
  }
  for (char c : digits) value = std::min<int64_t>(value * 10 + (c - '0'), INT32_MAX);
  if (text.starts_with('-') && value > 0) return bad_request(fmt::format("negative number (-{}) not allowed: {}", value, text));
  return static_cast<unsigned>(value);
}

Result<unsigned> number_or_name(std::string_view text, const Bounds& bounds) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (size_t i = 0; i < bounds.names.size(); ++i) {
    if (bounds.names[i] == lower) return static_cast<unsigned>(bounds.least + i);
  }
  return number(text);
}

// number | number "-" number [ "/" number ] | * [ "/" number ]
Result<uint64_t> range(std::string_view text, const Bounds& bounds) {
  const auto parts = split(text, '/');
  const auto ends = split(parts[0], '-');
  unsigned first = bounds.least, last = bounds.most, step = 1;
  uint64_t star = 0;
  if (ends[0] == "*" || ends[0] == "?") {
    star = CronSchedule::kStar;
  } else {
    KNARR_ASSIGN(first, number_or_name(ends[0], bounds));
    last = first;
    if (ends.size() == 2) {
      KNARR_ASSIGN(last, number_or_name(ends[1], bounds));
    } else if (ends.size() > 2) {
      return bad_request(fmt::format("too many hyphens: {}", text));
    }
  }
  if (parts.size() == 2) {
    KNARR_ASSIGN(step, number(parts[1]));
    if (ends.size() == 1) last = bounds.most;  // "5/15" goes on to the end
    if (step > 1) star = 0;
  } else if (parts.size() > 2) {
    return bad_request(fmt::format("too many slashes: {}", text));
  }
  if (first < bounds.least) return bad_request(fmt::format("beginning of range ({}) below minimum ({}): {}", first, bounds.least, text));
  if (last > bounds.most) return bad_request(fmt::format("end of range ({}) above maximum ({}): {}", last, bounds.most, text));
  if (first > last) return bad_request(fmt::format("beginning of range ({}) beyond end of range ({}): {}", first, last, text));
  if (step == 0) return bad_request(fmt::format("step of range should be a positive number: {}", text));
  uint64_t bits = star;
  for (unsigned i = first; i <= last; i += step) bits |= uint64_t{1} << i;
  return bits;
}

Result<uint64_t> field(std::string_view text, const Bounds& bounds) {
  uint64_t bits = 0;
  for (std::string_view part : split(text, ',')) {
    if (part.empty()) continue;
    KNARR_ASSIGN(const uint64_t some, range(part, bounds));
    bits |= some;
  }
  return bits;
}

Result<CronSchedule> fields(std::span<const std::string_view> list) {
  CronSchedule schedule;
  KNARR_ASSIGN(schedule.minutes, field(list[0], kMinute));
  KNARR_ASSIGN(schedule.hours, field(list[1], kHour));
  KNARR_ASSIGN(schedule.days, field(list[2], kDay));
  KNARR_ASSIGN(schedule.months, field(list[3], kMonth));
  KNARR_ASSIGN(schedule.weekdays, field(list[4], kWeekday));
  return schedule;
}

Result<CronSchedule> descriptor(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kTable[] = {
      {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
      {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}};
  for (const auto& [name, meaning] : kTable) {
    if (name == text) return fields(words(meaning));
  }
  constexpr std::string_view kEvery = "@every ";
  if (!text.starts_with(kEvery)) return bad_request(fmt::format("unrecognized descriptor: {}", text));
  auto duration = parse_duration(text.substr(kEvery.size()));
  if (!duration.ok()) return bad_request(fmt::format("failed to parse duration {}: {}", text, duration.status().message()));
  CronSchedule schedule;
  schedule.every = std::max(std::chrono::duration_cast<std::chrono::seconds>(*duration), std::chrono::seconds(1));
  return schedule;
}

}  // namespace

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  if (text.empty()) return bad_request("empty spec string");
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    const size_t end = std::min(text.find(' '), text.size());
    text.remove_prefix(end);
    const size_t begin = std::min(text.find_first_not_of(' '), text.size());
    text.remove_prefix(begin);
  }
  if (text.starts_with('@')) return descriptor(text);
  const auto list = words(text);
  if (list.size() != 5) return bad_request(fmt::format("expected exactly 5 fields, found {}: [{}]", list.size(), fmt::join(list, " ")));
  return fields(list);
}

}  // namespace knarr
