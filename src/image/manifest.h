// The JSON documents of OCI images (image-spec 1.1) and of Docker's schema 2, which says the same in other media types.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/image/image.h"

namespace knarr::image {

inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr size_t kMaxDocument = 4 << 20;  // of a manifest, an index or a config, as registries limit them

struct Platform {
  std::string os, architecture, variant;
  std::string to_string() const;
  static Platform host();
};

struct Descriptor {
  std::string media_type, digest;
  int64_t size = 0;
  std::optional<Platform> platform;
  std::map<std::string, std::string> annotations;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // from the lowest to the highest
};

// A manifest or an index: exactly one of the two.
struct Document {
  std::optional<Manifest> manifest;
  std::optional<std::vector<Descriptor>> index;
};

struct Config {
  ImageConfig config;
  Platform platform;
  std::vector<std::string> diff_ids;
};

Result<Document> parse_document(std::string_view text);
Result<Config> parse_config(std::string_view text);

// Of an index, the entry to run on `host`: without a platform, or with the same one, an equal or lower variant
// included. NotFound names the platforms that there are.
Result<Descriptor> choose(const std::vector<Descriptor>& index, const Platform& host);

// The OCI manifest for an image that came without one (docker save).
std::string write_manifest(const Descriptor& config, const std::vector<Descriptor>& layers);

}  // namespace knarr::image
