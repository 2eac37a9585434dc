// A pod that names a RuntimeClass takes over its overhead, node selector and tolerations.
#include "admission/plugins.h"
#include "admission/pod_resources.h"

namespace knarr::admission {

namespace {

bool same(const Amounts& a, const Amounts& b) { return a == b; }

// `wide` tolerates all that `narrow` does.
bool covers(const Value& wide, const Value& narrow) {
  if (json::equal(wide, narrow)) return true;
  const auto text = [](const Value& toleration, std::string_view key) { return json::get_string(toleration, key); };
  if (text(narrow, "key") != text(wide, "key") && (!text(wide, "key").empty() || text(wide, "operator") != "Exists"))
    return false;
  if (text(narrow, "effect") != text(wide, "effect") && !text(wide, "effect").empty()) return false;
  if (const Value* seconds = json::find(wide, "tolerationSeconds");
      seconds && seconds->IsInt64() && text(wide, "effect") == "NoExecute") {
    const Value* wanted = json::find(narrow, "tolerationSeconds");
    if (!wanted || !wanted->IsInt64() || wanted->GetInt64() > seconds->GetInt64()) return false;
  }
  const std::string_view op = text(wide, "operator");
  if (op == "Exists") return true;
  return (op.empty() || op == "Equal") && text(narrow, "operator") == "Equal" &&
         text(narrow, "value") == text(wide, "value");
}

// Both lists, without what another one covers.
Value merged_tolerations(const Value* first, const Value* second, json::Allocator& alloc) {
  std::vector<const Value*> all, kept;
  for (const Value* list : {first, second})
    if (list && list->IsArray())
      for (const Value& toleration : list->GetArray()) all.push_back(&toleration);
  for (size_t i = 0; i < all.size(); ++i) {
    bool redundant = std::any_of(kept.begin(), kept.end(), [&](const Value* other) { return covers(*other, *all[i]); });
    for (size_t j = i + 1; j < all.size() && !redundant; ++j)
      redundant = !json::equal(*all[j], *all[i]) && covers(*all[j], *all[i]);
    if (!redundant) kept.push_back(all[i]);
  }
  Value out(rapidjson::kArrayType);
  for (const Value* toleration : kept) out.PushBack(json::copy(*toleration, alloc), alloc);
  return out;
}

class RuntimeClass : public AdmissionPlugin {
 public:
  explicit RuntimeClass(store::Store& store) : store_(store), classes_(store.resource("runtimeclasses.node.k8s.io")) {}
  std::string_view name() const override { return "RuntimeClass"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "pods")) return Status::OK();
    KNARR_ASSIGN(const std::optional<Document> found, class_of(request));
    if (!found) return Status::OK();
    auto& alloc = request.object->GetAllocator();
    Value& spec = json::ensure_object(*request.object, {"spec"}, alloc);
    if (const Value* overhead = json::find(*found, "overhead")) {
      const Value* fixed = json::find(*overhead, "podFixed");
      const Amounts set = amounts_of(json::find(spec, "overhead"));
      if (!set.empty() && !same(set, amounts_of(fixed)))
        return refuse(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      if (fixed) json::set(spec, "overhead", json::copy(*fixed, alloc), alloc);
    }
    const Value* scheduling = json::find(*found, "scheduling");
    return scheduling ? set_scheduling(request, spec, *scheduling, alloc) : Status::OK();
  }

  Status validate(const AdmissionRequest& request) override {
    if (!creates(request, "pods")) return Status::OK();
    KNARR_ASSIGN(const std::optional<Document> found, class_of(request));
    const Value* set = json::find(*request.object, {"spec", "overhead"});
    if (const Value* overhead = found ? json::find(*found, "overhead") : nullptr) {
      if (!same(amounts_of(set), amounts_of(json::find(*overhead, "podFixed"))))
        return refuse(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    } else if (set && set->IsObject()) {
      return refuse(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    }
    return Status::OK();
  }

 private:
  // Nothing when the pod names none.
  Result<std::optional<Document>> class_of(const AdmissionRequest& request) const {
    const Value* wanted = json::find(*request.object, {"spec", "runtimeClassName"});
    if (!wanted || !wanted->IsString()) return std::optional<Document>();
    if (json::view(*wanted).empty()) return Status(500, "", "resource name may not be empty");  // as upstream's client has it
    auto found = load(store_, classes_, json::view(*wanted));
    if (!found) return refuse(request, fmt::format("pod rejected: RuntimeClass \"{}\" not found", json::view(*wanted)));
    return found;
  }

  static Status set_scheduling(const AdmissionRequest& request, Value& spec, const Value& scheduling,
                               json::Allocator& alloc) {
    if (const Value* selector = json::find(scheduling, "nodeSelector"); selector && selector->IsObject()) {
      for (const auto& term : selector->GetObject()) {
        Value& mine = json::ensure_object(spec, {"nodeSelector"}, alloc);
        const std::string_view key = json::view(term.name), value = json::view(term.value);
        if (const Value* set = json::find(mine, key); set && json::view(*set) != value)
          return refuse(request, fmt::format("conflict: runtimeClass.scheduling.nodeSelector[{0}] = {1}; "
                                             "pod.spec.nodeSelector[{0}] = {2}",
                                             key, value, json::view(*set)));
        json::set(mine, key, value, alloc);
      }
    }
    Value tolerations =
        merged_tolerations(json::find(spec, "tolerations"), json::find(scheduling, "tolerations"), alloc);
    if (!tolerations.Empty()) json::set(spec, "tolerations", std::move(tolerations), alloc);
    return Status::OK();
  }

  store::Store& store_;
  const store::ResourceId classes_;
};

}  // namespace

PluginPtr make_runtime_class(store::Store& store) { return std::make_unique<RuntimeClass>(store); }

}  // namespace knarr::admission
