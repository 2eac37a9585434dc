// Digests, for what is to be recognised again. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace knarr::auth {

std::string sha256(std::string_view text);  // 32 bytes

}  // namespace knarr::auth
