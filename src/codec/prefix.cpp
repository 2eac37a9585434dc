#include "knarr/codec/prefix.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace knarr {

namespace {

std::string text_of(const Prefix::Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(address.size() == 4 ? AF_INET : AF_INET6, address.data(), text, sizeof text);
  return text;
}

// The address with only its first `bits` bits.
Prefix::Address masked(Prefix::Address address, int bits) {
  for (size_t i = 0; i < address.size(); ++i) {
    const int left = std::clamp(bits - static_cast<int>(i) * 8, 0, 8);
    address[i] = static_cast<uint8_t>(address[i] & (0xff << (8 - left)));
  }
  return address;
}

}  // namespace

std::optional<Prefix::Address> Prefix::parse_address(std::string_view text) {
  const bool ipv6 = text.find(':') != text.npos;
  Address address(ipv6 ? 16 : 4);
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, std::string(text).c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

std::optional<Prefix> Prefix::parse(std::string_view cidr) {
  const size_t slash = cidr.find('/');
  if (slash == cidr.npos) return std::nullopt;
  const auto address = parse_address(cidr.substr(0, slash));
  const std::string_view length = cidr.substr(slash + 1);
  int bits = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (!address || error != std::errc() || end != length.data() + length.size() || bits < 0 ||
      bits > static_cast<int>(address->size()) * 8)
    return std::nullopt;
  return Prefix(masked(*address, bits), bits);
}

bool Prefix::contains(const Address& address) const { return address.size() == base_.size() && masked(address, bits_) == base_; }

bool Prefix::contains(const Prefix& other) const { return other.bits_ >= bits_ && contains(other.base_); }

uint64_t Prefix::size() const {
  const int bits = std::min(static_cast<int>(base_.size()) * 8 - bits_, 63);
  return uint64_t{1} << bits;
}

uint64_t Prefix::last_host() const {
  const uint64_t behind = ipv6() ? 1 : 2;
  return size() >= behind ? size() - behind : 0;
}

std::string Prefix::at(uint64_t offset) const {
  Address address = base_;
  for (auto byte = address.rbegin(); offset != 0 && byte != address.rend(); ++byte, offset >>= 8)
    *byte = static_cast<uint8_t>(*byte | (offset & 0xff));
  return text_of(address);
}

uint64_t Prefix::offset_of(const Address& address) const {
  uint64_t offset = 0;
  for (size_t i = 0; i < address.size(); ++i) offset = offset << 8 | static_cast<uint8_t>(address[i] ^ base_[i]);
  return offset;
}

std::string Prefix::to_string() const { return fmt::format("{}/{}", text_of(base_), bits_); }

}  // namespace knarr
