#include "agent/plan.h"

#include "unit/agent/pod_builder.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

// A plan in one line: sandbox+ start:a,b stop:c sandbox- wait:d@10 wake:10 deadline
std::string told(const Plan& plan) {
  std::string out;
  auto add = [&](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  if (plan.create_sandbox) add("sandbox+");
  for (const auto& name : plan.start) add("start:" + name);
  for (const auto& stop : plan.stop) add("stop:" + stop.container);
  if (plan.remove_sandbox) add("sandbox-");
  for (const auto& waiting : plan.waiting) add("wait:" + waiting.container);
  if (plan.wake) add("wake:" + std::to_string(std::chrono::duration_cast<seconds>(*plan.wake - at(0)).count()));
  if (plan.past_deadline) add("deadline");
  return out;
}

constexpr milliseconds k10s{10'000};

}  // namespace

TEST_CASE("plan: one container, by restart policy and what became of it", "[plan]") {
  struct Case {
    const char* policy;
    PodView view;
    const char* plan;
  };
  const Case cases[] = {
      {"Always", view_of({}, false), "sandbox+"},
      {"Always", view_of({}), "start:a"},
      {"Always", view_of({{"a", running()}}), ""},
      {"Always", view_of({{"a", exited(0)}}), "start:a"},
      {"Always", view_of({{"a", exited(1)}}), "start:a"},
      {"Always", view_of({{"a", exited(1, 0, k10s)}}), "wait:a wake:10"},
      {"Always", view_of({{"a", exited(1, -4, k10s)}}), "wait:a wake:6"},
      {"Always", view_of({{"a", exited(1, -10, k10s)}}), "start:a"},
      {"Always", view_of({{"a", exited(0)}}, false), "sandbox+"},
      {"OnFailure", view_of({}), "start:a"},
      {"OnFailure", view_of({{"a", exited(1)}}), "start:a"},
      {"OnFailure", view_of({{"a", exited(1, 0, k10s)}}), "wait:a wake:10"},
      {"OnFailure", view_of({{"a", exited(0)}}), "sandbox-"},
      {"OnFailure", view_of({{"a", exited(0)}}, false), ""},
      {"OnFailure", view_of({{"a", exited(137)}}, false), "sandbox+"},
      {"Never", view_of({}), "start:a"},
      {"Never", view_of({{"a", running()}}), ""},
      {"Never", view_of({{"a", exited(0)}}), "sandbox-"},
      {"Never", view_of({{"a", exited(1)}}), "sandbox-"},
      {"Never", view_of({{"a", exited(1)}}, false), ""},
  };
  for (const auto& c : cases) {
    auto pod =
        pod_of(std::string(R"({"restartPolicy":")") + c.policy + R"(","containers":[{"name":"a","image":"i"}]})");
    INFO(c.policy << " " << static_cast<int>(c.view.container("a").state) << " " << c.view.container("a").exit_code
                  << " sandbox " << c.view.has_sandbox);
    CHECK(told(make_plan(pod, c.view, at(0))) == c.plan);
  }
}

TEST_CASE("plan: init containers run one after the other, before the others", "[plan]") {
  const std::string spec =
      R"({"restartPolicy":"%","initContainers":[{"name":"i1"},{"name":"i2"}],"containers":[{"name":"a"},{"name":"b"}]})";
  struct Case {
    const char* policy;
    PodView view;
    const char* plan;
  };
  const Case cases[] = {
      {"Always", view_of({}), "start:i1"},
      {"Always", view_of({{"i1", running()}}), ""},
      {"Always", view_of({{"i1", exited(0)}}), "start:i2"},
      {"Always", view_of({{"i1", exited(1)}}), "start:i1"},
      {"Always", view_of({{"i1", exited(1, 0, k10s)}}), "wait:i1 wake:10"},
      {"Never", view_of({{"i1", exited(1)}}), "sandbox-"},
      {"Never", view_of({{"i1", exited(1)}}, false), ""},
      {"OnFailure", view_of({{"i1", exited(1)}}), "start:i1"},
      {"Always", view_of({{"i1", exited(0)}, {"i2", running()}}), ""},
      {"Always", view_of({{"i1", exited(0)}, {"i2", exited(0)}}), "start:a start:b"},
      {"Always", view_of({{"i1", exited(0)}, {"i2", exited(0)}, {"a", running()}}), "start:b"},
      {"Always", view_of({{"i1", exited(0)}, {"i2", exited(0)}, {"a", running()}, {"b", exited(2)}}), "start:b"},
      // Once a regular container ran in this sandbox, init containers are done, whatever is known of them.
      {"Always", view_of({{"a", running()}}), "start:b"},
  };
  for (const auto& c : cases) {
    std::string text = spec;
    text.replace(text.find('%'), 1, c.policy);
    INFO(c.plan);
    CHECK(told(make_plan(pod_of(text), c.view, at(0))) == c.plan);
  }
}

TEST_CASE("plan: in a new sandbox init containers run again", "[plan]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})");
  PodView view = view_of({{"i", exited(0)}, {"a", exited(137)}});
  for (auto& [name, container] : view.containers) container.in_sandbox = false;
  CHECK(told(make_plan(pod, view, at(0))) == "start:i");
  view.containers["i"].in_sandbox = true;
  CHECK(told(make_plan(pod, view, at(0))) == "start:a");
}

TEST_CASE("plan: sidecars start in their place, are kept, and end last", "[plan]") {
  auto pod = pod_of(R"({"restartPolicy":"Never","initContainers":[{"name":"s1","restartPolicy":"Always"},{"name":"i"},
    {"name":"s2","restartPolicy":"Always"}],"containers":[{"name":"a"}]})");
  ContainerView starting = running();
  starting.started = false;
  CHECK(told(make_plan(pod, view_of({}), at(0))) == "start:s1");
  CHECK(told(make_plan(pod, view_of({{"s1", starting}}), at(0))) == "");
  CHECK(told(make_plan(pod, view_of({{"s1", running()}}), at(0))) == "start:i");
  CHECK(told(make_plan(pod, view_of({{"s1", exited(1, -20, k10s)}, {"i", running()}}), at(0))) == "start:s1");
  CHECK(told(make_plan(pod, view_of({{"s1", running()}, {"i", exited(0)}}), at(0))) == "start:s2");
  CHECK(told(make_plan(pod, view_of({{"s1", running()}, {"i", exited(0)}, {"s2", running()}}), at(0))) == "start:a");
  // A sidecar that ends while the pod works is started again, also with restartPolicy Never.
  CHECK(told(make_plan(pod, view_of({{"s1", exited(0)}, {"i", exited(0)}, {"s2", running()}, {"a", running()}}),
                       at(0))) == "start:s1");
  // The work is done: the sidecars go, the last one first.
  CHECK(told(make_plan(pod, view_of({{"s1", running()}, {"i", exited(0)}, {"s2", running()}, {"a", exited(0)}}),
                       at(0))) == "stop:s2");
  CHECK(told(make_plan(pod, view_of({{"s1", running()}, {"s2", exited(0)}, {"a", exited(0)}, {"i", exited(0)}}),
                       at(0))) == "start:s2 stop:s1");
}

TEST_CASE("plan: ephemeral containers start at once and once, and keep nothing alive", "[plan]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","initContainers":[{"name":"i"}],"containers":[{"name":"a"}],
    "ephemeralContainers":[{"name":"e"}]})");
  CHECK(told(make_plan(pod, view_of({{"i", running()}}), at(0))) == "start:e");
  CHECK(told(make_plan(pod, view_of({{"i", exited(0)}, {"a", running()}}), at(0))) == "start:e");
  CHECK(told(make_plan(pod, view_of({{"i", exited(0)}, {"a", running()}, {"e", running()}}), at(0))) == "");
  CHECK(told(make_plan(pod, view_of({{"i", exited(0)}, {"a", running()}, {"e", exited(1)}}), at(0))) == "");
  pod.spec.restartPolicy = "Never";
  CHECK(told(make_plan(pod, view_of({{"i", exited(0)}, {"a", exited(0)}, {"e", running()}}), at(0))) == "stop:e");
  CHECK(told(make_plan(pod, view_of({{"i", exited(0)}, {"a", exited(0)}}), at(0))) == "sandbox-");
}

TEST_CASE("plan: what is deleted, ended or past its deadline is taken down", "[plan]") {
  auto pod = pod_of(
      R"({"restartPolicy":"Always","initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"a"},{"name":"b"}]})");
  PodView view = view_of({{"s", running()}, {"a", running()}, {"b", running()}});
  view.terminating = true;
  CHECK(told(make_plan(pod, view, at(0))) == "stop:a stop:b");
  view.containers["a"] = exited(0);
  CHECK(told(make_plan(pod, view, at(0))) == "stop:b");
  view.containers["b"] = exited(137);
  CHECK(told(make_plan(pod, view, at(0))) == "stop:s");
  view.containers["s"] = exited(0);
  CHECK(told(make_plan(pod, view, at(0))) == "sandbox-");
  view.has_sandbox = false;
  CHECK(told(make_plan(pod, view, at(0))) == "");

  auto failed = pod_of(R"({"restartPolicy":"Always","containers":[{"name":"a"}]})", R"({"phase":"Failed"})");
  CHECK(told(make_plan(failed, view_of({}), at(0))) == "sandbox-");
  CHECK(told(make_plan(failed, view_of({}, false), at(0))) == "");

  auto limited = pod_of(R"({"restartPolicy":"Always","activeDeadlineSeconds":60,"containers":[{"name":"a"}]})");
  PodView young = view_of({{"a", running()}});
  young.start_time = at(-59);
  CHECK(told(make_plan(limited, young, at(0))) == "wake:1");
  CHECK(told(make_plan(limited, young, at(1))) == "deadline");
}

TEST_CASE("plan: failed probes, changed images and hooks", "[plan]") {
  auto pod = pod_of(R"({"restartPolicy":"Always","containers":[{"name":"a","image":"new"},{"name":"b","image":"i"}]})");
  ContainerView sick = running();
  sick.must_end = "liveness";
  sick.image = "new";
  CHECK(told(make_plan(pod, view_of({{"a", sick}, {"b", running()}}), at(0))) == "stop:a");
  ContainerView old = running();
  old.image = "old";
  CHECK(told(make_plan(pod, view_of({{"a", old}, {"b", running()}}), at(0))) == "stop:a");
  ContainerView hooked = running();
  hooked.hook_running = true;
  CHECK(told(make_plan(pod, view_of({{"a", hooked}}), at(0))) == "");
  ContainerView unlucky;  // could not be started: not again before its time
  unlucky.not_before = at(5);
  CHECK(told(make_plan(pod, view_of({{"a", unlucky}, {"b", running()}}), at(0))) == "wake:5");
  CHECK(told(make_plan(pod, view_of({{"a", unlucky}, {"b", running()}}), at(5))) == "start:a");
}

TEST_CASE("plan: a container's own restart rules go before the policies", "[plan]") {
  auto spec =
      pod_of(R"({"restartPolicy":"Never","containers":[{"name":"a","restartPolicy":"Never","restartPolicyRules":[
    {"action":"Restart","exitCodes":{"operator":"In","values":[42]}}]},{"name":"b","restartPolicy":"Always"},{"name":"c"}],
    "initContainers":[{"name":"i"},{"name":"s","restartPolicy":"Always"}]})")
          .spec;
  CHECK(should_restart(spec.containers[0], spec, false, 42));
  CHECK_FALSE(should_restart(spec.containers[0], spec, false, 1));
  CHECK(should_restart(spec.containers[1], spec, false, 0));
  CHECK_FALSE(should_restart(spec.containers[2], spec, false, 1));
  CHECK_FALSE(should_restart(spec.initContainers[0], spec, true, 1));
  CHECK(should_restart(spec.initContainers[1], spec, true, 0));
}

TEST_CASE("plan: restart delays double to five minutes and begin anew after ten", "[plan]") {
  milliseconds delay{0};
  std::vector<int64_t> seen;
  for (int i = 0; i < 8; ++i) {
    delay = next_restart_delay(delay, at(i), at(i + 1));
    seen.push_back(delay.count() / 1000);
  }
  CHECK(seen == std::vector<int64_t>{10, 20, 40, 80, 160, 300, 300, 300});
  CHECK(next_restart_delay(milliseconds(300'000), at(0), at(601)) == milliseconds(10'000));
}
