#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

namespace json = knarr::json;
using namespace knarr::schema;

namespace {

// A deployment's container, by hand: what is tried here is the merging, not the API.
const std::string_view kPortKeys[] = {"containerPort"};
const Field kPortFields[] = {{.name = "containerPort", .shape = Shape::kInt32},
                             {.name = "name", .shape = Shape::kString}};
const uint16_t kPortNames[] = {0, 1};
const Type kPort{.name = "test/v1.Port", .fields = kPortFields, .by_name = kPortNames};

const Field kItemFields[] = {{.name = "args", .shape = Shape::kList, .element = Shape::kString},
                             {.name = "name", .shape = Shape::kString},
                             {.name = "ports",
                              .shape = Shape::kList,
                              .element = Shape::kObject,
                              .type = &kPort,
                              .list_keys = kPortKeys,
                              .patch_merge = true,
                              .patch_key = "containerPort"},
                             {.name = "value", .shape = Shape::kString}};
const uint16_t kItemNames[] = {0, 1, 2, 3};
const Type kItem{.name = "test/v1.Item", .fields = kItemFields, .by_name = kItemNames};

const Field kFields[] = {{.name = "finalizers", .shape = Shape::kList, .element = Shape::kString, .patch_merge = true},
                         {.name = "items",
                          .shape = Shape::kList,
                          .element = Shape::kObject,
                          .type = &kItem,
                          .patch_merge = true,
                          .patch_key = "name"},
                         {.name = "labels", .shape = Shape::kMap, .element = Shape::kString},
                         {.name = "one", .shape = Shape::kObject, .type = &kItem},
                         {.name = "plain", .shape = Shape::kList, .element = Shape::kObject, .type = &kItem},
                         {.name = "whole", .shape = Shape::kObject, .type = &kItem, .patch_replace = true}};
const uint16_t kNames[] = {0, 1, 2, 3, 4, 5};
const Type kTest{.name = "test/v1.Test", .fields = kFields, .by_name = kNames};

knarr::Result<std::string> merged(std::string_view target, std::string_view patch) {
  auto document = json::parse(target), change = json::parse(patch);
  REQUIRE(document.ok());
  REQUIRE(change.ok());
  KNARR_RETURN_IF_ERROR(strategic_merge(kTest, *document, *change, document->GetAllocator()));
  return json::dump(*document);
}

}  // namespace

TEST_CASE("merge: what upstream makes of a strategic merge patch", "[merge]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      // maps and objects
      {R"({"labels":{"a":"1","b":"2"}})", R"({"labels":{"b":null,"c":"3","d":null}})",
       R"({"labels":{"a":"1","c":"3"}})"},
      {R"({"one":{"name":"x","value":"1"}})", R"({"one":{"value":"2"}})", R"({"one":{"name":"x","value":"2"}})"},
      {R"({"one":{"name":"x"}})", R"({"one":{"$patch":"replace","value":"2"}})", R"({"one":{"value":"2"}})"},
      {R"({"one":{"name":"x"}})", R"({"one":{"$patch":"delete"}})", R"({"one":{}})"},
      {R"({"whole":{"name":"x"}})", R"({"whole":{"value":"2"}})", R"({"whole":{"value":"2"}})"},
      {R"({})", R"({"one":{"name":"x","value":null}})", R"({"one":{"name":"x"}})"},
      {R"({"one":{"name":"x","value":"1"}})", R"({"one":{"$retainKeys":["value"],"value":"2"}})",
       R"({"one":{"value":"2"}})"},
      // lists that are replaced
      {R"({"plain":[{"name":"a"}]})", R"({"plain":[{"name":"b"}]})", R"({"plain":[{"name":"b"}]})"},
      {R"({"one":{"args":["a"]}})", R"({"one":{"args":["b"]}})", R"({"one":{"args":["b"]}})"},
      // lists that are merged by key
      {R"({"items":[{"name":"a","value":"1"},{"name":"b","value":"2"}]})", R"({"items":[{"name":"b","value":"3"}]})",
       R"({"items":[{"name":"a","value":"1"},{"name":"b","value":"3"}]})"},
      {R"({"items":[{"name":"a"}]})", R"({"items":[{"name":"b"}]})", R"({"items":[{"name":"b"},{"name":"a"}]})"},
      {R"({"items":[{"name":"a"},{"name":"b"}]})", R"({"items":[{"$patch":"delete","name":"a"}]})",
       R"({"items":[{"name":"b"}]})"},
      {R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"replace"},{"name":"b"}]})",
       R"({"items":[{"name":"b"}]})"},
      {R"({"items":[{"name":"a","ports":[{"containerPort":80,"name":"x"}]}]})",
       R"({"items":[{"name":"a","ports":[{"containerPort":81},{"containerPort":80,"name":"y"}]}]})",
       R"({"items":[{"name":"a","ports":[{"containerPort":81},{"containerPort":80,"name":"y"}]}]})"},
      // lists of primitives
      {R"({"finalizers":["a","b"]})", R"({"finalizers":["c","a"]})", R"({"finalizers":["c","a","b"]})"},
      {R"({"finalizers":["a","b","c"]})", R"({"$deleteFromPrimitiveList/finalizers":["b","x"]})",
       R"({"finalizers":["a","c"]})"},
      {R"({})", R"({"$deleteFromPrimitiveList/finalizers":["b"]})", R"({})"},
      {R"({"finalizers":["a"]})", R"({"$deleteFromPrimitiveList/finalizers":"a"})", R"({"finalizers":["a"]})"},
      // order
      {R"({"items":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
       R"({"$setElementOrder/items":[{"name":"c"},{"name":"a"}]})",
       R"({"items":[{"name":"b"},{"name":"c"},{"name":"a"}]})"},
      {R"({"items":[{"name":"a"},{"name":"b"}]})", R"({"$setElementOrder/items":[{"value":"1"},{"name":"b"}]})",
       R"({"items":[{"name":"a"},{"name":"b"}]})"},
      {R"({"items":[{"name":"a"},{"name":"x"},{"name":"c"}]})",
       R"({"$setElementOrder/items":[{"name":"a"},{"name":"b"},{"name":"c"}],"items":[{"name":"b","value":"1"}]})",
       R"({"items":[{"name":"a"},{"name":"b","value":"1"},{"name":"x"},{"name":"c"}]})"},
      {R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"b"}],"items":[{"$patch":"delete","name":"a"}]})",
       R"({"items":[{"name":"b"}]})"},
      {R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"c"}],"items":[{"name":"c"},{"$patch":"delete","name":"a"}]})",
       R"({"items":[{"name":"b"},{"name":"c"}]})"},
      {R"({"finalizers":["a","b","s"]})",
       R"({"$setElementOrder/finalizers":["c","a"],"$deleteFromPrimitiveList/finalizers":["b"],"finalizers":["c"]})",
       R"({"finalizers":["c","a","s"]})"},
      // null and nothing
      {R"({})", R"({"one":{},"items":[],"labels":{"x":null}})", R"({"one":{},"items":[],"labels":{}})"},
      {R"({"items":[{"name":"a"}],"one":{}})", R"({"items":null})", R"({"one":{}})"}};
  for (auto [target, patch, result] : cases) {
    INFO(target << " + " << patch);
    auto out = merged(target, patch);
    INFO(out.status().to_string());
    REQUIRE(out.ok());
    CHECK(*out == result);
  }
}

TEST_CASE("merge: what cannot be merged", "[merge]") {
  const std::tuple<const char*, const char*, int> cases[] = {
      {R"({"items":[{"name":"a"}]})", R"({"items":[{"value":"1"}]})", 500},
      {R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"delete"}]})", 500},
      {R"({"items":[{"name":"a"}]})", R"({"items":[{"$patch":"merge"}]})", 500},
      {R"({"one":{"name":"a"}})", R"({"one":{"$patch":"dance"}})", 500},
      {R"({"one":{"name":"a"}})", R"({"one":{"$retainKeys":["name"],"value":"x"}})", 400},
      {R"({"one":{"name":"a"}})", R"({"one":{"$retainKeys":"name"}})", 400},
      {R"({"finalizers":["a"]})", R"({"$deleteFromPrimitiveList":["a"]})", 400},
      {R"({"items":[]})", R"({"$setElementOrder/items":"a"})", 500},
      {R"({"items":"a"})", R"({"$setElementOrder/items":[]})", 500},
      {R"({"items":[{"name":"a"}]})", R"({"$setElementOrder":[]})", 400},
      {R"({"items":[{"name":"a"}]})", R"({"$setElementOrder/items":[1]})", 500},
      {R"({"items":[{"name":"a"}]})", R"({"$setElementOrder/items":[{}],"items":[{"name":"a"}]})", 500},
      {R"({"items":[{"name":"a"}]})",
       R"({"$setElementOrder/items":[{"name":"b"},{"name":"a"}],"items":[{"name":"a"},{"name":"b"}]})", 500},
      {R"({"items":[{"name":"a"}]})", R"({"items":["a"]})", 500},
      {"{}", "[]", 400}};
  for (auto [target, patch, code] : cases) {
    INFO(patch);
    auto out = merged(target, patch);
    REQUIRE_FALSE(out.ok());
    CHECK(out.status().code() == code);
  }
}
