// Questions that are asked by a POST and answered at once, and that nothing keeps: who somebody is and what they may
// do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "knarr/apiserver/document.h"
#include "knarr/codec/time.h"
#include "knarr/schema/apply.h"
#include "rest_impl.h"
#include "review_selectors.h"
#include "server_impl.h"
#include "write_options.h"

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

// A NonResourceAttributes as upstream's errors show it.
std::string shown_path(const Value& path) {
  std::string out = "{\"Path\":";
  json::append_quoted(out, json::get_string(path, "path"));
  out += ",\"Verb\":";
  json::append_quoted(out, json::get_string(path, "verb"));
  return out += '}';
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

Value strings(const std::vector<std::string>& items, Allocator& alloc) {
  Value list(rapidjson::kArrayType);
  for (const std::string& item : items) list.PushBack(json::string(item, alloc), alloc);
  return list;
}

class Review {
 public:
  Review(auth::TokenSource* tokens, auth::Authorizer* authorizer, const Exchange& exchange, Document& document,
         WallTime now)
      : tokens_(tokens),
        authorizer_(authorizer),
        exchange_(exchange),
        document_(document),
        now_(now),
        alloc_(document.GetAllocator()) {
    status_.SetObject();
  }

  Status run(const schema::Resource& resource) {
    const std::string_view name = resource.plural;
    Status result;
    if (name == "selfsubjectreviews") {
      Value& metadata = json::set(document_, "metadata", Value(rapidjson::kObjectType), alloc_);
      json::set(metadata, "creationTimestamp", format_time(now_), alloc_);
      write_user(json::ensure_object(status_, {"userInfo"}, alloc_), exchange_.user, alloc_);
    } else if (name == "tokenreviews") {
      result = review_token();
    } else if (name == "selfsubjectrulesreviews") {
      result = review_rules();
    } else {
      result = review_access(resource);
    }
    KNARR_RETURN_IF_ERROR(std::move(result));
    json::set(document_, "status", std::move(status_), alloc_);
    return Status::OK();
  }

 private:
  Status review_token() {
    const std::string_view token = json::get_string(document_, {"spec", "token"});
    if (token.empty()) return bad_request("token is required for TokenReview in authentication");
    std::vector<std::string> audiences;
    read_strings(json::find(document_, {"spec", "audiences"}), audiences);
    auto found = tokens_ ? tokens_->lookup(token, audiences) : Result<std::optional<auth::TokenUser>>(std::nullopt);
    if (!found.ok() || !*found) {
      json::ensure_object(status_, {"user"}, alloc_);
      constexpr std::string_view kInvalid = "invalid bearer token";
      json::set(status_, "error",
                found.ok() ? std::string(kInvalid) : fmt::format("[{}, {}]", kInvalid, found.status().message()),
                alloc_);
      return Status::OK();
    }
    auth::TokenUser& known = **found;
    if (!known.user.in_group(auth::kGroupAuthenticated)) known.user.groups.emplace_back(auth::kGroupAuthenticated);
    json::set(status_, "authenticated", Value(true), alloc_);
    write_user(json::ensure_object(status_, {"user"}, alloc_), known.user, alloc_);
    auto& audiences_told = known.audiences;  // each once
    for (size_t i = audiences_told.size(); i-- > 1;)
      if (std::find(audiences_told.begin(), audiences_told.begin() + static_cast<long>(i), audiences_told[i]) != audiences_told.begin() + static_cast<long>(i)) audiences_told.erase(audiences_told.begin() + static_cast<long>(i));
    if (!known.audiences.empty()) json::set(status_, "audiences", strings(known.audiences, alloc_), alloc_);
    return Status::OK();
  }

  // As Go writes it: the namespace may have been put at the end.
  static std::string in_order(const Value& metadata) {
    std::string out = "{";
    for (const schema::Field& field : schema::find_type("meta/v1.ObjectMeta")->fields) {
      const Value* member = json::find(metadata, field.name);
      if (!member) continue;
      if (out.size() > 1) out += ',';
      json::append_quoted(out, field.name);
      out += ':';
      json::append(out, *member);
    }
    return out += '}';
  }

  static bool says_more(const Value& metadata, bool local) {
    for (const auto& member : metadata.GetObject()) {
      const std::string_view name = json::view(member.name);
      if (name != "managedFields" && !(local && name == "namespace")) return true;
    }
    return false;
  }

  // What is wrong with the question.
  std::vector<Cause> access_causes(const Value& spec, std::string_view kind) {
    const Value* resource = json::find(spec, "resourceAttributes");
    const Value* path = json::find(spec, "nonResourceAttributes");
    const bool self = kind == "selfsubjectaccessreviews", local = kind == "localsubjectaccessreviews";
    std::vector<Cause> causes;
    if (resource && path)
      causes.push_back(cause_invalid("spec.nonResourceAttributes", shown_path(*path),
                                     "cannot be specified in combination with resourceAttributes"));
    if (!resource && !path)
      causes.push_back(cause_invalid("spec.resourceAttributes", "null",
                                     "exactly one of nonResourceAttributes or resourceAttributes must be specified"));
    const Value* groups = json::find(spec, "groups");
    if (!self && json::get_string(spec, "user").empty() && (!groups || !groups->IsArray() || groups->Empty()))
      causes.push_back(cause_invalid("spec.user", "\"\"", "at least one of user or group must be specified"));
    if (resource) {
      auto more = selector_causes(*resource);
      causes.insert(causes.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    const Value* metadata = json::find(document_, "metadata");
    if (metadata && metadata->IsObject() && says_more(*metadata, local))
      causes.push_back(cause_invalid("metadata", in_order(*metadata),
                                     local ? "must be empty except for namespace" : "must be empty"));
    if (local && resource && json::get_string(*resource, "namespace") != exchange_.info.ns)
      causes.push_back(cause_invalid("spec.resourceAttributes.namespace",
                                     quoted(json::get_string(*resource, "namespace")),
                                     "must match metadata.namespace"));
    if (local && path)
      causes.push_back(
          cause_invalid("spec.nonResourceAttributes", shown_path(*path), "disallowed on this kind of request"));
    return causes;
  }

  Status review_access(const schema::Resource& resource) {
    if (resource.namespaced) {
      Value& metadata = metadata_of(document_, alloc_);
      const std::string_view ns = json::get_string(metadata, "namespace");
      if (!ns.empty() && ns != exchange_.info.ns)
        return bad_request("the namespace of the provided object does not match the namespace sent on the request");
      json::set(metadata, "namespace", exchange_.info.ns, alloc_);
    }
    const Value& spec = json::ensure_object(document_, {"spec"}, alloc_);
    if (auto causes = access_causes(spec, resource.plural); !causes.empty())
      return invalid_error(resource.group, "", "", std::move(causes));
    const Value* wanted = json::find(spec, "resourceAttributes");
    const Value* path = json::find(spec, "nonResourceAttributes");
    const auth::UserInfo user = resource.plural == "selfsubjectaccessreviews" ? exchange_.user : subject_of(spec);
    auth::Attributes a;
    a.user = &user;
    a.explain = true;
    a.resource_request = wanted != nullptr;
    const AskedSelectors selectors = wanted ? asked_selectors(*wanted) : AskedSelectors();
    if (wanted) {
      a.field_selector = selectors.fields;
      a.verb = json::get_string(*wanted, "verb");
      a.group = json::get_string(*wanted, "group");
      a.version = json::get_string(*wanted, "version");
      a.resource = json::get_string(*wanted, "resource");
      a.subresource = json::get_string(*wanted, "subresource");
      a.ns = json::get_string(*wanted, "namespace");
      a.name = json::get_string(*wanted, "name");
    } else {
      a.verb = json::get_string(*path, "verb");
      a.path = json::get_string(*path, "path");
    }
    const auth::Authorization answer = authorizer_ ? authorizer_->authorize(a) : auth::Authorization();
    json::set(status_, "allowed", Value(answer.decision == auth::Decision::kAllow), alloc_);
    if (answer.decision == auth::Decision::kDeny) json::set(status_, "denied", Value(true), alloc_);
    if (!answer.reason.empty()) json::set(status_, "reason", answer.reason, alloc_);
    if (!selectors.error.empty()) json::set(status_, "evaluationError", selectors.error, alloc_);
    return Status::OK();
  }

  Status review_rules() {
    const std::string ns(json::get_string(document_, {"spec", "namespace"}));
    if (ns.empty()) return bad_request("no namespace on request");
    auth::UserRules rules;
    if (authorizer_) authorizer_->list_rules(exchange_.user, ns, rules);
    json::set(document_, "metadata", Value(rapidjson::kObjectType), alloc_);
    json::set(document_, "spec", Value(rapidjson::kObjectType), alloc_);
    Value on_resources(rapidjson::kArrayType), on_paths(rapidjson::kArrayType);
    for (const auth::PolicyRule& rule : rules.rules) {
      Value out(rapidjson::kObjectType);
      json::set(out, "verbs", strings(rule.verbs, alloc_), alloc_);
      if (!rule.resources.empty()) {
        json::set(out, "apiGroups", strings(rule.api_groups, alloc_), alloc_);
        json::set(out, "resources", strings(rule.resources, alloc_), alloc_);
        if (!rule.resource_names.empty()) json::set(out, "resourceNames", strings(rule.resource_names, alloc_), alloc_);
        on_resources.PushBack(out, alloc_);
      } else if (!rule.non_resource_urls.empty()) {
        json::set(out, "nonResourceURLs", strings(rule.non_resource_urls, alloc_), alloc_);
        on_paths.PushBack(out, alloc_);
      }
    }
    json::set(status_, "resourceRules", std::move(on_resources), alloc_);
    json::set(status_, "nonResourceRules", std::move(on_paths), alloc_);
    json::set(status_, "incomplete", Value(rules.incomplete), alloc_);
    if (rules.errors.size() == 1) json::set(status_, "evaluationError", rules.errors[0], alloc_);
    if (rules.errors.size() > 1)
      json::set(status_, "evaluationError", fmt::format("[{}]", fmt::join(rules.errors, ", ")), alloc_);
    return Status::OK();
  }

  auth::TokenSource* tokens_;
  auth::Authorizer* authorizer_;
  const Exchange& exchange_;
  Document& document_;
  const WallTime now_;
  Allocator& alloc_;
  Value status_;
};

}  // namespace

bool serve_review(auth::TokenSource* tokens, auth::Authorizer* authorizer, WallTime now, Exchange& exchange) {
  const RequestInfo& info = exchange.info;
  if (info.verb != "create" || (info.group != "authorization.k8s.io" && info.group != "authentication.k8s.io"))
    return false;
  const schema::Resource* resource = schema::find_resource(info.group, info.version, info.resource);
  if (!resource || !info.subresource.empty() || resource->namespaced == info.ns.empty()) return false;
  const auto answer = [&]() -> Status {
    KNARR_ASSIGN(const Output output, negotiate_output(exchange.request, Forms::kPlain));
    KNARR_ASSIGN(const std::string body, body_as_json(exchange.request));
    KNARR_ASSIGN(RequestContext context, make_context(exchange, "CreateOptions"));
    KNARR_ASSIGN(Document document, Rest::Impl::decode(context, *resource, body));
    auto& alloc = document.GetAllocator();
    json::set(document, "kind", resource->kind, alloc);
    json::set(document, "apiVersion", group_version(*resource), alloc);
    metadata_of(document, alloc);
    json::remove(document, "status");
    schema::track_fields(*resource, {context.field_manager, "", format_time(now)}, document, nullptr, alloc);
    KNARR_RETURN_IF_ERROR(Review(tokens, authorizer, exchange, document, now).run(*resource));
    add_warnings(exchange.response, context.warnings);
    answer_json(exchange.response, 201, json::dump(document), output);
    return Status::OK();
  }();
  if (!answer.ok()) answer_status(exchange.response, answer);
  return true;
}

}  // namespace knarr::apiserver
