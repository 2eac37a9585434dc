// Quotas, disruption budgets and what holds storage back.
#include "cluster.h"

using namespace knarr;
using namespace knarr::controllers::test;

namespace {

constexpr client::ResourceRef kQuotas{"", "v1", "resourcequotas", ""}, kPods{"", "v1", "pods", ""},
    kClaims{"", "v1", "persistentvolumeclaims", ""},
    kBudgets{"policy", "v1", "poddisruptionbudgets", ""};

struct Api {
  Cluster cluster;

  Api() { cluster.wait_for_account(); }

  Status post(const client::ResourceRef& resource, const std::string& body) {
    return cluster.transport->create(resource, "default", "", body).status();
  }
  std::string read(const client::ResourceRef& resource, const std::string& name,
                   std::initializer_list<std::string_view> path) {
    auto text = cluster.transport->get(resource, "default", name);
    if (!text.ok()) return "<gone>";
    auto document = json::parse(*text);
    const json::Value* found = json::find(*document, path);
    return !found ? "<none>" : found->IsString() ? std::string(json::view(*found)) : json::dump(*found);
  }
  void pod(const std::string& name, const std::string& container = "") {
    const Status made = post(kPods, fmt::format(R"({{"metadata":{{"name":"{}","labels":{{"app":"web"}}}},"spec":)"
                                                R"({{"containers":[{{"name":"c","image":"i"{}}}]}}}})",
                                                name, container));
    INFO(made.to_string());
    REQUIRE(made.ok());
  }
  void run(const std::string& name) {
    REQUIRE(cluster.transport
                ->patch({"", "v1", "pods", "status"}, "default", name, client::kMergePatch,
                        R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})")
                .ok());
  }
  Status evict(const std::string& name) {
    return cluster.transport
        ->create({"", "v1", "pods", "eviction"}, "default", name,
                 fmt::format(R"({{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{}"}}}})", name))
        .status();
  }
};

}  // namespace

TEST_CASE("a quota is counted, charged, exceeded and given back") {
  Api api;
  REQUIRE(api.post(kQuotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"pods":"1","requests.cpu":"500m",
      "count/secrets":"1","services.nodeports":"0","count/deployments.apps":"2"}}})")
              .ok());
  CHECK(comes_true([&] {
    return api.read(kQuotas, "q", {"status", "used"}) ==
           R"({"count/deployments.apps":"0","count/secrets":"0","pods":"0","requests.cpu":"0","services.nodeports":"0"})";
  }));
  const std::string pod = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})";
  CHECK(api.post(kPods, pod).message() ==
        R"(pods "p" is forbidden: failed quota: q: must specify requests.cpu for: c)");
  api.pod("first", R"(,"resources":{"requests":{"cpu":"300m"}})");
  CHECK(api.read(kQuotas, "q", {"status", "used", "requests.cpu"}) == "300m");
  CHECK(
      api.post(
             kPods,
             R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"300m"}}}]}})")
          .message() ==
      "pods \"p\" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=300m, used: "
      "pods=1,requests.cpu=300m, limited: pods=1,requests.cpu=500m");
  REQUIRE(api.cluster.transport->remove(kPods, "default", "first", {.grace_period_seconds = 0}).ok());
  CHECK(comes_true([&] { return api.read(kQuotas, "q", {"status", "used", "pods"}) == "0"; }));
  api.pod("second", R"(,"resources":{"requests":{"cpu":"500m"}})");
  REQUIRE(api.post({"", "v1", "secrets", ""}, R"({"metadata":{"name":"s"}})").ok());
  CHECK(api.post({"", "v1", "secrets", ""}, R"({"metadata":{"name":"t"}})").message() ==
        "secrets \"t\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, limited: "
        "count/secrets=1");
}

TEST_CASE("quotas count what is in their scopes") {
  Api api;
  REQUIRE(api.post(kQuotas, R"({"metadata":{"name":"be"},"spec":{"hard":{"pods":"5"},"scopes":["BestEffort"]}})").ok());
  REQUIRE(
      api.post(kQuotas, R"({"metadata":{"name":"nbe"},"spec":{"hard":{"pods":"5"},"scopes":["NotBestEffort"]}})").ok());
  CHECK(comes_true([&] {
    return api.read(kQuotas, "be", {"status", "used", "pods"}) == "0" &&
           api.read(kQuotas, "nbe", {"status", "used", "pods"}) == "0";
  }));
  api.pod("a");
  CHECK(api.read(kQuotas, "be", {"status", "used", "pods"}) == "1");
  CHECK(api.read(kQuotas, "nbe", {"status", "used", "pods"}) == "0");
}

TEST_CASE("a budget says how many pods it can spare, and evictions keep to it") {
  Api api;
  for (const char* name : {"a", "b"}) {
    api.pod(name);
    api.run(name);
  }
  REQUIRE(api.post(kBudgets,
                   R"({"metadata":{"name":"web"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}})")
              .ok());
  CHECK(comes_true([&] { return api.read(kBudgets, "web", {"status", "disruptionsAllowed"}) == "1"; }));
  CHECK(api.read(kBudgets, "web", {"status", "currentHealthy"}) == "2");
  CHECK(api.read(kBudgets, "web", {"status", "expectedPods"}) == "2");
  CHECK(api.evict("a").ok());
  CHECK(api.read(kPods, "a", {"metadata"}) == "<gone>");  // it was on no node
  const Status refused = api.evict("b");
  CHECK(refused.code() == 429);
  CHECK(refused.message() == "Cannot evict pod as it would violate the pod's disruption budget.");
  CHECK(comes_true([&] { return api.read(kBudgets, "web", {"status", "expectedPods"}) == "1"; }));
  const Status again = api.evict("b");
  REQUIRE(again.causes().size() == 1);
  CHECK(again.causes()[0] ==
        Cause{"DisruptionBudget", "The disruption budget web needs 1 healthy pods and has 1 currently", ""});
  REQUIRE(api.cluster.transport->remove(kBudgets, "default", "web", {}).ok());
  CHECK(api.evict("b").ok());
}

TEST_CASE("a claim stays while a pod on a node uses it") {
  Api api;
  REQUIRE(
      api.post(
             kClaims,
             R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})")
          .ok());
  REQUIRE(api.post(kPods, R"({"metadata":{"name":"p"},"spec":{"nodeName":"n","containers":[{"name":"c","image":"i"}],
      "volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}]}})")
              .ok());
  REQUIRE(api.cluster.transport->remove(kClaims, "default", "c", {}).ok());
  CHECK(api.read(kClaims, "c", {"metadata", "finalizers"}) == R"(["kubernetes.io/pvc-protection"])");
  REQUIRE(api.cluster.transport->remove(kPods, "default", "p", {.grace_period_seconds = 0}).ok());
  CHECK(comes_true([&] { return api.read(kClaims, "c", {"metadata"}) == "<gone>"; }));
}
