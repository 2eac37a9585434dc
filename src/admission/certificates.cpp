// Who may approve and sign certificates for which signer; and nobody asks for one of system:masters.
#include "admission/plugins.h"
#include "knarr/admission/access.h"
#include "knarr/auth/csr.h"
#include "knarr/codec/base64.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kRequests = "certificatesigningrequests.certificates.k8s.io";
constexpr std::string_view kClientSigner = "kubernetes.io/kube-apiserver-client";

bool is_update_of(const AdmissionRequest& request, std::string_view subresource) {
  return request.operation == Operation::kUpdate && request.object && request.old &&
         request.subresource == subresource && request.resource->storage_name == kRequests;
}

// The verb on the signer's name, or on all signers of its domain ("example.com/*").
bool may(auth::Authorizer& authorizer, const AdmissionRequest& request, std::string_view verb,
         std::string_view signer) {
  const std::string domain = std::string(signer.substr(0, signer.find('/'))) + "/*";
  for (std::string_view name : {signer, std::string_view(domain)}) {
    auth::Attributes attributes;
    attributes.user = request.user;
    attributes.verb = verb;
    attributes.resource_request = true;
    attributes.group = "certificates.k8s.io";
    attributes.version = "*";
    attributes.resource = "signers";
    attributes.name = name;
    if (authorizer.authorize(attributes).decision == auth::Decision::kAllow) return true;
  }
  return false;
}

class CertificateApproval : public AdmissionPlugin {
 public:
  explicit CertificateApproval(std::shared_ptr<auth::Authorizer> authorizer) : authorizer_(std::move(authorizer)) {}
  std::string_view name() const override { return "CertificateApproval"; }

  Status validate(const AdmissionRequest& request) override {
    if (!is_update_of(request, "approval")) return Status::OK();
    const std::string_view signer = json::get_string(*request.old, {"spec", "signerName"});
    if (may(*authorizer_, request, "approve", signer)) return Status::OK();
    return refuse(request, fmt::format("user not permitted to approve requests with signerName \"{}\"", signer));
  }

 private:
  const std::shared_ptr<auth::Authorizer> authorizer_;
};

class CertificateSigning : public AdmissionPlugin {
 public:
  explicit CertificateSigning(std::shared_ptr<auth::Authorizer> authorizer) : authorizer_(std::move(authorizer)) {}
  std::string_view name() const override { return "CertificateSigning"; }

  Status validate(const AdmissionRequest& request) override {
    if (!is_update_of(request, "status") || (same(request, "certificate") && same(request, "conditions")))
      return Status::OK();
    const std::string_view signer = json::get_string(*request.old, {"spec", "signerName"});
    if (may(*authorizer_, request, "sign", signer)) return Status::OK();
    return refuse(request, fmt::format("user not permitted to sign requests with signerName \"{}\"", signer));
  }

 private:
  static bool same(const AdmissionRequest& request, std::string_view member) {
    const Value *now = json::find(*request.object, {"status", member}),
                *before = json::find(*request.old, {"status", member});
    return now && before ? json::equal(*now, *before) : now == before;
  }

  const std::shared_ptr<auth::Authorizer> authorizer_;
};

class CertificateSubjectRestriction : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "CertificateSubjectRestriction"; }

  Status validate(const AdmissionRequest& request) override {
    if (!creates(request, kRequests) || json::get_string(*request.object, {"spec", "signerName"}) != kClientSigner)
      return Status::OK();
    const auto pem = base64::decode(json::get_string(*request.object, {"spec", "request"}));
    const auto asked = pem.ok() ? auth::read_certificate_request(*pem) : pem.status();
    if (!asked.ok()) return refuse(request, fmt::format("failed to parse CSR: {}", asked.status().message()));
    for (const std::string& group : asked->organizations)
      if (group == "system:masters")
        return refuse(request, fmt::format("use of {} signer with system:masters group is not allowed", kClientSigner));
    return Status::OK();
  }
};

}  // namespace

PluginPtr make_certificate_approval(std::shared_ptr<auth::Authorizer> authorizer) {
  return std::make_unique<CertificateApproval>(std::move(authorizer));
}
PluginPtr make_certificate_signing(std::shared_ptr<auth::Authorizer> authorizer) {
  return std::make_unique<CertificateSigning>(std::move(authorizer));
}
PluginPtr make_certificate_subject_restriction(store::Store&) {
  return std::make_unique<CertificateSubjectRestriction>();
}

}  // namespace knarr::admission
