#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;
using Verdict = http::Gate::Verdict;

namespace {

const std::string kFlow = "/apis/flowcontrol.apiserver.k8s.io/v1";

// Bob may send one request at a time, and one more may wait when `queued`.
void limit_bob(Cluster& c, bool queued) {
  const std::string response = queued ? R"({"type":"Queue","queuing":{"queues":1,"handSize":1,"queueLengthLimit":1}})" : R"({"type":"Reject"})";
  const auto level = c.send("POST", kFlow + "/prioritylevelconfigurations",
                            R"({"metadata":{"name":"narrow"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":1,)"
                            R"("borrowingLimitPercent":0,"limitResponse":)" + response + "}}}");
  CHECK(level.status == 201);
  const auto schema = c.send("POST", kFlow + "/flowschemas",
                             R"({"metadata":{"name":"bobs"},"spec":{"matchingPrecedence":5,"priorityLevelConfiguration":{"name":"narrow"},"rules":[{)"
                             R"("subjects":[{"kind":"User","user":{"name":"bob"}}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}],)"
                             R"("resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"namespaces":["*"],"clusterScope":true}]}]}})");
  CHECK(schema.status == 201);
}

// A request of bob's on its way through the gate.
struct Visit {
  http::Request request;
  http::Response response;
  int resumed = 0;
  Verdict verdict;

  explicit Visit(Cluster& c, const std::string& target = "/version", const std::string& token = "secret-token")
      : request(c.request("GET", target, "", {{"Authorization", "Bearer " + token}})) {
    request.peer.reset();
    verdict = c.server->gate().admit(request, response, [this] { ++resumed; });
  }
  void handle(Cluster& c) { c.server->handler()(request, response); }
};

}  // namespace

TEST_CASE("who has no seat is refused, and told by whose rules") {
  Cluster c({}, nullptr, 6);
  limit_bob(c, false);
  const std::string schema_uid = at(parse(c.send("GET", kFlow + "/flowschemas/bobs").body), {"metadata", "uid"});
  const std::string level_uid =
      at(parse(c.send("GET", kFlow + "/prioritylevelconfigurations/narrow").body), {"metadata", "uid"});
  Visit first(c), second(c);
  CHECK(first.verdict == Verdict::kPass);
  CHECK(first.request.lane != 0);
  CHECK(second.verdict == Verdict::kAnswered);
  CHECK(second.response.status == 429);
  CHECK(second.response.body == "Too many requests, please try again later.\n");
  CHECK(header(second.response, "Retry-After") == "1");
  for (const Visit* visit : {&first, &second}) {
    CHECK(header(visit->response, "X-Kubernetes-Pf-Flowschema-Uid") == schema_uid);
    CHECK(header(visit->response, "X-Kubernetes-Pf-Prioritylevel-Uid") == level_uid);
  }
  first.handle(c);
  CHECK(first.response.status == 403);  // refusals of the authoriser take their seat, too
  CHECK(Visit(c).verdict == Verdict::kPass);

  Visit stranger(c, "/version", "wrong");
  CHECK(stranger.verdict == Verdict::kAnswered);
  CHECK(stranger.response.status == 401);
  CHECK(header(stranger.response, "X-Kubernetes-Pf-Flowschema-Uid").empty());
}

TEST_CASE("who waits is resumed by the end of another request") {
  Cluster c({}, nullptr, 6);
  limit_bob(c, true);
  Visit first(c);
  Visit second(c);
  Visit third(c);
  CHECK(second.verdict == Verdict::kWait);
  CHECK(third.verdict == Verdict::kAnswered);
  CHECK(third.response.status == 429);
  CHECK(second.resumed == 0);
  first.handle(c);
  CHECK(second.resumed == 1);
  second.handle(c);
  CHECK(second.response.status == 403);
  CHECK(Visit(c, "/api/v1/namespaces/default/pods/p/log").request.lane == 0);  // takes no seat
}
