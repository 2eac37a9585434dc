#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

namespace {

DeleteParams grace(int64_t seconds) {
  DeleteParams params;
  params.grace_period_seconds = seconds;
  return params;
}

}  // namespace

TEST_CASE("deletion answers a Status, or the object, by kind") {
  Cluster c;
  const auto made = c.create("configmaps", config_map_json("a"));
  const auto removed = c.rest->remove(c.context, Cluster::target("configmaps", "a"), {});
  REQUIRE(removed.ok());
  const auto status = parse(removed->bytes());
  CHECK(at(status, {"kind"}) == "Status");
  CHECK(at(status, {"status"}) == "Success");
  CHECK(at(status, {"details", "name"}) == "a");
  CHECK(at(status, {"details", "kind"}) == "configmaps");
  CHECK(at(status, {"details", "uid"}) == at(made, {"metadata", "uid"}));
  CHECK_FALSE(c.exists("configmaps", "a"));
  c.create("pods", pod_json("p"));
  CHECK(at(parse(c.rest->remove(c.context, Cluster::target("pods", "p"), {})->bytes()), {"kind"}) == "Pod");
  CHECK_FALSE(c.exists("pods", "p"));
}

TEST_CASE("a pod on a node waits for it") {
  Cluster c;
  c.create("pods", pod_json("p", "{}", R"(,"nodeName":"n1","terminationGracePeriodSeconds":10)"));
  const auto first = c.rest->remove(c.context, Cluster::target("pods", "p"), {});
  REQUIRE(first.ok());
  CHECK(first->code == 200);
  auto pod = c.get("pods", "p");
  CHECK(at(pod, {"metadata", "deletionTimestamp"}) == "2026-09-21T14:13:30Z");
  CHECK(at(pod, {"metadata", "deletionGracePeriodSeconds"}) == "10");
  CHECK(at(pod, {"metadata", "generation"}) == "2");
  const auto revision = c.store->revision();
  REQUIRE(c.rest->remove(c.context, Cluster::target("pods", "p"), grace(60)).ok());  // it cannot become longer
  CHECK(c.store->revision() == revision);
  REQUIRE(c.rest->remove(c.context, Cluster::target("pods", "p"), grace(4)).ok());
  CHECK(at(c.get("pods", "p"), {"metadata", "deletionTimestamp"}) == "2026-09-21T14:13:24Z");
  REQUIRE(c.rest->remove(c.context, Cluster::target("pods", "p"), grace(0)).ok());
  CHECK_FALSE(c.exists("pods", "p"));
}

TEST_CASE("a pod that no node runs goes at once") {
  Cluster c;
  SECTION("unscheduled") { c.create("pods", pod_json("p")); }
  SECTION("finished") {
    c.create("pods", pod_json("p", "{}", R"(,"nodeName":"n1")"));
    REQUIRE(c.rest
                ->patch(c.context, Cluster::target("pods", "p", "status"), "application/merge-patch+json",
                        R"({"status":{"phase":"Succeeded"}})")
                .ok());
  }
  REQUIRE(c.rest->remove(c.context, Cluster::target("pods", "p"), {}).ok());
  CHECK_FALSE(c.exists("pods", "p"));
}

TEST_CASE("finalizers hold an object until the last is gone") {
  Cluster c;
  c.create("configmaps", config_map_json("a", "{}", R"(,"finalizers":["x.io/one"])"));
  REQUIRE(c.rest->remove(c.context, Cluster::target("configmaps", "a"), {}).ok());
  CHECK(at(c.get("configmaps", "a"), {"metadata", "deletionTimestamp"}) == "2026-09-21T14:13:20Z");
  const auto again = c.rest->create(c.context, Cluster::target("configmaps"), config_map_json("a"));
  REQUIRE_FALSE(again.ok());
  CHECK(again.status().message() == R"(object is being deleted: configmaps "a" already exists)");
  const auto freed = c.rest->patch(c.context, Cluster::target("configmaps", "a"), "application/merge-patch+json",
                                   R"({"metadata":{"finalizers":null}})");
  INFO(freed.status().to_string());
  REQUIRE(freed.ok());
  CHECK_FALSE(c.exists("configmaps", "a"));
}

TEST_CASE("a pod with finalizers needs its node and them") {
  Cluster c;
  c.create(
      "pods",
      R"({"metadata":{"name":"p","finalizers":["x.io/one"]},"spec":{"nodeName":"n1","containers":[{"name":"a","image":"b"}]}})");
  REQUIRE(c.rest->remove(c.context, Cluster::target("pods", "p"), {}).ok());
  REQUIRE(c.rest->remove(c.context, Cluster::target("pods", "p"), grace(0)).ok());
  CHECK(at(c.get("pods", "p"), {"metadata", "deletionGracePeriodSeconds"}) == "0");
  REQUIRE(c.rest
              ->patch(c.context, Cluster::target("pods", "p"), "application/merge-patch+json",
                      R"({"metadata":{"finalizers":null}})")
              .ok());
  CHECK_FALSE(c.exists("pods", "p"));
}

TEST_CASE("propagation policies become the garbage collector's finalizers") {
  Cluster c;
  const auto finalizers = [&](const std::string& name, const std::string& policy) {
    c.create("configmaps", config_map_json(name));
    DeleteParams params;
    if (!policy.empty()) params.propagation_policy = policy;
    REQUIRE(c.rest->remove(c.context, Cluster::target("configmaps", name), params).ok());
    return c.exists("configmaps", name) ? at(c.get("configmaps", name), {"metadata", "finalizers"}) : "gone";
  };
  CHECK(finalizers("a", "Orphan") == R"(["orphan"])");
  CHECK(finalizers("b", "Foreground") == R"(["foregroundDeletion"])");
  CHECK(finalizers("c", "Background") == "gone");
  CHECK(finalizers("d", "") == "gone");
}

TEST_CASE("deletions that are refused") {
  Cluster c;
  c.create("configmaps", config_map_json("a"));
  DeleteParams params;
  SECTION("another uid") {
    params.uid = "other";
    const auto removed = c.rest->remove(c.context, Cluster::target("configmaps", "a"), params);
    REQUIRE_FALSE(removed.ok());
    CHECK(removed.status().reason() == "Conflict");
    CHECK(removed.status().message().find("the UID in the precondition (other) does not match the UID in record") !=
          std::string::npos);
  }
  SECTION("another revision") {
    params.resource_version = "1";
    CHECK(c.rest->remove(c.context, Cluster::target("configmaps", "a"), params).status().code() == 409);
  }
  SECTION("an unknown policy") {
    params.propagation_policy = "Sometimes";
    CHECK(c.rest->remove(c.context, Cluster::target("configmaps", "a"), params).status().code() == 422);
  }
  SECTION("nothing where something is asked for") {
    SECTION("a uid") { REQUIRE(params.merge_body(R"({"preconditions":{"uid":""}})").ok()); }
    SECTION("a revision") { REQUIRE(params.merge_body(R"({"preconditions":{"resourceVersion":""}})").ok()); }
    CHECK(c.rest->remove(c.context, Cluster::target("configmaps", "a"), params).status().code() == 409);
  }
  SECTION("an empty policy") {
    REQUIRE(params.merge_body(R"({"propagationPolicy":""})").ok());
    CHECK(c.rest->remove(c.context, Cluster::target("configmaps", "a"), params).status().code() == 422);
  }
  SECTION("a namespace of another revision") {
    params.resource_version = "1";
    CHECK(c.rest->remove(c.context, Cluster::target("namespaces", "default"), params).status().code() == 409);
  }
  SECTION("absent") {
    CHECK(c.rest->remove(c.context, Cluster::target("configmaps", "b"), params).status().message() ==
          R"(configmaps "b" not found)");
  }
  SECTION("an immortal namespace") {
    const auto removed = c.rest->remove(c.context, Cluster::target("namespaces", "default"), params);
    REQUIRE_FALSE(removed.ok());
    CHECK(removed.status().message() == R"(namespaces "default" is forbidden: this namespace may not be deleted)");
  }
  CHECK(c.exists("configmaps", "a"));
}

TEST_CASE("a namespace terminates, takes nothing new, and goes when it is finalized") {
  Cluster c;
  c.make_namespace("team");
  REQUIRE(c.rest->remove(c.context, Cluster::target("namespaces", "team"), {}).ok());
  auto ns = c.get("namespaces", "team");
  CHECK(at(ns, {"status", "phase"}) == "Terminating");
  const auto refused = c.rest->create(c.context, Cluster::target("configmaps", "", "", "team"), config_map_json("a"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == 403);
  CHECK(
      refused.status().message() ==
      R"(configmaps "a" is forbidden: unable to create new content in namespace team because it is being terminated)");
  REQUIRE(refused.status().causes().size() == 1);
  CHECK(refused.status().causes()[0].reason == "NamespaceTerminating");

  REQUIRE(c.rest
              ->update(c.context, Cluster::target("namespaces", "team"),
                       R"({"metadata":{"name":"team"},"spec":{"finalizers":[]}})")
              .ok());  // not by this way
  CHECK(c.exists("namespaces", "team"));
  const auto misnamed = c.rest->update(c.context, Cluster::target("namespaces", "team", "finalize"),
                                       R"({"metadata":{"name":"team"},"spec":{"finalizers":["x"]}})");
  REQUIRE_FALSE(misnamed.ok());
  CHECK(misnamed.status().message() ==
        R"(Namespace "team" is invalid: spec.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified)");
  const auto done = c.rest->update(c.context, Cluster::target("namespaces", "team", "finalize"),
                                   R"({"metadata":{"name":"team"},"spec":{"finalizers":[]}})");
  INFO(done.status().to_string());
  REQUIRE(done.ok());
  CHECK_FALSE(c.exists("namespaces", "team"));
}

TEST_CASE("a collection goes by selector") {
  Cluster c;
  c.create("configmaps", config_map_json("a", "{}", R"(,"labels":{"x":"1"})"));
  c.create("configmaps", config_map_json("b", "{}", R"(,"labels":{"x":"1"})"));
  c.create("configmaps", config_map_json("c"));
  ListParams selection;
  selection.label_selector = "x=1";
  const auto removed = c.rest->remove_collection(c.context, Cluster::target("configmaps"), selection, {});
  REQUIRE(removed.ok());
  CHECK(removed->objects.size() == 2);
  CHECK(c.names("configmaps", {}) == std::vector<std::string>{"default/c"});
}

TEST_CASE("DeleteOptions are read from a body") {
  DeleteParams params;
  REQUIRE(
      params
          .merge_body(R"({"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":3,"propagationPolicy":"Orphan",
      "preconditions":{"uid":"u","resourceVersion":"7"}})")
          .ok());
  CHECK(params.grace_period_seconds == 3);
  CHECK(params.propagation_policy == "Orphan");
  CHECK(params.uid == "u");
  CHECK(params.resource_version == "7");
  CHECK_FALSE(params.merge_body("[]").ok());
  CHECK(params.merge_body(R"({"gracePeriodSeconds":1.5})").message() ==
        "json: cannot unmarshal number 1.5 into Go struct field DeleteOptions.gracePeriodSeconds of type int64");
  CHECK_FALSE(params.merge_body(R"({"kind":"Pod"})").ok());
}

TEST_CASE("an eviction deletes its pod as it says") {
  Cluster c;
  c.create("pods", pod_json("p", "{}", R"(,"nodeName":"n1")"));
  const auto evict = [&](const std::string& body) {
    return c.send("POST", "/api/v1/namespaces/default/pods/p/eviction", body);
  };
  CHECK(evict(R"({"metadata":{"name":"q"}})").status == 400);
  const auto waiting = evict(R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p"}})");
  INFO(waiting.body);
  CHECK(waiting.status == 201);
  CHECK(at(parse(waiting.body), {"status"}) == "Success");
  CHECK(at(c.get("pods", "p"), {"metadata", "deletionGracePeriodSeconds"}) == "30");
  CHECK(evict(R"({"metadata":{"name":"p"},"deleteOptions":{"gracePeriodSeconds":0}})").status == 201);
  CHECK_FALSE(c.exists("pods", "p"));
  CHECK(evict("{}").status == 400);  // it names no pod
  CHECK(evict(R"({"metadata":{"name":"p"}})").status == 404);
}

TEST_CASE("events are kept for an hour after they last happened") {
  Cluster c;
  const auto event = [&](const std::string& name, const std::string& last) {
    c.create("events", R"({"metadata":{"name":")" + name +
                           R"("},"involvedObject":{"namespace":"default"},"lastTimestamp":")" + last +
                           R"(","reason":"r"})");
  };
  event("once", "2026-09-21T14:13:20Z");
  event("again", "2026-09-21T14:13:20Z");
  event("strange", "2099-01-01T00:00:00Z");
  c.clock.advance(std::chrono::minutes(59));
  CHECK(c.names("events", {}).size() == 3);
  REQUIRE(c.rest
              ->patch(c.context, Cluster::target("events", "again"), "application/merge-patch+json",
                      R"({"lastTimestamp":"2026-09-21T15:12:20Z","count":2})")
              .ok());
  c.clock.advance(std::chrono::minutes(2));
  CHECK(c.names("events", {}) == std::vector<std::string>{"default/again"});
  c.clock.advance(std::chrono::minutes(60));
  event("new", "2026-09-21T16:14:20Z");
  CHECK(c.names("events", {}) == std::vector<std::string>{"default/new"});
}
