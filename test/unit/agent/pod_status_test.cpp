#include "agent/pod_status.h"

#include "unit/agent/pod_builder.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

std::string condition(const core::PodStatus& status, const std::string& type) {
  for (const auto& c : status.conditions) {
    if (c.type == type) return c.status + (c.reason.empty() ? "" : "/" + c.reason);
  }
  return "none";
}

}  // namespace

TEST_CASE("ephemeral containers have their statuses and no say in the phase", "[pod_status]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","containers":[{"name":"a"}],"ephemeralContainers":[{"name":"e"},{"name":"f"}]})");
  ContainerView ended = exited(1);
  ended.id = "x";
  auto status = make_status(pod, view_of({{"a", running()}, {"e", ended}}), at(1));
  CHECK(status.phase == "Running");
  CHECK(condition(status, "Ready") == "True");
  REQUIRE(status.ephemeralContainerStatuses.size() == 2);
  CHECK(status.ephemeralContainerStatuses[0].containerID == "knarr://x");
  CHECK(status.ephemeralContainerStatuses[0].state.terminated->exitCode == 1);
  CHECK(status.ephemeralContainerStatuses[1].state.waiting->reason == "ContainerCreating");
}

TEST_CASE("phase, by restart policy and containers", "[pod_status]") {
  struct Case {
    const char* policy;
    std::map<std::string, ContainerView> containers;
    bool final;
    const char* phase;
  };
  ContainerView crashed = exited(1);
  crashed.waiting_reason = "CrashLoopBackOff";
  const Case cases[] = {
      {"Always", {}, false, "Pending"},
      {"Always", {{"a", running()}}, false, "Pending"},
      {"Always", {{"a", running()}, {"b", running()}}, false, "Running"},
      {"Always", {{"a", exited(0)}, {"b", running()}}, false, "Running"},
      {"Always", {{"a", exited(0)}, {"b", exited(0)}}, false, "Running"},
      {"Always", {{"a", crashed}, {"b", crashed}}, false, "Running"},
      {"Always", {{"a", exited(0)}, {"b", exited(0)}}, true, "Succeeded"},
      {"Always", {{"a", exited(0)}, {"b", exited(137)}}, true, "Failed"},
      {"OnFailure", {{"a", exited(0)}, {"b", exited(0)}}, false, "Succeeded"},
      {"OnFailure", {{"a", exited(0)}, {"b", exited(1)}}, false, "Running"},
      {"Never", {{"a", exited(0)}, {"b", running()}}, false, "Running"},
      {"Never", {{"a", exited(0)}, {"b", exited(0)}}, false, "Succeeded"},
      {"Never", {{"a", exited(0)}, {"b", exited(2)}}, false, "Failed"},
  };
  for (const auto& c : cases) {
    auto pod = pod_of(std::string(R"({"restartPolicy":")") + c.policy +
                      R"(","containers":[{"name":"a","image":"x"},{"name":"b","image":"x"}]})");
    INFO(c.policy << " expects " << c.phase);
    CHECK(make_status(pod, view_of(c.containers), at(0), c.final).phase == c.phase);
  }
}

TEST_CASE("phase with init containers", "[pod_status]") {
  auto pod = pod_of(R"({"restartPolicy":"Never","initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})");
  CHECK(make_status(pod, view_of({{"i", running()}}), at(0)).phase == "Pending");
  CHECK(make_status(pod, view_of({{"i", exited(0)}}), at(0)).phase == "Pending");
  CHECK(make_status(pod, view_of({{"i", exited(1)}}), at(0)).phase == "Failed");
  CHECK(make_status(pod, view_of({{"i", exited(0)}, {"a", running()}}), at(0)).phase == "Running");
  auto again = pod_of(R"({"restartPolicy":"Always","initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})");
  CHECK(make_status(again, view_of({{"i", exited(1)}}), at(0)).phase == "Pending");
}

TEST_CASE("a running pod's status says what the kubelet's would", "[pod_status]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","containers":[{"name":"a","image":"busybox"}]})",
                    R"({"phase":"Pending","qosClass":"BestEffort","conditions":[{"type":"PodScheduled","status":"True",
                       "lastTransitionTime":"2023-11-14T22:13:00Z"},{"type":"example.com/own","status":"True"}]})");
  ContainerView view = running(3);
  view.image = "busybox";
  view.image_id = "sha256:1";
  auto status = make_status(pod, view_of({{"a", view}}), at(5));
  CHECK(status.phase == "Running");
  CHECK(status.qosClass == "BestEffort");
  CHECK(status.podIP == "10.42.0.7");
  CHECK(status.hostIP == "192.0.2.1");
  CHECK(status.startTime == at(-100));
  for (const char* type :
       {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", "example.com/own"}) {
    CAPTURE(type);
    CHECK(condition(status, type) == "True");
  }
  REQUIRE(status.containerStatuses.size() == 1);
  const auto& container = status.containerStatuses[0];
  CHECK(container.ready);
  CHECK(container.started == true);
  CHECK(container.containerID == "knarr://c1");
  CHECK(container.imageID == "sha256:1");
  REQUIRE(container.state.running);
  CHECK(container.state.running->startedAt == at(3));

  // Nothing changed: conditions keep their times, and there is nothing to send.
  core::Pod known = pod;
  known.status = status;
  auto later = make_status(known, view_of({{"a", view}}), at(60));
  CHECK(later == status);
  CHECK(status_patch("u1", status, later).empty());

  view.ready = false;
  auto unready = make_status(known, view_of({{"a", view}}), at(90));
  CHECK(condition(unready, "Ready") == "False/ContainersNotReady");
  std::string patch = status_patch("u1", status, unready);
  CHECK(patch.find(R"("uid":"u1")") != std::string::npos);
  CHECK(patch.find("containers with unready status: [a]") != std::string::npos);
  CHECK(patch.find("PodScheduled") == std::string::npos);
  CHECK(patch.find("podIPs") == std::string::npos);
  // Ready again: the reason and message of before have to go, which a merge does only when told.
  patch = status_patch("u1", unready, status);
  CHECK(patch.find(R"("reason":null,"message":null)") != std::string::npos);
}

TEST_CASE("waiting: creating, initialising, failing to pull, backing off", "[pod_status]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","containers":[{"name":"a","image":"x"}]})");
  auto waiting = [&](const core::Pod& p, const PodView& view) {
    return make_status(p, view, at(0)).containerStatuses[0].state.waiting->reason;
  };
  CHECK(waiting(pod, view_of({}, false)) == "ContainerCreating");
  auto with_init =
      pod_of(R"({"restartPolicy":"Always","initContainers":[{"name":"i"}],"containers":[{"name":"a","image":"x"}]})");
  CHECK(waiting(with_init, view_of({})) == "PodInitializing");
  ContainerView pulling;
  pulling.waiting_reason = "ImagePullBackOff";
  CHECK(waiting(pod, view_of({{"a", pulling}})) == "ImagePullBackOff");

  ContainerView crashed = exited(3, -5, milliseconds(10'000));
  crashed.attempt = 2;
  crashed.waiting_reason = "CrashLoopBackOff";
  auto status = make_status(pod, view_of({{"a", crashed}}), at(0)).containerStatuses[0];
  REQUIRE(status.state.waiting);
  CHECK(status.state.waiting->reason == "CrashLoopBackOff");
  REQUIRE(status.lastState.terminated);
  CHECK(status.lastState.terminated->exitCode == 3);
  CHECK(status.lastState.terminated->reason == "Error");
  CHECK(status.restartCount == 2);
}

TEST_CASE("ended pods: completed, failed, past the deadline", "[pod_status]") {
  auto pod = pod_of(R"({"restartPolicy":"Never","containers":[{"name":"a"}]})");
  auto done = make_status(pod, view_of({{"a", exited(0)}}, false), at(0));
  CHECK(condition(done, "Ready") == "False/PodCompleted");
  CHECK(condition(done, "Initialized") == "True/PodCompleted");
  CHECK(condition(done, "PodReadyToStartContainers") == "False");
  CHECK(done.containerStatuses[0].state.terminated->reason == "Completed");
  auto failed = make_status(pod, view_of({{"a", exited(1)}}), at(0));
  CHECK(condition(failed, "ContainersReady") == "False/PodFailed");

  PodView late = view_of({{"a", exited(137)}}, false);
  late.terminating = true;
  late.end_reason = "DeadlineExceeded";
  auto status = make_status(pod, late, at(0), true);
  CHECK(status.phase == "Failed");
  CHECK(status.reason == "DeadlineExceeded");
}

TEST_CASE("after a restart of the machine what ran is known to be lost", "[pod_status]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","containers":[{"name":"a","image":"x"},{"name":"b","image":"x"}]})",
                    R"({"phase":"Running","startTime":"2023-11-14T22:13:00Z","containerStatuses":[
      {"name":"a","restartCount":1,"containerID":"knarr://old","image":"x","imageID":"sha256:1","state":{"running":{"startedAt":"2023-11-14T22:13:01Z"}},"ready":true},
      {"name":"b","restartCount":0,"image":"x","imageID":"","state":{"waiting":{"reason":"ContainerCreating"}}}]})");
  PodView view = view_from_status(pod);
  CHECK(view.container("a").state == ContainerView::State::kExited);
  CHECK(view.container("a").exit_code == 137);
  CHECK(view.container("a").attempt == 1);
  CHECK(view.container("a").id == "old");
  CHECK(view.container("b").state == ContainerView::State::kNone);
}
