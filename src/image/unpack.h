// Tar archives into directories, with care: they come from strangers. No entry is written outside the directory,
// whatever its name, its links or what an earlier entry made; nothing is followed that could lead there.
#pragma once

#include <cstdint>
#include <string>

#include "image/byte_source.h"
#include "knarr/base/result.h"

namespace knarr::image {

struct UnpackLimits {
  uint64_t bytes = uint64_t{64} << 30;  // of all files together, as their headers claim
  uint64_t entries = 2'000'000;
};

struct UnpackOptions {
  // A layer: owners, special files, extended attributes; whiteouts (.wh.name, .wh..wh..opq) become overlayfs' own
  // marks, a 0/0 character device and trusted.overlay.opaque. Otherwise only directories, files and links, owned by us.
  bool layer = true;
  UnpackLimits limits;
};

struct Unpacked {
  uint64_t bytes = 0, entries = 0;
};

// `directory` exists and is empty. Errors are BadRequest where the archive is to blame, and say which entry.
Result<Unpacked> unpack_tar(ByteSource& source, const std::string& directory, const UnpackOptions& options = {});

}  // namespace knarr::image
