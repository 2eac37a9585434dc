// Who writes an admission policy or its binding lets the server read, in his name, what they take their parameters from: he must be
// allowed to read that himself. Upstream checks this in the storage of these kinds, as the last of their rules.
#include "admission/plugins.h"
#include "knarr/admission/access.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kGroup = "admissionregistration.k8s.io";

// What a policy's parameters are, as far as it can be told: "*" stands for what cannot.
struct Parameters {
  std::string group = "*", version = "*", resource = "*";
  std::string kind_text;  // &{apiVersion kind}
  bool unreadable = false, unresolved = false;
};

std::string list_text(const std::vector<std::string>& items) { return fmt::format("[{}]", fmt::join(items, " ")); }

// As Go prints the structure.
std::string user_text(const auth::UserInfo& user) {
  std::vector<std::string> extra;
  for (const auto& [key, values] : user.extra) extra.push_back(fmt::format("{}:{}", key, list_text(values)));
  return fmt::format("&{{{} {} {} map{}}}", user.name, user.uid, list_text(user.groups), list_text(extra));
}

class PolicyParameters : public AdmissionPlugin {
 public:
  PolicyParameters(store::Store& store, AccessOptions options) : store_(store), options_(std::move(options)) {}
  std::string_view name() const override { return "PolicyParameters"; }

  Status validate(const AdmissionRequest& request) override {
    if (request.resource->group != kGroup || !request.subresource.empty() || !request.object) return Status::OK();
    if (!options_.authorizer || request.user->in_group(auth::kGroupMasters)) return Status::OK();
    const std::string_view plural = request.resource->plural;
    std::string why;
    bool binding = true;
    if (plural == "validatingadmissionpolicies" || plural == "mutatingadmissionpolicies") {
      binding = false;
      why = check_policy(request);
    } else if (plural == "validatingadmissionpolicybindings") {
      why = check_binding(request, "validatingadmissionpolicies");
    } else if (plural == "mutatingadmissionpolicybindings") {
      why = check_binding(request, "mutatingadmissionpolicies");
    }
    if (why.empty()) return Status::OK();
    return apiserver::invalid_error(*request.resource, meta_string(*request.object, "name"),
                                    {apiserver::cause_forbidden(binding ? "spec.paramRef" : "spec.paramKind", why)});
  }

 private:
  Parameters resolve(const Value& kind) const {
    Parameters out;
    const std::string_view api_version = json::get_string(kind, "apiVersion"), name = json::get_string(kind, "kind");
    out.kind_text = fmt::format("&{{{} {}}}", api_version, name);
    const size_t slash = api_version.find('/');
    if (slash != api_version.npos && api_version.find('/', slash + 1) != api_version.npos) {
      out.unreadable = true;
      return out;
    }
    out.group = slash == api_version.npos ? "" : api_version.substr(0, slash);
    out.version = slash == api_version.npos ? api_version : api_version.substr(slash + 1);
    const schema::ResourceRef found = options_.catalog()->find_kind(out.group, out.version, name);
    if (found) {
      out.resource = found->plural;
    } else {
      out.unresolved = true;
    }
    return out;
  }

  bool may(const AdmissionRequest& request, std::string_view verb, const Parameters& what, std::string_view ns, std::string_view name) const {
    auth::Attributes a;
    a.user = request.user;
    a.verb = verb;
    a.resource_request = true;
    a.group = what.group;
    a.version = what.version;
    a.resource = what.resource;
    a.ns = ns;
    a.name = name;
    return options_.authorizer->authorize(a).decision == auth::Decision::kAllow;
  }

  // Why the policy is refused; "" when it is not.
  std::string check_policy(const AdmissionRequest& request) const {
    const Value* kind = json::find(*request.object, {"spec", "paramKind"});
    if (!kind || !kind->IsObject()) return "";
    const Value* before = request.old ? json::find(*request.old, {"spec", "paramKind"}) : nullptr;
    if (before && json::equal(*before, *kind)) return "";
    if (may(request, "get", resolve(*kind), "*", "*")) return "";
    return fmt::format("user {} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
                       user_text(*request.user), json::get_string(*kind, "kind"), json::get_string(*kind, "apiVersion"));
  }

  std::string check_binding(const AdmissionRequest& request, std::string_view policies) const {
    const Value* reference = json::find(*request.object, {"spec", "paramRef"});
    if (!reference || !reference->IsObject()) return "";
    const std::string_view policy_name = json::get_string(*request.object, {"spec", "policyName"});
    const auto policy = load(store_, store_.resource(fmt::format("{}.{}", policies, kGroup)), policy_name);
    const Value* kind = policy ? json::find(*policy, {"spec", "paramKind"}) : nullptr;
    const Parameters what = kind && kind->IsObject() ? resolve(*kind) : Parameters();
    const std::string_view name = json::get_string(*reference, "name"), verb = name.empty() ? "list" : "get";
    if (may(request, verb, what, json::get_string(*reference, "namespace"), name)) return "";
    const std::string user = user_text(*request.user);
    const auto undetermined = [&](std::string_view trouble) {
      return fmt::format(
          "unable to {} to determine minimum required permissions and user {} does not have \"{}\" permission for all groups, versions "
          "and resources",
          trouble, user, verb);
    };
    if (!policy) return undetermined(fmt::format("get policy {}", policy_name));
    if (what.unreadable) return undetermined(fmt::format("parse paramKind {}", what.kind_text));
    if (what.unresolved) return undetermined(fmt::format("resolve paramKind {}", what.kind_text));
    const bool mutating = request.resource->plural.starts_with("mutating");  // upstream takes one for the other there
    return fmt::format("user {} does not have \"{}\" permission on the object referenced by paramRef", mutating ? verb : user,
                       mutating ? user : verb);
  }

  store::Store& store_;
  const AccessOptions options_;
};

}  // namespace

PluginPtr make_policy_parameters(store::Store& store, const AccessOptions& options) {
  return std::make_unique<PolicyParameters>(store, options);
}

}  // namespace knarr::admission
