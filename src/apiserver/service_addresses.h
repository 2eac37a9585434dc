// Addresses and ports that services get of their own: cluster IPs from the service networks, ports of all nodes.
//
// The networks are those of the ServiceCIDRs that are ready; which families there are is told by the options.
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
#include "knarr/codec/prefix.h"
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

  // `cidrs`: networks, one of a family, the first is preferred ("10.96.0.0/16,fd00::/108"). They are used first, and alone
  // as long as there are no ServiceCIDRs.
  ServiceAddresses(store::Store& store, std::string_view cidrs);

  // Fills in families, addresses and node ports that the service needs and has not, or takes those it asks for. `old`
  // is null on create. A dry run may have addresses that others have. Errors: Invalid, as upstream
  // words it.
  Result<Reservation> allocate(json::Value& service, const json::Value* old, bool dry_run, json::Allocator& alloc);

 private:
  class Allocation;

  const Prefix* configured(std::string_view family) const;
  // Networks of a family, the configured one first.
  std::vector<Prefix> networks(std::string_view family) const;
  // True when it was free and is now held by `reservation`.
  bool take(const std::string& value, Reservation& reservation);
  bool take_address(const std::string& address, Reservation& reservation);
  void release(const std::vector<std::string>& values);

  store::Store& store_;
  const store::ResourceId services_, cidrs_, address_objects_;
  std::vector<Prefix> configured_;
  Mutex mutex_;
  std::set<std::string> pending_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::apiserver
