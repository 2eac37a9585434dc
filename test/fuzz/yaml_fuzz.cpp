// YAML: any text is read or refused without an exception; what comes out is a JSON document that is written and read
// back.
#include <cstdint>
#include <cstdlib>

#include "knarr/codec/yaml.h"

namespace json = knarr::json;
namespace yaml = knarr::yaml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)yaml::parse_all(text);
  auto document = yaml::parse(text);
  if (!document.ok()) return 0;
  auto as_json = json::parse(json::dump(*document));
  if (!as_json.ok() || !json::equal(*document, *as_json)) std::abort();
  // The reader nests less deeply than JSON may.
  if (!json::within_depth(*document, 50)) return 0;
  auto as_yaml = yaml::parse(yaml::dump(*document));
  if (!as_yaml.ok() || !json::equal(*document, *as_yaml)) std::abort();
  return 0;
}
