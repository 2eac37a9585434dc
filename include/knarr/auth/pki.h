// The cluster's own public key infrastructure: one certificate authority and the certificates that it signs, as PEM
// files in a directory. ECDSA P-256. Keys are files of mode 0600 and never show anywhere else.
//
// Devices wake up with wrong clocks, so certificates are valid from 1970 on and count their end from the later of the
// clock and the day this knarr was built. Not thread-safe: one thread at start, and the renewal timer after it. Source:
// RFC 5280.
#pragma once

#include <string>
#include <vector>

#include "knarr/auth/csr.h"
#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::auth {

// What a certificate should say.
struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names, ip_addresses;  // subject alternative names
  bool server = false, client = false;               // extended key usage
  int days = 365;
};

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, ip_addresses;
  WallTime not_before{}, not_after{};
};
Result<CertificateInfo> read_certificate(const std::string& pem);

struct KeyPair {
  std::string certificate_pem, key_pem;
};

class CertificateAuthority {
 public:
  // Reads <directory>/ca.crt and ca.key, or makes them when neither is there. Error when only one is, or they do not
  // belong together.
  static Result<CertificateAuthority> load_or_create(const std::string& directory, const std::string& common_name);

  const std::string& certificate_pem() const { return certificate_pem_; }
  std::string certificate_file() const { return directory_ + "/ca.crt"; }

  Result<KeyPair> issue(const CertificateSpec& spec, const Clock& clock = Clock::system()) const;

  // The certificate (PEM) that a request asks for: its subject, alternative names and key, and the usages of the policy.
  // BadRequest when the request is none or not signed by its own key.
  Result<std::string> sign(const std::string& request_pem, const SigningPolicy& policy) const;

  // Sees to it that <directory>/<name>.crt and .key exist, are signed by this authority, say what `spec` says and are
  // valid for at least another third of their days; else makes them anew. Answers true when it did.
  Result<bool> ensure(const std::string& name, const CertificateSpec& spec, const Clock& clock = Clock::system()) const;
  // The same with the files in another directory.
  Result<bool> ensure_in(const std::string& directory, const std::string& name, const CertificateSpec& spec,
                         const Clock& clock = Clock::system()) const;

 private:
  std::string directory_, certificate_pem_, key_pem_;
};

// A kubeconfig (client-go's clientcmd v1) with everything embedded.
std::string kubeconfig(const std::string& cluster, const std::string& server_url, const std::string& ca_pem,
                       const std::string& user, const KeyPair& credentials);

}  // namespace knarr::auth
