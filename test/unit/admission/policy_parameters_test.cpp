// Who may write admission policies that take parameters.
#include "knarr/admission/access.h"

#include "unit/admission/fixture.h"

namespace knarr::admission::test {

namespace {

// Allows what is in its list, and remembers what it was asked.
class ListedAuthorizer : public auth::Authorizer {
 public:
  auth::Authorization authorize(const auth::Attributes& a) override {
    asked = fmt::format("{} {}/{} {} {}/{}", a.verb, a.group, a.version, a.resource, a.ns, a.name);
    return {asked == allowed ? auth::Decision::kAllow : auth::Decision::kNoOpinion, ""};
  }
  std::string asked, allowed;
};

struct Cluster : Api {
  std::shared_ptr<ListedAuthorizer> authorizer = std::make_shared<ListedAuthorizer>();

  Cluster() {
    apiserver::RestOptions options;
    options.store = store.get();
    options.admission = default_chain(*store);
    add_access_plugins(options.admission, *store, {.authorizer = authorizer, .catalog = [this] { return rest->registry().catalog(); }});
    rest = std::make_unique<apiserver::Rest>(std::move(options));
  }
};

constexpr std::string_view kPolicies = "validatingadmissionpolicies.admissionregistration.k8s.io",
                           kBindings = "validatingadmissionpolicybindings.admissionregistration.k8s.io";

std::string policy(std::string_view name, std::string_view kind) {
  return fmt::format(
      R"({{"metadata":{{"name":"{}"}},"spec":{{"matchConstraints":{{"resourceRules":[{{"apiGroups":[""],"apiVersions":["v1"],)"
      R"("operations":["CREATE"],"resources":["pods"]}}]}},"validations":[{{"expression":"true"}}]{}}}}})",
      name, kind.empty() ? "" : fmt::format(R"(,"paramKind":{})", kind));
}

std::string binding(std::string_view policy, std::string_view reference) {
  return fmt::format(
      R"({{"metadata":{{"name":"b"}},"spec":{{"policyName":"{}","validationActions":["Deny"],"paramRef":{{{},"parameterNotFoundAction":"Deny"}}}}}})",
      policy, reference);
}

}  // namespace

TEST_CASE("a policy with parameters is written by those who may read them") {
  const std::tuple<std::string, std::string> cases[] = {
      {R"({"apiVersion":"v1","kind":"ConfigMap"})", "get /v1 configmaps */*"},
      {R"({"apiVersion":"apps/v1","kind":"Deployment"})", "get apps/v1 deployments */*"},
      {R"({"apiVersion":"apps/v1","kind":"Nothing"})", "get apps/v1 * */*"},
  };
  for (const auto& [kind, asked] : cases) {
    INFO(kind);
    Cluster c;
    c.context.user = {.name = "percy", .uid = "", .groups = {"keepers"}, .extra = {}, .audit = {}};
    const std::string why = c.refusal(kPolicies, policy("p", kind));
    CHECK(c.authorizer->asked == asked);
    CHECK(why.find("spec.paramKind: Forbidden: user &{percy  [keepers] map[]} must have \"get\" permission") != std::string::npos);
    c.authorizer->allowed = asked;
    CHECK(c.refusal(kPolicies, policy("p", kind)).empty());
    // What stays is not asked for again.
    c.authorizer->asked = c.authorizer->allowed = "";
    CHECK(c.patch(kPolicies, "p", R"({"metadata":{"labels":{"a":"b"}}})").ok());
    CHECK(c.authorizer->asked.empty());
  }
}

TEST_CASE("a binding with parameters is written by those who may read them") {
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {R"("name":"x")", "get /v1 configmaps /x", "permission on the object referenced by paramRef"},
      {R"("name":"x","namespace":"n")", "get /v1 configmaps n/x", "permission on the object referenced by paramRef"},
      {R"("selector":{"matchLabels":{"a":"b"}})", "list /v1 configmaps /", "permission on the object referenced by paramRef"},
  };
  Cluster c;
  c.make(kPolicies, policy("p", R"({"apiVersion":"v1","kind":"ConfigMap"})"));
  c.context.user = {.name = "percy", .uid = "", .groups = {"keepers"}, .extra = {}, .audit = {}};
  for (const auto& [reference, asked, why] : cases) {
    INFO(reference);
    CHECK(c.refusal(kBindings, binding("p", reference)).find(why) != std::string::npos);
    CHECK(c.authorizer->asked == asked);
  }
  CHECK(c.refusal(kBindings, binding("none", R"("name":"x")")).find("unable to get policy none to determine") != std::string::npos);
  CHECK(c.authorizer->asked == "get */* * /x");
  c.context.user = auth::internal_user("test");
  c.authorizer->asked = "";
  CHECK(c.refusal(kBindings, binding("p", R"("name":"x")")).empty());
  CHECK(c.authorizer->asked.empty());
}

}  // namespace knarr::admission::test
