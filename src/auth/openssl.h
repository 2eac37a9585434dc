// Owners and errors of OpenSSL's objects, for the files of this module that use it.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/status.h"

namespace knarr::auth {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using X509Ptr = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, OpensslDeleter<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, OpensslDeleter<GENERAL_NAMES_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, OpensslDeleter<BN_free>>;

// What OpenSSL says went wrong, behind what was tried; its error queue is empty afterwards.
Status openssl_error(std::string_view what);
std::string bio_text(BIO* bio);

std::string asn1_text(const ASN1_STRING* text);  // as UTF-8; "" when it is none
std::string address_text(const ASN1_OCTET_STRING* address);
std::vector<std::string> name_entries(X509_NAME* name, int nid);  // CN, O, ... of a subject
// `value` as OpenSSL's configuration files write it.
Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value);

}  // namespace knarr::auth
