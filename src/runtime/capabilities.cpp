#include "runtime/capabilities.h"

#include <algorithm>

namespace knarr::runtime {

namespace {

constexpr std::string_view kDefault[] = {"CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW",    "SETGID",
                                         "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"};

bool is_all(const std::string& name) { return name == "ALL" || name == "all" || name == "CAP_ALL"; }

}  // namespace

Result<linux::CapabilityMask> container_capabilities(const SecurityContext& security, linux::CapabilityMask available) {
  if (security.privileged) return available;
  linux::CapabilityMask mask = 0;
  for (const std::string_view name : kDefault) {
    KNARR_ASSIGN(const int capability, linux::parse_capability(name));
    mask |= linux::CapabilityMask{1} << capability;
  }
  // ALL first on either side, so that "drop ALL, add one" and "add ALL, drop one" both mean what they say.
  if (std::any_of(security.add_capabilities.begin(), security.add_capabilities.end(), is_all)) mask = ~linux::CapabilityMask{0};
  if (std::any_of(security.drop_capabilities.begin(), security.drop_capabilities.end(), is_all)) mask = 0;
  for (const std::string& name : security.add_capabilities) {
    if (is_all(name)) continue;
    KNARR_ASSIGN(const int capability, linux::parse_capability(name));
    mask |= linux::CapabilityMask{1} << capability;
  }
  for (const std::string& name : security.drop_capabilities) {
    if (is_all(name)) continue;
    KNARR_ASSIGN(const int capability, linux::parse_capability(name));
    mask &= ~(linux::CapabilityMask{1} << capability);
  }
  return mask & available;
}

}  // namespace knarr::runtime
