// CertificateSigningRequests (upstream: pkg/apis/certificates/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "knarr/codec/json.h"
#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace certificates = api::certificates::v1;

namespace {

constexpr int32_t kMinSeconds = 600;

void usages(const std::vector<std::string>& list, const Path& path, FieldErrors& errors) {
  if (list.empty()) errors.required(path);
  for (size_t i = 0; i < list.size(); ++i) {
    errors.one_of(path.index(i), list[i],
                  {"any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only",
                   "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
                   "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"});
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!seen.insert(list[i]).second) errors.duplicate(path.index(i), list[i]);
  }
}

void conditions(const certificates::CertificateSigningRequestStatus& status, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < status.conditions.size(); ++i) {
    const auto& c = status.conditions[i];
    const Path at = path.index(i);
    const bool decision = c.type == "Approved" || c.type == "Denied";
    if (c.type.empty()) errors.required(at.child("type"));
    if (c.status.empty()) {
      errors.required(at.child("status"));
    } else if (decision || c.type == "Failed") {
      errors.one_of(at.child("status"), c.status, {"True"});
    } else {
      errors.one_of(at.child("status"), c.status, {"False", "True", "Unknown"});
    }
    if (decision && seen.count(c.type == "Approved" ? "Denied" : "Approved"))
      errors.invalid(path, c.type, "Approved and Denied conditions are mutually exclusive");
    if (!seen.insert(c.type).second) errors.duplicate(at.child("type"), c.type);
  }
}

// Of a domain and a path: example.com/signer-name.
void signer_name(const std::string& name, const Path& path, FieldErrors& errors) {
  constexpr size_t kMaxDomain = 253, kMaxName = kMaxDomain + 1 + 253 + 1 + 63;
  if (name.empty()) return errors.required(path);
  if (name == "kubernetes.io/legacy-unknown")
    return errors.invalid(path, name, "the legacy signerName is not allowed via this API version");
  const size_t slash = name.find('/');
  if (slash == std::string::npos || name.find('/', slash + 1) != std::string::npos)
    return errors.invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
  const auto segment = [&](const std::string& text, names::Problems (*rule)(std::string_view)) {
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('.', begin), text.size());
      const std::string label = text.substr(begin, end - begin);
      const names::Problems problems = rule(label);
      std::string quoted;
      json::append_quoted(quoted, label);
      for (const std::string& problem : problems)
        errors.invalid(path, text, fmt::format("validating label {}: {}", quoted, problem));
      if (!problems.empty()) return;
      begin = end + 1;
    }
  };
  const std::string domain = name.substr(0, slash);
  if (domain.size() > kMaxDomain) errors.too_long(path, kMaxDomain);
  segment(domain, names::dns1123_label);
  if (domain.find('.') == std::string::npos)
    errors.invalid(path, domain, "should be a domain with at least two segments separated by dots");
  segment(name.substr(slash + 1), names::dns1123_subdomain);
  if (name.size() > kMaxName) errors.too_long(path, kMaxName);
}

auto count_of(const certificates::CertificateSigningRequest& request, std::string_view type) {
  return std::count_if(request.status.conditions.begin(), request.status.conditions.end(), [&](const auto& c) { return c.type == type; });
}

}  // namespace

void signing_request(const certificates::CertificateSigningRequest& request, const certificates::CertificateSigningRequest* old, FieldErrors& errors) {
  const NameRule any = [](std::string_view) { return names::Problems(); };
  object_meta(request.metadata, old ? &old->metadata : nullptr, false, any, errors);
  const Path path("spec"), status("status.conditions");
  usages(request.spec.usages, path.child("usages"), errors);
  if (!old || old->spec.signerName != request.spec.signerName)
    signer_name(request.spec.signerName, path.child("signerName"), errors);
  const auto& seconds = request.spec.expirationSeconds;
  if (seconds && *seconds < kMinSeconds)
    errors.invalid(path.child("expirationSeconds"), *seconds, "may not specify a duration less than 600 seconds (10 minutes)");
  conditions(request.status, status, errors);
  if (!old) return;
  for (const char* type : {"Approved", "Denied", "Failed"}) {
    if (count_of(request, type) < count_of(*old, type))
      errors.forbidden(status, fmt::format("updates may not remove a condition of type \"{}\"", type));
  }
}

}  // namespace knarr::schema::validation
