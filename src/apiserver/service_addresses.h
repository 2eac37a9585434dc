// Addresses and ports that services get of their own: cluster IPs from the service networks, ports of all nodes.
//
// What is taken is told by the index of the services, so that nothing is kept twice and nothing can leak; what a write
// that is still on its way has been given is held by its Reservation. Thread-safe.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/base/sync.h"
#include "knarr/codec/json.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

class ServiceAddresses {
 public:
  // Holds addresses and ports until the service that got them is in the store, or is not.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();

   private:
    friend class ServiceAddresses;
    ServiceAddresses* owner_ = nullptr;
    std::vector<std::string> values_;
  };

  // `cidrs`: networks, one of a family, the first is preferred ("10.96.0.0/16,fd00::/108").
  ServiceAddresses(const store::Store& store, store::ResourceId services, std::string_view cidrs);

  // Fills in families, addresses and node ports that the service needs and has not, or takes those it asks for. `old`
  // is null on create. A dry run may have addresses that others have. Errors: Invalid, as upstream
  // words it.
  Result<Reservation> allocate(json::Value& service, const json::Value* old, bool dry_run, json::Allocator& alloc);

 private:
  using Bytes = std::vector<uint8_t>;  // of an address: 4 or 16
  struct Network {
    std::string family;  // IPv4, IPv6
    Bytes base;
    int prefix = 0;
    bool contains(const Bytes& address) const;
    std::string at(uint64_t offset) const;
    uint64_t size() const;  // addresses to give, at most 2^16
  };
  class Allocation;

  const Network* network(std::string_view family) const;
  // True when it was free and is now held by `reservation`.
  bool take(const std::string& value, Reservation& reservation);
  void release(const std::vector<std::string>& values);

  const store::Store& store_;
  const store::ResourceId services_;
  std::vector<Network> networks_;
  Mutex mutex_;
  std::set<std::string> pending_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::apiserver
