// Nobody hands out what he does not hold: roles and bindings are only written by those who have all that these grant,
// or who may expressly escalate or bind. Upstream checks this in the storage of its RBAC kinds.
#include "admission/plugins.h"
#include "knarr/admission/access.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

// Only what the garbage collector changes differs.
bool changes_only_owners(const Value& object, const Value& old) {
  Document a = json::copy(object), b = json::copy(old);
  for (Document* document : {&a, &b})
    if (Value* metadata = json::find(*document, "metadata"))
      for (const std::string_view field : {"ownerReferences", "finalizers", "managedFields", "resourceVersion"})
        json::remove(*metadata, field);
  return json::equal(a, b);
}

bool has_aggregation(const Value& role) {
  const Value* selectors = json::find(role, {"aggregationRule", "clusterRoleSelectors"});
  return selectors && selectors->IsArray() && !selectors->Empty();
}

class RbacEscalation : public AdmissionPlugin {
 public:
  explicit RbacEscalation(AccessOptions options) : options_(std::move(options)) {}
  std::string_view name() const override { return "RBACEscalation"; }

  Status admit(AdmissionRequest& request) override {
    if (request.resource->group != kGroup || !request.subresource.empty() || !request.object) return Status::OK();
    if (request.user->in_group(auth::kGroupMasters)) return Status::OK();
    if (request.old && changes_only_owners(*request.object, *request.old)) return Status::OK();
    const std::string_view plural = request.resource->plural;
    if (plural == "clusterroles" || plural == "roles") return check_role(request);
    if (plural == "clusterrolebindings" || plural == "rolebindings") return check_binding(request);
    return Status::OK();
  }

 private:
  bool may(const AdmissionRequest& request, std::string_view verb, std::string_view resource,
           std::string_view name) const {
    auth::Attributes a;
    a.user = request.user;
    a.verb = verb;
    a.resource_request = true;
    a.group = kGroup;
    a.version = "*";
    a.resource = resource;
    a.ns = request.ns;
    a.name = name;
    return options_.authorizer && options_.authorizer->authorize(a).decision == auth::Decision::kAllow;
  }

  std::string refusal(const AdmissionRequest& request, std::span<const auth::PolicyRule> wanted) const {
    auth::UserRules held;
    options_.rbac->list_rules(*request.user, request.ns, held);
    return auth::escalation_refusal(*request.user, held.rules, wanted, held.errors);
  }

  Status check_role(const AdmissionRequest& request) const {
    // A role that is being made has no name that one could be allowed to escalate.
    const std::string_view asked = request.operation == Operation::kCreate ? std::string_view() : request.name;
    if (may(request, "escalate", request.resource->plural, asked)) return Status::OK();
    const std::string_view name = meta_string(*request.object, "name");
    const auto rules = auth::read_rules(json::find(*request.object, "rules"));
    if (const std::string why = refusal(request, rules); !why.empty())
      return forbidden_error(*request.resource, name, why);
    if (!has_aggregation(*request.object) && !(request.old && has_aggregation(*request.old))) return Status::OK();
    const std::vector<auth::PolicyRule> everything = {{{"*"}, {"*"}, {"*"}, {}, {}}, {{"*"}, {}, {}, {}, {"*"}}};
    if (refusal(request, everything).empty()) return Status::OK();
    return forbidden_error(*request.resource, name, "must have cluster-admin privileges to use the aggregationRule");
  }

  Status check_binding(const AdmissionRequest& request) const {
    const std::string_view kind = json::get_string(*request.object, {"roleRef", "kind"});
    const std::string_view role = json::get_string(*request.object, {"roleRef", "name"});
    const bool cluster = kind == "ClusterRole";
    if (!cluster && kind != "Role") return Status::OK();  // which validation refuses
    const std::string_view plural = cluster ? "clusterroles" : "roles";
    if (may(request, "bind", plural, role)) return Status::OK();
    const auto rules = options_.rbac->role_rules(kind, role, request.ns);
    if (!rules) return apiserver::not_found_error(*request.resource, role);
    if (const std::string why = refusal(request, *rules); !why.empty())
      return forbidden_error(*request.resource, meta_string(*request.object, "name"), why);
    return Status::OK();
  }

  const AccessOptions options_;
};

}  // namespace

PluginPtr make_node_restriction(store::Store& store);
PluginPtr make_policy_parameters(store::Store& store, const AccessOptions& options);

void add_access_plugins(apiserver::AdmissionChain& chain, store::Store& store, const AccessOptions& options) {
  // NodeRestriction stands behind ServiceAccount in upstream's order.
  auto at = chain.begin();
  for (auto it = chain.begin(); it != chain.end(); ++it)
    if ((*it)->name() == "ServiceAccount") at = it + 1;
  chain.insert(at, make_node_restriction(store));
  // Upstream's plugins for certificates stand behind RuntimeClass.
  for (auto it = chain.begin(); it != chain.end(); ++it)
    if ((*it)->name() == "RuntimeClass") at = it + 1;
  at = chain.insert(at, make_certificate_approval(options.authorizer));
  chain.insert(at + 1, make_certificate_signing(options.authorizer));
  chain.push_back(std::make_unique<RbacEscalation>(options));
  // Before all that look at complete objects: it is one of the kinds' own rules.
  chain.insert(chain.begin(), make_policy_parameters(store, options));
}

}  // namespace knarr::admission
