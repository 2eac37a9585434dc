#include "schema/field_errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/json.h"

namespace knarr::schema {

namespace {

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

}  // namespace

void FieldErrors::add(std::string_view reason, const Path& path, std::string message, std::string_view detail) {
  if (!detail.empty()) message.append(": ").append(detail);
  causes_.push_back({std::string(reason), std::move(message), path.text()});
}

void FieldErrors::required(const Path& path, std::string_view detail) { add("FieldValueRequired", path, "Required value", detail); }
void FieldErrors::forbidden(const Path& path, std::string_view detail) { add("FieldValueForbidden", path, "Forbidden", detail); }
void FieldErrors::not_found(const Path& path, std::string_view value, std::string_view detail) {
  add("FieldValueNotFound", path, "Not found: " + quoted(value), detail);
}
void FieldErrors::duplicate(const Path& path, std::string_view value, std::string_view detail) {
  duplicate_json(path, quoted(value), detail);
}
void FieldErrors::duplicate_json(const Path& path, std::string_view json, std::string_view detail) {
  add("FieldValueDuplicate", path, fmt::format("Duplicate value: {}", json), detail);
}
void FieldErrors::too_long(const Path& path, size_t max_bytes) {
  add("FieldValueTooLong", path, "Too long", fmt::format("may not be more than {} {}", max_bytes, max_bytes == 1 ? "byte" : "bytes"));
}
void FieldErrors::too_many(const Path& path, size_t actual, size_t max) {
  add("FieldValueTooMany", path, fmt::format("Too many: {}", actual), fmt::format("must have at most {} {}", max, max == 1 ? "item" : "items"));
}
void FieldErrors::unsupported(const Path& path, std::string_view value, Words supported) { unsupported_json(path, quoted(value), supported); }
void FieldErrors::unsupported_json(const Path& path, std::string_view json, Words supported) {
  std::string values;
  for (std::string_view word : supported) values.append(values.empty() ? "" : ", ").append(quoted(word));
  add("FieldValueNotSupported", path, fmt::format("Unsupported value: {}", json), values.empty() ? "" : "supported values: " + values);
}

void FieldErrors::invalid_json(const Path& path, std::string_view json, std::string_view detail) {
  add("FieldValueInvalid", path, fmt::format("Invalid value: {}", json), detail);
}
void FieldErrors::invalid(const Path& path, NoValue, std::string_view detail) { add("FieldValueInvalid", path, "Invalid value", detail); }
void FieldErrors::invalid(const Path& path, std::string_view value, std::string_view detail) { invalid_json(path, quoted(value), detail); }
void FieldErrors::invalid(const Path& path, int64_t value, std::string_view detail) { invalid_json(path, std::to_string(value), detail); }
void FieldErrors::invalid(const Path& path, bool value, std::string_view detail) { invalid_json(path, value ? "true" : "false", detail); }
void FieldErrors::invalid(const Path& path, std::string_view value, const Problems& problems) {
  for (const std::string& problem : problems) invalid(path, value, problem);
}
void FieldErrors::invalid(const Path& path, int64_t value, const Problems& problems) {
  for (const std::string& problem : problems) invalid(path, value, problem);
}

void FieldErrors::non_negative(const Path& path, int64_t value) {
  if (value < 0) invalid(path, value, "must be greater than or equal to 0");
}

bool FieldErrors::one_of(const Path& path, std::string_view value, Words supported) {
  if (std::find(supported.begin(), supported.end(), value) != supported.end()) return true;
  unsupported(path, value, supported);
  return false;
}

}  // namespace knarr::schema
