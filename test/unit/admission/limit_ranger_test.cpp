#include "fixture.h"

using namespace knarr::admission::test;

namespace {

void limit(Api& api, const std::string& limits) {
  api.make("limitranges", R"({"metadata":{"name":"l"},"spec":{"limits":[)" + limits + "]}}");
}

std::string asks(const std::string& requests, const std::string& limits) {
  return pod_json("p", R"(,"resources":{"requests":{)" + requests + R"(},"limits":{)" + limits + "}}");
}

}  // namespace

TEST_CASE("limit ranges set defaults and say so") {
  Api api;
  limit(api, R"({"type":"Container","default":{"cpu":"500m","memory":"1Gi"},"defaultRequest":{"cpu":"100m"}})");
  const auto pod = api.make("pods", pod_json("p"));
  CHECK(at(pod["spec"]["containers"][0], {"resources"}) ==
        R"({"limits":{"cpu":"500m","memory":"1Gi"},"requests":{"cpu":"100m","memory":"1Gi"}})");
  CHECK(at(pod, {"metadata", "annotations", "kubernetes.io/limit-ranger"}) ==
        "LimitRanger plugin set: cpu, memory request for container main; cpu, memory limit for container main");
  const auto other = api.make(
      "pods",
      pod_json("q", R"(,"resources":{"limits":{"cpu":"1","memory":"2Gi"},"requests":{"cpu":"1","memory":"2Gi"}})"));
  CHECK(at(other, {"metadata", "annotations"}) == "<none>");
}

TEST_CASE("limit ranges refuse what is out of bounds") {
  struct Case {
    std::string limits, requests, resource_limits, expected;
  };
  const std::vector<Case> cases = {
      {R"({"type":"Container","min":{"cpu":"100m"}})", R"("cpu":"50m")", "",
       R"(pods "p" is forbidden: minimum cpu usage per Container is 100m, but request is 50m)"},
      {R"({"type":"Pod","min":{"memory":"100Mi"}})", "", "",
       R"(pods "p" is forbidden: minimum memory usage per Pod is 100Mi.  No request is specified)"},
      {R"({"type":"Container","max":{"memory":"1Gi"}})", "", R"("memory":"2Gi")",
       R"(pods "p" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi)"},
      {R"({"type":"Pod","max":{"cpu":"1"}})", "", "",
       R"(pods "p" is forbidden: maximum cpu usage per Pod is 1.  No limit is specified)"},
      {R"({"type":"Container","maxLimitRequestRatio":{"cpu":"2"}})", R"("cpu":"100m")", R"("cpu":"400m")",
       R"(pods "p" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000)"},
      {R"({"type":"Pod","max":{"cpu":"1","memory":"1Gi"}})", R"("cpu":"1","memory":"1Gi")",
       R"("cpu":"2","memory":"2Gi")",
       R"(pods "p" is forbidden: [maximum cpu usage per Pod is 1, but limit is 2, maximum memory usage per Pod is 1Gi, but limit is 2Gi])"},
      {R"({"type":"Pod","max":{"cpu":"2"}})", R"("cpu":"1")", R"("cpu":"2")", ""},
  };
  for (const Case& test : cases) {
    Api api;
    limit(api, test.limits);
    CHECK(api.refusal("pods", asks(test.requests, test.resource_limits)) == test.expected);
  }
}

TEST_CASE("limit ranges bound claims by their requests") {
  Api api;
  limit(api, R"({"type":"PersistentVolumeClaim","min":{"storage":"1Gi"},"max":{"storage":"2Gi"}})");
  const auto claim = [](std::string_view size) {
    return fmt::format(
        R"({{"metadata":{{"name":"c"}},"spec":{{"accessModes":["ReadWriteOnce"],"resources":{{"requests":{{"storage":"{}"}}}}}}}})",
        size);
  };
  CHECK(
      api.refusal("persistentvolumeclaims", claim("500Mi")) ==
      "persistentvolumeclaims \"c\" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request "
      "is 500Mi");
  CHECK(
      api.refusal("persistentvolumeclaims", claim("3Gi")) ==
      "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request "
      "is 3Gi");
  const auto made = api.make("persistentvolumeclaims", claim("1Gi"));
  CHECK(at(made, {"metadata", "finalizers"}) == R"(["kubernetes.io/pvc-protection"])");
}
