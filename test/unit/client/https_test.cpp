// The HTTPS transport against a server that answers what a test says (without TLS: that is the http module's).
#include "knarr/client/https.h"

#include <catch2/catch.hpp>
#include <condition_variable>

#include "knarr/base/sync.h"
#include "knarr/client/informer.h"
#include "knarr/http/server.h"
#include "knarr/schema/api/core_v1.h"

using namespace knarr;
using namespace knarr::client;
using api::core::v1::ConfigMap;

namespace {

class ScriptedServer {
 public:
  // Answers one request; a body of lines with `watch` goes out line by line and then the stream ends.
  std::function<void(const http::Request&, http::Response&)> answer;

  ScriptedServer() {
    auto started = http::Server::start({}, [this](const http::Request& request, http::Response& response) {
      {
        Lock lock(mutex_);
        requests_.push_back(request.method + " " + request.target);
        bodies_.push_back(request.body);
      }
      answer(request, response);
    });
    REQUIRE(started.ok());
    server_ = std::move(*started);
  }
  std::shared_ptr<Transport> transport() {
    auto made = make_https_transport({.url = fmt::format("http://127.0.0.1:{}", server_->port())});
    REQUIRE(made.ok());
    return *made;
  }
  std::vector<std::string> requests() {
    Lock lock(mutex_);
    return requests_;
  }
  std::string last_body() {
    Lock lock(mutex_);
    return bodies_.back();
  }

 private:
  Mutex mutex_;
  std::vector<std::string> requests_, bodies_;
  std::unique_ptr<http::Server> server_;
};

constexpr ResourceRef kPods{"", "v1", "pods", ""}, kStatus{"", "v1", "pods", "status"},
    kBinding{"", "v1", "pods", "binding"}, kDeployments{"apps", "v1", "deployments", ""};

}  // namespace

TEST_CASE("https: each call is the request that the API knows", "[client]") {
  ScriptedServer server;
  server.answer = [](const http::Request&, http::Response& response) { response.body = "{}"; };
  auto transport = server.transport();
  CHECK(transport->get(kPods, "ns", "a").ok());
  CHECK(transport
            ->list(kPods, {.namespace_ = "ns", .label_selector = "a=b,c in (d)", .field_selector = "spec.nodeName=n"})
            .ok());
  CHECK(transport->create(kDeployments, "ns", "x", "{}").ok());
  CHECK(transport->create(kBinding, "ns", "x", "{}").ok());
  CHECK(transport->update(kStatus, "ns", "x", "{}").ok());
  CHECK(transport->patch(kStatus, "ns", "x", kMergePatch, "{}").ok());
  DeleteOptions gone{.grace_period_seconds = 0, .uid = "u", .propagation_policy = "Background"};
  CHECK(transport->remove(kPods, "ns", "x", gone).ok());
  CHECK(
      server.last_body() ==
      R"({"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"propagationPolicy":"Background","preconditions":{"uid":"u"}})");
  CHECK(transport->get({"", "v1", "nodes", ""}, "", "n").ok());
  CHECK(server.requests() ==
        std::vector<std::string>{
            "GET /api/v1/namespaces/ns/pods/a",
            "GET /api/v1/namespaces/ns/pods?labelSelector=a%3Db%2Cc%20in%20%28d%29&fieldSelector=spec.nodeName%3Dn",
            "POST /apis/apps/v1/namespaces/ns/deployments",
            "POST /api/v1/namespaces/ns/pods/x/binding",
            "PUT /api/v1/namespaces/ns/pods/x/status",
            "PATCH /api/v1/namespaces/ns/pods/x/status",
            "DELETE /api/v1/namespaces/ns/pods/x",
            "GET /api/v1/nodes/n",
        });
}

TEST_CASE("https: errors are the server's own", "[client]") {
  ScriptedServer server;
  server.answer = [](const http::Request&, http::Response& response) {
    response.status = 409;
    response.body =
        R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"it is there","reason":"AlreadyExists","code":409})";
  };
  auto status = server.transport()->create(kPods, "ns", "", "{}").status();
  CHECK(status.is(reason::kAlreadyExists));
  CHECK(status.message() == "it is there");

  auto nobody = make_https_transport({.url = "http://127.0.0.1:1"});
  REQUIRE(nobody.ok());
  CHECK((*nobody)->get(kPods, "ns", "a").status().code() == 503);
}

TEST_CASE("https: an informer lists, follows the stream and resumes", "[client]") {
  ScriptedServer server;
  std::atomic<int> watches{0};
  server.answer = [&](const http::Request& request, http::Response& response) {
    if (!request.flag("watch")) {
      response.body = R"({"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":[
        {"metadata":{"namespace":"ns","name":"a","uid":"1","resourceVersion":"3"},"data":{"k":"v1"}}]})";
      return;
    }
    int n = ++watches;
    response.stream([n](const http::Response::Writer& write, const std::function<bool()>&) {
      if (n == 1) {
        (void)write(
            R"({"type":"MODIFIED","object":{"metadata":{"namespace":"ns","name":"a","uid":"1","resourceVersion":"11"},"data":{"k":"v2"}}})");
        (void)write(
            "\n{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"namespace\":\"ns\",\"name\":\"b\",\"uid\":\"2\","
            "\"resourceV");
        (void)write("ersion\":\"12\"}}}\n");
      } else {
        (void)write(
            R"({"type":"DELETED","object":{"metadata":{"namespace":"ns","name":"b","uid":"2","resourceVersion":"13"}}})"
            "\n");
        (void)write(R"({"type":"BOOKMARK","object":{"kind":"ConfigMap","metadata":{"resourceVersion":"20"}}})"
                    "\n");
      }
    });
  };
  Mutex mutex;
  std::condition_variable_any changed;
  std::vector<std::string> told;
  auto tell = [&](std::string what) {
    Lock lock(mutex);
    told.push_back(std::move(what));
    changed.notify_all();
  };
  Timers timers;
  Reflector::Options options;
  options.retry_base = options.retry_limit = milliseconds(2);
  options.timers = &timers;
  Informer<ConfigMap> informer(server.transport(), options);
  using Ptr = Informer<ConfigMap>::Ptr;
  informer.add_handlers(
      {.add = [&](const Ptr& o) { tell("add " + o->metadata.name); },
       .update = [&](const Ptr& before,
                     const Ptr& o) { tell("update " + before->data.at("k") + ">" + o->data.at("k")); },
       .remove = [&](const Ptr& o) { tell("remove " + o->metadata.name); }});
  informer.start();
  REQUIRE(informer.wait_synced(seconds(10)));
  {
    Lock lock(mutex);
    REQUIRE(changed.wait_for(lock, seconds(10), [&] { return told.size() >= 4; }));
    CHECK(told == std::vector<std::string>{"add a", "update v1>v2", "add b", "remove b"});
  }
  informer.stop();
  CHECK(informer.get("ns", "a")->data.at("k") == "v2");
  CHECK_FALSE(informer.get("ns", "b"));
  CHECK(informer.list("ns").size() == 1);
  auto requests = server.requests();
  CHECK(requests[1].find("resourceVersion=10") != std::string::npos);
  CHECK(requests[2].find("resourceVersion=12") != std::string::npos);
}
