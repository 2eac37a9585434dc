#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// The number behind a pod's priority class: the named one's, the global default's, or 0.
class Priority : public AdmissionPlugin {
 public:
  explicit Priority(store::Store& store)
      : store_(store), classes_(store.resource("priorityclasses.scheduling.k8s.io")) {}
  std::string_view name() const override { return "Priority"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "pods")) return Status::OK();
    Document& pod = *request.object;
    auto& alloc = pod.GetAllocator();
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    const std::string wanted(json::get_string(spec, "priorityClassName"));
    int64_t priority = 0;
    std::string policy = "PreemptLowerPriority", class_name = wanted;
    if (wanted == "system-node-critical") {
      priority = 2000001000;
    } else if (wanted == "system-cluster-critical") {
      priority = 2000000000;
    } else if (const store::ObjectPtr found = wanted.empty() ? global_default() : store_.get(classes_, wanted)) {
      const auto document = json::parse(found->value);
      if (document.ok()) {
        priority = json::get_int(*document, "value");
        if (auto text = json::get_string(*document, "preemptionPolicy"); !text.empty()) policy = text;
        class_name = found->key;
      }
    } else if (!wanted.empty()) {
      return forbidden_error(*request.resource, meta_string(pod, "name"),
                             fmt::format("no PriorityClass with name {} was found", wanted));
    }
    if (const Value* set = json::find(spec, "priority"); set && set->IsInt64() && set->GetInt64() != priority)
      return forbidden_error(
          *request.resource, meta_string(pod, "name"),
          fmt::format("the integer value of priority ({}) must not be provided in pod spec; priority "
                      "admission controller computed {} from the given PriorityClass name",
                      set->GetInt64(), priority));
    if (!class_name.empty()) json::set(spec, "priorityClassName", class_name, alloc);
    json::set(spec, "priority", Value(priority), alloc);
    if (json::get_string(spec, "preemptionPolicy").empty()) json::set(spec, "preemptionPolicy", policy, alloc);
    return Status::OK();
  }

 private:
  // Usually there is no class at all, so nothing is parsed.
  store::ObjectPtr global_default() const {
    if (store_.count(classes_) == 0) return nullptr;
    const auto listed = store_.list(classes_, {});
    if (!listed.ok()) return nullptr;
    for (const store::ObjectPtr& object : listed->objects) {
      const auto document = json::parse(object->value);
      if (document.ok() && json::get_bool(*document, "globalDefault")) return object;
    }
    return nullptr;
  }

  store::Store& store_;
  const store::ResourceId classes_;
};

}  // namespace

PluginPtr make_priority(store::Store& store) { return std::make_unique<Priority>(store); }

}  // namespace knarr::admission
