// Questions that are asked by a POST and answered at once, and that nothing keeps: who somebody is and what they may
// do.
#include <fmt/format.h>

#include "knarr/apiserver/document.h"
#include "server_impl.h"

namespace knarr::apiserver {

namespace {

using json::Allocator;
using json::Document;
using json::Value;

void write_user(Value& to, const auth::UserInfo& user, Allocator& alloc) {
  json::set(to, "username", user.name, alloc);
  if (!user.uid.empty()) json::set(to, "uid", user.uid, alloc);
  const auto strings = [&](const std::vector<std::string>& items) {
    Value list(rapidjson::kArrayType);
    for (const std::string& item : items) list.PushBack(json::string(item, alloc), alloc);
    return list;
  };
  if (!user.groups.empty()) json::set(to, "groups", strings(user.groups), alloc);
  if (user.extra.empty()) return;
  Value& extra = json::set(to, "extra", Value(rapidjson::kObjectType), alloc);
  for (const auto& [key, values] : user.extra) json::set(extra, key, strings(values), alloc);
}

void read_strings(const Value* list, std::vector<std::string>& out) {
  if (!list || !list->IsArray()) return;
  for (const Value& item : list->GetArray())
    if (item.IsString()) out.emplace_back(json::view(item));
}

// The user that a SubjectAccessReview asks about.
auth::UserInfo subject_of(const Value& spec) {
  auth::UserInfo user;
  user.name = json::get_string(spec, "user");
  user.uid = json::get_string(spec, "uid");
  read_strings(json::find(spec, "groups"), user.groups);
  if (const Value* extra = json::find(spec, "extra"); extra && extra->IsObject())
    for (const auto& member : extra->GetObject())
      read_strings(&member.value, user.extra[std::string(json::view(member.name))]);
  return user;
}

class Review {
 public:
  Review(auth::Authenticator* authenticator, auth::Authorizer* authorizer, const Exchange& exchange, Document& document)
      : authenticator_(authenticator),
        authorizer_(authorizer),
        exchange_(exchange),
        document_(document),
        alloc_(document.GetAllocator()) {
    status_.SetObject();
  }

  Status run(const schema::Resource& resource) {
    const std::string_view name = resource.plural;
    Status result;
    if (name == "selfsubjectreviews") {
      write_user(json::ensure_object(status_, {"userInfo"}, alloc_), exchange_.user, alloc_);
    } else if (name == "tokenreviews") {
      result = review_token();
    } else if (name == "selfsubjectrulesreviews") {
      review_rules();
    } else {
      result = review_access(resource);
    }
    KNARR_RETURN_IF_ERROR(std::move(result));
    json::set(document_, "status", std::move(status_), alloc_);
    return Status::OK();
  }

 private:
  Status review_token() {
    http::Request probe;
    probe.headers = {{"Authorization", fmt::format("Bearer {}", json::get_string(document_, {"spec", "token"}))}};
    const auto user =
        authenticator_ ? authenticator_->authenticate(probe) : Result<std::optional<auth::UserInfo>>(std::nullopt);
    if (!user.ok() || !*user) {
      json::set(status_, "error", "invalid bearer token", alloc_);
    } else {
      json::set(status_, "authenticated", Value(true), alloc_);
      write_user(json::ensure_object(status_, {"user"}, alloc_), **user, alloc_);
    }
    return Status::OK();
  }

  Status review_access(const schema::Resource& resource) {
    const Value* spec = json::find(document_, "spec");
    const Value* wanted = spec ? json::find(*spec, "resourceAttributes") : nullptr;
    const Value* path = spec ? json::find(*spec, "nonResourceAttributes") : nullptr;
    if ((wanted != nullptr) == (path != nullptr)) {
      const std::string_view why = wanted
                                       ? "cannot be specified in combination with resourceAttributes"
                                       : "exactly one of nonResourceAttributes or resourceAttributes must be specified";
      const std::string field = wanted ? "spec.nonResourceAttributes" : "spec.resourceAttributes";
      return invalid_error(resource, "", {cause_invalid(field, "null", why)});
    }
    const bool self = resource.plural == "selfsubjectaccessreviews";
    const auth::UserInfo user = self ? exchange_.user : subject_of(*spec);
    if (user.name.empty() && user.groups.empty())
      return invalid_error(resource, "",
                           {cause_invalid("spec.user", "\"\"", "at least one of user or group must be specified")});
    auth::Attributes a;
    a.user = &user;
    a.resource_request = wanted != nullptr;
    if (wanted) {
      a.verb = json::get_string(*wanted, "verb");
      a.group = json::get_string(*wanted, "group");
      a.version = json::get_string(*wanted, "version");
      a.resource = json::get_string(*wanted, "resource");
      a.subresource = json::get_string(*wanted, "subresource");
      a.ns = json::get_string(*wanted, "namespace");
      a.name = json::get_string(*wanted, "name");
      if (resource.namespaced && a.ns != exchange_.info.ns)
        return bad_request("spec.resourceAttributes.namespace must match the namespace of the request");
    } else {
      a.verb = json::get_string(*path, "verb");
      a.path = json::get_string(*path, "path");
    }
    const auth::Authorization answer = authorizer_ ? authorizer_->authorize(a) : auth::Authorization();
    json::set(status_, "allowed", Value(answer.decision == auth::Decision::kAllow), alloc_);
    if (answer.decision == auth::Decision::kDeny) json::set(status_, "denied", Value(true), alloc_);
    if (!answer.reason.empty()) json::set(status_, "reason", answer.reason, alloc_);
    return Status::OK();
  }

  // Authorisers answer questions, they list no rules: so everything is listed for those who may do everything, and the
  // answer says that it is not complete.
  void review_rules() {
    auth::Attributes a;
    a.user = &exchange_.user;
    a.resource_request = true;
    a.verb = a.group = a.resource = "*";
    a.ns = json::get_string(document_, {"spec", "namespace"});
    const bool all = authorizer_ && authorizer_->authorize(a).decision == auth::Decision::kAllow;
    const auto rule = [&](std::initializer_list<std::string_view> members) {
      Value out(rapidjson::kObjectType);
      for (const std::string_view member : members) {
        Value any(rapidjson::kArrayType);
        any.PushBack(json::string("*", alloc_), alloc_);
        json::set(out, member, std::move(any), alloc_);
      }
      Value list(rapidjson::kArrayType);
      if (all) list.PushBack(out, alloc_);
      return list;
    };
    json::set(status_, "resourceRules", rule({"verbs", "apiGroups", "resources"}), alloc_);
    json::set(status_, "nonResourceRules", rule({"verbs", "nonResourceURLs"}), alloc_);
    json::set(status_, "incomplete", Value(true), alloc_);
  }

  auth::Authenticator* authenticator_;
  auth::Authorizer* authorizer_;
  const Exchange& exchange_;
  Document& document_;
  Allocator& alloc_;
  Value status_;
};

}  // namespace

bool serve_review(auth::Authenticator* authenticator, auth::Authorizer* authorizer, Exchange& exchange) {
  const RequestInfo& info = exchange.info;
  if (info.verb != "create" || (info.group != "authorization.k8s.io" && info.group != "authentication.k8s.io"))
    return false;
  const schema::Resource* resource = schema::find_resource(info.group, info.version, info.resource);
  if (!resource || !info.subresource.empty()) return false;
  const auto answer = [&]() -> Status {
    KNARR_ASSIGN(const Output output, negotiate_output(exchange.request, Forms::kPlain));
    KNARR_ASSIGN(const std::string body, body_as_json(exchange.request));
    KNARR_ASSIGN(Document document, json::parse(body));
    if (!document.IsObject())
      return bad_request(fmt::format("the object provided is unrecognized (must be of type {})", resource->kind));
    KNARR_RETURN_IF_ERROR(Review(authenticator, authorizer, exchange, document).run(*resource));
    auto& alloc = document.GetAllocator();
    json::set(document, "kind", resource->kind, alloc);
    json::set(document, "apiVersion", group_version(*resource), alloc);
    metadata_of(document, alloc);
    answer_json(exchange.response, 201, json::dump(document), output);
    return Status::OK();
  }();
  if (!answer.ok()) answer_status(exchange.response, answer);
  return true;
}

}  // namespace knarr::apiserver
