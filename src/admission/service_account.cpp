#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// A pod that names no service account runs as its namespace's "default".
class ServiceAccount : public AdmissionPlugin {
 public:
  explicit ServiceAccount(store::Store& store) : store_(store), accounts_(store.resource("serviceaccounts")) {}
  std::string_view name() const override { return "ServiceAccount"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "pods")) return Status::OK();
    Document& pod = *request.object;
    if (const Value* annotations = json::find(pod, {"metadata", "annotations"});
        annotations && json::find(*annotations, "kubernetes.io/config.mirror"))
      return Status::OK();  // a node's static pod
    std::string_view account = json::get_string(pod, {"spec", "serviceAccountName"});
    const bool named = !account.empty();
    if (!named) account = "default";
    const std::string text(account);
    if (!store_.get(accounts_, object_key(request.ns, text))) {
      // Where nobody makes default accounts, pods still run: without an account.
      if (!named) return Status::OK();
      return forbidden_error(*request.resource, meta_string(pod, "name"),
                             fmt::format("error looking up service account {}/{}: serviceaccount \"{}\" not found",
                                         request.ns, text, text));
    }
    auto& alloc = pod.GetAllocator();
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    json::set(spec, "serviceAccountName", text, alloc);
    json::set(spec, "serviceAccount", text, alloc);
    return Status::OK();
  }

 private:
  store::Store& store_;
  const store::ResourceId accounts_;
};

}  // namespace

PluginPtr make_service_account(store::Store& store) { return std::make_unique<ServiceAccount>(store); }

}  // namespace knarr::admission
