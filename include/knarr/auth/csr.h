// Certificate signing requests (PKCS #10, RFC 2986): what they ask for, and the certificates that a cluster's authority
// makes of them (CertificateAuthority::sign).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::auth {

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, ip_addresses, email_addresses, uris;
};

// From PEM. Error: BadRequest with what is wrong, worded as upstream's.
Result<CertificateRequest> read_certificate_request(const std::string& pem);

// Whether it is one, signed with the key that it is about. Error: BadRequest in Go's words.
Status check_certificate_request(const std::string& pem);
// Whether it is nothing but certificates, at least one. Error: BadRequest in Go's words.
Status check_certificates(const std::string& pem);

struct SigningPolicy {
  std::vector<std::string> usages;  // as in CertificateSigningRequest.spec.usages
  std::chrono::seconds lifetime{};
  WallTime now{};
};

}  // namespace knarr::auth
