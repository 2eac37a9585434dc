// Content volumes as kubelet lays them out, so that a reader sees all files of one version or all of the next:
//
//   <dir>/..2026_11_21_12_30_19.123456/key   the files
//   <dir>/..data -> ..2026_11_21_12_30_19.123456
//   <dir>/key -> ..data/key                  what the container opens
//
// An update writes a new timestamped directory and swaps ..data by one rename.
#pragma once

#include "knarr/volume/volume.h"

namespace knarr::volume {

// Does nothing when the files that are there are the wanted ones. Survives a crash at any line: the next call completes
// it.
Status write_atomically(const std::string& directory, const Content& content);

}  // namespace knarr::volume
