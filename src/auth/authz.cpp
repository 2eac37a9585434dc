#include "knarr/auth/authz.h"

#include <fmt/format.h>

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
    }
    return out;
  }
  void list_rules(const UserInfo& user, std::string_view ns, UserRules& out) override {
    for (const auto& part : parts_) part->list_rules(user, ns, out);
  }

 private:
  const std::vector<std::shared_ptr<Authorizer>> parts_;
};

}  // namespace

std::shared_ptr<Authorizer> make_group_authorizer(std::vector<std::string> groups) {
  return std::make_shared<GroupAuthorizer>(std::move(groups));
}

std::shared_ptr<Authorizer> make_union_authorizer(std::vector<std::shared_ptr<Authorizer>> parts) {
  return std::make_shared<UnionAuthorizer>(std::move(parts));
}

Status forbidden(const Attributes& a, std::string_view reason) {
  const std::string user = a.user ? a.user->name : "system:anonymous";
  const std::string tail = reason.empty() ? "" : fmt::format(": {}", reason);
  if (!a.resource_request)
    return Status(403, reason::kForbidden,
                  fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"{}", user, a.verb, a.path, tail))
        .with_details({});
  std::string resource(a.resource), qualified(a.resource);
  if (!a.group.empty()) qualified.append(".").append(a.group);
  if (!a.subresource.empty()) resource.append("/").append(a.subresource);
  const std::string what = a.name.empty() ? qualified : fmt::format("{} \"{}\"", qualified, a.name);
  const std::string where = a.ns.empty() ? "at the cluster scope" : fmt::format("in the namespace \"{}\"", a.ns);
  Status status(403, reason::kForbidden,
                fmt::format("{} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {}{}", what,
                            user, a.verb, resource, a.group, where, tail));
  Status::Details details;
  details.group = a.group;
  details.kind = a.resource;
  details.name = a.name;
  return status.with_details(std::move(details));
}

}  // namespace knarr::auth
