// From requests and limits to what cgroups are told.
#include "agent/pod_resources.h"

#include <catch2/catch.hpp>

#include "unit/agent/pod_builder.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

core::Pod pod_of_class(const std::string& quality, const std::string& spec) {
  core::Pod pod = pod_of(spec);
  pod.status.qosClass = quality;
  return pod;
}

std::string container(const std::string& name, const std::string& requests, const std::string& limits, const std::string& more = "") {
  return R"({"name":")" + name + R"(","image":"x","resources":{"requests":{)" + requests + R"(},"limits":{)" + limits + "}}" + more + "}";
}

}  // namespace

TEST_CASE("a pod's group has the sum of what its containers have, and a limit only where each has one", "[resources]") {
  const std::string both = R"("cpu":"200m","memory":"64Mi")", other = R"("cpu":"300m","memory":"32Mi")", cpu = R"("cpu":"100m")";
  struct Case {
    std::string name, quality, spec;
    int64_t memory, quota, shares;
  };
  const std::vector<Case> cases = {
      {"guaranteed", "Guaranteed", R"({"containers":[)" + container("a", both, both) + "," + container("b", other, other) + "]}", 96 << 20, 50'000, 512},
      {"best effort", "BestEffort", R"({"containers":[{"name":"a","image":"x"}]})", 0, 0, 2},
      {"one without a memory limit", "Burstable", R"({"containers":[)" + container("a", both, both) + "," + container("b", cpu, cpu) + "]}", 0, 30'000, 307},
      {"requests alone", "Burstable", R"({"containers":[)" + container("a", cpu, "") + "]}", 0, 0, 102},
      {"a larger init container", "Burstable",
       R"({"initContainers":[)" + container("i", R"("cpu":"1")", R"("cpu":"1","memory":"256Mi")") + R"(],"containers":[)" + container("a", both, both) + "]}", 256 << 20,
       100'000, 1024},
      {"a sidecar stays beside the others", "Burstable",
       R"({"initContainers":[)" + container("s", cpu, other, R"(,"restartPolicy":"Always")") + "," + container("i", other, other) + R"(],"containers":[)" +
           container("a", both, both) + "]}",
       96 << 20, 60'000, 409},
      {"the pod's own limit", "Burstable", R"({"resources":{"limits":{"memory":"128Mi"}},"containers":[)" + container("a", cpu, "") + "]}", 128 << 20, 0, 102},
      {"the least quota", "Burstable", R"({"containers":[)" + container("a", cpu, R"("cpu":"1m")") + "]}", 0, 1000, 102},
      {"overhead", "Burstable", R"({"overhead":{"cpu":"100m","memory":"10Mi"},"containers":[)" + container("a", both, both) + "]}", 74 << 20, 30'000, 307},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    const runtime::Resources resources = pod_resources(pod_of_class(c.quality, c.spec));
    CHECK(resources.memory_limit_bytes == c.memory);
    CHECK(resources.cpu_quota_us == c.quota);
    CHECK(resources.cpu_shares == c.shares);
    CHECK(resources.pids_limit == 0);
  }
  CHECK(pod_resources(pod_of(R"({"containers":[]})"), 64).pids_limit == 64);
}

TEST_CASE("the group of a pod follows its quality of service", "[resources]") {
  const std::string spec = R"({"containers":[{"name":"a","image":"x"}]})";
  CHECK(pod_group(pod_of_class("Guaranteed", spec)) == "kubepods");
  CHECK(pod_group(pod_of_class("Burstable", spec)) == "kubepods/burstable");
  CHECK(pod_group(pod_of_class("BestEffort", spec)) == "kubepods/besteffort");
}

TEST_CASE("a container's limit stands in for a request that is missing, not for one of nothing", "[resources]") {
  core::ResourceRequirements wanted;
  wanted.limits["cpu"] = "500m";
  CHECK(container_resources(wanted).cpu_shares == 512);
  CHECK(container_resources(wanted).cpu_quota_us == 50'000);
  wanted.requests["cpu"] = "0";
  CHECK(container_resources(wanted).cpu_shares == 2);
}

TEST_CASE("all pods together may have what the node can allocate", "[resources]") {
  Machine machine;
  machine.cpus = 2;
  machine.memory_bytes = int64_t{1} << 30;
  Usage usage;
  usage.pid_max = 32768;
  const runtime::Resources pods = node_resources(machine, usage);
  CHECK(pods.memory_limit_bytes == (int64_t{1024} - 100) << 20);
  CHECK(pods.cpu_shares == 2048);
  CHECK(pods.pids_limit == 31768);
}
