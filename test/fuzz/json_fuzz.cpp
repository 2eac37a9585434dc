// JSON: what parses is written and read back the same, and no text overflows the stack.
#include <cstdint>
#include <cstdlib>

#include "knarr/codec/json.h"

namespace json = knarr::json;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)json::duplicate_keys(text);
  auto document = json::parse(text);
  if (!document.ok()) return 0;
  const std::string written = json::dump(*document);
  auto again = json::parse(written);
  if (!again.ok() || !json::equal(*document, *again) || json::dump(*again) != written) std::abort();
  auto pretty = json::parse(json::dump_pretty(*document));
  if (!pretty.ok() || !json::equal(*document, *pretty)) std::abort();
  if (!json::equal(json::copy(*document), *document) || !json::within_depth(*document)) std::abort();
  if (!json::duplicate_keys(written).empty()) std::abort();
  return 0;
}
