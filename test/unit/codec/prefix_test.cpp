#include "knarr/codec/prefix.h"

#include <catch2/catch.hpp>
#include <tuple>

using namespace knarr;

TEST_CASE("networks and what is in them") {
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"10.96.0.0/16", "10.96.255.255", true}, {"10.96.0.0/16", "10.97.0.0", false}, {"10.0.0.7/29", "10.0.0.0", true},
      {"10.0.0.0/29", "10.0.0.8", false},      {"0.0.0.0/0", "1.2.3.4", true},       {"10.0.0.1/32", "10.0.0.1", true},
      {"fd00::/64", "fd00::ffff", true},       {"fd00::/64", "fd01::1", false},      {"10.0.0.0/8", "fd00::1", false}};
  for (const auto& [cidr, address, inside] : cases) {
    INFO(cidr << " " << address);
    CHECK(Prefix::parse(cidr)->contains(*Prefix::parse_address(address)) == inside);
  }
  CHECK(Prefix::parse("10.0.0.0/8")->contains(*Prefix::parse("10.1.0.0/16")));
  CHECK_FALSE(Prefix::parse("10.1.0.0/16")->contains(*Prefix::parse("10.0.0.0/8")));
  CHECK(Prefix::parse("10.1.0.0/16")->overlaps(*Prefix::parse("10.0.0.0/8")));
  for (const char* bad : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129", "10.0.0.0/8x", "x/8"}) CHECK_FALSE(Prefix::parse(bad));
}

TEST_CASE("the hosts of a network") {
  const std::tuple<const char*, uint64_t, std::string> cases[] = {{"10.96.0.0/16", 65534, "10.96.255.254"},
                                                                  {"10.0.0.16/28", 14, "10.0.0.30"},
                                                                  {"10.0.0.0/30", 2, "10.0.0.2"},
                                                                  {"10.0.0.0/31", 0, "10.0.0.0"},
                                                                  {"10.0.0.1/32", 0, "10.0.0.1"},
                                                                  {"fd00::/120", 255, "fd00::ff"},
                                                                  {"fd00::/64", (uint64_t{1} << 63) - 1, "fd00::7fff:ffff:ffff:ffff"}};
  for (const auto& [cidr, last, address] : cases) {
    INFO(cidr);
    const auto prefix = Prefix::parse(cidr);
    CHECK(prefix->last_host() == last);
    CHECK(prefix->at(last) == address);
    CHECK(prefix->offset_of(*Prefix::parse_address(address)) == last);
  }
  CHECK(Prefix::parse("10.0.0.19/28")->to_string() == "10.0.0.16/28");
}
