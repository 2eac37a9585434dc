// Files and directory trees, with durable replacement and with care where somebody else may have written: what says "in
// root" or "tree" never follows a symlink out of the directory that it was given. Thread-safe (no state).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::linux {

// mkdir -p. Directories that are made get `mode` whatever the umask is; those that are there stay as they are.
Status make_directories(const std::string& path, mode_t mode = 0755);

Result<std::vector<std::string>> list_directory(const std::string& path);  // names without . and .., in no order

// Error when the file is larger than `limit`; NotFound when it is not there.
Result<std::string> read_file(const std::string& path, size_t limit = 64 << 20);

// Replaces the file in one step: a reader sees the old content or the new, also after a power cut (fsync of file and
// directory). The temporary file is `path` with a dot and six more characters.
Status replace_file(const std::string& path, std::string_view content, mode_t mode = 0644);
// The same without fsync, for what a power cut makes worthless.
Status replace_file_unsynced(const std::string& path, std::string_view content, mode_t mode = 0644);

Status write_all(int fd, std::string_view bytes, std::string_view what);
Status sync_directory(const std::string& path);

// Opens `path` with `root` as its "/": absolute links and .. stay inside, magic links are refused (openat2). O_CLOEXEC
// is added.
Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

// The directory at `path` in `root`, with what is missing of it made. Links are resolved in root.
Result<UniqueFd> make_directories_in_root(int root, const std::string& path, mode_t mode = 0755);

// Deletes a file or a whole directory, however deep. OK when it is not there. Error at a mount point (names it):
// nothing on another file system is touched.
Status remove_tree(const std::string& path);
Status remove_tree_at(int parent, const std::string& name);

}  // namespace knarr::linux
