#include "controllers/node_cidr.h"

#include <catch2/catch.hpp>

using knarr::controllers::next_node_cidr;

TEST_CASE("nodes get the first free /24 of the cluster's addresses") {
  CHECK(next_node_cidr("10.42.0.0/16", {}) == "10.42.0.0/24");
  CHECK(next_node_cidr("10.42.0.0/16", {"10.42.0.0/24", "10.42.2.0/24"}) == "10.42.1.0/24");
  CHECK(next_node_cidr("10.42.7.0/16", {}) == "10.42.0.0/24");
  CHECK(next_node_cidr("10.9.8.0/24", {}) == "10.9.8.0/24");
  CHECK_FALSE(next_node_cidr("10.9.8.0/24", {"10.9.8.0/24"}));
  CHECK_FALSE(next_node_cidr("10.9.8.0/26", {}));
  CHECK_FALSE(next_node_cidr("fd00::/48", {}));
  CHECK_FALSE(next_node_cidr("nonsense", {}));
}
