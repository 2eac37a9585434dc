#include "agent/probes.h"

#include "unit/agent/fakes.h"
#include "unit/agent/pod_builder.h"

using namespace knarr;
using namespace knarr::agent;

TEST_CASE("a probe's thresholds", "[probes]") {
  ProbeCounter counter(2, 3);
  CHECK_FALSE(counter.feed(true));
  CHECK(counter.feed(true) == true);
  CHECK(counter.feed(true) == true);
  CHECK_FALSE(counter.feed(false));
  CHECK_FALSE(counter.feed(false));
  CHECK_FALSE(counter.feed(true));  // the run is broken
  CHECK_FALSE(counter.feed(false));
  CHECK_FALSE(counter.feed(false));
  CHECK(counter.feed(false) == false);
}

namespace {

// Collects what probes report.
struct Reports {
  Mutex mutex;
  std::condition_variable_any changed;
  std::vector<std::string> all;

  void add(const Probes::Result& result) {
    Lock lock(mutex);
    all.push_back(
        fmt::format("{} {}{}", to_string(result.kind), result.success ? "yes" : "no", result.decided ? "!" : ""));
    changed.notify_all();
  }
  bool wait(size_t n) {
    Lock lock(mutex);
    return changed.wait_for(lock, seconds(10), [&] { return all.size() >= n; });
  }
};

core::Container container(const std::string& probes) {
  return pod_of(R"({"containers":[{"name":"c",)" + probes + "}]}").spec.containers[0];
}

}  // namespace

TEST_CASE("a server that is just starting is asked again soon, and that is no failure", "[probes]") {
  Reports reports;
  FakeHandlers handlers;
  std::atomic<int> asked{0};
  handlers.result = [&] { return HandlerResult{++asked > 3, "connection refused"}; };
  client::Timers timers;
  Tasks tasks(2);
  Probes probes(timers, tasks, handlers, [&](const Probes::Result& r) { reports.add(r); });
  WallTime now = Clock::system().wall();
  probes.start({"u1", "c1", "10.42.0.7"}, container(R"("readinessProbe":{"httpGet":{"port":80},"periodSeconds":10})"),
               now, now, true);
  REQUIRE(reports.wait(1));
  CHECK(reports.all == std::vector<std::string>{"Readiness yes!"});
  CHECK(asked == 4);
  tasks.stop();
}

TEST_CASE("the startup probe comes first, then the others; commands are not hurried", "[probes]") {
  Reports reports;
  FakeHandlers handlers;
  std::atomic<int> asked{0};
  handlers.result = [&] { return HandlerResult{++asked != 1, "no"}; };
  client::Timers timers;
  Tasks tasks(2);
  Probes probes(timers, tasks, handlers, [&](const Probes::Result& r) { reports.add(r); });
  WallTime now = Clock::system().wall();
  probes.start({"u1", "c1", ""},
               container(R"("startupProbe":{"exec":{"command":["x"]},"periodSeconds":1,"failureThreshold":3},
                 "readinessProbe":{"exec":{"command":["x"]},"periodSeconds":10})"),
               now, now, false);
  REQUIRE(reports.wait(3));
  CHECK(reports.all == std::vector<std::string>{"Startup no", "Startup yes!", "Readiness yes!"});
  tasks.stop();
}

TEST_CASE("a stopped container is not asked any more", "[probes]") {
  Reports reports;
  FakeHandlers handlers;
  client::Timers timers;
  Tasks tasks(2);
  Probes probes(timers, tasks, handlers, [&](const Probes::Result& r) { reports.add(r); });
  WallTime now = Clock::system().wall();
  probes.start({"u1", "c1", ""},
               container(R"("livenessProbe":{"tcpSocket":{"port":1},"initialDelaySeconds":100,"periodSeconds":1})"),
               now, now, true);
  probes.stop("c1");
  probes.stop("c1");
  CHECK(reports.all.empty());
}

TEST_CASE("ports by number, by number in a text and by name", "[probes]") {
  auto c = container(R"("ports":[{"name":"web","containerPort":8080}])");
  CHECK(*resolve_port(IntOrString(80), c) == 80);
  CHECK(*resolve_port(IntOrString("81"), c) == 81);
  CHECK(*resolve_port(IntOrString("web"), c) == 8080);
  CHECK_FALSE(resolve_port(IntOrString("none"), c).ok());
  CHECK_FALSE(resolve_port(IntOrString(0), c).ok());
}
