// Pulling from a registry. Source: OCI distribution-spec 1.1, Docker's token authentication.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "image/content_store.h"
#include "image/manifest.h"
#include "knarr/base/result.h"
#include "knarr/image/image.h"

namespace knarr::image {

struct PulledImage {
  std::string manifest;  // of this platform; its blobs and layers are in the store
  std::string digest;    // what the reference meant: the index's, where there is one
};

// The caller holds the store. Blocks; layers come in parallel, and what breaks off is continued.
Result<PulledImage> pull_image(const Reference& reference, const Platform& host, const PullOptions& options,
                               const std::vector<std::string>& insecure_registries, ContentStore& store);

// One challenge of WWW-Authenticate: Bearer realm="https://auth.example/token",service="registry"
struct Challenge {
  std::string scheme;  // lower case
  std::map<std::string, std::string> parameters;
};
Challenge parse_challenge(std::string_view header);

struct Url {
  std::string base;    // https://host:port
  std::string target;  // path and query
};
Result<Url> parse_url(std::string_view text);

}  // namespace knarr::image
