// knarr as the first process: of a machine (it mounts what an init must, and turns the machine off) or of a container.
#pragma once

namespace knarr::cli {

// Whether this process is to be the init that runs `argv` (pid 1, and not a command like `knarr version` in a container).
bool is_init(int argc, char** argv);

// Sets the machine up, keeps `knarr server` (or what argv says) running, reaps whatever is orphaned, and on a signal ends all
// in order: the pods gracefully, then what else runs, then the mounts, then the machine. In a container answers the exit code.
int run_init(int argc, char** argv);

}  // namespace knarr::cli
