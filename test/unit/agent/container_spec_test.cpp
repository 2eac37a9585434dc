#include "agent/container_spec.h"

#include <signal.h>

#include "agent/pod_files.h"
#include "agent/volumes.h"
#include "unit/agent/pod_builder.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

class FakeSources : public Sources {
 public:
  std::map<std::string, std::map<std::string, std::string>> config_maps, secrets;

  Result<std::shared_ptr<const core::ConfigMap>> config_map(const std::string&, const std::string& name,
                                                            seconds) override {
    if (!config_maps.contains(name)) return not_found("configmap \"" + name + "\" not found");
    auto map = std::make_shared<core::ConfigMap>();
    map->data = config_maps[name];
    return std::shared_ptr<const core::ConfigMap>(map);
  }
  Result<std::shared_ptr<const core::Secret>> secret(const std::string&, const std::string& name, seconds) override {
    if (!secrets.contains(name)) return not_found("secret \"" + name + "\" not found");
    auto secret = std::make_shared<core::Secret>();
    secret->data = secrets[name];
    return std::shared_ptr<const core::Secret>(secret);
  }
  std::vector<std::shared_ptr<const core::Service>> services(const std::string&) override { return known_services; }
  std::vector<std::shared_ptr<const core::Service>> known_services;
  Result<std::string> token(const TokenWanted& wanted) override { return "token of " + wanted.account; }
};

Result<runtime::ContainerSpec> spec_of(const core::Pod& pod, const image::Image& image,
                                       const Variables& environment = {}) {
  return make_container_spec({.pod = pod,
                              .container = pod.spec.containers[0],
                              .image = image,
                              .environment = environment,
                              .mounts = {},
                              .termination_log = "",
                              .id = "id",
                              .attempt = 0,
                              .seccomp_directory = "/seccomp",
                              .node_memory_bytes = 1 << 30});
}

core::Pod pod_with(const std::string& container, const std::string& more = "") {
  return pod_of(R"({"restartPolicy":"Always")" + (more.empty() ? "" : "," + more) +
                R"(,"containers":[{"name":"a","image":"x")" + (container.empty() ? "" : "," + container) + "}]}");
}

}  // namespace

TEST_CASE("$(NAME) is expanded as upstream does", "[environment]") {
  auto lookup = [](std::string_view name) -> std::optional<std::string> {
    if (name == "A") return "1";
    if (name == "EMPTY") return "";
    return {};
  };
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},          {"$(A)", "1"},    {"x$(A)y$(A)", "x1y1"}, {"$(MISSING)", "$(MISSING)"},
      {"$$(A)", "$(A)"}, {"$$$(A)", "$1"}, {"$A", "$A"},           {"$(A", "$(A"},
      {"$", "$"},        {"a$", "a$"},     {"$(EMPTY)-", "-"},     {"$(A)$(A", "1$(A"},
      {"$$", "$"},       {"$(A)$$", "1$"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(expand(text, lookup) == expected);
  }
}

TEST_CASE("environment: sources, order and what fails", "[environment]") {
  FakeSources sources;
  sources.config_maps["cm"] = {{"A", "from-map"}, {"B", "b"}};
  sources.secrets["s"] = {{"TOKEN", "t"}};
  auto pod = pod_with(
      R"j("envFrom":[{"configMapRef":{"name":"cm"}},{"prefix":"P_","secretRef":{"name":"s"}},{"configMapRef":{"name":"none","optional":true}}],
    "env":[{"name":"A","value":"own"},{"name":"C","value":"$(A)-$(B)-$(NONE)"
},
           {"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}},
           {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
           {"name":"LABEL","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},
           {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
           {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
           {"name":"KEY","valueFrom":{"configMapKeyRef":{"name":"cm","key":"B"}}},
           {"name":"OPT","valueFrom":{"secretKeyRef":{"name":"s","key":"no","optional":true}}}],
    "resources":{"limits":{"cpu":"1500m"}})j",
      R"("nodeName":"n1")");
  pod.metadata.labels["app"] = "web";
  PodFacts facts{pod, "192.0.2.1", {"10.42.0.7"}, {{"memory", "1000Mi"}}};
  auto made = make_environment(facts, pod.spec.containers[0], sources);
  REQUIRE(made.ok());
  std::map<std::string, std::string> seen(made->begin(), made->end());
  CHECK(seen == std::map<std::string, std::string>{{"A", "own"},
                                                   {"B", "b"},
                                                   {"P_TOKEN", "t"},
                                                   {"C", "own-b-$(NONE)"},
                                                   {"NODE", "n1"},
                                                   {"IP", "10.42.0.7"},
                                                   {"LABEL", "web"},
                                                   {"CPU", "2"},
                                                   {"MEM", "1000"},
                                                   {"KEY", "b"}});
  auto missing = pod_with(R"("env":[{"name":"X","valueFrom":{"configMapKeyRef":{"name":"cm","key":"no"}}}])");
  CHECK(make_environment({missing, "", {}, {}}, missing.spec.containers[0], sources).status().message() ==
        "couldn't find key no in ConfigMap default/cm");
}

TEST_CASE("environment: names as the API has them, Services, and where the API is", "[environment]") {
  FakeSources sources;
  sources.config_maps["cm"] = {{"data-1", "a"}, {"2.b", "b"}};
  auto service = std::make_shared<core::Service>();
  service->metadata.name = "my-web";
  service->spec.clusterIP = "10.43.0.9";
  service->spec.ports.resize(2);
  service->spec.ports[0].name = "http";
  service->spec.ports[0].port = 80;
  service->spec.ports[0].protocol = "TCP";
  service->spec.ports[1].port = 53;
  service->spec.ports[1].protocol = "UDP";
  auto headless = std::make_shared<core::Service>(*service);
  headless->metadata.name = "headless";
  headless->spec.clusterIP = "None";
  sources.known_services = {service, headless};
  auto pod = pod_with(R"j("envFrom":[{"prefix":"1-","configMapRef":{"name":"cm"}}],
    "env":[{"name":"MY_WEB_PORT","value":"own"},{"name":"URL","value":"$(MY_WEB_SERVICE_HOST):$(MY_WEB_SERVICE_PORT)"}])j");
  PodFacts facts{pod, "", {}, {}, "192.0.2.1", "6443"};
  auto made = make_environment(facts, pod.spec.containers[0], sources);
  REQUIRE(made.ok());
  std::map<std::string, std::string> seen(made->begin(), made->end());
  CHECK(seen == std::map<std::string, std::string>{{"1-data-1", "a"},
                                                   {"1-2.b", "b"},
                                                   {"MY_WEB_PORT", "own"},
                                                   {"URL", "10.43.0.9:80"},
                                                   {"MY_WEB_SERVICE_HOST", "10.43.0.9"},
                                                   {"MY_WEB_SERVICE_PORT", "80"},
                                                   {"MY_WEB_SERVICE_PORT_HTTP", "80"},
                                                   {"MY_WEB_PORT_80_TCP", "tcp://10.43.0.9:80"},
                                                   {"MY_WEB_PORT_80_TCP_PROTO", "tcp"},
                                                   {"MY_WEB_PORT_80_TCP_PORT", "80"},
                                                   {"MY_WEB_PORT_80_TCP_ADDR", "10.43.0.9"},
                                                   {"MY_WEB_PORT_53_UDP", "udp://10.43.0.9:53"},
                                                   {"MY_WEB_PORT_53_UDP_PROTO", "udp"},
                                                   {"MY_WEB_PORT_53_UDP_PORT", "53"},
                                                   {"MY_WEB_PORT_53_UDP_ADDR", "10.43.0.9"},
                                                   {"KUBERNETES_SERVICE_HOST", "192.0.2.1"},
                                                   {"KUBERNETES_SERVICE_PORT", "6443"},
                                                   {"KUBERNETES_SERVICE_PORT_HTTPS", "6443"},
                                                   {"KUBERNETES_PORT", "tcp://192.0.2.1:6443"},
                                                   {"KUBERNETES_PORT_443_TCP", "tcp://192.0.2.1:6443"},
                                                   {"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
                                                   {"KUBERNETES_PORT_443_TCP_PORT", "6443"},
                                                   {"KUBERNETES_PORT_443_TCP_ADDR", "192.0.2.1"}});
  pod.spec.enableServiceLinks = false;
  made = make_environment(facts, pod.spec.containers[0], sources);
  REQUIRE(made.ok());
  CHECK_FALSE(find_variable(*made, "MY_WEB_SERVICE_HOST"));
  CHECK(find_variable(*made, "KUBERNETES_SERVICE_HOST"));
}

TEST_CASE("command and arguments: the image's and the container's", "[container_spec]") {
  image::Image image;
  image.config.entrypoint = {"/entry"};
  image.config.cmd = {"default"};
  struct Case {
    const char* container;
    std::vector<std::string> args;
  };
  const Case cases[] = {
      {"", {"/entry", "default"}},
      {R"("command":["/cmd"])", {"/cmd"}},
      {R"j("args":["x","$(A)"])j", {"/entry", "x", "1"}},
      {R"("command":["/cmd"],"args":["y"])", {"/cmd", "y"}},
  };
  for (const auto& c : cases) {
    auto pod = pod_with(c.container);
    auto spec = spec_of(pod, image, {{"A", "1"}});
    REQUIRE(spec.ok());
    CHECK(spec->args == c.args);
  }
  auto nothing = pod_with("");
  CHECK_FALSE(spec_of(nothing, image::Image()).ok());
}

TEST_CASE("security: the container's goes before the pod's", "[container_spec]") {
  image::Image image;
  image.config.cmd = {"/x"};
  auto pod = pod_with(
      R"("securityContext":{"runAsUser":7,"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,
    "capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]}})",
      R"("securityContext":{"runAsUser":1,"runAsGroup":2,"fsGroup":9,"supplementalGroups":[5],"seccompProfile":{"type":"Unconfined"}})");
  auto spec = spec_of(pod, image);
  REQUIRE(spec.ok());
  CHECK(spec->run_as_user == 7);
  CHECK(spec->run_as_group == 2);
  CHECK(spec->security.additional_gids == std::vector<int64_t>{5, 9});
  CHECK(spec->security.no_new_privileges);
  CHECK(spec->security.read_only_root);
  CHECK(spec->security.seccomp == "Unconfined");
  CHECK(spec->security.drop_capabilities == std::vector<std::string>{"ALL"});
}

TEST_CASE("runAsNonRoot is checked against what would run", "[container_spec]") {
  struct Case {
    const char* security;
    const char* image_user;
    bool good;
  };
  const Case cases[] = {
      {R"({"runAsNonRoot":true})", "", false},
      {R"({"runAsNonRoot":true})", "0", false},
      {R"({"runAsNonRoot":true})", "1000", true},
      {R"({"runAsNonRoot":true})", "1000:0", true},
      {R"({"runAsNonRoot":true})", "nobody", false},
      {R"({"runAsNonRoot":true,"runAsUser":5})", "", true},
      {R"({"runAsNonRoot":true,"runAsUser":0})", "5", false},
      {R"({"runAsNonRoot":false})", "", true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.security, c.image_user);
    image::Image image;
    image.config.cmd = {"/x"};
    image.config.user = c.image_user;
    auto pod = pod_with(std::string(R"("securityContext":)") + c.security);
    CHECK(spec_of(pod, image).ok() == c.good);
  }
}

TEST_CASE("resources become limits", "[container_spec]") {
  image::Image image;
  image.config.cmd = {"/x"};
  auto pod =
      pod_with(R"("resources":{"limits":{"cpu":"250m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"512Mi"}})");
  pod.status.qosClass = "Burstable";
  auto spec = spec_of(pod, image);
  REQUIRE(spec.ok());
  CHECK(spec->resources.memory_limit_bytes == 64 << 20);
  CHECK(spec->resources.cpu_quota_us == 25'000);
  CHECK(spec->resources.cpu_shares == 102);
  CHECK(spec->oom_score_adj == 500);
}

TEST_CASE("host names, signals", "[container_spec]") {
  auto pod = pod_with("");
  CHECK(pod_hostname(pod) == "web");
  pod.metadata.name = std::string(62, 'x') + "-y";
  CHECK(pod_hostname(pod) == std::string(62, 'x'));
  pod.spec.hostname = "own";
  CHECK(pod_hostname(pod) == "own");
  CHECK(signal_number("SIGUSR1") == SIGUSR1);
  CHECK(signal_number("QUIT") == SIGQUIT);
  CHECK(signal_number("9") == 9);
  CHECK(signal_number("RTMIN+3") == SIGRTMIN + 3);
  CHECK(signal_number("nonsense") == SIGTERM);
}

TEST_CASE("hosts and resolv.conf", "[pod_files]") {
  auto pod = pod_with("", R"("hostAliases":[{"ip":"1.2.3.4","hostnames":["x","y"]}],"dnsPolicy":"ClusterFirst",
    "dnsConfig":{"nameservers":["9.9.9.9"],"searches":["own"],"options":[{"name":"ndots","value":"2"}]})");
  std::string hosts = hosts_text(pod, "web", "10.42.0.7", "");
  CHECK(hosts.find("10.42.0.7\tweb\n") != std::string::npos);
  CHECK(hosts.find("# Entries added by HostAliases.\n1.2.3.4\tx\ty\n") != std::string::npos);
  CHECK(resolv_text(pod, "nameserver 127.0.0.53\nnameserver 8.8.8.8\nsearch lan\noptions edns0 ndots:5\n") ==
        "search lan own\nnameserver 8.8.8.8\nnameserver 9.9.9.9\noptions edns0 ndots:2\n");
  pod.spec.dnsPolicy = "None";
  CHECK(resolv_text(pod, "nameserver 8.8.8.8\n") == "search own\nnameserver 9.9.9.9\noptions ndots:2\n");
}
