// The controllers and the scheduler against the real REST verbs over a store in memory: no HTTP, no disk, no node.
#include <fmt/format.h>

#include "cluster.h"
#include "knarr/codec/time.h"

using namespace knarr;
using namespace knarr::controllers::test;
namespace v1 = api::core::v1;

TEST_CASE("every namespace gets its account and the cluster's CA, again when they are taken away") {
  Cluster cluster;
  for (const char* ns : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    CHECK(comes_true([&] { return cluster.exists<v1::ServiceAccount>(ns, "default"); }));
    CHECK(comes_true([&] { return cluster.exists<v1::ConfigMap>(ns, "kube-root-ca.crt"); }));
  }
  client::Typed<v1::ConfigMap> maps(cluster.transport);
  auto map = maps.get("default", "kube-root-ca.crt");
  REQUIRE(map.ok());
  CHECK(map->data.at("ca.crt") == "the CA");
  map->data["ca.crt"] = "forged";
  REQUIRE(maps.update(*map).ok());
  CHECK(comes_true([&] { return maps.get("default", "kube-root-ca.crt")->data.at("ca.crt") == "the CA"; }));
  REQUIRE(cluster.transport->remove({"", "v1", "serviceaccounts", ""}, "default", "default", {}).ok());
  CHECK(comes_true([&] { return cluster.exists<v1::ServiceAccount>("default", "default"); }));
}

TEST_CASE("another certificate authority is published everywhere, and our own agents are told of it") {
  Cluster cluster;
  client::Typed<v1::ConfigMap> maps(cluster.transport);
  client::Typed<v1::Node> nodes(cluster.transport);
  const auto authority_of = [&](const std::string& ns) {
    const auto map = maps.get(ns, "kube-root-ca.crt");
    return map.ok() ? map->data.at("ca.crt") : "";
  };
  CHECK(comes_true([&] { return authority_of("default") == "the CA"; }));
  const std::string held(auth::kAuthorityHeld), wanted(auth::kAuthorityWanted), old_id = auth::authority_id("the CA");
  const auto node = [&](const std::string& name, const std::string& annotations) {
    return R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")" + name + R"(","annotations":{)" + annotations + "}}}";
  };
  REQUIRE(cluster.create("nodes", "", node("ours", fmt::format(R"("{}":"{}")", held, old_id))).ok());
  REQUIRE(cluster.create("nodes", "", node("late", fmt::format(R"("{}":"older")", held))).ok());
  REQUIRE(cluster.create("nodes", "", node("theirs", "")).ok());
  const auto told = [&](const std::string& name) {
    const auto annotations = nodes.get("", name)->metadata.annotations;
    const auto it = annotations.find(wanted);
    return it == annotations.end() ? "" : it->second;
  };
  CHECK(comes_true([&] { return told("late") == old_id; }));
  CHECK(told("ours").empty());

  cluster.change_authority("both CAs");
  const std::string new_id = auth::authority_id("both CAs");
  CHECK(comes_true([&] { return authority_of("default") == "both CAs" && authority_of("kube-public") == "both CAs"; }));
  CHECK(comes_true([&] { return told("ours") == new_id && told("late") == new_id; }));
  CHECK(told("theirs").empty());
}

TEST_CASE("bootstrap tokens go when they expire, others stay") {
  Cluster cluster;
  const auto secret = [&](const std::string& name, const std::string& type, const std::string& expiration) {
    return cluster.create("secrets", "kube-system",
                          R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":")" + name + R"("},"type":")" + type +
                              R"(","stringData":{"token-id":"abcdef","token-secret":"0123456789abcdef","expiration":")" +
                              expiration + R"("}})");
  };
  const std::string type = "bootstrap.kubernetes.io/token";
  const auto soon = format_time(Clock::system().wall() + seconds(2));
  REQUIRE(secret("bootstrap-token-over00", type, "2020-01-01T00:00:00Z").ok());
  REQUIRE(secret("bootstrap-token-broken", type, "tomorrow").ok());
  REQUIRE(secret("bootstrap-token-soon00", type, soon).ok());
  REQUIRE(secret("bootstrap-token-later0", type, "9999-01-01T00:00:00Z").ok());
  REQUIRE(secret("opaque", "Opaque", "2020-01-01T00:00:00Z").ok());
  const auto exists = [&](const char* name) { return cluster.exists<v1::Secret>("kube-system", name); };
  for (const char* name : {"bootstrap-token-over00", "bootstrap-token-broken", "bootstrap-token-soon00"})
    CHECK(comes_true([&] { return !exists(name); }));
  CHECK(exists("bootstrap-token-later0"));
  CHECK(exists("opaque"));
}

TEST_CASE("a deleted namespace is emptied and goes; nothing new comes in meanwhile") {
  Cluster cluster;
  REQUIRE(
      cluster.create("namespaces", "", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"short"}})").ok());
  CHECK(comes_true([&] { return cluster.exists<v1::ServiceAccount>("short", "default"); }));
  REQUIRE(
      cluster
          .create(
              "configmaps", "short",
              R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","finalizers":["example.com/wait"]}})")
          .ok());
  REQUIRE(cluster.create("secrets", "short", R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}})").ok());
  REQUIRE(cluster.transport->remove({"", "v1", "namespaces", ""}, "", "short", {}).ok());

  CHECK(comes_true([&] { return !cluster.exists<v1::Secret>("short", "s"); }));
  client::Typed<v1::Namespace> namespaces(cluster.transport);
  auto condition = [&](const std::string& type) -> std::string {
    auto ns = namespaces.get("", "short");
    if (!ns.ok()) return "";
    for (const auto& c : ns->status.conditions) {
      if (c.type == type) return c.message;
    }
    return "";
  };
  CHECK(comes_true([&] {
    return condition("NamespaceContentRemaining") ==
           "Some resources are remaining: configmaps. has 1 resource instances";
  }));
  CHECK(condition("NamespaceFinalizersRemaining") ==
        "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances");
  CHECK(namespaces.get("", "short")->status.phase == "Terminating");
  CHECK(cluster.create("configmaps", "short", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"late"}})")
            .is(reason::kForbidden));

  REQUIRE(cluster.transport
              ->patch({"", "v1", "configmaps", ""}, "short", "held", client::kMergePatch,
                      R"({"metadata":{"finalizers":null}})")
              .ok());
  CHECK(comes_true([&] { return !cluster.exists<v1::Namespace>("", "short"); }));
}

TEST_CASE("nodes get addresses for their pods") {
  Cluster cluster;
  for (const char* name : {"a", "b"}) {
    REQUIRE(
        cluster
            .create("nodes", "", fmt::format(R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{}"}}}})", name))
            .ok());
  }
  client::Typed<v1::Node> nodes(cluster.transport);
  CHECK(comes_true(
      [&] { return !nodes.get("", "a")->spec.podCIDR.empty() && !nodes.get("", "b")->spec.podCIDR.empty(); }));
  CHECK(nodes.get("", "a")->spec.podCIDR != nodes.get("", "b")->spec.podCIDR);
  CHECK(nodes.get("", "a")->spec.podCIDRs == std::vector<std::string>{nodes.get("", "a")->spec.podCIDR});
}
