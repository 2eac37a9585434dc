#include "knarr/auth/pki.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "knarr/codec/base64.h"
#include "knarr/linux/tree.h"
#include "openssl.h"

namespace knarr::auth {

namespace {


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

time_t trusted_now(const Clock& clock) {
  return std::max(std::chrono::system_clock::to_time_t(
                      std::chrono::time_point_cast<std::chrono::system_clock::duration>(clock.wall())),
                  build_day());
}

Result<X509Ptr> make_certificate(const CertificateSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                                 bool authority, const Clock& clock) {
  X509Ptr cert(X509_new());
  X509_set_version(cert.get(), 2);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_error("make a serial number");
  serial[0] &= 0x7f;  // RFC 5280: positive
  BignumPtr number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get()));

  ASN1_TIME_set(X509_getm_notBefore(cert.get()), 0);
  if (authority) {
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

WallTime to_wall(const ASN1_TIME* time) {
  tm parts{};
  if (!ASN1_TIME_to_tm(time, &parts)) return {};
  return WallTime(seconds(timegm(&parts)));
}

// Says `have` everything that `spec` wants (order aside), and is it good for another third of its days?
bool still_good(const CertificateInfo& have, const CertificateSpec& spec, const Clock& clock) {
  auto same = [](std::vector<std::string> a, std::vector<std::string> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
  };
  auto left = have.not_after - WallTime(seconds(trusted_now(clock)));
  return have.common_name == spec.common_name && same(have.organizations, spec.organizations) &&
         same(have.dns_names, spec.dns_names) && same(have.ip_addresses, spec.ip_addresses) &&
         left > std::chrono::hours(24 * spec.days / 3);
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<CertificateInfo> read_certificate(const std::string& pem) {
  KNARR_ASSIGN(X509Ptr cert, certificate_from(pem));
  CertificateInfo info;
  X509_NAME* subject = X509_get_subject_name(cert.get());
  if (auto names = name_entries(subject, NID_commonName); !names.empty()) info.common_name = names.back();
  info.organizations = name_entries(subject, NID_organizationName);
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

Result<CertificateAuthority> CertificateAuthority::load_or_create(const std::string& directory,
                                                                  const std::string& common_name) {
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory, 0700));
  CertificateAuthority authority;
  authority.directory_ = directory;
  std::string cert_file = directory + "/ca.crt", key_file = directory + "/ca.key";
  if (exists(cert_file) && !exists(key_file)) {
    return internal_error(fmt::format(
        "certificate authority in {}: ca.crt is there, ca.key is not; restore it from a backup, or remove ca.crt "
        "to start a new authority (every client certificate must then be made anew)",
        directory));
  }
  if (exists(cert_file)) {
    KNARR_ASSIGN(authority.certificate_pem_, linux::read_file(cert_file));
    KNARR_ASSIGN(authority.key_pem_, linux::read_file(key_file));
    KNARR_ASSIGN(X509Ptr cert, certificate_from(authority.certificate_pem_));
    KNARR_ASSIGN(KeyPtr key, key_from(authority.key_pem_));
    if (X509_check_private_key(cert.get(), key.get()) != 1) {
      ERR_clear_error();
      return internal_error(fmt::format("certificate authority in {}: ca.key is not the key of ca.crt", directory));
    }
    return authority;
  }
  // A key without its certificate is what a crash between the two writes below leaves: the certificate is made again
  // from it.
  KeyPtr key;
  if (exists(key_file)) {
    KNARR_ASSIGN(std::string pem, linux::read_file(key_file));
    KNARR_ASSIGN(key, key_from(pem));
  } else {
    key.reset(EVP_EC_gen("P-256"));
    if (!key) return openssl_error("make the authority's key");
  }
  KNARR_ASSIGN(X509Ptr cert,
               make_certificate({.common_name = common_name}, key.get(), nullptr, key.get(), true, Clock::system()));
  KNARR_ASSIGN(authority.certificate_pem_, to_pem(cert.get()));
  KNARR_ASSIGN(authority.key_pem_, to_pem(key.get()));
  KNARR_RETURN_IF_ERROR(linux::replace_file(key_file, authority.key_pem_, 0600));
  KNARR_RETURN_IF_ERROR(linux::replace_file(cert_file, authority.certificate_pem_, 0644));
  return authority;
}

Result<KeyPair> CertificateAuthority::issue(const CertificateSpec& spec, const Clock& clock) const {
  KNARR_ASSIGN(X509Ptr issuer, certificate_from(certificate_pem_));
  KNARR_ASSIGN(KeyPtr issuer_key, key_from(key_pem_));
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make a key");
  KNARR_ASSIGN(X509Ptr cert, make_certificate(spec, key.get(), issuer.get(), issuer_key.get(), false, clock));
  KeyPair pair;
  KNARR_ASSIGN(pair.certificate_pem, to_pem(cert.get()));
  KNARR_ASSIGN(pair.key_pem, to_pem(key.get()));
  return pair;
}

Result<bool> CertificateAuthority::ensure(const std::string& name, const CertificateSpec& spec,
                                          const Clock& clock) const {
  return ensure_in(directory_, name, spec, clock);
}

Result<bool> CertificateAuthority::ensure_in(const std::string& directory, const std::string& name,
                                             const CertificateSpec& spec, const Clock& clock) const {
  std::string cert_file = fmt::format("{}/{}.crt", directory, name),
              key_file = fmt::format("{}/{}.key", directory, name);
  if (exists(cert_file) && exists(key_file)) {
    auto pem = linux::read_file(cert_file);
    auto info = pem.ok() ? read_certificate(*pem) : Result<CertificateInfo>(pem.status());
    auto cert = pem.ok() ? certificate_from(*pem) : Result<X509Ptr>(pem.status());
    KNARR_ASSIGN(KeyPtr authority_key, key_from(key_pem_));
    if (info.ok() && cert.ok() && still_good(*info, spec, clock) && X509_verify(cert->get(), authority_key.get()) == 1)
      return false;
    ERR_clear_error();
  }
  KNARR_ASSIGN(KeyPair pair, issue(spec, clock));
  KNARR_RETURN_IF_ERROR(linux::replace_file(key_file, pair.key_pem, 0600));
  KNARR_RETURN_IF_ERROR(linux::replace_file(cert_file, pair.certificate_pem, 0644));
  return true;
}

std::string kubeconfig(const std::string& cluster, const std::string& server_url, const std::string& ca_pem,
                       const std::string& user, const KeyPair& credentials) {
  return fmt::format(R"(apiVersion: v1
kind: Config
clusters:
- name: {0}
  cluster:
    server: {1}
    certificate-authority-data: {2}
users:
- name: {3}
  user:
    client-certificate-data: {4}
    client-key-data: {5}
contexts:
- name: {0}
  context:
    cluster: {0}
    user: {3}
current-context: {0}
)",
                     cluster, server_url, base64::encode(ca_pem), user, base64::encode(credentials.certificate_pem),
                     base64::encode(credentials.key_pem));
}

}  // namespace knarr::auth
