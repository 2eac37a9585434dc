#include "knarr/auth/service_account.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "knarr/auth/hash.h"
#include "knarr/codec/time.h"
#include "openssl.h"
#include "text.h"

namespace knarr::auth {

namespace {

constexpr std::string_view kLegacyIssuer = "kubernetes/serviceaccount";
constexpr size_t kMaxRemembered = 1024;
constexpr int64_t kLeeway = 60;  // seconds that clocks may differ

Status unauthorized(std::string message) { return Status(401, reason::kUnauthorized, std::move(message)); }

std::optional<ObjectRef> ref_of(const json::Value& claims, std::string_view name) {
  const json::Value* ref = json::find(claims, name);
  if (!ref || !ref->IsObject()) return {};
  return ObjectRef{std::string(json::get_string(*ref, "name")), std::string(json::get_string(*ref, "uid"))};
}

int64_t seconds_of(const json::Value& claims, std::string_view name) {
  const json::Value* value = json::find(claims, name);
  if (!value || !value->IsNumber()) return 0;
  return value->IsInt64() ? value->GetInt64() : static_cast<int64_t>(value->GetDouble());
}

std::vector<std::string> audiences_of(const json::Value& claims) {
  std::vector<std::string> out;
  const json::Value* value = json::find(claims, "aud");
  if (value && value->IsString()) out.emplace_back(json::view(*value));
  if (value && value->IsArray())
    for (const json::Value& item : value->GetArray())
      if (item.IsString()) out.emplace_back(json::view(item));
  return out;
}

void add_string(std::string& out, std::string_view name, std::string_view value) {
  if (out.size() > 1) out += ',';
  json::append_quoted(out, name);
  out += ':';
  json::append_quoted(out, value);
}

void add_ref(std::string& out, std::string_view name, const std::optional<ObjectRef>& ref) {
  if (!ref) return;
  out += fmt::format(",\"{}\":", name);
  std::string members = "{";
  add_string(members, "name", ref->name);
  if (!ref->uid.empty()) add_string(members, "uid", ref->uid);
  out += members + '}';
}

int64_t unix_time(const Clock& clock) {
  return std::chrono::duration_cast<seconds>(clock.wall().time_since_epoch()).count();
}

std::string subject(const TokenClaims& claims) {
  return fmt::format("system:serviceaccount:{}:{}", claims.ns, claims.account);
}

}  // namespace

ServiceAccountTokens::ServiceAccountTokens(ServiceAccountTokenOptions options)
    : options_(std::move(options)),
      accounts_(options_.store->resource("serviceaccounts")),
      pods_(options_.store->resource("pods")),
      nodes_(options_.store->resource("nodes")),
      secrets_(options_.store->resource("secrets")),
      keys_(std::make_shared<const ServiceAccountKeys>(options_.keys)) {}

ServiceAccountTokens::Keys ServiceAccountTokens::keys() const {
  Lock lock(mutex_);
  return keys_;
}

void ServiceAccountTokens::use_keys(ServiceAccountKeys keys) {
  Lock lock(mutex_);
  keys_ = std::make_shared<const ServiceAccountKeys>(std::move(keys));
  cache_.clear();  // tokens of keys that are known no more among them
}

bool ServiceAccountTokens::is_by_replaced_key(std::string_view token) const {
  const Keys known = keys();
  if (known->replaced.empty()) return false;
  const auto parsed = parse_jwt(token);
  return parsed.ok() && parsed->key_id == known->replaced;
}

Result<std::string> ServiceAccountTokens::issue(const TokenClaims& claims) const {
  const int64_t now = unix_time(*options_.clock);
  std::string audiences;
  for (const std::string& audience : claims.audiences) {
    if (!audiences.empty()) audiences += ',';
    json::append_quoted(audiences, audience);
  }
  std::string issuer, ns, account = "{";
  json::append_quoted(issuer, options_.issuer);
  json::append_quoted(ns, claims.ns);
  add_string(account, "name", claims.account);
  add_string(account, "uid", claims.account_uid);
  std::string text =
      fmt::format(R"({{"aud":[{}],"exp":{},"iat":{},"iss":{},"jti":"{}","kubernetes.io":{{"namespace":{})", audiences,
                  now + claims.lifetime.count(), now, issuer, claims.id, ns);
  add_ref(text, "node", claims.node);
  add_ref(text, "pod", claims.pod);
  add_ref(text, "secret", claims.secret);
  text += ",\"serviceaccount\":" + account + "}";
  if (claims.warn_after) text += fmt::format(",\"warnafter\":{}", now + claims.warn_after->count());
  text += fmt::format("}},\"nbf\":{},\"sub\":", now);
  json::append_quoted(text, subject(claims));
  text += '}';
  return sign_jwt(keys()->keys.front(), text);
}

Result<std::string> ServiceAccountTokens::issue_for_secret(const TokenClaims& claims) const {
  std::string text = "{";
  add_string(text, "iss", kLegacyIssuer);
  add_string(text, "kubernetes.io/serviceaccount/namespace", claims.ns);
  add_string(text, "kubernetes.io/serviceaccount/secret.name", claims.secret ? claims.secret->name : "");
  add_string(text, "kubernetes.io/serviceaccount/service-account.name", claims.account);
  add_string(text, "kubernetes.io/serviceaccount/service-account.uid", claims.account_uid);
  add_string(text, "sub", subject(claims));
  text += '}';
  return sign_jwt(keys()->keys.front(), text);
}

Result<std::shared_ptr<ServiceAccountTokens::Verified>> ServiceAccountTokens::verify(std::string_view token) const {
  const auto parsed = parse_jwt(token);
  if (!parsed.ok()) return std::shared_ptr<Verified>();
  const json::Value& claims = parsed->claims;
  const std::string_view issuer = json::get_string(claims, "iss");
  if (issuer != options_.issuer && issuer != kLegacyIssuer) return std::shared_ptr<Verified>();

  bool any = false, good = false;
  const Keys known = keys();
  for (const Key& key : known->keys) {
    if (!parsed->key_id.empty() && parsed->key_id != key.id()) continue;
    any = true;
    if ((good = key.verifies(parsed->algorithm, parsed->signing_input, parsed->signature))) break;
  }
  if (!any) return unauthorized("invalid signature, no keys found");
  if (!good) return unauthorized("go-jose/go-jose: error in cryptographic primitive");

  auto out = std::make_shared<Verified>();
  TokenClaims& told = out->claims;
  out->legacy = issuer == kLegacyIssuer;
  told.id = json::get_string(claims, "jti");
  out->not_before = seconds_of(claims, "nbf");
  out->issued_at = seconds_of(claims, "iat");
  out->expires = seconds_of(claims, "exp");
  told.audiences = audiences_of(claims);
  if (out->legacy) {
    told.ns = json::get_string(claims, "kubernetes.io/serviceaccount/namespace");
    told.account = json::get_string(claims, "kubernetes.io/serviceaccount/service-account.name");
    told.account_uid = json::get_string(claims, "kubernetes.io/serviceaccount/service-account.uid");
    told.secret = ObjectRef{std::string(json::get_string(claims, "kubernetes.io/serviceaccount/secret.name")), {}};
    if (told.secret->name.empty()) return unauthorized("secretName claim is missing");
  } else if (const json::Value* own = json::find(claims, "kubernetes.io"); own && own->IsObject()) {
    told.ns = json::get_string(*own, "namespace");
    if (auto account = ref_of(*own, "serviceaccount")) {
      told.account = account->name;
      told.account_uid = account->uid;
    }
    told.pod = ref_of(*own, "pod");
    told.node = ref_of(*own, "node");
    told.secret = ref_of(*own, "secret");
  }
  if (json::get_string(claims, "sub") != subject(told))
    return unauthorized("service account token: its subject is not its service account");
  return out;
}

Status ServiceAccountTokens::check_times(const Verified& token) const {
  const int64_t now = unix_time(*options_.clock);
  if (token.not_before && now + kLeeway < token.not_before)
    return unauthorized("service account token is not valid yet");
  if (token.expires && now - kLeeway > token.expires) return unauthorized("service account token has expired");
  if (token.issued_at && now + kLeeway < token.issued_at)
    return unauthorized("service account token is issued in the future");
  return Status::OK();
}

// `what`: the word for messages.
Status ServiceAccountTokens::check_object(store::ResourceId resource, std::string_view ns, const ObjectRef& ref,
                                          std::string_view what, store::Revision& seen) const {
  const bool account = resource == accounts_;
  const store::ObjectPtr object =
      options_.store->get(resource, ns.empty() ? ref.name : fmt::format("{}/{}", ns, ref.name));
  if (!object) {
    if (account) return unauthorized(fmt::format("serviceaccounts \"{}\" not found", ref.name));
    return unauthorized("service account token has been invalidated");
  }
  if (object->revision == seen) return Status::OK();
  KNARR_ASSIGN(const json::Document document, json::parse(object->value));
  const std::string_view uid = json::get_string(document, {"metadata", "uid"});
  if (uid != ref.uid && !ref.uid.empty()) {
    if (account) return unauthorized(fmt::format("service account UID ({}) does not match claim ({})", uid, ref.uid));
    return unauthorized(
        fmt::format("{0} UID ({1}) does not match service account {0} ref claim ({2})", what, uid, ref.uid));
  }
  const std::string_view deleted = json::get_string(document, {"metadata", "deletionTimestamp"});
  if (deleted.empty()) {
    seen = object->revision;
    return Status::OK();
  }
  const auto when = parse_time(deleted);
  if (!when.ok() || options_.clock->wall() - *when <= seconds(kLeeway)) return Status::OK();
  if (account) return unauthorized(fmt::format("service account {}/{} has been deleted", ns, ref.name));
  return unauthorized("service account token has been invalidated");
}

Status ServiceAccountTokens::check_objects(Verified& token) const {
  const TokenClaims& told = token.claims;
  KNARR_RETURN_IF_ERROR(
      check_object(accounts_, told.ns, {told.account, told.account_uid}, "service account", token.account_seen));
  if (told.secret) KNARR_RETURN_IF_ERROR(check_object(secrets_, told.ns, *told.secret, "secret", token.secret_seen));
  if (told.pod) KNARR_RETURN_IF_ERROR(check_object(pods_, told.ns, *told.pod, "pod", token.pod_seen));
  if (told.node && !told.pod) KNARR_RETURN_IF_ERROR(check_object(nodes_, {}, *told.node, "node", token.node_seen));
  return Status::OK();
}

Result<std::optional<TokenUser>> ServiceAccountTokens::lookup(std::string_view token,
                                                              std::span<const std::string> audiences) {
  const std::string hash = sha256(token);
  std::shared_ptr<Verified> known;
  {
    Lock lock(mutex_);
    if (const auto it = cache_.find(hash); it != cache_.end()) known = it->second;
  }
  if (!known) {
    const Keys before = keys();
    KNARR_ASSIGN(known, verify(token));
    if (!known) return std::optional<TokenUser>();
    Lock lock(mutex_);
    if (cache_.size() >= kMaxRemembered) cache_.clear();
    if (keys_ == before) cache_.emplace(hash, known);  // others since: it is looked at again
  }

  TokenUser out;
  const std::span<const std::string> ours(options_.api_audiences);
  const std::span<const std::string> wanted = audiences.empty() ? ours : audiences;
  const std::span<const std::string> told =
      known->claims.audiences.empty() ? ours : std::span<const std::string>(known->claims.audiences);
  for (const std::string& audience : told)
    if (std::find(wanted.begin(), wanted.end(), audience) != wanted.end()) out.audiences.push_back(audience);
  if (out.audiences.empty())
    return unauthorized(fmt::format("token audiences {} is invalid for the target audiences {}", quoted_list(told),
                                    quoted_list(wanted)));
  KNARR_RETURN_IF_ERROR(check_times(*known));
  {
    Lock lock(mutex_);
    KNARR_RETURN_IF_ERROR(check_objects(*known));
  }
  const TokenClaims& claims = known->claims;
  out.user = service_account_user(claims.ns, claims.account, claims.account_uid);
  auto& extra = out.user.extra;
  if (!claims.id.empty()) extra[std::string(kCredentialId)] = {"JTI=" + claims.id};
  if (known->legacy) {
    out.user.audit["authentication.k8s.io/legacy-token"] = out.user.name;
    out.user.audit["authentication.k8s.io/legacy-token-manual-secret"] = claims.secret->name;
  }
  if (claims.pod) {
    extra["authentication.kubernetes.io/pod-name"] = {claims.pod->name};
    extra["authentication.kubernetes.io/pod-uid"] = {claims.pod->uid};
  }
  if (claims.node) {
    extra["authentication.kubernetes.io/node-name"] = {claims.node->name};
    if (!claims.node->uid.empty()) extra["authentication.kubernetes.io/node-uid"] = {claims.node->uid};
  }
  return std::optional<TokenUser>(std::move(out));
}

std::string ServiceAccountTokens::jwks_json() const {
  std::string out = "{\"keys\":[";
  bool first = true;
  const Keys known = keys();
  for (const Key& key : known->keys) {
    if (!std::exchange(first, false)) out += ',';
    out += key.public_jwk();
  }
  return out += "]}";
}

std::string ServiceAccountTokens::discovery_json(std::string_view url) const {
  std::string out = "{\"issuer\":";
  json::append_quoted(out, options_.issuer);
  out += ",\"jwks_uri\":";
  json::append_quoted(out, fmt::format("{}/openid/v1/jwks", url));
  std::vector<std::string> algorithms;
  const Keys known = keys();
  for (const Key& key : known->keys) {
    std::string quoted = fmt::format("\"{}\"", key.algorithm());
    if (std::find(algorithms.begin(), algorithms.end(), quoted) == algorithms.end())
      algorithms.push_back(std::move(quoted));
  }
  out += fmt::format(
      R"(,"response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":[{}]}})",
      fmt::join(algorithms, ","));
  return out;
}

}  // namespace knarr::auth
