// IPv4 addresses and networks as numbers in host byte order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr::network {

Result<uint32_t> parse_address(std::string_view text);
std::string format_address(uint32_t address);

struct Cidr {
  uint32_t base = 0;  // host bits are zero
  int prefix = 0;

  static Result<Cidr> parse(std::string_view text);  // 10.42.0.0/24; set host bits are an error, as in Kubernetes
  static Cidr around(uint32_t address, int prefix);

  uint32_t mask() const { return prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix); }
  uint32_t last() const { return base | ~mask(); }
  uint32_t gateway() const { return base + 1; }  // of a pod network
  bool contains(uint32_t address) const { return (address & mask()) == base; }
  bool overlaps(const Cidr& other) const { return contains(other.base) || other.contains(base); }
  std::string to_string() const;
  bool operator==(const Cidr&) const = default;
};

}  // namespace knarr::network
