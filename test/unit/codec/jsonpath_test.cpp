#include "knarr/codec/jsonpath.h"

#include <catch2/catch.hpp>

namespace knarr {
namespace {

TEST_CASE("JSONPath as columns of custom resources use it") {
  const auto document = json::parse(
      R"({"a":{"b":1,"c.d":"x"},"l":[{"t":"A","s":"True","n":1},{"t":"B","s":"False","n":2}],"e":[],"n":null})");
  REQUIRE(document.ok());
  const std::string whole = json::dump(*document);
  struct Case {
    std::string_view path, expected;
  };
  const Case cases[] = {
      {".a.b", "1"},
      {".a['c.d']", "\"x\""},
      {".a.c\\.d", "\"x\""},
      {".l[0].t", "\"A\""},
      {".l[-1].t", "\"B\""},
      {".l[*].n", "1 2"},
      {".l[0:1].n", "1"},
      {".l[?(@.t==\"B\")].s", "\"False\""},
      {".l[?(@.n>1)].t", "\"B\""},
      {".l[?(@.x)].t", ""},
      {"..n", "null 1 2"},
      {".none.x", ""},
      {".e[0]", ""},
      {".n", "null"},
      {".", whole},
  };
  for (const Case& c : cases) {
    INFO(c.path);
    const auto path = JsonPath::parse(c.path);
    REQUIRE(path.ok());
    std::string out;
    for (const json::Value* value : path->find(*document)) out += (out.empty() ? "" : " ") + json::dump(*value);
    CHECK(out == c.expected);
  }
  for (const std::string_view bad : {"a", ".l[", ".l[?(@.x", ".a[x]", ".l['x"}) {
    INFO(bad);
    CHECK_FALSE(JsonPath::parse(bad).ok());
  }
}

}  // namespace
}  // namespace knarr
