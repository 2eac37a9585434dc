// Netlink: messages of our own encoding, the socket that sends them, and the few things of rtnetlink that a pod network
// needs. No `ip` process. IPv4 addresses are numbers in host byte order. A socket belongs to the network namespace that
// it was opened in, wherever the thread that uses it is; one thread uses it at a time. Source: linux/netlink.h,
// linux/rtnetlink.h, linux/if_link.h (rtnetlink(7)).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

struct nlmsghdr;

namespace knarr::linux {

// One message: header, a fixed struct, attributes (nested by begin/end). Everything is padded to four bytes as the
// kernel wants.
class NetlinkMessage {
 public:
  // `what` stands in errors: "create veth kv12ab".
  NetlinkMessage(uint16_t type, uint16_t flags, std::string what);

  template <typename T>
  NetlinkMessage& fixed(const T& value) {
    append(&value, sizeof value);
    return *this;
  }
  NetlinkMessage& attribute(uint16_t type, const void* data, size_t size);
  NetlinkMessage& text(uint16_t type, std::string_view value);  // with its terminating zero
  NetlinkMessage& u8(uint16_t type, uint8_t value) { return attribute(type, &value, sizeof value); }
  NetlinkMessage& u32(uint16_t type, uint32_t value) { return attribute(type, &value, sizeof value); }
  NetlinkMessage& be32(uint16_t type, uint32_t value);  // in network byte order
  NetlinkMessage& be64(uint16_t type, uint64_t value);
  NetlinkMessage& flag(uint16_t type) { return attribute(type, nullptr, 0); }
  size_t begin(uint16_t type);  // the token for end()
  NetlinkMessage& end(size_t token);

  const std::string& what() const { return what_; }
  uint16_t flags() const;
  std::string_view bytes() const { return bytes_; }
  void set_sequence(uint32_t sequence);

 private:
  void append(const void* data, size_t size);

  std::string bytes_;
  std::string what_;
};

// The attributes in a piece of a message that was read. Absent: an empty view with a null pointer.
class NetlinkAttributes {
 public:
  NetlinkAttributes(const void* data, size_t size);  // stops at the first malformed one
  std::optional<std::string_view> find(uint16_t type) const;
  std::optional<uint32_t> u32(uint16_t type) const;
  std::optional<uint32_t> be32(uint16_t type) const;
  std::string text(uint16_t type) const;  // "" when absent

 private:
  std::vector<std::pair<uint16_t, std::string_view>> attributes_;
};

class NetlinkSocket {
 public:
  static Result<NetlinkSocket> open(int protocol);
  // In another network namespace.
  static Result<NetlinkSocket> open_in(int protocol, int netns_fd);

  // Sends all messages at once and waits for the kernel's word on each that carries NLM_F_ACK. Error: of the first that
  // was refused, with its `what` and the kernel's own explanation where it gave one.
  Status transact(std::span<NetlinkMessage> messages);
  Status transact(NetlinkMessage message) { return transact(std::span(&message, 1)); }
  // Sends one dump or get request; `each` sees every message of the answer.
  Status query(NetlinkMessage message, const std::function<void(const nlmsghdr&)>& each);

 private:
  explicit NetlinkSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  Status send(std::string& bytes, std::string_view what);
  Status receive(std::string& buffer, std::string_view what);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

// ---- rtnetlink ----

struct Link {
  int index = 0;
  std::string name, kind;  // kind: bridge, veth, "" for what is hardware
  std::string mac;         // 0a:58:0a:2a:00:07
  int mtu = 0;
  int master = 0;
  bool up = false;
};

struct LinkAddress {
  int link = 0;
  uint32_t address = 0;
  int prefix = 0;
};

struct Route {  // of the main table
  uint32_t destination = 0;
  int prefix = 0;  // 0: default
  std::optional<uint32_t> gateway, source;
  int link = 0;
  uint32_t metric = 0;
};

struct VethSpec {
  std::string host_name, peer_name;
  std::string host_mac, peer_mac;  // "": the kernel's choice
  int mtu = 1500;
  int master = 0;          // the link that the host end becomes a port of
  int peer_netns_fd = -1;  // where the other end is born
};

// Requests of rtnetlink; each is one round trip.
class RouteSocket {
 public:
  static Result<RouteSocket> open();
  static Result<RouteSocket> open_in(int netns_fd);

  Result<std::vector<Link>> links();
  Result<std::optional<Link>> find_link(const std::string& name);
  Result<std::vector<LinkAddress>> addresses();
  Result<std::vector<Route>> routes();

  Status add_bridge(const std::string& name, const std::string& mac, int mtu);
  Status add_veth(const VethSpec& spec);  // the host end up; the kernel refuses a peer that is born up
  Status set_hairpin(int port);           // a bridge's port sends frames back where they came from
  Status set_mtu(int link, int mtu);
  Status set_up(int link);
  Status add_address(int link, uint32_t address, int prefix);
  Status delete_address(int link, uint32_t address, int prefix);
  Status delete_link(int link);  // OK when it is gone
  // All of a fresh namespace at once: lo up, the address on `link`, the default route.
  Status configure_pod(int link, uint32_t address, int prefix, uint32_t gateway);

 private:
  explicit RouteSocket(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace knarr::linux
