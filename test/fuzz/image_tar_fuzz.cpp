// Layers from strangers, compressed or not: nothing may be written outside the directory.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "image/unpack.h"
#include "knarr/linux/tree.h"

using namespace knarr;
using namespace knarr::image;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string outer = "/tmp/knarr-fuzz-XXXXXX";
  if (mkdtemp(outer.data()) == nullptr) abort();
  const std::string inner = outer + "/inner";
  if (!linux::make_directories(inner).ok()) abort();
  MemorySource source({reinterpret_cast<const char*>(data), size});
  if (auto plain = decompress(source); plain.ok()) {
    (void)unpack_tar(**plain, inner, {.layer = geteuid() == 0, .limits = {.bytes = 1 << 20, .entries = 100}});
  }
  auto beside = linux::list_directory(outer);
  if (!beside.ok() || beside->size() != 1) abort();
  if (!linux::remove_tree(outer).ok()) abort();
  return 0;
}
