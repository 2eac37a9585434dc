// How the cluster's pod addresses are shared out among nodes.
#pragma once

#include <optional>
#include <set>
#include <string>

namespace knarr::controllers {

// The first /24 of `cluster_cidr` (IPv4, a.b.c.d/n with n <= 24) that is not in `taken`; nothing when all are, or when
// the CIDR is none.
std::optional<std::string> next_node_cidr(const std::string& cluster_cidr, const std::set<std::string>& taken);

}  // namespace knarr::controllers
