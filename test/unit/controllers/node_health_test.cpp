#include "controllers/node_health.h"

#include <catch2/catch.hpp>

using namespace knarr;
using namespace knarr::controllers;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1000)};

Node node_with(const std::string& conditions, const std::string& spec = "{}", const std::string& labels = "{}") {
  auto node = api::decode_as<Node>(R"({"metadata":{"name":"n","labels":)" + labels + R"(},"spec":)" + spec +
                                   R"(,"status":{"conditions":)" + conditions + "}}");
  REQUIRE(node.ok());
  return *node;
}

std::string taints_of(const Node& node) {
  std::string text;
  for (const Taint& taint : node.spec.taints) text += (text.empty() ? "" : " ") + taint.key + ":" + taint.effect;
  return text;
}

}  // namespace

TEST_CASE("conditions and spec.unschedulable make NoSchedule taints; what others set stays") {
  struct Case {
    const char *conditions, *spec, *taints;
    bool changed;
  } cases[] = {
      {R"([{"type":"Ready","status":"True"}])", "{}", "", false},
      {R"([{"type":"Ready","status":"False"}])", "{}", "node.kubernetes.io/not-ready:NoSchedule", true},
      {R"([{"type":"Ready","status":"Unknown"},{"type":"MemoryPressure","status":"Unknown"}])", "{}",
       "node.kubernetes.io/unreachable:NoSchedule", true},
      {R"([{"type":"DiskPressure","status":"True"},{"type":"PIDPressure","status":"True"},{"type":"NetworkUnavailable","status":"True"}])",
       R"({"unschedulable":true})",
       "node.kubernetes.io/disk-pressure:NoSchedule node.kubernetes.io/pid-pressure:NoSchedule "
       "node.kubernetes.io/network-unavailable:NoSchedule node.kubernetes.io/unschedulable:NoSchedule",
       true},
      {R"([{"type":"Ready","status":"True"}])",
       R"({"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"},{"key":"mine","effect":"NoSchedule"},)"
       R"({"key":"node.kubernetes.io/not-ready","effect":"NoExecute"}]})",
       "mine:NoSchedule node.kubernetes.io/not-ready:NoExecute", true},
      {R"([{"type":"Ready","status":"False"}])",
       R"({"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}]})",
       "node.kubernetes.io/not-ready:NoSchedule", false},
  };
  for (const Case& c : cases) {
    INFO(c.conditions << " " << c.spec);
    Node node = node_with(c.conditions, c.spec);
    CHECK(set_schedule_taints(node, kNow) == c.changed);
    CHECK(taints_of(node) == c.taints);
  }
}

TEST_CASE("a node has at most one NoExecute taint of readiness") {
  Node node = node_with(R"([{"type":"Ready","status":"False"}])");
  CHECK(execute_taint_for(node) == kNotReadyTaint);
  CHECK(set_execute_taint(node, kNotReadyTaint, kNow));
  CHECK_FALSE(set_execute_taint(node, kNotReadyTaint, kNow));
  CHECK(node.spec.taints[0].timeAdded == kNow);
  CHECK(set_execute_taint(node, kUnreachableTaint, kNow));
  CHECK(taints_of(node) == "node.kubernetes.io/unreachable:NoExecute");
  CHECK(set_execute_taint(node, "", kNow));
  CHECK(taints_of(node).empty());
  CHECK(execute_taint_for(node_with(R"([{"type":"Ready","status":"Unknown"}])")) == kUnreachableTaint);
  CHECK(execute_taint_for(node_with(R"([{"type":"Ready","status":"True"}])")).empty());
  CHECK(execute_taint_for(node_with("[]")).empty());
}

TEST_CASE("a silent node's conditions become Unknown; one that never spoke gets them") {
  Node node = node_with(
      R"([{"type":"Ready","status":"True","reason":"KubeletReady","lastHeartbeatTime":"2026-01-01T00:00:00Z"},)"
      R"({"type":"MemoryPressure","status":"False"},{"type":"Mine","status":"True"}])");
  node.metadata.creationTimestamp = WallTime{std::chrono::seconds(500)};
  CHECK(mark_silent(node, kNow));
  REQUIRE(node.status.conditions.size() == 5);
  const NodeCondition* ready = ready_condition(node);
  CHECK(ready->status == "Unknown");
  CHECK(ready->reason == "NodeStatusUnknown");
  CHECK(ready->message == "Kubelet stopped posting node status.");
  CHECK(ready->lastTransitionTime == kNow);
  CHECK(ready->lastHeartbeatTime != kNow);
  CHECK(node.status.conditions[2].status == "True");  // not the agent's
  CHECK(node.status.conditions[3].type == "DiskPressure");
  CHECK(node.status.conditions[3].reason == "NodeStatusNeverUpdated");
  CHECK(node.status.conditions[3].lastHeartbeatTime == node.metadata.creationTimestamp);
  CHECK_FALSE(mark_silent(node, kNow + std::chrono::seconds(1)));
}

TEST_CASE("how fast the nodes of a zone may be given up") {
  CHECK(zone_state(0, 0) == ZoneState::kNormal);
  CHECK(zone_state(0, 1) == ZoneState::kDown);
  CHECK(zone_state(1, 2) == ZoneState::kNormal);  // two are few
  CHECK(zone_state(2, 3) == ZoneState::kPartlyDown);
  CHECK(zone_state(3, 3) == ZoneState::kNormal);
  CHECK(taint_pause(ZoneState::kNormal, 5) == milliseconds(10'000));
  CHECK(taint_pause(ZoneState::kDown, 5) == milliseconds(10'000));  // another zone lives
  CHECK_FALSE(taint_pause(ZoneState::kPartlyDown, 50));
  CHECK(taint_pause(ZoneState::kPartlyDown, 51) == milliseconds(100'000));
  CHECK(zone_of(node_with("[]")).empty());
  CHECK(zone_of(node_with("[]", "{}", R"({"topology.kubernetes.io/zone":"z","topology.kubernetes.io/region":"r"})")) ==
        "r/z");
}

TEST_CASE("how long a pod stays on a tainted node") {
  struct Case {
    const char *tolerations, *taints;
    std::optional<seconds> stay;
  };
  const char* const one = R"([{"key":"a","effect":"NoExecute"}])";
  const char* const two = R"([{"key":"a","effect":"NoExecute"},{"key":"b","value":"1","effect":"NoExecute"}])";
  const Case cases[] = {
      {"[]", one, seconds(0)},
      {R"([{"key":"a","operator":"Exists"}])", one, std::nullopt},
      {R"([{"key":"a","operator":"Exists","tolerationSeconds":5}])", one, seconds(5)},
      {R"([{"key":"a","operator":"Exists","tolerationSeconds":-5}])", one, seconds(0)},
      {R"([{"key":"a","operator":"Exists","effect":"NoSchedule"}])", one, seconds(0)},
      {R"([{"operator":"Exists","tolerationSeconds":9}])", two, seconds(9)},
      {R"([{"key":"a","operator":"Exists"},{"key":"b","operator":"Equal","value":"1","tolerationSeconds":3}])", two,
       seconds(3)},
      {R"([{"key":"a","operator":"Exists","tolerationSeconds":300},{"key":"b","operator":"Equal","value":"2"}])", two,
       seconds(0)},
      {R"([{"key":"a","operator":"Exists","tolerationSeconds":7},{"key":"a","operator":"Exists"}])", one,
       seconds(7)},  // the first
      {R"([{"key":"a","operator":"Gt","value":"1"}])", one, seconds(0)},
  };
  for (const Case& c : cases) {
    INFO(c.tolerations << " on " << c.taints);
    auto pod = api::decode_as<api::core::v1::Pod>(std::string(R"({"spec":{"tolerations":)") + c.tolerations + "}}");
    Node node = node_with("[]", std::string(R"({"taints":)") + c.taints + "}");
    REQUIRE(pod.ok());
    CHECK(stay_of(pod->spec.tolerations, execute_taints(node)) == c.stay);
  }
}
