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

// Checked in a new object only: a finalizer's name. That none is added to a deleted object is of the change.
bool checked_as_new(const Cause& cause) {
  return cause.field.starts_with("metadata.finalizers") && cause.reason != "FieldValueForbidden";
}

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

}  // namespace

std::vector<Cause> causes_of_update(const schema::Resource& resource, std::string_view subresource,
                                    std::vector<Cause> causes) {
  std::vector<Cause> out;
  const auto add = [&](const auto& wanted) { std::copy_if(causes.begin(), causes.end(), std::back_inserter(out), wanted); };
  add([](const Cause& cause) { return checked_twice(cause) || checked_as_new(cause); });
  add([](const Cause& cause) { return cause.field.starts_with("metadata.") && !checked_as_new(cause); });
  const int checks = checks_of_kind(resource, subresource);
  if (checks == 2) add(checked_twice);
  if (checks == 0) std::erase_if(causes, [](const Cause& cause) { return cause.field.starts_with("metadata."); });
  out.insert(out.end(), std::make_move_iterator(causes.begin()), std::make_move_iterator(causes.end()));
  return out;
}

}  // namespace knarr::apiserver
