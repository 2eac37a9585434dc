#include "schema/openapi.h"

#include <fmt/format.h>

#include "knarr/schema/machinery.h"

namespace knarr::schema {

namespace {

using openapi::Schemas;
using openapi::Version;
using openapi::Writer;

constexpr std::string_view kToken =
    R"({"BearerToken":{"description":"Bearer Token authentication","in":"header","name":"authorization","type":"apiKey"}})";

void write_info(Writer& out) { out.key("info").begin().member("title", "Kubernetes").member("version", "v1.36").end(); }

}  // namespace

std::string openapi_v2(const Catalog& catalog) {
  const std::vector<ResourceRef> served = catalog.resources();
  const std::vector<const Resource*> all(served.begin(), served.end());
  Schemas schemas(Version::k2);
  Writer out;
  out.begin().member("swagger", "2.0");
  write_info(out);
  out.key("paths").begin();
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

std::string openapi_v3(const Catalog& catalog, std::string_view group_version) {
  const std::vector<ResourceRef> all = catalog.resources();
  std::vector<const Resource*> served;
  for (const ResourceRef& resource : all) {
    const std::string name = resource->group.empty() ? fmt::format("api/{}", resource->version)
                                                     : fmt::format("apis/{}/{}", resource->group, resource->version);
    if (name == group_version) served.push_back(resource.get());
  }
  if (served.empty()) return {};
  Schemas schemas(Version::k3);
  Writer out;
  out.begin().member("openapi", "3.0.0");
  write_info(out);
  out.key("paths").begin();
  openapi::write_paths(out, Version::k3, served, schemas);
  out.end();
  out.key("components").begin().key("schemas").begin();
  schemas.write(out);
  out.end().key("securitySchemes").raw(kToken).end();
  out.end();
  return out.take();
}

}  // namespace knarr::schema
