#include <set>

#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

TEST_CASE("a created object gets its system fields and canonical bytes") {
  Cluster c;
  const auto made = c.rest->create(c.context, Cluster::target("configmaps"), config_map_json("a"));
  REQUIRE(made.ok());
  CHECK(made->code == 201);
  CHECK(made->bytes().substr(0, 64).find(R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a")") == 0);
  const auto object = parse(made->bytes());
  CHECK(at(object, {"metadata", "namespace"}) == "default");
  CHECK(at(object, {"metadata", "creationTimestamp"}) == "2026-09-21T14:13:20Z");
  CHECK(at(object, {"metadata", "uid"}).size() == 36);
  CHECK(at(object, {"metadata", "resourceVersion"}) == std::to_string(made->object->revision));
  CHECK(at(object, {"metadata", "generation"}) == "<none>");
  CHECK(at(object, {"data", "a"}) == "1");
  CHECK(c.rest->get(c.context, Cluster::target("configmaps", "a"))->bytes() == made->bytes());
}

TEST_CASE("what the client says of system fields does not count") {
  Cluster c;
  const auto object =
      c.create("pods", R"({"metadata":{"name":"p","uid":"x","creationTimestamp":"2001-01-01T00:00:00Z","generation":7,
      "deletionTimestamp":"2001-01-01T00:00:00Z"},"spec":{"containers":[{"name":"a","image":"b"}]},"status":{"phase":"Running"}})");
  CHECK(at(object, {"metadata", "uid"}) != "x");
  CHECK(at(object, {"metadata", "generation"}) == "1");
  CHECK(at(object, {"metadata", "deletionTimestamp"}) == "<none>");
  CHECK(at(object, {"status", "phase"}) == "Pending");
  CHECK(at(object, {"status", "qosClass"}) == "BestEffort");
}

TEST_CASE("a namespace is made active, with its finalizer and its name as label") {
  Cluster c;
  const auto ns = c.get("namespaces", "default");
  CHECK(at(ns, {"spec", "finalizers"}) == R"(["kubernetes"])");
  CHECK(at(ns, {"status", "phase"}) == "Active");
  CHECK(at(ns, {"metadata", "labels", "kubernetes.io/metadata.name"}) == "default");
}

TEST_CASE("generateName makes names and finds free ones") {
  Cluster c;
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) {
    const auto object = c.create("configmaps", R"({"metadata":{"generateName":"cm-"}})");
    const std::string name = at(object, {"metadata", "name"});
    CHECK(name.size() == 8);
    CHECK(name.compare(0, 3, "cm-") == 0);
    names.insert(name);
  }
  CHECK(names.size() == 20);
}

TEST_CASE("creations that are refused") {
  Cluster c;
  c.create("configmaps", config_map_json("there"));
  struct Case {
    std::string what, plural, ns, body;
    int code;
    std::string reason, message;
  };
  const std::vector<Case> cases = {
      {"a name that is taken", "configmaps", "default", config_map_json("there"), 409, "AlreadyExists",
       R"(configmaps "there" already exists)"},
      {"a namespace that is not there", "configmaps", "nope", config_map_json("a"), 404, "NotFound",
       R"(namespaces "nope" not found)"},
      {"no namespace", "configmaps", "", config_map_json("a"), 400, "BadRequest",
       "an empty namespace may not be set during creation"},
      {"another namespace in the object", "configmaps", "default",
       config_map_json("a", "{}", R"(,"namespace":"other")"), 400, "BadRequest",
       "the namespace of the provided object does not match the namespace sent on the request"},
      {"another kind", "configmaps", "default", pod_json("p"), 400, "BadRequest",
       R"(Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion)"},
      {"an unknown kind", "pods", "default", R"({"kind":"Foo","apiVersion":"v1"})", 400, "BadRequest",
       R"(Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111")"},
      {"a value of the wrong type", "configmaps", "default", R"({"metadata":{"name":"x"},"data":{"a":1}})", 400,
       "BadRequest", ""},
      {"no JSON", "configmaps", "default", "nonsense", 400, "BadRequest", ""},
      {"a revision", "configmaps", "default", config_map_json("a", "{}", R"(,"resourceVersion":"5")"), 500, "",
       "resourceVersion should not be set on objects to be created"},
      {"no name", "configmaps", "default", R"({"metadata":{}})", 422, "Invalid",
       R"(ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required)"},
      {"a pod without containers", "pods", "default", R"({"metadata":{"name":"p"},"spec":{"containers":[]}})", 422,
       "Invalid", R"(Pod "p" is invalid: spec.containers: Required value)"},
  };
  for (const Case& test : cases) {
    INFO(test.what);
    const auto made = c.rest->create(c.context, Cluster::target(test.plural, "", "", test.ns), test.body);
    REQUIRE_FALSE(made.ok());
    CHECK(made.status().code() == test.code);
    CHECK(made.status().reason() == test.reason);
    if (!test.message.empty()) CHECK(made.status().message() == test.message);
  }
}

TEST_CASE("field validation: unknown and duplicate fields are ignored, warned of or refused") {
  const std::string body = R"({"metadata":{"name":"a"},"data":{"k":"1","k":"2"},"colour":"red"})";
  const auto run = [&](FieldValidation how) {
    Cluster c;
    c.context.field_validation = how;
    auto made = c.rest->create(c.context, Cluster::target("configmaps"), body);
    return std::make_tuple(made.ok() ? std::string("ok") : made.status().message(), c.context.warnings);
  };
  const auto [ignored, none] = run(FieldValidation::kIgnore);
  CHECK(ignored == "ok");
  CHECK(none.empty());
  const auto [warned, warnings] = run(FieldValidation::kWarn);
  CHECK(warned == "ok");
  CHECK(warnings == std::vector<std::string>{R"(unknown field "colour")", R"(duplicate field "data.k")"});
  const auto [refused, silent] = run(FieldValidation::kStrict);
  CHECK(
      refused ==
      R"(ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "colour", duplicate field "data.k")");
  CHECK(silent.empty());
}

TEST_CASE("a dry run checks everything and writes nothing") {
  Cluster c;
  c.context.dry_run = true;
  const auto revision = c.store->revision();
  const auto made = c.rest->create(c.context, Cluster::target("configmaps"), config_map_json("a"));
  REQUIRE(made.ok());
  const auto object = parse(made->bytes());
  CHECK(at(object, {"metadata", "uid"}).size() == 36);
  CHECK(at(object, {"metadata", "resourceVersion"}) == "<none>");
  CHECK(c.store->revision() == revision);
  CHECK_FALSE(c.exists("configmaps", "a"));
}

TEST_CASE("admission completes pods") {
  Cluster c;
  SECTION("without classes") {
    const auto pod = c.create("pods", pod_json("p"));
    CHECK(at(pod, {"spec", "serviceAccountName"}) == "default");
    CHECK(at(pod, {"spec", "priority"}) == "0");
    CHECK(at(pod, {"spec", "preemptionPolicy"}) == "PreemptLowerPriority");
    CHECK(json::find(pod, {"spec", "tolerations"})->Size() == 2);
  }
  SECTION("tolerations of their own") {
    const auto pod = c.create("pods", pod_json("p", "{}", R"(,"tolerations":[{"operator":"Exists"}])"));
    CHECK(json::find(pod, {"spec", "tolerations"})->Size() == 1);
  }
  SECTION("a critical class") {
    REQUIRE(c.send("POST", "/apis/scheduling.k8s.io/v1/priorityclasses",
                   R"({"metadata":{"name":"system-node-critical"},"value":2000001000})")
                .status == 201);
    const auto pod = c.create("pods", pod_json("p", "{}", R"(,"priorityClassName":"system-node-critical")"));
    CHECK(at(pod, {"spec", "priority"}) == "2000001000");
  }
  SECTION("a class or an account that is not there") {
    for (const std::string spec : {R"(,"priorityClassName":"nope")", R"(,"serviceAccountName":"nope")"}) {
      const auto made = c.rest->create(c.context, Cluster::target("pods"), pod_json("p", "{}", spec));
      REQUIRE_FALSE(made.ok());
      CHECK(made.status().code() == 403);
    }
  }
}

TEST_CASE("classes of service of pods") {
  Cluster c;
  const auto qos = [&](const std::string& name, const std::string& resources) {
    const auto pod =
        c.create("pods", R"({"metadata":{"name":")" + name +
                             R"("},"spec":{"containers":[{"name":"a","image":"b","resources":)" + resources + "}]}}");
    return at(pod, {"status", "qosClass"});
  };
  CHECK(qos("a", "{}") == "BestEffort");
  CHECK(qos("b", R"({"requests":{"cpu":"1"}})") == "Burstable");
  CHECK(qos("c", R"({"limits":{"cpu":"1","memory":"1Gi"}})") == "Guaranteed");
  CHECK(qos("d", R"({"limits":{"cpu":"1000m","memory":"1Gi"},"requests":{"cpu":"1","memory":"1024Mi"}})") ==
        "Guaranteed");
  CHECK(qos("e", R"({"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}})") == "Burstable");
  // What the pod has as a whole counts before its containers'.
  const auto whole = [&](const std::string& name, const std::string& resources) {
    const auto pod = c.create("pods", R"({"metadata":{"name":")" + name + R"("},"spec":{"containers":[{"name":"a","image":"b","resources":)"
                                          R"({"limits":{"cpu":"500m","memory":"1Gi"}}}],"resources":)" + resources + "}}");
    return at(pod, {"status", "qosClass"});
  };
  CHECK(whole("f", "{}") == "BestEffort");
  CHECK(whole("g", R"({"requests":{"cpu":"1"}})") == "Burstable");
  CHECK(whole("h", R"({"limits":{"cpu":"1"}})") == "Burstable");
  CHECK(whole("i", R"({"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}})") == "Guaranteed");
}
