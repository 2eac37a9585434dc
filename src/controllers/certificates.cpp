// CertificateSigningRequests: approves those of nodes for themselves, signs what was approved for one of Kubernetes'
// own signers, and removes what is old.
#include <algorithm>
#include <array>
#include <set>

#include "controllers/controller.h"
#include "knarr/apiserver/disruption.h"
#include "knarr/apiserver/document.h"
#include "knarr/auth/pki.h"
#include "knarr/base/log.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/time.h"

namespace knarr::controllers {

namespace {

using json::Document;
using json::Value;

constexpr std::string_view kRequests = "certificatesigningrequests.certificates.k8s.io";
constexpr std::string_view kClientSigner = "kubernetes.io/kube-apiserver-client",
                           kKubeletSigner = "kubernetes.io/kube-apiserver-client-kubelet",
                           kServingSigner = "kubernetes.io/kubelet-serving",
                           kUnknownSigner = "kubernetes.io/legacy-unknown";
constexpr std::chrono::hours kLongest{365 * 24}, kKeptHandled{1}, kKeptPending{24};
constexpr std::chrono::minutes kShortestLife{10};

using Usages = std::set<std::string>;

// A sorted list, as Go prints it.
std::string usages_text(std::string_view role) {
  return role == "client auth" ? "[client auth digital signature key encipherment]"
                               : "[digital signature key encipherment server auth]";
}

// What a signer demands of a request; "" when it is all there. Worded as upstream's.
std::string refusal(std::string_view signer, const auth::CertificateRequest& request, const Usages& usages) {
  if (signer == kUnknownSigner) return "";
  if (signer == kClientSigner) {
    for (const std::string& usage : usages)
      if (usage != "digital signature" && usage != "key encipherment" && usage != "client auth")
        return "invalid usage for client certificate: " + usage;
    return usages.contains("client auth") ? "" : "missing required usage for client certificate: client auth";
  }
  const bool serving = signer == kServingSigner;
  const std::string role = serving ? "server auth" : "client auth";
  if (request.organizations != std::vector<std::string>{"system:nodes"})
    return "subject organization is not system:nodes";
  if (serving && request.dns_names.empty() && request.ip_addresses.empty())
    return "DNS or IP subjectAltName is required";
  if (!serving && !request.dns_names.empty()) return "DNS subjectAltNames are not allowed";
  if (!request.email_addresses.empty()) return "Email subjectAltNames are not allowed";
  if (!serving && !request.ip_addresses.empty()) return "IP subjectAltNames are not allowed";
  if (!request.uris.empty()) return "URI subjectAltNames are not allowed";
  const Usages without_rsa{"digital signature", role}, with_rsa{"digital signature", "key encipherment", role};
  // As upstream: a server's usages are looked at before its name, a client's after.
  const bool is_node = request.common_name.starts_with("system:node:");
  constexpr std::string_view kNotNode = "subject common name does not begin with system:node:";
  if (!serving && !is_node) return std::string(kNotNode);
  if (usages != without_rsa && usages != with_rsa) return "usages did not match " + usages_text(role);
  return is_node ? "" : std::string(kNotNode);
}

struct Request {
  Document document;
  std::string pem;
  std::string_view signer() const { return json::get_string(document, {"spec", "signerName"}); }
  const Value* condition(std::string_view type) const {
    const Value* status = json::find(document, "status");
    const Value* found = status ? apiserver::find_condition(*status, type) : nullptr;
    return found && json::get_string(*found, "status") != "False" ? found : nullptr;
  }
  bool issued() const { return !json::get_string(document, {"status", "certificate"}).empty(); }
  Usages usages() const {
    Usages out;
    const Value* list = json::find(document, {"spec", "usages"});
    if (list && list->IsArray())
      for (const Value& usage : list->GetArray()) out.emplace(json::view(usage));
    return out;
  }
};

class CertificateController : public Controller {
 public:
  explicit CertificateController(Context context)
      : options_(context.options),
        rest_(*context.options.rest),
        store_(rest_.store()),
        publications_(*context.publications),
        requests_(store_.resource(kRequests)) {
    request_.user = auth::internal_user("certificate-controller");
  }

  void watch(client::WorkQueue& queue) override {
    publications_.subscribe(kRequests,
                            {.event =
                                 [&queue](const auto&, const auto& event) {
                                   if (event.type != store::EventType::kDeleted) queue.add(event.object->key);
                                 },
                             .present = [&queue](const auto&, const auto& object) { queue.add(object->key); }});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    const store::ObjectPtr object = store_.get(requests_, key);
    if (!object) return {};
    Request request;
    KNARR_ASSIGN(request.document, json::parse(object->value));
    const WallTime now = options_.clock->wall(), end = end_of(request);
    if (end <= now) return settled(rest_.remove(request_, target(key, ""), {}).status());
    queue.add_after(key, std::chrono::ceil<milliseconds>(end - now));
    if (request.issued() || request.condition("Denied") || request.condition("Failed")) return {};
    KNARR_ASSIGN(request.pem, base64::decode(json::get_string(request.document, {"spec", "request"})));
    if (!request.condition("Approved")) return approve(key, request);
    return sign(key, request);
  }

 private:
  static apiserver::Target target(std::string_view name, std::string_view subresource) {
    return {schema::find_resource("certificates.k8s.io", "v1", "certificatesigningrequests"), subresource, "", name};
  }
  static Status settled(Status status) { return status.is(reason::kNotFound) ? Status() : status; }

  // Until when the request is kept.
  static WallTime end_of(const Request& request) {
    const auto time = [](std::string_view text) { return parse_time(text).value_or(WallTime::max() - kKeptPending); };
    const auto updated = [&](const Value* condition) { return time(json::get_string(*condition, "lastUpdateTime")); };
    if (const Value* denied = request.condition("Denied")) return updated(denied) + kKeptHandled;
    if (const Value* failed = request.condition("Failed")) return updated(failed) + kKeptHandled;
    if (const Value* approved = request.condition("Approved"))
      return updated(approved) + (request.issued() ? std::chrono::hours(kKeptHandled) : kKeptPending);
    return time(apiserver::meta_string(request.document, "creationTimestamp")) + kKeptPending;
  }

  // Nodes get certificates for themselves, where they may ask for them.
  Status approve(const std::string& key, Request& request) {
    if (!options_.authorizer || request.signer() != kKubeletSigner) return {};
    const auto asked = auth::read_certificate_request(request.pem);
    if (!asked.ok() || !refusal(kKubeletSigner, *asked, request.usages()).empty()) return {};
    auth::UserInfo user;
    user.name = json::get_string(request.document, {"spec", "username"});
    user.uid = json::get_string(request.document, {"spec", "uid"});
    if (const Value* groups = json::find(request.document, {"spec", "groups"}); groups && groups->IsArray())
      for (const Value& group : groups->GetArray()) user.groups.emplace_back(json::view(group));
    const auto may = [&](std::string_view subresource) {
      auth::Attributes attributes;
      attributes.user = &user;
      attributes.verb = "create";
      attributes.resource_request = true;
      attributes.group = "certificates.k8s.io";
      attributes.version = "*";
      attributes.resource = "certificatesigningrequests";
      attributes.subresource = subresource;
      return options_.authorizer->authorize(attributes).decision == auth::Decision::kAllow;
    };
    if (user.name == asked->common_name && may("selfnodeclient"))
      return add_condition(key, request, "approval", "Approved", "AutoApproved",
                           "Auto approving self kubelet client certificate after SubjectAccessReview.");
    if (may("nodeclient"))
      return add_condition(key, request, "approval", "Approved", "AutoApproved",
                           "Auto approving kubelet client certificate after SubjectAccessReview.");
    return {};
  }

  Status sign(const std::string& key, Request& request) {
    constexpr std::array<std::string_view, 4> kOurs = {kClientSigner, kKubeletSigner, kServingSigner, kUnknownSigner};
    if (!options_.ca || std::find(kOurs.begin(), kOurs.end(), request.signer()) == kOurs.end()) return {};
    KNARR_ASSIGN(const auth::CertificateRequest asked, auth::read_certificate_request(request.pem));
    const Usages usages = request.usages();
    if (const std::string why = refusal(request.signer(), asked, usages); !why.empty())
      return add_condition(key, request, "status", "Failed", "SignerValidationFailure", why);
    auth::SigningPolicy policy;
    policy.usages.assign(usages.begin(), usages.end());
    policy.now = options_.clock->wall();
    policy.lifetime = kLongest;
    if (const Value* wanted = json::find(request.document, {"spec", "expirationSeconds"}); wanted && wanted->IsInt64())
      policy.lifetime = std::clamp<seconds>(seconds(wanted->GetInt64()), kShortestLife, kLongest);
    KNARR_ASSIGN(const std::string certificate, options_.ca->sign(request.pem, policy));
    auto& alloc = request.document.GetAllocator();
    json::set(json::ensure_object(request.document, {"status"}, alloc), "certificate", base64::encode(certificate),
              alloc);
    return write(key, request, "status");
  }

  Status add_condition(const std::string& key, Request& request, std::string_view subresource, std::string_view type,
                       std::string_view reason, std::string_view message) {
    auto& alloc = request.document.GetAllocator();
    Value& status = json::ensure_object(request.document, {"status"}, alloc);
    Value* conditions = json::find(status, "conditions");
    if (!conditions || !conditions->IsArray())
      conditions = &json::set(status, "conditions", Value(rapidjson::kArrayType), alloc);
    Value condition(rapidjson::kObjectType);
    json::set(condition, "type", type, alloc);
    json::set(condition, "status", "True", alloc);
    json::set(condition, "reason", reason, alloc);
    json::set(condition, "message", message, alloc);
    json::set(condition, "lastUpdateTime", format_time(options_.clock->wall()), alloc);
    conditions->PushBack(condition, alloc);
    return write(key, request, subresource);
  }

  Status write(const std::string& key, const Request& request, std::string_view subresource) {
    return settled(rest_.update(request_, target(key, subresource), json::dump(request.document)).status());
  }

  const Options& options_;
  apiserver::Rest& rest_;
  store::Store& store_;
  Publications& publications_;
  const store::ResourceId requests_;
  apiserver::RequestContext request_;
};

}  // namespace

std::unique_ptr<Controller> make_certificate_controller(Context context) {
  return std::make_unique<CertificateController>(context);
}

}  // namespace knarr::controllers
