#include "network/address_pool.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "network/cidr.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::network;
namespace fs = std::filesystem;

namespace {

using test::TempDirectory;

Cidr cidr(std::string_view text) {
  auto parsed = Cidr::parse(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

std::string assigned(AddressPool& pool, const std::string& pod) {
  auto address = pool.assign(pod);
  return address.ok() ? format_address(*address) : address.status().message();
}

}  // namespace

TEST_CASE("networks are parsed strictly") {
  CHECK(cidr("10.42.0.0/24").to_string() == "10.42.0.0/24");
  CHECK(format_address(cidr("10.42.0.0/24").gateway()) == "10.42.0.1");
  CHECK(format_address(cidr("10.42.0.0/24").last()) == "10.42.0.255");
  CHECK(cidr("0.0.0.0/0").contains(0xffffffff));
  CHECK(cidr("192.168.7.7/32").contains(*parse_address("192.168.7.7")));
  for (const char* bad : {"", "10.42.0.0", "10.42.0.0/", "10.42.0.0/33", "10.42.0.0/-1", "10.42.0/24", "10.42.0.0/2x",
                          "::/0", "10.42.0.1/24"}) {
    INFO(bad);
    CHECK(!Cidr::parse(bad).ok());
  }
  CHECK(Cidr::parse("10.42.0.1/24").status().message() == "10.42.0.1/24 is no network: did you mean 10.42.0.0/24?");
}

TEST_CASE("networks overlap when one holds the other") {
  struct Case {
    const char *a, *b;
    bool overlap;
  };
  for (const auto& [a, b, overlap] : std::vector<Case>{{"10.42.0.0/16", "10.42.7.0/24", true},
                                                       {"10.42.7.0/24", "10.42.0.0/16", true},
                                                       {"10.42.0.0/24", "10.42.1.0/24", false},
                                                       {"0.0.0.0/0", "10.0.0.0/8", true},
                                                       {"10.42.0.0/24", "10.42.0.0/24", true}}) {
    CHECK(cidr(a).overlaps(cidr(b)) == overlap);
  }
}

TEST_CASE("addresses are given in turn, kept for a pod, and rest after it") {
  TempDirectory dir;
  auto pool = AddressPool::open(dir.path, cidr("10.42.0.0/29"));  // .2 to .6
  REQUIRE(pool.ok());
  CHECK(assigned(*pool, "a") == "10.42.0.2");
  CHECK(assigned(*pool, "b") == "10.42.0.3");
  CHECK(assigned(*pool, "a") == "10.42.0.2");
  REQUIRE(pool->release("a").ok());
  REQUIRE(pool->release("a").ok());
  CHECK(assigned(*pool, "c") == "10.42.0.4");
  CHECK(assigned(*pool, "d") == "10.42.0.5");
  CHECK(assigned(*pool, "e") == "10.42.0.6");
  CHECK(assigned(*pool, "f") == "10.42.0.2");
  CHECK(pool->assign("g").status().is(reason::kServiceUnavailable));
  CHECK(assigned(*pool, "g") ==
        "no free pod address in 10.42.0.0/29: all 5 are taken; delete pods or give the node a larger network");
  CHECK(pool->assign("../x").status().is(reason::kBadRequest));
  CHECK(pool->assign("").status().is(reason::kBadRequest));
}

TEST_CASE("a restart finds the addresses again and throws out what is none") {
  TempDirectory dir;
  {
    auto pool = AddressPool::open(dir.path, cidr("10.42.0.0/24"));
    REQUIRE(pool.ok());
    CHECK(assigned(*pool, "a") == "10.42.0.2");
    CHECK(assigned(*pool, "b") == "10.42.0.3");
  }
  std::ofstream(dir.path + "/empty") << "";                 // after a power cut
  std::ofstream(dir.path + "/b.XXabcd") << "10.42.0.9\n";   // a replacement that was not finished
  std::ofstream(dir.path + "/elsewhere") << "10.43.0.2\n";  // of another network
  std::ofstream(dir.path + "/gateway") << "10.42.0.1\n";
  auto pool = AddressPool::open(dir.path, cidr("10.42.0.0/24"));
  REQUIRE(pool.ok());
  CHECK(pool->all().size() == 2);
  CHECK(assigned(*pool, "b") == "10.42.0.3");
  CHECK(!fs::exists(dir.path + "/empty"));
  CHECK(!fs::exists(dir.path + "/b.XXabcd"));
  CHECK(assigned(*pool, "c") == "10.42.0.4");
}
