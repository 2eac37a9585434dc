// serviceaccounts/token: a token of a service account on request, perhaps bound to the life of another object.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/time.h"
#include "knarr/schema/apply.h"
#include "rest_impl.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

constexpr int64_t kDefaultSeconds = 3600;
constexpr int64_t kLeastSeconds = 600;
constexpr int64_t kMostSeconds = int64_t{1} << 32;
// What projected volumes ask for by default. Such a token of a pod holds for a year in truth, so that programs that
// read it only once go on; its use after the time asked for is told as stale.
constexpr int64_t kWarnOnlySeconds = 3607;
constexpr seconds kExtended{365 * 24 * 60 * 60};

const schema::Resource& token_request() {
  static const schema::Resource resource = [] {
    schema::Resource r;
    r.group = "authentication.k8s.io";
    r.version = "v1";
    r.plural = "tokenrequests";
    r.kind = "TokenRequest";
    r.type = schema::find_type("authentication/v1.TokenRequest");
    return r;
  }();
  return resource;
}

Status conflict(std::string_view resource, std::string_view name, std::string_view why, std::string_view group = {}) {
  std::string what(resource);
  if (!group.empty()) what.append(".").append(group);
  Status status(409, reason::kConflict, fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", what, name, why));
  Status::Details details;
  details.group = group;
  details.kind = resource;
  details.name = name;
  return status.with_details(std::move(details));
}

Result<Document> read_object(const store::Store& store, store::ResourceId id, const schema::Resource& resource,
                             std::string_view ns, std::string_view name) {
  const store::ObjectPtr object = store.get(id, object_key(ns, name));
  if (!object) return not_found_error(resource, name);
  return json::parse(object->value);
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

auth::ObjectRef ref_of(const Value& object) {
  return {std::string(meta_string(object, "name")), std::string(meta_string(object, "uid"))};
}

std::vector<Cause> lifetime_causes(int64_t wanted) {
  constexpr std::string_view kField = "spec.expirationSeconds";
  std::vector<Cause> causes;
  if (wanted < kLeastSeconds)
    causes.push_back(cause_invalid(kField, std::to_string(wanted), "may not specify a duration less than 10 minutes"));
  if (wanted > kMostSeconds)
    causes.push_back(
        cause_invalid(kField, std::to_string(wanted), "may not specify a duration larger than 2^32 seconds"));
  return causes;
}

// The group of an apiVersion: "apps/v1" has one, "v1" has none.
std::string_view group_of(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  return slash == api_version.npos ? std::string_view() : api_version.substr(0, slash);
}

std::string describe_kind(std::string_view api_version, std::string_view kind) {
  const size_t slash = api_version.find('/');
  const std::string_view version = slash == api_version.npos ? api_version : api_version.substr(slash + 1);
  return fmt::format("{}/{}, Kind={}", group_of(api_version), version, kind);
}

}  // namespace

// Reads the object that the token is to be bound to into `claims`.
Status Rest::Impl::bind_token(const Target& target, const Value& ref, auth::TokenClaims& claims) const {
  const std::string_view kind = json::get_string(ref, "kind"), api_version = json::get_string(ref, "apiVersion");
  const std::string name(json::get_string(ref, "name"));
  const auto read = [&](std::string_view plural, std::string_view ns, std::string_view object) -> Result<Document> {
    const schema::Resource* resource = schema::find_resource("", "v1", plural);
    if (object.empty()) return bad_request("Name parameter required.");
    return read_object(*store, id(*resource), *resource, ns, object);
  };
  const bool core = group_of(api_version).empty();
  std::string_view plural;
  if (core && kind == "Pod") {
    plural = "pods";
    KNARR_ASSIGN(const Document pod, read(plural, target.ns, name));
    if (json::get_string(pod, {"spec", "serviceAccountName"}) != target.name)
      return bad_request(
          fmt::format("cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount name.",
                      target.name));
    claims.pod = ref_of(pod);
    if (const std::string node(json::get_string(pod, {"spec", "nodeName"})); !node.empty()) {
      const auto found = read("nodes", "", node);
      claims.node = found.ok() ? ref_of(*found) : auth::ObjectRef{node, ""};
    }
  } else if (core && kind == "Node") {
    plural = "nodes";
    KNARR_ASSIGN(const Document node, read(plural, "", name));
    claims.node = ref_of(node);
  } else if (core && kind == "Secret") {
    plural = "secrets";
    KNARR_ASSIGN(const Document secret, read(plural, target.ns, name));
    claims.secret = ref_of(secret);
  } else {
    return bad_request(fmt::format("cannot bind token to object of type {}", describe_kind(api_version, kind)));
  }
  const std::string_view uid = json::get_string(ref, "uid");
  const std::string& actual = claims.pod ? claims.pod->uid : claims.secret ? claims.secret->uid : claims.node->uid;
  if (!uid.empty() && uid != actual)
    return conflict(kind, name,
                    fmt::format("the UID in the bound object reference ({}) does not match the UID in record. The "
                                "object might have been deleted and then recreated",
                                uid));
  return Status::OK();
}

Result<Answer> Rest::Impl::create_token(RequestContext& context, const Target& target, std::string_view body) {
  if (!service_accounts) return not_supported_error(*target.resource, "create");
  const schema::Resource& kind = token_request();
  KNARR_ASSIGN(Document request, decode(context, kind, body));
  auto& alloc = request.GetAllocator();
  if (const std::string_view ns = meta_string(request, "namespace"); !ns.empty() && ns != target.ns)
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  // All members first: adding one moves the others.
  json::remove(request, "status");
  json::set(request, "kind", kind.kind, alloc);
  json::set(request, "apiVersion", "authentication.k8s.io/v1", alloc);
  metadata_of(request, alloc);
  json::ensure_object(request, {"spec"}, alloc);
  json::ensure_object(request, {"status"}, alloc);
  Value &metadata = *json::find(request, "metadata"), &spec = *json::find(request, "spec"),
        &status = *json::find(request, "status");
  // The default lifetime is remembered as the client's, as upstream does.
  const int64_t lifetime = json::get_int(spec, "expirationSeconds", kDefaultSeconds);
  json::set(spec, "expirationSeconds", Value(lifetime), alloc);
  schema::track_fields(kind, {context.field_manager, "token", format_time(now())}, request, nullptr, alloc);
  AdmissionRequest admission_request{Operation::kCreate, target.resource,  "token", target.ns,
                                     target.name,        &request,         nullptr, &context.user,
                                     context.dry_run,    &context.warnings};
  KNARR_RETURN_IF_ERROR(admit(admission_request));
  const std::string_view name = json::get_string(metadata, "name");
  if (!name.empty() && name != target.name)
    return invalid_error(
        kind, target.name,
        {cause_invalid("metadata.name", quoted(name), "must match the service account name if specified")});

  KNARR_ASSIGN(const Document account,
               read_object(*store, id(*target.resource), *target.resource, target.ns, target.name));
  const std::string uid(meta_string(account, "uid"));
  if (const std::string_view wanted = json::get_string(metadata, "uid"); !wanted.empty() && wanted != uid)
    return conflict("TokenRequest", target.name,
                    fmt::format("the UID in the token request ({}) does not match the UID of the service account ({})",
                                wanted, uid),
                    kind.group);

  auth::TokenClaims claims;
  claims.id = new_uid();
  if (context.audit) (*context.audit)["authentication.kubernetes.io/issued-credential-id"] = "JTI=" + claims.id;
  claims.ns = target.ns;
  claims.account = target.name;
  claims.account_uid = uid;
  const auto& own = service_accounts->api_audiences();
  if (const Value* audiences = json::find(spec, "audiences"); audiences && audiences->IsArray())
    for (const Value& audience : audiences->GetArray()) claims.audiences.emplace_back(json::view(audience));
  if (claims.audiences.empty()) {
    claims.audiences = own;
    Value list(rapidjson::kArrayType);
    for (const std::string& audience : own) list.PushBack(json::string(audience, alloc), alloc);
    json::set(spec, "audiences", std::move(list), alloc);
  }
  if (!json::find(spec, "boundObjectRef")) json::set(spec, "boundObjectRef", Value(), alloc);
  json::set(metadata, "name", target.name, alloc);
  json::set(metadata, "namespace", target.ns, alloc);
  json::set(metadata, "uid", uid, alloc);
  json::set(metadata, "creationTimestamp", format_time(now()), alloc);

  if (auto causes = lifetime_causes(lifetime); !causes.empty()) return invalid_error(kind, "", std::move(causes));
  KNARR_RETURN_IF_ERROR(admission_validate(admission_request));
  const Value* ref = json::find(spec, "boundObjectRef");
  if (ref && ref->IsObject()) KNARR_RETURN_IF_ERROR(bind_token(target, *ref, claims));

  claims.lifetime = seconds(lifetime);
  const bool ours = std::all_of(claims.audiences.begin(), claims.audiences.end(), [&](const std::string& audience) {
    return std::find(own.begin(), own.end(), audience) != own.end();
  });
  if (claims.pod && lifetime == kWarnOnlySeconds && ours) {
    claims.warn_after = claims.lifetime;
    claims.lifetime = kExtended;
  }
  KNARR_ASSIGN(const std::string token, service_accounts->issue(claims));
  json::set(status, "token", token, alloc);
  json::set(status, "expirationTimestamp", format_time(now() + seconds(lifetime)), alloc);
  Answer answer;
  answer.code = 201;
  answer.body = json::dump(request);
  return answer;
}

}  // namespace knarr::apiserver
