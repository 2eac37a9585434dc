#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "knarr/schema/machinery.h"

namespace json = knarr::json;
using namespace knarr::schema;

namespace {

json::Document document(const std::string& text) {
  auto parsed = json::parse(text);
  INFO(parsed.status().to_string());
  REQUIRE(parsed.ok());
  return std::move(*parsed);
}

const json::Value& at(const json::Value& value, std::initializer_list<std::string_view> path) {
  const json::Value* found = json::find(value, path);
  REQUIRE(found != nullptr);
  return *found;
}

// Each $ref must lead to a schema of the document.
void check_references(const json::Value& root, std::string_view prefix, const json::Value& schemas) {
  std::set<std::string> missing;
  std::function<void(const json::Value&)> walk = [&](const json::Value& value) {
    if (value.IsArray()) {
      for (const auto& item : value.GetArray()) walk(item);
    }
    if (!value.IsObject()) return;
    for (const auto& member : value.GetObject()) {
      if (json::view(member.name) == "$ref" && member.value.IsString()) {
        const std::string_view target = json::view(member.value);
        if (!target.starts_with(prefix) || !json::find(schemas, target.substr(prefix.size()))) missing.emplace(target);
      }
      walk(member.value);
    }
  };
  walk(root);
  CHECK(missing == std::set<std::string>{});
}

}  // namespace

TEST_CASE("openapi: version 3 of a group version", "[openapi]") {
  const auto spec = document(openapi_v3("api/v1"));
  const auto& schemas = at(spec, {"components", "schemas"});
  check_references(spec, "#/components/schemas/", schemas);
  const auto& pod = at(schemas, {"io.k8s.api.core.v1.Pod"});
  CHECK(json::dump(at(pod, {"x-kubernetes-group-version-kind"})) == R"([{"group":"","kind":"Pod","version":"v1"}])");
  CHECK(json::dump(at(pod, {"properties", "spec", "allOf"})) ==
        R"([{"$ref":"#/components/schemas/io.k8s.api.core.v1.PodSpec"}])");
  const auto& ports = at(schemas, {"io.k8s.api.core.v1.Container", "properties", "ports"});
  CHECK(json::get_string(ports, "x-kubernetes-patch-strategy") == "merge");
  CHECK(json::get_string(ports, "x-kubernetes-patch-merge-key") == "containerPort");
  CHECK(json::get_string(ports, "x-kubernetes-list-type") == "map");
  CHECK(json::dump(at(ports, {"x-kubernetes-list-map-keys"})) == R"(["containerPort","protocol"])");
  CHECK(json::get_string(at(schemas, {"io.k8s.api.core.v1.PodSpec", "properties", "volumes"}),
                         "x-kubernetes-patch-strategy") == "merge,retainKeys");
  CHECK(json::dump(at(schemas, {"io.k8s.api.core.v1.ContainerPort", "required"})) == R"(["containerPort"])");

  const auto& patch = at(spec, {"paths", "/api/v1/namespaces/{namespace}/pods/{name}", "patch"});
  CHECK(json::dump(at(patch, {"x-kubernetes-group-version-kind"})) == R"({"group":"","kind":"Pod","version":"v1"})");
  CHECK(json::find(patch, {"requestBody", "content", "application/strategic-merge-patch+json"}));
  CHECK(json::dump(at(patch, {"parameters"})).find(R"("name":"fieldValidation")") != std::string::npos);
  CHECK(json::find(spec, {"paths", "/api/v1/nodes/{name}", "get"}));
  CHECK(json::find(spec, {"paths", "/api/v1/namespaces/{namespace}/pods/{name}/status", "put"}));
  CHECK(json::find(spec, {"paths", "/api/v1/pods", "get"}));
  CHECK_FALSE(json::find(spec, {"paths", "/api/v1/pods", "post"}));
  CHECK(openapi_v3("apis/nothing/v1").empty());
}

TEST_CASE("openapi: operations as upstream writes them", "[openapi]") {
  const auto spec = document(openapi_v3("api/v1"));
  const auto& paths = at(spec, {"paths"});
  const auto names = [](const json::Value& item) {
    std::string out;
    if (const json::Value* parameters = json::find(item, "parameters"))
      for (const auto& parameter : parameters->GetArray()) out.append(json::get_string(parameter, "name")).append(" ");
    return out;
  };
  const std::string lists =
      "allowWatchBookmarks continue fieldSelector labelSelector limit pretty resourceVersion resourceVersionMatch "
      "sendInitialEvents shardSelector timeoutSeconds watch ";
  // What all operations of a path take stands beside them, so that a single one's stand there.
  const std::tuple<const char*, const char*, std::string, std::string> cases[] = {
      {"/api/v1/pods", "get", lists, ""},
      {"/api/v1/namespaces/{namespace}/pods/{name}", "get", "name namespace pretty ", ""},
      {"/api/v1/namespaces/{namespace}/pods/{name}", "put", "name namespace pretty ", "dryRun fieldManager fieldValidation "},
      {"/api/v1/namespaces/{namespace}/pods/{name}/exec", "post", "command container name namespace stderr stdin stdout tty ", ""},
      {"/api/v1/namespaces/{namespace}/pods/{name}/proxy/{path}", "head", "name namespace path path ", ""},
      {"/api/v1/watch/pods", "get", lists, ""},
      {"/api/v1/", "get", "", ""},
  };
  for (const auto& [path, method, shared, own] : cases) {
    INFO(path << " " << method);
    CHECK(names(at(paths, {path})) == shared);
    CHECK(names(at(paths, {path, method})) == own);
  }
  CHECK(json::get_string(at(paths, {"/api/v1/watch/namespaces/{namespace}/pods/{name}", "get"}), "operationId") ==
        "watchCoreV1NamespacedPod");
  const auto& deleted = at(paths, {"/api/v1/namespaces/{namespace}/pods/{name}", "delete", "responses", "200", "content"});
  CHECK(deleted.MemberCount() == 3);
  CHECK(json::dump(deleted).find("core.v1.Pod\"") != std::string::npos);
}

TEST_CASE("openapi: schemas as upstream writes them", "[openapi]") {
  const auto spec = document(openapi_v3("apis/apps/v1"));
  const auto& schemas = at(spec, {"components", "schemas"});
  const auto text = [&](std::initializer_list<std::string_view> path) { return json::dump(at(schemas, path)); };
  CHECK(text({"io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "x-kubernetes-group-version-kind"}) ==
        R"([{"group":"","kind":"DeleteOptions","version":"v1"},{"group":"apps","kind":"DeleteOptions","version":"v1"}])");
  CHECK(text({"io.k8s.api.core.v1.SeccompProfile", "x-kubernetes-unions"}) ==
        R"([{"discriminator":"type","fields-to-discriminateBy":{"localhostProfile":"LocalhostProfile"}}])");
  CHECK(text({"io.k8s.api.core.v1.LocalObjectReference", "properties", "name", "default"}) == R"("")");
  CHECK(text({"io.k8s.api.core.v1.ContainerPort", "properties", "protocol", "default"}) == R"("TCP")");
  CHECK_FALSE(json::find(schemas, {"io.k8s.api.core.v1.ContainerRestartRule", "properties", "action", "default"}));
  const auto csr = document(openapi_v3("apis/certificates.k8s.io/v1"));
  CHECK(json::dump(csr).find(R"("cert sign","client auth")") != std::string::npos);
  // Version 2 has no defaults.
  const auto version2 = document(openapi_v2());
  CHECK_FALSE(json::find(version2, {"definitions", "io.k8s.api.core.v1.ContainerPort", "properties", "protocol", "default"}));
}

TEST_CASE("openapi: documents of discovery", "[openapi]") {
  const auto names = openapi_v3_names({});
  for (const char* name : {"api", "apis", "api/v1", "apis/apps", "apis/apps/v1", "version", "openid/v1/jwks"}) {
    INFO(name);
    CHECK(names.contains(name));
    CHECK(document(openapi_v3(name)).IsObject());
  }
  const auto group = document(openapi_v3("apis/rbac.authorization.k8s.io"));
  CHECK(json::get_string(at(group, {"paths", "/apis/rbac.authorization.k8s.io/", "get"}), "operationId") ==
        "getRbacAuthorizationAPIGroup");
}

TEST_CASE("openapi: version 2 has all groups", "[openapi]") {
  const auto spec = document(openapi_v2());
  const auto& definitions = at(spec, {"definitions"});
  check_references(spec, "#/definitions/", definitions);
  CHECK(json::find(definitions, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
  CHECK(json::find(spec, {"paths", "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", "post"}));
  std::set<std::string> ids;
  for (const auto& path : at(spec, {"paths"}).GetObject()) {
    for (const auto& operation : path.value.GetObject()) {
      const std::string id(json::get_string(operation.value, "operationId"));
      if (id.empty()) continue;
      INFO(id);
      CHECK(ids.insert(id).second);
    }
  }
}

TEST_CASE("openapi: version 2 as protobuf", "[openapi]") {
  using namespace std::string_literals;
  // A message within a message, innermost first.
  const auto field = [](char number, const std::string& bytes) {
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
  };
  const auto entry = [&](const std::string& name, const std::string& value) {
    return field(1, name) + field(2, value);
  };
  const std::string schema = "\xb2\x01\x08"s + field(1, "object") + "\xfa\x01\x0d"s + entry("x-y", field(2, "- 1\n"));
  const std::string operation = field(5, "x") + field(9, "");
  const std::string expected = field(1, "2.0") + field(2, field(1, "T") + field(2, "1")) +
                               field(8, field(2, entry("/a", field(2, operation)))) +
                               field(9, field(1, entry("D", schema))) + field(13, "");
  CHECK(openapi_v2_protobuf(
            R"({"swagger":"2.0","info":{"title":"T","version":"1"},"paths":{"/a":{"get":{"operationId":"x"}}},
                                "definitions":{"D":{"type":"object","x-y":[1]}}})") == expected);
  CHECK(openapi_v2_protobuf("no JSON").empty());
  CHECK(openapi_v2_protobuf(openapi_v2()).size() > 10000);
}
