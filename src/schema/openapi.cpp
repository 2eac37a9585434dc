#include "schema/openapi.h"

#include <fmt/format.h>

#include "knarr/schema/machinery.h"

namespace knarr::schema {

namespace {

using openapi::GroupVersion;
using openapi::Schemas;
using openapi::Version;
using openapi::Writer;

constexpr std::string_view kToken =
    R"({"BearerToken":{"description":"Bearer Token authentication","in":"header","name":"authorization","type":"apiKey"}})";

// The groups and versions that a document of all of them names, which are more than are served: upstream's, as of 1.36.
// `own`: those of the API server's own libraries, which documents of custom resources do not name.
struct KnownVersion {
  GroupVersion name;
  bool own = false;
};
constexpr KnownVersion kAllVersions[] = {
    {{"", "v1"}},
    {{"admission.k8s.io", "v1"}, true},
    {{"admission.k8s.io", "v1beta1"}, true},
    {{"admissionregistration.k8s.io", "v1"}},
    {{"admissionregistration.k8s.io", "v1alpha1"}},
    {{"admissionregistration.k8s.io", "v1beta1"}},
    {{"apiextensions.k8s.io", "v1"}, true},
    {{"apiextensions.k8s.io", "v1beta1"}, true},
    {{"apiregistration.k8s.io", "v1"}, true},
    {{"apiregistration.k8s.io", "v1beta1"}, true},
    {{"apps", "v1"}},
    {{"apps", "v1beta1"}},
    {{"apps", "v1beta2"}},
    {{"authentication.k8s.io", "v1"}},
    {{"authentication.k8s.io", "v1alpha1"}},
    {{"authentication.k8s.io", "v1beta1"}},
    {{"authorization.k8s.io", "v1"}},
    {{"authorization.k8s.io", "v1beta1"}},
    {{"autoscaling", "v1"}},
    {{"autoscaling", "v2"}},
    {{"batch", "v1"}},
    {{"batch", "v1beta1"}},
    {{"certificates.k8s.io", "v1"}},
    {{"certificates.k8s.io", "v1alpha1"}},
    {{"certificates.k8s.io", "v1beta1"}},
    {{"coordination.k8s.io", "v1"}},
    {{"coordination.k8s.io", "v1alpha2"}},
    {{"coordination.k8s.io", "v1beta1"}},
    {{"discovery.k8s.io", "v1"}},
    {{"discovery.k8s.io", "v1beta1"}},
    {{"events.k8s.io", "v1"}},
    {{"events.k8s.io", "v1beta1"}},
    {{"extensions", "v1beta1"}},
    {{"flowcontrol.apiserver.k8s.io", "v1"}},
    {{"flowcontrol.apiserver.k8s.io", "v1beta1"}},
    {{"flowcontrol.apiserver.k8s.io", "v1beta2"}},
    {{"flowcontrol.apiserver.k8s.io", "v1beta3"}},
    {{"imagepolicy.k8s.io", "v1alpha1"}, true},
    {{"internal.apiserver.k8s.io", "v1alpha1"}},
    {{"networking.k8s.io", "v1"}},
    {{"networking.k8s.io", "v1beta1"}},
    {{"node.k8s.io", "v1"}},
    {{"node.k8s.io", "v1alpha1"}},
    {{"node.k8s.io", "v1beta1"}},
    {{"policy", "v1"}},
    {{"policy", "v1beta1"}},
    {{"rbac.authorization.k8s.io", "v1"}},
    {{"rbac.authorization.k8s.io", "v1alpha1"}},
    {{"rbac.authorization.k8s.io", "v1beta1"}},
    {{"resource.k8s.io", "v1"}},
    {{"resource.k8s.io", "v1alpha3"}},
    {{"resource.k8s.io", "v1beta1"}},
    {{"resource.k8s.io", "v1beta2"}},
    {{"scheduling.k8s.io", "v1"}},
    {{"scheduling.k8s.io", "v1alpha2"}},
    {{"scheduling.k8s.io", "v1beta1"}},
    {{"storage.k8s.io", "v1"}},
    {{"storage.k8s.io", "v1alpha1"}},
    {{"storage.k8s.io", "v1beta1"}},
    {{"storagemigration.k8s.io", "v1beta1"}},
};

std::vector<GroupVersion> all_versions(bool custom) {
  std::vector<GroupVersion> out;
  for (const KnownVersion& known : kAllVersions) {
    if (!custom || !known.own) out.push_back(known.name);
  }
  return out;
}

void write_info(Writer& out, std::string_view title = "Kubernetes", std::string_view version = "1.36") {
  out.key("info").begin().member("title", title).member("version", version).end();
}

std::string name_of(const Resource& resource) {
  return resource.group.empty() ? fmt::format("api/{}", resource.version) : fmt::format("apis/{}/{}", resource.group, resource.version);
}

constexpr std::string_view kPlainDocuments[] = {".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version"};

}  // namespace

std::set<std::string> openapi_v3_names(const Catalog& catalog) {
  std::set<std::string> out(std::begin(kPlainDocuments), std::end(kPlainDocuments));
  for (const ResourceRef& resource : catalog.resources()) {
    out.insert(name_of(*resource));
    if (!resource->group.empty() && !resource->custom) out.insert(fmt::format("apis/{}", resource->group));
  }
  return out;
}

std::string openapi_v2(const Catalog& catalog) {
  const std::vector<ResourceRef> served = catalog.resources();
  const std::vector<const Resource*> all(served.begin(), served.end());
  Schemas schemas(Version::k2, all_versions(false));
  Writer out;
  out.begin().member("swagger", "2.0");
  write_info(out);
  out.key("paths").begin();
  std::set<std::string> custom;  // groups and versions without discovery documents here
  for (const Resource* resource : all)
    if (resource->custom) custom.insert(name_of(*resource));
  for (const std::string& name : openapi_v3_names(catalog))
    if (!custom.contains(name)) openapi::write_discovery_path(out, Version::k2, name, schemas);
  openapi::write_paths(out, Version::k2, all, schemas);
  out.end();
  out.key("definitions").begin();
  schemas.write(out);
  out.end();
  out.key("securityDefinitions").raw(kToken).key("security").raw(R"([{"BearerToken":[]}])");
  out.end();
  return out.take();
}

std::string openapi_v3(std::string_view group_version) { return openapi_v3({}, group_version); }

std::string openapi_v3(const Catalog& catalog, std::string_view name) {
  const std::vector<ResourceRef> all = catalog.resources();
  std::vector<const Resource*> served;
  for (const ResourceRef& resource : all) {
    if (name_of(*resource) == name) served.push_back(resource.get());
  }
  if (served.empty() && !openapi_v3_names(catalog).contains(std::string(name))) return {};
  const bool custom = !served.empty() && served.front()->custom;
  std::vector<GroupVersion> groups = custom ? all_versions(true) : std::vector<GroupVersion>{{"", "v1"}};
  if (!custom && !served.empty() && !served.front()->group.empty())
    groups.push_back({served.front()->group, served.front()->version});
  Schemas schemas(Version::k3, std::move(groups));
  Writer out;
  out.begin().member("openapi", "3.0.0");
  if (custom) {
    write_info(out, "Kubernetes CRD Swagger", "v0.1.0");
  } else {
    write_info(out);
  }
  out.key("paths").begin();
  if (!custom) openapi::write_discovery_path(out, Version::k3, name, schemas);
  openapi::write_paths(out, Version::k3, served, schemas);
  out.end();
  out.key("components").begin();
  if (!schemas.empty()) {
    out.key("schemas").begin();
    schemas.write(out);
    out.end();
  }
  if (!custom) out.key("securitySchemes").raw(kToken);
  out.end();
  out.end();
  return out.take();
}

}  // namespace knarr::schema
