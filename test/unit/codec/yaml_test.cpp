#include "knarr/codec/yaml.h"

#include <catch2/catch.hpp>

namespace json = knarr::json;
namespace yaml = knarr::yaml;

namespace {
std::string to_json(std::string_view text) {
  auto document = yaml::parse(text);
  INFO(text);
  INFO(document.status().to_string());
  REQUIRE(document.ok());
  return json::dump(*document);
}
}  // namespace

TEST_CASE("yaml: scalars as Kubernetes' tools read them", "[yaml]") {
  const std::pair<const char*, const char*> cases[] = {{"1", "1"},
                                                       {"-7", "-7"},
                                                       {"+7", "7"},
                                                       {"0x1F", "31"},
                                                       {"0644", "420"},
                                                       {"0o17", "15"},
                                                       {"0b101", "5"},
                                                       {"1_000", "1000"},
                                                       {"1.5", "1.5"},
                                                       {"1e3", "1000"},
                                                       {".5", "0.5"},
                                                       {"9223372036854775808", "9223372036854775808"},
                                                       {"true", "true"},
                                                       {"Yes", "true"},
                                                       {"off", "false"},
                                                       {"n", "false"},
                                                       {"~", "null"},
                                                       {"Null", "null"},
                                                       {"", "null"},
                                                       {"'1'", "\"1\""},
                                                       {"\"true\"", "\"true\""},
                                                       {"!!str 1", "\"1\""},
                                                       {"!!int 5", "5"},
                                                       {"!!float 5", "5"},
                                                       {"1.2.3", "\"1.2.3\""},
                                                       {"1e", "\"1e\""},
                                                       {"2026-11-21", "\"2026-11-21\""},
                                                       {"12:30", "\"12:30\""},
                                                       {"a b", "\"a b\""},
                                                       {"0x", "\"0x\""},
                                                       {"-", "[null]"},
                                                       {"089", "89"},
                                                       {"truE", "\"truE\""},
                                                       {"<<", "\"<<\""}};
  for (auto [in, out] : cases) CHECK(to_json(in) == out);
}

TEST_CASE("yaml: structure", "[yaml]") {
  CHECK(to_json("a: 1\nb:\n- x\n- k: {p: q}\nc: [1, two]\n") == R"({"a":1,"b":["x",{"k":{"p":"q"}}],"c":[1,"two"]})");
  CHECK(to_json("t: |\n  one\n  two\nf: >-\n  a\n  b\n") == R"({"t":"one\ntwo\n","f":"a b"})");
  CHECK(to_json("1: a\ntrue: b\n1.5: c\n") == R"({"1":"a","true":"b","1.5":"c"})");
  CHECK(to_json("a: 1\na: 2\n") == R"({"a":2})");
  CHECK(to_json(R"({"a": 1.0, "b": "x"})") == R"({"a":1,"b":"x"})");
  CHECK(to_json("a: {b, c: 1}\nd:\n") == R"({"a":{"b":null,"c":1},"d":null})");
  CHECK(to_json("? a\n? b\n") == R"({"a":null,"b":null})");
  CHECK(to_json("a:\nb: ''\n# comment\n") == R"({"a":null,"b":""})");
}

TEST_CASE("yaml: anchors and merge keys", "[yaml]") {
  CHECK(to_json("a: &x {p: 1, q: 2}\nb: *x\nc:\n  <<: *x\n  q: 3\n") ==
        R"({"a":{"p":1,"q":2},"b":{"p":1,"q":2},"c":{"p":1,"q":3}})");
  CHECK(to_json("q: &a {v: 1, w: 1}\nr: &b {v: 2}\nc:\n  <<: [*b, *a]\n") ==
        R"({"q":{"v":1,"w":1},"r":{"v":2},"c":{"w":1,"v":2}})");
  CHECK(to_json("c:\n  q: 3\n  <<: {q: 1}\n") == R"({"c":{"q":3}})");
}

TEST_CASE("yaml: several documents", "[yaml]") {
  auto all = yaml::parse_all("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n");
  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  CHECK(json::dump((*all)[1]) == R"({"b":2})");
  CHECK(to_json("a: 1\n---\nb: 2\n") == R"({"a":1})");
  CHECK(yaml::parse_all("")->empty());
  CHECK(to_json("\xef\xbb\xbf"
                "a: 1\n---\nb: 2\n") == R"({"a":1})");
  CHECK(yaml::parse_all("a: é\n--- # next\nb: 2\n--- c\n")->size() == 3);
}

TEST_CASE("yaml: errors have a line", "[yaml]") {
  auto document = yaml::parse("a: 1\nb: [1,\nc: 2\n");
  REQUIRE_FALSE(document.ok());
  CHECK(document.status().code() == 400);
  CHECK(document.status().message().find("yaml: line ") != std::string::npos);
  for (const char* text : {"a: .nan", "? [x]\n: 1", "~: 1", "a: *nowhere", "a: &x [*x]", "c:\n  <<: 1", "!!int x",
                           "\xff", "a: \"\\x", "\t- a"}) {
    INFO(text);
    CHECK_FALSE(yaml::parse(text).ok());
  }
}

TEST_CASE("yaml: aliases and nesting are bounded", "[yaml]") {
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    laughs += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 9; ++j) laughs += fmt::format("*a{},", i - 1);
    laughs.back() = ']';
    laughs += '\n';
  }
  CHECK_FALSE(yaml::parse(laughs).ok());
  CHECK_FALSE(yaml::parse(std::string(100000, '[')).ok());
  std::string chain = "a0: &a0 x\n";
  for (int i = 1; i < 1500; ++i) chain += fmt::format("a{}: &a{} [*a{}]\n", i, i, i - 1);
  CHECK_FALSE(yaml::parse(chain).ok());
}

TEST_CASE("yaml: what is written reads back the same", "[yaml]") {
  const char* text = R"({"s":"plain","n":5,"f":1.5,"b":true,"z":null,"e":{},"l":[],"list":[1,{"a":"b","c":[[1,2],[]]}],
    "quoted":["1","true","",":","a: b","- x","#x","a #b"," lead","trail ","2026-11-21","1:30","null","é","tab\t","0x1f",".5","1e3","y"],
    "block":"one\n  two\n\nthree\n","strip":"a\nb","keep":"a\n\n","odd key: x":1,"127.0.0.1:6443":"https://127.0.0.1:6443"})";
  auto document = json::parse(text);
  REQUIRE(document.ok());
  const std::string written = yaml::dump(*document);
  INFO(written);
  CHECK(to_json(written) == json::dump(*document));
  CHECK(to_json(yaml::dump(*json::parse("[\"a\\nb\"]"))) == "[\"a\\nb\"]");
  CHECK(to_json(yaml::dump(*json::parse("\"a\\nb\""))) == "\"a\\nb\"");
  CHECK(written.starts_with("s: plain\n\"n\": 5\n"));
  CHECK(written.find("block: |\n  one\n    two\n\n  three\n") != std::string::npos);
}

TEST_CASE("yaml: control characters are refused before the reader guesses an encoding from them", "[yaml]") {
  using namespace std::string_view_literals;
  for (const char* stray : {",", "]", "}", "# c\n,", "- b\n{", "---\n,", "- 1\n-1", "a: 1\nb\n", "a:\n  b: 1\n  c\n"}) {
    INFO(stray);
    CHECK_FALSE(yaml::parse(stray).ok());
    CHECK_FALSE(yaml::parse_all(stray).ok());
  }
  for (std::string_view text : {"\x01\0\0\0\0\0\0+f"sv, "a: \0"sv, "a: \x7f"sv}) CHECK_FALSE(yaml::parse(text).ok());
  CHECK(to_json("a: \"\\0\\x01\"") == R"({"a":"\u0000\u0001"})");
}
