#include "network/cidr.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace knarr::network {

Result<uint32_t> parse_address(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) {
    return bad_request(fmt::format("\"{}\" is no IPv4 address: want four numbers like 10.42.0.7", text));
  }
  return ntohl(address.s_addr);
}

std::string format_address(uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

Cidr Cidr::around(uint32_t address, int prefix) {
  Cidr cidr{0, prefix};
  cidr.base = address & cidr.mask();
  return cidr;
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const size_t slash = text.find('/');
  int prefix = -1;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || digits[0] == '-') prefix = -1;
  }
  auto address = parse_address(text.substr(0, slash));
  if (prefix < 0 || prefix > 32 || !address.ok()) {
    return bad_request(fmt::format("\"{}\" is no IPv4 network: want address and prefix like 10.42.0.0/24", text));
  }
  const Cidr cidr = around(*address, prefix);
  if (cidr.base != *address)
    return bad_request(fmt::format("{} is no network: did you mean {}?", text, cidr.to_string()));
  return cidr;
}

std::string Cidr::to_string() const { return fmt::format("{}/{}", format_address(base), prefix); }

}  // namespace knarr::network
