#include "admission/plugins.h"

namespace knarr::admission {

namespace {

// Objects live in namespaces that exist and are not going away; the first three namespaces never go.
class NamespaceLifecycle : public AdmissionPlugin {
 public:
  explicit NamespaceLifecycle(store::Store& store) : store_(store), namespaces_(store.resource("namespaces")) {}
  std::string_view name() const override { return "NamespaceLifecycle"; }

  Status admit(AdmissionRequest& request) override {
    const bool is_namespace = request.resource->storage_name == "namespaces";
    if (request.operation == Operation::kDelete && is_namespace) {
      for (std::string_view immortal : {"default", "kube-system", "kube-public"})
        if (request.name == immortal)
          return forbidden_error(*request.resource, request.name, "this namespace may not be deleted");
    }
    if (is_namespace || request.ns.empty() || request.operation == Operation::kDelete) return Status::OK();
    if (request.resource->plural == "localsubjectaccessreviews") return Status::OK();
    const store::ObjectPtr found = store_.get(namespaces_, request.ns);
    if (!found) {
      Status status(404, reason::kNotFound, fmt::format("namespaces \"{}\" not found", request.ns));
      Status::Details details;
      details.kind = "namespaces";
      details.name = request.ns;
      return status.with_details(std::move(details));
    }
    if (request.operation != Operation::kCreate || !terminating(*found)) return Status::OK();
    Status status = forbidden_error(
        *request.resource, request.name,
        fmt::format("unable to create new content in namespace {} because it is being terminated", request.ns));
    return status.with_cause(
        {"NamespaceTerminating", fmt::format("namespace {} is being terminated", request.ns), "metadata.namespace"});
  }

 private:
  static bool terminating(const store::Object& ns) {
    for (const auto& [field, value] : ns.extract.fields)
      if (field == "status.phase") return value == "Terminating";
    return false;
  }

  store::Store& store_;
  const store::ResourceId namespaces_;
};

}  // namespace

PluginPtr make_namespace_lifecycle(store::Store& store) { return std::make_unique<NamespaceLifecycle>(store); }

}  // namespace knarr::admission
