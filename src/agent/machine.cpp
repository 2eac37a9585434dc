#include "agent/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>

#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

constexpr int64_t kMemoryReserve = 100 << 20;  // upstream's default eviction thresholds
constexpr int64_t kDiskReservePercent = 10, kInodeReservePercent = 5, kMaxPods = 110;
constexpr int64_t kPidReserve = 1000;

std::string read_line(const std::string& path) {
  std::string text = linux::read_file(path, 64 << 10).value_or("");
  return text.substr(0, text.find('\n'));
}

// A line "MemTotal:  12345 kB" of /proc/meminfo, in bytes.
int64_t meminfo(const std::string& text, const std::string& name) {
  auto at = text.find(name + ":");
  return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + name.size() + 1, nullptr, 10) * 1024;
}

std::string os_name() {
  std::istringstream lines(linux::read_file("/etc/os-release", 64 << 10).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    std::string name = line.substr(12);
    std::erase(name, '"');
    return name;
  }
  return "Linux";
}

std::string go_architecture(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.starts_with("arm")) return "arm";
  if (machine == "i686" || machine == "i386") return "386";
  return machine;
}

int64_t online_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return sysconf(_SC_NPROCESSORS_ONLN);
}

std::string kibibytes(int64_t bytes) { return fmt::format("{}Ki", bytes / 1024); }

core::NodeCondition condition(std::string type, bool pressure, std::string with, std::string with_message,
                              std::string without, std::string without_message) {
  core::NodeCondition c;
  c.type = std::move(type);
  c.status = pressure ? "True" : "False";
  c.reason = pressure ? std::move(with) : std::move(without);
  c.message = pressure ? std::move(with_message) : std::move(without_message);
  return c;
}

}  // namespace

Machine read_machine() {
  Machine machine;
  utsname names{};
  uname(&names);
  machine.hostname = names.nodename;
  machine.kernel_version = names.release;
  machine.architecture = go_architecture(names.machine);
  machine.machine_id = read_line("/etc/machine-id");
  machine.system_uuid = read_line("/sys/class/dmi/id/product_uuid");
  if (machine.system_uuid.empty()) machine.system_uuid = machine.machine_id;
  machine.boot_id = read_line("/proc/sys/kernel/random/boot_id");
  machine.os_image = os_name();
  machine.cpus = online_cpus();
  std::string memory = linux::read_file("/proc/meminfo", 64 << 10).value_or("");
  machine.memory_bytes = meminfo(memory, "MemTotal");
  machine.swap_bytes = meminfo(memory, "SwapTotal");
  return machine;
}

Usage read_usage(const std::string& data_dir) {
  Usage usage;
  usage.memory_available = meminfo(linux::read_file("/proc/meminfo", 64 << 10).value_or(""), "MemAvailable");
  struct statvfs fs {};
  if (statvfs(data_dir.c_str(), &fs) == 0) {
    usage.disk_bytes = static_cast<int64_t>(fs.f_blocks) * static_cast<int64_t>(fs.f_frsize);
    usage.disk_available = static_cast<int64_t>(fs.f_bavail) * static_cast<int64_t>(fs.f_frsize);
    usage.inodes = static_cast<int64_t>(fs.f_files);
    usage.inodes_free = static_cast<int64_t>(fs.f_favail);
  }
  usage.pid_max = std::strtoll(read_line("/proc/sys/kernel/pid_max").c_str(), nullptr, 10);
  // /proc/loadavg: "0.00 0.01 0.05 1/123 4567": running and all tasks before the last pid.
  std::string load = read_line("/proc/loadavg");
  if (auto slash = load.find('/'); slash != std::string::npos)
    usage.pids = std::strtoll(load.c_str() + slash + 1, nullptr, 10);
  return usage;
}

std::map<std::string, std::string> node_capacity(const Machine& machine, const Usage& usage) {
  return {{"cpu", std::to_string(machine.cpus)},
          {"memory", kibibytes(machine.memory_bytes)},
          {"ephemeral-storage", kibibytes(usage.disk_bytes)},
          {"pods", std::to_string(kMaxPods)}};
}

std::map<std::string, std::string> node_allocatable(const Machine& machine, const Usage& usage) {
  auto amounts = node_capacity(machine, usage);
  amounts["memory"] = kibibytes(std::max<int64_t>(machine.memory_bytes - kMemoryReserve, 0));
  amounts["ephemeral-storage"] = std::to_string(usage.disk_bytes / 100 * (100 - kDiskReservePercent));
  return amounts;
}

int64_t pids_for_pods(const Usage& usage) { return std::max<int64_t>(usage.pid_max - kPidReserve, 0); }

std::vector<core::NodeCondition> pressure_conditions(const Usage& usage) {
  bool memory = usage.memory_available > 0 && usage.memory_available < kMemoryReserve;
  bool disk = usage.disk_bytes > 0 && usage.disk_available < usage.disk_bytes / 100 * kDiskReservePercent;
  if (usage.inodes > 0 && usage.inodes_free < usage.inodes / 100 * kInodeReservePercent) disk = true;
  bool pids = usage.pid_max > 0 && usage.pid_max - usage.pids < kPidReserve;
  return {
      condition("MemoryPressure", memory, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
                "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
      condition("DiskPressure", disk, "KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure"),
      condition("PIDPressure", pids, "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
                "KubeletHasSufficientPID", "kubelet has sufficient PID available")};
}

}  // namespace knarr::agent
