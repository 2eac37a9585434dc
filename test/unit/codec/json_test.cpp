#include "knarr/codec/json.h"

#include <catch2/catch.hpp>

namespace json = knarr::json;

namespace {
std::string round_trip(std::string_view text) {
  auto document = json::parse(text);
  REQUIRE(document.ok());
  return json::dump(*document);
}
}  // namespace

TEST_CASE("json: what is parsed is written again", "[json]") {
  for (const char* text : {R"({"a":1,"b":[true,false,null],"c":{"d":"e"}})", "[]", "{}", "\"\"", "9223372036854775807",
                           "-9223372036854775808", "18446744073709551615", "0", "1e+300", "0.1", "1e+21", "1.5e-7",
                           R"("tab\tnewline\nquote\"backslash\\bell\u0007 ünïcode 日本")"}) {
    CHECK(round_trip(text) == text);
  }
}

TEST_CASE("json: numbers are written as Go writes them", "[json]") {
  const std::pair<const char*, const char*> cases[] = {
      {"1.0", "1"},          {"0E54", "0"},
      {"1e-400", "0"},       {"-0", "0"},
      {"-0.0", "0"},         {"18446744073709551616", "18446744073709551616"},
      {"1e3", "1000"},       {"100000000000000000000", "100000000000000000000"},
      {"1e21", "1e+21"},     {"0.000001", "0.000001"},
      {"0.0000001", "1e-7"}, {"1.5e-10", "1.5e-10"},
      {"-2.50", "-2.5"}};
  for (auto [in, out] : cases) CHECK(round_trip(in) == out);
}

TEST_CASE("json: of duplicate keys the last value stays, and their paths are told", "[json]") {
  const char* text = R"({"a":1,"b":{"x":1,"y":2,"x":3},"c":[{"k":1},{"k":1,"k":2}],"a":2})";
  CHECK(round_trip(text) == R"({"b":{"y":2,"x":3},"c":[{"k":1},{"k":2}],"a":2})");
  CHECK(json::duplicate_keys(text) == std::vector<std::string>{"b.x", "c[1].k", "a"});

  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {R"({"a":["a",{"a":1}],"b":{"a":[]},"c":"\"a\":"})", {}},
      {R"({"a":{},"\u0061":1})", {"a"}},
      {R"({"\u0061":1,"b":2})", {}},
      {R"([{"x":[1,"x",{"y":1,"z":{},"y":2}]}])", {"[0].x[2].y"}},
      {R"("a")", {}}};
  for (const auto& [json_text, paths] : cases) CHECK(json::duplicate_keys(json_text) == paths);

  std::string many = "{";
  for (int i = 0; i < 40; ++i) many += fmt::format("\"k{}\":{},", i % 30, i);
  many.back() = '}';
  auto document = json::parse(many);
  REQUIRE(document.ok());
  CHECK(document->MemberCount() == 30);
  CHECK(json::get_int(*document, "k3") == 33);
  CHECK(json::get_int(*document, "k29") == 29);
}

TEST_CASE("json: bad texts are refused", "[json]") {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "nul", "1 2", "{\"a\":1}}", "\"\xff\"", "\"\\ud800\"", "NaN",
                           "1e999", "01", "-", "1.", ".5", "+1", "0x1"}) {
    auto document = json::parse(text);
    CHECK_FALSE(document.ok());
    CHECK(document.status().code() == 400);
  }
}

TEST_CASE("json: what is no UTF-8, and null bytes, are refused", "[json]") {
  using namespace std::string_view_literals;
  for (std::string_view bad : {"\"\xc0\x80\""sv, "\"\xed\xa0\x80\""sv, "\"\xf4\x90\x80\x80\""sv, "\"\xe2\x82\""sv,
                               "\"\x80\""sv, "\"\xf8\x88\x80\x80\x80\""sv, "1\0"sv, "1\0 2"sv, "\"a\0b\""sv, "\0"sv}) {
    CHECK_FALSE(json::parse(bad).ok());
  }
  for (std::string_view good :
       {"\"\xc2\x80\""sv, "\"\xed\x9f\xbf\""sv, "\"\xf4\x8f\xbf\xbf\""sv, "\"aaaaaaaa\xe2\x82\xac\""sv})
    CHECK(json::parse(good).ok());
}

TEST_CASE("json: nesting is bounded", "[json]") {
  CHECK(json::parse(std::string(json::kMaxDepth, '[') + std::string(json::kMaxDepth, ']')).ok());
  CHECK_FALSE(json::parse(std::string(json::kMaxDepth + 1, '[') + std::string(json::kMaxDepth + 1, ']')).ok());
  CHECK_FALSE(json::parse(std::string(1000000, '[')).ok());
  CHECK(json::duplicate_keys(std::string(1000000, '[')).empty());
}

TEST_CASE("json: reading treats a wrong type like absence", "[json]") {
  auto document = json::parse(R"({"s":"text","n":7,"b":true,"o":{"p":{"q":"deep"}}})");
  REQUIRE(document.ok());
  CHECK(json::get_string(*document, "s") == "text");
  CHECK(json::get_string(*document, "n").empty());
  CHECK(json::get_string(*document, {"o", "p", "q"}) == "deep");
  CHECK(json::get_string(*document, {"s", "p"}).empty());
  CHECK(json::get_int(*document, "n") == 7);
  CHECK(json::get_int(*document, "s", -1) == -1);
  CHECK(json::get_bool(*document, "b"));
  CHECK(json::find(*document, {"o", "absent", "q"}) == nullptr);
}

TEST_CASE("json: writing", "[json]") {
  json::Document document;
  document.SetObject();
  auto& alloc = document.GetAllocator();
  json::set(json::ensure_object(document, {"a", "b"}, alloc), "c", "d", alloc);
  json::set(document, "n", json::Value(1), alloc);
  json::set(document, "n", json::Value(2), alloc);
  CHECK(json::dump(document) == R"({"a":{"b":{"c":"d"}},"n":2})");
  CHECK(json::dump_pretty(document) == "{\n  \"a\": {\n    \"b\": {\n      \"c\": \"d\"\n    }\n  },\n  \"n\": 2\n}");
  CHECK(json::remove(document, "a"));
  CHECK_FALSE(json::remove(document, "a"));
  CHECK(json::dump(json::copy(document)) == R"({"n":2})");
}

TEST_CASE("json: equality ignores the order of members and the kind of number", "[json]") {
  const auto same = [](std::string_view a, std::string_view b) {
    return json::equal(*json::parse(a), *json::parse(b));
  };
  CHECK(same(R"({"a":1,"b":[1,2]})", R"({"b":[1,2],"a":1.0})"));
  CHECK_FALSE(same("[1,2]", "[2,1]"));
  CHECK_FALSE(same(R"({"a":1})", R"({"b":1})"));
  CHECK_FALSE(same("1", "\"1\""));
  CHECK_FALSE(same("true", "false"));
  std::string up = "{", down = "{";
  for (int i = 0; i < 100; ++i) {
    up += fmt::format("\"k{}\":{},", i, i);
    down += fmt::format("\"k{}\":{},", 99 - i, 99 - i);
  }
  up.back() = down.back() = '}';
  CHECK(same(up, down));
}
