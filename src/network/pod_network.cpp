#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/linux/namespace.h"
#include "knarr/linux/netlink.h"
#include "knarr/linux/nft.h"
#include "knarr/linux/tree.h"
#include "knarr/network/network.h"
#include "network/address_pool.h"
#include "network/cidr.h"

namespace knarr::network {

namespace {

constexpr int kDefaultMtu = 1500;
constexpr size_t kLinkName = 15;  // IFNAMSIZ without its zero

uint64_t hash_of(std::string_view text) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

// A longer instance name is cut and told apart by its hash.
std::string bridge_name(const std::string& instance) {
  std::string name = "kn-" + instance;
  if (name.size() <= kLinkName) return name;
  return fmt::format("kn-{}{:08x}", instance.substr(0, 4), static_cast<uint32_t>(hash_of(instance)));
}

// The same address has the same MAC on every node and after each restart: neighbours' caches stay true.
std::string mac_of(uint32_t address) {
  return fmt::format("0a:58:{:02x}:{:02x}:{:02x}:{:02x}", address >> 24, address >> 16 & 255, address >> 8 & 255,
                     address & 255);
}

std::string table_name(const std::string& instance) { return "knarr-" + instance; }

// Deletes the pods' links of a bridge but those that are to be kept, by name.
Status delete_ports(linux::RouteSocket& kernel, int bridge, const std::function<bool(const std::string&)>& keep) {
  KNARR_ASSIGN(const auto links, kernel.links());
  for (const auto& link : links) {
    if (link.master == bridge && link.kind == "veth" && !keep(link.name)) {
      KNARR_RETURN_IF_ERROR(kernel.delete_link(link.index));
    }
  }
  return {};
}

bool valid_instance(const std::string& name) {
  return !name.empty() && name.size() <= 63 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return isalnum(c) || c == '-'; });
}

// Error when it could not be set. A value that is there already is not written: it may be read-only.
Status set_sysctl(const std::string& name, const std::string& value) {
  const std::string path = "/proc/sys/" + name;
  auto current = linux::read_file(path, 4096);
  if (current.ok() && current->substr(0, current->find('\n')) == value) return {};
  linux::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("set {} to {}", path, value));
  return linux::write_all(fd.get(), value, path);
}

class KernelPodNetwork : public PodNetwork {
 public:
  KernelPodNetwork(Options options, Cidr pods, Cidr cluster, AddressPool pool)
      : options_(std::move(options)),
        pods_(pods),
        cluster_(cluster),
        bridge_name_(bridge_name(options_.instance)),
        table_(table_name(options_.instance)),
        pool_(std::move(pool)) {}

  Status set_up() {
    KNARR_ASSIGN(linux::RouteSocket kernel, linux::RouteSocket::open());
    KNARR_RETURN_IF_ERROR(set_up_bridge(kernel));
    KNARR_RETURN_IF_ERROR(set_up_rules());
    Status forwarding = set_sysctl("net/ipv4/ip_forward", "1");
    if (!forwarding.ok())
      log::warn("network", "pods cannot reach the outside: forwarding is off and cannot be turned on",
                {{"error", forwarding}});
    return {};
  }

  Result<PodAddress> attach(const std::string& pod_id, const std::string& netns_path) override {
    KNARR_ASSIGN(linux::UniqueFd netns, linux::open_namespace(netns_path));
    bool known = false;
    uint32_t address = 0;
    {
      Lock lock(mutex_);
      known = pool_.find(pod_id).has_value();
      KNARR_ASSIGN(address, pool_.assign(pod_id));
    }
    Status status = plug(pod_id, address, netns.get());
    if (!status.ok()) {
      if (!known) {
        Lock lock(mutex_);
        (void)pool_.release(pod_id);
      }
      return status.with_context(fmt::format("connect pod {} to the pod network", pod_id));
    }
    return describe(address);
  }

  Status detach(const std::string& pod_id) override {
    KNARR_ASSIGN(linux::RouteSocket kernel, linux::RouteSocket::open());
    KNARR_RETURN_IF_ERROR(unplug(kernel, pod_id));
    Lock lock(mutex_);
    return pool_.release(pod_id);
  }

  std::vector<std::pair<std::string, PodAddress>> list() override {
    Lock lock(mutex_);
    std::vector<std::pair<std::string, PodAddress>> all;
    for (const auto& [pod, address] : pool_.all()) all.emplace_back(pod, describe(address));
    return all;
  }

  Status keep_only(const std::vector<std::string>& pods) override {
    const std::set<std::string> kept(pods.begin(), pods.end());
    for (const auto& [pod, address] : list()) {
      if (!kept.contains(pod)) KNARR_RETURN_IF_ERROR(detach(pod));
    }
    KNARR_ASSIGN(linux::RouteSocket kernel, linux::RouteSocket::open());
    // Asked when the links are listed: a pod has its address before its link, so one that is just being plugged in is
    // known.
    return delete_ports(kernel, bridge_index_, [this](const std::string& name) {
      Lock lock(mutex_);
      const auto& all = pool_.all();
      return std::any_of(all.begin(), all.end(), [&](const auto& pod) { return port_name(pod.first) == name; });
    });
  }

  Status remove() override {
    {
      Lock lock(mutex_);
      const std::map<std::string, uint32_t> all = pool_.all();
      for (const auto& [pod, address] : all) KNARR_RETURN_IF_ERROR(pool_.release(pod));
    }
    return remove_instance(options_.instance, options_.state_directory);
  }

 private:
  std::string port_name(const std::string& pod_id) const {
    return fmt::format("kv{:012x}", hash_of(options_.instance + "/" + pod_id) & 0xffffffffffff);
  }

  PodAddress describe(uint32_t address) const {
    return {format_address(address), pods_.prefix, format_address(pods_.gateway()), mac_of(address)};
  }

  Status check_overlap(const std::vector<linux::Link>& links, const std::vector<linux::LinkAddress>& addresses) const {
    for (const auto& taken : addresses) {
      const auto link = std::find_if(links.begin(), links.end(), [&](const auto& l) { return l.index == taken.link; });
      const std::string name = link == links.end() ? std::to_string(taken.link) : link->name;
      if (name == bridge_name_ || !pods_.overlaps(Cidr::around(taken.address, taken.prefix))) continue;
      return Status(409, reason::kConflict,
                    fmt::format("the pod network {} overlaps {}/{} of link {}: choose another one (--cluster-cidr)",
                                pods_.to_string(), format_address(taken.address), taken.prefix, name));
    }
    return {};
  }

  Status set_up_bridge(linux::RouteSocket& kernel) {
    KNARR_ASSIGN(const auto links, kernel.links());
    KNARR_ASSIGN(const auto addresses, kernel.addresses());
    KNARR_RETURN_IF_ERROR(check_overlap(links, addresses));
    if (options_.mtu == 0) {
      KNARR_ASSIGN(options_.mtu, default_route_mtu(kernel, links));
    }
    KNARR_ASSIGN(auto bridge, kernel.find_link(bridge_name_));
    if (bridge && bridge->kind != "bridge") {
      return Status(
          409, reason::kConflict,
          fmt::format("link {} exists and is no bridge: remove it, or choose another node name", bridge_name_));
    }
    if (!bridge) {
      KNARR_RETURN_IF_ERROR(kernel.add_bridge(bridge_name_, mac_of(pods_.gateway()), options_.mtu));
      KNARR_ASSIGN(bridge, kernel.find_link(bridge_name_));
      if (!bridge) return internal_error(fmt::format("bridge {} vanished while it was set up", bridge_name_));
    }
    bool addressed = false;
    for (const auto& address : addresses) {
      if (address.link != bridge->index) continue;
      if (address.address == pods_.gateway() && address.prefix == pods_.prefix) {
        addressed = true;
      } else {  // of an earlier run with another network
        KNARR_RETURN_IF_ERROR(kernel.delete_address(address.link, address.address, address.prefix));
      }
    }
    if (!addressed) KNARR_RETURN_IF_ERROR(kernel.add_address(bridge->index, pods_.gateway(), pods_.prefix));
    if (bridge->mtu != options_.mtu) KNARR_RETURN_IF_ERROR(kernel.set_mtu(bridge->index, options_.mtu));
    if (!bridge->up) KNARR_RETURN_IF_ERROR(kernel.set_up(bridge->index));
    bridge_index_ = bridge->index;
    return {};
  }

  static Result<int> default_route_mtu(linux::RouteSocket& kernel, const std::vector<linux::Link>& links) {
    KNARR_ASSIGN(const auto routes, kernel.routes());
    const linux::Route* best = nullptr;
    for (const auto& route : routes) {
      if (route.prefix == 0 && (best == nullptr || route.metric < best->metric)) best = &route;
    }
    for (const auto& link : links) {
      if (best != nullptr && link.index == best->link && link.mtu > 0) return link.mtu;
    }
    return kDefaultMtu;
  }

  Status set_up_rules() const {
    linux::NftBatch batch(linux::NftFamily::kInet, table_);
    batch.replace_table();
    batch.add_chain({.name = "forward", .type = "filter", .hook = linux::NftHook::kForward, .priority = 0});
    batch.add_rule("forward", linux::NftRule().match_input_link(bridge_name_).accept());
    batch.add_rule("forward", linux::NftRule().match_output_link(bridge_name_).accept());
    // Pods go out under the node's address; among themselves, on whatever node, under their own.
    batch.add_chain({.name = "postrouting", .type = "nat", .hook = linux::NftHook::kPostrouting, .priority = 100});
    batch.add_rule("postrouting", linux::NftRule()
                                      .match_ipv4()
                                      .match_source(pods_.base, pods_.prefix)
                                      .match_destination(cluster_.base, cluster_.prefix, false)
                                      .match_output_link(bridge_name_, false)
                                      .masquerade());
    return batch.commit();
  }

  Status plug(const std::string& pod_id, uint32_t address, int netns) {
    KNARR_ASSIGN(linux::RouteSocket kernel, linux::RouteSocket::open());
    KNARR_ASSIGN(linux::RouteSocket pod, linux::RouteSocket::open_in(netns));
    const std::string port = port_name(pod_id);
    KNARR_ASSIGN(const auto old_port, kernel.find_link(port));
    if (old_port) {
      KNARR_ASSIGN(const bool complete, is_plugged(*old_port, pod, address));
      if (complete) return {};
      KNARR_RETURN_IF_ERROR(kernel.delete_link(old_port->index));  // of a namespace that this pod no longer has
    }
    KNARR_RETURN_IF_ERROR(kernel.add_veth({.host_name = port,
                                           .peer_name = "eth0",
                                           .peer_mac = mac_of(address),
                                           .mtu = options_.mtu,
                                           .master = bridge_index_,
                                           .peer_netns_fd = netns}));
    Status status = configure(kernel, pod, port, address);
    if (!status.ok()) (void)unplug(kernel, pod_id);
    return status;
  }

  Result<bool> is_plugged(const linux::Link& port, linux::RouteSocket& pod, uint32_t address) const {
    if (port.master != bridge_index_) return false;
    KNARR_ASSIGN(const auto eth0, pod.find_link("eth0"));
    KNARR_ASSIGN(const auto addresses, pod.addresses());
    return eth0 && std::any_of(addresses.begin(), addresses.end(),
                               [&](const auto& a) { return a.link == eth0->index && a.address == address; });
  }

  Status configure(linux::RouteSocket& kernel, linux::RouteSocket& pod, const std::string& port_name,
                   uint32_t address) const {
    KNARR_ASSIGN(const auto port, kernel.find_link(port_name));
    KNARR_ASSIGN(const auto eth0, pod.find_link("eth0"));
    if (!port || !eth0) return internal_error("the pod's link vanished while it was set up");
    KNARR_RETURN_IF_ERROR(kernel.set_hairpin(port->index));  // a pod reaches itself through a service
    return pod.configure_pod(eth0->index, address, pods_.prefix, pods_.gateway());
  }

  Status unplug(linux::RouteSocket& kernel, const std::string& pod_id) const {
    KNARR_ASSIGN(const auto port, kernel.find_link(port_name(pod_id)));
    return port ? kernel.delete_link(port->index) : Status::OK();
  }

  // Constant after set_up().
  Options options_;
  const Cidr pods_, cluster_;
  const std::string bridge_name_, table_;
  int bridge_index_ = 0;

  Mutex mutex_;
  AddressPool pool_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<PodNetwork>> PodNetwork::open(Options options) {
  if (!valid_instance(options.instance)) {
    return bad_request(
        fmt::format("\"{}\" cannot be an instance's name: want letters, digits and -", options.instance));
  }
  KNARR_ASSIGN(const Cidr pods, Cidr::parse(options.pod_cidr));
  KNARR_ASSIGN(const Cidr cluster, Cidr::parse(options.cluster_cidr.empty() ? options.pod_cidr : options.cluster_cidr));
  if (pods.prefix > 29 || pods.prefix < 8)
    return bad_request(fmt::format("the pod network {} must have a prefix of 8 to 29", options.pod_cidr));
  KNARR_ASSIGN(AddressPool pool, AddressPool::open(options.state_directory, pods));
  auto network = std::make_unique<KernelPodNetwork>(std::move(options), pods, cluster, std::move(pool));
  KNARR_RETURN_IF_ERROR(network->set_up());
  return std::unique_ptr<PodNetwork>(std::move(network));
}

Status remove_instance(const std::string& instance, const std::string& state_directory) {
  KNARR_ASSIGN(linux::RouteSocket kernel, linux::RouteSocket::open());
  KNARR_ASSIGN(const auto bridge, kernel.find_link(bridge_name(instance)));
  if (bridge) {
    KNARR_RETURN_IF_ERROR(delete_ports(kernel, bridge->index, [](const std::string&) { return false; }));
    KNARR_RETURN_IF_ERROR(kernel.delete_link(bridge->index));
  }
  linux::NftBatch batch(linux::NftFamily::kInet, table_name(instance));
  batch.delete_table();
  KNARR_RETURN_IF_ERROR(batch.commit());
  return linux::remove_tree(state_directory);
}

Result<std::string> first_free_cidr(const std::vector<std::string>& candidates) {
  KNARR_ASSIGN(linux::RouteSocket kernel, linux::RouteSocket::open());
  KNARR_ASSIGN(const auto addresses, kernel.addresses());
  KNARR_ASSIGN(const auto routes, kernel.routes());
  std::vector<Cidr> taken;
  for (const auto& address : addresses) taken.push_back(Cidr::around(address.address, address.prefix));
  for (const auto& route : routes) {
    if (route.prefix != 0) taken.push_back(Cidr::around(route.destination, route.prefix));
  }
  for (const std::string& candidate : candidates) {
    KNARR_ASSIGN(const Cidr cidr, Cidr::parse(candidate));
    if (std::none_of(taken.begin(), taken.end(), [&](const Cidr& other) { return cidr.overlaps(other); }))
      return candidate;
  }
  return unavailable(fmt::format("every one of {} is in use on this machine: name a free network (--cluster-cidr)",
                                 fmt::join(candidates, ", ")));
}

std::string primary_address() {
  const std::string kNone(kNoAddress);
  auto kernel = linux::RouteSocket::open();
  if (!kernel.ok()) return kNone;
  auto routes = kernel->routes();
  auto addresses = kernel->addresses();
  if (!routes.ok() || !addresses.ok()) return kNone;
  const linux::Route* best = nullptr;
  for (const auto& route : *routes) {
    if (route.prefix == 0 && (best == nullptr || route.metric < best->metric)) best = &route;
  }
  if (best == nullptr) return kNone;
  if (best->source) return format_address(*best->source);
  for (const auto& address : *addresses) {  // in the order they were given: the first is the primary
    if (address.link == best->link) return format_address(address.address);
  }
  return kNone;
}

}  // namespace knarr::network
