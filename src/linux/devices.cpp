#include "knarr/linux/devices.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

namespace knarr::linux {

namespace {

// The few instructions that are needed, by what they do.
bpf_insn load(uint8_t into, uint8_t from, int16_t offset) { return {BPF_LDX | BPF_W | BPF_MEM, into, from, offset, 0}; }
bpf_insn copy(uint8_t into, uint8_t from) { return {BPF_ALU64 | BPF_MOV | BPF_X, into, from, 0, 0}; }
bpf_insn shift_right(uint8_t reg, int32_t bits) { return {BPF_ALU64 | BPF_RSH | BPF_K, reg, 0, 0, bits}; }
bpf_insn mask(uint8_t reg, int32_t bits) { return {BPF_ALU64 | BPF_AND | BPF_K, reg, 0, 0, bits}; }
bpf_insn skip_unless(uint8_t reg, int32_t value, int16_t count) { return {BPF_JMP | BPF_JNE | BPF_K, reg, 0, count, value}; }
bpf_insn set(uint8_t reg, int32_t value) { return {BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value}; }
bpf_insn leave() { return {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}; }

std::vector<bpf_insn> program_for(std::span<const CharacterDevice> devices) {
  constexpr uint8_t kResult = 0, kContext = 1, kType = 2, kAccess = 3, kMajor = 4, kMinor = 5;
  std::vector<bpf_insn> program = {
      load(kType, kContext, offsetof(bpf_cgroup_dev_ctx, access_type)),
      copy(kAccess, kType),
      shift_right(kAccess, 16),
      mask(kType, 0xffff),
      load(kMajor, kContext, offsetof(bpf_cgroup_dev_ctx, major)),
      load(kMinor, kContext, offsetof(bpf_cgroup_dev_ctx, minor)),
      skip_unless(kAccess, BPF_DEVCG_ACC_MKNOD, 2),
      set(kResult, 1),
      leave(),
      set(kResult, 0),
      skip_unless(kType, BPF_DEVCG_DEV_CHAR, 1),
  };
  // A jump over the exit that follows it: anything but a character device leaves with 0.
  program.push_back({BPF_JMP | BPF_JA, 0, 0, 1, 0});
  program.push_back(leave());
  for (const CharacterDevice& device : devices) {
    program.push_back(skip_unless(kMajor, static_cast<int32_t>(device.major), device.minor ? 3 : 2));
    if (device.minor) program.push_back(skip_unless(kMinor, static_cast<int32_t>(*device.minor), 2));
    program.push_back(set(kResult, 1));
    program.push_back(leave());
  }
  program.push_back(set(kResult, 0));
  program.push_back(leave());
  return program;
}

long bpf(int command, bpf_attr& attributes) { return syscall(SYS_bpf, command, &attributes, sizeof attributes); }

}  // namespace

Status allow_only_devices(const Cgroup& cgroup, std::span<const CharacterDevice> devices) {
  static constexpr char kLicense[] = "Apache-2.0";
  const auto instructions = program_for(devices);
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<uint64_t>(instructions.data());
  load.insn_cnt = static_cast<uint32_t>(instructions.size());
  load.license = reinterpret_cast<uint64_t>(kLicense);
  std::strncpy(load.prog_name, "knarr_devices", BPF_OBJ_NAME_LEN - 1);
  const UniqueFd program(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
  if (!program) return errno_status(errno, "load a device filter");
  KNARR_ASSIGN(const UniqueFd group, cgroup.open());
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(group.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attach) != 0) return errno_status(errno, fmt::format("attach a device filter to cgroup {}", cgroup.directory()));
  return {};
}

}  // namespace knarr::linux
