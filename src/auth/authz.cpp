#include "knarr/auth/authz.h"

#include <fmt/format.h>

#include "knarr/codec/json.h"

namespace knarr::auth {

namespace {

class GroupAuthorizer : public Authorizer {
 public:
  explicit GroupAuthorizer(std::vector<std::string> groups) : groups_(std::move(groups)) {}

  Authorization authorize(const Attributes& attributes) override {
    for (const std::string& group : groups_)
      if (attributes.user && attributes.user->in_group(group)) return {Decision::kAllow, {}};
    return {};
  }

 private:
  const std::vector<std::string> groups_;
};

class UnionAuthorizer : public Authorizer {
 public:
  explicit UnionAuthorizer(std::vector<std::shared_ptr<Authorizer>> parts) : parts_(std::move(parts)) {}

  Authorization authorize(const Attributes& attributes) override {
    Authorization out;
    for (const auto& part : parts_) {
      Authorization answer = part->authorize(attributes);
      if (answer.decision != Decision::kNoOpinion) return answer;
      if (!answer.reason.empty()) out.reason += (out.reason.empty() ? "" : "\n") + answer.reason;
      if (!answer.error.empty()) out.error += (out.error.empty() ? "" : ", ") + answer.error;
    }
    return out;
  }
  void list_rules(const UserInfo& user, std::string_view ns, UserRules& out) override {
    for (const auto& part : parts_) part->list_rules(user, ns, out);
  }

 private:
  const std::vector<std::shared_ptr<Authorizer>> parts_;
};

// Messages show what clients sent: none of it may look like HTML.
std::string without_markup(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<Authorizer> make_group_authorizer(std::vector<std::string> groups) {
  return std::make_shared<GroupAuthorizer>(std::move(groups));
}

std::shared_ptr<Authorizer> make_union_authorizer(std::vector<std::shared_ptr<Authorizer>> parts) {
  return std::make_shared<UnionAuthorizer>(std::move(parts));
}

Status forbidden(const Attributes& a, std::string_view reason) {
  const auto quoted = [](std::string_view text) {
    std::string out;
    json::append_quoted(out, text);
    return out;
  };
  const std::string user = quoted(a.user ? std::string_view(a.user->name) : kUserAnonymous);
  std::string message;
  if (!a.resource_request) {
    message = fmt::format("User {} cannot {} path {}", user, a.verb, quoted(a.path));
  } else {
    std::string resource(a.resource);
    if (!a.subresource.empty()) resource.append("/").append(a.subresource);
    const std::string where = a.ns.empty() ? "at the cluster scope" : fmt::format("in the namespace {}", quoted(a.ns));
    message = fmt::format("User {} cannot {} resource {} in API group {} {}", user, a.verb, quoted(resource),
                          quoted(a.group), where);
  }
  message = without_markup(message);
  if (!reason.empty()) message.append(": ").append(reason);

  std::string what(a.resource);
  if (!what.empty() && !a.group.empty()) what.append(".").append(a.group);
  if (a.resource_request && !a.name.empty()) what += " " + quoted(a.name);
  message = what.empty() ? "forbidden: " + message : what + " is forbidden: " + message;
  Status::Details details;
  if (a.resource_request) {
    details.group = a.group;
    details.kind = a.resource;
    details.name = a.name;
  }
  return Status(403, reason::kForbidden, std::move(message)).with_details(std::move(details));
}

}  // namespace knarr::auth
