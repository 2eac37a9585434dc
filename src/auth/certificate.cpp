#include "certificate.h"

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <ctime>

namespace knarr::auth {

namespace {

void add_name(X509_NAME* name, const char* field, const std::string& value) {
  X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                             static_cast<int>(value.size()), -1, 0);
}

// The day of this build, from the compiler: "Nov 21 2026".
time_t build_day() {
  tm parts{};
  if (!strptime(__DATE__, "%b %d %Y", &parts)) return 0;
  return timegm(&parts);
}

WallTime to_wall(const ASN1_TIME* time) {
  tm parts{};
  if (!ASN1_TIME_to_tm(time, &parts)) return {};
  return WallTime(seconds(timegm(&parts)));
}

}  // namespace

time_t trusted_now(const Clock& clock) {
  return std::max(std::chrono::system_clock::to_time_t(
                      std::chrono::time_point_cast<std::chrono::system_clock::duration>(clock.wall())),
                  build_day());
}

Result<std::string> to_pem(X509* cert) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!PEM_write_bio_X509(bio.get(), cert)) return openssl_error("encode certificate");
  return bio_text(bio.get());
}

Result<std::string> to_pem(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr))
    return openssl_error("encode key");
  return bio_text(bio.get());
}

Result<X509Ptr> certificate_from(const std::string& pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509Ptr cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!cert) return openssl_error("read certificate");
  return cert;
}

Result<KeyPtr> key_from(const std::string& pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) return openssl_error("read private key");
  return key;
}

Result<KeyPtr> make_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make a key");
  return key;
}

Result<X509Ptr> make_certificate(const CertificateSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                                 CertificateUse use, const Clock& clock) {
  const bool authority = use != CertificateUse::kLeaf;
  X509Ptr cert(X509_new());
  X509_set_version(cert.get(), 2);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_error("make a serial number");
  serial[0] &= 0x7f;  // RFC 5280: positive
  BignumPtr number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get()));

  ASN1_TIME_set(X509_getm_notBefore(cert.get()), 0);
  if (use == CertificateUse::kAuthority) {
    ASN1_TIME_set_string(X509_getm_notAfter(cert.get()), "99991231235959Z");
  } else {
    ASN1_TIME_set(X509_getm_notAfter(cert.get()), trusted_now(clock) + static_cast<time_t>(spec.days) * 86400);
  }

  X509_NAME* subject = X509_get_subject_name(cert.get());
  for (const auto& organization : spec.organizations) add_name(subject, "O", organization);
  add_name(subject, "CN", spec.common_name);
  X509* signer = issuer ? issuer : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  X509_set_pubkey(cert.get(), key);

  auto* c = cert.get();
  KNARR_RETURN_IF_ERROR(
      add_extension(c, signer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE"));
  KNARR_RETURN_IF_ERROR(
      add_extension(c, signer, NID_key_usage,
                    authority ? "critical,keyCertSign,cRLSign,digitalSignature" : "critical,digitalSignature"));
  KNARR_RETURN_IF_ERROR(add_extension(c, signer, NID_subject_key_identifier, "hash"));
  KNARR_RETURN_IF_ERROR(add_extension(c, signer, NID_authority_key_identifier, "keyid:always"));
  if (spec.server || spec.client) {
    std::string usage = spec.server ? (spec.client ? "serverAuth,clientAuth" : "serverAuth") : "clientAuth";
    KNARR_RETURN_IF_ERROR(add_extension(c, signer, NID_ext_key_usage, usage));
  }
  std::vector<std::string> names;
  for (const auto& name : spec.dns_names) names.push_back("DNS:" + name);
  for (const auto& address : spec.ip_addresses) names.push_back("IP:" + address);
  if (!names.empty()) {
    KNARR_RETURN_IF_ERROR(add_extension(c, signer, NID_subject_alt_name, fmt::format("{}", fmt::join(names, ","))));
  }
  if (!X509_sign(cert.get(), issuer_key, EVP_sha256())) return openssl_error("sign certificate");
  return cert;
}

Result<CertificateInfo> read_certificate(const std::string& pem) {
  KNARR_ASSIGN(X509Ptr cert, certificate_from(pem));
  CertificateInfo info;
  X509_NAME* subject = X509_get_subject_name(cert.get());
  if (auto names = name_entries(subject, NID_commonName); !names.empty()) info.common_name = names.back();
  info.organizations = name_entries(subject, NID_organizationName);
  if (auto names = name_entries(X509_get_issuer_name(cert.get()), NID_commonName); !names.empty()) info.issuer = names.back();
  info.not_before = to_wall(X509_get0_notBefore(cert.get()));
  info.not_after = to_wall(X509_get0_notAfter(cert.get()));
  NamesPtr names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      info.dns_names.push_back(asn1_text(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      info.ip_addresses.push_back(address_text(name->d.iPAddress));
    }
  }
  return info;
}

std::vector<std::string> split_certificates(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  std::vector<std::string> out;
  for (;;) {
    const size_t begin = pem.find(kBegin), end = begin == pem.npos ? begin : pem.find(kEnd, begin);
    if (end == pem.npos) return out;
    out.push_back(std::string(pem.substr(begin, end + kEnd.size() - begin)) + "\n");
    pem.remove_prefix(end + kEnd.size());
  }
}

}  // namespace knarr::auth
