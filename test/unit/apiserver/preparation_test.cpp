// What the server adds to objects of some kinds and refuses of them: requests for certificates, jobs.
#include "fixture.h"

namespace knarr::apiserver {

using namespace test;

namespace {

const std::string kRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
// Base64 of PEM blocks: a request for CN=a, and two certificates; Ed25519.
const std::string kRequest =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHTE1EOENBUUF3RERFS01BZ0dBMVVFQXd3QllUQXFNQVVHQXl0"
    "bGNBTWhBRTZSb1VDa3dGTGJ2RW5ablBuSwprTFVSU3NCZWNOcFovSGxaK1ZMdWorazdvQUF3QlFZREsyVndBMEVBdS82d2xlQ1dL"
    "TXBLYittMUV4dHNkTmFqCndPR1FSKytNUmQ2ZmZnaktSK3h2OEsySzFRLzVSWFNqdWJRdHZiYlltM1ZoVGVCYUgzUEdIeWFHQ0tY"
    "bURRPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
const std::string kCertificate =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJMakNCNGFBREFnRUNBaFI1aitwOVBkUDZCbThlc0pmNmt0VjNXaXkwSnpB"
    "RkJnTXJaWEF3RERFS01BZ0cKQTFVRUF3d0JZVEFnRncweU5qRXhNakV5TURBNE1qQmFHQTh5TVRJMk1UQXlPREl3TURneU1Gb3dE"
    "REVLTUFnRwpBMVVFQXd3QllUQXFNQVVHQXl0bGNBTWhBS2xxWE9WeGlDNDVrNXhsakZXQWN5NzdVRkY3SVFsa2hQK0pvTEpDCmsz"
    "R2FvMU13VVRBZEJnTlZIUTRFRmdRVXpOdVRtSW85RXlJeDVUQ3hFYzRRckNXdkZnZ3dId1lEVlIwakJCZ3cKRm9BVXpOdVRtSW85"
    "RXlJeDVUQ3hFYzRRckNXdkZnZ3dEd1lEVlIwVEFRSC9CQVV3QXdFQi96QUZCZ01yWlhBRApRUUE4SWZNMnZQSTQxcFptMmtpS1hh"
    "ays3eWZTcnpjcW9tU1FWcmFnczVuWmE3Z2dqcUQwQkI5Ym94bFNKSkhNCnNlMW40NnM0Z2ZoTVpNb3ZFT2lTaHQwQQotLS0tLUVO"
    "RCBDRVJUSUZJQ0FURS0tLS0tCg==";
const std::string kOther =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJMakNCNGFBREFnRUNBaFJHZHhiMzVHNnhtNDZNZ0lPQTZRNTErQTFNYVRB"
    "RkJnTXJaWEF3RERFS01BZ0cKQTFVRUF3d0JZakFnRncweU5qRXhNakV5TURBNE1qQmFHQTh5TVRJMk1UQXlPREl3TURneU1Gb3dE"
    "REVLTUFnRwpBMVVFQXd3QllqQXFNQVVHQXl0bGNBTWhBSzhNVDg4RWdLdE1nR2xVTlFBZDVoWXF5SjBaL2NYK1J5Y0dwSXY2Ckhh"
    "czZvMU13VVRBZEJnTlZIUTRFRmdRVWQ1djV3TVgvMjdISEswUEZaMitpUFNKbUdEOHdId1lEVlIwakJCZ3cKRm9BVWQ1djV3TVgv"
    "MjdISEswUEZaMitpUFNKbUdEOHdEd1lEVlIwVEFRSC9CQVV3QXdFQi96QUZCZ01yWlhBRApRUUJNd096cmhrMDVITGtHNmd6aUlF"
    "cFBrVUxhQTFQbXU5dEM2V0h3YkJrMjc1UjNwcGZFWGZrblZmU09GK0tuCnZFTjd0Q3pRdlc4dG9od0Q4K2tZd1ZJSwotLS0tLUVO"
    "RCBDRVJUSUZJQ0FURS0tLS0tCg==";
const http::Headers kMerge = {{"Content-Type", "application/merge-patch+json"}};

std::string decided(std::string_view type, std::string_view more = "") {
  return R"({"status":{"conditions":[{"type":")" + std::string(type) +
         R"(","status":"True","reason":"R","message":"m"}])" + std::string(more) + "}}";
}

}  // namespace

TEST_CASE("only the endpoint approval decides about a request for a certificate") {
  Cluster c;
  const auto made = c.send("POST", kRequests,
                           R"({"metadata":{"name":"r"},"spec":{"request":")" + kRequest + R"(","signerName":"example.com/s",
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
       R"({"metadata":{"name":"r"},"spec":{"request":")" + kRequest +
           R"(","signerName":"example.com/s","usages":["client auth"]},)" +
           decided("Approved").substr(1),
       422, R"(Forbidden: updates may not add a condition of type "Approved")"},
      {"PATCH", "/approval", decided("Approved", R"(,"certificate":")" + kCertificate + "\""), 200, "Approved"},
      {"PATCH", "/status", R"({"status":{"conditions":[]}})", 422,
       R"(Forbidden: updates may not remove a condition of type "Approved")"},
      {"PATCH", "/status", decided("Approved", R"(,"certificate":")" + kCertificate + "\""), 200, "Approved"},
      {"PATCH", "/status", R"({"status":{"certificate":")" + kOther + "\"}}", 422,
       "Forbidden: updates may not modify existing certificate content"},
      {"PATCH", "", R"({"status":{"certificate":")" + kOther + "\"}}", 200, "Approved"},
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
  CHECK(at(parse(c.send("GET", kRequests + "/r").body), {"status", "certificate"}) == kCertificate);
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
