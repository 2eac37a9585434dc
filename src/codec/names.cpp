#include "knarr/codec/names.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace knarr::names {

namespace {

constexpr std::string_view kLabelFormat = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kSubdomainFormat = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr std::string_view kLabelKeyFormat = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
constexpr std::string_view kLabelKeyMessage =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxSubdomain = 253;
constexpr int64_t kMaxUserId = 2147483647;

bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return lower(c) || (c >= 'A' && c <= 'Z'); }
bool lower_alnum(char c) { return lower(c) || digit(c); }
bool alnum(char c) { return letter(c) || digit(c); }

template <typename Allowed>
bool all(std::string_view value, Allowed allowed) {
  return std::all_of(value.begin(), value.end(), allowed);
}

bool is_label(std::string_view value, bool underscore = false) {
  if (underscore && value.starts_with('_')) value.remove_prefix(1);
  return !value.empty() && lower_alnum(value.front()) && lower_alnum(value.back()) &&
         all(value, [&](char c) { return lower_alnum(c) || c == '-' || (underscore && c == '_'); });
}

bool is_subdomain(std::string_view value, bool underscore = false) {
  for (;;) {
    const size_t dot = value.find('.');
    if (!is_label(value.substr(0, dot), underscore)) return false;
    if (dot == std::string_view::npos) return true;
    value.remove_prefix(dot + 1);
  }
}

bool is_label_key_name(std::string_view value) {
  return !value.empty() && alnum(value.front()) && alnum(value.back()) &&
         all(value, [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

// Of labels' keys and values, upstream counts bytes and says so.
std::string max_bytes_error(size_t length) { return fmt::format("must be no more than {} bytes", length); }

void check_length(Problems& problems, std::string_view value, size_t length) {
  if (value.size() > length) problems.push_back(max_length_error(static_cast<int>(length)));
}

void check_dots(Problems& problems, std::string_view value) {
  if (value == ".") {
    problems.push_back("must not be '.'");
  } else if (value == "..") {
    problems.push_back("must not be '..'");
  } else if (value.starts_with("..")) {
    problems.push_back("must not start with '..'");
  }
}

struct Address {
  int family = AF_UNSPEC;  // of the text
  unsigned char bytes[16] = {};
  bool leading_zeros = false;

  bool mapped() const {
    static constexpr unsigned char kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return family == AF_INET6 && std::memcmp(bytes, kPrefix, sizeof kPrefix) == 0;
  }
  int bits() const { return family == AF_INET ? 32 : 128; }
};

// Go's net.ParseIP, but with leading zeros allowed and told.
std::optional<Address> parse_address(std::string_view value) {
  Address out;
  std::string text(value);
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (text.find(':') != std::string::npos) {
    out.family = AF_INET6;
    if (inet_pton(AF_INET6, text.c_str(), out.bytes) != 1) return std::nullopt;
    return out;
  }
  out.family = AF_INET;
  std::string_view rest = value;
  for (int i = 0; i < 4; ++i) {
    const size_t end = i < 3 ? rest.find('.') : rest.size();
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view octet = rest.substr(0, end);
    int number = 0;
    if (octet.empty() || octet.size() > 8 || !all(octet, digit)) return std::nullopt;
    std::from_chars(octet.data(), octet.data() + octet.size(), number);
    if (number > 255) return std::nullopt;
    out.leading_zeros = out.leading_zeros || (octet.size() > 1 && octet.front() == '0');
    out.bytes[i] = static_cast<unsigned char>(number);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

// As RFC 5952 has it: lower case, the longest run of zero groups as "::". (inet_ntop writes some as ::1.2.3.4.)
std::string print_address(const Address& address) {
  const unsigned char* b = address.bytes;
  if (address.mapped()) b += 12;
  if (address.family == AF_INET || address.mapped()) return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);
  const auto group = [&](int i) { return b[2 * i] << 8 | b[2 * i + 1]; };
  int run = 8, length = 1;  // where the zeros begin, and how many; a single one is written out
  for (int i = 0; i < 8; ++i) {
    int end = i;
    while (end < 8 && group(end) == 0) ++end;
    if (end - i > length) run = i, length = end - i;
  }
  std::string out;
  for (int i = 0; i < 8; ++i) {
    if (i == run) {
      out += "::";
      i += length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    out += fmt::format("{:x}", group(i));
  }
  return out;
}

}  // namespace

std::string max_length_error(int length) { return fmt::format("must be no more than {} characters", length); }
std::string range_error(int64_t low, int64_t high) {
  return fmt::format("must be between {} and {}, inclusive", low, high);
}

std::string regex_error(std::string_view message, std::string_view format,
                        std::initializer_list<std::string_view> examples) {
  std::string out(message);
  if (examples.size() == 0) return out + " (regex used for validation is '" + std::string(format) + "')";
  out += " (e.g. ";
  bool first = true;
  for (std::string_view example : examples) {
    if (!first) out += " or ";
    first = false;
    out += fmt::format("'{}', ", example);
  }
  return out + "regex used for validation is '" + std::string(format) + "')";
}

Problems dns1123_label(std::string_view value) {
  Problems problems;
  check_length(problems, value, kMaxLabel);
  if (is_label(value)) return problems;
  if (is_subdomain(value)) {
    problems.push_back("must not contain dots");
  } else {
    problems.push_back(regex_error(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
        "and end with an alphanumeric character",
        kLabelFormat, {"my-name", "123-abc"}));
  }
  return problems;
}

Problems dns1123_subdomain(std::string_view value) {
  Problems problems;
  check_length(problems, value, kMaxSubdomain);
  if (!is_subdomain(value)) {
    problems.push_back(regex_error(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
        "must start and end with an alphanumeric character",
        kSubdomainFormat, {"example.com"}));
  }
  return problems;
}

Problems dns1123_subdomain_with_underscore(std::string_view value) {
  Problems problems;
  check_length(problems, value, kMaxSubdomain);
  if (!is_subdomain(value, true)) {
    problems.push_back(regex_error(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
        "and must start and end with an alphanumeric character",
        "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*", {"example.com"}));
  }
  return problems;
}

Problems wildcard_dns1123_subdomain(std::string_view value) {
  Problems problems;
  check_length(problems, value, kMaxSubdomain);
  if (!value.starts_with("*.") || !is_subdomain(value.substr(2))) {
    problems.push_back(
        regex_error("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
                    "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
                    "\\*\\." + std::string(kSubdomainFormat), {"*.example.com"}));
  }
  return problems;
}

Problems dns1035_label(std::string_view value) {
  Problems problems;
  check_length(problems, value, kMaxLabel);
  if (!is_label(value) || !lower(value.front())) {
    problems.push_back(regex_error(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character",
        "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  }
  return problems;
}

Problems qualified_name(std::string_view value) {
  Problems problems;
  const auto format_error = [] {
    return regex_error(kLabelKeyMessage, kLabelKeyFormat, {"MyName", "my.name", "123-abc"});
  };
  std::string_view name = value;
  if (const size_t slash = value.find('/'); slash != std::string_view::npos) {
    const std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      return {"a valid label key " + format_error() +
              " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
    }
    if (prefix.empty()) {
      problems.push_back("prefix part must be non-empty");
    } else {
      if (prefix.size() > kMaxSubdomain) problems.push_back("prefix part " + max_bytes_error(kMaxSubdomain));
      if (!is_subdomain(prefix)) problems.push_back("prefix part " + dns1123_subdomain(prefix).back());
    }
  }
  if (name.empty()) {
    problems.push_back("name part must be non-empty");
  } else if (name.size() > kMaxLabel) {
    problems.push_back("name part " + max_bytes_error(kMaxLabel));
  }
  if (!is_label_key_name(name)) problems.push_back("name part " + format_error());
  return problems;
}

Problems label_value(std::string_view value) {
  Problems problems;
  if (value.size() > kMaxLabel) problems.push_back(max_bytes_error(kMaxLabel));
  if (!value.empty() && !is_label_key_name(value)) {
    problems.push_back(regex_error(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
        "start and end with an alphanumeric character",
        "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", {"MyValue", "my_value", "12345"}));
  }
  return problems;
}

Problems path_segment_name(std::string_view value) {
  if (value == "." || value == "..") return {fmt::format("may not be '{}'", value)};
  Problems problems;
  for (std::string_view bad : {"/", "%"}) {
    if (value.find(bad) != std::string_view::npos) problems.push_back(fmt::format("may not contain '{}'", bad));
  }
  return problems;
}

Problems in_range(int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return {range_error(low, high)};
}

Problems port_number(int64_t port) { return in_range(port, 1, 65535); }
Problems user_id(int64_t id) { return in_range(id, 0, kMaxUserId); }
Problems group_id(int64_t id) { return in_range(id, 0, kMaxUserId); }

Problems port_name(std::string_view value) {
  Problems problems;
  check_length(problems, value, 15);
  if (value.empty() || !all(value, [](char c) { return lower_alnum(c) || c == '-'; })) {
    problems.push_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (std::none_of(value.begin(), value.end(), lower)) problems.push_back("must contain at least one letter (a-z)");
  if (value.find("--") != std::string_view::npos) problems.push_back("must not contain consecutive hyphens");
  if (!value.empty() && (value.front() == '-' || value.back() == '-'))
    problems.push_back("must not begin or end with a hyphen");
  return problems;
}

Problems c_identifier(std::string_view value) {
  if (!value.empty() && !digit(value.front()) && all(value, [](char c) { return alnum(c) || c == '_'; })) return {};
  return {
      regex_error("a valid C identifier must start with alphabetic character or '_', followed by a string of "
                  "alphanumeric characters or '_'",
                  "[A-Za-z_][A-Za-z0-9_]*", {"my_name", "MY_NAME", "MyName"})};
}

Problems env_var_name(std::string_view value) {
  Problems problems;
  if (value.empty()) problems.push_back("environment variable name must be non-empty");
  if (!all(value, [](char c) { return c >= ' ' && c <= '~' && c != '='; })) {
    problems.push_back(
        "a valid environment variable name must consist only of printable ASCII characters other than '='");
  }
  return problems;
}

Problems env_var_name_strict(std::string_view value) {
  Problems problems;
  if (value.empty() || digit(value.front()) ||
      !all(value, [](char c) { return alnum(c) || c == '-' || c == '.' || c == '_'; })) {
    problems.push_back(regex_error(
        "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and "
        "must not start with a digit",
        "[-._a-zA-Z][-._a-zA-Z0-9]*", {"my.env-name", "MY_ENV.NAME", "MyEnvName1"}));
  }
  check_dots(problems, value);
  return problems;
}

Problems config_map_key(std::string_view value) {
  Problems problems;
  check_length(problems, value, kMaxSubdomain);
  if (value.empty() || !all(value, [](char c) { return alnum(c) || c == '-' || c == '.' || c == '_'; })) {
    problems.push_back(regex_error("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                                   "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  }
  check_dots(problems, value);
  return problems;
}

Problems http_header_name(std::string_view value) {
  if (!value.empty() && all(value, [](char c) { return alnum(c) || c == '-'; })) return {};
  return {regex_error("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                      {"X-Header-Name"})};
}

Problems percent(std::string_view value) {
  if (value.size() > 1 && value.back() == '%' && all(value.substr(0, value.size() - 1), digit)) return {};
  return {regex_error("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%",
                      {"1%", "93%"})};
}

Problems ip(std::string_view value, bool canonical) {
  const auto address = parse_address(value);
  if (!address) return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
  if (address->leading_zeros) return {"must not have leading 0s"};
  if (address->mapped()) return {"must not be an IPv4-mapped IPv6 address"};
  if (canonical && print_address(*address) != value)
    return {fmt::format("must be in canonical form (\"{}\")", print_address(*address))};
  return {};
}

Problems cidr(std::string_view value, bool canonical) {
  const auto invalid = [] { return Problems{"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"}; };
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return invalid();
  const auto address = parse_address(value.substr(0, slash));
  const std::string_view length = value.substr(slash + 1);
  int bits = 0;
  if (!address || length.empty() || length.size() > 8 || !all(length, digit)) return invalid();
  std::from_chars(length.data(), length.data() + length.size(), bits);
  if (bits > address->bits()) return invalid();
  if (address->leading_zeros || (length.size() > 1 && length.front() == '0'))
    return {"must not have leading 0s in IP or prefix length"};
  if (address->mapped()) return {"must not have an IPv4-mapped IPv6 address"};
  for (int bit = bits; bit < address->bits(); ++bit) {
    if (address->bytes[bit / 8] & (0x80 >> bit % 8)) return {"must not have bits set beyond the prefix length"};
  }
  const std::string wanted = fmt::format("{}/{}", print_address(*address), bits);
  if (canonical && wanted != value) return {fmt::format("must be in canonical form (\"{}\")", wanted)};
  return {};
}

std::string generate_name(std::string_view base, uint64_t random) {
  static constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";  // no vowels: no words
  constexpr size_t kSuffix = 5;
  std::string out(base.substr(0, kMaxLabel - kSuffix));
  for (size_t i = 0; i < kSuffix; ++i, random /= kLetters.size()) out += kLetters[random % kLetters.size()];
  return out;
}

std::optional<std::string> canonical_ip(std::string_view value) {
  const auto address = parse_address(value);
  if (!address) return std::nullopt;
  return print_address(*address);
}

bool is_ipv6(std::string_view valid_ip) { return valid_ip.find(':') != std::string_view::npos; }

}  // namespace knarr::names
