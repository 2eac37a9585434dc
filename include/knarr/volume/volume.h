// A pod's volumes on the node: directories under the pod's directory that are made, filled, updated and taken down.
// Content comes from the caller; this module knows no API server. configMap-like volumes are swapped atomically (..data symlink).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::volume {

struct File {
  std::string path;  // relative, no ..
  std::string content;
  std::optional<int> mode;       // else the volume's default
  std::optional<int64_t> owner;  // else the content's
};

struct Content {
  std::vector<File> files;
  int default_mode = 0644;
  std::optional<int64_t> fs_group, owner;
};

class PodVolumes {
 public:
  explicit PodVolumes(std::string pod_directory);  // <data>/pods/<uid>

  // Each answers the host path to mount. Calling again updates.
  Result<std::string> empty_dir(const std::string& name, bool memory, int64_t size_limit_bytes, std::optional<int64_t> fs_group);
  // Atomic update as kubelet's: ..data -> ..<timestamp>; unchanged content is left alone. `memory`: on a tmpfs (secrets).
  Result<std::string> content(const std::string& kind, const std::string& name, const Content& content, bool memory);
  // Checks or makes a host path as HostPathType says ("", Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice).
  static Result<std::string> host_path(const std::string& path, const std::string& type);
  // The path of subPath under a volume, resolved so that no symlink leads out of it; made as a directory when missing.
  static Result<std::string> sub_path(const std::string& volume_path, const std::string& sub_path);
  Status remove_all();  // unmounts and deletes

 private:
  std::string directory_;
};

}  // namespace knarr::volume
