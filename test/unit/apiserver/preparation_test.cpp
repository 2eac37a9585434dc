// What the server adds to objects of some kinds and refuses of them: requests for certificates, jobs.
#include "fixture.h"

namespace knarr::apiserver {

using namespace test;

namespace {

const std::string kRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const http::Headers kMerge = {{"Content-Type", "application/merge-patch+json"}};

std::string decided(std::string_view type, std::string_view more = "") {
  return R"({"status":{"conditions":[{"type":")" + std::string(type) +
         R"(","status":"True","reason":"R","message":"m"}])" + std::string(more) + "}}";
}

}  // namespace

TEST_CASE("only the endpoint approval decides about a request for a certificate") {
  Cluster c;
  const auto made = c.send("POST", kRequests,
                           R"({"metadata":{"name":"r"},"spec":{"request":"eA==","signerName":"example.com/s",
                               "usages":["client auth"]},"status":{"conditions":[{"type":"Approved","status":"True"}]}})");
  INFO(made.body);
  REQUIRE(made.status == 201);
  CHECK(made.body.find("Approved") == std::string::npos);
  struct Step {
    std::string method, endpoint, body;
    int code;
    std::string message;  // of the one cause; else the type of the condition that is there afterwards
  };
  const std::vector<Step> steps = {
      {"PATCH", "", decided("Approved"), 200, ""},
      {"PATCH", "/status", decided("Approved"), 422, R"(Forbidden: updates may not add a condition of type "Approved")"},
      {"PATCH", "/status", decided("Denied"), 422, R"(Forbidden: updates may not add a condition of type "Denied")"},
      {"PUT", "/status",
       R"({"metadata":{"name":"r"},"spec":{"request":"eA==","signerName":"example.com/s","usages":["client auth"]},)" +
           decided("Approved").substr(1),
       422, R"(Forbidden: updates may not add a condition of type "Approved")"},
      {"PATCH", "/approval", decided("Approved", R"(,"certificate":"eA==")"), 200, "Approved"},
      {"PATCH", "/status", R"({"status":{"conditions":[]}})", 422,
       R"(Forbidden: updates may not remove a condition of type "Approved")"},
      {"PATCH", "/status", decided("Approved", R"(,"certificate":"eA==")"), 200, "Approved"},
      {"PATCH", "/status", R"({"status":{"certificate":"eQ=="}})", 422,
       "Forbidden: updates may not modify existing certificate content"},
      {"PATCH", "", R"({"status":{"certificate":"eQ=="}})", 200, "Approved"},
  };
  for (const Step& step : steps) {
    INFO(step.method << " " << step.endpoint << " " << step.body);
    const auto answer =
        c.send(step.method, kRequests + "/r" + step.endpoint, step.body, step.method == "PUT" ? http::Headers() : kMerge);
    INFO(answer.body);
    REQUIRE(answer.status == step.code);
    const auto body = parse(answer.body);
    if (step.code == 422) {
      const json::Value* causes = json::find(body, {"details", "causes"});
      REQUIRE(causes);
      REQUIRE(causes->Size() == 1);
      CHECK(at((*causes)[0], {"message"}) == step.message);
    } else {
      const json::Value* conditions = json::find(body, {"status", "conditions"});
      const bool any = conditions && conditions->IsArray() && !conditions->Empty();
      CHECK((any ? at((*conditions)[0], {"type"}) : "") == step.message);
    }
  }
  CHECK(at(parse(c.send("GET", kRequests + "/r").body), {"status", "certificate"}) == "eA==");
}

TEST_CASE("who is to sign a certificate is named by domain and path") {
  Cluster c;
  const std::string form = "must be a fully qualified domain and path of the form 'example.com/signer-name'",
                    dots = "should be a domain with at least two segments separated by dots";
  const std::vector<std::pair<std::string, std::string>> cases = {  // name, the last cause
      {"", "Required value"},
      {"a", R"(Invalid value: "a": )" + form},
      {"a/b/c", R"(Invalid value: "a/b/c": )" + form},
      {"a/b", R"(Invalid value: "a": )" + dots},
      {"kubernetes.io/legacy-unknown",
       R"(Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version)"}};
  for (const auto& [name, message] : cases) {
    const auto answer = c.send("POST", kRequests, R"({"metadata":{"name":"r"},"spec":{"request":"eA==","signerName":")" +
                                                      name + R"(","usages":["client auth"]}})");
    INFO(answer.body);
    REQUIRE(answer.status == 422);
    const auto body = parse(answer.body);
    const json::Value* causes = json::find(body, {"details", "causes"});
    REQUIRE(causes);
    const json::Value& last = (*causes)[causes->Size() - 1];
    CHECK(at(last, {"message"}) == message);
    CHECK(at(last, {"field"}) == "spec.signerName");
  }
}

TEST_CASE("a job without labels of its own has those of its pods") {
  Cluster c;
  struct Case {
    std::string metadata, template_labels;
    bool shared;
  };
  const std::vector<Case> cases = {{R"({"name":"a"})", "{}", true},
                                   {R"({"name":"b"})", R"({"app":"x"})", true},
                                   {R"({"name":"c","labels":{"own":"y"}})", R"({"app":"x"})", false}};
  for (const Case& test : cases) {
    const auto made = c.send("POST", "/apis/batch/v1/namespaces/default/jobs",
                             R"({"metadata":)" + test.metadata + R"(,"spec":{"template":{"metadata":{"labels":)" +
                                 test.template_labels +
                                 R"(},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})");
    INFO(made.body);
    REQUIRE(made.status == 201);
    const auto job = parse(made.body);
    const json::Value* labels = json::find(job, {"spec", "template", "metadata", "labels"});
    REQUIRE(labels);
    CHECK(at(*labels, {"job-name"}) == at(job, {"metadata", "name"}));
    const json::Value* own = json::find(job, {"metadata", "labels"});
    REQUIRE(own);
    CHECK(json::equal(*own, *labels) == test.shared);
  }
}

}  // namespace knarr::apiserver
