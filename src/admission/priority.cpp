// The number behind a pod's priority class: the named one's, the global default's, or 0. Only one class may be the
// global default.
#include "admission/plugins.h"

namespace knarr::admission {

namespace {

class Priority : public AdmissionPlugin {
 public:
  explicit Priority(store::Store& store)
      : store_(store), classes_(store.resource("priorityclasses.scheduling.k8s.io")) {}
  std::string_view name() const override { return "Priority"; }

  Status admit(AdmissionRequest& request) override {
    if (creates(request, "pods")) return admit_new(request);
    if (request.operation == Operation::kUpdate && request.object && request.old && is_about(request, "pods"))
      keep(request);
    return Status::OK();
  }

  Status validate(const AdmissionRequest& request) override {
    if (!request.object || !is_about(request, "priorityclasses.scheduling.k8s.io")) return Status::OK();
    if (!json::get_bool(*request.object, "globalDefault")) return Status::OK();
    const auto other = global_default();
    if (!other) return Status::OK();
    const std::string_view name = meta_string(*other, "name");
    if (request.operation == Operation::kUpdate && name == meta_string(*request.object, "name")) return Status::OK();
    return refuse(request,
                  fmt::format("PriorityClass {} is already marked as default. Only one default can exist", name));
  }

 private:
  Status admit_new(AdmissionRequest& request) {
    Document& pod = *request.object;
    auto& alloc = pod.GetAllocator();
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    const std::string wanted(json::get_string(spec, "priorityClassName"));
    int64_t priority = 0;
    std::string policy = "PreemptLowerPriority";
    const auto found = wanted.empty() ? global_default() : load(store_, classes_, wanted);
    if (found) {
      priority = json::get_int(*found, "value");
      policy = json::get_string(*found, "preemptionPolicy");
      json::set(spec, "priorityClassName", meta_string(*found, "name"), alloc);
    } else if (!wanted.empty()) {
      return refuse(request, fmt::format("no PriorityClass with name {} was found", wanted));
    }
    if (const Value* set = json::find(spec, "priority"); set && set->IsInt64() && set->GetInt64() != priority)
      return refuse(request,
                    fmt::format("the integer value of priority ({}) must not be provided in pod spec; priority "
                                "admission controller computed {} from the given PriorityClass name",
                                set->GetInt64(), priority));
    json::set(spec, "priority", Value(priority), alloc);
    if (policy.empty()) return Status::OK();
    if (const Value* set = json::find(spec, "preemptionPolicy"); set && set->IsString() && json::view(*set) != policy)
      return refuse(request,
                    fmt::format("the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority "
                                "admission controller computed {} from the given PriorityClass name",
                                json::view(*set), policy));
    json::set(spec, "preemptionPolicy", policy, alloc);
    return Status::OK();
  }

  // Who sends a pod back without what this plugin once set changes nothing.
  static void keep(AdmissionRequest& request) {
    auto& alloc = request.object->GetAllocator();
    for (std::string_view field : {"priority", "preemptionPolicy"}) {
      const Value* old = json::find(*request.old, {"spec", field});
      if (old && !json::find(*request.object, {"spec", field}))
        json::set(json::ensure_object(*request.object, {"spec"}, alloc), field, json::copy(*old, alloc), alloc);
    }
  }

  // Of several (which a race can make), the one with the lowest value.
  std::optional<Document> global_default() const {
    std::optional<Document> out;
    const auto listed = store_.list(classes_, {});
    if (!listed.ok()) return out;
    for (const store::ObjectPtr& object : listed->objects) {
      if (object->value.find("\"globalDefault\":true") == std::string::npos) continue;
      auto document = json::parse(object->value);
      if (!document.ok() || !json::get_bool(*document, "globalDefault")) continue;
      if (!out || json::get_int(*out, "value") > json::get_int(*document, "value")) out = std::move(*document);
    }
    return out;
  }

  store::Store& store_;
  const store::ResourceId classes_;
};

}  // namespace

PluginPtr make_priority(store::Store& store) { return std::make_unique<Priority>(store); }

}  // namespace knarr::admission
