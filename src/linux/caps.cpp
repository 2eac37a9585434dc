#include "knarr/linux/caps.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <iterator>

#include "knarr/linux/tree.h"

namespace knarr::linux {

namespace {

constexpr std::string_view kNames[] = {  // by number
    "CHOWN",           "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",       "FSETID",         "KILL",
    "SETGID",          "SETUID",       "SETPCAP",         "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_ADMIN",       "NET_RAW",      "IPC_LOCK",        "IPC_OWNER",    "SYS_MODULE",     "SYS_RAWIO",
    "SYS_CHROOT",      "SYS_PTRACE",   "SYS_PACCT",       "SYS_ADMIN",    "SYS_BOOT",       "SYS_NICE",
    "SYS_RESOURCE",    "SYS_TIME",     "SYS_TTY_CONFIG",  "MKNOD",        "LEASE",          "AUDIT_WRITE",
    "AUDIT_CONTROL",   "SETFCAP",      "MAC_OVERRIDE",    "MAC_ADMIN",    "SYSLOG",         "WAKE_ALARM",
    "BLOCK_SUSPEND",   "AUDIT_READ",   "PERFMON",         "BPF",          "CHECKPOINT_RESTORE",
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::toupper(static_cast<unsigned char>(a[i])) != std::toupper(static_cast<unsigned char>(b[i]))) return false;
  }
  return true;
}

struct Sets {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
};

Result<Sets> get_sets() {
  Sets sets;
  if (syscall(SYS_capget, &sets.header, sets.data) != 0) return errno_status(errno, "read the capabilities");
  return sets;
}

}  // namespace

Result<int> parse_capability(std::string_view name) {
  std::string_view bare = name;
  if (bare.size() > 4 && equal_ignoring_case(bare.substr(0, 4), "CAP_")) bare.remove_prefix(4);
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (equal_ignoring_case(bare, kNames[i])) return static_cast<int>(i);
  }
  return bad_request(fmt::format("\"{}\" is no capability", name));
}

std::string capability_name(int capability) {
  if (capability < 0 || static_cast<size_t>(capability) >= std::size(kNames)) return fmt::format("CAP_{}", capability);
  return fmt::format("CAP_{}", kNames[capability]);
}

CapabilityMask known_capabilities() {
  static const CapabilityMask mask = [] {
    int last = CAP_LAST_CAP;
    if (auto text = read_file("/proc/sys/kernel/cap_last_cap"); text.ok()) std::from_chars(text->data(), text->data() + text->size(), last);
    return last >= 63 ? ~CapabilityMask{0} : (CapabilityMask{1} << (last + 1)) - 1;
  }();
  return mask;
}

Result<CapabilityMask> permitted_capabilities() {
  KNARR_ASSIGN(const Sets sets, get_sets());
  return CapabilityMask{sets.data[1].permitted} << 32 | sets.data[0].permitted;
}

bool has_capability(int capability) {
  auto sets = get_sets();
  return sets.ok() && (sets->data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

Status limit_bounding_set(CapabilityMask keep) {
  for (int capability = 0; capability < 64 && (known_capabilities() >> capability & 1) != 0; ++capability) {
    if ((keep >> capability & 1) != 0 || prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return errno_status(errno, fmt::format("drop {} from the bounding set", capability_name(capability)));
    }
  }
  return {};
}

Status set_capabilities(CapabilityMask permitted, CapabilityMask effective, CapabilityMask inheritable, CapabilityMask ambient) {
  Sets sets;
  for (int half = 0; half < 2; ++half) {
    sets.data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
    sets.data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
    sets.data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
  }
  if (syscall(SYS_capset, &sets.header, sets.data) != 0) return errno_status(errno, "set the capabilities");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno_status(errno, "clear the ambient capabilities");
  for (int capability = 0; capability < 64; ++capability) {
    if ((ambient >> capability & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      return errno_status(errno, fmt::format("raise ambient {}", capability_name(capability)));
    }
  }
  return {};
}

}  // namespace knarr::linux
