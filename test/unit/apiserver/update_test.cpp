#include <thread>

#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

TEST_CASE("an update replaces the object and keeps what is the server's") {
  Cluster c;
  const auto old = c.create("configmaps", config_map_json("a"));
  const auto updated =
      c.rest->update(c.context, Cluster::target("configmaps", "a"), config_map_json("a", R"({"b":"2"})"));
  REQUIRE(updated.ok());
  CHECK(updated->code == 200);
  const auto object = parse(updated->bytes());
  CHECK(at(object, {"data"}) == R"({"b":"2"})");
  CHECK(at(object, {"metadata", "uid"}) == at(old, {"metadata", "uid"}));
  CHECK(at(object, {"metadata", "creationTimestamp"}) == at(old, {"metadata", "creationTimestamp"}));
  CHECK(at(object, {"metadata", "resourceVersion"}) != at(old, {"metadata", "resourceVersion"}));
}

TEST_CASE("an update that changes nothing is not written") {
  Cluster c;
  const auto old = c.create("pods", pod_json("p", R"({"x":"1"})"));
  const auto revision = c.store->revision();
  SECTION("by update") {
    const auto same = c.rest->update(c.context, Cluster::target("pods", "p"), json::dump(old));
    INFO(same.status().to_string());
    REQUIRE(same.ok());
    CHECK(at(parse(same->bytes()), {"metadata", "resourceVersion"}) == at(old, {"metadata", "resourceVersion"}));
  }
  SECTION("by patch") {
    REQUIRE(c.rest
                ->patch(c.context, Cluster::target("pods", "p"), "application/merge-patch+json",
                        R"({"metadata":{"labels":{"x":"1"}}})")
                .ok());
  }
  CHECK(c.store->revision() == revision);
}

TEST_CASE("optimistic locking") {
  Cluster c;
  const auto old = c.create("configmaps", config_map_json("a"));
  REQUIRE(c.rest->update(c.context, Cluster::target("configmaps", "a"), config_map_json("a", R"({"n":"1"})")).ok());
  const auto stale = c.rest->update(c.context, Cluster::target("configmaps", "a"), json::dump(old));
  REQUIRE_FALSE(stale.ok());
  CHECK(stale.status().reason() == "Conflict");
  CHECK(
      stale.status().message() ==
      R"(Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again)");
  CHECK(stale.status().details().kind == "configmaps");
  CHECK(stale.status().details().name == "a");
  const auto patched = c.rest->patch(
      c.context, Cluster::target("configmaps", "a"), "application/merge-patch+json",
      R"({"metadata":{"resourceVersion":")" + at(old, {"metadata", "resourceVersion"}) + R"("},"data":{"m":"2"}})");
  REQUIRE_FALSE(patched.ok());
  CHECK(patched.status().code() == 409);
}

TEST_CASE("updates that are refused") {
  Cluster c;
  c.create("configmaps", config_map_json("a"));
  c.create("leases", R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"x"}})");
  struct Case {
    std::string what, plural, name, body;
    int code;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"absent", "configmaps", "z", config_map_json("z"), 404, R"(configmaps "z" not found)"},
      {"another name", "configmaps", "a", config_map_json("b"), 400,
       "the name of the object (b) does not match the name on the URL (a)"},
      {"another namespace", "configmaps", "a", config_map_json("a", "{}", R"(,"namespace":"b")"), 400,
       "the namespace of the provided object does not match the namespace sent on the request"},
      {"another uid", "configmaps", "a", config_map_json("a", "{}", R"(,"uid":"other")"), 409, ""},
      {"a time of deletion", "configmaps", "a", config_map_json("a", "{}", R"(,"deletionTimestamp":"2020-01-01T00:00:00Z")"), 422,
       R"(ConfigMap "a" is invalid: metadata.deletionTimestamp: Invalid value: "2020-01-01T00:00:00Z": field is immutable)"},
      {"a grace period", "configmaps", "a", config_map_json("a", "{}", R"(,"deletionGracePeriodSeconds":5)"), 422,
       R"(ConfigMap "a" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable)"},
      {"an object of another kind", "configmaps", "a",
       R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"data":{"x":"1"}})", 400,
       R"(Secret in version "v1" cannot be handled as a ConfigMap: illegal base64 data at input byte 0)"},
      {"no revision where one is needed", "leases", "l", R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"y"}})",
       422,
       R"(leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update)"},
  };
  for (const Case& test : cases) {
    INFO(test.what);
    const auto updated = c.rest->update(c.context, Cluster::target(test.plural, test.name), test.body);
    REQUIRE_FALSE(updated.ok());
    INFO(updated.status().to_string());
    CHECK(updated.status().code() == test.code);
    if (!test.message.empty()) CHECK(updated.status().message() == test.message);
  }
}

TEST_CASE("what is wrong with an updated object's metadata is told as often as upstream checks it") {
  Cluster c;
  c.create("configmaps", config_map_json("default"));
  struct Case {
    std::string plural, metadata;
    std::vector<std::string> fields;
  };
  const std::string labels = "metadata.labels", owners = "metadata.ownerReferences.uid";
  const std::vector<Case> cases = {
      {"configmaps", R"({"labels":{"a b":"c"}})", {labels, labels, labels, labels}},
      {"configmaps",
       R"({"labels":{"a b":"c"},"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"x","uid":""}]})",
       {labels, owners, labels, owners, labels, owners, labels, owners}},
      {"namespaces", R"({"labels":{"a b":"c"}})", {labels, labels, labels}},
  };
  for (const Case& test : cases) {
    INFO(test.plural << " " << test.metadata);
    const auto patched = c.rest->patch(c.context, Cluster::target(test.plural, "default"),
                                       "application/merge-patch+json", R"({"metadata":)" + test.metadata + "}");
    REQUIRE(patched.status().code() == 422);
    std::vector<std::string> fields;
    const Status status = patched.status();
    for (const Cause& cause : status.causes()) fields.push_back(cause.field);
    CHECK(fields == test.fields);
  }
}

TEST_CASE("a PUT creates where upstream's does") {
  Cluster c;
  const auto made = c.rest->update(c.context, Cluster::target("leases", "l"),
                                   R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"x"}})");
  INFO(made.status().to_string());
  REQUIRE(made.ok());
  CHECK(made->code == 201);
}

TEST_CASE("status and the rest are two endpoints") {
  Cluster c;
  c.create("pods", pod_json("p"));
  const std::string both =
      R"({"metadata":{"name":"p","labels":{"new":"1"}},"spec":{"containers":[{"name":"main","image":"busybox:2"}]},
      "status":{"phase":"Running"}})";
  SECTION("status takes only status and metadata") {
    const auto updated = c.rest->update(c.context, Cluster::target("pods", "p", "status"), both);
    INFO(updated.status().to_string());
    REQUIRE(updated.ok());
    const auto pod = parse(updated->bytes());
    CHECK(at(pod, {"status", "phase"}) == "Running");
    CHECK(at(*json::find(pod, {"spec", "containers"})->Begin(), {"image"}) == "busybox");
    CHECK(at(pod, {"metadata", "generation"}) == "1");
  }
  SECTION("the main resource takes everything else") {
    const auto patched =
        c.rest->patch(c.context, Cluster::target("pods", "p"), "application/strategic-merge-patch+json",
                      R"({"spec":{"containers":[{"name":"main","image":"busybox:2"}]},"status":{"phase":"Running"}})");
    INFO(patched.status().to_string());
    REQUIRE(patched.ok());
    const auto pod = parse(patched->bytes());
    CHECK(at(pod, {"status", "phase"}) == "Pending");
    CHECK(at(*json::find(pod, {"spec", "containers"})->Begin(), {"image"}) == "busybox:2");
    CHECK(at(pod, {"metadata", "generation"}) == "2");
  }
}

TEST_CASE("patches of three kinds") {
  Cluster c;
  c.create("configmaps", config_map_json("a", R"({"x":"1","y":"2"})"));
  struct Case {
    std::string type, body, data;
  };
  const std::vector<Case> cases = {
      {"application/json-patch+json",
       R"([{"op":"replace","path":"/data/x","value":"9"},{"op":"remove","path":"/data/y"}])", R"({"x":"9"})"},
      {"application/merge-patch+json", R"({"data":{"y":null,"z":"3"}})", R"({"x":"1","z":"3"})"},
      {"application/strategic-merge-patch+json", R"({"data":{"x":"5"}})", R"({"x":"5","y":"2"})"},
  };
  for (const Case& test : cases) {
    INFO(test.type);
    c.context.dry_run = true;
    const auto patched = c.rest->patch(c.context, Cluster::target("configmaps", "a"), test.type, test.body);
    INFO(patched.status().to_string());
    REQUIRE(patched.ok());
    CHECK(json::equal(*json::find(parse(patched->bytes()), "data"), parse(test.data)));
  }
  CHECK(at(c.get("configmaps", "a"), {"data", "x"}) == "1");
}

TEST_CASE("patches that are refused") {
  Cluster c;
  c.context.field_validation = FieldValidation::kWarn;
  c.create("configmaps", config_map_json("a"));
  struct Case {
    std::string type, name, body;
    int code;
  };
  const std::vector<Case> cases = {
      {"application/apply-patch+cbor", "a", "{}", 415},
      {"text/plain", "a", "{}", 415},
      {"application/merge-patch+json", "z", R"({"data":{"x":"5"}})", 404},
      {"application/merge-patch+json", "a", "nonsense", 400},
      {"application/merge-patch+json", "a", R"({"data":{"x":5}})", 422},
      {"application/merge-patch+json", "a", R"({"metadata":{"name":"b"}})", 400},
      {"application/json-patch+json", "a", R"([{"op":"test","path":"/data/a","value":"7"}])", 422},
      {"application/json-patch+json", "a", R"([{"op":"remove","path":"/data/none"}])", 422},
      {"application/json-patch+json", "a", R"([{"op":5,"path":"/data/none"}])", 400},
      {"application/json-patch+json", "a", "[null]", 422},
      {"application/merge-patch+json", "a", R"({"apiVersion":null})", 400},
  };
  for (const Case& test : cases) {
    INFO(test.type << " " << test.body);
    const auto patched = c.rest->patch(c.context, Cluster::target("configmaps", test.name), test.type, test.body);
    REQUIRE_FALSE(patched.ok());
    INFO(patched.status().to_string());
    CHECK(patched.status().code() == test.code);
  }
}

TEST_CASE("what a patch says that nobody knows is told, or refused") {
  struct Case {
    std::string type, body;
    std::vector<std::string> warnings;
  };
  const std::vector<Case> cases = {
      {"application/json-patch+json", R"([{"op":"add","path":"/x","value":1,"more":2,"more":3}])",
       {R"(json patch unknown field "[0].more")", R"(json patch duplicate field "[0].more")", R"(unknown field "x")"}},
      {"application/merge-patch+json", R"({"x":1,"x":2})", {R"(duplicate field "x")", R"(unknown field "x")"}},
      {"application/merge-patch+json", R"({"metadata":{"selfLink":"x"}})", {}},
  };
  for (const Case& test : cases) {
    INFO(test.body);
    Cluster c;
    c.create("configmaps", config_map_json("a"));
    const Target target = Cluster::target("configmaps", "a");
    c.context.field_validation = FieldValidation::kWarn;
    REQUIRE(c.rest->patch(c.context, target, test.type, test.body).ok());
    CHECK(c.context.warnings == test.warnings);
    CHECK_FALSE(json::find(c.get("configmaps", "a"), {"metadata", "selfLink"}));
    c.context.field_validation = FieldValidation::kStrict;
    const auto strict = c.rest->patch(c.context, target, test.type, test.body);
    CHECK(strict.status().code() == (test.warnings.empty() ? 200 : 422));
  }
}

TEST_CASE("binding puts a pod on a node, once") {
  Cluster c;
  c.create("pods", pod_json("p"));
  const std::string binding =
      R"({"kind":"Binding","apiVersion":"v1","metadata":{"name":"p","annotations":{"a":"1"}},"target":{"kind":"Node","name":"n1"}})";
  const auto bound = c.rest->create(c.context, Cluster::target("pods", "p", "binding"), binding);
  INFO(bound.status().to_string());
  REQUIRE(bound.ok());
  CHECK(bound->code == 201);
  CHECK(at(parse(bound->bytes()), {"status"}) == "Success");
  const auto pod = c.get("pods", "p");
  CHECK(at(pod, {"spec", "nodeName"}) == "n1");
  CHECK(at(pod, {"metadata", "annotations", "a"}) == "1");
  CHECK(at(*json::find(pod, {"status", "conditions"})->Begin(), {"type"}) == "PodScheduled");
  CHECK(c.store->list_index(c.store->resource("pods"), kIndexPodNode, "n1").size() == 1);

  const auto again = c.rest->create(c.context, Cluster::target("pods", "p", "binding"), binding);
  REQUIRE_FALSE(again.ok());
  CHECK(again.status().code() == 409);
  CHECK(again.status().message() ==
        R"(Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1")");
  const auto other = c.rest->create(c.context, Cluster::target("pods", "q", "binding"), binding);
  REQUIRE_FALSE(other.ok());
  CHECK(other.status().message() == "name in URL does not match name in Binding object");
}

TEST_CASE("many writers of one object: patches all arrive") {
  Cluster c;
  c.create("configmaps", config_map_json("a", "{}"));
  const Target target = Cluster::target("configmaps", "a");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&c, &target, t] {
      for (int i = 0; i < 25; ++i) {
        RequestContext context;
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        (void)c.rest->patch(context, target, "application/merge-patch+json", R"({"data":{")" + key + R"(":"1"}})");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(json::find(c.get("configmaps", "a"), "data")->MemberCount() == 100);
}

TEST_CASE("a node's heartbeat need not wait for the disk, what it has to say does") {
  Cluster c;
  c.create("nodes", R"({"metadata":{"name":"n"}})");
  const auto report = [&](const std::string& status, const std::string& time) {
    const auto patched =
        c.rest->patch(c.context, Cluster::target("nodes", "n", "status"), "application/strategic-merge-patch+json",
                      R"({"status":{"conditions":[{"type":"Ready","status":")" + status + R"(","lastHeartbeatTime":")" +
                          time + "\"}]}}");
    INFO(patched.status().to_string());
    REQUIRE(patched.ok());
    return c.store->stats().lazy_pending;
  };
  CHECK(report("True", "2026-01-01T00:00:00Z") == 0);
  CHECK(report("True", "2026-01-01T00:05:00Z") == 1);
  CHECK(report("False", "2026-01-01T00:05:00Z") == 0);
}
