// Patches: the input is a document, a line break and a patch; whatever comes out is a document within the limits.
#include <cstdint>
#include <cstdlib>

#include "knarr/codec/patch.h"
#include "knarr/schema/machinery.h"

namespace json = knarr::json;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  auto document = json::parse(text.substr(0, line)), patch = json::parse(text.substr(line + 1));
  if (!document.ok() || !patch.ok()) return 0;
  const auto check = [](const json::Document& result) {
    if (!json::within_depth(result)) std::abort();
    auto again = json::parse(json::dump(result));
    if (!again.ok() || !json::equal(*again, result)) std::abort();
  };
  for (auto apply : {knarr::patch::apply_json, knarr::patch::apply_merge}) {
    json::Document target = json::copy(*document);
    if (apply(target, *patch, target.GetAllocator()).ok()) check(target);
  }
  const knarr::schema::Type* pod = knarr::schema::find_type("core/v1.Pod");
  json::Document target = json::copy(*document);
  std::vector<std::string> unknown;
  if (!pod || !target.IsObject()) return 0;
  if (!knarr::schema::strategic_merge(*pod, target, *patch, target.GetAllocator()).ok()) return 0;
  check(target);
  if (!knarr::schema::normalize(*pod, target, target.GetAllocator(), unknown).ok()) return 0;
  check(target);
  // Reading is idempotent.
  const std::string once = json::dump(target);
  unknown.clear();
  if (!knarr::schema::normalize(*pod, target, target.GetAllocator(), unknown).ok() || !unknown.empty() ||
      json::dump(target) != once) {
    std::abort();
  }
  return 0;
}
