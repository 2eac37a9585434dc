// What a node may do. Which objects its pods refer to is read from the pods themselves, which the store finds by their
// node, and remembered for as long as they live: what a pod refers to does not change, but for what ephemeral
// containers add.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "knarr/auth/rbac.h"
#include "knarr/base/sync.h"

namespace knarr::auth {

namespace {

using json::Value;

constexpr std::string_view kUserPrefix = "system:node:";
constexpr std::string_view kLeaseNamespace = "kube-node-lease";

// What a pod refers to in its namespace.
enum class Kind { kPod, kSecret, kConfigMap, kClaim, kAccount, kResourceClaim };
using References = std::set<std::pair<Kind, std::string>>;

class Collector {
 public:
  explicit Collector(References& out) : out_(out) {}

  void pod(const Value& pod) {
    const Value* spec = json::find(pod, "spec");
    if (!spec) return;
    add(Kind::kAccount, json::get_string(*spec, "serviceAccountName"));
    each(*spec, "imagePullSecrets", [&](const Value& ref) { add(Kind::kSecret, json::get_string(ref, "name")); });
    for (const std::string_view list : {"containers", "initContainers", "ephemeralContainers"})
      each(*spec, list, [&](const Value& container) { this->container(container); });
    const std::string name(json::get_string(pod, {"metadata", "name"}));
    each(*spec, "volumes", [&](const Value& volume) { this->volume(name, volume); });
    each(*spec, "resourceClaims",
         [&](const Value& claim) { add(Kind::kResourceClaim, json::get_string(claim, "resourceClaimName")); });
    if (const Value* status = json::find(pod, "status"))
      each(*status, "resourceClaimStatuses",
           [&](const Value& claim) { add(Kind::kResourceClaim, json::get_string(claim, "resourceClaimName")); });
  }

 private:
  void add(Kind kind, std::string_view name) {
    if (!name.empty()) out_.emplace(kind, name);
  }

  template <typename Visit>
  static void each(const Value& object, std::string_view list, Visit&& visit) {
    const Value* items = json::find(object, list);
    if (!items || !items->IsArray()) return;
    for (const Value& item : items->GetArray()) visit(item);
  }

  void container(const Value& container) {
    each(container, "envFrom", [&](const Value& from) {
      add(Kind::kSecret, json::get_string(from, {"secretRef", "name"}));
      add(Kind::kConfigMap, json::get_string(from, {"configMapRef", "name"}));
    });
    each(container, "env", [&](const Value& env) {
      add(Kind::kSecret, json::get_string(env, {"valueFrom", "secretKeyRef", "name"}));
      add(Kind::kConfigMap, json::get_string(env, {"valueFrom", "configMapKeyRef", "name"}));
    });
  }

  void volume(const std::string& pod, const Value& volume) {
    add(Kind::kSecret, json::get_string(volume, {"secret", "secretName"}));
    add(Kind::kConfigMap, json::get_string(volume, {"configMap", "name"}));
    add(Kind::kClaim, json::get_string(volume, {"persistentVolumeClaim", "claimName"}));
    add(Kind::kSecret, json::get_string(volume, {"azureFile", "secretName"}));
    add(Kind::kSecret, json::get_string(volume, {"csi", "nodePublishSecretRef", "name"}));
    for (const std::string_view source : {"cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"})
      add(Kind::kSecret, json::get_string(volume, {source, "secretRef", "name"}));
    if (json::find(volume, "ephemeral")) add(Kind::kClaim, fmt::format("{}-{}", pod, json::get_string(volume, "name")));
    const Value* projected = json::find(volume, "projected");
    if (!projected) return;
    each(*projected, "sources", [&](const Value& source) {
      add(Kind::kSecret, json::get_string(source, {"secret", "name"}));
      add(Kind::kConfigMap, json::get_string(source, {"configMap", "name"}));
    });
  }

  References& out_;
};

Authorization refuse(std::string reason) { return {Decision::kNoOpinion, std::move(reason)}; }
Authorization allow() { return {Decision::kAllow, {}}; }

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Whether the selector asks for field=value (and perhaps more).
bool selects(std::string_view selector, std::string_view field, std::string_view value) {
  while (!selector.empty()) {
    const size_t comma = std::min(selector.find(','), selector.size());
    std::string_view term = selector.substr(0, comma);
    selector.remove_prefix(std::min(comma + 1, selector.size()));
    if (!term.starts_with(field)) continue;
    term.remove_prefix(field.size());
    if (term.starts_with("==")) term.remove_prefix(1);
    if (term.starts_with('=') && term.substr(1) == value) return true;
  }
  return false;
}

class NodeAuthorizer : public Authorizer {
 public:
  explicit NodeAuthorizer(NodeAuthorizerOptions options)
      : options_(options),
        volumes_(options.store->resource("persistentvolumes")),
        attachments_(options.store->resource("volumeattachments.storage.k8s.io")),
        slices_(options.store->resource("resourceslices.resource.k8s.io")),
        certificates_(options.store->resource("podcertificaterequests.certificates.k8s.io")),
        pods_(options.store->resource("pods")) {
    for (const DefaultObject& object : default_rbac_objects()) {
      if (object.plural != "clusterroles" || object.name != "system:node") continue;
      if (const auto role = json::parse(object.json); role.ok()) rules_ = read_rules(json::find(*role, "rules"));
    }
  }

  void list_rules(const UserInfo& user, std::string_view, UserRules& out) override {
    if (!node_name_of(user)) return;
    out.incomplete = true;
    out.errors.emplace_back("node authorizer does not support user rule resolution");
  }

  Authorization authorize(const Attributes& a) override {
    const auto node = a.user ? node_name_of(*a.user) : std::nullopt;
    if (!node) return {};
    if (node->empty()) return refuse(fmt::format("unknown node for user \"{}\"", a.user->name));
    if (a.resource_request) {
      if (a.group.empty()) {
        if (a.resource == "pods") return authorize_pod(*node, a);
        if (a.resource == "nodes") return authorize_node(*node, a);
        if (a.resource == "secrets") return authorize_read(*node, Kind::kSecret, a);
        if (a.resource == "configmaps") return authorize_read(*node, Kind::kConfigMap, a);
        if (a.resource == "serviceaccounts") return authorize_account(*node, a);
        if (a.resource == "persistentvolumeclaims") return authorize_claim(*node, a);
        if (a.resource == "persistentvolumes")
          return authorize_get(*node, a, [&] { return volume_is_used(*node, a.name); });
      }
      if (a.group == "coordination.k8s.io" && a.resource == "leases") return authorize_lease(*node, a);
      if (a.group == "storage.k8s.io" && a.resource == "csinodes") return authorize_csi_node(*node, a);
      if (a.group == "storage.k8s.io" && a.resource == "volumeattachments")
        return authorize_get(*node, a, [&] { return field_is(attachments_, std::string(a.name), *node); });
      if (a.group == "resource.k8s.io" && a.resource == "resourceclaims")
        return authorize_get(*node, a, [&] { return refers(*node, Kind::kResourceClaim, a.ns, a.name); });
      if (a.group == "resource.k8s.io" && a.resource == "resourceslices") return authorize_slice(*node, a);
      if (a.group == "certificates.k8s.io" && a.resource == "podcertificaterequests")
        return authorize_pod_certificate(*node, a);
    }
    for (const PolicyRule& rule : rules_)
      if (rule_allows(rule, a)) return allow();
    return {};
  }

 private:
  static Authorization unrelated(std::string_view node) {
    return refuse(fmt::format("no relationship found between node '{}' and this object", node));
  }

  Authorization authorize_pod(std::string_view node, const Attributes& a) {
    if (a.subresource.empty()) {
      if (a.verb == "get") return authorize_get(node, a, [&] { return refers(node, Kind::kPod, a.ns, a.name); });
      if (a.verb == "list" || a.verb == "watch") {
        if (selects(a.field_selector, "spec.nodeName", node)) return allow();
        if (a.name.empty()) return refuse("can only list/watch pods with spec.nodeName field selector");
        return refers(node, Kind::kPod, a.ns, a.name) ? allow() : unrelated(node);
      }
      if (a.verb == "create" || a.verb == "delete") return allow();
    }
    if (a.subresource == "status" && (a.verb == "update" || a.verb == "patch")) return allow();
    if (a.subresource == "eviction" && a.verb == "create") return allow();
    return {};
  }

  static Authorization authorize_node(std::string_view node, const Attributes& a) {
    if (a.subresource.empty()) {
      if (is_one_of(a.verb, {"create", "update", "patch"})) return allow();
      if (is_one_of(a.verb, {"get", "list", "watch"})) {
        if (a.name == node) return allow();
        if (a.name.empty())
          return refuse(fmt::format("node '{}' cannot read all nodes, only its own Node object", node));
        return refuse(fmt::format("node '{}' cannot read '{}', only its own Node object", node, a.name));
      }
    }
    if (a.subresource == "status" && (a.verb == "update" || a.verb == "patch")) return allow();
    return {};
  }

  Authorization authorize_read(std::string_view node, Kind kind, const Attributes& a) {
    if (!is_one_of(a.verb, {"get", "list", "watch"})) return refuse("can only read resources of this type");
    if (!a.subresource.empty()) return refuse("cannot read subresource");
    if (a.ns.empty()) return refuse("can only read namespaced object of this type");
    if (a.name.empty()) return refuse("No Object name found");
    return refers(node, kind, a.ns, a.name) ? allow() : unrelated(node);
  }

  template <typename Related>
  static Authorization authorize_get(std::string_view node, const Attributes& a, Related&& related) {
    if (a.verb != "get") return refuse("can only get individual resources of this type");
    if (!a.subresource.empty()) return refuse("cannot get subresource");
    if (a.name.empty()) return refuse("No Object name found");
    return related() ? allow() : unrelated(node);
  }

  Authorization authorize_account(std::string_view node, const Attributes& a) {
    if (a.verb == "get" && a.subresource.empty()) return authorize_read(node, Kind::kAccount, a);
    if (a.verb != "create" || a.name.empty()) return refuse("can only create tokens for individual service accounts");
    if (a.subresource != "token") return refuse("can only create token subresource of serviceaccount");
    return refers(node, Kind::kAccount, a.ns, a.name) ? allow() : unrelated(node);
  }

  Authorization authorize_claim(std::string_view node, const Attributes& a) {
    const auto related = [&] { return refers(node, Kind::kClaim, a.ns, a.name); };
    if (a.subresource != "status") return authorize_get(node, a, related);
    if (a.verb != "update" && a.verb != "patch") return refuse("can only get/update/patch this type");
    if (a.name.empty()) return refuse("No Object name found");
    return related() ? allow() : unrelated(node);
  }

  static Authorization authorize_lease(std::string_view node, const Attributes& a) {
    if (!is_one_of(a.verb, {"get", "create", "update", "patch", "delete"}))
      return refuse("can only get, create, update, patch, or delete a node lease");
    if (a.ns != kLeaseNamespace)
      return refuse(fmt::format("can only access leases in the \"{}\" system namespace", kLeaseNamespace));
    if (a.verb != "create" && a.name != node)
      return refuse("can only access node lease with the same name as the requesting node");
    return allow();
  }

  static Authorization authorize_csi_node(std::string_view node, const Attributes& a) {
    if (!is_one_of(a.verb, {"get", "create", "update", "patch", "delete"}))
      return refuse("can only get, create, update, patch, or delete a CSINode");
    if (!a.subresource.empty()) return refuse("cannot authorize CSINode subresources");
    if (a.verb != "create" && a.name != node)
      return refuse("can only access CSINode with the same name as the requesting node");
    return allow();
  }

  Authorization authorize_slice(std::string_view node, const Attributes& a) {
    if (!a.subresource.empty()) return refuse("cannot authorize ResourceSlice subresources");
    if (a.verb == "create") return allow();
    if (is_one_of(a.verb, {"get", "update", "patch", "delete"})) {
      if (a.name.empty()) return refuse("No Object name found");
      return field_is(slices_, std::string(a.name), node) ? allow() : unrelated(node);
    }
    if (is_one_of(a.verb, {"watch", "list", "deletecollection"})) {
      if (selects(a.field_selector, "spec.nodeName", node)) return allow();
      return refuse("can only list/watch/deletecollection resourceslices with nodeName field selector");
    }
    return refuse(
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, "
        "deletecollection");
  }

  Authorization authorize_pod_certificate(std::string_view node, const Attributes& a) {
    if (!a.subresource.empty()) return refuse("nodes may not access the status subresource of PodCertificateRequests");
    if (a.verb == "create") return allow();
    if (a.verb == "get") {
      if (a.name.empty()) return refuse("No Object name found");
      return field_is(certificates_, fmt::format("{}/{}", a.ns, a.name), node) ? allow() : unrelated(node);
    }
    if (a.verb == "list" || a.verb == "watch") {
      if (selects(a.field_selector, "spec.nodeName", node)) return allow();
      return refuse("can only list/watch podcertificaterequests with nodeName field selector");
    }
    return refuse(fmt::format("nodes may not {} podcertificaterequests", a.verb));
  }

  // Whether the object's spec.nodeName is this node.
  bool field_is(store::ResourceId resource, const std::string& key, std::string_view node) const {
    const store::ObjectPtr object = options_.store->get(resource, key);
    const auto document = object ? json::parse(object->value) : Result<json::Document>(json::Document());
    return document.ok() && json::get_string(*document, {"spec", "nodeName"}) == node;
  }

  // A volume is used by the pods that use its claim.
  bool volume_is_used(std::string_view node, std::string_view volume) {
    const store::ObjectPtr object = options_.store->get(volumes_, volume);
    const auto document = object ? json::parse(object->value) : Result<json::Document>(json::Document());
    if (!document.ok()) return false;
    return refers(node, Kind::kClaim, json::get_string(*document, {"spec", "claimRef", "namespace"}),
                  json::get_string(*document, {"spec", "claimRef", "name"}));
  }

  // Whether a pod of the node refers to the object (or is it).
  bool refers(std::string_view node, Kind kind, std::string_view ns, std::string_view name) {
    const auto pods = options_.store->list_index(pods_, options_.pods_by_node, node);
    const std::string prefix = fmt::format("{}/", ns);
    if (kind == Kind::kPod) {
      const std::string key = prefix + std::string(name);
      return std::any_of(pods.begin(), pods.end(), [&](const auto& pod) { return pod->key == key; });
    }
    const std::pair<Kind, std::string> wanted(kind, name);
    Lock lock(mutex_);
    auto& known = known_[std::string(node)];
    if (known.size() > 2 * pods.size() + 16) known.clear();
    for (const bool again : {false, true}) {  // then those that changed since they were read
      for (const store::ObjectPtr& pod : pods) {
        if (!pod->key.starts_with(prefix)) continue;
        auto [it, fresh] = known.try_emplace(pod->create_revision);
        if (fresh || (again && it->second.revision != pod->revision)) read(*pod, it->second);
        if (it->second.references.contains(wanted)) return true;
      }
    }
    return false;
  }

  struct Known {
    store::Revision revision = 0;
    References references;
  };
  static void read(const store::Object& pod, Known& known) {
    known.revision = pod.revision;
    known.references.clear();
    const auto document = json::parse(pod.value);
    if (!document.ok()) return;
    const Value* annotations = json::find(*document, {"metadata", "annotations"});
    if (annotations && json::find(*annotations, "kubernetes.io/config.mirror")) return;  // the node made it itself
    Collector(known.references).pod(*document);
  }

  const NodeAuthorizerOptions options_;
  const store::ResourceId volumes_, attachments_, slices_, certificates_, pods_;
  std::vector<PolicyRule> rules_;  // constant after construction
  Mutex mutex_;
  // By node and the revision that made the pod.
  std::unordered_map<std::string, std::unordered_map<store::Revision, Known>> known_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace

std::optional<std::string_view> node_name_of(const UserInfo& user) {
  const std::string_view name = user.name;
  if (!name.starts_with(kUserPrefix) || !user.in_group(kGroupNodes)) return {};
  return name.substr(kUserPrefix.size());
}

std::shared_ptr<Authorizer> make_node_authorizer(NodeAuthorizerOptions options) {
  return std::make_shared<NodeAuthorizer>(options);
}

}  // namespace knarr::auth
