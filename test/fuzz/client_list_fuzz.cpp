// Lists and objects as a server sends them: where the text is a JSON List, it is cut into the same items that a parser
// finds.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "knarr/client/https.h"
#include "knarr/client/reflector.h"
#include "knarr/client/typed.h"
#include "knarr/codec/json.h"

using namespace knarr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)client::resource_version_of(text);
  if (size > 2 && client::status_of_response(200 + data[0], text).code() == 0) abort();

  const auto parts = client::split_list(text);
  const auto document = json::parse(text);
  if (!document.ok() || !document->IsObject() || !json::duplicate_keys(text).empty()) return 0;
  // A key that is written with escapes is another way to spell it; servers do not.
  if (text.find('\\') != std::string_view::npos) return 0;
  const json::Value* items = json::find(*document, "items");
  const bool is_list = items && (items->IsArray() || items->IsNull());
  if (parts.ok() != is_list) abort();
  if (!is_list || items->IsNull()) return 0;
  if (parts->items.size() != items->Size()) abort();
  for (size_t i = 0; i < parts->items.size(); ++i) {
    const auto item = json::parse(parts->items[i]);
    if (!item.ok() || !json::equal(*item, (*items)[static_cast<rapidjson::SizeType>(i)])) abort();
  }
  return 0;
}
