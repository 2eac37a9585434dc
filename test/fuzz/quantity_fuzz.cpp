// Quantities, times and durations: what is read is written in a form that reads back as the same value.
#include <cstdint>
#include <cstdlib>

#include "knarr/codec/base64.h"
#include "knarr/codec/names.h"
#include "knarr/codec/quantity.h"
#include "knarr/codec/time.h"

using namespace knarr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto amount = Quantity::parse(text); amount.ok()) {
    auto again = Quantity::parse(amount->to_string());
    if (!again.ok() || *again != *amount || again->to_string() != amount->to_string()) std::abort();
    (void)(*amount + *again).to_string();
    (void)(*amount - *again).milli_value();
  }
  if (auto time = parse_time(text); time.ok()) {
    auto again = parse_micro_time(format_micro_time(*time));
    if (again.ok() && *again != *time) std::abort();
  }
  if (auto duration = parse_duration(text); duration.ok()) {
    auto again = parse_duration(format_duration(*duration));
    if (!again.ok() || *again != *duration) std::abort();
  }
  if (auto bytes = base64::decode(text); bytes.ok()) {
    auto again = base64::decode(base64::encode(*bytes));
    if (!again.ok() || *again != *bytes) std::abort();
  }
  if (base64::decode_url(base64::encode_url(text)).value_or("x") != text) std::abort();
  (void)names::qualified_name(text);
  (void)names::dns1123_subdomain(text);
  (void)names::cidr(text);
  if (names::ip(text, true).empty() && names::canonical_ip(text) != text) std::abort();
  return 0;
}
