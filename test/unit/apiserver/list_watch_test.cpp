#include <fmt/format.h>

#include "fixture.h"

using namespace knarr;
using namespace knarr::apiserver;
using namespace knarr::apiserver::test;

namespace {

ListParams labels(std::string text) {
  ListParams params;
  params.label_selector = std::move(text);
  return params;
}
ListParams fields(std::string text) {
  ListParams params;
  params.field_selector = std::move(text);
  return params;
}

// What a watch hands out now: "TYPE name[ label x]".
std::vector<std::string> drain(Watch& watch) {
  std::vector<WatchItem> items;
  while (watch.next(2, items) && !watch.idle()) {
  }
  std::vector<std::string> out;
  for (const WatchItem& item : items) {
    const auto object = parse(item.bytes());
    out.push_back(
        std::string(to_string(item.type)) + " " + at(object, {"metadata", "name"}) +
        (json::find(object, {"metadata", "labels", "x"}) ? " " + at(object, {"metadata", "labels", "x"}) : ""));
  }
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("selectors") {
  Cluster c;
  c.make_namespace("other");
  c.create("pods", pod_json("a", R"({"x":"1","y":"2"})"));
  c.create("pods", pod_json("b", R"({"x":"2"})", R"(,"nodeName":"n1")"));
  c.create("pods", pod_json("c", "{}"), "other");
  CHECK(c.names("pods", {}) == Names{"default/a", "default/b"});
  CHECK(c.names("pods", {}, "") == Names{"default/a", "default/b", "other/c"});
  CHECK(c.names("pods", labels("x=1")) == Names{"default/a"});
  CHECK(c.names("pods", labels("x in (1,2),!y")) == Names{"default/b"});
  CHECK(c.names("pods", labels("x!=1"), "") == Names{"default/b", "other/c"});
  CHECK(c.names("pods", fields("spec.nodeName=n1")) == Names{"default/b"});
  CHECK(c.names("pods", fields("spec.nodeName!=n1"), "") == Names{"default/a", "other/c"});
  CHECK(c.names("pods", fields("spec.nodeName=")) == Names{"default/a"});
  CHECK(c.names("pods", fields("metadata.name=a")) == Names{"default/a"});
  CHECK(c.names("pods", fields("metadata.name=c,metadata.namespace=other"), "") == Names{"other/c"});
  CHECK(c.names("pods", fields("status.phase=Pending,metadata.name!=a")) == Names{"default/b"});
  CHECK(c.names("namespaces", fields("metadata.name=other")) == Names{"other"});
  for (const auto& [plural, selector, message] :
       {std::make_tuple("pods", "spec.colour=red", "field label not supported: spec.colour"),
        std::make_tuple("configmaps", "data=1",
                        R"("data" is not a known field selector: only "metadata.name", "metadata.namespace")")}) {
    const auto listed = c.rest->list(c.context, Cluster::target(plural), fields(selector));
    REQUIRE_FALSE(listed.ok());
    CHECK(listed.status().code() == 400);
    CHECK(listed.status().message() == message);
  }
}

TEST_CASE("a list is the stored bytes side by side") {
  Cluster c;
  c.create("configmaps", config_map_json("a"));
  c.create("configmaps", config_map_json("b"));
  const auto listed = c.rest->list(c.context, Cluster::target("configmaps"), {});
  REQUIRE(listed.ok());
  const auto list = parse(listed->to_json());
  CHECK(at(list, {"kind"}) == "ConfigMapList");
  CHECK(at(list, {"apiVersion"}) == "v1");
  CHECK(at(list, {"metadata", "resourceVersion"}) == std::to_string(c.store->revision()));
  REQUIRE(json::find(list, "items")->Size() == 2);
  CHECK(at(*json::find(list, "items")->Begin(), {"kind"}) == "<none>");
  CHECK(at(*json::find(list, "items")->Begin(), {"metadata", "name"}) == "a");
}

TEST_CASE("a large list is sent from the objects, and is what it would be as one text") {
  Cluster c;
  for (int i = 0; i < 300; ++i) {
    const std::string labels = fmt::format(R"(,"labels":{{"shard":"s{}"}})", i % 3);
    c.create("configmaps", config_map_json(fmt::format("c{:03}", i), R"({"a":")" + std::string(500, 'x') + "\"}", labels));
  }
  const std::string path = "/api/v1/namespaces/default/configmaps";
  for (const char* selector : {"", "shard=s1", "shard in (s1,s2)", "shard=none", "shard!=s0,shard=s2"}) {
    const auto listed = c.rest->list(c.context, c.target("configmaps"), labels(selector));
    REQUIRE(listed.ok());
    http::Request request = c.request("GET", path);
    request.query = {{"labelSelector", selector}};
    http::Response response;
    c.server->handler()(request, response);
    CHECK((response.source != nullptr) == (listed->objects.size() > 60));
    const size_t size = response.body_size();
    response.make_body();
    CHECK(response.body.size() == size);
    CHECK(response.body == listed->to_json());
    CHECK(json::find(parse(response.body), "items")->Size() == listed->objects.size());
  }
}

TEST_CASE("pages show one state, whatever is written meanwhile") {
  Cluster c;
  for (char name = 'a'; name <= 'g'; ++name) c.create("configmaps", config_map_json(std::string(1, name)));
  ListParams params;
  params.limit = 3;
  Names seen;
  std::vector<std::string> remaining;
  store::Revision revision = 0;
  for (int page = 0; page < 5; ++page) {
    const auto listed = c.rest->list(c.context, Cluster::target("configmaps"), params);
    INFO(listed.status().to_string());
    REQUIRE(listed.ok());
    if (page == 0) revision = listed->revision;
    CHECK(listed->revision == revision);
    for (const auto& object : listed->objects) seen.push_back(object->key.substr(8));
    remaining.push_back(listed->remaining ? std::to_string(*listed->remaining) : "-");
    params.continue_token = listed->continue_token;
    if (listed->continue_token.empty()) break;
    c.create("configmaps", config_map_json("z" + std::to_string(page)));
    if (page == 0) REQUIRE(c.rest->remove(c.context, Cluster::target("configmaps", "e"), {}).ok());
  }
  CHECK(seen == Names{"a", "b", "c", "d", "e", "f", "g"});
  CHECK(remaining == Names{"4", "1", "-"});
}

TEST_CASE("pages of a selection count what matches") {
  Cluster c;
  for (int i = 0; i < 10; ++i)
    c.create("configmaps", config_map_json("c" + std::to_string(i), "{}", i % 2 ? R"(,"labels":{"x":"1"})" : ""));
  ListParams params = labels("x=1");
  params.limit = 2;
  std::vector<size_t> sizes;
  do {
    const auto listed = c.rest->list(c.context, Cluster::target("configmaps"), params);
    REQUIRE(listed.ok());
    CHECK_FALSE(listed->remaining.has_value());
    sizes.push_back(listed->objects.size());
    params.continue_token = listed->continue_token;
  } while (!params.continue_token.empty());
  CHECK(sizes == std::vector<size_t>{2, 2, 1});
}

TEST_CASE("a continue token ages, and the error has one that goes on inconsistently") {
  Cluster c;
  for (char name = 'a'; name <= 'd'; ++name) c.create("configmaps", config_map_json(std::string(1, name)));
  ListParams params;
  params.limit = 2;
  params.continue_token = c.rest->list(c.context, Cluster::target("configmaps"), params)->continue_token;
  c.clock.advance(std::chrono::seconds(301));
  const auto expired = c.rest->list(c.context, Cluster::target("configmaps"), params);
  REQUIRE_FALSE(expired.ok());
  CHECK(expired.status().code() == 410);
  CHECK(expired.status().reason() == "Expired");
  REQUIRE_FALSE(c.context.continue_token.empty());
  params.continue_token = c.context.continue_token;
  CHECK(c.names("configmaps", params) == Names{"default/c", "default/d"});
  params.continue_token = "nonsense";
  CHECK(c.rest->list(c.context, Cluster::target("configmaps"), params).status().code() == 400);
}

TEST_CASE("resource versions of lists") {
  Cluster c;
  c.create("configmaps", config_map_json("a"));
  const std::string first = std::to_string(c.store->revision());
  c.create("configmaps", config_map_json("b"));
  struct Case {
    std::string revision, match;
    int64_t limit;
    size_t count;
    int code;
  };
  const std::vector<Case> cases = {
      {"", "", 0, 2, 200},         {"0", "", 0, 2, 200},        {first, "", 0, 2, 200},
      {first, "Exact", 0, 1, 200}, {first, "", 5, 1, 200},      {first, "NotOlderThan", 5, 2, 200},
      {"999", "", 0, 0, 504},      {"", "Exact", 0, 0, 422},    {"0", "Exact", 0, 0, 422},
      {"x", "", 0, 0, 400},        {"1", "Roughly", 0, 0, 422},
  };
  for (const Case& test : cases) {
    INFO(test.revision << " " << test.match << " " << test.limit);
    ListParams params;
    params.resource_version = test.revision;
    params.resource_version_match = test.match;
    params.limit = test.limit;
    const auto listed = c.rest->list(c.context, Cluster::target("configmaps"), params);
    CHECK(listed.status().code() == test.code);
    if (listed.ok()) CHECK(listed->objects.size() == test.count);
    if (test.code == 504) {
      CHECK(listed.status().causes().at(0).reason == "ResourceVersionTooLarge");
      CHECK(listed.status().details().retry_after_seconds == 1);
    }
  }
}

TEST_CASE("a watch begins with the state, or where it is told to") {
  struct Case {
    std::string since;  // "first", "last" or a revision as it is
    Names before;
  };
  const std::vector<Case> cases = {
      {"", {"ADDED a", "ADDED b"}}, {"0", {"ADDED a", "ADDED b"}}, {"first", {"ADDED b"}}, {"last", {}}};
  for (const Case& test : cases) {
    INFO(test.since);
    Cluster c;
    c.create("configmaps", config_map_json("a"));
    ListParams params;
    params.resource_version = test.since;
    if (test.since == "first") params.resource_version = std::to_string(c.store->revision());
    c.create("configmaps", config_map_json("b"));
    if (test.since == "last") params.resource_version = std::to_string(c.store->revision());
    auto watch = c.rest->watch(c.context, Cluster::target("configmaps"), params);
    REQUIRE(watch.ok());
    CHECK(drain(**watch) == test.before);
    c.create("configmaps", config_map_json("later"));
    CHECK(drain(**watch) == Names{"ADDED later"});
    REQUIRE(c.rest->remove(c.context, Cluster::target("configmaps", "later"), {}).ok());
    CHECK(drain(**watch) == Names{"DELETED later"});
  }
}

TEST_CASE("objects begin and cease to match a watch's selector") {
  Cluster c;
  c.make_namespace("other");
  ListParams params = labels("x=1");
  auto watch = c.rest->watch(c.context, Cluster::target("configmaps"), params);
  REQUIRE(watch.ok());
  const auto put = [&](const std::string& name, const std::string& label, const std::string& data = "{}") {
    const auto body = config_map_json(name, data, R"(,"labels":{"x":")" + label + "\"}");
    REQUIRE(c.rest->update(c.context, Cluster::target("configmaps", name), body).ok());
  };
  c.create("configmaps", config_map_json("a", "{}", R"(,"labels":{"x":"2"})"));
  c.create("configmaps", config_map_json("a", "{}", R"(,"labels":{"x":"1"})"), "other");
  CHECK(drain(**watch) == Names{});
  put("a", "1");
  CHECK(drain(**watch) == Names{"ADDED a 1"});
  put("a", "1", R"({"k":"v"})");
  CHECK(drain(**watch) == Names{"MODIFIED a 1"});
  put("a", "3");
  std::vector<WatchItem> items;
  (*watch)->next(10, items);
  REQUIRE(items.size() == 1);
  CHECK(items[0].type == WatchType::kDeleted);
  const auto last = parse(items[0].bytes());  // the last state that matched, at the revision of the change
  CHECK(at(last, {"metadata", "labels", "x"}) == "1");
  CHECK(at(last, {"metadata", "resourceVersion"}) == std::to_string(c.store->revision()));
  put("a", "4");
  CHECK(drain(**watch) == Names{});
  put("a", "1");
  CHECK(drain(**watch) == Names{"ADDED a 1"});
  REQUIRE(c.rest->remove(c.context, Cluster::target("configmaps", "a"), {}).ok());
  CHECK(drain(**watch) == Names{"DELETED a 1"});
}

TEST_CASE("initial events end with a bookmark, and bookmarks come each minute") {
  Cluster c;
  c.create("configmaps", config_map_json("a"));
  ListParams params;
  params.send_initial_events = true;
  params.resource_version_match = "NotOlderThan";
  params.allow_watch_bookmarks = true;
  params.timeout_seconds = 150;
  auto watch = c.rest->watch(c.context, Cluster::target("configmaps"), params);
  REQUIRE(watch.ok());
  std::vector<WatchItem> items;
  CHECK((*watch)->next(10, items));
  REQUIRE(items.size() == 2);
  CHECK(items[0].type == WatchType::kAdded);
  CHECK(items[1].type == WatchType::kBookmark);
  const auto bookmark = parse(items[1].bytes());
  CHECK(at(bookmark, {"kind"}) == "ConfigMap");
  CHECK(at(bookmark, {"metadata", "annotations", "k8s.io/initial-events-end"}) == "true");
  CHECK(at(bookmark, {"metadata", "resourceVersion"}) == std::to_string(c.store->revision()));
  CHECK((*watch)->deadline() == c.clock.mono() + std::chrono::seconds(60));
  c.make_namespace("else");  // other resources move bookmarks on
  c.clock.advance(std::chrono::seconds(60));
  items.clear();
  CHECK((*watch)->next(10, items));
  REQUIRE(items.size() == 1);
  CHECK(at(parse(items[0].bytes()), {"metadata", "resourceVersion"}) == std::to_string(c.store->revision()));
  c.clock.advance(std::chrono::seconds(90));
  items.clear();
  CHECK_FALSE((*watch)->next(10, items));
}

TEST_CASE("a watch without a time-out lasts 30 to 60 minutes") {
  Cluster c;
  auto watch = c.rest->watch(c.context, Cluster::target("configmaps"), {});
  REQUIRE(watch.ok());
  const auto lasts = (*watch)->deadline() - c.clock.mono();
  CHECK(lasts >= std::chrono::minutes(30));
  CHECK(lasts <= std::chrono::minutes(60));
}

TEST_CASE("a watch from too far back ends with an Expired error event") {
  store::Store::Options options;
  options.ring_events = options.deletions_kept = 16;
  Cluster c(std::move(options));
  c.create("configmaps", config_map_json("a"));
  ListParams params;
  params.resource_version = std::to_string(c.store->revision());
  const store::ResourceId id = c.store->resource("configmaps");
  for (int i = 0; i < 200; ++i) {  // more deletions than are remembered
    store::Write put, gone;
    put.resource = gone.resource = id;
    put.key = gone.key = "default/x";
    put.value = R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":""}})";
    put.rev_pos = static_cast<uint32_t>(put.value.size() - 3);
    gone.op = store::Write::Op::kDelete;
    REQUIRE(c.store->commit({&put, 1}).ok());
    REQUIRE(c.store->commit({&gone, 1}).ok());
  }
  auto watch = c.rest->watch(c.context, Cluster::target("configmaps"), params);
  REQUIRE(watch.ok());
  std::vector<WatchItem> items;
  CHECK_FALSE((*watch)->next(10, items));
  REQUIRE(items.size() == 1);
  CHECK(items[0].type == WatchType::kError);
  CHECK(at(parse(items[0].bytes()), {"reason"}) == "Expired");
  CHECK(at(parse(items[0].bytes()), {"code"}) == "410");
}

TEST_CASE("watches that are refused") {
  Cluster c;
  ListParams params;
  SECTION("initial events without a match") {
    params.send_initial_events = true;
    CHECK(c.rest->watch(c.context, Cluster::target("pods"), params).status().code() == 422);
  }
  SECTION("a selector that does not parse") {
    params.label_selector = "x in (";
    CHECK(c.rest->watch(c.context, Cluster::target("pods"), params).status().code() == 400);
  }
}

TEST_CASE("a watch from the future tells nothing until that is there") {
  Cluster c;
  ListParams params;
  params.resource_version = std::to_string(c.store->revision() + 1);
  auto watch = c.rest->watch(c.context, Cluster::target("configmaps"), params);
  REQUIRE(watch.ok());
  c.create("configmaps", config_map_json("a"));
  CHECK(drain(**watch) == Names{});
  c.create("configmaps", config_map_json("b"));
  CHECK(drain(**watch) == Names{"ADDED b"});
}
