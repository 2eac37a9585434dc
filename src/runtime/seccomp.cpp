#include "runtime/seccomp.h"

#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>

#include "knarr/codec/json.h"
#include "knarr/linux/fd.h"
#include "knarr/linux/tree.h"

namespace knarr::runtime {

namespace {

struct ReleaseContext {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ReleaseContext>;

// Calls younger than the libseccomp of our build may be; their numbers are the same on every architecture.
constexpr struct {
  std::string_view name;
  int number;
} kNewCalls[] = {
    {"cachestat", 451},    {"fchmodat2", 452},         {"map_shadow_stack", 453},  {"futex_wake", 454},       {"futex_wait", 455},
    {"futex_requeue", 456}, {"statmount", 457},        {"listmount", 458},         {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461}, {"mseal", 462},         {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466}, {"open_tree_attr", 467},
};
constexpr uint32_t kFirstUnknownCall = 468;

uint32_t native_audit_arch() {
#if defined(__x86_64__)
  return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  return AUDIT_ARCH_AARCH64;
#elif defined(__riscv)
  return AUDIT_ARCH_RISCV64;
#else
  return 0;
#endif
}

std::vector<uint32_t> foreign_architectures() {
#if defined(__x86_64__)
  return {SCMP_ARCH_X86, SCMP_ARCH_X32};
#elif defined(__aarch64__)
  return {SCMP_ARCH_ARM};
#else
  return {};
#endif
}

uint32_t to_scmp(const SeccompAction& action) {
  switch (action.kind) {
    case SeccompAction::kAllow: return SCMP_ACT_ALLOW;
    case SeccompAction::kErrno: return SCMP_ACT_ERRNO(static_cast<uint32_t>(action.error));
    case SeccompAction::kKillProcess: return SCMP_ACT_KILL_PROCESS;
    case SeccompAction::kKillThread: return SCMP_ACT_KILL_THREAD;
    case SeccompAction::kTrap: return SCMP_ACT_TRAP;
    case SeccompAction::kLog: return SCMP_ACT_LOG;
    case SeccompAction::kTrace: return SCMP_ACT_TRACE(static_cast<uint32_t>(action.error));
  }
  return SCMP_ACT_KILL_PROCESS;
}

Status scmp_error(int rc, std::string_view what) { return errno_status(-rc, fmt::format("compile a seccomp profile: {}", what)); }

Status add_rules(scmp_filter_ctx context, const SeccompProfile& profile, bool native) {
  for (const SeccompRule& rule : profile.rules) {
    if (rule.action == profile.otherwise) continue;
    std::vector<scmp_arg_cmp> arguments;
    for (const SeccompArgument& a : rule.arguments) {
      arguments.push_back(scmp_arg_cmp{a.index, static_cast<scmp_compare>(a.comparison), a.value, a.value_two});
    }
    for (const std::string& name : rule.names) {
      int number = seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) {
        for (const auto& call : kNewCalls) {
          if (native && call.name == name) number = call.number;
        }
        if (number == __NR_SCMP_ERROR) continue;
      }
      const int rc = seccomp_rule_add_array(context, to_scmp(rule.action), number, static_cast<unsigned>(arguments.size()), arguments.data());
      // EDOM, EOPNOTSUPP: this architecture has no such call. EEXIST: an earlier rule says it already.
      if (rc != 0 && rc != -EDOM && rc != -EOPNOTSUPP && rc != -EEXIST) return scmp_error(rc, name);
    }
  }
  return {};
}

Result<Context> make_context(const SeccompProfile& profile, const std::vector<uint32_t>& architectures, bool native) {
  Context context(seccomp_init(to_scmp(profile.otherwise)));
  if (!context) return internal_error("compile a seccomp profile: libseccomp cannot start");
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree instead of a list
  if (!native) {
    if (const int rc = seccomp_arch_remove(context.get(), SCMP_ARCH_NATIVE); rc != 0) return scmp_error(rc, "remove the native architecture");
    for (const uint32_t architecture : architectures) {
      if (const int rc = seccomp_arch_add(context.get(), architecture); rc != 0) return scmp_error(rc, "add an architecture");
    }
  }
  KNARR_RETURN_IF_ERROR(add_rules(context.get(), profile, native));
  return context;
}

// Goes before the compiled program: native calls that no table here knows are answered ENOSYS, as by a kernel without them.
std::string enosys_prologue() {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native_audit_arch(), 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstUnknownCall, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 1, 0),  // x32's numbers
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
  };
  return std::string(reinterpret_cast<const char*>(program), sizeof program);
}

Result<SeccompAction> parse_action(std::string_view name, int error) {
  static constexpr struct {
    std::string_view name;
    SeccompAction::Kind kind;
  } kActions[] = {
      {"SCMP_ACT_ALLOW", SeccompAction::kAllow},       {"SCMP_ACT_ERRNO", SeccompAction::kErrno},
      {"SCMP_ACT_KILL", SeccompAction::kKillThread},   {"SCMP_ACT_KILL_THREAD", SeccompAction::kKillThread},
      {"SCMP_ACT_KILL_PROCESS", SeccompAction::kKillProcess}, {"SCMP_ACT_TRAP", SeccompAction::kTrap},
      {"SCMP_ACT_LOG", SeccompAction::kLog},           {"SCMP_ACT_TRACE", SeccompAction::kTrace},
  };
  for (const auto& action : kActions) {
    if (action.name != name) continue;
    const bool carries = action.kind == SeccompAction::kErrno || action.kind == SeccompAction::kTrace;
    return SeccompAction{action.kind, carries ? error : 0};
  }
  return bad_request(fmt::format("seccomp profile: there is no action \"{}\"", name));
}

Result<int> parse_comparison(std::string_view name) {
  static constexpr struct {
    std::string_view name;
    scmp_compare value;
  } kComparisons[] = {
      {"SCMP_CMP_NE", SCMP_CMP_NE}, {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
      {"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_GT", SCMP_CMP_GT},
      {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
  };
  for (const auto& comparison : kComparisons) {
    if (comparison.name == name) return static_cast<int>(comparison.value);
  }
  return bad_request(fmt::format("seccomp profile: there is no comparison \"{}\"", name));
}

const char* architecture_name() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "riscv64";
#endif
}

bool kernel_at_least(std::string_view wanted) {
  utsname name;
  int have_major = 0, have_minor = 0, major = 0, minor = 0;
  uname(&name);
  std::sscanf(name.release, "%d.%d", &have_major, &have_minor);
  std::sscanf(std::string(wanted).c_str(), "%d.%d", &major, &minor);
  return have_major != major ? have_major > major : have_minor >= minor;
}

// Docker's conditions on a rule: it is taken when all of "includes" hold, and left out when any of "excludes" does.
bool matches(const json::Value* filter, linux::CapabilityMask capabilities, bool excludes) {
  if (filter == nullptr || !filter->IsObject()) return !excludes;
  bool any = false, all = true;
  const auto count = [&](bool holds) {
    any |= holds;
    all &= holds;
  };
  if (const json::Value* list = json::find(*filter, "caps"); list != nullptr && list->IsArray()) {
    for (const json::Value& item : list->GetArray()) {
      const auto capability = linux::parse_capability(item.IsString() ? json::view(item) : std::string_view());
      count(capability.ok() && (capabilities >> *capability & 1) != 0);
    }
  }
  if (const json::Value* list = json::find(*filter, "arches"); list != nullptr && list->IsArray() && !list->Empty()) {
    bool here = false;
    for (const json::Value& item : list->GetArray()) here |= item.IsString() && json::view(item) == architecture_name();
    count(here);
  }
  if (const auto kernel = json::get_string(*filter, "minKernel"); !kernel.empty()) count(kernel_at_least(kernel));
  return excludes ? any : all;
}

uint64_t fingerprint(std::string_view text, uint64_t hash = 0xcbf29ce484222325) {  // FNV-1a: names a cache file, guards nothing
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

uint64_t fingerprint(const SeccompProfile& profile) {
  const scmp_version* version = seccomp_version();
  uint64_t hash = fingerprint(fmt::format("{}.{}.{} {} {} {} {}", version->major, version->minor, version->micro, architecture_name(),
                                          static_cast<int>(profile.otherwise.kind), profile.otherwise.error, kFirstUnknownCall));
  for (const SeccompRule& rule : profile.rules) {
    hash = fingerprint(fmt::format("|{} {}", static_cast<int>(rule.action.kind), rule.action.error), hash);
    for (const std::string& name : rule.names) hash = fingerprint(name, fingerprint(" ", hash));
    for (const SeccompArgument& a : rule.arguments) {
      hash = fingerprint(fmt::format(" {} {} {} {}", a.index, a.comparison, a.value, a.value_two), hash);
    }
  }
  return hash;
}

}  // namespace

Result<SeccompProfile> parse_seccomp_profile(std::string_view text, linux::CapabilityMask capabilities) {
  KNARR_ASSIGN(const json::Document document, json::parse(text));
  if (!document.IsObject()) return bad_request("seccomp profile: no JSON object");
  SeccompProfile profile;
  const int default_error = static_cast<int>(json::get_int(document, "defaultErrnoRet", EPERM));
  KNARR_ASSIGN(profile.otherwise, parse_action(json::get_string(document, "defaultAction"), default_error));
  const json::Value* calls = json::find(document, "syscalls");
  if (calls == nullptr || !calls->IsArray()) return profile;
  for (const json::Value& call : calls->GetArray()) {
    if (!call.IsObject()) return bad_request("seccomp profile: an entry of syscalls is no object");
    if (!matches(json::find(call, "includes"), capabilities, false) || matches(json::find(call, "excludes"), capabilities, true)) continue;
    SeccompRule rule;
    KNARR_ASSIGN(rule.action, parse_action(json::get_string(call, "action"), static_cast<int>(json::get_int(call, "errnoRet", EPERM))));
    if (const auto name = json::get_string(call, "name"); !name.empty()) rule.names.emplace_back(name);
    if (const json::Value* names = json::find(call, "names"); names != nullptr && names->IsArray()) {
      for (const json::Value& name : names->GetArray()) {
        if (name.IsString()) rule.names.emplace_back(json::view(name));
      }
    }
    if (const json::Value* list = json::find(call, "args"); list != nullptr && list->IsArray()) {
      for (const json::Value& item : list->GetArray()) {
        SeccompArgument argument;
        const json::Value* value = json::find(item, "value");
        const json::Value* value_two = json::find(item, "valueTwo");
        argument.index = static_cast<unsigned>(json::get_int(item, "index"));
        if (argument.index > 5) return bad_request("seccomp profile: an argument's index is 0 to 5");
        if (value != nullptr && value->IsUint64()) argument.value = value->GetUint64();
        if (value_two != nullptr && value_two->IsUint64()) argument.value_two = value_two->GetUint64();
        KNARR_ASSIGN(argument.comparison, parse_comparison(json::get_string(item, "op")));
        rule.arguments.push_back(argument);
      }
    }
    profile.rules.push_back(std::move(rule));
  }
  return profile;
}

Result<std::string> compile_seccomp(const SeccompProfile& profile) {
  // The native architecture by itself: only there does libseccomp take calls by number that it has no name for.
  KNARR_ASSIGN(Context context, make_context(profile, {}, true));
  if (const auto foreign = foreign_architectures(); !foreign.empty()) {
    KNARR_ASSIGN(Context other, make_context(profile, foreign, false));
    if (const int rc = seccomp_merge(context.get(), other.get()); rc != 0) return scmp_error(rc, "merge the architectures");
    (void)other.release();  // it is part of the first now
  }
  linux::UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return errno_status(errno, "make a memory file");
  if (const int rc = seccomp_export_bpf(context.get(), file.get()); rc != 0) return scmp_error(rc, "export it");
  std::string program = profile.newer_than_known_is_enosys ? enosys_prologue() : std::string();
  char buffer[8192];
  for (ssize_t at = 0, n; (n = pread(file.get(), buffer, sizeof buffer, at)) > 0; at += n) program.append(buffer, static_cast<size_t>(n));
  return program;
}

Result<std::string> SeccompCache::filter(const std::string& name, linux::CapabilityMask capabilities) {
  constexpr std::string_view kLocalhost = "Localhost:";
  SeccompProfile profile;
  if (name == "Unconfined" || name.empty()) return std::string();
  if (name == "RuntimeDefault") {
    profile = default_seccomp_profile(capabilities);
  } else if (name.compare(0, kLocalhost.size(), kLocalhost) == 0) {
    KNARR_ASSIGN(const std::string text, linux::read_file(name.substr(kLocalhost.size()), 4 << 20));
    auto parsed = parse_seccomp_profile(text, capabilities);
    if (!parsed.ok()) return parsed.status();
    profile = std::move(*parsed);
  } else {
    return bad_request(fmt::format("\"{}\" is no seccomp profile: RuntimeDefault, Unconfined or Localhost:<path>", name));
  }
  const std::string path = fmt::format("{}/{:016x}.bpf", directory_, fingerprint(profile));
  Lock lock(mutex_);
  if (access(path.c_str(), R_OK) == 0) return path;
  KNARR_ASSIGN(const std::string program, compile_seccomp(profile));
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory_, 0700));
  KNARR_RETURN_IF_ERROR(linux::replace_file(path, program, 0600));
  return path;
}

}  // namespace knarr::runtime
