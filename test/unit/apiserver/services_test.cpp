// Addresses and node ports of services, sizes of workloads, and what writes may set, through Rest.
#include <catch2/catch.hpp>
#include <set>

#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

namespace {

struct Services : Cluster {
  Services() {
    RestOptions options;
    options.store = store.get();
    options.clock = &clock;
    options.service_cidr = "10.96.0.0/28";
    server.reset();
    rest = std::make_unique<Rest>(std::move(options));
  }

  Result<Answer> make(const std::string& name, const std::string& spec) {
    return rest->create(
        context, target("services"),
        R"({"kind":"Service","apiVersion":"v1","metadata":{"name":")" + name + R"("},"spec":)" + spec + "}");
  }
  json::Document made(const std::string& name, const std::string& spec) {
    auto answer = make(name, spec);
    INFO(answer.status().to_string());
    REQUIRE(answer.ok());
    return parse(answer->bytes());
  }
  std::string refused(const std::string& name, const std::string& spec) {
    auto answer = make(name, spec);
    REQUIRE_FALSE(answer.ok());
    return answer.status().message();
  }
};

}  // namespace

TEST_CASE("services get free addresses until there are none") {
  Services cluster;
  const std::string spec = R"({"ports":[{"port":80}]})";
  cluster.made("kubernetes", R"({"clusterIP":"10.96.0.1","ports":[{"port":443}]})");
  CHECK(json::get_string(cluster.made("wish", R"({"clusterIP":"10.96.0.5","ports":[{"port":80}]})"),
                         {"spec", "clusterIP"}) == "10.96.0.5");
  CHECK(cluster.refused("twice", R"({"clusterIP":"10.96.0.5","ports":[{"port":80}]})") ==
        "Service \"twice\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.5\"]: failed to allocate IP "
        "10.96.0.5: provided IP is already "
        "allocated");
  CHECK(cluster.refused("far", R"({"clusterIP":"10.97.0.5","ports":[{"port":80}]})")
            .find("does not match the current range") != std::string::npos);
  std::set<std::string> addresses{"10.96.0.5"};
  for (int i = 0; i < 12; ++i) {
    const auto service = cluster.made("s" + std::to_string(i), spec);
    addresses.emplace(json::get_string(service, {"spec", "clusterIP"}));
    CHECK(json::get_string(service, {"spec", "ipFamilyPolicy"}) == "SingleStack");
  }
  CHECK(addresses.size() == 13);
  CHECK_FALSE(addresses.contains("10.96.0.1"));  // the API server's own
  CHECK(cluster.refused("full", spec).find("range is full") != std::string::npos);
  REQUIRE(cluster.rest->remove(cluster.context, cluster.target("services", "s3"), {}).ok());
  CHECK(cluster.make("again", spec).ok());
}

TEST_CASE("services get addresses of any ServiceCIDR that is ready") {
  Services cluster;
  const auto networks = [](std::string_view name, std::string_view sub) {
    return Target{schema::find_resource("networking.k8s.io", "v1", "servicecidrs"), sub, "", name};
  };
  const auto network = [&](const std::string& name, const std::string& cidr) {
    const auto made = cluster.rest->create(cluster.context, networks("", ""),
                                           R"({"kind":"ServiceCIDR","apiVersion":"networking.k8s.io/v1","metadata":{"name":")" + name +
                                               R"("},"spec":{"cidrs":[")" + cidr + R"("]}})");
    INFO(made.status().to_string());
    REQUIRE(made.ok());
  };
  const auto with = [](const std::string& address) { return R"({"clusterIP":")" + address + R"(","ports":[{"port":80}]})"; };
  network("kubernetes", "10.96.0.0/28");
  CHECK(cluster.refused("early", with("10.200.0.1")).find("does not match the current range") != std::string::npos);
  network("more", "10.200.0.0/30");
  network("six", "fd00::/112");
  CHECK(cluster.make("first", with("10.200.0.1")).ok());
  for (const char* outside : {"10.200.0.0", "10.200.0.3", "10.200.0.4"}) {  // the network, everybody, another network
    INFO(outside);
    CHECK(cluster.refused("no", with(outside)).find("does not match the current range") != std::string::npos);
  }
  std::set<std::string> addresses;
  for (int i = 0; i < 15; ++i)
    addresses.emplace(json::get_string(cluster.made("s" + std::to_string(i), R"({"ports":[{"port":80}]})"), {"spec", "clusterIP"}));
  CHECK(addresses.size() == 15);
  CHECK(addresses.contains("10.200.0.2"));
  CHECK(cluster.refused("full", R"({"ports":[{"port":80}]})").find("range is full") != std::string::npos);

  network("last", "10.201.0.0/28");
  REQUIRE(cluster.rest->patch(cluster.context, networks("last", "status"), "application/merge-patch+json",
                              R"({"status":{"conditions":[{"type":"Ready","status":"False","reason":"Terminating","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}})")
              .ok());
  CHECK(cluster.refused("full", R"({"ports":[{"port":80}]})").find("range is full") != std::string::npos);
  CHECK(cluster.refused("closed", with("10.201.0.1")).find("does not match the current range") != std::string::npos);
}

TEST_CASE("node ports are shared by protocols, kept by updates and given back") {
  Services cluster;
  auto service = cluster.made(
      "n", R"({"type":"NodePort","ports":[{"name":"a","port":53},{"name":"b","port":53,"protocol":"UDP"}]})");
  const json::Value& ports = *json::find(service, {"spec", "ports"});
  const int64_t port = json::get_int(ports[0], "nodePort");
  CHECK(port >= 30000);
  CHECK(json::get_int(ports[1], "nodePort") == port);
  CHECK(cluster.refused("o", R"({"type":"NodePort","ports":[{"port":1,"nodePort":)" + std::to_string(port) + "}]}") ==
        "Service \"o\" is invalid: spec.ports[0].nodePort: Invalid value: " + std::to_string(port) +
            ": provided port is already allocated");
  CHECK(cluster.refused("o", R"({"type":"NodePort","ports":[{"port":1,"nodePort":80}]})")
            .find("range of valid ports is 30000-32767") != std::string::npos);

  const auto updated = cluster.rest->update(
      cluster.context, cluster.target("services", "n"),
      R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"n"},"spec":{"type":"NodePort","ports":[{"name":"a","port":53}]}})");
  INFO(updated.status().to_string());
  REQUIRE(updated.ok());
  const auto now = parse(updated->bytes());
  CHECK(json::get_int((*json::find(now, {"spec", "ports"}))[0], "nodePort") == port);
  CHECK(json::get_string(now, {"spec", "clusterIP"}) == json::get_string(service, {"spec", "clusterIP"}));

  const auto plain = cluster.rest->patch(cluster.context, cluster.target("services", "n"),
                                         "application/merge-patch+json", R"({"spec":{"type":"ClusterIP"}})");
  INFO(plain.status().to_string());
  REQUIRE(plain.ok());
  CHECK(json::find((*json::find(parse(plain->bytes()), {"spec", "ports"}))[0], "nodePort") == nullptr);
  CHECK(cluster.make("o", R"({"type":"NodePort","ports":[{"port":1,"nodePort":)" + std::to_string(port) + "}]}").ok());
}

TEST_CASE("a headless service has no address, an external name nothing at all") {
  Services cluster;
  const auto headless = cluster.made("h", R"({"clusterIP":"None","selector":{"a":"b"}})");
  CHECK(json::dump(*json::find(headless, {"spec", "clusterIPs"})) == R"(["None"])");
  const auto external = cluster.made("e", R"({"type":"ExternalName","externalName":"example.com"})");
  CHECK(json::find(external, {"spec", "clusterIP"}) == nullptr);
  CHECK(json::find(external, {"spec", "ipFamilies"}) == nullptr);
}

TEST_CASE("a workload is resized through its scale") {
  Cluster cluster;
  const schema::Resource& deployments = cluster.resource("deployments", "apps");
  const auto target = [&](std::string_view sub) { return Target{&deployments, sub, "default", "d"}; };
  const auto created =
      cluster.rest->create(cluster.context, {&deployments, "", "default", ""},
                           R"({"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d"},"spec":{"replicas":2,
      "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  INFO(created.status().to_string());
  REQUIRE(created.ok());
  auto scale = parse(cluster.rest->get(cluster.context, target("scale"))->bytes());
  CHECK(json::get_string(scale, "kind") == "Scale");
  CHECK(json::get_string(scale, {"status", "selector"}) == "a=b");
  json::set(*json::find(scale, "spec"), "replicas", json::Value(5), scale.GetAllocator());
  const auto scaled = cluster.rest->update(cluster.context, target("scale"), json::dump(scale));
  INFO(scaled.status().to_string());
  REQUIRE(scaled.ok());
  const auto deployment = parse(cluster.rest->get(cluster.context, target(""))->bytes());
  CHECK(json::get_int(*json::find(deployment, "spec"), "replicas") == 5);
  CHECK(json::get_int(*json::find(deployment, "metadata"), "generation") == 2);
  CHECK(cluster.rest->update(cluster.context, target("scale"), json::dump(scale)).status().is(reason::kConflict));
  const auto negative = cluster.rest->patch(cluster.context, target("scale"), "application/merge-patch+json",
                                            R"({"spec":{"replicas":-1}})");
  CHECK(negative.status().message() ==
        "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0");
}

TEST_CASE("a job's pods are told apart by its uid, a daemon set counts its templates") {
  Cluster cluster;
  const schema::Resource& jobs = cluster.resource("jobs", "batch");
  const auto made =
      cluster.rest->create(cluster.context, {&jobs, "", "default", ""},
                           R"({"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"j"},"spec":{"template":{"spec":{
      "restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})");
  INFO(made.status().to_string());
  REQUIRE(made.ok());
  const auto job = parse(made->bytes());
  const std::string_view uid = json::get_string(job, {"metadata", "uid"});
  CHECK(json::get_string(job, {"spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"}) == uid);
  CHECK(json::get_string(job, {"spec", "template", "metadata", "labels", "job-name"}) == "j");

  const schema::Resource& sets = cluster.resource("daemonsets", "apps");
  const auto set = [&](std::string_view image) {
    return R"({"kind":"DaemonSet","apiVersion":"apps/v1","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},
        "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":")" +
           std::string(image) + R"("}]}}}})";
  };
  constexpr std::string_view kGeneration = "deprecated.daemonset.template.generation";
  const auto first = cluster.rest->create(cluster.context, {&sets, "", "default", ""}, set("i"));
  INFO(first.status().to_string());
  REQUIRE(first.ok());
  CHECK(json::get_string(parse(first->bytes()), {"metadata", "annotations", kGeneration}) == "1");
  const auto second = cluster.rest->update(cluster.context, {&sets, "", "default", "d"}, set("j"));
  REQUIRE(second.ok());
  CHECK(json::get_string(parse(second->bytes()), {"metadata", "annotations", kGeneration}) == "2");
}
