// Which pod has which address. One small file for each pod, named by its id, so that a restart finds everything again
// and a crash can damage nothing but the pod it was about. Not thread-safe: its owner locks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "knarr/base/result.h"
#include "network/cidr.h"

namespace knarr::network {

class AddressPool {
 public:
  // Reads what is there. Files that hold no address of this network, or one that another pod has, are removed.
  static Result<AddressPool> open(std::string directory, Cidr network);

  // The pod's address, the same each time. New ones are the next free after the last one given, so that an address
  // rests as long as it can before it means another pod. Unavailable when all are taken.
  Result<uint32_t> assign(const std::string& pod);
  std::optional<uint32_t> find(const std::string& pod) const;
  Status release(const std::string& pod);  // OK when it has none
  const std::map<std::string, uint32_t>& all() const { return by_pod_; }

 private:
  AddressPool(std::string directory, Cidr network)
      : directory_(std::move(directory)), network_(network), last_(network.gateway()) {}
  bool assignable(uint32_t address) const;

  std::string directory_;
  Cidr network_;
  uint32_t last_;
  std::map<std::string, uint32_t> by_pod_;
  std::set<uint32_t> taken_;
};

}  // namespace knarr::network
