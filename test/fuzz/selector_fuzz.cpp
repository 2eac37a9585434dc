// Selectors: what is read is written in a form that reads back and selects the same.
#include <cstdint>
#include <cstdlib>

#include "knarr/codec/selector.h"

using namespace knarr::selector;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::pair<std::string, std::string>> pairs = {{"a", "1"}, {"app", "web"}, {"b", ""}};
  if (auto labels = Labels::parse(text); labels.ok()) {
    auto again = Labels::parse(labels->to_string());
    if (!again.ok() || again->to_string() != labels->to_string()) std::abort();
    if (again->matches(Pairs(pairs)) != labels->matches(Pairs(pairs))) std::abort();
  }
  if (auto fields = Fields::parse(text); fields.ok()) {
    auto again = Fields::parse(fields->to_string());
    if (!again.ok() || again->matches(Pairs(pairs)) != fields->matches(Pairs(pairs))) std::abort();
  }
  return 0;
}
