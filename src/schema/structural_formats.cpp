// Formats of texts that schemas of custom resources may ask for, as upstream's registry of them knows them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "knarr/codec/base64.h"
#include "knarr/codec/names.h"
#include "schema/structural.h"

namespace knarr::schema {

namespace {

bool all_of_class(std::string_view text, int (*is)(int)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) { return is(static_cast<unsigned char>(c)) != 0; });
}

std::string digits_of(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char c) { return c >= '0' && c <= '9'; });
  return out;
}

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const std::string digits = digits_of(text);
  if (digits.size() != 8) return false;
  const int year = std::stoi(digits.substr(0, 4)), month = std::stoi(digits.substr(4, 2)), day = std::stoi(digits.substr(6));
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  return day <= kDays[static_cast<size_t>(month - 1)] + (month == 2 && is_leap(year) ? 1 : 0);
}

bool matches(std::string_view text, const char* pattern) {
  // Each expression is compiled once and then kept; there are as many as formats.
  static std::mutex mutex;
  static std::map<const char*, std::unique_ptr<Pattern>> known;
  const Pattern* found;
  {
    const std::scoped_lock lock(mutex);
    auto& slot = known[pattern];
    if (!slot) slot = std::make_unique<Pattern>(pattern);
    found = slot.get();
  }
  return found->found_in(text);
}

bool is_date_time(std::string_view text) {
  constexpr const char* kPattern =
      R"(^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?$)";
  return text.size() >= 10 && is_date(text.substr(0, 10)) && matches(text, kPattern);
}

bool is_duration(std::string_view text) {
  constexpr const char* kGo = R"(^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$)";
  constexpr const char* kWords =
      R"(^-?[0-9]+\s*(ns|nano|nanosecond|nanoseconds|us|µs|micro|microsecond|microseconds|ms|milli|millis|millisecond|milliseconds|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days|w|wk|week|weeks)$)";
  return matches(text, kGo) || matches(text, kWords);
}

bool is_hostname(std::string_view text) {
  constexpr const char* kPattern =
      R"(^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$)";
  if (text.size() > 255 || !matches(text, kPattern)) return false;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    if (dot > 63) return false;
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  return true;
}

bool is_isbn10(const std::string& text) {
  if (text.size() != 10) return false;
  int sum = 0;
  for (size_t i = 0; i < 10; ++i) {
    const bool x = i == 9 && text[i] == 'X';
    if (!x && (text[i] < '0' || text[i] > '9')) return false;
    sum += static_cast<int>(i + 1) * (x ? 10 : text[i] - '0');
  }
  return sum % 11 == 0;
}

bool is_isbn13(const std::string& text) {
  if (text.size() != 13 || !all_of_class(text, std::isdigit)) return false;
  int sum = 0;
  for (size_t i = 0; i < 13; ++i) sum += (text[i] - '0') * (i % 2 == 0 ? 1 : 3);
  return sum % 10 == 0;
}

bool is_isbn(std::string_view text, bool ten, bool thirteen) {
  std::string plain(text);
  std::erase_if(plain, [](char c) { return c == '-' || c == ' '; });
  return (ten && is_isbn10(plain)) || (thirteen && is_isbn13(plain));
}

bool is_credit_card(std::string_view text) {
  const std::string digits = digits_of(text);
  constexpr const char* kPattern =
      R"(^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$)";
  if (!matches(digits, kPattern)) return false;
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {  // Luhn's check
    int digit = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1 && (digit *= 2) > 9) digit -= 9;
    sum += digit;
  }
  return sum % 10 == 0;
}

bool is_byte(std::string_view text) { return base64::decode(text).ok(); }
bool is_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto address = names::canonical_ip(text.substr(0, slash));
  const std::string_view bits = text.substr(slash + 1);
  if (!address || bits.size() > 3 || !all_of_class(bits, std::isdigit)) return false;
  return std::stoi(std::string(bits)) <= (names::is_ipv6(*address) ? 128 : 32);
}
bool is_ip(std::string_view text, bool six) {
  const auto address = names::canonical_ip(text);
  return address && names::is_ipv6(*address) == six;
}

using Check = bool (*)(std::string_view text);

// Names without their dashes, as upstream compares them.
const std::map<std::string_view, Check>& checks() {
  static const std::map<std::string_view, Check> table = {
      {"bsonobjectid", [](std::string_view t) { return t.size() == 24 && all_of_class(t, std::isxdigit); }},
      {"uri", [](std::string_view t) { return matches(t, R"(^([a-zA-Z][a-zA-Z0-9+.-]*:[^\s\x00-\x1f]+|/[^\s\x00-\x1f]*)$)"); }},
      {"email", [](std::string_view t) { return matches(t, R"(^([^<>@]*<)?[^\s@<>(),:;\[\]\\"]+@[^\s@<>(),:;\[\]\\"]+>?$)"); }},
      {"hostname", is_hostname},
      {"ipv4", [](std::string_view t) { return is_ip(t, false); }},
      {"ipv6", [](std::string_view t) { return is_ip(t, true); }},
      {"cidr", is_cidr},
      {"mac", [](std::string_view t) {
         return matches(t, R"(^([0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}([:-][0-9A-Fa-f]{2}){0,14}|[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2}(\.[0-9A-Fa-f]{4}){0,7})$)");
       }},
      {"uuid", [](std::string_view t) { return matches(t, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"); }},
      {"uuid3", [](std::string_view t) { return matches(t, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$"); }},
      {"uuid4", [](std::string_view t) { return matches(t, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"); }},
      {"uuid5", [](std::string_view t) { return matches(t, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"); }},
      {"isbn", [](std::string_view t) { return is_isbn(t, true, true); }},
      {"isbn10", [](std::string_view t) { return is_isbn(t, true, false); }},
      {"isbn13", [](std::string_view t) { return is_isbn(t, false, true); }},
      {"creditcard", is_credit_card},
      {"ssn", [](std::string_view t) { return matches(t, R"(^\d{3}[- ]?\d{2}[- ]?\d{4}$)"); }},
      {"hexcolor", [](std::string_view t) { return matches(t, "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"); }},
      {"rgbcolor", [](std::string_view t) {
         return matches(t, R"(^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$)");
       }},
      {"byte", is_byte},
      {"password", [](std::string_view) { return true; }},
      {"date", is_date},
      {"duration", is_duration},
      {"datetime", is_date_time},
      {"k8sshortname", [](std::string_view t) { return names::dns1123_label(t).empty(); }},
      {"k8slongname", [](std::string_view t) { return names::dns1123_subdomain(t).empty(); }},
  };
  return table;
}

std::string plain_name(std::string_view format) {
  std::string out(format);
  std::erase(out, '-');
  return out;
}

}  // namespace

bool known_format(std::string_view type, std::string_view format) {
  if (format.empty()) return false;
  if (type.empty() || type == "string" || type == "integer,string") return checks().contains(plain_name(format));
  if (type == "integer") return format == "int32" || format == "int64";
  return type == "number" && (format == "float" || format == "double");
}

bool fits_format(std::string_view format, std::string_view text) {
  const auto found = checks().find(plain_name(format));
  return found == checks().end() || found->second(text);
}

}  // namespace knarr::schema
