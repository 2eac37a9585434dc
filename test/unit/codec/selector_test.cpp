#include "knarr/codec/selector.h"

#include <catch2/catch.hpp>

using namespace knarr::selector;
namespace json = knarr::json;

namespace {
using Map = std::vector<std::pair<std::string, std::string>>;
const Map kWeb = {{"app", "web"}, {"n", "7"}, {"tier", "front"}};
}  // namespace

TEST_CASE("selector: labels match", "[selector]") {
  const std::pair<const char*, bool> cases[] = {{"", true},
                                                {"app=web", true},
                                                {"app==web", true},
                                                {"app=db", false},
                                                {"app!=db", true},
                                                {"absent!=x", true},
                                                {"app", true},
                                                {"!app", false},
                                                {"absent", false},
                                                {"!absent", true},
                                                {"app in (web,db)", true},
                                                {"app in (db)", false},
                                                {"app notin (db)", true},
                                                {"absent notin (a)", true},
                                                {"app=web,tier=front", true},
                                                {"app=web,tier=back", false},
                                                {"n>6", true},
                                                {"n>7", false},
                                                {"n<8", true},
                                                {"app>1", false},
                                                {" app = web , tier ", true},
                                                {"app=", false},
                                                {"in in (in)", false},
                                                {"app in (,web)", true}};
  for (auto [text, matches] : cases) {
    auto selector = Labels::parse(text);
    INFO(text);
    REQUIRE(selector.ok());
    CHECK(selector->matches(Pairs(kWeb)) == matches);
    auto document = json::parse(R"({"app":"web","tier":"front","n":"7"})");
    CHECK(selector->matches(&*document) == matches);
  }
  CHECK_FALSE(Labels::nothing().matches(Pairs(kWeb)));
}

TEST_CASE("selector: labels print sorted and are parsed again", "[selector]") {
  const std::pair<const char*, const char*> cases[] = {{"b=1,a=2", "a=2,b=1"}, {"x in (b,a)", "x in (a,b)"},
                                                       {"!x", "!x"},           {"x", "x"},
                                                       {"a==b", "a==b"},       {"x notin ()", "x notin ()"}};
  for (auto [in, out] : cases) CHECK(Labels::parse(in)->to_string() == out);
}

TEST_CASE("selector: label errors are upstream's", "[selector]") {
  const std::pair<const char*, const char*> cases[] = {
      {"a=b,", "found '', expected: identifier after ','"},
      {",a", "found ',', expected: !, identifier, or 'end of string'"},
      {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
      {"a in b", "unable to parse requirement: found 'b' expected: '('"},
      {"a=b c", "found 'c', expected: ',' or 'end of string'"},
      {"a=(", "unable to parse requirement: found '(', expected: identifier"},
      {"n>x",
       "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an "
       "integer"}};
  for (auto [text, message] : cases) {
    auto selector = Labels::parse(text);
    INFO(text);
    REQUIRE_FALSE(selector.ok());
    CHECK(selector.status().message() == message);
  }
  for (const char* text : {"a/b/c=1", "-a=1", "a=-", "a in (b", "a in (b c)", "!", "a!b", "a=b=c"})
    CHECK_FALSE(Labels::parse(text).ok());
}

TEST_CASE("selector: LabelSelector objects", "[selector]") {
  auto document = json::parse(
      R"({"matchLabels":{"app":"web"},"matchExpressions":[{"key":"tier","operator":"In","values":["front","back"]},
                                  {"key":"gone","operator":"DoesNotExist"}]})");
  auto selector = Labels::from_label_selector(&*document);
  REQUIRE(selector.ok());
  CHECK(selector->to_string() == "app=web,!gone,tier in (back,front)");
  CHECK(selector->matches(Pairs(kWeb)));
  CHECK(selector->exact("app") == "web");
  CHECK_FALSE(selector->exact("tier"));
  const auto parse = [](const char* text) {
    auto parsed = json::parse(text);
    return Labels::from_label_selector(&*parsed);
  };
  CHECK(Labels::from_label_selector(nullptr)->is_nothing());
  CHECK(parse("{}")->is_everything());
  CHECK_FALSE(parse(R"({"matchExpressions":[{"key":"a","operator":"Gt","values":["1"]}]})").ok());
  CHECK_FALSE(parse(R"({"matchExpressions":[{"key":"a","operator":"In"}]})").ok());
}

TEST_CASE("selector: fields", "[selector]") {
  const Map fields = {{"metadata.name", "a,b=c\\d"}, {"spec.nodeName", "n1"}};
  const std::pair<const char*, bool> cases[] = {{"", true},
                                                {"spec.nodeName=n1", true},
                                                {"spec.nodeName==n1", true},
                                                {"spec.nodeName!=n1", false},
                                                {"absent=", true},
                                                {"absent!=x", true},
                                                {R"(metadata.name=a\,b\=c\\d,spec.nodeName=n1)", true}};
  for (auto [text, matches] : cases) {
    auto selector = Fields::parse(text);
    INFO(text);
    REQUIRE(selector.ok());
    CHECK(selector->matches(Pairs(fields)) == matches);
    CHECK(Fields::parse(selector->to_string())->matches(Pairs(fields)) == matches);
  }
  CHECK(Fields::parse("a=b")->exact("a") == "b");
  CHECK_FALSE(Fields::parse("a!=b")->exact("a"));
  CHECK(Fields::parse("nonsense").status().message() == "invalid selector: 'nonsense'; can't understand 'nonsense'");
  for (const char* text : {"a=b=c", "a=\\x", "a=b\\"}) CHECK_FALSE(Fields::parse(text).ok());
}
