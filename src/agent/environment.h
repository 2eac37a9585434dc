// What a container sees of its environment: variables, their expansion, and the fields of its own pod.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/sources.h"

namespace knarr::agent {

// What a pod's fields are read from, beside its object.
struct PodFacts {
  const core::Pod& pod;
  std::string host_ip;
  std::vector<std::string> pod_ips;
  std::map<std::string, std::string> node_allocatable;  // what a container without a limit may use
  std::string api_host, api_port;                       // where the pod reaches the API server; "": not told
};

// $(NAME) becomes the value that `lookup` answers; where it answers none it stays as it is. $$ is a $.
std::string expand(std::string_view text,
                   const std::function<std::optional<std::string>(std::string_view name)>& lookup);

// metadata.name, metadata.labels['a'], status.podIP, ...; `whole_maps` also metadata.labels and metadata.annotations,
// one a line. Error: BadRequest for a path that is none of these.
Result<std::string> field_text(const PodFacts& facts, const std::string& path, bool whole_maps);
// limits.cpu of a container in units of the divisor, rounded up.
Result<std::string> resource_text(const PodFacts& facts, const core::ResourceFieldSelector& selector,
                                  const std::string& container);

// The container's variables in order, each name once: envFrom, then env. Errors are worded for the message of a waiting
// container (CreateContainerConfigError).
using Variables = std::vector<std::pair<std::string, std::string>>;
Result<Variables> make_environment(const PodFacts& facts, const core::Container& container, Sources& sources);

std::optional<std::string> find_variable(const Variables& variables, std::string_view name);

}  // namespace knarr::agent
