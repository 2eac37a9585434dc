// The pod network of one node: a bridge, an address for each pod, routes and masquerading, all through netlink. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::network {

struct PodAddress {
  std::string address;  // 10.42.0.7
  int prefix = 24;
  std::string gateway;
  std::string mac;
};

class PodNetwork {
 public:
  struct Options {
    std::string instance;         // short and unique on this machine: makes the names of the bridge and the nftables table
    std::string pod_cidr;         // this node's: 10.42.0.0/24
    std::string cluster_cidr;     // not masqueraded: 10.42.0.0/16
    std::string state_directory;  // <data>/network: which pod has which address
    int mtu = 0;                  // 0: of the default route's link
  };
  // Makes or adopts the bridge and the rules. Error when the CIDR is already used by another link (names it).
  static Result<std::unique_ptr<PodNetwork>> open(Options options);
  virtual ~PodNetwork() = default;  // leaves everything in place

  // Gives the pod an address and plugs its namespace (path) into the bridge. The same pod gets its address again.
  virtual Result<PodAddress> attach(const std::string& pod_id, const std::string& netns_path) = 0;
  virtual Status detach(const std::string& pod_id) = 0;  // OK when there is none
  virtual std::vector<std::pair<std::string, PodAddress>> list() = 0;
  // Frees the addresses and links of pods that are not in `pods`.
  virtual Status keep_only(const std::vector<std::string>& pods) = 0;
  virtual Status remove() = 0;  // takes down bridge and rules
};

// The same for an instance that is not open: its bridge, its pods' links, its rules and its files. OK where there is nothing.
Status remove_instance(const std::string& instance, const std::string& state_directory);

// The first of `candidates` (CIDRs) that overlaps no address or route of this machine.
Result<std::string> first_free_cidr(const std::vector<std::string>& candidates);
// The address this machine would use to reach the default route; kNoAddress when there is none.
inline constexpr std::string_view kNoAddress = "127.0.0.1";
std::string primary_address();

}  // namespace knarr::network
