// A new node takes no pods until its controller has seen it ready.
#include "admission/plugins.h"

namespace knarr::admission {

namespace {

class TaintNodesByCondition : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "TaintNodesByCondition"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "nodes")) return Status::OK();
    constexpr std::string_view kTaint = "node.kubernetes.io/not-ready", kEffect = "NoSchedule";
    auto& alloc = request.object->GetAllocator();
    Value& spec = json::ensure_object(*request.object, {"spec"}, alloc);
    Value* taints = json::find(spec, "taints");
    if (!taints || !taints->IsArray()) taints = &json::set(spec, "taints", Value(rapidjson::kArrayType), alloc);
    for (const Value& taint : taints->GetArray())
      if (json::get_string(taint, "key") == kTaint && json::get_string(taint, "effect") == kEffect) return Status::OK();
    Value taint(rapidjson::kObjectType);
    json::set(taint, "key", kTaint, alloc);
    json::set(taint, "effect", kEffect, alloc);
    taints->PushBack(taint, alloc);
    return Status::OK();
  }
};

}  // namespace

PluginPtr make_taint_nodes_by_condition(store::Store&) { return std::make_unique<TaintNodesByCondition>(); }

}  // namespace knarr::admission
