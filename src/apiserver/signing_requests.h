// Who decides about a CertificateSigningRequest: its endpoints approval and status each change a part of its own.
#pragma once

#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"

namespace knarr::apiserver {

// Adds what an endpoint may not do (only approval adds decisions, and what was issued once stays), and what is wrong
// with the request for the certificate and with what was issued. `old` is null on create.
void validate_signing_request(std::string_view subresource, const json::Value& request, const json::Value* old,
                              std::vector<Cause>& causes);

}  // namespace knarr::apiserver
