#include "update_causes.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace knarr::apiserver {

namespace {

// Checked in a new object, and again as a change of the old one.
bool checked_twice(const Cause& cause) {
  for (std::string_view field :
       {"metadata.labels", "metadata.annotations", "metadata.ownerReferences", "metadata.managedFields"})
    if (cause.field.starts_with(field)) return true;
  return false;
}

// A finalizer's name: whether it is one at all is checked in a new object only, whether Kubernetes knows it again in a
// changed one. That none is added to a deleted object is of the change.
bool is_finalizer(const Cause& cause) {
  return cause.field.starts_with("metadata.finalizers") && cause.reason != "FieldValueForbidden";
}
bool is_malformed_finalizer(const Cause& cause) { return is_finalizer(cause) && cause.field == "metadata.finalizers"; }
bool is_unknown_finalizer(const Cause& cause) { return is_finalizer(cause) && cause.field != "metadata.finalizers"; }

// How often a kind's own rules check metadata: as a change, or as a change and as a new object, or not at all.
int checks_of_kind(const schema::Resource& resource, std::string_view subresource) {
  static const std::set<std::string_view> none = {"events", "poddisruptionbudgets.policy"};
  static const std::set<std::string_view> twice = {"configmaps",
                                                   "endpoints",
                                                   "persistentvolumeclaims",
                                                   "persistentvolumes",
                                                   "pods",
                                                   "secrets",
                                                   "serviceaccounts",
                                                   "apiservices.apiregistration.k8s.io",
                                                   "certificatesigningrequests.certificates.k8s.io",
                                                   "clusterrolebindings.rbac.authorization.k8s.io",
                                                   "clusterroles.rbac.authorization.k8s.io",
                                                   "controllerrevisions.apps",
                                                   "csistoragecapacities.storage.k8s.io",
                                                   "deviceclasses.resource.k8s.io",
                                                   "ingressclasses.networking.k8s.io",
                                                   "ingresses.networking.k8s.io",
                                                   "ipaddresses.networking.k8s.io",
                                                   "jobs.batch",
                                                   "resourceclaims.resource.k8s.io",
                                                   "resourceclaimtemplates.resource.k8s.io",
                                                   "rolebindings.rbac.authorization.k8s.io",
                                                   "roles.rbac.authorization.k8s.io",
                                                   "runtimeclasses.node.k8s.io",
                                                   "storageclasses.storage.k8s.io",
                                                   "volumeattributesclasses.storage.k8s.io"};
  if (resource.custom) return 1;
  const std::string_view name = resource.storage_name;
  if (name == "events" && !resource.group.empty()) return 1;  // the newer API of the same objects is stricter
  if (none.count(name) != 0) return 0;
  const bool requests = name == "certificatesigningrequests.certificates.k8s.io";
  return twice.count(name) != 0 && (subresource != "status" || requests) ? 2 : 1;
}

// Kinds that are checked as new objects first, and then as changed ones.
bool checks_new_first(const schema::Resource& resource) {
  static const std::set<std::string_view> kinds = {"clusterrolebindings.rbac.authorization.k8s.io",
                                                   "clusterroles.rbac.authorization.k8s.io",
                                                   "deviceclasses.resource.k8s.io",
                                                   "ipaddresses.networking.k8s.io",
                                                   "jobs.batch",
                                                   "persistentvolumes",
                                                   "resourceclaims.resource.k8s.io",
                                                   "resourceclaimtemplates.resource.k8s.io",
                                                   "rolebindings.rbac.authorization.k8s.io",
                                                   "roles.rbac.authorization.k8s.io",
                                                   "storageclasses.storage.k8s.io"};
  return kinds.count(resource.storage_name) != 0;
}

// Kinds whose rules check a changed object as a new one, last or at all.
bool checks_as_new_last(const schema::Resource& resource) {
  if (resource.group == "admissionregistration.k8s.io") return true;
  static const std::set<std::string_view> kinds = {"endpointslices.discovery.k8s.io", "limitranges", "persistentvolumes",
                                                   "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"};
  return kinds.count(resource.storage_name) != 0;
}

}  // namespace

std::vector<Cause> causes_of_update(const schema::Resource& resource, std::string_view subresource,
                                    std::vector<Cause> causes) {
  std::vector<Cause> out;
  const auto add = [&](const auto& wanted) { std::copy_if(causes.begin(), causes.end(), std::back_inserter(out), wanted); };
  // What is checked of every kind.
  add([](const Cause& cause) { return checked_twice(cause) || is_malformed_finalizer(cause); });
  add([](const Cause& cause) { return cause.field.starts_with("metadata.") && !is_finalizer(cause); });
  // What the kind's rules check of metadata.
  const int checks = checks_of_kind(resource, subresource);
  if (checks == 2) {
    const bool first = checks_new_first(resource);
    if (!first) add(is_unknown_finalizer);
    add(is_malformed_finalizer);
    add(checked_twice);
    if (first) add(is_unknown_finalizer);
  }
  const bool changed_only = !checks_as_new_last(resource);
  std::erase_if(causes, [&](const Cause& cause) {
    return (changed_only && is_malformed_finalizer(cause)) || (checks == 0 && cause.field.starts_with("metadata."));
  });
  out.insert(out.end(), std::make_move_iterator(causes.begin()), std::make_move_iterator(causes.end()));
  return out;
}

}  // namespace knarr::apiserver
