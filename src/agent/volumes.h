// A pod's volumes: what the spec says and the API's objects hold, put on the node.
#pragma once

#include <map>
#include <string>

#include "agent/environment.h"
#include "knarr/runtime/runtime.h"
#include "knarr/volume/volume.h"

namespace knarr::agent {

using VolumePaths = std::map<std::string, std::string>;  // volume -> path on this node

// Makes or updates every volume of the pod; `age`: how old what the API said may be. Error: of the first that cannot be
// had, worded for the event FailedMount.
Result<VolumePaths> make_volumes(const PodFacts& facts, volume::PodVolumes& directory, Sources& sources, seconds age);

// Whether a volume of the pod shows objects of the API, which change.
bool has_content_volumes(const core::Pod& pod);

// The container's volumeMounts. Error: worded for CreateContainerConfigError.
Result<std::vector<runtime::Mount>> make_mounts(const core::Container& container, const VolumePaths& paths,
                                                const Variables& environment);

}  // namespace knarr::agent
