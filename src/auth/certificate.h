// Certificates and keys as OpenSSL has them, for the files of this module that make and read them.
#pragma once

#include "knarr/auth/pki.h"
#include "openssl.h"

namespace knarr::auth {

Result<std::string> to_pem(X509* certificate);
Result<std::string> to_pem(EVP_PKEY* key);
Result<X509Ptr> certificate_from(const std::string& pem);  // the first one
Result<KeyPtr> key_from(const std::string& pem);
Result<KeyPtr> make_key();

// kVoucher: of an authority, by another one.
enum class CertificateUse { kLeaf, kAuthority, kVoucher };
// Signed by `issuer`; null: by itself. An authority's ends never, the others after the days of `spec`.
Result<X509Ptr> make_certificate(const CertificateSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                                 CertificateUse use, const Clock& clock);

// The clock, or the day this knarr was built where that is later. Seconds since 1970.
time_t trusted_now(const Clock& clock);

}  // namespace knarr::auth
