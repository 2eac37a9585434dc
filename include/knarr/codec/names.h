// What may be a name, a label, a port name, an address. Each check answers what is wrong, in upstream's words; empty:
// valid.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::names {

using Problems = std::vector<std::string>;

Problems dns1123_label(std::string_view value);
Problems dns1123_subdomain(std::string_view value);
Problems dns1123_subdomain_with_underscore(std::string_view value);
Problems wildcard_dns1123_subdomain(std::string_view value);
Problems dns1035_label(std::string_view value);
Problems qualified_name(std::string_view value);  // a label or annotation key: [prefix/]name
Problems label_value(std::string_view value);
Problems path_segment_name(std::string_view value);
Problems port_number(int64_t port);
Problems port_name(std::string_view value);
Problems c_identifier(std::string_view value);
Problems env_var_name(std::string_view value);         // relaxed, as in v1.34 and later
Problems env_var_name_strict(std::string_view value);  // C-like with dots and dashes
Problems config_map_key(std::string_view value);
Problems http_header_name(std::string_view value);
Problems user_id(int64_t id);
Problems group_id(int64_t id);
Problems percent(std::string_view value);
Problems in_range(int64_t value, int64_t low, int64_t high);

// Strict, as for new fields of old types (IsValidIPForLegacyField, IsValidCIDRForLegacyField with
// StrictIPCIDRValidation) and with `canonical` as for new types (IsValidIP, IsValidCIDR).
Problems ip(std::string_view value, bool canonical = false);
Problems cidr(std::string_view value, bool canonical = false);

std::string max_length_error(int length);
std::string range_error(int64_t low, int64_t high);
std::string regex_error(std::string_view message, std::string_view format,
                        std::initializer_list<std::string_view> examples);

// `base`, shortened where need be, and five random letters, as metadata.generateName asks for. `random` is any 64-bit
// random number.
std::string generate_name(std::string_view base, uint64_t random);

// An address in canonical text (RFC 5952); absent when it is none.
std::optional<std::string> canonical_ip(std::string_view value);
bool is_ipv6(std::string_view valid_ip);

}  // namespace knarr::names
