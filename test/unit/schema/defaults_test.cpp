#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

using namespace knarr;

namespace {

std::string defaulted(std::string_view group, std::string_view kind, std::string_view text) {
  const schema::Resource* resource = schema::find_kind(group, "v1", kind);
  REQUIRE(resource);
  auto document = json::parse(text);
  REQUIRE(document.ok());
  schema::apply_defaults(*resource, *document, document->GetAllocator());
  return json::dump(*document);
}

// The defaulted object as far as `path` goes.
std::string part(std::string_view kind, std::string_view text, std::initializer_list<std::string_view> path) {
  auto document = json::parse(defaulted("", kind, text));
  REQUIRE(document.ok());
  const json::Value* value = &*document;
  for (std::string_view step : path) {
    REQUIRE(value != nullptr);
    value = value->IsArray() ? &(*value)[std::stoi(std::string(step))] : json::find(*value, step);
  }
  return value ? json::dump(*value) : "absent";
}

void same_json(const std::string& actual, std::string_view expected) {
  auto a = json::parse(actual), e = json::parse(expected);
  REQUIRE(a.ok());
  REQUIRE(e.ok());
  INFO(actual);
  CHECK(json::equal(*a, *e));
}

}  // namespace

TEST_CASE("a minimal pod gets what upstream gives it") {
  same_json(defaulted("", "Pod", R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"busybox"}]}})"),
            R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"busybox","resources":{},
               "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"Always"}],
               "restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},
               "schedulerName":"default-scheduler","enableServiceLinks":true},"status":{}})");
}

TEST_CASE("defaulting twice changes nothing") {
  std::string once = defaulted("", "Pod", R"({"metadata":{"name":"p"},"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"a:1",
      "ports":[{"containerPort":80}],"livenessProbe":{"httpGet":{"port":80}}}],"volumes":[{"name":"v"}]}})");
  CHECK(defaulted("", "Pod", once) == once);
}

TEST_CASE("the pull policy follows the tag") {
  const std::pair<const char*, const char*> cases[] = {
      {"busybox", "\"Always\""},
      {"busybox:latest", "\"Always\""},
      {"busybox:1.36", "\"IfNotPresent\""},
      {"localhost:5000/busybox", "\"Always\""},
      {"localhost:5000/busybox:1", "\"IfNotPresent\""},
      {"busybox@sha256:0123", "\"IfNotPresent\""},
      {"busybox:latest@sha256:0123", "\"Always\""},
  };
  for (const auto& [image, policy] : cases) {
    INFO(image);
    std::string pod = std::string(R"({"spec":{"containers":[{"name":"c","image":")") + image + R"("}]}})";
    CHECK(part("Pod", pod, {"spec", "containers", "0", "imagePullPolicy"}) == policy);
  }
  CHECK(part("Pod", R"({"spec":{"containers":[{"image":"a","imagePullPolicy":"Never"}]}})", {"spec", "containers", "0", "imagePullPolicy"}) ==
        "\"Never\"");
}

TEST_CASE("parts of pods") {
  struct Case {
    const char* what;
    const char* spec;
    std::initializer_list<std::string_view> path;
    const char* expected;
  };
  const Case cases[] = {
      {"probe", R"({"containers":[{"readinessProbe":{"tcpSocket":{"port":1},"timeoutSeconds":0}}]})", {"containers", "0", "readinessProbe"},
       R"({"tcpSocket":{"port":1},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3})"},
      {"httpGet", R"({"containers":[{"lifecycle":{"preStop":{"httpGet":{"port":"x"}}}}]})", {"containers", "0", "lifecycle"},
       R"({"preStop":{"httpGet":{"port":"x","path":"/","scheme":"HTTP"}}})"},
      {"protocol", R"({"containers":[{"ports":[{"containerPort":1}]}]})", {"containers", "0", "ports"}, R"([{"containerPort":1,"protocol":"TCP"}])"},
      {"host network", R"({"hostNetwork":true,"containers":[{"ports":[{"containerPort":1,"protocol":"UDP"}]}]})", {"containers", "0", "ports"},
       R"([{"containerPort":1,"protocol":"UDP","hostPort":1}])"},
      {"requests from limits", R"({"containers":[{"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}}}]})",
       {"containers", "0", "resources"}, R"({"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m","memory":"1Gi"}})"},
      {"quantities", R"({"containers":[{"resources":{"requests":{"cpu":"0.0001","memory":"1024Ki"}}}]})", {"containers", "0", "resources"},
       R"({"requests":{"cpu":"1m","memory":"1Mi"}})"},
      {"fieldRef", R"({"containers":[{"env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"x"}}}]}]})", {"containers", "0", "env"},
       R"([{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"x","apiVersion":"v1"}}}])"},
      {"ephemeral container", R"({"containers":[],"ephemeralContainers":[{"name":"d","image":"x:1"}]})", {"ephemeralContainers"},
       R"([{"name":"d","image":"x:1","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File",
           "imagePullPolicy":"IfNotPresent"}])"},
      {"volume without source", R"({"volumes":[{"name":"v"}]})", {"volumes"}, R"([{"name":"v","emptyDir":{}}])"},
      {"volume modes",
       R"({"volumes":[{"name":"a","secret":{"secretName":"s"}},{"name":"b","configMap":{"name":"c","defaultMode":0}},{"name":"c","hostPath":{"path":"/"}},
           {"name":"d","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}}]})",
       {"volumes"},
       R"([{"name":"a","secret":{"secretName":"s","defaultMode":420}},{"name":"b","configMap":{"name":"c","defaultMode":0}},
           {"name":"c","hostPath":{"path":"/","type":""}},
           {"name":"d","projected":{"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":3600}}],"defaultMode":420}}])"},
      {"service account", R"({"serviceAccount":"a"})", {"serviceAccountName"}, "\"a\""},
      {"pod level requests", R"({"resources":{"limits":{"cpu":"2","memory":"1Gi"}},"containers":[{"resources":{"requests":{"cpu":"1"}}}]})",
       {"resources"}, R"({"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}})"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    auto document = json::parse(defaulted("", "Pod", std::string(R"({"spec":)") + c.spec + "}"));
    const json::Value* value = json::find(*document, "spec");
    for (std::string_view step : c.path) value = value->IsArray() ? &(*value)[std::stoi(std::string(step))] : json::find(*value, step);
    REQUIRE(value);
    same_json(json::dump(*value), c.expected);
  }
}

TEST_CASE("other kinds") {
  same_json(defaulted("", "Namespace", R"({"metadata":{"name":"n"}})"),
            R"({"metadata":{"name":"n","labels":{"kubernetes.io/metadata.name":"n"}},"spec":{},"status":{"phase":"Active"}})");
  same_json(defaulted("", "Secret", R"({"data":{"a":"AA=="},"stringData":{"a":"x","b":"y"}})"),
            R"({"metadata":{},"data":{"a":"eA==","b":"eQ=="},"type":"Opaque"})");
  same_json(defaulted("", "ConfigMap", R"({"data":{"a":"b"}})"), R"({"metadata":{},"data":{"a":"b"}})");
  same_json(defaulted("coordination.k8s.io", "Lease", R"({"metadata":{"name":"l"}})"), R"({"metadata":{"name":"l"},"spec":{}})");
  CHECK(part("Node", R"({"status":{"capacity":{"cpu":"2"}}})", {"status", "allocatable"}) == R"({"cpu":"2"})");
  CHECK(part("Node", R"({"spec":{"podCIDR":"10.0.0.0/24"}})", {"spec", "podCIDRs"}) == R"(["10.0.0.0/24"])");
  CHECK(part("Pod", R"({"status":{"podIPs":[{"ip":"10.0.0.1"}]}})", {"status", "podIP"}) == "\"10.0.0.1\"");
}
