// Custom resources: how definitions become resources and cease to be.
#include <fmt/format.h>

#include "fixture.h"

namespace knarr::apiserver::test {
namespace {

constexpr std::string_view kPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
constexpr std::string_view kSpec =
    R"({"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer"},"color":{"type":"string","default":"red"}}}}})";

std::string definition(std::string_view plural, std::string_view kind, std::string_view schema = kSpec,
                       std::string_view more_versions = "", std::string_view version_fields = "") {
  return fmt::format(
      R"({{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{{"name":"{0}.example.com"}},"spec":{{"group":"example.com","scope":"Namespaced","names":{{"plural":"{0}","kind":"{1}"}},"versions":[{{"name":"v1","served":true,"storage":true,"schema":{{"openAPIV3Schema":{2}}}{4}}}{3}]}}}})",
      plural, kind, schema, more_versions, version_fields);
}

std::string widget(std::string_view name, std::string_view spec = R"({"size":1})", std::string_view metadata = "") {
  return fmt::format(R"({{"kind":"Widget","apiVersion":"example.com/v1","metadata":{{"name":"{}"{}}},"spec":{}}})", name, metadata, spec);
}

struct Fixture : Cluster {
  const std::string widgets = "/apis/example.com/v1/namespaces/default/widgets";

  http::Response post(std::string_view path, std::string body) { return send("POST", std::string(path), std::move(body)); }
  json::Document must(http::Response response, int code = 200) {
    INFO(response.body);
    REQUIRE(response.status == code);
    return parse(response.body);
  }
  std::string condition(std::string_view plural, std::string_view type) {
    const auto crd = must(send("GET", fmt::format("{}/{}.example.com", kPath, plural)));
    for (const auto& c : json::find(crd, {"status", "conditions"})->GetArray())
      if (json::get_string(c, "type") == type) return fmt::format("{} {}", json::get_string(c, "status"), json::get_string(c, "reason"));
    return "";
  }
  Target widget_target(std::string_view name = "") { return {rest->registry().find("example.com", "v1", "widgets"), "", "default", name}; }
};

TEST_CASE_METHOD(Fixture, "a definition is served when its creation is answered") {
  CHECK(send("GET", widgets).status == 404);
  must(post(kPath, definition("widgets", "Widget")), 201);
  CHECK(condition("widgets", "Established") == "True InitialNamesAccepted");
  const auto made = must(post(widgets, widget("a", R"({"size":1,"unknown":2})")), 201);
  CHECK(at(made, {"spec"}) == R"({"size":1,"color":"red"})");
  CHECK(at(must(send("GET", "/apis/example.com/v1")), {"groupVersion"}) == "example.com/v1");
  CHECK(send("GET", "/openapi/v3/apis/example.com/v1").body.find("com.example.v1.Widget") != std::string::npos);
  const auto bad = must(post(widgets, widget("b", R"({"size":"x"})")), 422);
  CHECK(at(bad, {"message"}).find("spec.size in body must be of type integer") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a name that is taken is refused until it is free") {
  must(post(kPath, definition("widgets", "Widget")), 201);
  must(post(kPath, definition("others", "Widget")), 201);
  CHECK(condition("others", "NamesAccepted") == "False ListKindConflict");
  CHECK(condition("others", "Established") == "False NotAccepted");
  CHECK(send("GET", "/apis/example.com/v1/others").status == 404);
  must(send("DELETE", std::string(kPath) + "/widgets.example.com"));
  CHECK(condition("others", "NamesAccepted") == "True NoConflicts");
  CHECK(send("GET", "/apis/example.com/v1/others").status == 200);
}

TEST_CASE_METHOD(Fixture, "objects go first, and those with finalizers are waited for") {
  must(post(kPath, definition("widgets", "Widget")), 201);
  must(post(widgets, widget("free")), 201);
  must(post(widgets, widget("held", "{}", R"(,"finalizers":["a.b/c"])")), 201);
  auto watch = rest->watch(context, widget_target(), {});
  REQUIRE(watch.ok());
  std::vector<WatchItem> items;
  REQUIRE((*watch)->next(10, items));
  items.clear();
  must(send("DELETE", std::string(kPath) + "/widgets.example.com"));
  CHECK(condition("widgets", "Terminating") == "True InstanceDeletionInProgress");
  CHECK(send("GET", widgets + "/free").status == 404);
  CHECK(send("GET", widgets + "/held").status == 200);
  CHECK(post(widgets, widget("late")).status == 403);
  while ((*watch)->next(10, items) && !(*watch)->idle()) {
  }
  must(send("PATCH", widgets + "/held", R"({"metadata":{"finalizers":null}})", {{"Content-Type", "application/merge-patch+json"}}));
  CHECK(send("GET", std::string(kPath) + "/widgets.example.com").status == 404);
  CHECK(send("GET", widgets).status == 404);
  while ((*watch)->next(10, items)) {
  }
  int deleted = 0;
  for (const WatchItem& item : items) deleted += item.type == WatchType::kDeleted;
  CHECK(deleted == 2);
}

TEST_CASE_METHOD(Fixture, "stored objects follow a schema that changes") {
  must(post(kPath, definition("widgets", "Widget")), 201);
  must(post(widgets, widget("a")), 201);
  auto watch = rest->watch(context, widget_target(), {});
  REQUIRE(watch.ok());
  auto crd = must(send("GET", std::string(kPath) + "/widgets.example.com"));
  constexpr std::string_view kPatch =
      R"([{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties","value":{"shape":{"type":"string","default":"round"}}}])";
  must(send("PATCH", std::string(kPath) + "/widgets.example.com", std::string(kPatch), {{"Content-Type", "application/json-patch+json"}}));
  CHECK(at(must(send("GET", widgets + "/a")), {"spec"}) == R"({"shape":"round"})");
  std::vector<WatchItem> items;
  while ((*watch)->next(10, items)) {  // the old schema's watch ends
  }
  CHECK(items.size() == 1);
}

TEST_CASE_METHOD(Fixture, "versions share their objects") {
  must(post(kPath, definition("widgets", "Widget", kSpec,
                              fmt::format(R"(,{{"name":"v2","served":true,"storage":false,"deprecated":true,"schema":{{"openAPIV3Schema":{}}}}})",
                                          R"({"type":"object","x-kubernetes-preserve-unknown-fields":true})"))),
       201);
  must(post(widgets, widget("a")), 201);
  const auto response = send("GET", "/apis/example.com/v2/namespaces/default/widgets/a");
  CHECK(at(parse(response.body), {"apiVersion"}) == "example.com/v2");
  CHECK(header(response, "Warning").find("example.com/v2 Widget is deprecated") != std::string::npos);
  const std::string made =
      R"({"kind":"Widget","apiVersion":"example.com/v2","metadata":{"name":"b"},"spec":{"size":1,"more":1}})";
  must(post("/apis/example.com/v2/namespaces/default/widgets", made), 201);
  const auto stored = store->get(store->resource("widgets.example.com"), "default/b");
  REQUIRE(stored);
  CHECK(stored->value.find(R"("apiVersion":"example.com/v1")") != std::string::npos);
  CHECK(stored->value.find(R"("more":1)") == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "custom resources are there again after a restart") {
  must(post(kPath, definition("widgets", "Widget", kSpec, "", R"(,"selectableFields":[{"jsonPath":".spec.color"}])")), 201);
  must(post(widgets, widget("a", R"({"color":"blue"})")), 201);
  RestOptions options;
  options.store = store.get();
  options.clock = &clock;
  Rest again(std::move(options));
  const schema::ResourceRef found = again.registry().find("example.com", "v1", "widgets");
  REQUIRE(found);
  ListParams params;
  params.field_selector = "spec.color=blue";
  const auto listed = again.list(context, {found, "", "default", ""}, params);
  REQUIRE(listed.ok());
  CHECK(listed->objects.size() == 1);
}

}  // namespace
}  // namespace knarr::apiserver::test
