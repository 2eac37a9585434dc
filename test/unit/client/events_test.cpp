#include "knarr/client/events.h"

#include <catch2/catch.hpp>

#include "knarr/codec/json.h"
#include "unit/client/fake_transport.h"

using namespace knarr;
using namespace knarr::client;

TEST_CASE("events: what comes again is counted in one object", "[client]") {
  auto transport = std::make_shared<FakeTransport>();
  ManualClock clock(WallTime(seconds(1'700'000'000)));
  auto recorder = EventRecorder::make(transport, {.component = "test", .host = "n1", .clock = &clock});
  EventRef pod{"v1", "Pod", "ns", "web", "u1", "5", ""};
  recorder->event(pod, kEventWarning, "BackOff", "again");
  recorder->event(pod, kEventWarning, "BackOff", "again");
  recorder->event(pod, kEventNormal, "Started", "other");
  REQUIRE(transport->wait_for([](const auto& calls) { return calls.size() >= 3; }));
  auto calls = transport->calls();
  CHECK(calls[0].verb == "create");
  CHECK(calls[0].ns == "ns");
  auto event = json::parse(calls[0].body);
  REQUIRE(event.ok());
  CHECK(json::get_string(*event, {"involvedObject", "uid"}) == "u1");
  CHECK(json::get_string(*event, "firstTimestamp") == "2023-11-14T22:13:20Z");
  CHECK(json::get_int(*event, "count") == 1);
  CHECK(calls[1].verb == "patch");
  CHECK(calls[1].name == json::get_string(*event, {"metadata", "name"}));
  CHECK(calls[1].body.find(R"("count":2)") != std::string::npos);
  CHECK(calls[2].verb == "create");
}

TEST_CASE("events: one whose object is gone is made anew; those of cluster-wide objects are in default", "[client]") {
  auto transport = std::make_shared<FakeTransport>();
  transport->answer = [](const FakeTransport::Call& call) -> Result<std::string> {
    if (call.verb == "patch") return not_found("expired");
    return call.body;
  };
  auto recorder = EventRecorder::make(transport, {.component = "test", .host = ""});
  EventRef node{"v1", "Node", "", "n1", "u1", "", ""};
  recorder->event(node, kEventNormal, "Ready", "x");
  recorder->event(node, kEventNormal, "Ready", "x");
  REQUIRE(transport->wait_for([](const auto& calls) { return calls.size() >= 3; }));
  auto calls = transport->calls();
  CHECK(calls[0].ns == "default");
  CHECK(calls[1].verb == "patch");
  CHECK(calls[2].verb == "create");
}
