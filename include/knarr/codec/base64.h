// Base64 (RFC 4648): standard with padding, as in JSON bytes, and URL-safe without, as in tokens.
#pragma once

#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr::base64 {

std::string encode(std::string_view bytes);
std::string encode_url(std::string_view bytes);

// Strict, but for line breaks, which decode() skips as Go does. Error: BadRequest "illegal base64 data at input byte
// N".
Result<std::string> decode(std::string_view text);
Result<std::string> decode_url(std::string_view text);  // without padding

}  // namespace knarr::base64
