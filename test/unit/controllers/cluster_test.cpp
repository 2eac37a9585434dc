// The controllers and the scheduler against the real REST verbs over a store in memory: no HTTP, no disk, no node.
#include <catch2/catch.hpp>
#include <thread>

#include "knarr/admission/chain.h"
#include "knarr/apiserver/extract.h"
#include "knarr/apiserver/rest.h"
#include "knarr/client/inprocess.h"
#include "knarr/client/typed.h"
#include "knarr/codec/json.h"
#include "knarr/controllers/controllers.h"
#include "knarr/schema/api.h"
#include "knarr/store/journal.h"

using namespace knarr;
namespace v1 = api::core::v1;

namespace {

class Cluster {
 public:
  Cluster() {
    store::Store::Options options;
    options.extract = apiserver::extract_object;
    auto opened = store::Store::open(store::make_memory_journal(), std::move(options));
    REQUIRE(opened.ok());
    store_ = std::move(*opened);
    rest_ = std::make_unique<apiserver::Rest>(apiserver::RestOptions{
        .store = store_.get(), .admission = admission::default_chain(*store_)});
    transport = client::make_inprocess_transport(*rest_, auth::internal_user("test"));
    REQUIRE(controllers::bootstrap(*transport).ok());
    REQUIRE(controllers::bootstrap(*transport).ok());  // again: what is there stays
    controllers_ = controllers::start({.transport = transport, .ca_pem = "the CA", .cluster_cidr = "10.42.0.0/16"});
  }

  template <typename T>
  bool exists(const std::string& ns, const std::string& name) {
    return client::Typed<T>(transport).get(ns, name).ok();
  }

  Status create(const std::string& plural, const std::string& ns, const std::string& body) {
    auto document = json::parse(body);
    REQUIRE(document.ok());
    return transport->create({"", "v1", plural, ""}, ns, json::get_string(*document, {"metadata", "name"}), body)
        .status();
  }

  // Each lives on the ones before it.
 private:
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<apiserver::Rest> rest_;

 public:
  std::shared_ptr<client::Transport> transport;

 private:
  std::unique_ptr<controllers::Controllers> controllers_;
};

// The controllers work on threads of their own: wait for what they should bring about, for at most ten seconds.
bool comes_true(const std::function<bool()>& condition) {
  auto deadline = Clock::system().mono() + seconds(10);
  while (!condition()) {
    if (Clock::system().mono() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

}  // namespace

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
