// A network in CIDR notation and the addresses in it, IPv4 and IPv6. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knarr {

class Prefix {
 public:
  using Address = std::vector<uint8_t>;  // 4 or 16 bytes

  // Nothing: it is none. Bits behind the prefix are dropped.
  static std::optional<Prefix> parse(std::string_view cidr);
  static std::optional<Address> parse_address(std::string_view text);

  bool ipv6() const { return base_.size() == 16; }
  int bits() const { return bits_; }
  bool contains(const Address& address) const;
  bool contains(const Prefix& other) const;  // all of it
  bool overlaps(const Prefix& other) const { return contains(other) || other.contains(*this); }

  // Addresses that hosts may have, as offsets from the first of the network: none where last_host() is before first_host(). The
  // network's own address is none of them, and of IPv4 neither is the last, which is everybody's.
  uint64_t first_host() const { return 1; }
  uint64_t last_host() const;
  uint64_t size() const;  // of all addresses; at most 2^63
  std::string at(uint64_t offset) const;
  // Where the address stands, which must be in the network.
  uint64_t offset_of(const Address& address) const;
  std::string to_string() const;

 private:
  Prefix(Address base, int bits) : base_(std::move(base)), bits_(bits) {}

  Address base_;
  int bits_;
};

}  // namespace knarr
