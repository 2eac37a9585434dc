#include "knarr/linux/nft.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>

#include <array>
#include <cstring>

namespace knarr::linux {

namespace {

nfgenmsg header_of(uint8_t family, uint16_t resource = 0) {
  nfgenmsg header{};
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
  header.res_id = htons(resource);
  return header;
}

NetlinkMessage batch_mark(uint16_t type) {
  NetlinkMessage message(type, 0, "nftables batch");
  message.fixed(header_of(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  return message;
}

// A message only as a writer of attributes; its header is left out in the end.
NetlinkMessage attributes() { return NetlinkMessage(0, 0, "nftables expression"); }

}  // namespace

NftRule& NftRule::add(std::string name, const NetlinkMessage& written) {
  expressions_.push_back({std::move(name), std::string(written.bytes().substr(NLMSG_HDRLEN))});
  return *this;
}

// cmp: what register 1 holds against a constant.
NftRule& NftRule::compare(bool equal, const void* data, size_t size) {
  auto cmp = attributes();
  cmp.be32(NFTA_CMP_SREG, NFT_REG_1).be32(NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
  const size_t value = cmp.begin(NFTA_CMP_DATA);
  cmp.attribute(NFTA_DATA_VALUE, data, size).end(value);
  return add("cmp", cmp);
}

NftRule& NftRule::match_ipv4() {
  auto meta = attributes();
  meta.be32(NFTA_META_DREG, NFT_REG_1).be32(NFTA_META_KEY, NFT_META_NFPROTO);
  add("meta", meta);
  const uint8_t ipv4 = NFPROTO_IPV4;
  return compare(true, &ipv4, sizeof ipv4);
}

NftRule& NftRule::match_address(uint32_t offset, uint32_t network, int prefix, bool equal) {
  const uint32_t mask = prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix);
  auto payload = attributes();
  payload.be32(NFTA_PAYLOAD_DREG, NFT_REG_1).be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  payload.be32(NFTA_PAYLOAD_OFFSET, offset).be32(NFTA_PAYLOAD_LEN, sizeof(uint32_t));
  add("payload", payload);
  if (prefix < 32) {
    const uint32_t mask_bytes = htonl(mask), xor_bytes = 0;
    auto bitwise = attributes();
    bitwise.be32(NFTA_BITWISE_SREG, NFT_REG_1)
        .be32(NFTA_BITWISE_DREG, NFT_REG_1)
        .be32(NFTA_BITWISE_LEN, sizeof mask_bytes);
    size_t nested = bitwise.begin(NFTA_BITWISE_MASK);
    bitwise.attribute(NFTA_DATA_VALUE, &mask_bytes, sizeof mask_bytes).end(nested);
    nested = bitwise.begin(NFTA_BITWISE_XOR);
    bitwise.attribute(NFTA_DATA_VALUE, &xor_bytes, sizeof xor_bytes).end(nested);
    add("bitwise", bitwise);
  }
  const uint32_t value = htonl(network & mask);
  return compare(equal, &value, sizeof value);
}

NftRule& NftRule::match_source(uint32_t network, int prefix, bool equal) {
  return match_address(12, network, prefix, equal);
}
NftRule& NftRule::match_destination(uint32_t network, int prefix, bool equal) {
  return match_address(16, network, prefix, equal);
}

NftRule& NftRule::match_link(uint32_t key, std::string_view name, bool equal) {
  auto meta = attributes();
  meta.be32(NFTA_META_DREG, NFT_REG_1).be32(NFTA_META_KEY, key);
  add("meta", meta);
  std::array<char, IFNAMSIZ> padded{};
  memcpy(padded.data(), name.data(), std::min(name.size(), padded.size() - 1));
  return compare(equal, padded.data(), padded.size());
}

NftRule& NftRule::match_input_link(std::string_view name, bool equal) {
  return match_link(NFT_META_IIFNAME, name, equal);
}
NftRule& NftRule::match_output_link(std::string_view name, bool equal) {
  return match_link(NFT_META_OIFNAME, name, equal);
}

NftRule& NftRule::counter() {
  auto zero = attributes();
  zero.be64(NFTA_COUNTER_BYTES, 0).be64(NFTA_COUNTER_PACKETS, 0);
  return add("counter", zero);
}

NftRule& NftRule::verdict(int32_t code) {
  auto immediate = attributes();
  immediate.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  const size_t data = immediate.begin(NFTA_IMMEDIATE_DATA);
  const size_t verdict = immediate.begin(NFTA_DATA_VERDICT);
  immediate.be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code)).end(verdict).end(data);
  return add("immediate", immediate);
}

NftRule& NftRule::accept() { return verdict(NF_ACCEPT); }
NftRule& NftRule::drop() { return verdict(NF_DROP); }
NftRule& NftRule::masquerade() { return add("masq", attributes()); }

NftBatch::NftBatch(NftFamily family, std::string table) : family_(family), table_(std::move(table)) {}

NetlinkMessage NftBatch::message(uint16_t type, uint16_t flags, std::string what) const {
  NetlinkMessage message(NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_ACK | flags, std::move(what));
  message.fixed(header_of(static_cast<uint8_t>(family_)));
  return message;
}

void NftBatch::create_table() {
  auto table = message(NFT_MSG_NEWTABLE, NLM_F_CREATE, fmt::format("create nftables table {}", table_));
  table.text(NFTA_TABLE_NAME, table_).be32(NFTA_TABLE_FLAGS, 0);
  messages_.push_back(std::move(table));
}

// Creating what is there is no error, so that it can be deleted without knowing.
void NftBatch::delete_table() {
  create_table();
  auto table = message(NFT_MSG_DELTABLE, 0, fmt::format("delete nftables table {}", table_));
  table.text(NFTA_TABLE_NAME, table_);
  messages_.push_back(std::move(table));
}

void NftBatch::replace_table() {
  delete_table();
  create_table();
}

void NftBatch::add_chain(const NftBaseChain& chain) {
  auto added = message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, fmt::format("create nftables chain {} {}", table_, chain.name));
  added.text(NFTA_CHAIN_TABLE, table_).text(NFTA_CHAIN_NAME, chain.name);
  const size_t hook = added.begin(NFTA_CHAIN_HOOK);
  added.be32(NFTA_HOOK_HOOKNUM, static_cast<uint32_t>(chain.hook));
  added.be32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(chain.priority)).end(hook);
  added.be32(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, chain.type);
  messages_.push_back(std::move(added));
}

void NftBatch::add_rule(std::string_view chain, const NftRule& rule) {
  auto added = message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                       fmt::format("add a rule to nftables chain {} {}", table_, chain));
  added.text(NFTA_RULE_TABLE, table_).text(NFTA_RULE_CHAIN, chain);
  const size_t list = added.begin(NFTA_RULE_EXPRESSIONS);
  for (const auto& expression : rule.expressions_) {
    const size_t element = added.begin(NFTA_LIST_ELEM);
    added.text(NFTA_EXPR_NAME, expression.name);
    added.attribute(NFTA_EXPR_DATA | NLA_F_NESTED, expression.data.data(), expression.data.size());
    added.end(element);
  }
  added.end(list);
  messages_.push_back(std::move(added));
}

Status NftBatch::commit() {
  KNARR_ASSIGN(NetlinkSocket socket, NetlinkSocket::open(NETLINK_NETFILTER));
  std::vector<NetlinkMessage> batch;
  batch.reserve(messages_.size() + 2);
  batch.push_back(batch_mark(NFNL_MSG_BATCH_BEGIN));
  for (auto& message : messages_) batch.push_back(std::move(message));
  batch.push_back(batch_mark(NFNL_MSG_BATCH_END));
  messages_.clear();
  return socket.transact(batch);
}

}  // namespace knarr::linux
