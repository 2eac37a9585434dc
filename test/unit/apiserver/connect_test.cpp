// Over sockets: a client, the API server and a node that is played by another server.
#include <future>
#include <mutex>
#include <thread>

#include "fixture.h"
#include "knarr/http/client.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

namespace {

// Answers as a node does, and remembers what it was asked.
class FakeNode : public NodeProxy {
 public:
  FakeNode() {
    auto started = http::Server::start(
        {}, [this](const http::Request& request, http::Response& response) { serve(request, response); });
    REQUIRE(started.ok());
    server_ = std::move(*started);
  }
  Result<std::shared_ptr<http::Client>> client(const NodeAddress& address) override {
    if (address.node != "n1" || address.host != "10.0.0.9" || address.port != 10250)
      return unavailable("not this node");
    http::ClientOptions options;
    options.url = "http://127.0.0.1:" + std::to_string(server_->port());
    return http::Client::make(options);
  }

  std::string asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  std::promise<void> left;  // a follower went away

 private:
  void serve(const http::Request& request, http::Response& response) {
    {
      std::lock_guard lock(mutex_);
      asked_ = request.method + " " + request.target;
    }
    if (request.path == "/containerLogs/default/p/main") {
      if (request.flag("previous")) {
        response.status = 400;
        response.body = "previous terminated container \"main\" in pod \"p\" not found\n";
        return;
      }
      const bool follow = request.flag("follow");
      response.stream([this, follow](const http::Response::Writer& write, const std::function<bool()>& gone) {
        (void)write("one\n");
        (void)write("two\n");
        for (int i = 0; follow && i < 1000 && !gone(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        if (follow && gone()) left.set_value();
      });
    } else if (request.path == "/exec/default/p/main") {
      if (request.param("command") == "missing") {
        response.status = 404;
        response.body = "container not found (\"main\")";
        return;
      }
      response.take_over([protocol = std::string(request.header("X-Stream-Protocol-Version"))](
                             std::unique_ptr<http::Stream> stream, std::string early) {
        (void)stream->write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
            "SPDY/3.1\r\nX-Stream-Protocol-Version: " +
            protocol + "\r\n\r\n");
        char buffer[256];
        if (!early.empty()) (void)stream->write("echo " + early);
        const auto size =
            stream->read(buffer, sizeof buffer, std::chrono::steady_clock::now() + std::chrono::seconds(5));
        if (size.ok()) (void)stream->write("echo " + std::string(buffer, *size));
      });
    } else {
      response.status = 404;
    }
  }

  std::mutex mutex_;
  std::string asked_;
  std::unique_ptr<http::Server> server_;
};

struct Connected {
  std::shared_ptr<FakeNode> node = std::make_shared<FakeNode>();
  Cluster cluster{{}, node};
  std::unique_ptr<http::Server> server;
  std::shared_ptr<http::Client> client;

  Connected() {
    cluster.create("nodes", R"({"metadata":{"name":"n1"},"status":{"addresses":[{"type":"Hostname","address":"n1"},
        {"type":"InternalIP","address":"10.0.0.9"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}})");
    cluster.create("pods", pod_json("p", "{}", R"(,"nodeName":"n1")"));
    auto started = http::Server::start({}, cluster.server->handler());
    REQUIRE(started.ok());
    server = std::move(*started);
    cluster.server->attach(server->pump());
    http::ClientOptions options;
    options.url = "http://127.0.0.1:" + std::to_string(server->port());
    options.bearer_token = "admin-token";
    client = std::move(*http::Client::make(options));
  }
  ~Connected() { cluster.server->detach(); }

  http::ClientResponse get(const std::string& target) {
    http::ClientRequest request;
    request.target = target;
    auto response = client->send(request);
    INFO(response.status().to_string());
    REQUIRE(response.ok());
    return *response;
  }
};

const std::string kPod = "/api/v1/namespaces/default/pods/p";

http::ClientRequest exec(const std::string& command) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = kPod + "/exec?command=" + command + "&stdin=true&stdout=true&tty=false";
  request.headers = {
      {"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}, {"X-Stream-Protocol-Version", "v4.channel.k8s.io"}};
  return request;
}

}  // namespace

TEST_CASE("a log comes from the pod's node") {
  Connected c;
  const auto log = c.get(kPod + "/log?tailLines=5&timestamps=true");
  CHECK(log.status == 200);
  CHECK(log.body == "one\ntwo\n");
  CHECK(log.header("Content-Type") == "text/plain");
  CHECK(c.node->asked() == "GET /containerLogs/default/p/main?timestamps=true&tailLines=5");
  const auto refused = c.get(kPod + "/log?previous=true");
  CHECK(refused.status == 400);
  CHECK(at(parse(refused.body), {"message"}) == R"(previous terminated container "main" in pod "p" not found)");
}

TEST_CASE("a followed log ends at the node when its reader goes") {
  Connected c;
  http::ClientRequest request;
  request.target = kPod + "/log?follow=true";
  std::string seen;
  REQUIRE(c.client
              ->stream(
                  request, [](const http::ClientResponse& head) { return head.status == 200; },
                  [&](std::string_view data) {
                    seen += data;
                    return seen != "one\ntwo\n";
                  })
              .ok());
  CHECK(seen == "one\ntwo\n");
  CHECK(c.node->left.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready);
}

TEST_CASE("exec joins the client and the node") {
  Connected c;
  auto upgraded = c.client->upgrade(exec("ls"));
  INFO(upgraded.status().to_string());
  REQUIRE(upgraded.ok());
  CHECK(upgraded->response.status == 101);
  CHECK(upgraded->response.header("X-Stream-Protocol-Version") == "v4.channel.k8s.io");
  CHECK(c.node->asked() == "POST /exec/default/p/main?input=1&output=1&command=ls");
  REQUIRE(upgraded->stream);
  REQUIRE(upgraded->stream->write("hello").ok());
  std::string answer = upgraded->early;
  char buffer[256];
  while (answer.size() < 10) {
    const auto size =
        upgraded->stream->read(buffer, sizeof buffer, std::chrono::steady_clock::now() + std::chrono::seconds(5));
    REQUIRE(size.ok());
    if (*size == 0) break;
    answer.append(buffer, *size);
  }
  CHECK(answer == "echo hello");
}

TEST_CASE("a node's refusal of exec reaches the client") {
  Connected c;
  const auto refused = c.client->upgrade(exec("missing"));
  REQUIRE(refused.ok());
  CHECK(refused->response.status == 404);
  CHECK(refused->response.body == "container not found (\"main\")");
}

TEST_CASE("a watch tells its client of changes as they happen") {
  Connected c;
  http::ClientRequest request;
  request.target = "/api/v1/configmaps?watch=1&timeoutSeconds=20";
  std::string seen;
  std::thread writer;
  const auto status = c.client->stream(
      request,
      [&](const http::ClientResponse& head) {
        writer = std::thread([&] {
          RequestContext context;
          (void)c.cluster.rest->create(context, {schema::find_resource("", "v1", "configmaps"), "", "default", ""},
                                       config_map_json("a"));
        });
        return head.status == 200;
      },
      [&](std::string_view data) {
        seen += data;
        return seen.find('\n') == std::string::npos;
      });
  writer.join();
  REQUIRE(status.ok());
  CHECK(at(parse(seen.substr(0, seen.find('\n'))), {"type"}) == "ADDED");
}
