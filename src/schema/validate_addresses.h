// Rules for addresses and networks that several kinds share; private to the module.
#pragma once

#include <optional>

#include "schema/validate.h"

namespace knarr::schema::validation {

using IpBytes = std::vector<uint8_t>;  // 4 or 16

struct IpNetwork {
  IpBytes base;
  size_t length = 0;  // of the prefix, in bits

  bool contains(const IpBytes& address) const;
};

// Leniently, zeros in front allowed; absent when it is none.
std::optional<IpBytes> ip_bytes(std::string_view value);
std::optional<IpNetwork> ip_network(std::string_view value);

// Of fields that have been there for long: those of the `known` values, which were there before, are not looked at.
void ip_field(const std::string& value, const Path& path, FieldErrors& errors, const std::vector<std::string>* known = nullptr);
void cidr_field(const std::string& value, const Path& path, FieldErrors& errors, const std::vector<std::string>* known = nullptr);
// An address that traffic can go to.
void endpoint_ip(const std::string& value, const Path& path, FieldErrors& errors);
void balancer_hostname(const std::string& name, const Path& path, FieldErrors& errors);
void port_protocol(const std::string& protocol, const Path& path, FieldErrors& errors);

}  // namespace knarr::schema::validation
