// Bodies in Kubernetes' protobuf form: whatever bytes come, they are refused or make a document that JSON can hold.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "knarr/schema/protobuf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto document = knarr::schema::decode_protobuf({reinterpret_cast<const char*>(data), size});
  if (document.ok() && knarr::json::dump(*document).empty()) std::abort();
  return 0;
}
