// The life of pods, from the API's watch to the runtime's calls and back to the status.
#include "agent/pods.h"

#include <signal.h>

#include "unit/agent/fakes.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

const std::string kSimple =
    R"({"restartPolicy":"Always","terminationGracePeriodSeconds":30,"containers":[{"name":"c","image":"here","terminationMessagePath":"/dev/termination-log"}]})";

}  // namespace

TEST_CASE("a pod appears: it gets a sandbox, an address and its container, and the API hears of it", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("web", "u1", kSimple);
  REQUIRE(node.api.wait_phase("web", "Running"));
  auto status = node.api.pod("web").status;
  CHECK(status.podIP == "10.42.0.9");
  CHECK(status.hostIP == "192.0.2.1");
  REQUIRE(status.containerStatuses.size() == 1);
  CHECK(status.containerStatuses[0].ready);
  CHECK(status.containerStatuses[0].imageID == "sha256:here");
  CHECK(node.runtime.calls("sandbox u1") == 1);
  CHECK(node.events->has("Started"));
  auto spec = node.runtime.spec("u1", "c");
  CHECK(spec.args == std::vector<std::string>{"/run"});
  CHECK(spec.mounts.size() == 3);  // hosts, resolv.conf, termination message
}

TEST_CASE("a container that ends is started again, and then waits for its back-off", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("web", "u1", kSimple);
  REQUIRE(node.api.wait_phase("web", "Running"));
  node.runtime.exit("u1", "c", 1);
  REQUIRE(node.runtime.wait_for("start u1 c #1"));
  REQUIRE(node.api.wait([](FakeApi& api) { return api.pod("web").status.containerStatuses[0].restartCount == 1; }));
  node.runtime.exit("u1", "c", 7);
  REQUIRE(node.api.wait([](FakeApi& api) {
    auto c = api.pod("web").status.containerStatuses[0];
    return c.state.waiting && c.state.waiting->reason == "CrashLoopBackOff";
  }));
  auto c = node.api.pod("web").status.containerStatuses[0];
  CHECK(c.lastState.terminated->exitCode == 7);
  CHECK(node.runtime.calls("start u1 c #2") == 0);
  CHECK(node.events->has("BackOff"));
}

TEST_CASE("deletion: stop signal, end, everything is taken down, and only then the API deletes the pod", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("web", "u1", kSimple);
  REQUIRE(node.api.wait_phase("web", "Running"));
  node.api.mark_deleted("web", 30);
  REQUIRE(node.runtime.wait_for(fmt::format("signal u1 c {}", SIGQUIT)));  // the image's own stop signal
  CHECK(node.runtime.calls("remove u1") == 0);
  node.runtime.exit("u1", "c", 0);
  REQUIRE(node.api.wait_gone("web"));
  CHECK(node.runtime.calls("remove u1") == 1);
  CHECK(node.network.detached == 1);
  CHECK(node.events->has("Killing"));
}

TEST_CASE("deletion: a container that does not listen is killed when its grace is over", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("web", "u1", kSimple);
  REQUIRE(node.api.wait_phase("web", "Running"));
  node.api.mark_deleted("web", 300);
  REQUIRE(node.runtime.wait_for(fmt::format("signal u1 c {}", SIGQUIT)));
  node.api.mark_deleted("web", 0);  // and now in a hurry: two seconds are left to it
  REQUIRE(node.runtime.wait_for(fmt::format("signal u1 c {}", SIGKILL)));
}

TEST_CASE("restartPolicy Never: the pod completes and its sandbox goes", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("job", "u1", R"({"restartPolicy":"Never","containers":[{"name":"c","image":"here"}]})");
  REQUIRE(node.api.wait_phase("job", "Running"));
  node.runtime.exit("u1", "c", 0);
  REQUIRE(node.api.wait_phase("job", "Succeeded"));
  REQUIRE(node.runtime.wait_for("remove u1"));
  CHECK(node.runtime.calls("start u1 c #1") == 0);
}

TEST_CASE("what cannot start waits with its reason", "[pods]") {
  FakeNode node;
  node.runtime.fail_starts({"bad"});
  node.start();
  node.api.put("a", "u1", R"({"restartPolicy":"Always","containers":[{"name":"c","image":"localhost/away:1"}]})");
  node.api.put("b", "u2", R"({"restartPolicy":"Always","containers":[{"name":"c","image":"here","env":[
      {"name":"X","valueFrom":{"secretKeyRef":{"name":"none","key":"k"}}}]}]})");
  node.api.put("c", "u3", R"({"restartPolicy":"Always","containers":[{"name":"bad","image":"here"}]})");
  node.api.put(
      "d", "u4",
      R"({"restartPolicy":"Always","containers":[{"name":"c","image":"localhost/none:1","imagePullPolicy":"Never"}]})");
  auto waits = [&](const std::string& pod, std::set<std::string> reasons) {
    return node.api.wait([&](FakeApi& api) {
      const auto& statuses = api.pod(pod).status.containerStatuses;
      return !statuses.empty() && statuses[0].state.waiting && reasons.contains(statuses[0].state.waiting->reason);
    });
  };
  CHECK(waits("a", {"ErrImagePull", "ImagePullBackOff"}));
  CHECK(waits("b", {"CreateContainerConfigError"}));
  CHECK(waits("c", {"CreateContainerError"}));
  CHECK(waits("d", {"ErrImageNeverPull"}));
  CHECK(node.api.pod("b").status.containerStatuses[0].state.waiting->message == "secret \"none\" not found");
  CHECK(node.api.pod("a").status.phase == "Pending");
}

TEST_CASE("a failed liveness probe ends the container, and it is started again", "[pods]") {
  std::atomic<bool> sick{false};  // looked at until the node is gone
  FakeNode node;
  node.handlers.result = [&] { return HandlerResult{!sick.load(), "sick"}; };
  node.start();
  node.api.put("web", "u1", R"({"restartPolicy":"Always","containers":[{"name":"c","image":"here",
      "livenessProbe":{"exec":{"command":["x"]},"periodSeconds":1,"failureThreshold":1,"timeoutSeconds":1}}]})");
  REQUIRE(node.api.wait_phase("web", "Running"));
  sick = true;
  REQUIRE(node.runtime.wait_for(fmt::format("signal u1 c {}", SIGQUIT)));
  sick = false;
  node.runtime.exit("u1", "c", 137);
  REQUIRE(node.runtime.wait_for("start u1 c #1"));
  CHECK(node.events->has("Unhealthy"));
}

TEST_CASE("pods of an earlier agent are adopted; what the API does not know goes", "[pods]") {
  FakeNode node;
  auto sandbox = [](const std::string& uid) {
    runtime::PodSandboxStatus found;
    found.spec.id = uid;
    found.spec.name = "web";
    found.spec.namespace_ = "default";
    found.spec.log_directory = "/tmp/knarr-no-such-directory";
    runtime::ContainerStatus c;
    c.id = "old";
    c.name = "c";
    c.attempt = 4;
    c.state = runtime::ContainerState::kRunning;
    found.containers.push_back(c);
    return found;
  };
  node.pods->adopt({sandbox("u1"), sandbox("u2")});
  node.start();
  node.api.put(
      "web", "u1", kSimple, "",
      R"({"phase":"Running","podIP":"10.42.0.9","podIPs":[{"ip":"10.42.0.9"}],"containerStatuses":[{"name":"c","containerID":"knarr://old",
                  "image":"here","imageID":"sha256:here","restartCount":4,"ready":true,"started":true,"state":{"running":{}}}]})");
  REQUIRE(node.api.wait([](FakeApi& api) { return !api.pod("web").status.startTime ? false : true; }));
  node.pods->remove_unknown();
  CHECK(node.runtime.calls("remove u2") == 1);
  CHECK(node.runtime.calls("remove u1") == 0);
  CHECK(node.runtime.calls("start u1 c #0") == 0);
  CHECK(node.runtime.calls("sandbox u1") == 0);
  CHECK(node.network.kept == std::vector<std::string>{"u1"});
  auto where = node.pods->locate("default", "web", "c", "");
  REQUIRE(where.ok());
  CHECK(where->container_id == "old");
  CHECK(where->running);
  CHECK(where->log_path.ends_with("/log/pods/default_web_u1/c/4.log"));
}

TEST_CASE("draining ends all pods and tells the API nothing", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("web", "u1", kSimple);
  REQUIRE(node.api.wait_phase("web", "Running"));
  std::thread exit([&] {
    node.runtime.wait_for(fmt::format("signal u1 c {}", SIGQUIT));
    node.runtime.exit("u1", "c", 0);
  });
  node.pods->drain(seconds(10));
  exit.join();
  CHECK(node.runtime.calls("remove u1") == 1);
  CHECK(node.api.pod("web").status.phase == "Running");
}

TEST_CASE("a pod whose shim dies gets a new sandbox, and its containers start again in it", "[pods]") {
  FakeNode node;
  node.start();
  node.api.put("web", "u1", kSimple);
  REQUIRE(node.api.wait_phase("web", "Running"));
  // As it happens: the end of the container is told first, and a start in the dead sandbox fails.
  node.runtime.fail_starts({"c"});
  node.runtime.exit("u1", "c", 137);
  REQUIRE(node.runtime.wait_for("start u1 c #1"));
  node.runtime.fail_starts({});
  node.pods->on_sandbox_lost("u1");
  REQUIRE(node.runtime.wait_for("sandbox u1", 2));
  REQUIRE(node.runtime.wait_for("start u1 c #1", 2));  // at once, not after the back-off of the failed start
  REQUIRE(node.api.wait([](FakeApi& api) {
    auto c = api.pod("web").status.containerStatuses[0];
    return c.state.running && c.restartCount == 1;
  }));
  CHECK(node.events->has("SandboxChanged"));
}
