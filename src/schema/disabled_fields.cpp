// Fields of pods that belong to features which are off: nobody who did not have them before may have them now (upstream:
// pkg/api/pod, DropDisabledPodFields).
#include "knarr/schema/machinery.h"
#include "schema/disabled_fields.h"
#include "schema/documents.h"

namespace knarr::schema {

namespace {

using json::Value;

constexpr std::string_view kContainers[] = {"containers", "initContainers", "ephemeralContainers"};

// Where a kind has the spec of its pods.
const Value* pod_spec(const Resource& resource, const Value& object) {
  const std::string_view kind = resource.storage_name;
  if (kind == "pods") return json::find(object, "spec");
  if (kind == "podtemplates") return json::find(object, {"template", "spec"});
  if (kind == "cronjobs.batch") return json::find(object, {"spec", "jobTemplate", "spec", "template", "spec"});
  for (std::string_view workload : {"deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "replicationcontrollers"})
    if (kind == workload) return json::find(object, {"spec", "template", "spec"});
  return nullptr;
}

template <typename Visit>
void each(const Value& spec, std::string_view list, Visit visit) {
  for (const Value& item : items(spec, list)) visit(item);
}

template <typename Visit>
void each_source(const Value& spec, Visit visit) {
  each(spec, "volumes", [&](const Value& volume) { each(child(volume, "projected"), "sources", visit); });
}

bool has_source(const Value& spec, std::string_view name) {
  bool found = false;
  each_source(spec, [&](const Value& source) { found = found || json::find(source, name) != nullptr; });
  return found;
}

bool has_stop_signal(const Value& spec) {
  bool found = false;
  for (std::string_view list : kContainers)
    each(spec, list, [&](const Value& c) { found = found || json::find(c, {"lifecycle", "stopSignal"}) != nullptr; });
  return found;
}

// The same member of an object that may be written.
Value& writable(const Value& value) { return const_cast<Value&>(value); }

}  // namespace

void drop_disabled_fields(const Resource& resource, Value& object, const Value* old) {
  const Value* found = pod_spec(resource, object);
  if (found == nullptr || !found->IsObject()) return;
  const Value* old_found = old == nullptr ? nullptr : pod_spec(resource, *old);
  const Value& before = old_found != nullptr && old_found->IsObject() ? *old_found : empty_object();
  Value& spec = writable(*found);
  if (json::find(before, "schedulingGroup") == nullptr) json::remove(spec, "schedulingGroup");
  for (std::string_view source : {"clusterTrustBundle", "podCertificate"}) {
    if (!has_source(spec, source) || has_source(before, source)) continue;
    each_source(spec, [&](const Value& item) { json::remove(writable(item), source); });
  }
  if (!has_stop_signal(spec) || has_stop_signal(before)) return;
  for (std::string_view list : kContainers) {
    each(spec, list, [&](const Value& container) {
      const Value* lifecycle = json::find(container, "lifecycle");
      if (lifecycle == nullptr || json::find(*lifecycle, "stopSignal") == nullptr) return;
      json::remove(writable(*lifecycle), "stopSignal");
      if (lifecycle->ObjectEmpty()) json::remove(writable(container), "lifecycle");
    });
  }
}

}  // namespace knarr::schema
