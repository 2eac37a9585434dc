#include "knarr/auth/csr.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <optional>

#include "certificate.h"

namespace knarr::auth {

namespace {

using RequestPtr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;
constexpr std::chrono::minutes kBackdate{5};
constexpr std::chrono::hours kShort{8};  // what lives for less ends when it was asked to, whatever its beginning

struct ExtensionsDeleter {
  void operator()(STACK_OF(X509_EXTENSION) * extensions) const {
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
};
using ExtensionsPtr = std::unique_ptr<STACK_OF(X509_EXTENSION), ExtensionsDeleter>;

// The first block of a PEM text, or of what is left of it.
struct Block {
  std::string type, headers, bytes;
};

std::optional<Block> next_block(BIO* text) {
  char *type = nullptr, *headers = nullptr;
  unsigned char* bytes = nullptr;
  long size = 0;
  if (PEM_read_bio(text, &type, &headers, &bytes, &size) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  Block block{type, headers, std::string(reinterpret_cast<char*>(bytes), static_cast<size_t>(size))};
  OPENSSL_free(type);
  OPENSSL_free(headers);
  OPENSSL_free(bytes);
  return block;
}

Result<RequestPtr> request_from(const std::string& pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::optional<Block> block = next_block(bio.get());
  if (!block || block->type != "CERTIFICATE REQUEST") return bad_request("PEM block type must be CERTIFICATE REQUEST");
  const auto* bytes = reinterpret_cast<const unsigned char*>(block->bytes.data());
  RequestPtr request(d2i_X509_REQ(nullptr, &bytes, static_cast<long>(block->bytes.size())));
  if (!request) {
    ERR_clear_error();
    return bad_request("asn1: syntax error: data truncated");
  }
  return request;
}

bool is_signed(X509_REQ* request) {
  EVP_PKEY* key = X509_REQ_get0_pubkey(request);
  if (key && X509_REQ_verify(request, key) == 1) return true;
  ERR_clear_error();
  return false;
}

// The extension that the request asks for; null: it does not.
X509_EXTENSION* asked_extension(STACK_OF(X509_EXTENSION) * extensions, int nid) {
  const int at = extensions ? X509v3_get_ext_by_NID(extensions, nid, -1) : -1;
  return at < 0 ? nullptr : sk_X509_EXTENSION_value(extensions, at);
}

struct Usage {
  std::string_view name;
  const char* key;       // keyUsage of RFC 5280, or null
  const char* extended;  // extendedKeyUsage, or null
};
constexpr std::array<Usage, 22> kUsages = {{
    {"signing", "digitalSignature", nullptr},
    {"digital signature", "digitalSignature", nullptr},
    {"content commitment", "nonRepudiation", nullptr},
    {"key encipherment", "keyEncipherment", nullptr},
    {"key agreement", "keyAgreement", nullptr},
    {"data encipherment", "dataEncipherment", nullptr},
    {"cert sign", "keyCertSign", nullptr},
    {"crl sign", "cRLSign", nullptr},
    {"encipher only", "encipherOnly", nullptr},
    {"decipher only", "decipherOnly", nullptr},
    {"any", nullptr, "anyExtendedKeyUsage"},
    {"server auth", nullptr, "serverAuth"},
    {"client auth", nullptr, "clientAuth"},
    {"code signing", nullptr, "codeSigning"},
    {"email protection", nullptr, "emailProtection"},
    {"s/mime", nullptr, "emailProtection"},
    {"ipsec end system", nullptr, "1.3.6.1.5.5.7.3.5"},
    {"ipsec tunnel", nullptr, "1.3.6.1.5.5.7.3.6"},
    {"ipsec user", nullptr, "1.3.6.1.5.5.7.3.7"},
    {"timestamping", nullptr, "timeStamping"},
    {"ocsp signing", nullptr, "OCSPSigning"},
    {"microsoft sgc", nullptr, "msSGC"},
}};

Status add_usages(X509* certificate, X509* issuer, const std::vector<std::string>& usages) {
  std::vector<std::string_view> keys, extended;
  for (const std::string& name : usages) {
    const auto usage =
        std::find_if(kUsages.begin(), kUsages.end(), [&](const Usage& known) { return known.name == name; });
    if (usage == kUsages.end()) return bad_request(fmt::format("unrecognized usage values: [\"{}\"]", name));
    auto& list = usage->key ? keys : extended;
    const std::string_view value = usage->key ? usage->key : usage->extended;
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  }
  if (!keys.empty())
    KNARR_RETURN_IF_ERROR(
        add_extension(certificate, issuer, NID_key_usage, fmt::format("critical,{}", fmt::join(keys, ","))));
  if (!extended.empty())
    KNARR_RETURN_IF_ERROR(
        add_extension(certificate, issuer, NID_ext_key_usage, fmt::format("{}", fmt::join(extended, ","))));
  return {};
}

time_t unix_time(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<CertificateRequest> read_certificate_request(const std::string& pem) {
  KNARR_ASSIGN(const RequestPtr request, request_from(pem));
  CertificateRequest out;
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  if (auto names = name_entries(subject, NID_commonName); !names.empty()) out.common_name = names.back();
  out.organizations = name_entries(subject, NID_organizationName);
  const ExtensionsPtr extensions(X509_REQ_get_extensions(request.get()));
  X509_EXTENSION* extension = asked_extension(extensions.get(), NID_subject_alt_name);
  const NamesPtr names(extension ? static_cast<GENERAL_NAMES*>(X509V3_EXT_d2i(extension)) : nullptr);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) out.dns_names.push_back(asn1_text(name->d.dNSName));
    if (name->type == GEN_EMAIL) out.email_addresses.push_back(asn1_text(name->d.rfc822Name));
    if (name->type == GEN_URI) out.uris.push_back(asn1_text(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) out.ip_addresses.push_back(address_text(name->d.iPAddress));
  }
  return out;
}

Status check_certificate_request(const std::string& pem) {
  KNARR_ASSIGN(const RequestPtr request, request_from(pem));
  if (is_signed(request.get())) return {};
  const EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  switch (key ? EVP_PKEY_base_id(key) : EVP_PKEY_NONE) {
    case EVP_PKEY_EC:
      return bad_request("x509: ECDSA verification failure");
    case EVP_PKEY_ED25519:
      return bad_request("x509: Ed25519 verification failure");
    case EVP_PKEY_RSA:
      return bad_request("crypto/rsa: verification error");
    default:
      return bad_request("x509: cannot verify signature: algorithm unimplemented");
  }
}

Status check_certificates(const std::string& pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int blocks = 0;
  for (; const std::optional<Block> block = next_block(bio.get()); ++blocks) {
    if (block->type != "CERTIFICATE")
      return bad_request(fmt::format("only CERTIFICATE PEM blocks are allowed, found \"{}\"", block->type));
    if (!block->headers.empty()) return bad_request("no PEM block headers are permitted");
    const auto *bytes = reinterpret_cast<const unsigned char*>(block->bytes.data()), *end = bytes + block->bytes.size();
    if (bytes == end) return bad_request("found CERTIFICATE PEM block containing 0 certificates");
    while (bytes < end) {
      const X509Ptr certificate(d2i_X509(nullptr, &bytes, end - bytes));
      if (certificate) continue;
      ERR_clear_error();
      return bad_request("x509: malformed certificate");
    }
  }
  return blocks == 0 ? bad_request("must contain at least one CERTIFICATE PEM block") : Status::OK();
}

Result<std::string> CertificateAuthority::sign(const std::string& request_pem, const SigningPolicy& policy) const {
  KNARR_ASSIGN(const RequestPtr request, request_from(request_pem));
  EVP_PKEY* public_key = X509_REQ_get0_pubkey(request.get());
  if (!is_signed(request.get())) return bad_request("unable to verify certificate request signature");
  const auto now = material();
  KNARR_ASSIGN(const X509Ptr issuer, certificate_from(now->certificate));
  KNARR_ASSIGN(const KeyPtr key, key_from(now->key));

  const X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_error("make a serial number");
  serial[0] &= 0x7f;  // RFC 5280: positive
  const BignumPtr number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  const auto end = policy.now + policy.lifetime - (policy.lifetime < kShort ? std::chrono::minutes(0) : kBackdate);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), unix_time(policy.now - kBackdate));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), unix_time(end));
  if (ASN1_TIME_compare(X509_get0_notAfter(certificate.get()), X509_get0_notAfter(issuer.get())) > 0)
    X509_set1_notAfter(certificate.get(), X509_get0_notAfter(issuer.get()));
  X509_set_subject_name(certificate.get(), X509_REQ_get_subject_name(request.get()));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  X509_set_pubkey(certificate.get(), public_key);

  KNARR_RETURN_IF_ERROR(add_usages(certificate.get(), issuer.get(), policy.usages));
  KNARR_RETURN_IF_ERROR(add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  KNARR_RETURN_IF_ERROR(add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid:always"));
  const ExtensionsPtr asked(X509_REQ_get_extensions(request.get()));
  if (X509_EXTENSION* names = asked_extension(asked.get(), NID_subject_alt_name);
      names && !X509_add_ext(certificate.get(), names, -1))
    return openssl_error("copy the alternative names");
  if (!X509_sign(certificate.get(), key.get(), EVP_sha256())) return openssl_error("sign the certificate");
  return to_pem(certificate.get());
}

}  // namespace knarr::auth
