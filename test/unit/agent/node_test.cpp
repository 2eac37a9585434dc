// The Node object, and the node's API over TLS.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "agent/image_puller.h"
#include "agent/node_api.h"
#include "agent/node_status.h"
#include "agent/streams.h"
#include "knarr/auth/pki.h"
#include "knarr/http/client.h"
#include "knarr/linux/tree.h"
#include "unit/agent/fakes.h"
#include "unit/agent/pod_builder.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

NodeStatusOptions node_options() {
  NodeStatusOptions options;
  options.node_name = "n1";
  options.node_ip = [] { return "192.0.2.1"; };
  options.version = "0.1.0";
  options.api_port = 10250;
  return options;
}

Machine machine() {
  Machine m;
  m.architecture = "amd64";
  m.cpus = 2;
  m.memory_bytes = int64_t(4) << 30;
  return m;
}

Usage usage() {
  Usage u;
  u.memory_available = int64_t(2) << 30;
  u.disk_bytes = int64_t(100) << 30;
  u.disk_available = int64_t(50) << 30;
  return u;
}

std::string condition(const core::Node& node, const std::string& type) {
  for (const auto& c : node.status.conditions) {
    if (c.type == type) return c.status;
  }
  return "none";
}

}  // namespace

TEST_CASE("the Node says what the machine has, and keeps what others wrote", "[node]") {
  auto known =
      api::decode_as<core::Node>(R"({"metadata":{"name":"n1","labels":{"own":"x"}},"spec":{"podCIDR":"10.42.0.0/24"},
    "status":{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2023-01-01T00:00:00Z"},{"type":"Other","status":"True"}]}})");
  REQUIRE(known.ok());
  auto options = node_options();
  core::Node node = make_node(options, machine(), usage(), &*known, Status(), {}, at(0));
  CHECK(node.metadata.labels.at("own") == "x");
  CHECK(node.metadata.labels.at("kubernetes.io/hostname") == "n1");
  CHECK(node.status.capacity.at("cpu") == "2");
  CHECK(node.status.capacity.at("memory") == "4194304Ki");
  CHECK(node.status.allocatable.at("memory") == "4091904Ki");
  CHECK(node.status.nodeInfo.kubeletVersion == "v1.36.3+knarr.0.1.0");
  CHECK(node.status.daemonEndpoints.kubeletEndpoint.Port == 10250);
  CHECK(condition(node, "Ready") == "True");
  CHECK(condition(node, "Other") == "True");
  CHECK(condition(node, "DiskPressure") == "False");
  CHECK(condition(node, "KnarrLimitsEnforced") == "True");
  CHECK(node.status.conditions[0].lastTransitionTime == known->status.conditions[0].lastTransitionTime);
  CHECK(node.status.conditions[0].lastHeartbeatTime == at(0));

  options.missing = {"no cgroup v2 memory controller: memory limits are not enforced"};
  Usage full = usage();
  full.disk_available = full.disk_bytes / 20;
  node = make_node(options, machine(), full, nullptr, unavailable("no network"), {}, at(0));
  CHECK(condition(node, "Ready") == "False");
  CHECK(condition(node, "DiskPressure") == "True");
  CHECK(condition(node, "KnarrLimitsEnforced") == "False");
}

TEST_CASE("credentials for registries", "[image_puller]") {
  const char* config =
      R"({"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnc="},"reg.example.com:5000":{"username":"a","password":"b"}}})";
  CHECK(registry_auth(config, "docker.io")->username == "u");
  CHECK(registry_auth(config, "docker.io")->password == "p:w");
  CHECK(registry_auth(config, "reg.example.com:5000")->password == "b");
  CHECK_FALSE(registry_auth(config, "other"));
  CHECK_FALSE(registry_auth("nonsense", "other"));
}

TEST_CASE("what is asked of a log", "[node_api]") {
  http::Request request;
  request.query = {
      {"follow", "true"}, {"tailLines", "5"}, {"sinceSeconds", "10"}, {"limitBytes", "100"}, {"timestamps", "true"}};
  auto query = parse_log_query(request, at(0));
  REQUIRE(query.ok());
  CHECK(query->follow);
  CHECK(query->timestamps);
  CHECK(query->tail_lines == 5);
  CHECK(query->limit_bytes == 100);
  CHECK(query->since == at(-10));
  request.query = {{"tailLines", "-1"}};
  CHECK_FALSE(parse_log_query(request, at(0)).ok());
}

TEST_CASE("exec's end as the error stream tells it", "[node_api]") {
  CHECK(exit_status_json(0) == R"({"metadata":{},"status":"Success"})");
  CHECK(exit_status_json(3).find(
            R"("reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]})") !=
        std::string::npos);
}

TEST_CASE("the node API: only the server and administrators may use it", "[node_api]") {
  const test::TempDirectory directory;
  const std::string& dir = directory.path;
  auto ca = auth::CertificateAuthority::load_or_create(dir, "test-ca");
  REQUIRE(ca.ok());
  REQUIRE(
      ca->ensure(
            "serving",
            {.common_name = "n1", .organizations = {}, .dns_names = {}, .ip_addresses = {"127.0.0.1"}, .server = true})
          .ok());
  REQUIRE(
      ca->ensure(
            "server",
            {.common_name = "knarr-server", .organizations = {}, .dns_names = {}, .ip_addresses = {}, .client = true})
          .ok());
  REQUIRE(ca->ensure("node", {.common_name = "system:node:n2",
                              .organizations = {"system:nodes"},
                              .dns_names = {},
                              .ip_addresses = {},
                              .client = true})
              .ok());
  {
    FakeNode node;
    node.start();
    auto api = NodeApi::start({.address = "127.0.0.1",
                               .port = 0,
                               .certificate_file = dir + "/serving.crt",
                               .key_file = dir + "/serving.key",
                               .client_ca_file = ca->trusted_file()},
                              *node.pods, node.runtime);
    REQUIRE(api.ok());
    auto ask = [&](const std::string& who, const std::string& target) {
      http::ClientOptions options;
      options.url = fmt::format("https://127.0.0.1:{}", (*api)->port());
      options.ca_file = ca->trusted_file();
      if (!who.empty()) {
        options.certificate_file = dir + "/" + who + ".crt";
        options.key_file = dir + "/" + who + ".key";
      }
      auto client = http::Client::make(options);
      REQUIRE(client.ok());
      http::ClientRequest request;
      request.target = target;
      auto response = (*client)->send(request);
      REQUIRE(response.ok());
      return std::pair(response->status, response->body);
    };
    CHECK(ask("", "/healthz") == std::pair(200, std::string("ok")));
    CHECK(ask("", "/pods").first == 401);
    CHECK(ask("node", "/pods").first == 403);
    CHECK(ask("server", "/pods").first == 200);
    CHECK(ask("server", "/containerLogs/default/web/c").first == 404);

    node.api.put("web", "u1", R"({"restartPolicy":"Always","containers":[{"name":"c","image":"here"}]})");
    REQUIRE(node.api.wait_phase("web", "Running"));
    auto where = node.pods->locate("default", "web", "c", "");
    REQUIRE(where.ok());
    REQUIRE(linux::make_directories(where->log_path.substr(0, where->log_path.rfind('/'))).ok());
    std::ofstream(where->log_path)
        << "2026-11-21T12:00:00.000000000Z stdout F one\n2026-11-21T12:00:01.000000000Z stdout F two\n";
    CHECK(ask("server", "/containerLogs/default/web/c") == std::pair(200, std::string("one\ntwo\n")));
    CHECK(ask("server", "/containerLogs/default/web/c?tailLines=1") == std::pair(200, std::string("two\n")));
    CHECK(ask("server", "/containerLogs/default/web/c?previous=true").first == 400);
    CHECK(ask("server", "/containerLogs/default/web/other").first == 404);
    CHECK(ask("server", "/exec/default/web/c?command=x&output=1").first == 400);
  }
  REQUIRE(linux::remove_tree(dir).ok());
}
