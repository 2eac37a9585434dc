#include "knarr/auth/pki.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "certificate.h"
#include "knarr/auth/hash.h"
#include "knarr/codec/base64.h"
#include "knarr/linux/file_set.h"
#include "knarr/linux/tree.h"

namespace knarr::auth {

namespace {

constexpr std::string_view kCertificates = "ca.crt", kKey = "ca.key", kOtherKey = "ca-other.key", kChain = "ca-chain.crt";

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

Result<std::string> read_if_there(const std::string& path) {
  return exists(path) ? linux::read_file(path) : Result<std::string>(std::string());
}

bool belong_together(const std::string& certificate_pem, const std::string& key_pem) {
  const auto certificate = certificate_from(certificate_pem);
  const auto key = key_from(key_pem);
  const bool good = certificate.ok() && key.ok() && X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  return good;
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

CertificateSpec named(std::string common_name) {
  CertificateSpec spec;
  spec.common_name = std::move(common_name);
  return spec;
}

Result<KeyPair> make_authority(const std::string& common_name, KeyPtr key, const Clock& clock) {
  KNARR_ASSIGN(X509Ptr cert,
               make_certificate(named(common_name), key.get(), nullptr, key.get(), CertificateUse::kAuthority, clock));
  KeyPair pair;
  KNARR_ASSIGN(pair.certificate_pem, to_pem(cert.get()));
  KNARR_ASSIGN(pair.key_pem, to_pem(key.get()));
  return pair;
}

// A certificate of `subject` by `issuer`, for a year: whoever trusts this one trusts what that one signs.
Result<std::string> vouch(const KeyPair& subject, const KeyPair& issuer, const Clock& clock) {
  KNARR_ASSIGN(const CertificateInfo info, read_certificate(subject.certificate_pem));
  KNARR_ASSIGN(const KeyPtr key, key_from(subject.key_pem));
  KNARR_ASSIGN(const X509Ptr issuer_certificate, certificate_from(issuer.certificate_pem));
  KNARR_ASSIGN(const KeyPtr issuer_key, key_from(issuer.key_pem));
  KNARR_ASSIGN(const X509Ptr cert, make_certificate(named(info.common_name), key.get(), issuer_certificate.get(),
                                                    issuer_key.get(), CertificateUse::kVoucher, clock));
  return to_pem(cert.get());
}

}  // namespace

std::string authority_id(std::string_view bundle_pem) {
  std::string id;
  for (const unsigned char byte : sha256(bundle_pem).substr(0, 8)) id += fmt::format("{:02x}", byte);
  return id;
}

Result<CertificateAuthority> CertificateAuthority::load_or_create(const std::string& directory,
                                                                  const std::string& common_name) {
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory, 0700));
  KNARR_RETURN_IF_ERROR(linux::finish_replacing(directory));
  const std::string cert_file = fmt::format("{}/{}", directory, kCertificates);
  const std::string key_file = fmt::format("{}/{}", directory, kKey);
  CertificateAuthority authority(directory);
  if (!exists(cert_file)) {
    // A key without its certificate is what a crash between the two writes below leaves: the certificate is made again
    // from it.
    KNARR_ASSIGN(const std::string known, read_if_there(key_file));
    KNARR_ASSIGN(KeyPtr key, known.empty() ? make_key() : key_from(known));
    KNARR_ASSIGN(const KeyPair made, make_authority(common_name, std::move(key), Clock::system()));
    KNARR_RETURN_IF_ERROR(linux::replace_file(key_file, made.key_pem, 0600));
    KNARR_RETURN_IF_ERROR(linux::replace_file(cert_file, made.certificate_pem, 0644));
  }
  KNARR_RETURN_IF_ERROR(authority.read());
  return authority;
}

Result<CertificateAuthority> CertificateAuthority::load(const std::string& directory) {
  CertificateAuthority authority(directory);
  KNARR_RETURN_IF_ERROR(authority.read());
  return authority;
}

Status CertificateAuthority::read() {
  const auto path = [&](std::string_view name) { return fmt::format("{}/{}", directory_, name); };
  if (exists(path(kCertificates)) && !exists(path(kKey))) {
    return internal_error(fmt::format(
        "certificate authority in {}: ca.crt is there, ca.key is not; restore it from a backup, or remove ca.crt "
        "to start a new authority (every client certificate must then be made anew)",
        directory_));
  }
  KNARR_ASSIGN(const std::string bundle, linux::read_file(path(kCertificates)));
  Material found;
  KNARR_ASSIGN(found.key, linux::read_file(path(kKey)));
  KNARR_ASSIGN(found.other_key, read_if_there(path(kOtherKey)));
  KNARR_ASSIGN(found.chain, read_if_there(path(kChain)));
  const auto certificates = split_certificates(bundle);
  const auto damaged = [&](std::string_view what) {
    return internal_error(fmt::format("certificate authority in {}: {}", directory_, what));
  };
  if (certificates.empty()) return damaged("there is no certificate in ca.crt");
  if (!belong_together(certificates[0], found.key)) return damaged("ca.key is not the key of ca.crt");
  found.certificate = certificates[0];
  if (!found.other_key.empty()) {
    if (certificates.size() < 2 || !belong_together(certificates[1], found.other_key))
      return damaged("ca-other.key is not the key of the second certificate in ca.crt");
    found.other_certificate = certificates[1];
  }
  Lock lock(shared_->mutex);
  shared_->material = std::make_shared<const Material>(std::move(found));
  return {};
}

std::shared_ptr<const CertificateAuthority::Material> CertificateAuthority::material() const {
  Lock lock(shared_->mutex);
  return shared_->material;
}

std::string CertificateAuthority::certificate_pem() const { return material()->certificate; }
std::string CertificateAuthority::trusted_pem() const {
  const auto now = material();
  return now->certificate + now->other_certificate;
}
bool CertificateAuthority::rotating() const { return !material()->other_certificate.empty(); }
bool CertificateAuthority::turning_back() const {
  const auto now = material();
  return !now->other_certificate.empty() && now->chain.empty();
}

CertificateAuthority::Signer CertificateAuthority::signer_of(const Material& material, const CertificateSpec& spec) {
  // The one that signs is vouched for by the older one, but where it is that itself.
  if (spec.by_older && !material.chain.empty()) return {material.other_certificate, material.other_key, {}};
  return {material.certificate, material.key, material.chain};
}

Status CertificateAuthority::change_to(Material next) {
  const auto or_gone = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
  const linux::FileChange changes[] = {{std::string(kKey), next.key, 0600},
                                       {std::string(kOtherKey), or_gone(next.other_key), 0600},
                                       {std::string(kChain), or_gone(next.chain), 0644},
                                       {std::string(kCertificates), next.certificate + next.other_certificate, 0644}};
  KNARR_RETURN_IF_ERROR(linux::replace_files(directory_, changes).with_context("change the certificate authority"));
  Lock lock(shared_->mutex);
  shared_->material = std::make_shared<const Material>(std::move(next));
  return {};
}

Status CertificateAuthority::rotate(const Clock& clock) {
  const auto now = material();
  if (rotating()) {
    return Status(409, reason::kConflict,
                  "a rotation is under way: knarr cert rotate-ca --finish ends it, --abort turns it back");
  }
  KNARR_ASSIGN(KeyPtr key, make_key());
  // A name of its own, whatever the clock: some programs find the certificate of an issuer by its name alone.
  KNARR_ASSIGN(const CertificateInfo old, read_certificate(now->certificate));
  const auto name_at = [](time_t time) { return fmt::format("knarr-ca@{}", time); };
  time_t time = trusted_now(clock);
  while (name_at(time) == old.common_name) ++time;
  KNARR_ASSIGN(const KeyPair made, make_authority(name_at(time), std::move(key), clock));
  Material next{.certificate = made.certificate_pem,
                .other_certificate = now->certificate,
                .key = made.key_pem,
                .other_key = now->key,
                .chain = {}};
  KNARR_ASSIGN(next.chain, vouch(made, {now->certificate, now->key}, clock));
  return change_to(std::move(next));
}

Status CertificateAuthority::turn_back() {
  const auto now = material();
  if (!rotating()) return Status(409, reason::kConflict, "no rotation is under way: there is nothing to turn back");
  if (turning_back()) {
    return Status(409, reason::kConflict,
                  "the rotation is turned back already: knarr cert ls shows who has not followed, and knarr cert rotate-ca --finish "
                  "--force does not wait for them");
  }
  // Nobody trusts only the one that signed until now: all who know it know both.
  return change_to({.certificate = now->other_certificate,
                    .other_certificate = now->certificate,
                    .key = now->other_key,
                    .other_key = now->key,
                    .chain = {}});
}

Status CertificateAuthority::finish() {
  const auto now = material();
  if (!rotating()) {
    return Status(409, reason::kConflict, "no rotation is under way: knarr cert rotate-ca begins one");
  }
  return change_to({.certificate = now->certificate, .other_certificate = {}, .key = now->key, .other_key = {}, .chain = {}});
}

Result<KeyPair> CertificateAuthority::issue(const CertificateSpec& spec, const Clock& clock) const {
  const Signer signer = signer_of(*material(), spec);
  KNARR_ASSIGN(X509Ptr issuer, certificate_from(signer.certificate));
  KNARR_ASSIGN(KeyPtr issuer_key, key_from(signer.key));
  KNARR_ASSIGN(KeyPtr key, make_key());
  KNARR_ASSIGN(X509Ptr cert,
               make_certificate(spec, key.get(), issuer.get(), issuer_key.get(), CertificateUse::kLeaf, clock));
  KeyPair pair;
  KNARR_ASSIGN(pair.certificate_pem, to_pem(cert.get()));
  pair.certificate_pem += signer.chain;
  KNARR_ASSIGN(pair.key_pem, to_pem(key.get()));
  return pair;
}

Result<bool> CertificateAuthority::ensure(const std::string& name, const CertificateSpec& spec,
                                          const Clock& clock) const {
  return ensure_in(directory_, name, spec, clock);
}

Result<bool> CertificateAuthority::ensure_in(const std::string& directory, const std::string& name,
                                             const CertificateSpec& spec, const Clock& clock) const {
  const std::string cert_file = fmt::format("{}/{}.crt", directory, name);
  const std::string key_file = fmt::format("{}/{}.key", directory, name);
  const auto is_good = [&] {
    const Signer signer = signer_of(*material(), spec);
    const auto pem = linux::read_file(cert_file), key = linux::read_file(key_file);
    if (!pem.ok() || !key.ok() || !belong_together(*pem, *key)) return false;
    const auto certificates = split_certificates(*pem);
    if (*pem != certificates[0] + signer.chain) return false;
    const auto info = read_certificate(*pem);
    const auto certificate = certificate_from(*pem);
    const auto authority_key = key_from(signer.key);
    const bool good = info.ok() && certificate.ok() && authority_key.ok() && still_good(*info, spec, clock) &&
                      X509_verify(certificate->get(), authority_key->get()) == 1;
    ERR_clear_error();
    return good;
  };
  if (is_good()) return false;
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
