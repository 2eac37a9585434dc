#include "knarr/apiserver/errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/apiserver/rest.h"
#include "knarr/codec/json.h"

namespace knarr::apiserver {

namespace {

Status::Details details_of(const schema::Resource& resource, std::string_view name) {
  Status::Details details;
  details.group = resource.group;
  details.kind = resource.plural;
  details.name = name;
  return details;
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

}  // namespace

std::string group_resource(const schema::Resource& resource) {
  return resource.group.empty() ? std::string(resource.plural) : fmt::format("{}.{}", resource.plural, resource.group);
}

std::string group_kind(const schema::Resource& resource) {
  return resource.group.empty() ? std::string(resource.kind) : fmt::format("{}.{}", resource.kind, resource.group);
}

std::string group_version(const schema::Resource& resource) {
  return resource.group.empty() ? std::string(resource.version)
                                : fmt::format("{}/{}", resource.group, resource.version);
}

std::string internal_kind(const schema::Resource& resource) {
  const std::string_view group = resource.group.substr(0, resource.group.find('.'));
  return fmt::format("{}.{}", group.empty() ? "core" : group, resource.kind);
}

Status not_found_error(const schema::Resource& resource, std::string_view name) {
  Status s(404, reason::kNotFound, fmt::format("{} {} not found", group_resource(resource), quoted(name)));
  return s.with_details(details_of(resource, name));
}

Status already_exists_error(const schema::Resource& resource, std::string_view name) {
  Status s(409, reason::kAlreadyExists, fmt::format("{} {} already exists", group_resource(resource), quoted(name)));
  return s.with_details(details_of(resource, name));
}

Status generate_name_error(const schema::Resource& resource, std::string_view name) {
  Status s(409, reason::kAlreadyExists,
           fmt::format("{} {} already exists, the server was not able to generate a unique name for the object",
                       group_resource(resource), quoted(name)));
  auto details = details_of(resource, name);
  details.retry_after_seconds = 1;
  return s.with_details(std::move(details));
}

Status conflict_error(const schema::Resource& resource, std::string_view name, std::string_view why) {
  Status s(409, reason::kConflict,
           fmt::format("Operation cannot be fulfilled on {} {}: {}", group_resource(resource), quoted(name), why));
  return s.with_details(details_of(resource, name));
}

Status modified_error(const schema::Resource& resource, std::string_view name) {
  return conflict_error(resource, name,
                        "the object has been modified; please apply your changes to the latest version and try again");
}

Status forbidden_error(const schema::Resource& resource, std::string_view name, std::string_view why) {
  std::string what = group_resource(resource);
  if (!name.empty()) what += " " + quoted(name);
  Status s(403, reason::kForbidden, fmt::format("{} is forbidden: {}", what, why));
  return s.with_details(details_of(resource, name));
}

Status invalid_error(std::string_view group, std::string_view kind, std::string_view name, std::vector<Cause> causes) {
  std::vector<std::string> messages;  // upstream's aggregate names each message once
  for (const Cause& cause : causes) {
    std::string message = fmt::format("{}: {}", cause.field, cause.message);
    if (std::find(messages.begin(), messages.end(), message) == messages.end()) messages.push_back(std::move(message));
  }
  std::string what(kind);
  if (!group.empty()) what.append(".").append(group);
  std::string text = fmt::format("{} {} is invalid", what, quoted(name));
  if (messages.size() == 1) text += ": " + messages[0];
  if (messages.size() > 1) text += fmt::format(": [{}]", fmt::join(messages, ", "));
  Status s(422, reason::kInvalid, std::move(text));
  Status::Details details;
  details.group = group;
  details.kind = kind;
  details.name = name;
  s.with_details(std::move(details));
  for (Cause& cause : causes) s.with_cause(std::move(cause));
  return s;
}

Status invalid_error(const schema::Resource& resource, std::string_view name, std::vector<Cause> causes) {
  // Upstream names the kind that it works with: Events of all versions are those of the core group to it.
  const std::string_view group = resource.storage_name == "events" ? std::string_view() : resource.group;
  return invalid_error(group, resource.kind, name, std::move(causes));
}

Status not_supported_error(const schema::Resource& resource, std::string_view action) {
  Status s(405, reason::kMethodNotAllowed,
           fmt::format("{} is not supported on resources of kind {}", action, quoted(group_resource(resource))));
  return s.with_details(details_of(resource, ""));
}

Status expired_error(std::string_view message) { return Status(410, reason::kExpired, std::string(message)); }

Status too_large_revision_error(uint64_t wanted, uint64_t current, bool cached) {
  Status s(504, reason::kTimeout, fmt::format("Timeout: Too large resource version: {}, current: {}", wanted, current));
  Status::Details details;
  details.retry_after_seconds = cached ? 1 : 0;
  s.with_details(std::move(details));
  return s.with_cause({"ResourceVersionTooLarge", "Too large resource version", ""});
}

Status unsupported_media_type_error(std::string_view supported) {
  return Status(
      415, reason::kUnsupportedMediaType,
      fmt::format("the body of the request was in an unknown format - accepted media types include: {}", supported));
}

std::string registry_key(const schema::Resource& resource, std::string_view key) {
  struct Place {
    std::string_view resource, path;
  };
  constexpr Place kOthers[] = {{"endpoints", "services/endpoints"},
                               {"ingresses", "ingress"},
                               {"nodes", "minions"},
                               {"replicationcontrollers", "controllers"},
                               {"services", "services/specs"}};
  std::string path(resource.plural);
  for (const Place& other : kOthers)
    if (other.resource == resource.plural) path = other.path;
  const bool by_group = resource.custom || resource.group == "apiextensions.k8s.io" || resource.group == "apiregistration.k8s.io";
  if (by_group) path = fmt::format("{}/{}", resource.group, resource.plural);
  return fmt::format("/registry/{}/{}", path, key);
}

std::string unregistered_kind(std::string_view kind, std::string_view version) {
  return fmt::format("no kind \"{}\" is registered for version \"{}\" in scheme \"pkg/runtime/scheme.go:111\"", kind, version);
}

Status not_acceptable_error(std::string_view supported) {
  return Status(406, reason::kNotAcceptable, fmt::format("only the following media types are accepted: {}", supported));
}

Status method_not_allowed_error() {
  return Status(405, reason::kMethodNotAllowed, "the server does not allow this method on the requested resource").with_details({});
}

std::string go_number_error(std::string_view function, std::string_view text) {
  const bool sign = function == "ParseInt" && (text.starts_with('-') || text.starts_with('+'));
  const std::string_view digits = text.substr(sign ? 1 : 0);
  const bool number = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  return fmt::format("strconv.{}: parsing \"{}\": {}", function, text, number ? "value out of range" : "invalid syntax");
}

Status path_not_found_error() {
  return Status(404, reason::kNotFound, "the server could not find the requested resource").with_details({});
}

Cause cause_invalid(std::string_view field, std::string_view value, std::string_view detail) {
  return {"FieldValueInvalid", fmt::format("Invalid value: {}: {}", value, detail), std::string(field)};
}

Cause cause_forbidden(std::string_view field, std::string_view detail) {
  return {"FieldValueForbidden", fmt::format("Forbidden: {}", detail), std::string(field)};
}

Cause cause_required(std::string_view field, std::string_view detail) {
  return {"FieldValueRequired", detail.empty() ? "Required value" : fmt::format("Required value: {}", detail),
          std::string(field)};
}

Cause cause_unsupported(std::string_view field, std::string_view value, std::string_view supported) {
  return {"FieldValueNotSupported",
          fmt::format("Unsupported value: {}: supported values: {}", quoted(value), supported), std::string(field)};
}

std::string success_json(const schema::Resource& resource, std::string_view name, std::string_view uid) {
  std::string out = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","details":{"name":)";
  json::append_quoted(out, name);
  if (!resource.group.empty()) {
    out += ",\"group\":";
    json::append_quoted(out, resource.group);
  }
  out += ",\"kind\":";
  json::append_quoted(out, resource.plural);
  if (!uid.empty()) {
    out += ",\"uid\":";
    json::append_quoted(out, uid);
  }
  out += "}}";
  return out;
}

std::string status_json(const Status& status, std::string_view continue_token) {
  std::string out = R"({"kind":"Status","apiVersion":"v1","metadata":{)";
  if (!continue_token.empty()) {
    out += "\"continue\":";
    json::append_quoted(out, continue_token);
  }
  out += status.ok() ? R"(},"status":"Success")" : R"(},"status":"Failure")";
  const auto member = [&](std::string_view key, std::string_view value, bool& first) {
    if (value.empty()) return;
    if (!first) out += ',';
    first = false;
    json::append_quoted(out, key);
    out += ':';
    json::append_quoted(out, value);
  };
  bool first = false;
  member("message", status.message(), first);
  member("reason", status.reason(), first);
  const Status::Details& d = status.details();
  const bool details = !d.name.empty() || !d.group.empty() || !d.kind.empty() || !d.uid.empty() ||
                       d.retry_after_seconds > 0 || !status.causes().empty() || status.code() == 403 ||
                       status.code() == 404 || status.code() == 405 || status.code() == 422 ||
                       status.message().starts_with("406:");  // of the router
  if (details) {
    out += ",\"details\":{";
    first = true;
    member("name", d.name, first);
    member("group", d.group, first);
    member("kind", d.kind, first);
    member("uid", d.uid, first);
    if (!status.causes().empty()) {
      out += first ? "\"causes\":[" : ",\"causes\":[";
      first = false;
      bool first_cause = true;
      for (const Cause& cause : status.causes()) {
        out += first_cause ? "{" : ",{";
        first_cause = false;
        bool first_member = true;
        member("reason", cause.reason, first_member);
        member("message", cause.message, first_member);
        member("field", cause.field, first_member);
        out += '}';
      }
      out += ']';
    }
    if (d.retry_after_seconds > 0)
      out += fmt::format("{}\"retryAfterSeconds\":{}", first ? "" : ",", d.retry_after_seconds);
    out += '}';
  }
  out += fmt::format(",\"code\":{}}}", status.code());
  return out;
}

std::string status_json(const Status& status) { return status_json(status, {}); }

}  // namespace knarr::apiserver
