#include "knarr/auth/audit.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::auth;

namespace {

constexpr std::string_view kPolicy = R"(
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: [watch]
  resources: [{group: "", resources: [endpoints, services]}]
- level: None
  userGroups: ["system:authenticated"]
  nonResourceURLs: ["/api*", /version]
- level: Request
  omitManagedFields: true
  resources: [{group: "", resources: [configmaps], resourceNames: [a]}]
  namespaces: [kube-system]
- level: RequestResponse
  resources: [{group: apps}, {group: "", resources: ["pods/log", "*/status", "nodes/*"]}]
  omitStages: [ResponseStarted]
- level: Metadata
)";

}  // namespace

TEST_CASE("The first rule that fits decides", "[audit]") {
  const auto policy = AuditPolicy::parse(kPolicy);
  REQUIRE(policy.ok());
  UserInfo proxy, user;
  proxy.name = "system:kube-proxy";
  user.name = "al";
  user.groups = {"system:authenticated"};
  struct {
    const UserInfo* user;
    const char *verb, *group, *resource, *subresource, *ns, *name, *path;
    const char* level;
  } const cases[] = {
      {&proxy, "watch", "", "services", "", "", "", "", "None"},
      {&proxy, "list", "", "services", "", "", "", "", "Metadata"},
      {&user, "watch", "", "services", "", "", "", "", "Metadata"},
      {&user, "get", "", "", "", "", "", "/apis/x", "None"},
      {&user, "get", "", "", "", "", "", "/version", "None"},
      {&user, "get", "", "", "", "", "", "/version/", "Metadata"},
      {&proxy, "get", "", "", "", "", "", "/version", "Metadata"},
      {&user, "get", "", "configmaps", "", "kube-system", "a", "", "Request"},
      {&user, "get", "", "configmaps", "", "kube-system", "b", "", "Metadata"},
      {&user, "get", "", "configmaps", "", "default", "a", "", "Metadata"},
      {&user, "get", "apps", "anything", "", "", "", "", "RequestResponse"},
      {&user, "get", "", "pods", "", "", "", "", "Metadata"},
      {&user, "get", "", "pods", "log", "", "", "", "RequestResponse"},
      {&user, "get", "", "pods", "status", "", "", "", "RequestResponse"},
      {&user, "get", "", "nodes", "proxy", "", "", "", "RequestResponse"},
      {&user, "get", "", "nodes", "", "", "", "", "RequestResponse"},
  };
  for (const auto& c : cases) {
    INFO(c.verb << " " << c.group << "/" << c.resource << "/" << c.subresource << " " << c.path);
    Attributes a;
    a.user = c.user;
    a.verb = c.verb;
    a.resource_request = *c.resource != 0;
    a.group = c.group;
    a.resource = c.resource;
    a.subresource = c.subresource;
    a.ns = c.ns;
    a.name = c.name;
    a.path = c.path;
    const AuditDecision decision = policy->decide(a);
    CHECK(to_string(decision.level) == c.level);
    CHECK_FALSE(decision.records(AuditStage::kRequestReceived));
    CHECK(decision.records(AuditStage::kResponseComplete) == (decision.level != AuditLevel::kNone));
    CHECK(decision.omit_managed_fields == (decision.level == AuditLevel::kRequest));
    if (decision.level == AuditLevel::kRequestResponse) CHECK_FALSE(decision.records(AuditStage::kResponseStarted));
  }
}

TEST_CASE("A wrong policy says what is wrong", "[audit]") {
  const std::string head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
  const std::pair<std::string, std::string> cases[] = {
      {"kind: Policy", "want an object of kind Policy"},
      {head, "no rules"},
      {head + "rules: [{level: All}]", "rules[0].level: Unsupported value: \"All\""},
      {head + "rules: [{level: None, omitStages: [x]}]", "rules[0].omitStages: Invalid value: \"x\""},
      {head + "rules: [{level: None, nonResourceURLs: [x]}]", "must begin with a '/'"},
      {head + "rules: [{level: None, namespaces: [x], nonResourceURLs: [/x]}]", "cannot apply to both"},
  };
  for (const auto& [text, message] : cases) {
    INFO(text);
    const auto policy = AuditPolicy::parse(text);
    REQUIRE_FALSE(policy.ok());
    CHECK(policy.status().message().find(message) != std::string::npos);
  }
}

TEST_CASE("A full log is put aside, old ones go", "[audit]") {
  const test::TempDirectory directory;
  ManualClock clock{WallTime(seconds(1'800'000'000))};
  const std::string path = directory.file("audit.log");
  auto log = AuditLog::open({.path = path, .max_bytes = 20, .max_files = 2, .clock = &clock});
  REQUIRE(log.ok());
  for (int i = 0; i < 5; ++i) {
    (*log)->write("0123456789" + std::to_string(i));
    clock.advance(seconds(1));
  }
  CHECK(*linux::read_file(path) == "01234567894\n");
  auto files = *linux::list_directory(directory.path);
  std::sort(files.begin(), files.end());
  CHECK(files == std::vector<std::string>{"audit-2027-01-15T08-00-03.000.log", "audit-2027-01-15T08-00-04.000.log",
                                          "audit.log"});
}
