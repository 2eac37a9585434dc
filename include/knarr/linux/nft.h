// nftables in batches of our own encoding: no `nft` process, no library. A batch is one transaction: the kernel takes
// all of it or nothing. `nft list table` reads back what stands here. Source: linux/netfilter/nf_tables.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/netlink.h"

namespace knarr::linux {

enum class NftFamily : uint8_t { kInet = 1, kIpv4 = 2, kIpv6 = 10 };
enum class NftHook : uint32_t { kPrerouting = 0, kInput = 1, kForward = 2, kOutput = 3, kPostrouting = 4 };

// The expressions of one rule, in order: matches first, then what to do. Addresses are in host byte order. Rules of an
// inet table must say match_ipv4() before they look at IPv4 addresses.
class NftRule {
 public:
  NftRule& match_ipv4();
  NftRule& match_source(uint32_t network, int prefix, bool equal = true);
  NftRule& match_destination(uint32_t network, int prefix, bool equal = true);
  NftRule& match_input_link(std::string_view name, bool equal = true);
  NftRule& match_output_link(std::string_view name, bool equal = true);
  NftRule& counter();
  NftRule& accept();
  NftRule& drop();
  NftRule& masquerade();

 private:
  friend class NftBatch;
  struct Expression {
    std::string name;
    std::string data;  // its attributes, encoded
  };
  NftRule& add(std::string name, const NetlinkMessage& attributes);
  NftRule& match_address(uint32_t offset, uint32_t network, int prefix, bool equal);
  NftRule& match_link(uint32_t key, std::string_view name, bool equal);
  NftRule& compare(bool equal, const void* data, size_t size);
  NftRule& verdict(int32_t code);

  std::vector<Expression> expressions_;
};

// For a base chain: where and when the kernel calls it.
struct NftBaseChain {
  std::string name;
  std::string type;  // filter | nat
  NftHook hook;
  int32_t priority;  // 0 filter, 100 srcnat, -100 dstnat
};

class NftBatch {
 public:
  NftBatch(NftFamily family, std::string table);

  // Whatever the table held is gone, in the same transaction: of a table with that name nothing is left but what
  // follows.
  void replace_table();
  void delete_table();                        // no error when there is none
  void add_chain(const NftBaseChain& chain);  // policy accept
  void add_rule(std::string_view chain, const NftRule& rule);

  Status commit();  // in the network namespace of this thread

 private:
  NetlinkMessage message(uint16_t type, uint16_t flags, std::string what) const;
  void create_table();

  NftFamily family_;
  std::string table_;
  std::vector<NetlinkMessage> messages_;
};

}  // namespace knarr::linux
