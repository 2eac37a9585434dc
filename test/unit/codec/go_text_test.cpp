#include "knarr/codec/go_text.h"

#include <catch2/catch.hpp>

namespace json = knarr::json;

TEST_CASE("go text: values as %v prints them", "[go_text]") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"b":[1,"x",null],"a":{"d":true,"c":{}}})", "map[a:map[c:map[] d:true] b:[1 x <nil>]]"},
      {R"([1.5,-2,1e3,1e21,0.00001,[]])", "[1.5 -2 1000 1e+21 1e-05 []]"},
      {R"("a \"b\"")", R"(a "b")"},
  };
  for (const auto& [text, wanted] : cases) CHECK(json::go_text(*json::parse(text)) == wanted);
}

TEST_CASE("go text: what encoding/json says of broken texts", "[go_text]") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "unexpected end of JSON input"},
      {"{", "unexpected end of JSON input"},
      {R"({"a)", "unexpected end of JSON input"},
      {"nonsense", "invalid character 'o' in literal null (expecting 'u')"},
      {"x", "invalid character 'x' looking for beginning of value"},
      {"{x", "invalid character 'x' looking for beginning of object key string"},
      {R"({"a":1,})", "invalid character '}' looking for beginning of object key string"},
      {R"({"a" 1})", "invalid character '1' after object key"},
      {R"({"a":1 "b"})", R"(invalid character '"' after object key:value pair)"},
      {"[1 2]", "invalid character '2' after array element"},
      {"[1,]", "invalid character ']' looking for beginning of value"},
      {"{} 'x'", R"(invalid character '\'' after top-level value)"},
      {"01", "invalid character '1' after top-level value"},
      {"1.x", "invalid character 'x' after decimal point in numeric literal"},
      {"1ex", "invalid character 'x' in exponent of numeric literal"},
      {"-x", "invalid character 'x' in numeric literal"},
      {"\"\n\"", R"(invalid character '\n' in string literal)"},
      {R"("\x")", "invalid character 'x' in string escape code"},
      {R"("\u12x4")", R"(invalid character 'x' in \u hexadecimal character escape)"},
      {"\xc3\xa4", "invalid character 'Ã' looking for beginning of value"},
      {R"({"a":[1,2.5e-3,true,null,"\u00e4\n"]})", ""},
  };
  for (const auto& [text, wanted] : cases) {
    INFO(text);
    CHECK(json::go_syntax_error(text) == wanted);
  }
}
