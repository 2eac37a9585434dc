// Several files of a directory that are changed as one. What is to be done is first written down beside them, in one
// file that is there as a whole or not at all, and then done: whoever starts after a power cut in the middle calls
// finish_replacing(), which does the rest, and sees either all of the old files or all of the new ones.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>

#include "knarr/base/result.h"

namespace knarr::linux {

struct FileChange {
  std::string name;                    // in the directory
  std::optional<std::string> content;  // none: the file goes
  mode_t mode = 0644;
};

// One caller at a time for a directory. On an error before anything was changed the old files hold; later ones leave the
// rest to finish_replacing().
Status replace_files(const std::string& directory, std::span<const FileChange> changes);

// What an earlier replace_files() did not come to; nothing to do is OK. Error: what was written down cannot be read.
Status finish_replacing(const std::string& directory);

}  // namespace knarr::linux
