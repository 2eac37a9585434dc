// Discovery: which groups, versions and resources are served, in the old form and in the aggregated one.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "knarr/auth/hash.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/schema/custom.h"
#include "discovery_protobuf.h"
#include "render.h"
#include "server_impl.h"

namespace knarr::apiserver {

namespace {

using schema::Resource;

// Builds JSON text member by member.
class Writer {
 public:
  Writer& open(char bracket) {
    comma();
    out_ += bracket;
    return *this;
  }
  Writer& close(char bracket) {
    out_ += bracket;
    return *this;
  }
  Writer& key(std::string_view name) {
    comma();
    json::append_quoted(out_, name);
    out_ += ':';
    return *this;
  }
  Writer& text(std::string_view value) {
    comma();
    json::append_quoted(out_, value);
    return *this;
  }
  Writer& raw(std::string_view value) {
    comma();
    out_ += value;
    return *this;
  }
  Writer& member(std::string_view name, std::string_view value) { return key(name).text(value); }
  Writer& list(std::string_view name, std::span<const std::string_view> items) {
    key(name).open('[');
    for (const std::string_view item : items) text(item);
    return close(']');
  }
  // Sorted, as upstream prints verbs.
  Writer& verbs(std::span<const std::string_view> items) {
    std::vector<std::string_view> sorted(items.begin(), items.end());
    std::sort(sorted.begin(), sorted.end());
    return list("verbs", sorted);
  }
  std::string take() { return std::move(out_); }

 private:
  void comma() {
    if (out_.empty()) return;
    const char last = out_.back();
    if (last != '{' && last != '[' && last != ':' && last != ',') out_ += ',';
  }
  std::string out_;
};

struct Group {
  std::string_view name;
  std::vector<std::string_view> versions;
};

// What is described: the catalog of the moment. Names belong to it.
using schema::Catalog;

std::vector<Group> groups(const Catalog& catalog, bool core) {
  std::vector<Group> out;
  for (const schema::ResourceRef& resource : catalog.resources()) {
    if (resource->group.empty() != core) continue;
    auto group = std::find_if(out.begin(), out.end(), [&](const Group& g) { return g.name == resource->group; });
    if (group == out.end()) group = out.insert(out.end(), Group{resource->group, {}});
    if (std::find(group->versions.begin(), group->versions.end(), resource->version) == group->versions.end())
      group->versions.push_back(resource->version);
  }
  for (Group& group : out) std::sort(group.versions.begin(), group.versions.end(), schema::version_before);
  return out;
}

std::vector<schema::ResourceRef> resources_of(const Catalog& catalog, std::string_view group,
                                              std::string_view version) {
  std::vector<schema::ResourceRef> out;
  for (const schema::ResourceRef& resource : catalog.resources())
    if (resource->group == group && resource->version == version) out.push_back(resource);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a->plural < b->plural; });
  return out;
}

// Sorted for built-in resources only. What is not to be created any more says so.
std::vector<std::string_view> verbs_of(const Resource& resource) {
  std::vector<std::string_view> out(resource.verbs.begin(), resource.verbs.end());
  if (!resource.custom) std::sort(out.begin(), out.end());
  if (resource.custom && resource.custom->terminating())
    std::erase_if(out, [](std::string_view verb) { return verb == "create" || verb == "patch" || verb == "update"; });
  return out;
}

std::string storage_hash(const Resource& resource) {
  if (!resource.custom) return std::string(resource.storage_version_hash);
  const std::string stored =
      auth::sha256(fmt::format("{}/{}/{}", resource.group, resource.custom->storage_version(), resource.kind));
  return base64::encode(std::string_view(stored).substr(0, 8));
}

std::string_view or_else(std::string_view value, std::string_view other) { return value.empty() ? other : value; }

void write_resource(Writer& out, const Resource& r) {
  out.open('{').member("name", r.plural).member("singularName", r.singular);
  out.key("namespaced").raw(r.namespaced ? "true" : "false").member("kind", r.kind).list("verbs", verbs_of(r));
  if (!r.short_names.empty()) out.list("shortNames", r.short_names);
  if (!r.categories.empty()) out.list("categories", r.categories);
  if (const std::string hash = storage_hash(r); !hash.empty()) out.member("storageVersionHash", hash);
  out.close('}');
  for (const schema::Subresource& sub : r.subresources) {
    out.open('{').member("name", fmt::format("{}/{}", r.plural, sub.name)).member("singularName", "");
    out.key("namespaced").raw(r.namespaced ? "true" : "false");
    const bool other = !sub.version.empty() && (sub.group != r.group || sub.version != r.version);
    if (other) out.member("group", sub.group).member("version", sub.version);
    out.member("kind", or_else(sub.kind, r.kind)).verbs(sub.verbs).close('}');
  }
}

std::string resource_list(const Catalog& catalog, std::string_view group, std::string_view version) {
  Writer out;
  out.open('{').member("kind", "APIResourceList");
  if (!group.empty()) out.member("apiVersion", "v1");
  out.member("groupVersion", group.empty() ? std::string(version) : fmt::format("{}/{}", group, version));
  out.key("resources").open('[');
  for (const schema::ResourceRef& resource : resources_of(catalog, group, version)) write_resource(out, *resource);
  return out.close(']').close('}').take();
}

void write_versions(Writer& out, const Group& group) {
  const auto one = [&](std::string_view version) {
    out.open('{')
        .member("groupVersion", fmt::format("{}/{}", group.name, version))
        .member("version", version)
        .close('}');
  };
  out.member("name", group.name).key("versions").open('[');
  for (const std::string_view version : group.versions) one(version);
  out.close(']').key("preferredVersion");
  one(group.versions.front());
}

std::string group_list(const Catalog& catalog) {
  Writer out;
  out.open('{').member("kind", "APIGroupList").member("apiVersion", "v1").key("groups").open('[');
  for (const Group& group : groups(catalog, false)) {
    out.open('{');
    write_versions(out, group);
    out.close('}');
  }
  return out.close(']').close('}').take();
}

std::string one_group(const Group& group) {
  Writer out;
  out.open('{').member("kind", "APIGroup").member("apiVersion", "v1");
  write_versions(out, group);
  return out.close('}').take();
}

std::string core_versions(const Catalog& catalog, std::string_view address) {
  Writer out;
  out.open('{').member("kind", "APIVersions").list("versions", groups(catalog, true).front().versions);
  out.key("serverAddressByClientCIDRs").open('[').open('{').member("clientCIDR", "0.0.0.0/0");
  return out.member("serverAddress", address).close('}').close(']').close('}').take();
}

// Group and version are left empty where they are those of the list, as upstream does.
void write_kind(Writer& out, std::string_view group, std::string_view version, std::string_view kind) {
  out.key("responseKind").open('{').member("group", group).member("version", version).member("kind", kind).close('}');
}

std::string aggregated(const Catalog& catalog, bool core) {
  Writer out;
  out.open('{').member("kind", "APIGroupDiscoveryList").member("apiVersion", "apidiscovery.k8s.io/v2");
  out.key("metadata").raw("{}").key("items").open('[');
  for (const Group& group : groups(catalog, core)) {
    out.open('{').key("metadata").open('{');
    if (!core) out.member("name", group.name);
    out.close('}').key("versions").open('[');
    for (const std::string_view version : group.versions) {
      out.open('{').member("version", version).key("resources").open('[');
      for (const schema::ResourceRef& r : resources_of(catalog, group.name, version)) {
        out.open('{').member("resource", r->plural);
        const bool says_all = r->custom != nullptr;  // as upstream does for custom resources
        write_kind(out, says_all ? r->group : "", says_all ? r->version : "", r->kind);
        out.member("scope", r->namespaced ? "Namespaced" : "Cluster")
            .member("singularResource", r->singular)
            .list("verbs", verbs_of(*r));
        if (!r->short_names.empty()) out.list("shortNames", r->short_names);
        if (!r->categories.empty()) out.list("categories", r->categories);
        if (!r->subresources.empty()) {
          out.key("subresources").open('[');
          for (const schema::Subresource& sub : r->subresources) {
            out.open('{').member("subresource", sub.name);
            const bool own =
                !says_all && (sub.version.empty() || (sub.group == r->group && sub.version == r->version));
            write_kind(out, own ? "" : sub.group, own ? "" : sub.version, or_else(sub.kind, r->kind));
            out.verbs(sub.verbs).close('}');
          }
          out.close(']');
        }
        out.close('}');
      }
      out.close(']').member("freshness", "Current").close('}');
    }
    out.close(']').close('}');
  }
  return out.close(']').close('}').take();
}

std::string root_paths(const Catalog& catalog) {
  std::vector<std::string> paths = {"/.well-known/openid-configuration", "/api", "/apis", "/apis/",
                                    "/metrics", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/version"};
  for (std::string& path : health_paths()) paths.push_back(std::move(path));
  for (const bool core : {true, false}) {
    for (const Group& group : groups(catalog, core)) {
      if (!core) paths.push_back(fmt::format("/apis/{}", group.name));
      for (const std::string_view version : group.versions)
        paths.push_back(core ? fmt::format("/api/{}", version) : fmt::format("/apis/{}/{}", group.name, version));
    }
  }
  std::sort(paths.begin(), paths.end());
  return fmt::format("{{\n  \"paths\": [\n    \"{}\"\n  ]\n}}", fmt::join(paths, "\",\n    \""));
}

void answer_aggregated(const http::Request& request, http::Response& response, const Documents::Document& document,
                       const Output& output) {
  const std::string etag = "\"" + document.etag + "\"";
  response.add_header("Vary", "Accept");
  response.set_header("ETag", etag);
  response.set_header("Cache-Control", "public");
  if (request.header("If-None-Match") == etag) {
    response.status = 304;
    return;
  }
  response.set_header("Content-Type", fmt::format("{};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", output.content_type()));
  response.body = output.protobuf ? discovery_protobuf(document.text) : format_json(document.text, output);
}

}  // namespace

bool serve_discovery(const http::Request& request, http::Response& response, Documents& documents,
                     const Catalog& catalog, std::string_view external_address) {
  std::string_view path = request.path;
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const bool top = path == "/api" || path == "/apis";
  std::function<std::string()> make;
  bool one_of_groups = false, custom = false;
  if (path == "/" || path == "/index.html") {  // the same for whoever asks
    response.set_header("Content-Type", "application/json");
    response.body = documents.get("/", catalog.number(), [&] { return root_paths(catalog); })->text;
    return true;
  }
  if (path == "/api") make = [&] { return core_versions(catalog, external_address); };
  if (path == "/apis") make = [&] { return group_list(catalog); };
  for (const bool core : {true, false}) {
    for (const Group& group : groups(catalog, core)) {
      if (!core && path == fmt::format("/apis/{}", group.name)) {
        make = [group] { return one_group(group); };
        one_of_groups = true;
      }
      for (const std::string_view version : group.versions)
        if (path == (core ? fmt::format("/api/{}", version) : fmt::format("/apis/{}/{}", group.name, version))) {
          make = [&, group, version] { return resource_list(catalog, group.name, version); };
          custom = resources_of(catalog, group.name, version).front()->custom != nullptr;
        }
    }
  }
  if (!make) return false;
  const bool any_method = path == "/apis" || one_of_groups || custom;
  const Status status = any_method ? Status::OK() : request.method == "GET" ? check_route_accepts(request, Route::kObject) : method_not_allowed_error();
  if (!status.ok()) {
    answer_status(response, status);
    return true;
  }
  const uint64_t number = catalog.number();
  const auto output = negotiate_output(request, top ? Forms::kDiscovery : Forms::kPlain);
  if (!output.ok()) {
    answer_status(response, output.status());
  } else if (output->discovery) {
    const bool core = path == "/api";
    answer_aggregated(request, response,
                      *documents.get(core ? "aggregated /api" : "aggregated /apis", number,
                                     [&] { return aggregated(catalog, core); }),
                      *output);
  } else {
    answer_json(response, 200, documents.get(std::string(path), number, make)->text, *output);
  }
  return true;
}

}  // namespace knarr::apiserver
