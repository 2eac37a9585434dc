// A CRD's schema and an object of it, one a line: the rules for schemas, then everything that a schema does to an object.
#include <cstdint>
#include <string_view>

#include "knarr/codec/json.h"
#include "schema/structural.h"
#include "schema/validate_crd.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  const auto schema = json::parse(text.substr(0, line));
  auto value = json::parse(line == std::string_view::npos ? "{}" : text.substr(line + 1));
  if (!schema.ok() || !schema->IsObject()) return 0;
  schema::FieldErrors errors;
  schema::crd::root_schema(*schema, true, schema::Path("schema"), errors);
  const auto structural = schema::Structural::read(*schema);
  if (!structural || !value.ok()) return 0;
  std::vector<std::string> unknown;
  std::vector<Cause> causes;
  schema::structural::prune(*value, structural.get(), true, &unknown);
  schema::structural::drop_nulls(*value, structural.get());
  schema::structural::apply_defaults(*value, structural.get(), value->GetAllocator());
  schema::structural::validate_values(*value, nullptr, *structural, "", causes);
  schema::structural::validate_lists(*value, structural.get(), "", causes);
  schema::structural::validate_embedded(*value, structural.get(), true, "", causes);
  return 0;
}
