// Schemas of custom resources: what they drop, set and refuse.
#include "schema/structural.h"

#include <catch2/catch.hpp>
#include <fmt/ranges.h>

#include <algorithm>

namespace knarr::schema {
namespace {

json::Document parse(std::string_view text) {
  auto document = json::parse(text);
  INFO(text);
  REQUIRE(document.ok());
  return std::move(*document);
}

std::string errors_of(std::string_view schema, std::string_view value, std::string_view old = "") {
  const auto read = Structural::read(parse(schema));
  const json::Document document = parse(value);
  json::Document before;
  if (!old.empty()) before = parse(old);
  std::vector<Cause> causes;
  structural::validate_values(document, old.empty() ? nullptr : &before, *read, "", causes);
  structural::validate_lists(document, read.get(), "", causes);
  std::string out;
  for (const Cause& cause : causes) out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", cause.field, cause.message);
  return out;
}

TEST_CASE("unknown fields are dropped and told") {
  struct Case {
    std::string_view schema, value, expected, unknown;
  };
  const Case cases[] = {
      {R"({"type":"object","properties":{"a":{"type":"string"}}})", R"({"a":"x","b":1,"kind":"K","metadata":{"name":"n"}})",
       R"({"a":"x","kind":"K","metadata":{"name":"n"}})", "b"},
      {R"({"type":"object","properties":{"a":{"type":"object","properties":{"x":{}}}}})", R"({"a":{"x":1,"y":2,"metadata":3}})",
       R"({"a":{"x":1}})", "a.metadata,a.y"},
      {R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"x":{}}}}}})",
       R"({"a":[{"x":1},{"y":2}]})", R"({"a":[{"x":1},{}]})", "a[1].y"},
      {R"({"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"a":{"type":"object","properties":{"x":{}}}}})",
       R"({"b":{"c":1},"a":{"x":1,"y":2}})", R"({"b":{"c":1},"a":{"x":1}})", "a.y"},
      {R"({"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"object","properties":{"x":{}}}}}})",
       R"({"a":{"k":{"x":1,"y":2}}})", R"({"a":{"k":{"x":1}}})", "a.k.y"},
      {R"({"type":"object","properties":{"a":{"type":"object","x-kubernetes-embedded-resource":true,"properties":{"x":{}}}}})",
       R"({"a":{"kind":"A","apiVersion":"v1","metadata":{},"x":1,"y":2}})",
       R"({"a":{"kind":"A","apiVersion":"v1","metadata":{},"x":1}})", "a.y"},
  };
  for (const Case& c : cases) {
    INFO(c.schema);
    const auto schema = Structural::read(parse(c.schema));
    json::Document value = parse(c.value);
    std::vector<std::string> unknown;
    structural::prune(value, schema.get(), true, &unknown);
    CHECK(json::dump(value) == c.expected);
    CHECK(fmt::format("{}", fmt::join(unknown, ",")) == c.unknown);
    json::Document quiet = parse(c.value);
    structural::prune(quiet, schema.get(), true, nullptr);
    CHECK(json::dump(quiet) == c.expected);
  }
}

TEST_CASE("defaults are set where nothing stands, and in the place of nulls that may not be") {
  struct Case {
    std::string_view schema, value, expected;
  };
  const Case cases[] = {
      {R"({"type":"object","properties":{"a":{"type":"string","default":"x"}}})", "{}", R"({"a":"x"})"},
      {R"({"type":"object","properties":{"a":{"type":"string","default":"x"}}})", R"({"a":null})", R"({"a":"x"})"},
      {R"({"type":"object","properties":{"a":{"type":"string","default":"x","nullable":true}}})", R"({"a":null})", R"({"a":null})"},
      {R"({"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer","default":1}}}}})", "{}", "{}"},
      {R"({"type":"object","properties":{"a":{"type":"object","default":{},"properties":{"b":{"type":"integer","default":1}}}}})", "{}",
       R"({"a":{"b":1}})"},
      {R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"b":{"default":true}}}}}})",
       R"({"a":[{},{"b":false}]})", R"({"a":[{"b":true},{"b":false}]})"},
      {R"({"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"string","default":"d"}}}})",
       R"({"a":{"k":null}})", R"({"a":{"k":"d"}})"},
  };
  for (const Case& c : cases) {
    INFO(c.schema);
    const auto schema = Structural::read(parse(c.schema));
    json::Document value = parse(c.value);
    structural::drop_nulls(value, schema.get());
    structural::apply_defaults(value, schema.get(), value.GetAllocator());
    CHECK(json::dump(value) == c.expected);
  }
}

TEST_CASE("values that do not fit are told in upstream's words") {
  struct Case {
    std::string_view schema, value, expected;
  };
  const Case cases[] = {
      {R"({"properties":{"a":{"type":"integer"}}})", R"({"a":1.0})", ""},
      {R"({"properties":{"a":{"type":"integer"}}})", R"({"a":1.5})",
       R"(a: Invalid value: "number": a in body must be of type integer: "number"; )"
       R"(<nil>: Invalid value: "": Checked value must be of type integer (default format) in a)"},
      {R"({"properties":{"a":{"type":"string","nullable":true}}})", R"({"a":null})", ""},
      {R"({"properties":{"a":{"type":"string"}}})", R"({"a":null})", R"(a: Invalid value: "null": a in body must be of type string: "null")"},
      {R"({"properties":{"a":{"x-kubernetes-int-or-string":true}}})", R"({"a":true})",
       R"(a: Invalid value: "boolean": a in body must be of type integer,string: "boolean")"},
      {R"({"properties":{"a":{"type":"string","maxLength":2}}})", "{\"a\":\"äöü\"}", "a: Too long: may not be more than 2 bytes"},
      {R"({"properties":{"a":{"type":"string","pattern":"^(a+)+$"}}})", R"({"a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"})",
       R"(a: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab": a in body should match '^(a+)+$')"},
      {R"({"properties":{"a":{"type":"number","multipleOf":0.1}}})", R"({"a":0.3})", ""},
      {R"({"properties":{"a":{"type":"number","maximum":1.5,"exclusiveMaximum":true}}})", R"({"a":1.5})",
       "a: Invalid value: 1.5: a in body should be less than 1.5"},
      {R"({"properties":{"a":{"type":"string","enum":["x","y"]}}})", R"({"a":"z"})",
       R"(a: Unsupported value: "z": supported values: "x", "y")"},
      {R"({"required":["a"]})", "{}", "a: Required value"},
      {R"({"properties":{"a":{"required":["b"]}}})", R"({"a":{}})", "a.b: Required value"},
      {R"({"properties":{"a":{"maxProperties":1}}})", R"({"a":{"x":1,"y":2}})", "a: Too many: 2: must have at most 1 item"},
      {R"({"anyOf":[{"required":["a"]},{"required":["b"]}]})", R"({"b":1})", ""},
      {R"({"oneOf":[{"required":["a"]},{"required":["b"]}]})", R"({"a":1,"b":1})",
       R"(<nil>: Invalid value: "": "" must validate one and only one schema (oneOf). Found 2 valid alternatives)"},
      {R"({"properties":{"a":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}}})", R"({"a":["x","y","x","x"]})",
       R"(a[2]: Duplicate value: "x")"},
      {R"({"properties":{"a":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object"}}}})",
       R"({"a":[{"k":1},{"k":2},{"k":1}]})", R"(a[2]: Duplicate value: {"k":1})"},
  };
  for (const Case& c : cases) {
    INFO(c.schema);
    CHECK(errors_of(c.schema, c.value) == c.expected);
  }
}

TEST_CASE("what was wrong before and did not change is forgiven") {
  constexpr std::string_view kSchema =
      R"({"properties":{"a":{"type":"integer","maximum":5},"b":{"type":"integer"},"l":{"type":"array","x-kubernetes-list-type":"map",)"
      R"("x-kubernetes-list-map-keys":["k"],"items":{"type":"object","properties":{"v":{"type":"integer","maximum":5}}}}}})";
  CHECK(errors_of(kSchema, R"({"a":9,"b":2})", R"({"a":9,"b":1})").empty());
  CHECK_FALSE(errors_of(kSchema, R"({"a":10,"b":1})", R"({"a":9,"b":1})").empty());
  CHECK(errors_of(kSchema, R"({"l":[{"k":2},{"k":1,"v":9}]})", R"({"l":[{"k":1,"v":9}]})").empty());
}

TEST_CASE("patterns that Go refuses are refused in its words") {
  CHECK(Pattern::problem("^a.*$").empty());
  CHECK(Pattern::problem("(") == "error parsing regexp: missing closing ): `(`");
  CHECK(Pattern::problem("*") == "error parsing regexp: missing argument to repetition operator: `*`");
  CHECK(Pattern::problem("[z-a]") == "error parsing regexp: invalid character class range: `z-a`");
}

TEST_CASE("formats") {
  struct Case {
    std::string_view format, good, bad;
  };
  const Case cases[] = {{"date-time", "2020-01-01T00:00:00.5Z", "2020-01-01"},
                        {"date", "2024-02-29", "2023-02-29"},
                        {"duration", "1h15m30.5s", "1 parsec"},
                        {"ipv4", "10.0.0.1", "10.0.0"},
                        {"ipv6", "fe80::1", "10.0.0.1"},
                        {"cidr", "10.0.0.0/8", "10.0.0.0"},
                        {"mac", "01:23:45:67:89:ab", "01:23"},
                        {"uuid", "A987FBC9-4BED-3078-CF07-9141BA07C9F3", "x"},
                        {"byte", "aGk=", "???"},
                        {"hexcolor", "#ffF", "#ff"},
                        {"isbn13", "978-0321751041", "978-0321751042"},
                        {"ssn", "111-00-1111", "111"},
                        {"k8s-short-name", "abc", "aB"}};
  for (const Case& c : cases) {
    INFO(c.format);
    CHECK(known_format("string", c.format));
    CHECK(fits_format(c.format, c.good));
    CHECK_FALSE(fits_format(c.format, c.bad));
  }
  CHECK_FALSE(known_format("string", "int32"));
  CHECK(known_format("integer", "int32"));
}

TEST_CASE("numbers as Go prints them") {
  CHECK(go_number(3) == "3");
  CHECK(go_number(2.5) == "2.5");
  CHECK(go_number(0.1) == "0.1");
  CHECK(go_number(1e21) == "1e+21");
  CHECK(go_number(0.00001) == "1e-05");
}

}  // namespace
}  // namespace knarr::schema
