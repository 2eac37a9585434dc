#include <catch2/catch.hpp>

#include "knarr/codec/yaml.h"
#include "scheduler/plugins.h"

using namespace knarr;
using namespace knarr::scheduler;

namespace {

template <typename T>
std::shared_ptr<const T> from_yaml(const std::string& text) {
  auto document = yaml::parse(text);
  REQUIRE(document.ok());
  auto object = std::make_shared<T>();
  api::decode(*document, *object);
  return object;
}

NodePtr node(const std::string& name, const std::string& more = "", const std::string& labels = "{}") {
  return from_yaml<Node>(
      "metadata: {name: " + name + ", labels: " + labels + "}\n" +
      "status: {allocatable: {cpu: '2', memory: 4Gi, pods: '3'}, conditions: [{type: Ready, status: 'True'}]}\n" +
      more);
}

PodPtr pod(const std::string& name, const std::string& spec) {
  return from_yaml<Pod>("metadata: {name: " + name + ", namespace: default}\nspec:\n  " + spec);
}

std::string asking(const std::string& cpu, const std::string& memory) {
  return "containers: [{name: c, resources: {requests: {cpu: '" + cpu + "', memory: " + memory + "}}}]";
}

Snapshot snapshot_of(std::vector<NodePtr> nodes, std::vector<PodPtr> pods = {}) {
  Snapshot snapshot;
  for (auto& n : nodes) snapshot.set_node(n);
  for (auto& p : pods) snapshot.set_pod(p);
  return snapshot;
}

}  // namespace

TEST_CASE("a pod goes where it fits, and the emptier node is better") {
  auto busy = pod("busy", asking("1", "1Gi") + "\n  nodeName: a");
  CHECK(decide(*pod("p", asking("500m", "1Gi")), snapshot_of({node("a"), node("b")}, {busy})).node == "b");
  CHECK(decide(*pod("p", asking("1500m", "1Gi")), snapshot_of({node("a"), node("b")}, {busy})).node == "b");
  CHECK(decide(*pod("p", "containers: [{name: c}]"), snapshot_of({node("b"), node("a")})).node ==
        "a");  // equal: by name
}

TEST_CASE("why a pod fits nowhere is said as upstream says it") {
  struct Case {
    std::string spec, node_more, message;
  };
  const Case cases[] = {
      {asking("3", "1Gi"), "", "0/1 nodes are available: 1 Insufficient cpu."},
      {asking("3", "5Gi"), "", "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."},
      {asking("1", "1Gi"), "spec: {unschedulable: true}", "0/1 nodes are available: 1 node(s) were unschedulable."},
      {asking("1", "1Gi"), "spec: {taints: [{key: k, value: v, effect: NoSchedule}]}",
       "0/1 nodes are available: 1 node(s) had untolerated taint(s)."},
      {"nodeSelector: {disk: ssd}\n  " + asking("1", "1Gi"), "",
       "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
  };
  for (const auto& c : cases) {
    auto decision = decide(*pod("p", c.spec), snapshot_of({node("a", c.node_more)}));
    CHECK(decision.node.empty());
    CHECK(decision.message == c.message);
  }
  CHECK(decide(*pod("p", asking("1", "1Gi")), snapshot_of({})).message == "no nodes available to schedule pods");
}

TEST_CASE("a node that is not ready takes no pods") {
  auto sick = from_yaml<Node>(
      "metadata: {name: a}\nstatus: {allocatable: {cpu: '2', memory: 4Gi, pods: '3'}, conditions: [{type: Ready, "
      "status: Unknown}]}");
  CHECK(decide(*pod("p", asking("1", "1Gi")), snapshot_of({sick})).node.empty());
}

TEST_CASE("tolerations open tainted nodes") {
  auto tainted = node("a", "spec: {taints: [{key: gpu, value: big, effect: NoSchedule}]}");
  struct Case {
    std::string toleration;
    bool fits;
  };
  const Case cases[] = {
      {"{key: gpu, operator: Equal, value: big, effect: NoSchedule}", true},
      {"{key: gpu, operator: Exists}", true},
      {"{operator: Exists}", true},
      {"{key: gpu, value: small}", false},
      {"{key: other, operator: Exists}", false},
      {"{key: gpu, operator: Exists, effect: NoExecute}", false},
  };
  for (const auto& c : cases) {
    auto decision =
        decide(*pod("p", "tolerations: [" + c.toleration + "]\n  " + asking("1", "1Gi")), snapshot_of({tainted}));
    CHECK(decision.node == (c.fits ? "a" : ""));
  }
}

TEST_CASE("node affinity requires and prefers") {
  auto plain = node("a", "", "{zone: x}"), other = node("b", "", "{zone: y, rank: '7'}");
  auto require = [](const std::string& expression) {
    return "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
           "[{matchExpressions: [" +
           expression + "]}]}}}\n  " + asking("1", "1Gi");
  };
  CHECK(decide(*pod("p", require("{key: zone, operator: In, values: [y]}")), snapshot_of({plain, other})).node == "b");
  CHECK(decide(*pod("p", require("{key: zone, operator: NotIn, values: [y]}")), snapshot_of({plain, other})).node ==
        "a");
  CHECK(decide(*pod("p", require("{key: rank, operator: Gt, values: ['5']}")), snapshot_of({plain, other})).node ==
        "b");
  CHECK(decide(*pod("p", require("{key: rank, operator: DoesNotExist}")), snapshot_of({plain, other})).node == "a");
  CHECK(decide(*pod("p", require("{key: zone, operator: In, values: [z]}")), snapshot_of({plain, other})).node.empty());
  std::string prefer =
      "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 10, preference: "
      "{matchExpressions: [{key: zone, "
      "operator: In, values: [y]}]}}]}}\n  " +
      asking("1", "1Gi");
  CHECK(decide(*pod("p", prefer), snapshot_of({plain, other})).node == "b");
}

TEST_CASE("host ports and the number of pods are limits too") {
  auto holder = pod("h", "nodeName: a\n  containers: [{name: c, ports: [{containerPort: 80, hostPort: 80}]}]");
  CHECK(decide(*pod("p", "containers: [{name: c, ports: [{containerPort: 1, hostPort: 80}]}]"),
               snapshot_of({node("a")}, {holder}))
            .node.empty());
  CHECK(decide(*pod("p", "containers: [{name: c, ports: [{containerPort: 1, hostPort: 81}]}]"),
               snapshot_of({node("a")}, {holder}))
            .node == "a");
  std::vector<PodPtr> three;
  for (const char* name : {"p1", "p2", "p3"}) three.push_back(pod(name, "nodeName: a\n  containers: [{name: c}]"));
  CHECK(decide(*pod("p", "containers: [{name: c}]"), snapshot_of({node("a")}, three)).message ==
        "0/1 nodes are available: 1 Too many pods.");
}

TEST_CASE("init containers count at their peak, sidecars all the time") {
  auto amounts = requests_of(*pod(
      "p",
      "initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 100m}}}, {name: i, resources: "
      "{requests: {cpu: 900m}}}]\n  containers: [{name: c, resources: {requests: {cpu: 500m}}}]"));
  CHECK(amounts["cpu"] == 1000);  // the init container beside the sidecar, more than sidecar and container
}

TEST_CASE("the snapshot follows pods that move, end and go") {
  Snapshot snapshot = snapshot_of({node("a")});
  snapshot.set_pod(pod("p", asking("1", "1Gi") + "\n  nodeName: a"));
  CHECK(snapshot.nodes().at("a").left("cpu") == 1000);
  auto done =
      from_yaml<Pod>("metadata: {name: p, namespace: default}\nspec: {nodeName: a}\nstatus: {phase: Succeeded}");
  snapshot.set_pod(done);
  CHECK(snapshot.nodes().at("a").left("cpu") == 2000);
  CHECK_FALSE(snapshot.holds("default/p"));

  snapshot.set_pod(pod("q", asking("1", "1Gi") + "\n  nodeName: a"));
  snapshot.remove_node("a");  // its pod is still known
  snapshot.set_node(node("a"));
  CHECK(snapshot.nodes().at("a").left("cpu") == 1000);
  snapshot.remove_pod("default/q");
  CHECK(snapshot.nodes().at("a").left("cpu") == 2000);
}
