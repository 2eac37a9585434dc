// How one text became another, as error messages of upstream show it; private to the module.
#pragma once

#include <string>
#include <string_view>

namespace knarr::schema {

// Unified, with three lines around each change and no header. For texts of some hundred lines.
std::string text_diff(std::string_view before, std::string_view after);

}  // namespace knarr::schema
