// A node writes its own objects and those of its pods, and nobody else's.
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "admission/plugins.h"
#include "knarr/auth/authz.h"
#include "knarr/auth/csr.h"
#include "knarr/codec/base64.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
constexpr std::string_view kRestricted = "node-restriction.kubernetes.io";

// Labels of Kubernetes' own that a node may set on itself.
constexpr std::string_view kOwnLabels[] = {"kubernetes.io/hostname",
                                           "topology.kubernetes.io/zone",
                                           "topology.kubernetes.io/region",
                                           "failure-domain.beta.kubernetes.io/zone",
                                           "failure-domain.beta.kubernetes.io/region",
                                           "beta.kubernetes.io/instance-type",
                                           "node.kubernetes.io/instance-type",
                                           "kubernetes.io/os",
                                           "kubernetes.io/arch",
                                           "beta.kubernetes.io/os",
                                           "beta.kubernetes.io/arch"};
constexpr std::string_view kOwnNamespaces[] = {"kubelet.kubernetes.io", "node.kubernetes.io"};

bool is_or_below(std::string_view text, std::string_view domain) {
  return text == domain ||
         (text.ends_with(domain) && text.size() > domain.size() && text[text.size() - domain.size() - 1] == '.');
}

bool forbidden_label(std::string_view key) {
  const size_t slash = key.find('/');
  const std::string_view ns = slash == key.npos ? std::string_view() : key.substr(0, slash);
  if (is_or_below(ns, kRestricted)) return true;
  if (!is_or_below(ns, "kubernetes.io") && !is_or_below(ns, "k8s.io")) return false;
  if (std::find(std::begin(kOwnLabels), std::end(kOwnLabels), key) != std::end(kOwnLabels)) return false;
  return std::none_of(std::begin(kOwnNamespaces), std::end(kOwnNamespaces),
                      [&](std::string_view own) { return is_or_below(ns, own); });
}

std::map<std::string_view, std::string_view> labels_of(const Value* object) {
  std::map<std::string_view, std::string_view> out;
  const Value* labels = object ? json::find(*object, {"metadata", "labels"}) : nullptr;
  if (labels && labels->IsObject())
    for (const auto& member : labels->GetObject())
      if (member.value.IsString()) out.emplace(json::view(member.name), json::view(member.value));
  return out;
}

std::set<std::string_view> forbidden_changes(const Value& object, const Value* old) {
  const auto now = labels_of(&object), before = labels_of(old);
  std::set<std::string_view> out;
  for (const auto& [a, b] : {std::pair(&now, &before), std::pair(&before, &now)})
    for (const auto& [key, value] : *a) {
      const auto it = b->find(key);
      if ((it == b->end() || it->second != value) && forbidden_label(key)) out.insert(key);
    }
  return out;
}

// Absent and empty are the same.
bool same(const Value& a, const Value& b, std::initializer_list<std::string_view> path) {
  const Value *x = json::find(a, path), *y = json::find(b, path);
  const auto empty = [](const Value* v) {
    return !v || v->IsNull() || (v->IsArray() && v->Empty()) || (v->IsObject() && v->ObjectEmpty());
  };
  return (empty(x) && empty(y)) || (x && y && json::equal(*x, *y));
}

// What of the API a pod refers to; "" when nothing.
std::string_view api_reference(const Value& pod) {
  const Value* spec = json::find(pod, "spec");
  if (!spec) return {};
  if (!json::get_string(*spec, "serviceAccountName").empty()) return "serviceaccounts";
  const std::string text = json::dump(*spec);
  struct {
    std::string_view member, resource;
  } constexpr kMembers[] = {{"\"secretRef\"", "secrets"},
                            {"\"secretKeyRef\"", "secrets"},
                            {"\"secretName\"", "secrets"},
                            {"\"imagePullSecrets\"", "secrets"},
                            {"\"configMapRef\"", "configmaps"},
                            {"\"configMapKeyRef\"", "configmaps"},
                            {"\"configMap\"", "configmaps"},
                            {"\"persistentVolumeClaim\"", "persistentvolumeclaims"},
                            {"\"resourceClaims\"", "resourceclaims"}};
  for (const auto& known : kMembers)
    if (text.find(known.member) != text.npos) return known.resource;
  return {};
}

class NodeRestriction : public AdmissionPlugin {
 public:
  explicit NodeRestriction(store::Store& store)
      : store_(store), pods_(store.resource("pods")), nodes_(store.resource("nodes")) {}
  std::string_view name() const override { return "NodeRestriction"; }

  Status admit(AdmissionRequest& request) override {
    const auto node = auth::node_name_of(*request.user);
    if (!node) return Status::OK();
    if (node->empty())
      return refuse(request, fmt::format("could not determine node from user \"{}\"", request.user->name));
    const std::string_view resource = request.resource->storage_name;
    if (resource == "pods") return admit_pods(*node, request);
    if (resource == "nodes") return admit_node(*node, request);
    if (resource == "serviceaccounts") return admit_account(*node, request);
    if (resource == "leases.coordination.k8s.io") return admit_lease(*node, request);
    if (resource == "certificatesigningrequests.certificates.k8s.io" && request.operation == Operation::kCreate) return admit_signing_request(*node, request);
    if (resource == "csinodes.storage.k8s.io") {
      if (named(request) != *node)
        return refuse(request, "can only access CSINode with the same name as the requesting node");
    } else if (resource == "persistentvolumeclaims") {
      return admit_claim(*node, request);
    } else if (resource == "resourceslices.resource.k8s.io" && request.operation == Operation::kCreate) {
      if (json::get_string(*request.object, {"spec", "nodeName"}) != *node)
        return refuse(request, "can only create ResourceSlice with the same NodeName as the requesting node");
    }
    return Status::OK();
  }

 private:
  static std::string_view named(const AdmissionRequest& request) {
    if (request.operation == Operation::kCreate && request.object) return meta_string(*request.object, "name");
    return request.name;
  }

  static Status refuse(const AdmissionRequest& request, std::string_view why) {
    return forbidden_error(*request.resource, named(request), why);
  }

  static std::string_view word(Operation operation) {
    constexpr std::string_view kWords[] = {"CREATE", "UPDATE", "DELETE", "CONNECT"};
    return kWords[static_cast<size_t>(operation)];
  }

  Result<Document> stored(store::ResourceId resource, std::string_view plural, const std::string& key,
                          std::string_view object_name) const {
    const store::ObjectPtr object = store_.get(resource, key);
    if (!object) return apiserver::not_found_error(*schema::find_resource("", "v1", plural), object_name);
    return json::parse(object->value);
  }

  Status admit_pods(std::string_view node, const AdmissionRequest& request) const {
    if (request.subresource.empty()) {
      if (request.operation == Operation::kCreate) return admit_mirror(node, request);
      if (request.operation != Operation::kDelete)
        return refuse(request,
                      fmt::format("unexpected operation \"{}\", node \"{}\" can only create and delete mirror pods",
                                  word(request.operation), node));
      KNARR_ASSIGN(const Document pod, stored(pods_, "pods", object_key(request.ns, request.name), request.name));
      if (json::get_string(pod, {"spec", "nodeName"}) != node)
        return refuse(request, fmt::format("node \"{}\" can only delete pods with spec.nodeName set to itself", node));
      return Status::OK();
    }
    if (request.subresource == "status" && request.operation == Operation::kUpdate && request.old && request.object) {
      if (json::get_string(*request.old, {"spec", "nodeName"}) != node)
        return refuse(request, fmt::format("node \"{}\" can only update pod status for pods with spec.nodeName set to "
                                           "itself",
                                           node));
      if (!same(*request.object, *request.old, {"metadata", "labels"}))
        return refuse(request, fmt::format("node \"{}\" cannot update labels through pod status", node));
      if (!same(*request.object, *request.old, {"status", "resourceClaimStatuses"}))
        return refuse(request, fmt::format("node \"{}\" cannot update resource claim statues", node));
      if (!same(*request.object, *request.old, {"status", "extendedResourceClaimStatus"}))
        return refuse(request, fmt::format("node \"{}\" cannot update extended resource claim status", node));
      return Status::OK();
    }
    if (request.subresource == "eviction") {
      KNARR_ASSIGN(const Document pod, stored(pods_, "pods", object_key(request.ns, request.name), request.name));
      if (json::get_string(pod, {"spec", "nodeName"}) != node)
        return refuse(request, fmt::format("node {} can only evict pods with spec.nodeName set to itself", node));
      return Status::OK();
    }
    if (request.subresource == "status")
      return refuse(request, fmt::format("unexpected operation \"{}\"", word(request.operation)));
    return refuse(request, fmt::format("unexpected pod subresource \"{}\", only 'status' and 'eviction' are allowed",
                                       request.subresource));
  }

  // A node may show the pods that its own files describe.
  Status admit_mirror(std::string_view node, const AdmissionRequest& request) const {
    const Document& pod = *request.object;
    const Value* annotations = json::find(pod, {"metadata", "annotations"});
    if (!annotations || !json::find(*annotations, kMirror))
      return refuse(request, fmt::format("pod does not have \"{}\" annotation, node \"{}\" can only create mirror pods",
                                         kMirror, node));
    if (json::get_string(pod, {"spec", "nodeName"}) != node)
      return refuse(request, fmt::format("node \"{}\" can only create pods with spec.nodeName set to itself", node));
    const Value* owners = json::find(pod, {"metadata", "ownerReferences"});
    const size_t count = owners && owners->IsArray() ? owners->Size() : 0;
    if (count > 1)
      return refuse(request,
                    fmt::format("node \"{}\" can only create pods with a single owner reference set to itself", node));
    const auto itself = fmt::format("node \"{}\" can only create pods with an owner reference set to itself", node);
    if (count == 0) return refuse(request, itself);
    const Value& owner = (*owners)[0];
    if (json::get_string(owner, "apiVersion") != "v1" || json::get_string(owner, "kind") != "Node" ||
        json::get_string(owner, "name") != node)
      return refuse(request, itself);
    if (!json::get_bool(owner, "controller"))
      return refuse(request, fmt::format("node \"{}\" can only create pods with a controller owner reference set to "
                                         "itself",
                                         node));
    if (json::get_bool(owner, "blockOwnerDeletion"))
      return refuse(request, fmt::format("node \"{}\" must not set blockOwnerDeletion on an owner reference", node));
    KNARR_ASSIGN(const Document stored_node, stored(nodes_, "nodes", std::string(node), node));
    const std::string_view uid = json::get_string(owner, "uid"), actual = meta_string(stored_node, "uid");
    if (uid != actual)
      return refuse(request, fmt::format("node {} UID mismatch: expected {} got {}", node, uid, actual));
    if (const auto what = api_reference(pod); !what.empty())
      return refuse(request, fmt::format("node \"{}\" can not create pods that reference {}", node, what));
    return Status::OK();
  }

  static Status admit_node(std::string_view node, const AdmissionRequest& request) {
    if (named(request) != node)
      return refuse(request, fmt::format("node \"{}\" is not allowed to modify node \"{}\"", node, named(request)));
    if (!request.object) return Status::OK();
    const Document& object = *request.object;
    if (request.operation == Operation::kCreate) {
      if (const Value* source = json::find(object, {"spec", "configSource"}); source && !source->IsNull())
        return refuse(request, fmt::format("node \"{}\" is not allowed to create pods with a non-nil configSource", node));
      if (const auto labels = forbidden_changes(object, nullptr); !labels.empty())
        return refuse(request, fmt::format("node \"{}\" is not allowed to set the following labels: {}", node,
                                           fmt::join(labels, ", ")));
      return Status::OK();
    }
    if (request.operation != Operation::kUpdate || !request.old) return Status::OK();
    if (const Value* source = json::find(object, {"spec", "configSource"}); source && !source->IsNull() && !same(object, *request.old, {"spec", "configSource"}))
      return refuse(request, fmt::format("node \"{}\" is not allowed to update configSource to a new non-nil configSource", node));
    if (!same(object, *request.old, {"spec", "taints"}))
      return refuse(request, fmt::format("node \"{}\" is not allowed to modify taints", node));
    if (!same(object, *request.old, {"metadata", "ownerReferences"}))
      return refuse(request, fmt::format("node \"{}\" is not allowed to modify ownerReferences", node));
    if (const auto labels = forbidden_changes(object, request.old); !labels.empty())
      return refuse(request, fmt::format("is not allowed to modify labels: {}", fmt::join(labels, ", ")));
    return Status::OK();
  }

  Status admit_account(std::string_view node, const AdmissionRequest& request) const {
    if (request.operation != Operation::kCreate || request.subresource != "token" || !request.object)
      return Status::OK();
    const auto no = [&](std::string_view why) { return forbidden_error(*request.resource, request.name, why); };
    const Value* ref = json::find(*request.object, {"spec", "boundObjectRef"});
    const std::string pod_name(ref ? json::get_string(*ref, "name") : "");
    if (!ref || json::get_string(*ref, "apiVersion") != "v1" || json::get_string(*ref, "kind") != "Pod" ||
        pod_name.empty())
      return no("node requested token not bound to a pod");
    const std::string_view uid = json::get_string(*ref, "uid");
    if (uid.empty()) return no("node requested token with a pod binding without a uid");
    KNARR_ASSIGN(const Document pod, stored(pods_, "pods", object_key(request.ns, pod_name), pod_name));
    if (uid != meta_string(pod, "uid"))
      return no(
          fmt::format("the UID in the bound object reference ({}) does not match the UID in record. The object "
                      "might have been deleted and then recreated",
                      uid));
    if (json::get_string(pod, {"spec", "nodeName"}) != node)
      return no("node requested token bound to a pod scheduled on a different node");

    const Value* audiences = json::find(*request.object, {"spec", "audiences"});
    const size_t count = audiences && audiences->IsArray() ? audiences->Size() : 0;
    if (count > 1) return no("node may only request 0 or 1 audiences");
    const std::string_view audience = count == 1 ? json::view((*audiences)[0]) : std::string_view();
    if (pod_asks_for(pod, audience)) return Status::OK();
    return no(
        fmt::format("audience \"{}\" not found in pod spec volume, {} is not authorized to request tokens for "
                    "this audience",
                    audience, request.user->name));
  }

  static bool pod_asks_for(const Value& pod, std::string_view audience) {
    const Value* volumes = json::find(pod, {"spec", "volumes"});
    if (!volumes || !volumes->IsArray()) return false;
    for (const Value& volume : volumes->GetArray()) {
      const Value* sources = json::find(volume, {"projected", "sources"});
      if (!sources || !sources->IsArray()) continue;
      for (const Value& source : sources->GetArray()) {
        const Value* token = json::find(source, "serviceAccountToken");
        if (token && json::get_string(*token, "audience") == audience) return true;
      }
    }
    return false;
  }

  // A node asks for certificates of its own name only.
  static Status admit_signing_request(std::string_view node, const AdmissionRequest& request) {
    const std::string_view signer = json::get_string(*request.object, {"spec", "signerName"});
    if (signer != "kubernetes.io/kubelet-serving" && signer != "kubernetes.io/kube-apiserver-client-kubelet") return Status::OK();
    const auto pem = base64::decode(json::get_string(*request.object, {"spec", "request"}));
    const auto asked = pem.ok() ? auth::read_certificate_request(*pem) : Result<auth::CertificateRequest>(pem.status());
    if (!asked.ok()) return refuse(request, fmt::format("unable to parse csr: {}", asked.status().message()));
    if (asked->common_name == fmt::format("system:node:{}", node)) return Status::OK();
    return refuse(request, fmt::format("can only create a node CSR with CN=system:node:{}", node));
  }

  static Status admit_lease(std::string_view node, const AdmissionRequest& request) {
    if (request.ns != "kube-node-lease")
      return refuse(request, "can only access leases in the \"kube-node-lease\" system namespace");
    if (named(request) != node)
      return refuse(request, "can only access node lease with the same name as the requesting node");
    return Status::OK();
  }

  static Status admit_claim(std::string_view node, const AdmissionRequest& request) {
    if (request.subresource != "status") return refuse(request, "may only update PVC status");
    if (request.operation != Operation::kUpdate || !request.old || !request.object)
      return refuse(request, fmt::format("unexpected operation \"{}\"", word(request.operation)));
    Document a = json::copy(*request.object), b = json::copy(*request.old);
    for (Document* document : {&a, &b}) {
      if (Value* metadata = json::find(*document, "metadata"))
        for (const std::string_view field : {"resourceVersion", "managedFields"}) json::remove(*metadata, field);
      if (Value* status = json::find(*document, "status"))
        for (const std::string_view field :
             {"capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"})
          json::remove(*status, field);
    }
    if (json::equal(a, b)) return Status::OK();
    return refuse(request, fmt::format("node \"{}\" is not allowed to update fields other than status.quantity and "
                                       "status.conditions",
                                       node));
  }

  store::Store& store_;
  const store::ResourceId pods_, nodes_;
};

}  // namespace

PluginPtr make_node_restriction(store::Store& store) { return std::make_unique<NodeRestriction>(store); }

}  // namespace knarr::admission
