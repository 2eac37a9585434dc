// A value that is either a number or a text, such as a target port or maxUnavailable.
#pragma once

#include <cstdint>
#include <string>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"

namespace knarr {

struct IntOrString {
  bool is_int = true;
  int32_t number = 0;
  std::string text;

  IntOrString() = default;
  IntOrString(int32_t n) : number(n) {}                              // NOLINT: implicit by intent
  IntOrString(std::string t) : is_int(false), text(std::move(t)) {}  // NOLINT

  bool operator==(const IntOrString&) const = default;
  std::string to_string() const { return is_int ? std::to_string(number) : text; }

  static IntOrString from_json(const json::Value& value);  // 0 where it is neither
  json::Value to_json(json::Allocator& alloc) const;

  // The number, or the percentage of `total` that the text says, rounded up or down. Error: BadRequest.
  Result<int> scaled(int total, bool round_up) const;
};

}  // namespace knarr
