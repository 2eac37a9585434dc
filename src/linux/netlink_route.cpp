// rtnetlink: links, addresses and routes.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "knarr/linux/netlink.h"

namespace knarr::linux {

namespace {

constexpr uint16_t kCreate = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

std::string dotted(uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

ifinfomsg link_header(int index = 0, unsigned flags = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  return header;
}

Status add_mac(NetlinkMessage& message, const std::string& mac) {
  if (mac.empty()) return {};
  std::array<unsigned, 6> octets{};
  char rest;
  if (sscanf(mac.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", &octets[0], &octets[1], &octets[2], &octets[3], &octets[4],
             &octets[5], &rest) != 6) {
    return bad_request(fmt::format("{}: \"{}\" is no MAC address", message.what(), mac));
  }
  std::array<uint8_t, 6> bytes;
  std::copy(octets.begin(), octets.end(), bytes.begin());
  message.attribute(IFLA_ADDRESS, bytes.data(), bytes.size());
  return {};
}

Status check_name(const std::string& name) {
  if (!name.empty() && name.size() < IFNAMSIZ) return {};
  return bad_request(fmt::format("\"{}\" cannot be a link's name: want 1 to {} characters", name, IFNAMSIZ - 1));
}

std::string format_mac(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{}{:02x}", text.empty() ? "" : ":", static_cast<uint8_t>(byte));
  return text;
}

// The payload of a message behind its fixed struct T, as attributes. Null when it is too short.
template <typename T>
const T* fixed_part(const nlmsghdr& header) {
  return header.nlmsg_len >= NLMSG_LENGTH(sizeof(T)) ? static_cast<const T*>(NLMSG_DATA(&header)) : nullptr;
}
template <typename T>
NetlinkAttributes attributes_behind(const nlmsghdr& header) {
  return {static_cast<const char*>(NLMSG_DATA(&header)) + NLMSG_ALIGN(sizeof(T)),
          header.nlmsg_len - NLMSG_SPACE(sizeof(T))};
}

std::optional<Link> parse_link(const nlmsghdr& header) {
  const auto* info = fixed_part<ifinfomsg>(header);
  if (header.nlmsg_type != RTM_NEWLINK || info == nullptr) return {};
  const auto attributes = attributes_behind<ifinfomsg>(header);
  Link link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.name = attributes.text(IFLA_IFNAME);
  link.mtu = static_cast<int>(attributes.u32(IFLA_MTU).value_or(0));
  link.master = static_cast<int>(attributes.u32(IFLA_MASTER).value_or(0));
  if (auto mac = attributes.find(IFLA_ADDRESS)) link.mac = format_mac(*mac);
  if (auto info_data = attributes.find(IFLA_LINKINFO)) {
    link.kind = NetlinkAttributes(info_data->data(), info_data->size()).text(IFLA_INFO_KIND);
  }
  return link;
}

NetlinkMessage address_message(uint16_t type, uint16_t flags, int link, uint32_t address, int prefix) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = static_cast<uint8_t>(prefix);
  header.ifa_index = static_cast<unsigned>(link);
  NetlinkMessage message(
      type, flags, fmt::format("{} address {}/{}", type == RTM_NEWADDR ? "add" : "delete", dotted(address), prefix));
  message.fixed(header).be32(IFA_LOCAL, address).be32(IFA_ADDRESS, address);
  return message;
}

NetlinkMessage up_message(int link) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, fmt::format("set link {} up", link));
  message.fixed(link_header(link, IFF_UP, IFF_UP));
  return message;
}

}  // namespace

Result<RouteSocket> RouteSocket::open() {
  KNARR_ASSIGN(NetlinkSocket socket, NetlinkSocket::open(NETLINK_ROUTE));
  return RouteSocket(std::move(socket));
}

Result<RouteSocket> RouteSocket::open_in(int netns_fd) {
  KNARR_ASSIGN(NetlinkSocket socket, NetlinkSocket::open_in(NETLINK_ROUTE, netns_fd));
  return RouteSocket(std::move(socket));
}

Result<std::vector<Link>> RouteSocket::links() {
  NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP, "list links");
  message.fixed(link_header());
  std::vector<Link> links;
  KNARR_RETURN_IF_ERROR(socket_.query(std::move(message), [&](const nlmsghdr& header) {
    if (auto link = parse_link(header)) links.push_back(std::move(*link));
  }));
  return links;
}

Result<std::optional<Link>> RouteSocket::find_link(const std::string& name) {
  KNARR_RETURN_IF_ERROR(check_name(name));
  NetlinkMessage message(RTM_GETLINK, 0, fmt::format("look up link {}", name));
  message.fixed(link_header()).text(IFLA_IFNAME, name);
  std::optional<Link> found;
  Status status = socket_.query(std::move(message), [&](const nlmsghdr& header) { found = parse_link(header); });
  if (status.ok() || status.is(reason::kNotFound)) return found;
  return status;
}

Result<std::vector<LinkAddress>> RouteSocket::addresses() {
  NetlinkMessage message(RTM_GETADDR, NLM_F_DUMP, "list addresses");
  ifaddrmsg request{};
  request.ifa_family = AF_INET;
  message.fixed(request);
  std::vector<LinkAddress> addresses;
  KNARR_RETURN_IF_ERROR(socket_.query(std::move(message), [&](const nlmsghdr& header) {
    const auto* info = fixed_part<ifaddrmsg>(header);
    if (header.nlmsg_type != RTM_NEWADDR || info == nullptr || info->ifa_family != AF_INET) return;
    if (auto address = attributes_behind<ifaddrmsg>(header).be32(IFA_LOCAL)) {
      addresses.push_back({static_cast<int>(info->ifa_index), *address, info->ifa_prefixlen});
    }
  }));
  return addresses;
}

Result<std::vector<Route>> RouteSocket::routes() {
  NetlinkMessage message(RTM_GETROUTE, NLM_F_DUMP, "list routes");
  rtmsg request{};
  request.rtm_family = AF_INET;
  message.fixed(request);
  std::vector<Route> routes;
  KNARR_RETURN_IF_ERROR(socket_.query(std::move(message), [&](const nlmsghdr& header) {
    const auto* info = fixed_part<rtmsg>(header);
    if (header.nlmsg_type != RTM_NEWROUTE || info == nullptr || info->rtm_family != AF_INET) return;
    const auto attributes = attributes_behind<rtmsg>(header);
    if (attributes.u32(RTA_TABLE).value_or(info->rtm_table) != RT_TABLE_MAIN || info->rtm_type != RTN_UNICAST) return;
    Route route;
    route.destination = attributes.be32(RTA_DST).value_or(0);
    route.prefix = info->rtm_dst_len;
    route.gateway = attributes.be32(RTA_GATEWAY);
    route.source = attributes.be32(RTA_PREFSRC);
    route.link = static_cast<int>(attributes.u32(RTA_OIF).value_or(0));
    route.metric = attributes.u32(RTA_PRIORITY).value_or(0);
    routes.push_back(route);
  }));
  return routes;
}

Status RouteSocket::add_bridge(const std::string& name, const std::string& mac, int mtu) {
  KNARR_RETURN_IF_ERROR(check_name(name));
  NetlinkMessage message(RTM_NEWLINK, kCreate, fmt::format("create bridge {}", name));
  message.fixed(link_header(0, IFF_UP, IFF_UP)).text(IFLA_IFNAME, name).u32(IFLA_MTU, static_cast<uint32_t>(mtu));
  KNARR_RETURN_IF_ERROR(add_mac(message, mac));
  const size_t info = message.begin(IFLA_LINKINFO);
  message.text(IFLA_INFO_KIND, "bridge").end(info);
  return socket_.transact(std::move(message));
}

Status RouteSocket::add_veth(const VethSpec& spec) {
  KNARR_RETURN_IF_ERROR(check_name(spec.host_name));
  KNARR_RETURN_IF_ERROR(check_name(spec.peer_name));
  NetlinkMessage message(RTM_NEWLINK, kCreate, fmt::format("create veth {}", spec.host_name));
  const auto mtu = static_cast<uint32_t>(spec.mtu);
  message.fixed(link_header(0, IFF_UP, IFF_UP)).text(IFLA_IFNAME, spec.host_name).u32(IFLA_MTU, mtu);
  if (spec.master != 0) message.u32(IFLA_MASTER, static_cast<uint32_t>(spec.master));
  KNARR_RETURN_IF_ERROR(add_mac(message, spec.host_mac));
  const size_t info = message.begin(IFLA_LINKINFO);
  message.text(IFLA_INFO_KIND, "veth");
  const size_t data = message.begin(IFLA_INFO_DATA);
  const size_t peer = message.begin(VETH_INFO_PEER);
  message.fixed(link_header()).text(IFLA_IFNAME, spec.peer_name).u32(IFLA_MTU, mtu);
  KNARR_RETURN_IF_ERROR(add_mac(message, spec.peer_mac));
  if (spec.peer_netns_fd >= 0) message.u32(IFLA_NET_NS_FD, static_cast<uint32_t>(spec.peer_netns_fd));
  message.end(peer).end(data).end(info);
  return socket_.transact(std::move(message));
}

Status RouteSocket::set_hairpin(int port) {
  NetlinkMessage message(RTM_SETLINK, NLM_F_ACK, fmt::format("set hairpin mode of link {}", port));
  ifinfomsg header = link_header(port);
  header.ifi_family = AF_BRIDGE;
  message.fixed(header);
  const size_t info = message.begin(IFLA_PROTINFO);
  message.u8(IFLA_BRPORT_MODE, 1).end(info);
  return socket_.transact(std::move(message));
}

Status RouteSocket::set_mtu(int link, int mtu) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, fmt::format("set the MTU of link {} to {}", link, mtu));
  message.fixed(link_header(link)).u32(IFLA_MTU, static_cast<uint32_t>(mtu));
  return socket_.transact(std::move(message));
}

Status RouteSocket::set_up(int link) { return socket_.transact(up_message(link)); }

Status RouteSocket::add_address(int link, uint32_t address, int prefix) {
  return socket_.transact(address_message(RTM_NEWADDR, kCreate, link, address, prefix));
}

Status RouteSocket::delete_address(int link, uint32_t address, int prefix) {
  return socket_.transact(address_message(RTM_DELADDR, NLM_F_ACK, link, address, prefix));
}

Status RouteSocket::delete_link(int link) {
  NetlinkMessage message(RTM_DELLINK, NLM_F_ACK, fmt::format("delete link {}", link));
  message.fixed(link_header(link));
  Status status = socket_.transact(std::move(message));
  return status.is(reason::kNotFound) ? Status::OK() : status;
}

Status RouteSocket::configure_pod(int link, uint32_t address, int prefix, uint32_t gateway) {
  constexpr int kLoopback = 1;  // lo has index 1 in every namespace
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  NetlinkMessage default_route(RTM_NEWROUTE, kCreate, fmt::format("add the default route via {}", dotted(gateway)));
  default_route.fixed(route).be32(RTA_GATEWAY, gateway).u32(RTA_OIF, static_cast<uint32_t>(link));

  std::array<NetlinkMessage, 4> messages{up_message(kLoopback), up_message(link),
                                         address_message(RTM_NEWADDR, kCreate, link, address, prefix),
                                         std::move(default_route)};
  return socket_.transact(messages);
}

}  // namespace knarr::linux
