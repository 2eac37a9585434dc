// The cluster's own public key infrastructure: a certificate authority and the certificates that it signs, as PEM files
// in a directory. ECDSA P-256. Keys are files of mode 0600 and never show anywhere else.
//
// Devices wake up with wrong clocks, so certificates are valid from 1970 on and count their end from the later of the
// clock and the day this knarr was built. Source: RFC 5280.
//
// An authority may be replaced while everything runs. While that lasts there are two: one signs, both are trusted, and
// what the new one signs carries a certificate of it by the old one, so that whoever trusts only the old one is not lost:
//   rotate()     a new authority signs, the other is still trusted
//   turn_back()  the old one signs again, the new one is still trusted
//   finish()     the one that does not sign is forgotten, and who comes with what it signed is nobody
// The voucher is for servers' certificates alone, which clients check who know only the old one: servers want clients' certificates
// to be signed by an authority that they trust themselves, and a client whose servers may not have heard of the new one yet has a
// certificate of the older (CertificateSpec::by_older).
// Each is one step on disk: a power cut leaves what was before it or what is after it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/csr.h"
#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/base/sync.h"

namespace knarr::auth {

// Annotations of Nodes: which authorities (authority_id) the node's agent has, and which it should have.
inline constexpr std::string_view kAuthorityHeld = "knarr.io/authority", kAuthorityWanted = "knarr.io/authority-wanted";

// What a certificate should say.
struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names, ip_addresses;  // subject alternative names
  bool server = false, client = false;               // extended key usage
  int days = 365;
  bool by_older = false;  // while there are two authorities: signed by the older one, which everybody trusts
};

struct CertificateInfo {
  std::string common_name, issuer;  // the issuer's common name
  std::vector<std::string> organizations, dns_names, ip_addresses;
  WallTime not_before{}, not_after{};
};
Result<CertificateInfo> read_certificate(const std::string& pem);  // the first one in it
std::vector<std::string> split_certificates(std::string_view pem);

// Which authorities a bundle of them trusts: a few letters that two bundles share only when they are the same.
std::string authority_id(std::string_view bundle_pem);

struct KeyPair {
  std::string certificate_pem, key_pem;
};

// A handle: copies are the same authority. Thread-safe, but for one caller at a time of what changes files.
class CertificateAuthority {
 public:
  // Reads <directory>/ca.crt and ca.key, or makes them when neither is there. Error when only one is, or they do not
  // belong together. Finishes what a power cut interrupted: for the one process that owns the directory.
  static Result<CertificateAuthority> load_or_create(const std::string& directory, const std::string& common_name);
  // For others: changes nothing. NotFound: there is none.
  static Result<CertificateAuthority> load(const std::string& directory);

  std::string certificate_pem() const;  // of the one that signs
  std::string trusted_pem() const;      // of all that are trusted, the one that signs first
  std::string trusted_file() const { return directory_ + "/ca.crt"; }
  bool rotating() const;
  bool turning_back() const;  // rotating, and the old one signs again

  // Conflict: a rotation is under way already; for the other two: none is, or it is turned back already.
  Status rotate(const Clock& clock = Clock::system());
  Status turn_back();
  Status finish();

  // With the chain that leads to the older authority while there are two.
  Result<KeyPair> issue(const CertificateSpec& spec, const Clock& clock = Clock::system()) const;

  // The certificate (PEM) that a request asks for: its subject, alternative names and key, and the usages of the policy.
  // BadRequest when the request is none or not signed by its own key.
  Result<std::string> sign(const std::string& request_pem, const SigningPolicy& policy) const;

  // Sees to it that <directory>/<name>.crt and .key exist, belong together, are signed by this authority, say what `spec`
  // says and are valid for at least another third of their days; else makes them anew. Answers true when it did.
  Result<bool> ensure(const std::string& name, const CertificateSpec& spec, const Clock& clock = Clock::system()) const;
  // The same with the files in another directory.
  Result<bool> ensure_in(const std::string& directory, const std::string& name, const CertificateSpec& spec,
                         const Clock& clock = Clock::system()) const;

 private:
  // What is on disk: ca.crt is the first two, ca.key, ca-other.key and ca-chain.crt the others.
  struct Material {
    std::string certificate, other_certificate;  // other: "" when there is one authority
    std::string key, other_key;
    std::string chain;  // the signing one by the other; "" when nobody needs it
  };
  struct Shared {
    Mutex mutex;
    std::shared_ptr<const Material> material KNARR_GUARDED_BY(mutex);
  };

  explicit CertificateAuthority(std::string directory) : directory_(std::move(directory)) {}
  // Who signs what.
  struct Signer {
    std::string certificate, key, chain;
  };
  static Signer signer_of(const Material& material, const CertificateSpec& spec);
  std::shared_ptr<const Material> material() const;
  Status read();
  Status change_to(Material next);

  std::string directory_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// A kubeconfig (client-go's clientcmd v1) with everything embedded.
std::string kubeconfig(const std::string& cluster, const std::string& server_url, const std::string& ca_pem,
                       const std::string& user, const KeyPair& credentials);

}  // namespace knarr::auth
