// Access to devices for administration, beside those who use them, is for namespaces that are labelled for it.
#include "admission/plugins.h"
#include "knarr/schema/machinery.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kLabel = "resource.kubernetes.io/admin-access";

// The first of a list that asks for it, as "[2]"; "" none.
std::string asks(const Value* list, std::string_view member) {
  if (!list || !list->IsArray()) return "";
  for (rapidjson::SizeType i = 0; i < list->Size(); ++i) {
    const Value* item = member.empty() ? &(*list)[i] : json::find((*list)[i], member);
    if (item && json::get_bool(*item, "adminAccess")) return fmt::format("[{}]", i);
  }
  return "";
}

class DeviceAccess : public AdmissionPlugin {
 public:
  explicit DeviceAccess(store::Store& store) : store_(store), namespaces_(store.resource("namespaces")) {}
  std::string_view name() const override { return "DeviceAccess"; }

  // With whatever else is wrong with the claim: upstream's validation asks for the namespace.
  Status admit(AdmissionRequest& request) override { return of_new(request); }

  Status validate(const AdmissionRequest& request) override {
    const bool of_claim = request.resource->storage_name == "resourceclaims.resource.k8s.io" && request.object;
    return of_claim && request.subresource == "status" ? of_status(request) : of_new(request);
  }

 private:
  Status of_new(const AdmissionRequest& request) const {
    std::string path;
    if (creates(request, "resourceclaims.resource.k8s.io")) {
      path = asks(json::find(*request.object, {"spec", "devices", "requests"}), "exactly");
    } else if (creates(request, "resourceclaimtemplates.resource.k8s.io")) {
      path = asks(json::find(*request.object, {"spec", "spec", "devices", "requests"}), "exactly");
    }
    return path.empty() ? Status::OK() : check(request, "spec.devices.requests" + path + ".adminAccess");
  }

  Status of_status(const AdmissionRequest& request) const {
    const auto results = [](const Value& claim) { return asks(json::find(claim, {"status", "allocation", "devices", "results"}), ""); };
    const std::string path = results(*request.object);
    if (path.empty() || (request.old && !results(*request.old).empty())) return Status::OK();
    return check(request, "status.allocation.devices.results" + path + ".adminAccess");
  }

  Status check(const AdmissionRequest& request, const std::string& path) const {
    const auto found = load(store_, namespaces_, object_key("", request.ns));
    if (found && json::get_string(*found, {"metadata", "labels", kLabel}) == "true") return Status::OK();
    std::vector<Cause> causes = {
        apiserver::cause_forbidden(path, fmt::format("admin access to devices requires the `{}: true` label on the containing namespace", kLabel))};
    for (Cause& cause : schema::validate(*request.resource, *request.object, request.old)) causes.push_back(std::move(cause));
    return apiserver::invalid_error(*request.resource, name_of(request), std::move(causes));
  }

  store::Store& store_;
  const store::ResourceId namespaces_;
};

}  // namespace

PluginPtr make_device_access(store::Store& store) { return std::make_unique<DeviceAccess>(store); }

}  // namespace knarr::admission
