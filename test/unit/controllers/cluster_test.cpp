// The controllers and the scheduler against the real REST verbs over a store in memory: no HTTP, no disk, no node.
#include "cluster.h"

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
