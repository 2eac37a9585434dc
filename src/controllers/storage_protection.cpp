// Lets deleted claims, volumes and attribute classes go when nothing uses them any more, by taking away the finalizers
// that admission gave them.
#include <algorithm>
#include <array>

#include "controllers/controller.h"
#include "knarr/apiserver/document.h"

namespace knarr::controllers {

namespace {

using apiserver::meta_string;
using json::Document;
using json::Value;

constexpr std::string_view kClaims = "persistentvolumeclaims", kVolumes = "persistentvolumes", kPods = "pods",
                           kClasses = "volumeattributesclasses.storage.k8s.io";

struct Protected {
  std::string_view resource, finalizer;
};
constexpr std::array<Protected, 3> kProtected = {{{kClaims, "kubernetes.io/pvc-protection"},
                                                  {kVolumes, "kubernetes.io/pv-protection"},
                                                  {kClasses, "kubernetes.io/vac-protection"}}};

bool ended(const Value& pod) {
  const std::string_view phase = json::get_string(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

// A pod that is on a node and has the claim among its volumes, by name or as an ephemeral one.
bool uses(const Value& pod, std::string_view claim) {
  const Value* volumes = json::find(pod, {"spec", "volumes"});
  if (json::get_string(pod, {"spec", "nodeName"}).empty() || !volumes || !volumes->IsArray()) return false;
  for (const Value& volume : volumes->GetArray()) {
    if (json::get_string(volume, {"persistentVolumeClaim", "claimName"}) == claim) return true;
    if (json::find(volume, "ephemeral") && !ended(pod) &&
        claim == fmt::format("{}-{}", meta_string(pod, "name"), json::get_string(volume, "name")))
      return true;
  }
  return false;
}

class StorageProtectionController : public Controller {
 public:
  explicit StorageProtectionController(Context context)
      : rest_(*context.options.rest), store_(rest_.store()), publications_(*context.publications) {
    request_.user = auth::internal_user("storage-protection-controller");
  }

  void watch(client::WorkQueue& queue) override {
    for (const Protected& kind : kProtected) {
      const auto look_at = [&queue, &kind](const store::Object& object) {
        if (seems_deleting(object) && mentions(object, kind.finalizer)) queue.add(key_of(kind.resource, object.key));
      };
      publications_.subscribe(kind.resource,
                              {.event =
                                   [this, look_at, &queue](const auto& resource, const auto& event) {
                                     if (event.type != store::EventType::kDeleted) look_at(*event.object);
                                     if (resource.storage_name != kClasses) add_waiting(kClasses, "", queue);
                                   },
                               .present = [look_at](const auto&, const auto& object) { look_at(*object); }});
    }
    // Pods that go, or end, may have been the last users.
    publications_.subscribe(kPods, {.event =
                                        [this, &queue](const auto&, const auto& event) {
                                          if (event.type == store::EventType::kAdded) return;
                                          const auto [ns, name] = apiserver::split_key(event.object->key);
                                          add_waiting(kClaims, std::string(ns) + "/", queue);
                                        },
                                    .present = {}});
  }

  Status reconcile(const std::string& key, client::WorkQueue&) override {
    const size_t colon = key.find(':');
    const std::string_view resource = std::string_view(key).substr(0, colon);
    const store::ObjectPtr object = store_.get(store_.resource(resource), key.substr(colon + 1));
    if (!object) return {};
    KNARR_ASSIGN(const Document document, json::parse(object->value));
    if (!apiserver::is_deleting(document) || in_use(resource, document)) return {};
    for (const Protected& kind : kProtected)
      if (kind.resource == resource) return release(kind, *object, document);
    return {};
  }

 private:
  static std::string key_of(std::string_view resource, std::string_view key) {
    return fmt::format("{}:{}", resource, key);
  }

  // What is being deleted and still held, below `prefix`.
  void add_waiting(std::string_view resource, const std::string& prefix, client::WorkQueue& queue) {
    const store::ResourceId id = store_.resource(resource);
    if (store_.count(id) == 0) return;
    const auto listed = store_.list(id, {.prefix = prefix});
    if (!listed.ok()) return;
    for (const store::ObjectPtr& object : listed->objects)
      if (seems_deleting(*object)) queue.add(key_of(resource, object->key));
  }

  bool in_use(std::string_view resource, const Document& object) const {
    const std::string name(meta_string(object, "name"));
    if (resource == kVolumes) return json::get_string(object, {"status", "phase"}) == "Bound";
    if (resource == kClaims)
      return any(kPods, std::string(meta_string(object, "namespace")) + "/",
                 [&](const Value& pod) { return uses(pod, name); });
    return any(kVolumes, "",
               [&](const Value& volume) {
                 return json::get_string(volume, {"spec", "volumeAttributesClassName"}) == name;
               }) ||
           any(kClaims, "", [&](const Value& claim) {
             return json::get_string(claim, {"spec", "volumeAttributesClassName"}) == name ||
                    json::get_string(claim, {"status", "currentVolumeAttributesClassName"}) == name ||
                    json::get_string(claim, {"status", "modifyVolumeStatus", "targetVolumeAttributesClassName"}) ==
                        name;
           });
  }

  template <typename F>
  bool any(std::string_view resource, const std::string& prefix, F holds) const {
    const auto listed = store_.list(store_.resource(resource), {.prefix = prefix});
    if (!listed.ok()) return true;
    return std::any_of(listed->objects.begin(), listed->objects.end(), [&](const store::ObjectPtr& object) {
      const auto document = json::parse(object->value);
      return !document.ok() || holds(*document);
    });
  }

  Status release(const Protected& kind, const store::Object& object, const Document& document) {
    Document patch(rapidjson::kObjectType);
    auto& alloc = patch.GetAllocator();
    Value& metadata = json::ensure_object(patch, {"metadata"}, alloc);
    json::set(metadata, "uid", meta_string(document, "uid"), alloc);
    json::set(metadata, "resourceVersion", meta_string(document, "resourceVersion"), alloc);
    Value left(rapidjson::kArrayType);
    for (const std::string& finalizer : apiserver::finalizers_of(document))
      if (finalizer != kind.finalizer) left.PushBack(json::string(finalizer, alloc), alloc);
    json::set(metadata, "finalizers", std::move(left), alloc);
    const auto [ns, name] = apiserver::split_key(object.key);
    for (const schema::Resource& resource : schema::resources()) {
      if (resource.storage_name != kind.resource || !resource.storage) continue;
      const Status patched =
          rest_.patch(request_, {&resource, "", ns, name}, client::kMergePatch, json::dump(patch)).status();
      return patched.is(reason::kNotFound) ? Status() : patched;
    }
    return {};
  }

  apiserver::Rest& rest_;
  store::Store& store_;
  Publications& publications_;
  apiserver::RequestContext request_;
};

}  // namespace

std::unique_ptr<Controller> make_storage_protection_controller(Context context) {
  return std::make_unique<StorageProtectionController>(context);
}

}  // namespace knarr::controllers
