#include "knarr/codec/patch.h"

#include <catch2/catch.hpp>

namespace json = knarr::json;
namespace patch = knarr::patch;

namespace {

using Apply = knarr::Status (*)(json::Value&, const json::Value&, json::Allocator&);

knarr::Result<std::string> apply(Apply how, std::string_view target, std::string_view change) {
  auto document = json::parse(target), parsed = json::parse(change);
  REQUIRE(document.ok());
  REQUIRE(parsed.ok());
  KNARR_RETURN_IF_ERROR(how(*document, *parsed, document->GetAllocator()));
  return json::dump(*document);
}

}  // namespace

TEST_CASE("patch: JSON patch applies", "[patch]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])", R"({"a":1,"b":2})"},
      {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2},{"op":"add","path":"/a/0","value":0}])",
       R"({"a":[0,1,2]})"},
      {R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])", R"({"b":2})"},
      {R"({"a":[1,2,3]})", R"([{"op":"remove","path":"/a/1"}])", R"({"a":[1,3]})"},
      {R"({"a":{"b":1}})", R"([{"op":"replace","path":"/a/b","value":[2]}])", R"({"a":{"b":[2]}})"},
      {R"({"a":1})", R"([{"op":"move","from":"/a","path":"/b"}])", R"({"b":1})"},
      {R"({"a":{"x":1}})", R"([{"op":"copy","from":"/a","path":"/b"}])", R"({"a":{"x":1},"b":{"x":1}})"},
      {R"({"a/b":1,"m~n":2})", R"([{"op":"remove","path":"/a~1b"},{"op":"test","path":"/m~0n","value":2}])",
       R"({"m~n":2})"},
      {R"({"a":{"y":1,"x":[1,2]}})", R"([{"op":"test","path":"/a","value":{"x":[1,2],"y":1}}])",
       R"({"a":{"y":1,"x":[1,2]}})"},
      {R"({"a":1})", R"([{"op":"replace","path":"","value":{"z":1}}])", R"({"z":1})"},
      {R"({"a":1})", R"([{"op":"test","path":"/b","value":null}])", R"({"a":1})"}};
  for (auto [target, change, result] : cases) {
    INFO(change);
    auto patched = apply(patch::apply_json, target, change);
    REQUIRE(patched.ok());
    CHECK(*patched == result);
  }
}

TEST_CASE("patch: JSON patch that does not apply says why", "[patch]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])", "testing value /a failed: test failed"},
      {R"({"a":1})", R"([{"op":"remove","path":"/b"}])",
       "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value"},
      {R"({"a":1})", R"([{"op":"add","path":"/b/c","value":1}])",
       "add operation does not apply: doc is missing path: \"/b/c\": missing value"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/5","value":1}])",
       "error in add for path: '/a/5': Unable to access invalid index: 5: invalid index referenced"},
      {R"({"a":[1]})", R"([{"op":"replace","path":"/a/1","value":1}])",
       "replace operation does not apply: doc is missing key: /a/1: missing value"},
      {R"({"a":1})", R"([{"op":"dance","path":"/a"}])", "Unexpected kind: dance"},
      {R"({"a":1})", R"([{"op":5,"path":"/a"}])", "Unexpected kind: unknown"},
      {R"({"a":1})", "[null]", "Unexpected kind: unknown"}};
  for (auto [target, change, message] : cases) {
    auto patched = apply(patch::apply_json, target, change);
    REQUIRE_FALSE(patched.ok());
    CHECK(patched.status().code() == 422);
    CHECK(patched.status().causes().at(0).message == message);
  }
  CHECK(apply(patch::apply_json, "{}", "{}").status().code() == 400);
  CHECK(apply(patch::apply_json, "{}", "[1]").status().code() == 400);
}

TEST_CASE("patch: operations have members of their types", "[patch]") {
  const std::tuple<const char*, const char*, std::vector<std::string>> cases[] = {
      {"{}", "object into Go value of type []handlers.jsonPatchOp", {}},
      {"[1]", "number into Go value of type handlers.jsonPatchOp", {}},
      {R"([{"op":5,"path":"/a"}])", "number into Go struct field jsonPatchOp.op of type string", {}},
      {R"([{"op":"add","path":[]}])", "array into Go struct field jsonPatchOp.path of type string", {}},
      {R"([{"op":"copy","from":true}])", "bool into Go struct field jsonPatchOp.from of type string", {}},
      {R"([null,{"op":null,"Path":"/a","value":{"more":1},"more":1}])", "", {"[1].Path", "[1].more"}}};
  for (const auto& [text, why, paths] : cases) {
    INFO(text);
    std::vector<std::string> unknown;
    const auto status = patch::check_operations(*json::parse(text), unknown);
    CHECK(unknown == paths);
    if (*why) CHECK(status.message() == std::string("error decoding patch: json: cannot unmarshal ") + why);
    CHECK(status.ok() == !*why);
  }
}

TEST_CASE("patch: a JSON patch is bounded", "[patch]") {
  std::string many = "[";
  for (size_t i = 0; i <= patch::kMaxOperations; ++i) many += R"({"op":"test","path":"/a","value":1},)";
  many.back() = ']';
  CHECK(apply(patch::apply_json, R"({"a":1})", many).status().code() == 413);

  std::string copies = "[";  // each doubles the document
  for (int i = 0; i < 40; ++i) copies += fmt::format(R"({{"op":"copy","from":"/a","path":"/a/b{}"}},)", i);
  copies.back() = ']';
  CHECK(apply(patch::apply_json, R"({"a":{"t":"0123456789"}})", copies).status().code() == 422);

  std::string deep = "[";  // each puts the document one level deeper
  for (int i = 0; i < 1200; ++i)
    deep +=
        R"({"op":"move","from":"/a","path":"/b"},{"op":"add","path":"/a","value":{}},{"op":"move","from":"/b","path":"/a/x"},)";
  deep.back() = ']';
  CHECK(apply(patch::apply_json, R"({"a":{}})", deep).status().code() == 422);
}

TEST_CASE("patch: merge patch", "[patch]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      // RFC 7386, appendix A
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"a":1})", R"({"a":[{"b":null,"c":1},null]})", R"({"a":[{"c":1},null]})"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}};
  for (auto [target, change, result] : cases) CHECK(*apply(patch::apply_merge, target, change) == result);
  CHECK(apply(patch::apply_merge, "{}", "[]").status().code() == 400);

  std::string target = "{", change = "{", result = "{";  // large objects take another way
  for (int i = 0; i < 200; ++i) {
    target += fmt::format("\"k{}\":{{\"v\":1}},", i);
    if (i % 2)
      change += fmt::format("\"k{}\":null,", i);
    else
      result += fmt::format("\"k{}\":{{\"v\":1}},", i);
  }
  change += R"("new":{"x":1,"y":null},"k0":{"w":2},)";
  result += R"("new":{"x":1},)";
  target.back() = change.back() = result.back() = '}';
  result.replace(result.find(R"({"v":1})"), 7, R"({"v":1,"w":2})");
  CHECK(*apply(patch::apply_merge, target, change) == result);
}
