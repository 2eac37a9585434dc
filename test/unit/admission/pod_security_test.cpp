#include "fixture.h"

using namespace knarr::admission::test;

namespace {

void set_labels(Api& api, const std::string& labels) {
  auto patched = api.patch("namespaces", "default", R"({"metadata":{"labels":{)" + labels + "}}}");
  INFO(patched.status().to_string());
  REQUIRE(patched.ok());
}

}  // namespace

TEST_CASE("pod security: each rule in upstream's words") {
  struct Case {
    std::string level, container, spec, expected;
  };
  const std::vector<Case> cases = {
      {"privileged", R"(,"securityContext":{"privileged":true})", R"(,"hostNetwork":true)", ""},
      {"baseline", "", "", ""},
      {"baseline", R"(,"securityContext":{"privileged":true})", "",
       R"(privileged (container "main" must not set securityContext.privileged=true))"},
      {"baseline", "", R"(,"hostNetwork":true,"hostPID":true)", R"(host namespaces (hostNetwork=true, hostPID=true))"},
      {"baseline", "", R"(,"volumes":[{"name":"h","hostPath":{"path":"/"}}])", R"(hostPath volumes (volume "h"))"},
      {"baseline", R"(,"ports":[{"containerPort":80,"hostPort":80}])", "",
       R"(hostPort (container "main" uses hostPort 80))"},
      {"baseline", R"(,"securityContext":{"capabilities":{"add":["NET_ADMIN","CHOWN"]}})", "",
       R"(non-default capabilities (container "main" must not include "NET_ADMIN" in securityContext.capabilities.add))"},
      {"baseline", R"(,"securityContext":{"seLinuxOptions":{"type":"bad","user":"u"}})", "",
       R"(seLinuxOptions (container "main" set forbidden securityContext.seLinuxOptions: type "bad"; user may not be set))"},
      {"baseline", R"(,"securityContext":{"seccompProfile":{"type":"Unconfined"}})", "",
       R"(seccompProfile (container "main" must not set securityContext.seccompProfile.type to "Unconfined"))"},
      {"baseline", "", R"(,"securityContext":{"sysctls":[{"name":"kernel.msgmax","value":"1"}]})",
       R"(forbidden sysctls (kernel.msgmax))"},
      {"baseline", R"(,"livenessProbe":{"httpGet":{"port":80,"host":"10.0.0.1"}})", "",
       R"(probe or lifecycle host (container "main" uses probe or lifecycle host "10.0.0.1"))"},
      {"baseline", "", R"(,"securityContext":{"appArmorProfile":{"type":"Unconfined"}})",
       R"(forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined"))"},
      {"restricted", "", "",
       R"(allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false), )"
       R"(unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), )"
       R"(runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), )"
       R"(seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"))"},
      {"restricted",
       R"(,"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,)"
       R"("seccompProfile":{"type":"RuntimeDefault"}})",
       R"(,"volumes":[{"name":"n","nfs":{"server":"s","path":"/"}},{"name":"e","emptyDir":{}}])",
       R"(restricted volume types (volume "n" uses restricted volume type "nfs"))"},
      {"restricted",
       R"(,"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"],"add":["SYS_TIME"]},)"
       R"("runAsNonRoot":true,"runAsUser":0})",
       R"(,"securityContext":{"seccompProfile":{"type":"Localhost","localhostProfile":"x"}})",
       R"(unrestricted capabilities (container "main" must not include "SYS_TIME" in securityContext.capabilities.add), )"
       R"(runAsUser=0 (container "main" must not set runAsUser=0))"},
  };
  for (const Case& test : cases) {
    Api api;
    set_labels(api, R"("pod-security.kubernetes.io/enforce":")" + test.level + "\"");
    const std::string expected =
        test.expected.empty()
            ? ""
            : fmt::format(R"(pods "p" is forbidden: violates PodSecurity "{}:latest": {})", test.level, test.expected);
    CHECK(api.refusal("pods", pod_json("p", test.container, test.spec)) == expected);
  }
}

TEST_CASE("pod security: older versions are as they were") {
  Api api;
  set_labels(
      api, R"("pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/enforce-version":"v1.18")");
  CHECK(
      api.refusal("pods", pod_json("p")) ==
      R"(pods "p" is forbidden: violates PodSecurity "restricted:v1.18": allowPrivilegeEscalation != false (container )"
      R"("main" must set securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or container )"
      R"("main" must set securityContext.runAsNonRoot=true))");
}

TEST_CASE("pod security: warnings for pods and for what makes them") {
  Api api;
  set_labels(api, R"("pod-security.kubernetes.io/warn":"baseline")");
  api.make("pods", pod_json("p", R"(,"securityContext":{"privileged":true})"));
  REQUIRE(api.context.warnings.size() == 1);
  CHECK(api.context.warnings[0] ==
        R"(would violate PodSecurity "baseline:latest": privileged (container "main" must not set )"
        R"(securityContext.privileged=true))");
  set_labels(api, R"("pod-security.kubernetes.io/warn":null,"pod-security.kubernetes.io/enforce":"baseline")");
  CHECK(api.context.warnings ==
        std::vector<std::string>{
            R"(existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest")",
            "p: privileged"});
  api.make(
      "deployments.apps",
      R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
               "spec":{"hostNetwork":true,"containers":[{"name":"main","image":"busybox"}]}}}})");
  CHECK(api.context.warnings ==
        std::vector<std::string>{R"(would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true))"});
}

TEST_CASE("pod security: what the audit log is told") {
  using Told = std::map<std::string, std::string>;
  const std::string prefix = "pod-security.kubernetes.io/";
  const std::string violation = R"(would violate PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true))";
  Api api;
  Told told;
  api.context.audit = &told;
  api.make("pods", pod_json("a", ""));
  CHECK(told == Told{{prefix + "enforce-policy", "privileged:latest"}});
  set_labels(api, R"("pod-security.kubernetes.io/audit":"baseline","pod-security.kubernetes.io/audit-version":"v1.30")");
  told.clear();
  api.make("deployments.apps",
           R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
               "spec":{"hostNetwork":true,"containers":[{"name":"main","image":"busybox"}]}}}})");
  CHECK(told == Told{{prefix + "audit-violations", violation}});
  CHECK(api.context.warnings.empty());
  set_labels(api, R"("pod-security.kubernetes.io/enforce":"baseline")");
  told.clear();
  CHECK_FALSE(api.refusal("pods", R"({"metadata":{"name":"b"},"spec":{"hostNetwork":true,"containers":[{"name":"main","image":"busybox"}]}})").empty());
  CHECK(told == Told{{prefix + "enforce-policy", "baseline:latest"}, {prefix + "audit-violations", violation}});
}

TEST_CASE("pod security: labels that mean nothing are refused") {
  Api api;
  CHECK(api.refusal("namespaces",
                    R"({"metadata":{"name":"n","labels":{"pod-security.kubernetes.io/enforce":"strict",
                        "pod-security.kubernetes.io/warn-version":"1.2"}}})") ==
        "Namespace \"n\" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": "
        "must "
        "be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid "
        "value: \"1.2\": must be \"latest\" or \"v1.x\"]");
}
