// A whole API server over a store in memory, with a clock that ticks when told, and short ways to talk to it.
#pragma once

#include <catch2/catch.hpp>

#include "knarr/apiserver/rest.h"
#include "knarr/apiserver/server.h"
#include "knarr/codec/json.h"
#include "knarr/store/store.h"
#include "unit/memory_api.h"

namespace knarr::apiserver::test {

inline constexpr WallTime kStart = WallTime(std::chrono::seconds(1'790'000'000));  // 2026-09-21T14:13:20Z

using knarr::test::at;
using knarr::test::parse;

inline std::string pod_json(std::string_view name, std::string_view labels = "{}", std::string_view spec = "") {
  return std::string(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":")") + std::string(name) + R"(","labels":)" +
         std::string(labels) + R"(},"spec":{"containers":[{"name":"main","image":"busybox"}])" + std::string(spec) +
         "}}";
}

inline std::string config_map_json(std::string_view name, std::string_view data = R"({"a":"1"})",
                                   std::string_view metadata = "") {
  return std::string(R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":")") + std::string(name) + "\"" +
         std::string(metadata) + R"(},"data":)" + std::string(data) + "}";
}

struct Cluster {
  ManualClock clock{kStart};
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Rest> rest;
  std::unique_ptr<ApiServer> server;
  RequestContext context;

  explicit Cluster(store::Store::Options options = {}, std::shared_ptr<NodeProxy> nodes = nullptr, int seats = 600) {
    store = knarr::test::open_store(std::move(options));
    RestOptions rest_options;
    rest_options.clock = &clock;
    rest = knarr::test::make_rest(*store, std::move(rest_options));
    ApiServerOptions server_options;
    server_options.rest = rest.get();
    server_options.tokens = auth::make_token_union(
        {auth::make_static_tokens(
            {{"secret-token", {"bob", "", {"dev"}, {}}}, {"admin-token", {"root", "", {"system:masters"}, {}}}})},
        {"api"});
    server_options.authenticator = auth::make_union_authenticator(
        {auth::make_certificate_authenticator(), auth::make_token_authenticator(server_options.tokens)});
    server_options.authorizer = auth::make_group_authorizer({std::string(auth::kGroupMasters)});
    server_options.external_address = "10.0.0.1:6443";
    server_options.node_proxy = std::move(nodes);
    server_options.seats = seats;
    server = ApiServer::make(std::move(server_options));
    context.user = auth::internal_user("test");
    make_namespace("default");
  }

  static const schema::Resource& resource(std::string_view plural, std::string_view group = "") {
    const schema::Resource* found = schema::find_resource(group, "v1", plural);
    REQUIRE(found);
    return *found;
  }
  static Target target(std::string_view plural, std::string_view name = "", std::string_view sub = "",
                       std::string_view ns = "default") {
    const schema::Resource& r = resource(plural, plural == "leases" ? "coordination.k8s.io" : "");
    return {&r, sub, r.namespaced ? ns : std::string_view(), name};
  }

  void make_namespace(const std::string& name) {
    const auto made = rest->create(context, target("namespaces"),
                                   R"({"kind":"Namespace","apiVersion":"v1","metadata":{"name":")" + name + "\"}}");
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    // As the controllers would; without its token, which tests of pods do not want to see in each.
    create("serviceaccounts", R"({"metadata":{"name":"default"},"automountServiceAccountToken":false})", name);
  }
  json::Document create(std::string_view plural, const std::string& body, std::string_view ns = "default") {
    const auto made = rest->create(context, target(plural, "", "", ns), body);
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    return parse(made->bytes());
  }
  json::Document get(std::string_view plural, std::string_view name) {
    const auto found = rest->get(context, target(plural, name));
    INFO(found.status().to_string());
    REQUIRE(found.ok());
    return parse(found->bytes());
  }
  bool exists(std::string_view plural, std::string_view name) { return rest->get(context, target(plural, name)).ok(); }
  std::vector<std::string> names(std::string_view plural, const ListParams& params, std::string_view ns = "default") {
    const auto listed = rest->list(context, target(plural, "", "", ns), params);
    INFO(listed.status().to_string());
    REQUIRE(listed.ok());
    std::vector<std::string> out;
    for (const auto& object : listed->objects) out.push_back(object->key);
    return out;
  }

  // A request as the HTTP server would hand it over; an administrator's unless `headers` or `peer` say otherwise.
  http::Request request(std::string method, std::string target, std::string body = "", http::Headers headers = {}) {
    http::Request r;
    r.method = std::move(method);
    r.target = target;
    const size_t question = target.find('?');
    r.path = target.substr(0, question);
    while (question != std::string::npos && !target.empty()) {
      target.erase(0, target.find_first_of("?&") + 1);
      const std::string pair = target.substr(0, target.find('&'));
      const size_t equals = pair.find('=');
      r.query.emplace_back(pair.substr(0, equals), equals == std::string::npos ? "" : pair.substr(equals + 1));
      if (target.find('&') == std::string::npos) break;
    }
    r.body = std::move(body);
    r.headers = std::move(headers);
    r.peer = http::PeerCertificate{"admin", {"system:masters"}, "00"};
    return r;
  }
  http::Response send(const http::Request& r) {
    http::Response response;
    server->handler()(r, response);
    response.make_body();
    return response;
  }
  http::Response send(std::string method, std::string target, std::string body = "", http::Headers headers = {}) {
    return send(request(std::move(method), std::move(target), std::move(body), std::move(headers)));
  }
};

inline std::string header(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return "";
}

}  // namespace knarr::apiserver::test
