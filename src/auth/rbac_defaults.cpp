// The roles and bindings of every cluster. Names and rules are those of upstream, since charts and tools refer to them.
#include "rbac_defaults.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/auth/rbac.h"

namespace knarr::auth {

namespace {

struct DefaultBinding {
  std::string_view ns, name;  // ns "": a ClusterRoleBinding
  std::string_view role_kind, role;
  std::string_view subjects;  // user:<name> group:<name> serviceaccount:<namespace>:<name>
};

// clang-format off
constexpr DefaultRole kRoles[] = {
    {"", "admin", "", "admin",
     ""},
    {"", "cluster-admin", "", "",
     "* * *\n"
     "* *\n"},
    {"", "edit", "admin", "edit",
     ""},
    {"", "system:aggregate-to-admin", "admin", "",
     "create authorization.k8s.io localsubjectaccessreviews\n"
     "create,delete,deletecollection,get,list,patch,update,watch rbac.authorization.k8s.io rolebindings,roles\n"},
    {"", "system:aggregate-to-edit", "edit", "",
     "get,list,watch core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy\n"
     "impersonate core serviceaccounts\n"
     "create,delete,deletecollection,patch,update core pods,pods/attach,pods/exec,pods/portforward,pods/proxy\n"
     "create core pods/eviction\n"
     "create,delete,deletecollection,patch,update core configmaps,persistentvolumeclaims,"
     "replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy\n"
     "create core serviceaccounts/token\n"
     "create,delete,deletecollection,patch,update core,events.k8s.io events\n"
     "create,delete,deletecollection,patch,update apps daemonsets,deployments,deployments/rollback,"
     "deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale\n"
     "create,delete,deletecollection,patch,update autoscaling horizontalpodautoscalers\n"
     "create,delete,deletecollection,patch,update batch cronjobs,jobs\n"
     "create,delete,deletecollection,patch,update extensions daemonsets,deployments,deployments/rollback,"
     "deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale\n"
     "create,delete,deletecollection,patch,update policy poddisruptionbudgets\n"
     "create,delete,deletecollection,patch,update networking.k8s.io ingresses,networkpolicies\n"
     "create,delete,deletecollection,get,list,patch,update,watch coordination.k8s.io leases\n"
     "create,delete,deletecollection,patch,update resource.k8s.io resourceclaims,resourceclaimtemplates\n"},
    {"", "system:aggregate-to-view", "view", "",
     "get,list,watch core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,"
     "replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status\n"
     "get,list,watch core bindings,limitranges,namespaces/status,pods/log,pods/status,"
     "replicationcontrollers/status,resourcequotas,resourcequotas/status\n"
     "get,list,watch core namespaces\n"
     "get,list,watch core,events.k8s.io events\n"
     "get,list,watch discovery.k8s.io endpointslices\n"
     "get,list,watch apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,"
     "deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,"
     "statefulsets/status\n"
     "get,list,watch autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status\n"
     "get,list,watch batch cronjobs,cronjobs/status,jobs,jobs/status\n"
     "get,list,watch extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,"
     "ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,"
     "replicationcontrollers/scale\n"
     "get,list,watch policy poddisruptionbudgets,poddisruptionbudgets/status\n"
     "get,list,watch networking.k8s.io ingresses,ingresses/status,networkpolicies\n"
     "get,list,watch resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates\n"},
    {"", "system:auth-delegator", "", "",
     "create authentication.k8s.io tokenreviews\n"
     "create authorization.k8s.io subjectaccessreviews\n"},
    {"", "system:basic-user", "", "",
     "create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews\n"
     "create authentication.k8s.io selfsubjectreviews\n"},
    {"", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", "", "",
     "create certificates.k8s.io certificatesigningrequests/nodeclient\n"},
    {"", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "", "",
     "create certificates.k8s.io certificatesigningrequests/selfnodeclient\n"},
    {"", "system:certificates.k8s.io:kube-apiserver-client-approver", "", "",
     "approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client\n"},
    {"", "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", "", "",
     "approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet\n"},
    {"", "system:certificates.k8s.io:kubelet-serving-approver", "", "",
     "approve certificates.k8s.io signers kubernetes.io/kubelet-serving\n"},
    {"", "system:certificates.k8s.io:legacy-unknown-approver", "", "",
     "approve certificates.k8s.io signers kubernetes.io/legacy-unknown\n"},
    {"", "system:discovery", "", "",
     "get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/\n"},
    {"", "system:heapster", "", "",
     "get,list,watch core events,namespaces,nodes,pods\n"
     "get,list,watch extensions deployments\n"},
    {"", "system:kube-aggregator", "", "",
     "get,list,watch core endpoints,services\n"},
    {"", "system:kube-controller-manager", "", "",
     "create,patch,update core,events.k8s.io events\n"
     "create coordination.k8s.io leases\n"
     "get,update coordination.k8s.io leases kube-controller-manager\n"
     "create core secrets,serviceaccounts\n"
     "delete core secrets\n"
     "get core configmaps,namespaces,secrets,serviceaccounts\n"
     "update core secrets,serviceaccounts\n"
     "create authentication.k8s.io tokenreviews\n"
     "create authorization.k8s.io subjectaccessreviews\n"
     "list,watch * *\n"
     "create core serviceaccounts/token\n"},
    {"", "system:kube-dns", "", "",
     "list,watch core endpoints,services\n"},
    {"", "system:kube-scheduler", "", "",
     "create,patch,update core,events.k8s.io events\n"
     "create coordination.k8s.io leases\n"
     "get,list,update,watch coordination.k8s.io leases kube-scheduler\n"
     "create,delete,deletecollection,get,list,patch,update,watch coordination.k8s.io leasecandidates\n"
     "get,list,watch core nodes\n"
     "delete,get,list,watch core pods\n"
     "create core bindings,pods/binding\n"
     "patch,update core pods/status\n"
     "get,list,watch core replicationcontrollers,services\n"
     "get,list,watch apps,extensions replicasets\n"
     "get,list,watch apps statefulsets\n"
     "get,list,watch policy poddisruptionbudgets\n"
     "get,list,watch core persistentvolumeclaims,persistentvolumes\n"
     "create authentication.k8s.io tokenreviews\n"
     "create authorization.k8s.io subjectaccessreviews\n"
     "get,list,watch storage.k8s.io csinodes\n"
     "get,list,watch storage.k8s.io volumeattachments\n"
     "get,list,watch core namespaces\n"
     "get,list,watch storage.k8s.io csidrivers\n"
     "get,list,watch storage.k8s.io csistoragecapacities\n"
     "get,list,watch resource.k8s.io deviceclasses\n"
     "get,list,patch,update,watch resource.k8s.io resourceclaims\n"
     "get,list,patch,update,watch resource.k8s.io resourceclaims/status\n"
     "update core pods/finalizers\n"
     "get,list,watch resource.k8s.io resourceslices\n"
     "create,delete resource.k8s.io resourceclaims\n"
     "patch,update resource.k8s.io resourceclaims/binding\n"},
    {"", "system:kubelet-api-admin", "", "",
     "get,list,watch core nodes\n"
     "proxy core nodes\n"
     "* core nodes/log,nodes/metrics,nodes/proxy,nodes/stats\n"
     "* core nodes/configz,nodes/healthz,nodes/pods\n"},
    {"", "system:monitoring", "", "",
     "get /flagz,/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*,/statusz\n"
     "get core nodes/metrics\n"},
    {"", "system:node", "", "",
     "create authentication.k8s.io tokenreviews\n"
     "create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews\n"
     "get,list,watch core services\n"
     "create,get,list,watch core nodes\n"
     "patch,update core nodes/status\n"
     "patch,update core nodes\n"
     "create,patch,update core,events.k8s.io events\n"
     "get,list,watch core pods\n"
     "create,delete core pods\n"
     "patch,update core pods/status\n"
     "create core pods/eviction\n"
     "get,list,watch core configmaps,secrets\n"
     "get core persistentvolumeclaims,persistentvolumes\n"
     "get core endpoints\n"
     "create,get,list,watch certificates.k8s.io certificatesigningrequests\n"
     "create,delete,get,patch,update coordination.k8s.io leases\n"
     "get storage.k8s.io volumeattachments\n"
     "create core serviceaccounts/token\n"
     "get,patch,update core persistentvolumeclaims/status\n"
     "get,list,watch storage.k8s.io csidrivers\n"
     "create,delete,get,patch,update storage.k8s.io csinodes\n"
     "get,list,watch node.k8s.io runtimeclasses\n"
     "get resource.k8s.io resourceclaims\n"
     "deletecollection resource.k8s.io resourceslices\n"
     "get core serviceaccounts\n"},
    {"", "system:node-bootstrapper", "", "",
     "create,get,list,watch certificates.k8s.io certificatesigningrequests\n"},
    {"", "system:node-problem-detector", "", "",
     "get core nodes\n"
     "patch core nodes/status\n"
     "create,patch,update core,events.k8s.io events\n"},
    {"", "system:node-proxier", "", "",
     "list,watch core endpoints,services\n"
     "get,list,watch core nodes\n"
     "create,patch,update core,events.k8s.io events\n"
     "list,watch networking.k8s.io servicecidrs\n"
     "list,watch discovery.k8s.io endpointslices\n"},
    {"", "system:persistent-volume-provisioner", "", "",
     "create,delete,get,list,watch core persistentvolumes\n"
     "get,list,update,watch core persistentvolumeclaims\n"
     "get,list,watch storage.k8s.io storageclasses\n"
     "watch core events\n"
     "create,patch,update core,events.k8s.io events\n"},
    {"", "system:public-info-viewer", "", "",
     "get /healthz,/livez,/readyz,/version,/version/\n"},
    {"", "system:service-account-issuer-discovery", "", "",
     "get /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/\n"},
    {"", "system:volume-scheduler", "", "",
     "get,list,patch,update,watch core persistentvolumes\n"
     "get,list,watch storage.k8s.io storageclasses\n"
     "get,list,patch,update,watch core persistentvolumeclaims\n"},
    {"", "view", "edit", "view",
     ""},
    {"kube-public", "system:controller:bootstrap-signer", "", "",
     "get,list,watch core configmaps\n"
     "update core configmaps cluster-info\n"
     "create,patch,update core,events.k8s.io events\n"},
    {"kube-system", "extension-apiserver-authentication-reader", "", "",
     "get,list,watch core configmaps extension-apiserver-authentication\n"},
    {"kube-system", "system::leader-locking-kube-controller-manager", "", "",
     "create,get,list,update,watch coordination.k8s.io leases\n"
     "create,get,list,update,watch coordination.k8s.io leasecandidates\n"},
    {"kube-system", "system::leader-locking-kube-scheduler", "", "",
     "create,get,list,update,watch coordination.k8s.io leases\n"
     "create,get,list,update,watch coordination.k8s.io leasecandidates\n"},
    {"kube-system", "system:controller:bootstrap-signer", "", "",
     "get,list,watch core secrets\n"},
    {"kube-system", "system:controller:cloud-provider", "", "",
     "create,get,list,watch core configmaps\n"},
    {"kube-system", "system:controller:token-cleaner", "", "",
     "delete,get,list,watch core secrets\n"
     "create,patch,update core,events.k8s.io events\n"},
};

constexpr DefaultBinding kBindings[] = {
    {"", "cluster-admin", "ClusterRole", "cluster-admin",
     "group:system:masters"},
    {"", "system:basic-user", "ClusterRole", "system:basic-user",
     "group:system:authenticated"},
    {"", "system:discovery", "ClusterRole", "system:discovery",
     "group:system:authenticated"},
    {"", "system:kube-controller-manager", "ClusterRole", "system:kube-controller-manager",
     "user:system:kube-controller-manager"},
    {"", "system:kube-dns", "ClusterRole", "system:kube-dns",
     "serviceaccount:kube-system:kube-dns"},
    {"", "system:kube-scheduler", "ClusterRole", "system:kube-scheduler",
     "user:system:kube-scheduler"},
    {"", "system:monitoring", "ClusterRole", "system:monitoring",
     "group:system:monitoring"},
    {"", "system:node", "ClusterRole", "system:node",
     ""},
    {"", "system:node-proxier", "ClusterRole", "system:node-proxier",
     "user:system:kube-proxy"},
    {"", "system:public-info-viewer", "ClusterRole", "system:public-info-viewer",
     "group:system:authenticated group:system:unauthenticated"},
    {"", "system:service-account-issuer-discovery", "ClusterRole", "system:service-account-issuer-discovery",
     "group:system:serviceaccounts"},
    {"", "system:volume-scheduler", "ClusterRole", "system:volume-scheduler",
     "user:system:kube-scheduler"},
    {"kube-public", "system:controller:bootstrap-signer", "Role", "system:controller:bootstrap-signer",
     "serviceaccount:kube-system:bootstrap-signer"},
    {"kube-system", "system::extension-apiserver-authentication-reader", "Role",
     "extension-apiserver-authentication-reader",
     "user:system:kube-controller-manager user:system:kube-scheduler"},
    {"kube-system", "system::leader-locking-kube-controller-manager", "Role",
     "system::leader-locking-kube-controller-manager",
     "user:system:kube-controller-manager serviceaccount:kube-system:kube-controller-manager "
     "serviceaccount:kube-system:leader-election-controller"},
    {"kube-system", "system::leader-locking-kube-scheduler", "Role", "system::leader-locking-kube-scheduler",
     "user:system:kube-scheduler serviceaccount:kube-system:kube-scheduler"},
    {"kube-system", "system:controller:bootstrap-signer", "Role", "system:controller:bootstrap-signer",
     "serviceaccount:kube-system:bootstrap-signer"},
    {"kube-system", "system:controller:cloud-provider", "Role", "system:controller:cloud-provider",
     "serviceaccount:kube-system:cloud-provider"},
    {"kube-system", "system:controller:token-cleaner", "Role", "system:controller:token-cleaner",
     "serviceaccount:kube-system:token-cleaner"},
};
// clang-format on

constexpr std::string_view kControllerPrefix = "system:controller:";
constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(by), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// ["a","b"] of a word "a,b"; "core" is the API group without a name.
std::string list_json(std::string_view word, bool groups = false) {
  std::string out = "[";
  for (const std::string_view item : split(word, ',')) {
    if (out.size() > 1) out += ',';
    json::append_quoted(out, groups && item == "core" ? "" : item);
  }
  return out += ']';
}

std::string rule_json(std::string_view line) {
  const auto words = split(line, ' ');
  if (words.size() == 2)
    return fmt::format(R"({{"nonResourceURLs":{},"verbs":{}}})", list_json(words[1]), list_json(words[0]));
  std::string out = fmt::format(R"({{"apiGroups":{})", list_json(words[1], true));
  if (words.size() > 3) out += fmt::format(R"(,"resourceNames":{})", list_json(words[3]));
  return out += fmt::format(R"(,"resources":{},"verbs":{}}})", list_json(words[2]), list_json(words[0]));
}

std::string head_json(std::string_view kind, std::string_view ns, std::string_view name,
                      std::string_view aggregated_to = {}) {
  std::string out = fmt::format(R"({{"apiVersion":"{}/v1","kind":"{}","metadata":{{"name":"{}")", kGroup, kind, name);
  if (!ns.empty()) out += fmt::format(R"(,"namespace":"{}")", ns);
  out += R"(,"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"true"})";
  out += R"(,"labels":{"kubernetes.io/bootstrapping":"rbac-defaults")";
  for (const std::string_view role : split(aggregated_to, ','))
    out += fmt::format(R"(,"{}/aggregate-to-{}":"true")", kGroup, role);
  return out += "}}";
}

DefaultObject role_object(const DefaultRole& role) {
  const bool cluster = role.ns.empty();
  std::string out = head_json(cluster ? "ClusterRole" : "Role", role.ns, role.name, role.aggregated_to);
  if (!role.aggregates.empty()) {
    out += fmt::format(
        R"(,"aggregationRule":{{"clusterRoleSelectors":[{{"matchLabels":{{"{}/aggregate-to-{}":"true"}}}}]}})", kGroup,
        role.aggregates);
  }
  out += R"(,"rules":)";
  std::string rules;
  for (const std::string_view line : split(role.rules, '\n')) rules += (rules.empty() ? "" : ",") + rule_json(line);
  out += role.aggregates.empty() ? "[" + rules + "]" : "null";
  return {cluster ? "clusterroles" : "roles", role.ns, role.name, out + "}"};
}

std::string subject_json(std::string_view word) {
  const size_t colon = word.find(':');
  const std::string_view kind = word.substr(0, colon), name = word.substr(colon + 1);
  if (kind == "serviceaccount") {
    const size_t second = name.find(':');
    return fmt::format(R"({{"kind":"ServiceAccount","name":"{}","namespace":"{}"}})", name.substr(second + 1),
                       name.substr(0, second));
  }
  return fmt::format(R"({{"apiGroup":"{}","kind":"{}","name":"{}"}})", kGroup, kind == "user" ? "User" : "Group", name);
}

DefaultObject binding_object(const DefaultBinding& binding) {
  const bool cluster = binding.ns.empty();
  std::string out = head_json(cluster ? "ClusterRoleBinding" : "RoleBinding", binding.ns, binding.name);
  out += fmt::format(R"(,"roleRef":{{"apiGroup":"{}","kind":"{}","name":"{}"}})", kGroup, binding.role_kind,
                     binding.role);
  std::string subjects;
  for (const std::string_view word : split(binding.subjects, ' '))
    subjects += (subjects.empty() ? "" : ",") + subject_json(word);
  if (!subjects.empty()) out += fmt::format(R"(,"subjects":[{}])", subjects);
  return {cluster ? "clusterrolebindings" : "rolebindings", binding.ns, binding.name, out + "}"};
}

// Appends what `to` lacks of the list `from`; true when that was something.
bool add_missing(json::Value& to, const json::Value& from, json::Allocator& alloc) {
  bool changed = false;
  for (const json::Value& item : from.GetArray()) {
    const auto items = to.GetArray();
    if (std::any_of(items.begin(), items.end(), [&](const json::Value& own) { return json::equal(own, item); }))
      continue;
    to.PushBack(json::copy(item, alloc), alloc);
    changed = true;
  }
  return changed;
}

// Appends the rules of `wanted` that those of `object` do not cover.
bool add_rules(json::Value& object, const json::Value& wanted, json::Allocator& alloc) {
  const json::Value* rules = json::find(wanted, "rules");
  if (!rules || !rules->IsArray()) return false;
  const auto held = read_rules(json::find(object, "rules"));
  const auto needed = read_rules(rules);
  bool changed = false;
  for (rapidjson::SizeType i = 0; i < rules->Size(); ++i) {
    if (uncovered_rules(held, {&needed[i], 1}).empty()) continue;
    json::Value* own = json::find(object, "rules");
    if (!own || !own->IsArray()) own = &json::set(object, "rules", json::Value(rapidjson::kArrayType), alloc);
    own->PushBack(json::copy((*rules)[i], alloc), alloc);
    changed = true;
  }
  return changed;
}

// Labels and annotations of the default that are missing.
bool add_metadata(json::Value& object, const json::Value& wanted, json::Allocator& alloc) {
  bool changed = false;
  for (const std::string_view map : {"labels", "annotations"}) {
    const json::Value* from = json::find(wanted, {"metadata", map});
    if (!from || !from->IsObject()) continue;
    for (const auto& member : from->GetObject()) {
      json::Value& to = json::ensure_object(object, {"metadata", map}, alloc);
      if (json::find(to, json::view(member.name))) continue;
      json::set(to, json::view(member.name), json::view(member.value), alloc);
      changed = true;
    }
  }
  return changed;
}

}  // namespace

std::vector<DefaultObject> default_rbac_objects() {
  std::vector<DefaultObject> out;
  for (const DefaultRole& role : kRoles) out.push_back(role_object(role));
  for (const DefaultRole& role : default_controller_roles()) out.push_back(role_object(role));
  for (const DefaultBinding& binding : kBindings) out.push_back(binding_object(binding));
  for (const DefaultRole& role : default_controller_roles()) {
    const std::string account =
        fmt::format("serviceaccount:kube-system:{}", role.name.substr(kControllerPrefix.size()));
    out.push_back(binding_object({"", role.name, "ClusterRole", role.name, account}));
  }
  return out;
}

std::string reconciled(const json::Value& wanted, const json::Value* existing, bool& replace) {
  replace = false;
  if (!existing) return json::dump(wanted);
  constexpr std::string_view kAutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";
  if (json::get_string(*existing, {"metadata", "annotations", kAutoUpdate}) == "false")
    return {};
  if (const json::Value* role = json::find(wanted, "roleRef")) {
    const json::Value* own = json::find(*existing, "roleRef");
    if (!own || !json::equal(*own, *role)) {
      replace = true;
      return json::dump(wanted);
    }
  }
  json::Document object = json::copy(*existing);
  auto& alloc = object.GetAllocator();
  bool changed = add_metadata(object, wanted, alloc);
  if (const json::Value* aggregation = json::find(wanted, {"aggregationRule", "clusterRoleSelectors"})) {
    json::Value& to = json::ensure_object(object, {"aggregationRule"}, alloc);
    json::Value* own = json::find(to, "clusterRoleSelectors");
    if (!own || !own->IsArray())
      own = &json::set(to, "clusterRoleSelectors", json::Value(rapidjson::kArrayType), alloc);
    changed |= add_missing(*own, *aggregation, alloc);
  } else {
    changed |= add_rules(object, wanted, alloc);
  }
  if (const json::Value* subjects = json::find(wanted, "subjects")) {
    json::Value* own = json::find(object, "subjects");
    if (!own || !own->IsArray()) own = &json::set(object, "subjects", json::Value(rapidjson::kArrayType), alloc);
    changed |= add_missing(*own, *subjects, alloc);
  }
  return changed ? json::dump(object) : std::string();
}

}  // namespace knarr::auth
