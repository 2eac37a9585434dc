#include "knarr/auth/rbac.h"

#include <catch2/catch.hpp>

#include "knarr/store/journal.h"

using namespace knarr;
using namespace knarr::auth;

namespace {

std::unique_ptr<store::Store> make_store() {
  return std::move(*store::Store::open(store::make_memory_journal(), store::Store::Options{}));
}

void put(store::Store& store, const std::string& resource, const std::string& key, const std::string& text) {
  store::Write write;
  write.resource = store.resource(resource + ".rbac.authorization.k8s.io");
  write.key = key;
  write.value = R"({"rv":"",)" + text.substr(1);  // the store writes the revision there
  write.rev_pos = 7;
  REQUIRE(store.commit({&write, 1}).ok());
}

void remove(store::Store& store, const std::string& resource, const std::string& key) {
  store::Write write;
  write.op = store::Write::Op::kDelete;
  write.resource = store.resource(resource + ".rbac.authorization.k8s.io");
  write.key = key;
  REQUIRE(store.commit({&write, 1}).ok());
}

PolicyRule rule(const std::string& text) {
  const auto document = json::parse("[" + text + "]");
  REQUIRE(document.ok());
  return read_rules(&*document).front();
}

Attributes ask(const UserInfo& user, std::string_view verb, std::string_view resource, std::string_view ns = "",
               std::string_view name = "", std::string_view group = "") {
  Attributes a;
  a.user = &user;
  a.verb = verb;
  a.resource_request = true;
  a.group = group;
  const size_t slash = resource.find('/');
  a.resource = resource.substr(0, slash);
  if (slash != resource.npos) a.subresource = resource.substr(slash + 1);
  a.ns = ns;
  a.name = name;
  return a;
}

}  // namespace

TEST_CASE("A rule allows what it names", "[rbac]") {
  const UserInfo user;
  struct {
    const char *rule, *verb, *resource, *group, *name;
    bool allows;
  } const cases[] = {
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", "get", "pods", "", "", true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", "list", "pods", "", "", false},
      {R"({"verbs":["*"],"apiGroups":[""],"resources":["pods"]})", "list", "pods", "", "", true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", "get", "pods", "apps", "", false},
      {R"({"verbs":["get"],"apiGroups":["*"],"resources":["pods"]})", "get", "pods", "apps", "", true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", "get", "pods/log", "", "", false},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods/log"]})", "get", "pods/log", "", "", true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods/log"]})", "get", "pods", "", "", false},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["*/log"]})", "get", "pods/log", "", "", true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["*/log"]})", "get", "pods", "", "", false},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods/*"]})", "get", "pods/log", "", "", false},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["*"]})", "get", "pods/log", "", "", true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})", "get", "pods", "", "a",
       true},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})", "get", "pods", "", "b",
       false},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})", "get", "pods", "", "",
       false},
      {R"({"verbs":["get"],"nonResourceURLs":["*"]})", "get", "pods", "", "", false},
  };
  for (const auto& c : cases) {
    INFO(c.rule << " " << c.verb << " " << c.resource << " " << c.name);
    CHECK(rule_allows(rule(c.rule), ask(user, c.verb, c.resource, "", c.name, c.group)) == c.allows);
  }
}

TEST_CASE("A rule allows paths", "[rbac]") {
  struct {
    const char *pattern, *path;
    bool allows;
  } const cases[] = {{"/api", "/api", true},          {"/api", "/api/v1", false}, {"/api/*", "/api/v1", true},
                     {"/api/*", "/api", false},       {"*", "/anything", true},   {"/healthz", "/healthz/", false},
                     {"/version*", "/version/", true}};
  for (const auto& c : cases) {
    INFO(c.pattern << " " << c.path);
    Attributes a;
    a.verb = "get";
    a.path = c.path;
    CHECK(rule_allows(rule(std::string(R"({"verbs":["get"],"nonResourceURLs":[")") + c.pattern + "\"]}"), a) ==
          c.allows);
  }
}

TEST_CASE("What is not held cannot be handed out", "[rbac]") {
  UserInfo user;
  user.name = "al";
  user.groups = {"a", "b"};
  const std::vector<PolicyRule> held = {
      rule(R"({"verbs":["get","list"],"apiGroups":[""],"resources":["pods","*/scale"]})"),
      rule(R"({"verbs":["get"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["x","y"]})"),
      rule(R"({"verbs":["get"],"nonResourceURLs":["/api/*"]})")};
  struct {
    const char *wanted, *missing;  // "" when nothing is
  } const cases[] = {
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", ""},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})", ""},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["deployments/scale"]})", ""},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["y"]})", ""},
      {R"({"verbs":["get"],"nonResourceURLs":["/api/v1"]})", ""},
      {R"({"verbs":["get"],"apiGroups":[""],"resources":["secrets"]})",
       R"({APIGroups:[""], Resources:["secrets"], Verbs:["get"]})"},
      {R"({"verbs":["get","delete","watch"],"apiGroups":[""],"resources":["pods"]})",
       R"({APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]})"},
      {R"({"verbs":["get"],"apiGroups":["","apps"],"resources":["pods"],"resourceNames":["z"]})",
       R"({APIGroups:["apps"], Resources:["pods"], ResourceNames:["z"], Verbs:["get"]})"},
      {R"({"verbs":["get","put"],"nonResourceURLs":["/x"]})",
       "{NonResourceURLs:[\"/x\"], Verbs:[\"get\"]}\n{NonResourceURLs:[\"/x\"], Verbs:[\"put\"]}"},
  };
  for (const auto& c : cases) {
    INFO(c.wanted);
    const std::vector<PolicyRule> wanted = {rule(c.wanted)};
    const std::string refusal = escalation_refusal(user, held, wanted, {});
    if (std::string(c.missing).empty()) {
      CHECK(refusal == "");
    } else {
      CHECK(refusal == std::string("user \"al\" (groups=[\"a\" \"b\"]) is attempting to grant RBAC permissions not "
                                   "currently held:\n") +
                           c.missing);
    }
  }
}

TEST_CASE("Bindings take effect at once, and end at once", "[rbac]") {
  const auto store = make_store();
  put(*store, "clusterroles", "reader", R"({"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})");
  RbacAuthorizer rbac(*store);
  UserInfo user;
  user.name = "al";
  user.groups = {"devs"};
  UserInfo robot = service_account_user("n", "robot", "");
  const auto decide = [&](const UserInfo& who, std::string_view ns) {
    Attributes a = ask(who, "get", "pods", ns);
    a.explain = true;
    return rbac.authorize(a);
  };
  CHECK(decide(user, "n").decision == Decision::kNoOpinion);

  put(*store, "rolebindings", "n/b",
      R"({"roleRef":{"kind":"ClusterRole","name":"reader"},"subjects":[{"kind":"Group","name":"devs"},)"
      R"({"kind":"ServiceAccount","name":"robot"}]})");
  CHECK(decide(user, "n").reason == R"(RBAC: allowed by RoleBinding "b/n" of ClusterRole "reader" to Group "devs")");
  CHECK(decide(user, "other").decision == Decision::kNoOpinion);
  CHECK(decide(user, "").decision == Decision::kNoOpinion);
  CHECK(decide(robot, "n").reason ==
        R"(RBAC: allowed by RoleBinding "b/n" of ClusterRole "reader" to ServiceAccount "robot/n")");

  put(*store, "clusterroles", "reader", R"({"rules":[]})");
  CHECK(decide(user, "n").decision == Decision::kNoOpinion);
  remove(*store, "clusterroles", "reader");
  CHECK(decide(user, "n").reason == R"(RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found)");

  put(*store, "roles", "n/local", R"({"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})");
  put(*store, "rolebindings", "n/b",
      R"({"roleRef":{"kind":"Role","name":"local"},"subjects":[{"kind":"User","name":"al"}]})");
  CHECK(decide(user, "n").decision == Decision::kAllow);
  CHECK(decide(robot, "n").decision == Decision::kNoOpinion);
  remove(*store, "rolebindings", "n/b");
  CHECK(decide(user, "n").decision == Decision::kNoOpinion);

  put(*store, "clusterrolebindings", "all",
      R"({"roleRef":{"kind":"ClusterRole","name":"gone"},"subjects":[{"kind":"User","name":"al"},{"kind":"Group","name":"devs"}]})");
  put(*store, "clusterroles", "gone", R"({"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]})");
  CHECK(decide(user, "anywhere").decision == Decision::kAllow);
  UserRules rules;
  rbac.list_rules(user, "n", rules);
  CHECK(rules.rules.size() == 1);  // the binding names him twice
}

TEST_CASE("Default roles are made, mended and left alone", "[rbac]") {
  const auto defaults = default_rbac_objects();
  CHECK(defaults.size() == 133);
  const auto wanted = json::parse(
      R"({"kind":"ClusterRole","metadata":{"name":"a","annotations":{"rbac.authorization.kubernetes.io/autoupdate":"true"}},)"
      R"("rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})");
  bool replace = false;
  CHECK(reconciled(*wanted, nullptr, replace) != "");
  CHECK(reconciled(*wanted, &*wanted, replace) == "");
  const auto less =
      json::parse(R"({"metadata":{"name":"a"},"rules":[{"verbs":["x"],"apiGroups":[""],"resources":["y"]}]})");
  const auto mended = json::parse(reconciled(*wanted, &*less, replace));
  REQUIRE(mended.ok());
  CHECK((*json::find(*mended, "rules")).Size() == 2);
  const auto own = json::parse(
      R"({"metadata":{"name":"a","annotations":{"rbac.authorization.kubernetes.io/autoupdate":"false"}},"rules":[]})");
  CHECK(reconciled(*wanted, &*own, replace) == "");

  const auto binding =
      json::parse(R"({"roleRef":{"kind":"ClusterRole","name":"a"},"subjects":[{"kind":"Group","name":"g"}]})");
  const auto other = json::parse(R"({"roleRef":{"kind":"ClusterRole","name":"b"},"subjects":[]})");
  CHECK(reconciled(*binding, &*other, replace) != "");
  CHECK(replace);
}
