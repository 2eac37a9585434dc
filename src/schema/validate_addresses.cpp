// Addresses, networks and what else kinds of the network share (upstream: pkg/apis/core/validation).
#include "schema/validate_addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace knarr::schema::validation {
namespace {

bool is_known(const std::string& value, const std::vector<std::string>* known) {
  return known && std::find(known->begin(), known->end(), value) != known->end();
}

}  // namespace

std::optional<IpBytes> ip_bytes(std::string_view value) {
  const auto text = names::canonical_ip(value);
  if (!text) return std::nullopt;
  IpBytes bytes(4);
  if (inet_pton(AF_INET, text->c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(16);
  if (inet_pton(AF_INET6, text->c_str(), bytes.data()) == 1) return bytes;
  return std::nullopt;
}

std::optional<IpNetwork> ip_network(std::string_view value) {
  const size_t slash = value.find('/');
  if (slash == value.npos) return std::nullopt;
  auto bytes = ip_bytes(value.substr(0, slash));
  const std::string_view text = value.substr(slash + 1);
  size_t length = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
  if (!bytes || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || length > bytes->size() * 8) return std::nullopt;
  return IpNetwork{*bytes, length};
}

bool IpNetwork::contains(const IpBytes& address) const {
  if (address.size() != base.size()) return false;
  for (size_t bit = 0; bit < length; ++bit) {
    if ((address[bit / 8] ^ base[bit / 8]) & (0x80 >> bit % 8)) return false;
  }
  return true;
}

void ip_field(const std::string& value, const Path& path, FieldErrors& errors, const std::vector<std::string>* known) {
  if (!is_known(value, known)) errors.invalid(path, value, names::ip(value));
}

void cidr_field(const std::string& value, const Path& path, FieldErrors& errors, const std::vector<std::string>* known) {
  if (!is_known(value, known)) errors.invalid(path, value, names::cidr(value));
}

void endpoint_ip(const std::string& value, const Path& path, FieldErrors& errors) {
  const auto address = ip_bytes(value);
  if (!address) return errors.invalid(path, value, "must be a valid IP address");
  const IpBytes& b = *address;
  const bool v4 = b.size() == 4;
  const bool zeros = std::all_of(b.begin(), b.end() - 1, [](uint8_t byte) { return byte == 0; });
  if (zeros && b.back() == 0) errors.invalid(path, value, fmt::format("may not be unspecified ({})", value));
  if (v4 ? b[0] == 127 : zeros && b.back() == 1) errors.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (v4 ? b[0] == 169 && b[1] == 254 : b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
    errors.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (v4 ? b[0] == 224 && b[1] == 0 && b[2] == 0 : b[0] == 0xff && (b[1] & 0x0f) == 0x02)
    errors.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

void balancer_hostname(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return;
  errors.invalid(path, name, names::dns1123_subdomain(name));
  if (ip_bytes(name)) errors.invalid(path, name, "must be a DNS name, not an IP address");
}

void port_protocol(const std::string& protocol, const Path& path, FieldErrors& errors) {
  if (protocol.empty()) return errors.required(path);
  errors.one_of(path, protocol, {"SCTP", "TCP", "UDP"});
}

}  // namespace knarr::schema::validation
