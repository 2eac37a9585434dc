#include "knarr/linux/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "knarr/linux/namespace.h"
#include "knarr/linux/nft.h"

using namespace knarr;
using namespace knarr::linux;

namespace {

nlmsghdr header_of(const NetlinkMessage& message) {
  nlmsghdr header;
  memcpy(&header, message.bytes().data(), sizeof header);
  return header;
}

}  // namespace

TEST_CASE("a netlink message keeps its length, and pads what it carries") {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, "test");
  CHECK(header_of(message).nlmsg_len == 16);
  CHECK(header_of(message).nlmsg_flags == (NLM_F_REQUEST | NLM_F_ACK));
  message.text(3, "abcd");  // 4 + 5, padded to 12
  CHECK(header_of(message).nlmsg_len == 28);
  message.u8(4, 7);
  CHECK(header_of(message).nlmsg_len == 36);
  message.set_sequence(9);
  CHECK(header_of(message).nlmsg_seq == 9);
  CHECK(message.bytes().size() == 36);

  NetlinkAttributes attributes(message.bytes().data() + 16, message.bytes().size() - 16);
  CHECK(attributes.text(3) == "abcd");
  REQUIRE(attributes.find(4));
  CHECK(attributes.find(4)->size() == 1);
  CHECK(!attributes.find(5));
  CHECK(!attributes.u32(4));  // too short
}

TEST_CASE("nested attributes hold what stands between begin and end") {
  NetlinkMessage message(0, 0, "test");
  const size_t outer = message.begin(1);
  const size_t inner = message.begin(2);
  message.be32(3, 0x0a2a0007).end(inner).be64(4, 0x0102030405060708).end(outer);
  NetlinkAttributes top(message.bytes().data() + 16, message.bytes().size() - 16);
  auto first = top.find(1);
  REQUIRE(first);
  NetlinkAttributes second(first->data(), first->size());
  CHECK(second.find(4) == std::string_view("\1\2\3\4\5\6\7\10"));
  auto third = second.find(2);
  REQUIRE(third);
  CHECK(NetlinkAttributes(third->data(), third->size()).be32(3) == 0x0a2a0007);
}

TEST_CASE("malformed attributes end the reading and nothing else") {
  const std::string_view bad[] = {
      {"\x03\0\1\0", 4},             // shorter than its own header
      {"\xff\0\1\0abcd", 8},         // longer than what is there
      {"\x08\0\1", 3},               // cut off
      {"\x05\0\1\0a\0\0\0\x09", 9},  // a good one, then a stump
  };
  for (const auto bytes : bad) {
    NetlinkAttributes attributes(bytes.data(), bytes.size());
    CHECK(!attributes.find(2));
  }
}

TEST_CASE("links, addresses and routes in a namespace of their own", "[root][net]") {
  auto netns = make_network_namespace();
  auto other = make_network_namespace();
  REQUIRE((netns.ok() && other.ok()));
  auto opened = RouteSocket::open_in(netns->get());
  REQUIRE(opened.ok());
  RouteSocket& kernel = *opened;

  REQUIRE(kernel.add_bridge("br0", "0a:58:0a:63:00:01", 1400).ok());
  auto bridge = kernel.find_link("br0");
  REQUIRE((bridge.ok() && *bridge));
  CHECK((*bridge)->kind == "bridge");
  CHECK((*bridge)->mac == "0a:58:0a:63:00:01");
  CHECK((*bridge)->mtu == 1400);
  CHECK((*bridge)->up);
  const int index = (*bridge)->index;

  REQUIRE(kernel.add_address(index, 0x0a630001, 24).ok());
  CHECK(kernel.add_address(index, 0x0a630001, 24).is(reason::kAlreadyExists));
  auto addresses = kernel.addresses();
  REQUIRE((addresses.ok() && addresses->size() == 1));
  CHECK(addresses->front().address == 0x0a630001);
  CHECK(addresses->front().prefix == 24);
  auto routes = kernel.routes();
  REQUIRE((routes.ok() && routes->size() == 1));
  CHECK(routes->front().destination == 0x0a630000);

  REQUIRE(kernel
              .add_veth({.host_name = "host0",
                         .peer_name = "eth0",
                         .peer_mac = "0a:58:0a:63:00:02",
                         .mtu = 1400,
                         .master = index,
                         .peer_netns_fd = other->get()})
              .ok());
  auto port = kernel.find_link("host0");
  REQUIRE((port.ok() && *port));
  CHECK((*port)->master == index);
  CHECK((*port)->kind == "veth");
  CHECK(kernel.set_hairpin((*port)->index).ok());

  auto pod = RouteSocket::open_in(other->get());
  REQUIRE(pod.ok());
  auto eth0 = pod->find_link("eth0");
  REQUIRE((eth0.ok() && *eth0));
  CHECK((*eth0)->mac == "0a:58:0a:63:00:02");
  REQUIRE(pod->configure_pod((*eth0)->index, 0x0a630002, 24, 0x0a630001).ok());
  auto pod_routes = pod->routes();
  REQUIRE(pod_routes.ok());
  REQUIRE(pod_routes->size() == 2);
  CHECK(pod_routes->front().gateway == 0x0a630001);

  REQUIRE(kernel.delete_link((*port)->index).ok());
  CHECK(kernel.delete_link((*port)->index).ok());
  auto gone = kernel.find_link("host0");
  REQUIRE(gone.ok());
  CHECK(!*gone);
}

TEST_CASE("the kernel's refusals say what was tried", "[root][net]") {
  auto netns = make_network_namespace();
  REQUIRE(netns.ok());
  auto kernel = RouteSocket::open_in(netns->get());
  REQUIRE(kernel.ok());
  REQUIRE(kernel->add_bridge("br0", "", 1500).ok());
  Status status = kernel->add_bridge("br0", "", 1500);
  CHECK(status.is(reason::kAlreadyExists));
  CHECK(status.message().find("create bridge br0") != std::string::npos);
  CHECK(kernel->add_bridge("a-name-that-is-too-long", "", 1500).is(reason::kBadRequest));
  CHECK(kernel->add_bridge("br1", "no-mac", 1500).is(reason::kBadRequest));
  CHECK(!kernel->add_veth({.host_name = "a", .peer_name = "b", .master = 4711}).ok());
}

TEST_CASE("an nftables batch is taken as a whole or not at all", "[root][net]") {
  auto netns = make_network_namespace();
  REQUIRE(netns.ok());
  Status done = in_network_namespace(netns->get(), []() -> Status {
    NftBatch good(NftFamily::kInet, "knarr-test");
    good.replace_table();
    good.add_chain({.name = "forward", .type = "filter", .hook = NftHook::kForward, .priority = 0});
    good.add_rule("forward", NftRule().match_ipv4().match_source(0x0a630000, 16).counter().drop());
    KNARR_RETURN_IF_ERROR(good.commit());

    NftBatch bad(NftFamily::kInet, "knarr-test");
    bad.delete_table();
    bad.add_rule("no-such-chain", NftRule().accept());
    Status refused = bad.commit();
    CHECK(!refused.ok());
    CHECK(refused.message().find("no-such-chain") != std::string::npos);

    NftBatch remove(NftFamily::kInet, "knarr-test");
    remove.delete_table();
    KNARR_RETURN_IF_ERROR(remove.commit());
    NftBatch again(NftFamily::kInet, "knarr-test");
    again.delete_table();
    return again.commit();
  });
  INFO(done.to_string());
  CHECK(done.ok());
}
