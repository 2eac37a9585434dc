// What this machine is and has: the facts of the Node object.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/pod_view.h"
#include "knarr/base/result.h"

namespace knarr::agent {

struct Machine {
  std::string hostname, architecture;  // as Go names it: amd64, arm64
  std::string machine_id, system_uuid, boot_id, kernel_version, os_image;
  int64_t cpus = 0, memory_bytes = 0, swap_bytes = 0;
};
Machine read_machine();

struct Usage {
  int64_t memory_available = 0;
  int64_t disk_bytes = 0, disk_available = 0, inodes = 0, inodes_free = 0;
  int64_t pid_max = 0, pids = 0;
};
Usage read_usage(const std::string& data_dir);

// Capacity and what of it pods may have: without the reserves below which the node reports pressure.
std::map<std::string, std::string> node_capacity(const Machine& machine, const Usage& usage);
std::map<std::string, std::string> node_allocatable(const Machine& machine, const Usage& usage);
int64_t pids_for_pods(const Usage& usage);  // 0: the machine does not say how many it can have

// MemoryPressure, DiskPressure and PIDPressure as the kubelet words them; times are the caller's.
std::vector<core::NodeCondition> pressure_conditions(const Usage& usage);

}  // namespace knarr::agent
