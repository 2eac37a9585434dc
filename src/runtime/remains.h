// What a pod leaves behind when its shim is gone: processes, cgroups, mounts and its directory.
#pragma once

#include <optional>
#include <string>

#include "runtime/fields.h"

namespace knarr::runtime {

// The last state that the shim wrote; nothing when there is none that can be read.
std::optional<PodState> read_pod_state(const std::string& directory);

// Before anything is looked for: when the machine was started anew since the last time, none of what the states say runs, and a
// process that has a number and a start time of theirs is another. The states go, all else is for clear_remains.
Status forget_earlier_boots(const std::string& state_directory);

// Ends what still runs of the pod and waits a little for it. Thread-safe; touches only processes whose start time is on record.
void kill_remains(const std::string& directory);

// kill_remains, and unmounts and deletes everything in the directory and itself.
Status clear_remains(const std::string& directory);

}  // namespace knarr::runtime
