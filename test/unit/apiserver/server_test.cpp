#include <zlib.h>

#include "apiserver/negotiate.h"
#include "apiserver/render.h"
#include "apiserver/request_info.h"
#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

TEST_CASE("what a request is about") {
  struct Case {
    std::string method, target, verb, group, version, ns, resource, name, sub;
  };
  const std::vector<Case> cases = {
      {"GET", "/api/v1/namespaces/a/pods/p", "get", "", "v1", "a", "pods", "p", ""},
      {"GET", "/api/v1/namespaces/a/pods", "list", "", "v1", "a", "pods", "", ""},
      {"GET", "/api/v1/pods?watch=1", "watch", "", "v1", "", "pods", "", ""},
      {"GET", "/api/v1/watch/namespaces/a/pods", "watch", "", "v1", "a", "pods", "", ""},
      {"GET", "/api/v1/namespaces/a", "get", "", "v1", "a", "namespaces", "a", ""},
      {"PUT", "/api/v1/namespaces/a/finalize", "update", "", "v1", "a", "namespaces", "a", "finalize"},
      {"PATCH", "/apis/apps/v1/namespaces/a/deployments/d/status", "patch", "apps", "v1", "a", "deployments", "d",
       "status"},
      {"POST", "/api/v1/namespaces/a/pods/p/exec", "create", "", "v1", "a", "pods", "p", "exec"},
      {"DELETE", "/api/v1/namespaces/a/pods", "deletecollection", "", "v1", "a", "pods", "", ""},
      {"GET", "/api/v1/pods?fieldSelector=metadata.name=x", "list", "", "v1", "", "pods", "x", ""},
      {"GET", "/version", "get", "", "", "", "", "", ""},
      {"GET", "/apis/apps/v1", "get", "", "", "", "", "", ""},
  };
  Cluster c;
  for (const Case& test : cases) {
    INFO(test.method << " " << test.target);
    http::Request request = c.request(test.method, test.target);
    if (test.target.find("fieldSelector") != std::string::npos) request.query = {{"fieldSelector", "metadata.name=x"}};
    const RequestInfo info = read_request_info(request);
    CHECK(info.verb == test.verb);
    CHECK(info.group == test.group);
    CHECK(info.ns == test.ns);
    CHECK(info.resource == test.resource);
    CHECK(info.name == test.name);
    CHECK(info.subresource == test.sub);
  }
}

TEST_CASE("which form of an answer a client gets") {
  struct Case {
    std::string accept;
    int code;
    Shape shape;
    bool yaml;
  };
  const std::vector<Case> cases = {
      {"", 200, Shape::kObject, false},
      {"*/*", 200, Shape::kObject, false},
      {"application/json", 200, Shape::kObject, false},
      {"application/yaml", 200, Shape::kObject, true},
      {"application/vnd.kubernetes.protobuf", 200, Shape::kObject, false},
      {"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", 406, Shape::kObject, false},
      {"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", 200, Shape::kObject, false},
      {"application/vnd.kubernetes.protobuf,application/json", 200, Shape::kObject, false},
      {"application/cbor", 406, Shape::kObject, false},
      {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", 200, Shape::kTable, false},
      {"application/json;as=Table;v=v9;g=meta.k8s.io, application/json", 200, Shape::kObject, false},
      {"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", 200, Shape::kPartialList, false},
      {"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", 200, Shape::kPartial, false},
      {"application/yaml;q=0.1,application/json;q=0.9", 200, Shape::kObject, false},
      {"text/html", 406, Shape::kObject, false},
      {"text/html, */*;q=0.1", 200, Shape::kObject, false},
      {"application/json;stream=other,application/yaml", 200, Shape::kObject, true},
      {"application/yaml;stream=watch,application/json", 200, Shape::kObject, false},
      {"application/json;sv=v1,application/yaml", 200, Shape::kObject, true},
      {"application/json;g=meta.k8s.io,application/yaml", 200, Shape::kObject, true},
      {"application/json;q=x,application/yaml;q=0.1", 200, Shape::kObject, true},
      {"*/*,application/yaml", 200, Shape::kObject, true},
      {"application/json/x,json,;q=1", 406, Shape::kObject, false},
      {"APPLICATION/JSON", 406, Shape::kObject, false},
  };
  Cluster c;
  for (const Case& test : cases) {
    INFO(test.accept);
    const auto output = negotiate_output(c.request("GET", "/", "", {{"Accept", test.accept}}), Forms::kMeta);
    CHECK(output.status().code() == test.code);
    if (!output.ok()) continue;
    CHECK(output->shape == test.shape);
    CHECK(output->yaml == test.yaml);
  }
}

TEST_CASE("protobuf is for kinds that have it, and for streams") {
  Cluster c;
  const std::string kProtobuf = "application/vnd.kubernetes.protobuf", kMeta = kProtobuf + ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
  const std::tuple<std::string, Forms, int, bool> cases[] = {
      {kProtobuf, Forms::kMeta, 200, true},         {kProtobuf, Forms::kStream, 200, true},
      {kProtobuf, Forms::kCustom, 406, false},      {kProtobuf + ",application/json", Forms::kCustom, 200, false},
      {kMeta, Forms::kCustom, 200, true},           {kMeta, Forms::kCustomStream, 200, true},
      {"application/yaml", Forms::kStream, 406, false}, {"application/yaml,*/*", Forms::kStream, 406, false}};
  for (const auto& [accept, forms, code, protobuf] : cases) {
    INFO(accept);
    const auto output = negotiate_output(c.request("GET", "/", "", {{"Accept", accept}}), forms);
    CHECK(output.status().code() == code);
    if (output.ok()) CHECK(output->protobuf == protobuf);
  }
}

TEST_CASE("discovery is answered in the form that is asked for, the aggregated one first") {
  const std::string kForm = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", kJson = "application/json",
                    kProtobuf = "application/vnd.kubernetes.protobuf";
  const std::tuple<std::string, int, std::string> cases[] = {
      {"", 200, kJson},
      {kProtobuf, 200, kProtobuf},
      {kProtobuf + kForm, 200, kProtobuf + kForm},
      {kJson + "," + kProtobuf + kForm + ";q=0.1", 200, kProtobuf + kForm},
      {kJson + kForm + ";q=0.5," + kProtobuf + kForm, 200, kProtobuf + kForm},
      {"*/*" + kForm, 200, kJson + kForm},
      {kJson + ";g=apidiscovery.k8s.io;v=v1;as=APIGroupDiscoveryList," + kProtobuf, 200, kProtobuf},
      {kJson + ";as=Table;v=v1;g=meta.k8s.io", 406, kJson},
  };
  Cluster c;
  for (const auto& [accept, code, type] : cases) {
    INFO(accept);
    const auto answer = c.send("GET", "/apis", "", {{"Accept", accept}});
    CHECK(answer.status == code);
    CHECK(header(answer, "Content-Type") == type);
    const bool aggregated = type.find("as=") != std::string::npos;
    CHECK(header(answer, "Vary") == (aggregated ? "Accept" : ""));
    CHECK(header(answer, "Cache-Control") == (aggregated ? "public" : "no-cache, private"));
    CHECK(header(answer, "ETag").empty() != aggregated);
    if (type.starts_with(kProtobuf)) CHECK(answer.body.starts_with(std::string_view("k8s\0", 4)));
  }
}

TEST_CASE("an object's life over HTTP") {
  Cluster c;
  const std::string all = "/api/v1/namespaces/default/configmaps", one = all + "/a";
  auto made = c.send("POST", all, config_map_json("a"));
  CHECK(made.status == 201);
  CHECK(header(made, "Content-Type") == "application/json");
  CHECK(header(made, "Cache-Control") == "no-cache, private");
  CHECK(c.send("GET", one).body == made.body);
  CHECK(c.send("PUT", one, config_map_json("a", R"({"b":"2"})")).status == 200);
  const auto patched =
      c.send("PATCH", one, R"({"data":{"c":"3"}})", {{"Content-Type", "application/merge-patch+json"}});
  CHECK(at(parse(patched.body), {"data"}) == R"({"b":"2","c":"3"})");
  CHECK(json::find(parse(c.send("GET", "/api/v1/configmaps").body), "items")->Size() == 1);
  CHECK(c.send("DELETE", one, R"({"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]})").status == 200);
  CHECK(c.send("GET", one).status == 200);
  CHECK(c.send("DELETE", one).status == 200);
  const auto gone = c.send("GET", one);
  CHECK(gone.status == 404);
  CHECK(
      gone.body ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"a\" not found","reason":"NotFound","details":{"name":"a","kind":"configmaps"},"code":404})");
}

TEST_CASE("a path of a group that is not served has no Status, as upstream's") {
  Cluster c;
  const auto response = c.send("GET", "/apis/nope/v1/things");
  CHECK(response.status == 404);
  CHECK(response.body == "404 page not found\n");
}

TEST_CASE("requests that are refused") {
  Cluster c;
  c.create("pods", pod_json("p"));
  struct Case {
    std::string method, target, body;
    http::Headers headers;
    int code;
    std::string reason;
  };
  const std::string cms = "/api/v1/namespaces/default/configmaps";
  const std::vector<Case> cases = {
      {"GET", "/api/v1/nonsense", "", {}, 404, "NotFound"},
      {"POST", "/version", "", {}, 405, "MethodNotAllowed"},
      {"POST", "/api/v1/configmaps", config_map_json("a"), {}, 405, "MethodNotAllowed"},
      {"DELETE", "/api/v1/namespaces", "", {}, 405, "MethodNotAllowed"},
      {"GET", "/api/v1/namespaces/default/nodes", "", {}, 404, "NotFound"},
      {"GET", "/api/v1/namespaces/default/pods/p/nothing", "", {}, 404, "NotFound"},
      {"POST", cms, "x", {{"Content-Type", "text/plain"}}, 415, "UnsupportedMediaType"},
      {"POST", cms, "x", {{"Content-Type", "application/vnd.kubernetes.protobuf"}}, 400, "BadRequest"},
      {"GET", cms, "", {{"Accept", "application/cbor"}}, 406, "NotAcceptable"},
      {"POST", cms + "?dryRun=Some", config_map_json("a"), {}, 422, "Invalid"},
      {"POST", cms + "?fieldValidation=Hard", config_map_json("a"), {}, 422, "Invalid"},
      {"GET", cms + "?limit=x", "", {}, 400, "BadRequest"},
      {"GET",
       cms + "?includeObject=Foo",
       "",
       {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}},
       400,
       "BadRequest"},
      {"GET",
       cms,
       "",
       {{"Accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}},
       406,
       "NotAcceptable"},
      {"PATCH", cms + "/a", "{}", {{"Content-Type", "application/apply-patch+cbor"}}, 415, "UnsupportedMediaType"},
      {"GET", "/api/v1/namespaces/default/pods/p/log?container=nope", "", {}, 400, "BadRequest"},
      {"GET", "/api/v1/namespaces/default/pods/p/log?tailLines=-1", "", {}, 422, "Invalid"},
      {"GET", "/api/v1/namespaces/default/pods/none/log", "", {}, 404, "NotFound"},
      {"POST", "/api/v1/namespaces/default/pods/p/exec?command=ls", "", {}, 400, "BadRequest"},
  };
  for (const Case& test : cases) {
    INFO(test.method << " " << test.target);
    const auto response = c.send(test.method, test.target, test.body, test.headers);
    CHECK(response.status == test.code);
    const auto status = parse(response.body);
    CHECK(at(status, {"kind"}) == "Status");
    CHECK(at(status, {"reason"}) == test.reason);
  }
}

TEST_CASE("who is not known is anonymous, and may do what is allowed to that user") {
  Cluster c;
  const auto as_nobody = [&](const std::string& target, http::Headers headers = {}) {
    auto request = c.request("GET", target, "", std::move(headers));
    request.peer.reset();
    return c.send(request);
  };
  for (const char* path : {"/healthz", "/api", "/metrics"}) {
    INFO(path);
    const auto refused = as_nobody(path);
    CHECK(refused.status == 403);
    CHECK(at(parse(refused.body), {"message"}) ==
          "forbidden: User \"system:anonymous\" cannot get path \"" + std::string(path) + "\"");
  }
  const auto refused = as_nobody("/healthz", {{"Authorization", "Bearer wrong-tokens"}});
  CHECK(refused.status == 401);
  CHECK(at(parse(refused.body), {"reason"}) == "Unauthorized");
  CHECK(at(parse(refused.body), {"message"}) == "Unauthorized");
}

TEST_CASE("who is known may do only what is allowed") {
  Cluster c;
  auto request = c.request("GET", "/api/v1/namespaces/default/pods", "", {{"Authorization", "Bearer secret-token"}});
  request.peer.reset();
  const auto refused = c.send(request);
  CHECK(refused.status == 403);
  CHECK(at(parse(refused.body), {"message"}) ==
        R"(pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default")");
  CHECK(at(parse(refused.body), {"details", "kind"}) == "pods");
  request = c.request("GET", "/metrics", "", {{"Authorization", "Bearer secret-token"}});
  request.peer.reset();
  CHECK(at(parse(c.send(request).body), {"message"}) == R"(forbidden: User "bob" cannot get path "/metrics")");
}

TEST_CASE("an administrator may act as somebody else") {
  Cluster c;
  const auto refused = c.send("GET", "/api/v1/nodes", "", {{"Impersonate-User", "alice"}});
  CHECK(refused.status == 403);
  CHECK(at(parse(refused.body), {"message"}) ==
        R"(nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope)");
  CHECK(c.send("GET", "/api/v1/nodes", "", {{"Impersonate-User", "alice"}, {"Impersonate-Group", "system:masters"}})
            .status == 200);
  CHECK(c.send("GET", "/api/v1/nodes", "", {{"Impersonate-Group", "system:masters"}}).status == 400);
}

TEST_CASE("health checks tell which part is ill") {
  Cluster c;
  c.server->add_check("store", true, [] { return Status::OK(); });
  CHECK(c.send("GET", "/readyz").body == "ok");
  CHECK_THAT(c.send("GET", "/readyz?verbose").body, Catch::StartsWith("[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n") &&
                                                        Catch::EndsWith("[+]shutdown ok\nreadyz check passed\n"));
  c.server->add_check("controllers", false, [] { return unavailable("starting"); });
  CHECK(c.send("GET", "/livez").status == 200);
  const auto ill = c.send("GET", "/readyz");
  CHECK(ill.status == 500);
  CHECK_THAT(ill.body, Catch::Contains("[+]etcd ok\n[-]controllers failed: reason withheld\n[+]etcd-readiness ok\n") &&
                           Catch::EndsWith("readyz check failed\n"));
  CHECK(c.send("GET", "/readyz/etcd").body == "ok");
  CHECK(c.send("GET", "/livez/poststarthook/rbac/bootstrap-roles").body == "ok");
  CHECK(c.send("GET", "/readyz/controllers").status == 500);
  CHECK(c.send("GET", "/readyz/none").status == 404);
  CHECK(c.send("GET", "/readyz?exclude=controllers").status == 200);
}

TEST_CASE("discovery, old and aggregated") {
  Cluster c;
  CHECK(at(parse(c.send("GET", "/version").body), {"minor"}) == "36");
  CHECK(at(parse(c.send("GET", "/version").body), {"gitVersion"}) == "v1.36.3+knarr");
  const auto api = parse(c.send("GET", "/api").body);
  CHECK(at(api, {"kind"}) == "APIVersions");
  CHECK(at(api, {"versions"}) == R"(["v1"])");
  const auto groups = parse(c.send("GET", "/apis").body);
  CHECK(at(groups, {"kind"}) == "APIGroupList");
  CHECK(json::find(groups, "groups")->Size() >= 1);
  CHECK(at(parse(c.send("GET", "/apis/coordination.k8s.io").body), {"preferredVersion", "groupVersion"}) ==
        "coordination.k8s.io/v1");
  const auto core = parse(c.send("GET", "/api/v1").body);
  CHECK(at(core, {"groupVersion"}) == "v1");
  std::map<std::string, std::string> kinds;
  for (const auto& r : json::find(core, "resources")->GetArray())
    kinds[at(r, {"name"})] = at(r, {"kind"}) + " " + at(r, {"shortNames"});
  CHECK(kinds["pods"] == R"(Pod ["po"])");
  CHECK(kinds["pods/status"] == "Pod <none>");
  CHECK(kinds["namespaces/finalize"] == "Namespace <none>");

  const std::string accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
  const auto aggregated = c.send("GET", "/api", "", {{"Accept", accept}});
  CHECK(header(aggregated, "Content-Type") == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  CHECK(at(parse(aggregated.body), {"kind"}) == "APIGroupDiscoveryList");
  CHECK(c.send("GET", "/api", "", {{"Accept", accept}, {"If-None-Match", header(aggregated, "ETag")}}).status == 304);
  CHECK(parse(c.send("GET", "/apis", "", {{"Accept", accept}}).body).IsObject());
  CHECK(at(parse(c.send("GET", "/").body), {"paths"}).find("\"/api/v1\"") != std::string::npos);
}

TEST_CASE("OpenAPI v3 is listed with hashes that clients may keep") {
  Cluster c;
  const auto index = parse(c.send("GET", "/openapi/v3").body);
  const std::string url = at(index, {"paths", "api/v1", "serverRelativeURL"});
  REQUIRE(url.find("/openapi/v3/api/v1?hash=") == 0);
  const auto document = c.send("GET", url);
  CHECK(document.status == 200);
  CHECK(header(document, "Cache-Control") == "public, immutable");
  CHECK(at(parse(document.body), {"openapi"}).substr(0, 2) == "3.");
  CHECK(c.send("GET", url, "", {{"If-None-Match", header(document, "ETag")}}).status == 304);
  const auto moved = c.send("GET", "/openapi/v3/api/v1?hash=OLD");
  CHECK(moved.status == 301);
  CHECK(header(moved, "Location") == url);
  CHECK(at(parse(c.send("GET", "/openapi/v2").body), {"swagger"}) == "2.0");
  CHECK(c.send("GET", "/openapi/v3/apis/none/v1").status == 404);
}

TEST_CASE("tables and metadata only") {
  Cluster c;
  c.create("pods", pod_json("p", R"({"x":"1"})"));
  const std::string pods = "/api/v1/namespaces/default/pods";
  const http::Headers table = {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}};
  const auto listed = parse(c.send("GET", pods, "", table).body);
  CHECK(at(listed, {"kind"}) == "Table");
  CHECK(at(listed, {"apiVersion"}) == "meta.k8s.io/v1");
  CHECK(at(*json::find(listed, "columnDefinitions")->Begin(), {"name"}) == "Name");
  REQUIRE(json::find(listed, "rows")->Size() == 1);
  const auto& row = *json::find(listed, "rows")->Begin();
  CHECK(std::string(json::find(row, "cells")->Begin()->GetString()) == "p");
  CHECK(at(row, {"object", "kind"}) == "PartialObjectMetadata");
  CHECK(at(row, {"object", "metadata", "labels", "x"}) == "1");
  CHECK(at(*json::find(parse(c.send("GET", pods + "?includeObject=None", "", table).body), "rows")->Begin(),
           {"object"}) == "null");
  CHECK(at(*json::find(parse(c.send("GET", pods + "?includeObject=Object", "", table).body), "rows")->Begin(),
           {"object", "kind"}) == "Pod");
  CHECK(json::find(parse(c.send("GET", pods + "/p", "", table).body), "rows")->Size() == 1);

  const auto partial = parse(
      c.send("GET", pods, "", {{"Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}}).body);
  CHECK(at(partial, {"kind"}) == "PartialObjectMetadataList");
  CHECK(at(*json::find(partial, "items")->Begin(), {"metadata", "name"}) == "p");
  CHECK(at(*json::find(partial, "items")->Begin(), {"spec"}) == "<none>");
}

TEST_CASE("watch frames, plain and as a table") {
  Cluster c;
  const auto made = c.rest->create(c.context, Cluster::target("configmaps"), config_map_json("a"));
  const WatchItem item{WatchType::kAdded, made->object, {}};
  Renderer plain(Cluster::resource("configmaps"), Output{}, kStart);
  std::string out;
  plain.watch_frame(out, item, WallTime());
  CHECK(out == R"({"type":"ADDED","object":)" + made->object->value + "}\n");
  Output as_table;
  as_table.shape = Shape::kTable;
  Renderer table(Cluster::resource("configmaps"), as_table, kStart);
  out.clear();
  table.watch_frame(out, item, WallTime());
  CHECK(json::find(parse(out), {"object", "columnDefinitions"})->IsArray());
  out.clear();
  table.watch_frame(out, item, WallTime());
  CHECK(json::find(parse(out), {"object", "columnDefinitions"})->IsNull());
  CHECK(json::find(parse(out), {"object", "rows"})->Size() == 1);
}

TEST_CASE("a watch takes the connection over") {
  Cluster c;
  const auto response = c.send("GET", "/api/v1/pods?watch=1");
  CHECK(response.status == 200);
  CHECK(response.takeover != nullptr);
  CHECK(header(response, "Content-Type") == "application/json");
}

static std::string unzipped(const std::string& packed) {
  std::string out(1 << 20, '\0');
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST_CASE("YAML in and out, pretty, warnings, gzip") {
  Cluster c;
  const std::string all = "/api/v1/namespaces/default/configmaps";
  const auto made = c.send("POST", all, "metadata:\n  name: conf\ndata:\n  k: v\nextra: 1\n",
                           {{"Content-Type", "application/yaml"}, {"Accept", "application/yaml"}});
  CHECK(made.status == 201);
  CHECK(header(made, "Content-Type") == "application/yaml");
  CHECK(made.body.find("name: conf") != std::string::npos);
  CHECK(header(made, "Warning") == R"(299 - "unknown field \"extra\"")");
  CHECK(c.send("GET", all + "/conf?pretty=true").body.find("\n  \"kind\"") != std::string::npos);
  c.create("configmaps", config_map_json("big", R"({"k":")" + std::string(200'000, 'x') + "\"}"));
  for (const std::string& path : {all + "/big", all}) {  // the one is a body, the other is made while it is sent
    const auto packed = c.send("GET", path, "", {{"Accept-Encoding", "deflate, gzip"}});
    CHECK(header(packed, "Content-Encoding") == "gzip");
    CHECK(packed.body.size() < 10'000);
    CHECK(unzipped(packed.body) == c.send("GET", path).body);
  }
  CHECK(header(c.send("GET", all + "/big", "", {{"Accept-Encoding", "gzip;q=0, br"}}), "Content-Encoding").empty());
  CHECK(header(c.send("GET", all + "/conf", "", {{"Accept-Encoding", "gzip"}}), "Content-Encoding").empty());
}

TEST_CASE("an expired list's Status carries the token to go on with") {
  Cluster c;
  for (char name = 'a'; name <= 'd'; ++name) c.create("configmaps", config_map_json(std::string(1, name)));
  const std::string all = "/api/v1/configmaps?limit=2";
  const std::string token = at(parse(c.send("GET", all).body), {"metadata", "continue"});
  c.clock.advance(std::chrono::seconds(301));
  const auto expired = c.send("GET", all + "&continue=" + token);
  CHECK(expired.status == 410);
  const std::string fresh = at(parse(expired.body), {"metadata", "continue"});
  CHECK(json::find(parse(c.send("GET", all + "&continue=" + fresh).body), "items")->Size() == 2);
}

TEST_CASE("metrics count requests by what they were") {
  Cluster c;
  c.send("GET", "/api/v1/pods");
  const auto metrics = c.send("GET", "/metrics");
  CHECK(
      metrics.body.find(
          R"(apiserver_request_total{verb="list",group="",version="v1",resource="pods",subresource="",code="200"} 1)") !=
      std::string::npos);
  CHECK(metrics.body.find("knarr_store_objects ") != std::string::npos);
}

TEST_CASE("a log of a pod with several containers needs a choice; one without a node is empty") {
  Cluster c;
  c.create(
      "pods",
      R"({"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"i","image":"x"}],"containers":[{"name":"a","image":"x"},{"name":"b","image":"x"}]}})");
  const std::string log = "/api/v1/namespaces/default/pods/p/log";
  const auto refused = c.send("GET", log);
  CHECK(refused.status == 400);
  CHECK(at(parse(refused.body), {"message"}) == "a container name must be specified for pod p, choose one of: [i a b]");
  const auto empty = c.send("GET", log + "?container=a");
  CHECK(empty.status == 200);
  CHECK(empty.body.empty());
}

TEST_CASE("reviews: who one is and what one may do") {
  Cluster c;
  const auto ask = [&](const std::string& path, const std::string& body) {
    const auto response = c.send("POST", path, body);
    INFO(response.body);
    CHECK(response.status == 201);
    return parse(response.body);
  };
  const std::string authz = "/apis/authorization.k8s.io/v1/", authn = "/apis/authentication.k8s.io/v1/";
  const auto self = ask(authn + "selfsubjectreviews", "{}");
  CHECK(at(self, {"kind"}) == "SelfSubjectReview");
  CHECK(at(self, {"status", "userInfo", "username"}) == "admin");
  const std::string pods = R"("resourceAttributes":{"namespace":"default","verb":"get","resource":"pods"})";
  CHECK(at(ask(authz + "selfsubjectaccessreviews", "{\"spec\":{" + pods + "}}"), {"status", "allowed"}) == "true");
  CHECK(at(ask(authz + "subjectaccessreviews", R"({"spec":{"user":"bob",)" + pods + "}}"), {"status", "allowed"}) ==
        "false");
  CHECK(at(ask(authz + "subjectaccessreviews", R"({"spec":{"user":"bob","groups":["system:masters"],)" + pods + "}}"),
           {"status", "allowed"}) == "true");
  CHECK(at(ask(authn + "tokenreviews", R"({"spec":{"token":"secret-token"}})"), {"status", "user", "username"}) ==
        "bob");
  CHECK(at(ask(authn + "tokenreviews", R"({"spec":{"token":"wrong"}})"), {"status", "authenticated"}) == "<none>");
  CHECK(json::find(ask(authz + "selfsubjectrulesreviews", R"({"spec":{"namespace":"default"}})"),
                   {"status", "resourceRules"})
            ->Size() == 0);  // of those who may do all it is not told why
  CHECK(c.send("POST", authz + "selfsubjectaccessreviews", R"({"spec":{}})").status == 422);
  CHECK(c.send("GET", authz + "selfsubjectaccessreviews").status == 405);
  CHECK(c.send("POST", authz + "selfsubjectaccessreviews", "{\"spec\":{" + pods + "}}",
               {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}})
            .status == 406);
  CHECK(c.store->count(c.store->resource("selfsubjectaccessreviews.authorization.k8s.io")) == 0);
}

TEST_CASE("a path that is none of the API's is a plain 404") {
  Cluster c;
  for (const char* path : {"/somewhere", "/apis/none", "/apis/none/v1"}) {
    const auto response = c.send("GET", path);
    CHECK(response.status == 404);
    CHECK(response.body == "404 page not found\n");
  }
}
