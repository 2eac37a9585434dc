// Server-side apply and managedFields by tables of cases, on a kind made for it and on the API's own.
#include "knarr/schema/apply.h"

#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

namespace json = knarr::json;
using namespace knarr::schema;

namespace {

const std::string_view kItemKeys[] = {"name", "port"};
const Field kItemFields[] = {{.name = "name", .shape = Shape::kString, .omit_empty = true},
                             {.name = "note", .shape = Shape::kString, .omit_empty = true},
                             {.name = "port", .shape = Shape::kInt32, .omit_empty = true, .default_json = "80"}};
const uint16_t kItemNames[] = {0, 1, 2};
const Type kItem{.name = "test/v1.Item", .fields = kItemFields, .by_name = kItemNames};

const Field kMetaFields[] = {
    {.name = "annotations", .shape = Shape::kMap, .element = Shape::kString, .omit_empty = true},
    {.name = "labels", .shape = Shape::kMap, .element = Shape::kString, .omit_empty = true},
    {.name = "managedFields", .shape = Shape::kList, .element = Shape::kAny, .omit_empty = true},
    {.name = "name", .shape = Shape::kString, .omit_empty = true},
    {.name = "uid", .shape = Shape::kString, .omit_empty = true}};
const uint16_t kMetaNames[] = {0, 1, 2, 3, 4};
const Type kMeta{.name = "test/v1.Meta", .fields = kMetaFields, .by_name = kMetaNames};

const Field kFields[] = {
    {.name = "kind", .shape = Shape::kString, .omit_empty = true},
    {.name = "apiVersion", .shape = Shape::kString, .omit_empty = true},
    {.name = "metadata", .shape = Shape::kObject, .type = &kMeta},
    {.name = "any", .shape = Shape::kAny, .omit_empty = true},
    {.name = "count", .shape = Shape::kInt32, .omit_empty = true, .pointer = true},
    {.name = "items",
     .shape = Shape::kList,
     .element = Shape::kObject,
     .type = &kItem,
     .omit_empty = true,
     .list = ListType::kMap,
     .list_keys = kItemKeys},
    {.name = "one", .shape = Shape::kObject, .type = &kItem, .omit_empty = true, .pointer = true},
    {.name = "plain", .shape = Shape::kList, .element = Shape::kString, .omit_empty = true},
    {.name = "status", .shape = Shape::kObject, .type = &kItem, .omit_empty = true},
    {.name = "tags", .shape = Shape::kList, .element = Shape::kString, .omit_empty = true, .list = ListType::kSet},
    {.name = "whole", .shape = Shape::kObject, .type = &kItem, .omit_empty = true, .pointer = true, .atomic_map = true}};
const uint16_t kNames[] = {3, 1, 4, 5, 0, 2, 6, 7, 8, 9, 10};
const Type kType{.name = "test/v1.Test", .fields = kFields, .by_name = kNames, .group = "test", .version = "v1", .kind = "Test"};
const Subresource kSubresources[] = {{.name = "status"}};
const Resource kResource{
    .group = "test", .version = "v1", .plural = "tests", .kind = "Test", .subresources = kSubresources, .type = &kType,
    .storage_name = "tests.test"};

json::Document parsed(std::string_view text) {
  auto document = json::parse(text);
  INFO(text);
  REQUIRE(document.ok());
  return std::move(*document);
}

// A document of the kind from what it has beside that.
json::Document object(std::string_view rest) {
  json::Document out = parsed(rest);
  json::set(out, "kind", "Test", out.GetAllocator());
  json::set(out, "apiVersion", "test/v1", out.GetAllocator());
  json::ensure_object(out, {"metadata"}, out.GetAllocator());
  return out;
}

// "m Apply {...}; n Update/status {...}": managedFields without what is always the same.
std::string managers(const json::Value& object) {
  std::string out;
  const json::Value* list = json::find(object, {"metadata", "managedFields"});
  if (!list) return out;
  for (const json::Value& entry : list->GetArray()) {
    if (!out.empty()) out += "; ";
    out.append(json::get_string(entry, "manager")).append(" ").append(json::get_string(entry, "operation"));
    if (const auto sub = json::get_string(entry, "subresource"); !sub.empty()) out.append("/").append(sub);
    out.append(" ").append(json::dump(*json::find(entry, "fieldsV1")));
  }
  return out;
}

void updated(json::Document& live, const char* manager, std::string_view rest, std::string_view subresource = "") {
  json::Document next = object(rest);
  const bool exists = json::find(live, "kind") != nullptr;
  track_fields(kResource, {manager, subresource, "2024-01-01T00:00:00Z"}, next, exists ? &live : nullptr, next.GetAllocator());
  live = std::move(next);
}

knarr::Status applied(json::Document& live, const char* manager, std::string_view rest, bool force = false) {
  const json::Document config = object(rest);
  const bool exists = json::find(live, "kind") != nullptr;
  auto next = apply(kResource, {manager, "", "2024-01-01T00:00:00Z"}, force, exists ? &live : nullptr, config);
  if (!next.ok()) return next.status();
  live = std::move(*next);
  return knarr::Status::OK();
}

std::string shown(const json::Document& live) {
  json::Document copy = json::copy(live);
  for (const char* key : {"kind", "apiVersion", "metadata"}) json::remove(copy, key);
  return json::dump(copy);
}

}  // namespace

TEST_CASE("apply: the fields that a new object's creator owns", "[apply]") {
  const std::tuple<const char*, const char*> cases[] = {
      {R"({"count":1})", R"(m Update {"f:count":{}})"},
      {R"({"metadata":{"name":"x","uid":"u","labels":{"b":"1","a":"2"}}})",
       R"(m Update {"f:metadata":{"f:labels":{".":{},"f:a":{},"f:b":{}}}})"},
      {R"({"items":[{"name":"b","port":80},{"name":"a","port":81,"note":"n"}]})",
       R"(m Update {"f:items":{".":{},"k:{\"name\":\"a\",\"port\":81}":{".":{},"f:name":{},"f:note":{},"f:port":{}},)"
       R"("k:{\"name\":\"b\",\"port\":80}":{".":{},"f:name":{},"f:port":{}}}})"},
      {R"({"items":[{"name":"a"}]})", R"(m Update {"f:items":{".":{},"k:{\"name\":\"a\",\"port\":80}":{".":{},"f:name":{}}}})"},
      {R"({"tags":["y","x"],"plain":["z"]})", R"(m Update {"f:plain":{},"f:tags":{".":{},"v:\"x\"":{},"v:\"y\"":{}}})"},
      {R"({"one":{},"whole":{"name":"x"}})", R"(m Update {"f:one":{},"f:whole":{}})"},
      {R"({"one":{"name":"x"}})", R"(m Update {"f:one":{".":{},"f:name":{}}})"},
      {R"({"any":{"a":[1],"b":{"c":null}}})", R"(m Update {"f:any":{".":{},"f:a":{},"f:b":{".":{},"f:c":{}}}})"},
      {R"({"any":[{"a":1}]})", R"(m Update {"f:any":{}})"},
      {R"({"any":{"<a>":1,"\"":2}})", R"(m Update {"f:any":{".":{},"f:\"":{},"f:<a>":{}}})"},
      {R"({"tags":["<x>","é"]})", R"(m Update {"f:tags":{".":{},"v:\"\\u003cx\\u003e\"":{},"v:\"é\"":{}}})"},
      {R"({"items":[{"name":"a"},{"name":"a"}]})", R"(m Update {"f:items":{".":{},"k:{\"name\":\"a\",\"port\":80}":{}}})"},
      {R"({"status":{"name":"reset"}})", ""},
      {R"({"items":[5]})", ""},  // nobody can say which element that is
      {R"({})", ""},
  };
  for (const auto& [body, expected] : cases) {
    INFO(body);
    json::Document live(rapidjson::kObjectType);
    updated(live, "m", body);
    CHECK(managers(live) == expected);
  }
}

TEST_CASE("apply: what an update takes from others and gives up", "[apply]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"({"count":1})", R"({"count":1})", R"(a Update {"f:count":{}})"},
      {R"({"count":1})", R"({"count":2})", R"(b Update {"f:count":{}})"},
      {R"({"count":1,"plain":["x"]})", R"({"plain":["x"]})", R"(a Update {"f:plain":{}})"},
      {R"({"count":1})", R"({"plain":["x"]})", R"(b Update {"f:plain":{}})"},
      {R"({"tags":["x","y"]})", R"({"tags":["y","z"]})",
       R"(a Update {"f:tags":{".":{},"v:\"y\"":{}}}; b Update {"f:tags":{"v:\"z\"":{}}})"},
      {R"({"items":[{"name":"a","note":"1"},{"name":"b"}]})", R"({"items":[{"name":"b"},{"name":"a","note":"2"}]})",
       R"(a Update {"f:items":{".":{},"k:{\"name\":\"a\",\"port\":80}":{".":{},"f:name":{}},)"
       R"("k:{\"name\":\"b\",\"port\":80}":{".":{},"f:name":{}}}}; )"
       R"(b Update {"f:items":{"k:{\"name\":\"a\",\"port\":80}":{"f:note":{}}}})"},
      {R"({"any":{"a":1,"b":2}})", R"({"any":{"a":"x"}})", R"(a Update {"f:any":{}}; b Update {"f:any":{"f:a":{}}})"},
      {R"({"any":{"a":1}})", R"({"any":[1]})", R"(b Update {"f:any":{}})"},
  };
  for (const auto& [first, second, expected] : cases) {
    INFO(first << " " << second);
    json::Document live(rapidjson::kObjectType);
    updated(live, "a", first);
    updated(live, "b", second);
    CHECK(managers(live) == expected);
  }
}

TEST_CASE("apply: subresources, and lists of managers that clients send", "[apply]") {
  json::Document live(rapidjson::kObjectType);
  updated(live, "a", R"({"count":1})");
  updated(live, "c", R"({"count":1,"status":{"name":"x"}})", "status");
  CHECK(managers(live) == R"(a Update {"f:count":{}}; c Update/status {"f:status":{".":{},"f:name":{}}})");

  const std::tuple<const char*, const char*> cases[] = {
      {R"({"metadata":{"managedFields":[{}]},"count":2})", ""},
      {R"({"metadata":{"managedFields":[{"manager":"x"}]},"count":1})", R"(a Update {"f:count":{}})"},  // none: the old one stays
      {R"({"metadata":{"managedFields":[{"manager":"x","operation":"Apply","apiVersion":"test/v1","fieldsType":"FieldsV1",
         "fieldsV1":{"f:count":{},"q:new":{}}}]},"count":1})",
       R"(x Apply {"f:count":{},"q:new":{}})"},
      {R"({"metadata":{"managedFields":[{"manager":"x","operation":"Apply","apiVersion":"test/v1","fieldsType":"FieldsV1",
         "fieldsV1":{"k:nonsense":{}}}]},"count":1})",
       R"(a Update {"f:count":{}})"},
      {R"({"metadata":{"managedFields":[{"manager":"x","operation":"Apply","apiVersion":"other/v1","fieldsType":"FieldsV1",
         "fieldsV1":{"f:count":{}}}]},"count":1})",
       ""},  // of a version that is not this kind's
      {R"({"metadata":{"managedFields":[{"manager":"x","operation":"Update","apiVersion":"test/v1","fieldsType":"FieldsV1",
         "fieldsV1":{}}]},"count":1})",
       ""},  // of one who owns nothing
  };
  for (const auto& [sent, expected] : cases) {
    INFO(sent);
    json::Document copy(rapidjson::kObjectType);
    updated(copy, "a", R"({"count":1})");
    updated(copy, "b", sent);
    CHECK(managers(copy) == expected);
  }

  json::Document none = object(R"({"count":1})");
  updated(none, "b", R"({"count":2})");
  CHECK(managers(none).empty());  // what was not tracked is not, until it is applied
}

TEST_CASE("apply: more than ten that update become one with the oldest", "[apply]") {
  json::Document live(rapidjson::kObjectType);
  std::string labels;
  for (int i = 0; i < 14; ++i) {
    labels += (i ? ",\"l" : "\"l") + std::to_string(10 + i) + "\":\"x\"";
    const std::string body = "{\"metadata\":{\"labels\":{" + labels + "}}}";
    json::Document next = object(body);
    const std::string manager = "m" + std::to_string(10 + i), time = "2024-01-01T00:00:" + std::to_string(10 + i) + "Z";
    track_fields(kResource, {manager, "", time}, next, i ? &live : nullptr, next.GetAllocator());
    live = std::move(next);
  }
  const json::Value* list = json::find(live, {"metadata", "managedFields"});
  REQUIRE(list->Size() == 10);
  CHECK(json::get_string((*list)[0], "manager") == "ancient-changes");
  CHECK(json::get_string((*list)[0], "time") == "2024-01-01T00:00:14Z");
  CHECK(json::dump(*json::find((*list)[0], "fieldsV1")) ==
        R"({"f:metadata":{"f:labels":{".":{},"f:l10":{},"f:l11":{},"f:l12":{},"f:l13":{},"f:l14":{}}}})");
}

TEST_CASE("apply: merging, giving up, and sharing", "[apply]") {
  struct Case {
    std::vector<std::pair<const char*, const char*>> steps;  // manager, configuration
    const char *expected, *managers;
  };
  const Case cases[] = {
      {{{"a", R"({"count":1,"plain":["x"]})"}, {"a", R"({"plain":["y","z"]})"}}, R"({"plain":["y","z"]})", R"(a Apply {"f:plain":{}})"},
      {{{"a", R"({"count":1})"}, {"b", R"({"count":1})"}, {"a", R"({})"}}, R"({"count":1})", R"(b Apply {"f:count":{}})"},
      {{{"a", R"({"count":1})"}, {"b", R"({"count":1})"}, {"a", R"({})"}, {"b", R"({})"}}, R"({})", ""},
      {{{"a", R"({"tags":["x","y"]})"}, {"b", R"({"tags":["z","y"]})"}}, R"({"tags":["x","z","y"]})",
       R"(a Apply {"f:tags":{"v:\"x\"":{},"v:\"y\"":{}}}; b Apply {"f:tags":{"v:\"y\"":{},"v:\"z\"":{}}})"},
      {{{"a", R"({"tags":["x","y"]})"}, {"b", R"({"tags":["z","y"]})"}, {"a", R"({"tags":["x"]})"}}, R"({"tags":["x","z","y"]})",
       R"(a Apply {"f:tags":{"v:\"x\"":{}}}; b Apply {"f:tags":{"v:\"y\"":{},"v:\"z\"":{}}})"},
      {{{"a", R"({"items":[{"name":"a","note":"1"},{"name":"b"}]})"}, {"a", R"({"items":[{"name":"b"}]})"}},
       R"({"items":[{"name":"b"}]})", R"(a Apply {"f:items":{"k:{\"name\":\"b\",\"port\":80}":{".":{},"f:name":{}}}})"},
      // The element stays for its other owner, without the field that was only the first one's.
      {{{"a", R"({"items":[{"name":"a","note":"1"}]})"}, {"b", R"({"items":[{"name":"a"}]})"}, {"a", R"({})"}},
       R"({"items":[{"name":"a"}]})", R"(b Apply {"f:items":{"k:{\"name\":\"a\",\"port\":80}":{".":{},"f:name":{}}}})"},
      {{{"a", R"({"one":{"name":"x","note":"1"}})"}, {"a", R"({"one":{"name":"x"}})"}}, R"({"one":{"name":"x"}})",
       R"(a Apply {"f:one":{"f:name":{}}})"},
      {{{"a", R"({"one":{}})"}, {"b", R"({"one":{"name":"x"}})"}}, R"({"one":{"name":"x"}})",
       R"(a Apply {"f:one":{}}; b Apply {"f:one":{"f:name":{}}})"},
      {{{"a", R"({"any":{"a":1,"b":{"c":2}}})"}, {"a", R"({"any":{"b":{"d":3}}})"}}, R"({"any":{"b":{"d":3}}})",
       R"(a Apply {"f:any":{"f:b":{".":{},"f:d":{}}}})"},
  };
  for (const Case& test : cases) {
    json::Document live(rapidjson::kObjectType);
    for (const auto& [manager, config] : test.steps) {
      INFO(manager << " " << config);
      CHECK(applied(live, manager, config).to_string() == knarr::Status::OK().to_string());
    }
    INFO(test.steps.back().second);
    CHECK(json::equal(parsed(shown(live)), parsed(test.expected)));
    CHECK(shown(live) == test.expected);
    CHECK(managers(live) == test.managers);
  }
}

TEST_CASE("apply: conflicts are told by manager and field, and forced", "[apply]") {
  json::Document live(rapidjson::kObjectType);
  REQUIRE(applied(live, "a", R"({"count":1,"whole":{"name":"x"},"items":[{"name":"a","note":"1"}],"tags":["t"]})").ok());
  updated(live, "up", R"({"metadata":{"managedFields":)" + json::dump(*json::find(live, {"metadata", "managedFields"})) +
                          R"(},"count":1,"whole":{"name":"x"},"items":[{"name":"a","note":"1"}],"tags":["t"],"plain":["p"]})");

  const auto one = applied(live, "b", R"({"count":2})");
  CHECK(one.code() == 409);
  CHECK(one.message() == R"(Apply failed with 1 conflict: conflict with "a": .count)");
  CHECK(one.causes() == std::vector<knarr::Cause>{{"FieldManagerConflict", R"(conflict with "a")", ".count"}});

  const auto many = applied(live, "b", R"({"plain":["q"],"whole":{"name":"y"},"items":[{"name":"a","note":"2"}],"tags":["t"]})");
  CHECK(many.message() ==
        "Apply failed with 3 conflicts: conflicts with \"a\":\n- .whole\n- .items[name=\"a\",port=80].note\n"
        "conflicts with \"up\" using test/v1:\n- .plain");
  CHECK(managers(live) == R"(a Apply {"f:count":{},"f:items":{"k:{\"name\":\"a\",\"port\":80}":{".":{},"f:name":{},"f:note":{}}},)"
                          R"("f:tags":{"v:\"t\"":{}},"f:whole":{}}; up Update {"f:plain":{}})");

  REQUIRE(applied(live, "b", R"({"count":2,"plain":["q"]})", true).ok());
  CHECK(managers(live) == R"(a Apply {"f:items":{"k:{\"name\":\"a\",\"port\":80}":{".":{},"f:name":{},"f:note":{}}},)"
                          R"("f:tags":{"v:\"t\"":{}},"f:whole":{}}; b Apply {"f:count":{},"f:plain":{}})");
}

TEST_CASE("apply: an object that was not tracked gets a manager before its first apply", "[apply]") {
  json::Document live = object(R"({"count":1,"plain":["x"]})");
  REQUIRE(applied(live, "a", R"({"plain":["x"]})").ok());
  CHECK(managers(live) == R"(a Apply {"f:plain":{}}; before-first-apply Update {"f:count":{},"f:plain":{}})");
  CHECK(applied(live, "a", R"({"count":2})").message() ==
        R"(Apply failed with 1 conflict: conflict with "before-first-apply" using test/v1: .count)");
}

TEST_CASE("apply: kubectl takes over what client-side apply left, and keeps its annotation", "[apply]") {
  const char* kAnnotated = R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":)"
                           R"("{\"kind\":\"Test\",\"apiVersion\":\"test/v1\",\"count\":1}"}},"count":1,"plain":["x"]})";
  json::Document live(rapidjson::kObjectType);
  updated(live, "kubectl-client-side-apply", kAnnotated);
  CHECK(applied(live, "other", R"({"count":2})").code() == 409);
  CHECK(applied(live, "kubectl", R"({"plain":["y"],"count":2})").message() ==
        R"(Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using test/v1: .plain)");
  REQUIRE(applied(live, "kubectl", R"({"count":2})").ok());
  CHECK(json::get_string(live, {"metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"}) ==
        "{\"apiVersion\":\"test/v1\",\"count\":2,\"kind\":\"Test\",\"metadata\":{}}\n");
}

TEST_CASE("apply: configurations that do not fit their type", "[apply]") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"foo":1})", ".foo: field not declared in schema"},
      {R"({"count":"x"})", ".count: expected numeric (int or float), got string"},
      {R"({"plain":"x"})", ".plain: expected list, got &{x}"},
      {R"({"plain":["x",1]})", ".plain[1]: expected string, got &value.valueUnstructured{Value:1}"},
      {R"({"one":[{"a":"b"}]})", ".one: expected map, got &{[map[a:b]]}"},
      {R"({"one":{"name":{"a":"b"}}})", R"(.one.name: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"a":"b"}})"},
      {R"({"tags":["x","x"]})", R"(.tags: duplicate entries for key [="x"])"},
      {R"({"tags":[["x"]]})", ".tags: element 0: not supported: associative list with lists as elements"},
      {R"({"items":[{"name":"a"},{"name":"a","port":80}]})", R"(.items: duplicate entries for key [name="a",port=80])"},
      {R"({"items":["x"]})", ".items: element 0: associative list with keys may not have non-map elements"},
      {R"({"items":[{"name":"a","bar":1}],"count":true})",
       "errors:\n  .items[name=\"a\",port=80].bar: field not declared in schema\n  .count: expected numeric (int or float), got bool"},
  };
  for (const auto& [config, expected] : cases) {
    INFO(config);
    json::Document live(rapidjson::kObjectType);
    const auto status = applied(live, "a", config);
    CHECK(status.code() == 500);
    CHECK(status.message() == "failed to create typed patch object (/; test/v1, Kind=Test): " + std::string(expected));
  }
  json::Document live(rapidjson::kObjectType);
  CHECK(applied(live, "a", R"({"metadata":{"managedFields":[]}})").message() == "metadata.managedFields must be nil");
  const json::Document other = parsed(R"({"kind":"Other","apiVersion":"v1"})");
  CHECK(apply(kResource, {"a", "", ""}, false, nullptr, other).status().message() == "invalid object type: /v1, Kind=Other");
}

TEST_CASE("apply: a pod's creator owns what upstream says", "[apply]") {
  const Resource* pods = find_resource("", "v1", "pods");
  json::Document pod = parsed(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i",
      "ports":[{"containerPort":80}]}]}})");
  apply_defaults(*pods, pod, pod.GetAllocator());
  track_fields(*pods, {"kubectl", "", "2024-01-01T00:00:00Z"}, pod, nullptr, pod.GetAllocator());
  CHECK(managers(pod) ==
        R"(kubectl Update {"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},)"
        R"("f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},)"
        R"("f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},)"
        R"("f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},)"
        R"("f:terminationGracePeriodSeconds":{}}})");
}
