// Built-in resources that are served in several versions show the same objects.
#include "fixture.h"

namespace knarr::apiserver::test {
namespace {

TEST_CASE("an event of one group is one of the other") {
  Cluster c;
  const std::string core = "/api/v1/namespaces/default/events", newer = "/apis/events.k8s.io/v1/namespaces/default/events";
  const auto made = c.send(
      "POST", core,
      R"({"metadata":{"name":"e"},"involvedObject":{"kind":"Pod","namespace":"default","name":"p"},"message":"hello","reason":"Said","type":"Normal"})");
  INFO(made.body);
  REQUIRE(made.status == 201);
  const auto seen = parse(c.send("GET", newer + "/e").body);
  CHECK(at(seen, {"apiVersion"}) == "events.k8s.io/v1");
  CHECK(at(seen, {"note"}) == "hello");
  CHECK(at(seen, {"regarding", "name"}) == "p");
  const auto list = parse(c.send("GET", newer).body);
  CHECK(at(list, {"kind"}) == "EventList");
  CHECK(at((*json::find(list, "items"))[0], {"note"}) == "hello");
  const http::Headers merge = {{"Content-Type", "application/merge-patch+json"}};
  CHECK(c.send("PATCH", newer + "/e", R"({"note":"changed"})", merge).status == 422);  // only the core group lets an event be rewritten
  CHECK(c.send("PATCH", newer + "/e", R"({"metadata":{"labels":{"a":"b"}}})", merge).status == 200);
  CHECK(at(parse(c.send("GET", core + "/e").body), {"metadata", "labels", "a"}) == "b");
  CHECK(c.send("PATCH", core + "/e", R"({"message":"changed"})", merge).status == 200);
  CHECK(at(parse(c.send("GET", newer + "/e").body), {"note"}) == "changed");
  CHECK(c.send("DELETE", newer + "/e").status == 200);
  CHECK(c.send("GET", core + "/e").status == 404);
}

TEST_CASE("an autoscaler in both of its versions") {
  Cluster c;
  const std::string path = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers";
  const auto of = [&](std::string_view version) { return std::string(path).replace(path.find("{}"), 2, version); };
  const auto made = c.send("POST", of("v1"),
                           R"({"metadata":{"name":"h"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d","apiVersion":"apps/v1"},)"
                           R"("maxReplicas":3,"targetCPUUtilizationPercentage":70}})");
  INFO(made.body);
  REQUIRE(made.status == 201);
  const auto newer = parse(c.send("GET", of("v2") + "/h").body);
  CHECK(at(newer, {"apiVersion"}) == "autoscaling/v2");
  CHECK(at((*json::find(newer, {"spec", "metrics"}))[0], {"resource", "target", "averageUtilization"}) == "70");
  CHECK(at(parse(c.send("GET", of("v1") + "/h").body), {"spec", "targetCPUUtilizationPercentage"}) == "70");
  auto watch = c.rest->watch(c.context, {schema::find_resource("autoscaling", "v1", "horizontalpodautoscalers"), "", "default", ""}, {});
  REQUIRE(watch.ok());
  std::vector<WatchItem> items;
  REQUIRE((*watch)->next(10, items));
  REQUIRE(items.size() == 1);
  CHECK(at(parse(items[0].bytes()), {"apiVersion"}) == "autoscaling/v1");
}

}  // namespace
}  // namespace knarr::apiserver::test
