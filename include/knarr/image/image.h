// Images: a content store of blobs by digest, unpacked layers, names that point to manifests, and how they come in
// (pull from a registry, import of an archive) and go (removal, garbage collection). Thread-safe; pulls of one image are joined.
// Source: OCI image-spec 1.1, distribution-spec 1.1, docker archive layout.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::image {

// docker.io/library/busybox:latest, with defaults filled in as Docker does.
struct Reference {
  std::string registry, repository, tag, digest;
  std::string to_string() const;         // canonical
  static Result<Reference> parse(std::string_view text);
};

struct ImageConfig {  // what a container takes from its image
  std::vector<std::string> entrypoint, cmd, env;
  std::string user, working_directory, stop_signal;
  std::vector<std::string> volumes;
};

struct Image {
  std::string id;                      // sha256:... of the config
  std::string digest;                  // sha256:... of the manifest
  std::vector<std::string> names;      // canonical references
  std::vector<std::string> repo_digests;
  int64_t size_bytes = 0;
  ImageConfig config;
  std::vector<std::string> layer_directories;  // unpacked, from the lowest to the highest
};

struct RegistryAuth {
  std::string username, password;
};

struct PullOptions {
  std::optional<RegistryAuth> auth;
  bool plain_http = false;  // also implied for localhost and 127.0.0.0/8
  std::function<void(std::string_view what, int64_t done, int64_t total)> progress;
};

class ImageStore {
 public:
  struct Options {
    std::string directory;                        // <data>/images
    std::vector<std::string> insecure_registries;  // host:port reached by http, or https without verification
  };
  static Result<std::unique_ptr<ImageStore>> open(Options options);
  virtual ~ImageStore() = default;

  virtual std::optional<Image> find(std::string_view reference_or_id) = 0;
  virtual std::vector<Image> list() = 0;
  virtual Result<Image> pull(std::string_view reference, const PullOptions& options) = 0;
  // An OCI archive, an OCI layout directory or a docker archive; every image in it, under the names it carries (or `name`).
  virtual Result<std::vector<Image>> import(const std::string& path, std::optional<std::string> name = {}) = 0;
  virtual Status remove(std::string_view reference_or_id) = 0;
  // Removes blobs and layers that no name leads to and that `in_use` (image ids) does not hold; answers freed bytes.
  virtual Result<int64_t> collect(const std::vector<std::string>& in_use) = 0;
};

}  // namespace knarr::image
