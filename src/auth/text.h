// How messages show lists.
#pragma once

#include <span>
#include <string>

#include "knarr/codec/json.h"

namespace knarr::auth {

// Go's %q of a list of strings: ["a" "b"].
inline std::string quoted_list(std::span<const std::string> items) {
  std::string out = "[";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ' ';
    json::append_quoted(out, item);
  }
  return out += ']';
}

}  // namespace knarr::auth
