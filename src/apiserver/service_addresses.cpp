#include "service_addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "knarr/apiserver/document.h"
#include "knarr/apiserver/errors.h"
#include "knarr/apiserver/extract.h"
#include "knarr/schema/service.h"

namespace knarr::apiserver {

namespace {

using json::Allocator;
using json::Value;

constexpr int kFirstPort = 30000, kLastPort = 32767;
constexpr uint64_t kMostLooks = 1 << 20;  // at addresses that may be free
constexpr uint64_t kFewAddresses = 16;     // networks without a part for addresses that people choose
constexpr int kShortestIpv6 = 64;         // prefix of an IPv6 network that addresses are given of
constexpr std::string_view kManagedBy = "ipaddress.kubernetes.io/managed-by", kAllocator = "ipallocator.k8s.io";
constexpr std::string_view kNone = "None";

const Value& member(const Value& object, std::initializer_list<std::string_view> path) {
  static const Value none;
  const Value* value = json::find(object, path);
  return value ? *value : none;
}

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> out;
  if (!list.IsArray()) return out;
  for (const Value& item : list.GetArray()) {
    if (item.IsString()) out.emplace_back(json::view(item));
  }
  return out;
}

void set_texts(Value& object, std::string_view key, const std::vector<std::string>& list, Allocator& alloc) {
  Value out(rapidjson::kArrayType);
  for (const std::string& text : list) out.PushBack(json::string(text, alloc), alloc);
  json::set(object, key, std::move(out), alloc);
}

std::string json_list(const std::vector<std::string>& list) {
  std::string out = "[";
  for (const std::string& text : list) {
    if (out.size() > 1) out += ",";
    json::append_quoted(out, text);
  }
  return out + "]";
}

bool is_ipv6(std::string_view address) { return address.find(':') != std::string_view::npos; }
std::string family_of(std::string_view address) { return is_ipv6(address) ? "IPv6" : "IPv4"; }
std::string other_family(std::string_view family) { return family == "IPv4" ? "IPv6" : "IPv4"; }

std::string family_of(const Prefix& network) { return network.ipv6() ? "IPv6" : "IPv4"; }

// Addresses may be given of this ServiceCIDR: it stays, and nobody said that it is not ready.
bool is_ready(const Value& cidr) {
  if (!json::get_string(cidr, {"metadata", "deletionTimestamp"}).empty()) return false;
  const Value& conditions = member(cidr, {"status", "conditions"});
  if (!conditions.IsArray()) return true;
  for (const Value& condition : conditions.GetArray())
    if (json::get_string(condition, "type") == "Ready") return json::get_string(condition, "status") == "True";
  return true;
}

bool has_node_ports(std::string_view type) { return type == "NodePort" || type == "LoadBalancer"; }

}  // namespace

ServiceAddresses::Reservation::Reservation(Reservation&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), values_(std::move(other.values_)) {}

ServiceAddresses::Reservation::~Reservation() {
  if (owner_) owner_->release(values_);
}

ServiceAddresses::ServiceAddresses(store::Store& store, std::string_view cidrs)
    : store_(store),
      services_(store.resource("services")),
      cidrs_(store.resource("servicecidrs.networking.k8s.io")),
      address_objects_(store.resource("ipaddresses.networking.k8s.io")) {
  while (!cidrs.empty()) {
    const size_t comma = std::min(cidrs.find(','), cidrs.size());
    if (auto network = Prefix::parse(cidrs.substr(0, comma))) configured_.push_back(std::move(*network));
    cidrs.remove_prefix(std::min(comma + 1, cidrs.size()));
  }
}

const Prefix* ServiceAddresses::configured(std::string_view family) const {
  for (const Prefix& known : configured_)
    if (family_of(known) == family) return &known;
  return nullptr;
}

std::vector<Prefix> ServiceAddresses::networks(std::string_view family) const {
  std::vector<Prefix> out;
  const Prefix* first = configured(family);
  const auto objects = store_.list(cidrs_, {});
  const bool none = !objects.ok() || objects->objects.empty();
  for (const store::ObjectPtr& object : none ? std::vector<store::ObjectPtr>() : objects->objects) {
    const auto document = json::parse(object->value);
    if (!document.ok() || !is_ready(*document)) continue;
    for (const std::string& cidr : texts(member(*document, {"spec", "cidrs"}))) {
      const auto network = Prefix::parse(cidr);
      if (!network || family_of(*network) != family || (network->ipv6() && network->bits() < kShortestIpv6)) continue;
      const bool configured = first && network->to_string() == first->to_string();
      out.insert(configured ? out.begin() : out.end(), *network);
    }
  }
  if (none && first) out.push_back(*first);
  return out;
}

bool ServiceAddresses::take_address(const std::string& address, Reservation& reservation) {
  // Those of services follow what the services say; others are somebody's.
  if (const store::ObjectPtr object = store_.get(address_objects_, address)) {
    const auto document = json::parse(object->value);
    if (!document.ok() || json::get_string(*document, {"metadata", "labels", kManagedBy}) != kAllocator) return false;
  }
  return take(address, reservation);
}

bool ServiceAddresses::take(const std::string& value, Reservation& reservation) {
  Lock lock(mutex_);
  if (pending_.contains(value) || !store_.list_index(services_, kIndexServiceAddress, value).empty()) return false;
  pending_.insert(value);
  reservation.owner_ = this;
  reservation.values_.push_back(value);
  return true;
}

void ServiceAddresses::release(const std::vector<std::string>& values) {
  Lock lock(mutex_);
  for (const std::string& value : values) pending_.erase(value);
}

// One service on its way in.
class ServiceAddresses::Allocation {
 public:
  Allocation(ServiceAddresses& addresses, Value& service, const Value* old, bool dry_run, Allocator& alloc)
      : addresses_(addresses), service_(service), old_(old), dry_run_(dry_run), alloc_(alloc) {}

  Result<Reservation> run() {
    if (old_) take_over();
    normalize_addresses();
    if (type() != "ExternalName") {
      KNARR_RETURN_IF_ERROR(families());
      KNARR_RETURN_IF_ERROR(cluster_addresses());
    }
    if (has_node_ports(type())) KNARR_RETURN_IF_ERROR(node_ports());
    KNARR_RETURN_IF_ERROR(health_port());
    return std::move(reservation_);
  }

 private:
  ServiceAddresses& addresses_;
  Value& service_;
  const Value* old_;
  const bool dry_run_;
  Allocator& alloc_;
  Reservation reservation_;

  Value& spec() { return json::ensure_object(service_, {"spec"}, alloc_); }
  std::string type() const { return std::string(json::get_string(service_, {"spec", "type"})); }
  std::string old_type() const { return old_ ? std::string(json::get_string(*old_, {"spec", "type"})) : ""; }
  std::string text(std::string_view key) const { return std::string(json::get_string(service_, {"spec", key})); }
  std::string old_text(std::string_view key) const {
    return old_ ? std::string(json::get_string(*old_, {"spec", key})) : "";
  }
  std::vector<std::string> list(std::string_view key) const { return texts(member(service_, {"spec", key})); }
  std::vector<std::string> old_list(std::string_view key) const {
    return old_ ? texts(member(*old_, {"spec", key})) : std::vector<std::string>();
  }

  Status invalid(std::vector<Cause> causes) const {
    static const schema::Resource& resource = *schema::find_resource("", "v1", "services");
    return invalid_error(resource, json::get_string(service_, {"metadata", "name"}), std::move(causes));
  }
  Status invalid(Cause cause) const { return invalid(std::vector<Cause>{std::move(cause)}); }

  // Clients that send a service as they wrote it first leave out what it was given since.
  void take_over() {
    if (old_type() != "ExternalName" && type() != "ExternalName") {
      if (text("clusterIP").empty() && !old_text("clusterIP").empty())
        json::set(spec(), "clusterIP", old_text("clusterIP"), alloc_);
      if (list("clusterIPs").empty() && !old_list("clusterIPs").empty())
        set_texts(spec(), "clusterIPs", old_list("clusterIPs"), alloc_);
    }
    if (has_node_ports(old_type()) && has_node_ports(type())) take_over_ports();
    if (needs_health_port(*old_) && needs_health_port(service_) && number("healthCheckNodePort") == 0) {
      if (const int64_t port = json::get_int(member(*old_, {"spec"}), "healthCheckNodePort"); port != 0)
        json::set(spec(), "healthCheckNodePort", Value(port), alloc_);
    }
  }

  void take_over_ports() {
    const Value& before = member(*old_, {"spec", "ports"});
    Value* ports = json::find(spec(), "ports");
    if (!before.IsArray() || !ports || !ports->IsArray()) return;
    std::map<std::string_view, int64_t> by_name;
    std::set<int64_t> used;
    for (const Value& port : before.GetArray())
      by_name[json::get_string(port, "name")] = json::get_int(port, "nodePort");
    for (const Value& port : ports->GetArray()) {
      if (const int64_t number = json::get_int(port, "nodePort"); number != 0) used.insert(number);
    }
    for (Value& port : ports->GetArray()) {
      const auto known = by_name.find(json::get_string(port, "name"));
      if (json::get_int(port, "nodePort") == 0 && known != by_name.end() && known->second != 0 &&
          !used.contains(known->second))
        json::set(port, "nodePort", Value(known->second), alloc_);
    }
  }

  // clusterIP is the first of clusterIPs; a client may know only one of the two.
  void normalize_addresses() {
    const std::string address = text("clusterIP");
    if (!old_) {
      if (!address.empty() && list("clusterIPs").empty()) set_texts(spec(), "clusterIPs", {address}, alloc_);
      return;
    }
    if (!old_list("clusterIPs").empty() && list("clusterIPs").empty() && old_text("clusterIP") == address)
      set_texts(spec(), "clusterIPs", old_list("clusterIPs"), alloc_);
    if (old_text("clusterIP") == address || old_list("clusterIPs") != list("clusterIPs")) return;
    if (!old_text("clusterIP").empty() && address.empty()) {
      json::remove(spec(), "clusterIPs");
    } else {
      set_texts(spec(), "clusterIPs", {address}, alloc_);
    }
  }

  Status families() {
    const bool headless = text("clusterIP") == kNone, selects = has_selector();
    if (member(service_, {"spec", "ipFamilyPolicy"}).IsNull()) {
      const std::string before = old_text("ipFamilyPolicy");
      json::set(spec(), "ipFamilyPolicy",
                !before.empty()        ? before
                : headless && !selects ? "RequireDualStack"
                                       : "SingleStack",
                alloc_);
    }
    // Nothing is looked for where what was asked for cannot be.
    if (auto causes = schema::service_address_errors(service_, old_); !causes.empty()) return invalid(std::move(causes));
    const std::string policy = text("ipFamilyPolicy");
    std::vector<std::string> addresses = list("clusterIPs"), wanted = list("ipFamilies");
    const auto bad_policy = [&](std::string_view what) {
      return invalid(cause_invalid("spec.ipFamilyPolicy", quoted(policy), what));
    };
    if (old_ && policy == "SingleStack") {
      if (addresses.size() > 1 && addresses == old_list("clusterIPs")) {
        addresses.resize(1);
        set_texts(spec(), "clusterIPs", addresses, alloc_);
      }
      if (wanted.size() > 1 && wanted == old_list("ipFamilies")) wanted.resize(1);
    } else if (old_) {
      if (!addresses.empty() && addresses.size() < old_list("clusterIPs").size())
        return bad_policy("must be 'SingleStack' to release the secondary cluster IP");
      if (!wanted.empty() && wanted.size() < old_list("ipFamilies").size())
        return bad_policy("must be 'SingleStack' to release the secondary IP family");
    }
    if (policy == "SingleStack") {
      if (addresses.size() == 2)
        return bad_policy("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified");
      if (wanted.size() == 2)
        return bad_policy("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
    }
    for (size_t i = wanted.size(); i < addresses.size() && addresses[i] != kNone; ++i) {
      const std::string family = family_of(addresses[i]);
      if (!addresses_.configured(family))
        return invalid(cause_invalid(fmt::format("spec.clusterIPs[{}]", i), json_list(addresses),
                                     fmt::format("{} is not configured on this cluster", family)));
      wanted.push_back(family);
    }
    const std::string preferred = family_of(addresses_.configured_.front());
    if (headless && !selects) {
      if (wanted.empty()) wanted.push_back(preferred);
      if (wanted.size() < 2 && policy != "SingleStack") wanted.push_back(other_family(wanted[0]));
    } else {
      if (policy == "RequireDualStack" && addresses_.configured_.size() < 2)
        return bad_policy("this cluster is not configured for dual-stack services");
      for (size_t i = 0; i < wanted.size(); ++i) {
        if (!addresses_.configured(wanted[i]))
          return invalid(cause_invalid(fmt::format("spec.ipFamilies[{}]", i), quoted(wanted[i]),
                                       "not configured on this cluster"));
      }
      if (wanted.empty()) wanted.push_back(preferred);
      if (policy != "SingleStack" && wanted.size() == 1 && addresses_.configured_.size() == 2)
        wanted.push_back(other_family(wanted[0]));
    }
    set_texts(spec(), "ipFamilies", wanted, alloc_);
    return Status::OK();
  }

  Status cluster_addresses() {
    std::vector<std::string> addresses = list("clusterIPs");
    if (!addresses.empty() && addresses[0] == kNone) return Status::OK();
    const std::vector<std::string> wanted = list("ipFamilies"), before = old_type() == "ExternalName"
                                                                             ? std::vector<std::string>()
                                                                             : old_list("clusterIPs");
    const std::vector<std::string> asked = addresses;
    addresses.resize(std::max(addresses.size(), wanted.size()));
    for (size_t i = 0; i < wanted.size(); ++i) {
      const bool kept = std::find(before.begin(), before.end(), addresses[i]) != before.end();
      if (!addresses[i].empty() && kept) continue;
      // An address that changes is refused by validation.
      if (i < before.size() && !addresses[i].empty()) continue;
      const std::vector<Prefix> networks = addresses_.networks(wanted[i]);
      if (addresses[i].empty()) {
        KNARR_ASSIGN(addresses[i], next_address(networks));
      } else {
        KNARR_RETURN_IF_ERROR(claim_address(networks, addresses[i], asked));
      }
    }
    set_texts(spec(), "clusterIPs", addresses, alloc_);
    json::set(spec(), "clusterIP", addresses[0], alloc_);
    return Status::OK();
  }

  Status claim_address(const std::vector<Prefix>& networks, const std::string& address, const std::vector<std::string>& asked) {
    const auto parsed = Prefix::parse_address(address);
    if (!parsed) return Status::OK();  // validation tells what is wrong with it
    const auto refused = [&](std::string_view why) {
      return invalid(cause_invalid("spec.clusterIPs", json_list(asked),
                                   fmt::format("failed to allocate IP {}: {}", address, why)));
    };
    const auto has = [&](const Prefix& network) {
      const uint64_t at = network.contains(*parsed) ? network.offset_of(*parsed) : 0;
      return at >= network.first_host() && at <= network.last_host();
    };
    const bool there = std::any_of(networks.begin(), networks.end(), has);
    if (!there && dry_run_ && !networks.empty())
      return refused(fmt::format("the provided IP ({}) is not in the valid range. The range of valid IPs is {}", address,
                                 networks.front().to_string()));
    if (!there) return refused("the provided network does not match the current range");
    if (dry_run_) return Status::OK();
    if (!addresses_.take_address(address, reservation_)) return refused("provided IP is already allocated");
    return Status::OK();
  }

  // A free one among `count`, beginning anywhere.
  bool take_any(const Prefix& network, uint64_t first, uint64_t count, std::string& out) {
    if (count == 0) return false;
    const uint64_t start = random_number() % count;
    for (uint64_t i = 0; i < std::min(count, kMostLooks); ++i) {
      out = network.at(first + (start + i) % count);
      if (addresses_.take_address(out, reservation_)) return true;
    }
    return false;
  }

  // Any free one of the first network that has one; in it first of the upper part: the lower is for addresses that people choose.
  Result<std::string> next_address(const std::vector<Prefix>& networks) {
    std::string address;
    for (const Prefix& network : networks) {
      if (dry_run_) return network.at(0);  // none is given, as upstream does not
      const uint64_t size = network.size(), first = network.first_host(), last = network.last_host();
      if (last < first) continue;
      const uint64_t hosts = last - first + 1;
      const uint64_t lower = size <= kFewAddresses ? 0 : std::min(std::clamp<uint64_t>(size / 16, 16, 256), hosts);
      if (take_any(network, first + lower, hosts - lower, address) || take_any(network, first, lower, address)) return address;
    }
    return Status(
        500, reason::kInternalError,
        fmt::format("Internal error occurred: failed to allocate a serviceIP for Service \"{}\": range is full",
                    json::get_string(service_, {"metadata", "name"})));
  }

  Status node_ports() {
    Value* ports = json::find(spec(), "ports");
    if (!ports || !ports->IsArray()) return Status::OK();
    const Value& allocate = member(service_, {"spec", "allocateLoadBalancerNodePorts"});
    const bool wanted = type() == "NodePort" || !allocate.IsBool() || allocate.GetBool();
    std::set<int64_t> own;  // that the service has already
    const Value none;
    const Value& before = old_ ? member(*old_, {"spec", "ports"}) : none;
    if (before.IsArray()) {
      for (const Value& port : before.GetArray()) own.insert(json::get_int(port, "nodePort"));
    }
    std::map<int64_t, int64_t> by_port;  // ports of the same number and another protocol share their node port
    for (const Value& port : ports->GetArray()) {
      const int64_t number = json::get_int(port, "nodePort");
      if (number != 0) by_port.emplace(json::get_int(port, "port"), number);
    }
    std::set<std::pair<std::string_view, int64_t>> seen;
    size_t index = 0;
    for (Value& port : ports->GetArray()) {
      const size_t at = index++;
      int64_t number = json::get_int(port, "nodePort");
      if (number == 0) {
        if (!wanted) continue;
        const int64_t of_port = json::get_int(port, "port");
        const auto shared = by_port.find(of_port);
        if (!old_ && shared != by_port.end()) {
          number = shared->second;
        } else {
          KNARR_ASSIGN(number, next_port());
          own.insert(number);
        }
        if (!old_) by_port.emplace(of_port, number);
        json::set(port, "nodePort", Value(number), alloc_);
      }
      const std::string_view protocol = json::get_string(port, "protocol");
      if (old_ && !seen.emplace(protocol, number).second) return Status(500, "", fmt::format("duplicate nodePort: {{{} {}}}", protocol, number));
      if (own.contains(number)) continue;
      const auto refused = [&](std::string_view why) {
        return invalid(cause_invalid(fmt::format("spec.ports[{}].nodePort", at), std::to_string(number), why));
      };
      if (!dry_run_ && (number < kFirstPort || number > kLastPort))  // upstream's dry run does not look
        return refused(fmt::format("provided port is not in the valid range. The range of valid ports is {}-{}",
                                   kFirstPort, kLastPort));
      if (!addresses_.take(std::to_string(number), reservation_)) return refused("provided port is already allocated");
      own.insert(number);
    }
    return Status::OK();
  }

  Result<int64_t> next_port() {
    constexpr int kCount = kLastPort - kFirstPort + 1;
    const uint64_t start = random_number() % kCount;
    for (int i = 0; i < kCount; ++i) {
      const int64_t port = kFirstPort + static_cast<int64_t>((start + static_cast<uint64_t>(i)) % kCount);
      if (addresses_.take(std::to_string(port), reservation_)) return port;
    }
    return Status(500, reason::kInternalError, "Internal error occurred: failed to allocate a nodePort: range is full");
  }

  static bool needs_health_port(const Value& service) {
    return json::get_string(service, {"spec", "type"}) == "LoadBalancer" &&
           json::get_string(service, {"spec", "externalTrafficPolicy"}) == "Local";
  }

  Status health_port() {
    if (!needs_health_port(service_) || (old_ && needs_health_port(*old_))) return Status::OK();
    const int64_t port = number("healthCheckNodePort");
    if (port == 0) {
      KNARR_ASSIGN(const int64_t next, next_port());
      json::set(spec(), "healthCheckNodePort", Value(next), alloc_);
      return Status::OK();
    }
    if (dry_run_ || addresses_.take(std::to_string(port), reservation_)) return Status::OK();
    return Status(
        500, reason::kInternalError,
        fmt::format(
            "Internal error occurred: failed to allocate requested HealthCheck NodePort {}: provided port is already "
            "allocated",
            port));
  }

  int64_t number(std::string_view key) const { return json::get_int(member(service_, {"spec"}), key); }
  bool has_selector() const {
    const Value& selector = member(service_, {"spec", "selector"});
    return selector.IsObject() && !selector.ObjectEmpty();
  }
  static std::string quoted(std::string_view text) {
    std::string out;
    json::append_quoted(out, text);
    return out;
  }
};

Result<ServiceAddresses::Reservation> ServiceAddresses::allocate(Value& service, const Value* old, bool dry_run,
                                                                 Allocator& alloc) {
  if (configured_.empty()) return Reservation();
  return Allocation(*this, service, old, dry_run, alloc).run();
}

}  // namespace knarr::apiserver
