#include <catch2/catch.hpp>

#include "knarr/auth/authz.h"
#include "knarr/store/journal.h"

using namespace knarr;
using namespace knarr::auth;

namespace {

constexpr uint32_t kByNode = 1;

struct Nodes {
  std::unique_ptr<store::Store> store = std::move(*store::Store::open(store::make_memory_journal(), {}));
  std::shared_ptr<Authorizer> authorizer = make_node_authorizer({.store = store.get(), .pods_by_node = kByNode});

  void put(const std::string& resource, const std::string& key, const std::string& text, const std::string& node = "") {
    store::Write write;
    write.resource = store->resource(resource);
    write.key = key;
    write.value = R"({"rv":"",)" + text.substr(1);  // the store writes the revision there
    write.rev_pos = 7;
    if (!node.empty()) write.extract.index = {{kByNode, node}};
    REQUIRE(store->commit({&write, 1}).ok());
  }
  Authorization ask(const std::string& node, std::string_view verb, std::string_view resource, std::string_view name,
                    std::string_view ns = "n", std::string_view group = "") const {
    UserInfo user;
    user.name = "system:node:" + node;
    user.groups = {"system:nodes"};
    Attributes a;
    a.user = &user;
    a.verb = verb;
    a.resource_request = true;
    a.group = group;
    const size_t slash = resource.find('/');
    a.resource = resource.substr(0, slash);
    if (slash != resource.npos) a.subresource = resource.substr(slash + 1);
    a.ns = ns;
    a.name = name;
    return authorizer->authorize(a);
  }
  bool may(const std::string& node, std::string_view verb, std::string_view resource, std::string_view name,
           std::string_view ns = "n", std::string_view group = "") const {
    return ask(node, verb, resource, name, ns, group).decision == Decision::kAllow;
  }
};

constexpr const char* kPod = R"({"metadata":{"name":"p"},"spec":{"serviceAccountName":"robot",
  "imagePullSecrets":[{"name":"pull"}],
  "containers":[{"env":[{"valueFrom":{"secretKeyRef":{"name":"env"}}},{"valueFrom":{"configMapKeyRef":{"name":"map-env"}}}],
                 "envFrom":[{"secretRef":{"name":"all"}},{"configMapRef":{"name":"map-all"}}]}],
  "initContainers":[{"envFrom":[{"secretRef":{"name":"init"}}]}],
  "volumes":[{"name":"a","secret":{"secretName":"vol"}},{"name":"b","configMap":{"name":"map-vol"}},
             {"name":"c","persistentVolumeClaim":{"claimName":"claim"}},{"name":"d","ephemeral":{}},
             {"name":"e","projected":{"sources":[{"secret":{"name":"proj"}},{"configMap":{"name":"map-proj"}}]}}]}})";

}  // namespace

TEST_CASE("A node reads what its pods refer to, and nothing else", "[node]") {
  Nodes nodes;
  nodes.put("pods", "n/p", kPod, "m");
  nodes.put("persistentvolumes", "v", R"({"spec":{"claimRef":{"namespace":"n","name":"claim"}}})");
  for (const char* name : {"pull", "env", "all", "init", "vol", "proj"}) {
    INFO(name);
    CHECK(nodes.may("m", "get", "secrets", name));
    CHECK(nodes.may("m", "watch", "secrets", name));
    CHECK_FALSE(nodes.may("other", "get", "secrets", name));
    CHECK_FALSE(nodes.may("m", "get", "secrets", name, "elsewhere"));
    CHECK_FALSE(nodes.may("m", "update", "secrets", name));
  }
  for (const char* name : {"map-env", "map-all", "map-vol", "map-proj"})
    CHECK(nodes.may("m", "get", "configmaps", name));
  for (const char* name : {"claim", "p-d"}) CHECK(nodes.may("m", "get", "persistentvolumeclaims", name));
  CHECK(nodes.may("m", "patch", "persistentvolumeclaims/status", "claim"));
  CHECK(nodes.may("m", "get", "persistentvolumes", "v", ""));
  CHECK_FALSE(nodes.may("other", "get", "persistentvolumes", "v", ""));
  CHECK(nodes.may("m", "get", "pods", "p"));
  CHECK(nodes.may("m", "create", "serviceaccounts/token", "robot"));
  CHECK_FALSE(nodes.may("m", "create", "serviceaccounts/token", "default"));
  CHECK_FALSE(nodes.may("other", "create", "serviceaccounts/token", "robot"));
  CHECK(nodes.ask("other", "get", "secrets", "vol").reason ==
        "no relationship found between node 'other' and this object");
  CHECK(nodes.may("m", "update", "leases", "m", "kube-node-lease", "coordination.k8s.io"));
  CHECK_FALSE(nodes.may("m", "update", "leases", "other", "kube-node-lease", "coordination.k8s.io"));
}

TEST_CASE("What ephemeral containers add counts at once", "[node]") {
  Nodes nodes;
  nodes.put("pods", "n/p", kPod, "m");
  CHECK_FALSE(nodes.may("m", "get", "secrets", "late"));
  nodes.put("pods", "n/p",
            R"({"metadata":{"name":"p"},"spec":{"ephemeralContainers":[{"envFrom":[{"secretRef":{"name":"late"}}]}]}})",
            "m");
  CHECK(nodes.may("m", "get", "secrets", "late"));
}

TEST_CASE("Mirror pods give nothing", "[node]") {
  Nodes nodes;
  nodes.put(
      "pods", "n/p",
      R"({"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"volumes":[{"secret":{"secretName":"s"}}]}})",
      "m");
  CHECK_FALSE(nodes.may("m", "get", "secrets", "s"));
}

TEST_CASE("Only nodes are nodes", "[node]") {
  UserInfo user;
  user.name = "system:node:m";
  CHECK_FALSE(node_name_of(user));
  user.groups = {"system:nodes"};
  CHECK(node_name_of(user) == "m");
  user.name = "bob";
  CHECK_FALSE(node_name_of(user));
}
