#include "fixture.h"

using namespace knarr::admission::test;

namespace {

constexpr std::string_view kClasses = "priorityclasses.scheduling.k8s.io";

std::string priority_class(std::string_view name, int value, std::string_view more = "") {
  return fmt::format(R"({{"metadata":{{"name":"{}"}},"value":{}{}}})", name, value, more);
}

}  // namespace

TEST_CASE("pods get the number of their priority class") {
  Api api;
  CHECK(at(api.make("pods", pod_json("none")), {"spec", "priority"}) == "0");
  api.make(kClasses, priority_class("high", 1000, R"(,"preemptionPolicy":"Never")"));
  const auto pod = api.make("pods", pod_json("high", "", R"(,"priorityClassName":"high")"));
  CHECK(at(pod, {"spec", "priority"}) == "1000");
  CHECK(at(pod, {"spec", "preemptionPolicy"}) == "Never");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"priorityClassName":"missing")")) ==
        R"(pods "p" is forbidden: no PriorityClass with name missing was found)");
  CHECK(
      api.refusal("pods", pod_json("p", "", R"(,"priorityClassName":"high","priority":7)")) ==
      "pods \"p\" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission "
      "controller computed 1000 from the given PriorityClass name");
  CHECK(api.refusal("pods",
                    pod_json("p", "", R"(,"priorityClassName":"high","preemptionPolicy":"PreemptLowerPriority")")) ==
        "pods \"p\" is forbidden: the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in "
        "pod "
        "spec; priority admission controller computed Never from the given PriorityClass name");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"preemptionPolicy":"")")) ==
        "pods \"p\" is forbidden: the string value of PreemptionPolicy () must not be provided in pod spec; priority admission controller "
        "computed PreemptLowerPriority from the given PriorityClass name");
}

TEST_CASE("one priority class is the default") {
  Api api;
  api.make(kClasses, priority_class("usual", 10, R"(,"globalDefault":true)"));
  const auto pod = api.make("pods", pod_json("p"));
  CHECK(at(pod, {"spec", "priority"}) == "10");
  CHECK(at(pod, {"spec", "priorityClassName"}) == "usual");
  CHECK(api.refusal(kClasses, priority_class("other", 11, R"(,"globalDefault":true)")) ==
        "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass usual is already marked as default. "
        "Only one default can exist");
}

TEST_CASE("the newest default class is taken") {
  Api api;
  const auto storage_class = [](std::string_view name, std::string_view is_default) {
    return fmt::format(
        R"({{"metadata":{{"name":"{}","annotations":{{"storageclass.kubernetes.io/is-default-class":"{}"}}}},"provisioner":"x.example.com/y"}})",
        name, is_default);
  };
  const auto claim = [](std::string_view name, std::string_view more) {
    return fmt::format(
        R"({{"metadata":{{"name":"{}"}},"spec":{{"accessModes":["ReadWriteOnce"],"resources":{{"requests":{{"storage":"1Gi"}}}}{}}}}})",
        name, more);
  };
  CHECK(at(api.make("persistentvolumeclaims", claim("a", "")), {"spec", "storageClassName"}) == "<none>");
  api.make("storageclasses.storage.k8s.io", storage_class("slow", "false"));
  api.make("storageclasses.storage.k8s.io", storage_class("fast", "true"));
  CHECK(at(api.make("persistentvolumeclaims", claim("b", "")), {"spec", "storageClassName"}) == "fast");
  CHECK(at(api.make("persistentvolumeclaims", claim("c", R"(,"storageClassName":"")")), {"spec", "storageClassName"}) ==
        "");
}

TEST_CASE("runtime classes add overhead and say where") {
  Api api;
  api.make("runtimeclasses.node.k8s.io",
           R"({"metadata":{"name":"vm"},"handler":"vm","overhead":{"podFixed":{"cpu":"250m"}},
               "scheduling":{"nodeSelector":{"kvm":"yes"},"tolerations":[{"key":"kvm","operator":"Exists"}]}})");
  const auto pod = api.make("pods", pod_json("p", "", R"(,"runtimeClassName":"vm")"));
  CHECK(at(pod, {"spec", "overhead"}) == R"({"cpu":"250m"})");
  CHECK(at(pod, {"spec", "nodeSelector"}) == R"({"kvm":"yes"})");
  CHECK(at(pod["spec"]["tolerations"][2], {"key"}) == "kvm");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"runtimeClassName":"")")) == "resource name may not be empty");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"runtimeClassName":"none")")) ==
        R"(pods "p" is forbidden: pod rejected: RuntimeClass "none" not found)");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"runtimeClassName":"vm","overhead":{"cpu":"1"})")) ==
        "pods \"p\" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"overhead":{"cpu":"1"})")) ==
        "pods \"p\" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
  CHECK(api.refusal("pods", pod_json("p", "", R"(,"runtimeClassName":"vm","nodeSelector":{"kvm":"no"})")) ==
        "pods \"p\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[kvm] = yes; "
        "pod.spec.nodeSelector[kvm] = no");
}

TEST_CASE("access of administrators to devices is refused with what else is wrong") {
  Api api;
  constexpr std::string_view kLabel = "spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the "
                                      "`resource.kubernetes.io/admin-access: true` label on the containing namespace";
  const auto claim = [](std::string_view more) {
    return fmt::format(R"({{"metadata":{{"name":"c"}},"spec":{{"devices":{{"requests":[{{"name":"x","exactly":{{"adminAccess":true{}}}}}]}}}}}})", more);
  };
  CHECK(api.refusal("resourceclaims.resource.k8s.io", claim("")) ==
        fmt::format("ResourceClaim.resource.k8s.io \"c\" is invalid: [{}, spec.devices.requests[0].exactly.deviceClassName: Required value]", kLabel));
  CHECK(api.refusal("resourceclaims.resource.k8s.io", claim(R"(,"deviceClassName":"d")")) ==
        fmt::format("ResourceClaim.resource.k8s.io \"c\" is invalid: {}", kLabel));
}

TEST_CASE("claims grow only when bound and when their class says so") {
  Api api;
  api.make("storageclasses.storage.k8s.io",
           R"({"metadata":{"name":"grows"},"provisioner":"x.example.com/y","allowVolumeExpansion":true})");
  api.make("persistentvolumeclaims",
           R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":"grows",
               "resources":{"requests":{"storage":"1Gi"}}}})");
  const auto grow = [&] {
    return api.patch("persistentvolumeclaims", "c", R"({"spec":{"resources":{"requests":{"storage":"2Gi"}}}})")
        .status()
        .message();
  };
  // Validation comes before the plugin.
  CHECK(grow().find("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims") !=
        std::string::npos);
}
