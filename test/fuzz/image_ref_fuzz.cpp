// References, manifests, configs and what registries say in headers: text from strangers.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "image/manifest.h"
#include "image/registry.h"
#include "knarr/image/image.h"

using namespace knarr::image;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto reference = Reference::parse(text); reference.ok()) {
    // What was accepted is canonical: it reads as itself.
    auto again = Reference::parse(reference->to_string());
    if (!again.ok() || again->to_string() != reference->to_string()) abort();
  }
  if (auto document = parse_document(text); document.ok() && document->index) (void)choose(*document->index, Platform::host());
  (void)parse_config(text);
  (void)parse_challenge(text);
  (void)parse_url(text);
  return 0;
}
