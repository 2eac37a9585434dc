// Claims and ingresses that name no class get the default one.
#include <initializer_list>

#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// The newest object of the resource that one of the annotations marks as the default; of equally old ones, the first by
// name. "" when there is none.
std::string default_class(const store::Store& store, store::ResourceId classes,
                          std::initializer_list<std::string_view> annotations) {
  std::string best, best_time;
  const auto listed = store.list(classes, {});
  if (!listed.ok()) return best;
  for (const store::ObjectPtr& object : listed->objects) {
    if (object->value.find("is-default-class\":\"true\"") == std::string::npos) continue;
    const auto document = json::parse(object->value);
    if (!document.ok()) continue;
    const std::string_view time = meta_string(*document, "creationTimestamp");
    for (std::string_view annotation : annotations) {
      if (json::get_string(*document, {"metadata", "annotations", annotation}) != "true") continue;
      if (!best.empty() && time <= best_time) continue;
      best = meta_string(*document, "name");
      best_time = time;
    }
  }
  return best;
}

bool annotated(const Value& object, std::string_view annotation) {
  return json::find(object, {"metadata", "annotations", annotation}) != nullptr;
}

class DefaultStorageClass : public AdmissionPlugin {
 public:
  explicit DefaultStorageClass(store::Store& store)
      : store_(store), classes_(store.resource("storageclasses.storage.k8s.io")) {}
  std::string_view name() const override { return "DefaultStorageClass"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "persistentvolumeclaims")) return Status::OK();
    if (json::find(*request.object, {"spec", "storageClassName"}) ||
        annotated(*request.object, "volume.beta.kubernetes.io/storage-class"))
      return Status::OK();
    const std::string name = default_class(
        store_, classes_,
        {"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"});
    if (name.empty()) return Status::OK();
    auto& alloc = request.object->GetAllocator();
    json::set(json::ensure_object(*request.object, {"spec"}, alloc), "storageClassName", name, alloc);
    return Status::OK();
  }

 private:
  store::Store& store_;
  const store::ResourceId classes_;
};

class DefaultIngressClass : public AdmissionPlugin {
 public:
  explicit DefaultIngressClass(store::Store& store)
      : store_(store), classes_(store.resource("ingressclasses.networking.k8s.io")) {}
  std::string_view name() const override { return "DefaultIngressClass"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "ingresses.networking.k8s.io")) return Status::OK();
    if (json::find(*request.object, {"spec", "ingressClassName"}) ||
        annotated(*request.object, "kubernetes.io/ingress.class"))
      return Status::OK();
    const std::string name = default_class(store_, classes_, {"ingressclass.kubernetes.io/is-default-class"});
    if (name.empty()) return Status::OK();
    auto& alloc = request.object->GetAllocator();
    json::set(json::ensure_object(*request.object, {"spec"}, alloc), "ingressClassName", name, alloc);
    return Status::OK();
  }

 private:
  store::Store& store_;
  const store::ResourceId classes_;
};

}  // namespace

PluginPtr make_default_storage_class(store::Store& store) { return std::make_unique<DefaultStorageClass>(store); }
PluginPtr make_default_ingress_class(store::Store& store) { return std::make_unique<DefaultIngressClass>(store); }

}  // namespace knarr::admission
