// Volumes and claims: what is in use is not deleted, and only claims that may grow do.
#include <array>

#include "admission/plugins.h"
#include "knarr/codec/quantity.h"

namespace knarr::admission {

namespace {

class StorageObjectInUseProtection : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "StorageObjectInUseProtection"; }

  // The finalizers are taken away by the controllers that know of no user any more.
  Status admit(AdmissionRequest& request) override {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kProtected = {{
        {"persistentvolumes", "kubernetes.io/pv-protection"},
        {"persistentvolumeclaims", "kubernetes.io/pvc-protection"},
        {"volumeattributesclasses.storage.k8s.io", "kubernetes.io/vac-protection"},
    }};
    for (const auto& [resource, finalizer] : kProtected) {
      if (!creates(request, resource)) continue;
      auto all = apiserver::finalizers_of(*request.object);
      if (std::find(all.begin(), all.end(), finalizer) != all.end()) continue;
      all.emplace_back(finalizer);
      apiserver::set_finalizers(*request.object, all, request.object->GetAllocator());
    }
    return Status::OK();
  }
};

class PersistentVolumeClaimResize : public AdmissionPlugin {
 public:
  explicit PersistentVolumeClaimResize(store::Store& store)
      : store_(store), classes_(store.resource("storageclasses.storage.k8s.io")) {}
  std::string_view name() const override { return "PersistentVolumeClaimResize"; }

  Status validate(const AdmissionRequest& request) override {
    if (request.operation != Operation::kUpdate || !request.object || !request.old) return Status::OK();
    if (!is_about(request, "persistentvolumeclaims")) return Status::OK();
    if (size(*request.object) <= size(*request.old)) return Status::OK();
    if (json::get_string(*request.old, {"status", "phase"}) != "Bound")
      return refuse(request, "Only bound persistent volume claims can be expanded");
    if (!may_grow(*request.object, *request.old))
      return refuse(request,
                    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                    "support resize");
    return Status::OK();
  }

 private:
  static Quantity size(const Value& claim) {
    return Quantity::parse_or_zero(json::get_string(claim, {"spec", "resources", "requests", "storage"}));
  }
  static std::string_view class_of(const Value& claim) {
    const Value* beta = json::find(claim, {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"});
    return beta && beta->IsString() ? json::view(*beta) : json::get_string(claim, {"spec", "storageClassName"});
  }
  bool may_grow(const Value& claim, const Value& old) const {
    const std::string_view name = class_of(claim);
    if (name.empty() || name != class_of(old)) return false;
    const auto found = load(store_, classes_, name);
    return found && json::get_bool(*found, "allowVolumeExpansion");
  }

  store::Store& store_;
  const store::ResourceId classes_;
};

}  // namespace

PluginPtr make_storage_object_in_use_protection(store::Store&) {
  return std::make_unique<StorageObjectInUseProtection>();
}
PluginPtr make_persistent_volume_claim_resize(store::Store& store) {
  return std::make_unique<PersistentVolumeClaimResize>(store);
}

}  // namespace knarr::admission
