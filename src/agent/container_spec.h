// From a container of a pod and its image to what the runtime starts. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/environment.h"
#include "knarr/image/image.h"
#include "knarr/runtime/runtime.h"

namespace knarr::agent {

struct ContainerInput {
  const core::Pod& pod;
  const core::Container& container;
  const image::Image& image;
  const Variables& environment;
  std::vector<runtime::Mount> mounts;  // volumes, hosts file, resolv.conf, termination log
  std::string termination_log;
  std::string id;
  int attempt = 0;
  std::string seccomp_directory;  // where Localhost profiles lie
  int64_t node_memory_bytes = 0;  // of the machine, for the OOM score
};

// Error: what a CreateContainerConfigError says (runAsNonRoot and the like).
Result<runtime::ContainerSpec> make_container_spec(ContainerInput input);

// `max_pids`: how many processes the pod may have; 0 is no limit.
runtime::PodSandboxSpec make_sandbox_spec(const core::Pod& pod, const std::string& log_directory, int64_t max_pids = 0);

// The host name that the pod's containers see.
std::string pod_hostname(const core::Pod& pod);

// The number of a signal's name (SIGTERM, TERM, 15); 15 for what is none.
int signal_number(std::string_view name);
// The signal that asks this container to end.
int stop_signal(const core::Container& container, const std::string& image_stop_signal);

}  // namespace knarr::agent
