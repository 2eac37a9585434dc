// Images that lie in a directory: an OCI image layout, or what `docker save` packs.
#pragma once

#include <string>
#include <vector>

#include "image/content_store.h"
#include "image/manifest.h"
#include "knarr/base/result.h"

namespace knarr::image {

struct ImportedImage {
  std::vector<std::string> names;  // as the layout says them; empty: it says none
  std::string manifest;            // digest; its blobs and layers are in the store
};

// Copies every image for `host` into the store. The caller holds the store. The directory may come from a stranger:
// nothing in it leads out of it.
Result<std::vector<ImportedImage>> import_layout(const std::string& directory, const Platform& host,
                                                 ContentStore& store);

}  // namespace knarr::image
