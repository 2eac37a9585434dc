// What reading a client's object tells besides the object. Rest::Impl::decode and check_document are in rest_decode.cpp, too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/apiserver/rest.h"

namespace knarr::apiserver {

// Unknown and duplicate fields, as the strict decoder words them.
std::vector<std::string> strict_errors(std::string_view text, const std::vector<std::string>& unknown);
// Warnings for the client, of which there is a bounded number.
void add_warnings(RequestContext& context, const std::vector<std::string>& warnings);

}  // namespace knarr::apiserver
