#include <array>

#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// Pods stay five minutes on a node that is not ready or cannot be reached, unless they say otherwise.
class DefaultTolerationSeconds : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "DefaultTolerationSeconds"; }

  Status admit(AdmissionRequest& request) override {
    const bool updates = request.operation == Operation::kUpdate && request.object && is_about(request, "pods");
    if (!updates && !creates(request, "pods")) return Status::OK();
    Document& pod = *request.object;
    auto& alloc = pod.GetAllocator();
    constexpr std::array<std::string_view, 2> kTaints = {"node.kubernetes.io/not-ready",
                                                         "node.kubernetes.io/unreachable"};
    std::array<bool, kTaints.size()> tolerated{};
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    Value* list = json::find(spec, "tolerations");
    if (list && list->IsArray()) {
      for (const Value& toleration : list->GetArray()) {
        const std::string_view key = json::get_string(toleration, "key"),
                               effect = json::get_string(toleration, "effect");
        for (size_t i = 0; i < kTaints.size(); ++i)
          if ((key.empty() || key == kTaints[i]) && (effect.empty() || effect == "NoExecute")) tolerated[i] = true;
      }
    } else if (tolerated != std::array<bool, 2>{true, true}) {
      list = &json::set(spec, "tolerations", Value(rapidjson::kArrayType), alloc);
    }
    for (size_t i = 0; i < kTaints.size(); ++i) {
      if (tolerated[i]) continue;
      Value toleration(rapidjson::kObjectType);
      json::set(toleration, "key", kTaints[i], alloc);
      json::set(toleration, "operator", "Exists", alloc);
      json::set(toleration, "effect", "NoExecute", alloc);
      json::set(toleration, "tolerationSeconds", Value(300), alloc);
      list->PushBack(toleration, alloc);
    }
    return Status::OK();
  }
};

}  // namespace

PluginPtr make_default_toleration_seconds(store::Store&) { return std::make_unique<DefaultTolerationSeconds>(); }

}  // namespace knarr::admission
