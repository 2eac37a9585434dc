#include "knarr/codec/names.h"

#include <catch2/catch.hpp>

namespace names = knarr::names;

namespace {
using Check = names::Problems (*)(std::string_view);
void expect(Check check, std::initializer_list<std::string> good, std::initializer_list<std::string> bad) {
  for (const auto& value : good) {
    INFO(value);
    CHECK(check(value).empty());
  }
  for (const auto& value : bad) {
    INFO(value);
    CHECK_FALSE(check(value).empty());
  }
}
}  // namespace

TEST_CASE("names: what is a name of which kind", "[names]") {
  expect(names::dns1123_label, {"a", "a-1", "0", std::string(63, 'a')},
         {"", "-a", "a-", "A", "a.b", "a_b", std::string(64, 'a')});
  expect(names::dns1123_subdomain, {"a", "a.b", "1.2.3", "a--b.c"},
         {"", ".", "a.", ".a", "a..b", "A.b", "a_b", std::string(254, 'a')});
  expect(names::dns1035_label, {"a", "ab-1"}, {"", "1a", "a.b", "a-", "A"});
  expect(names::qualified_name, {"a", "A.b_c-d", "example.com/Name"},
         {"", "/a", "a/", "a/b/c", "-a", "Example.com/a", std::string(64, 'a')});
  expect(names::label_value, {"", "a", "A.b_c-d"}, {"-", "a b", "a/b", std::string(64, 'a')});
  expect(names::port_name, {"http", "a1", "1-a"}, {"", "1", "-a", "a--b", "HTTP", "a-very-long-port-name"});
  expect(names::config_map_key, {"a", ".a", "A_b-c.d"}, {"", ".", "..", "..a", "a/b"});
  expect(names::env_var_name, {"A", "my.env", "1 2"}, {"", "A=B", "\x07"});
  expect(names::c_identifier, {"a", "_1"}, {"", "1", "a-b"});
  expect(names::wildcard_dns1123_subdomain, {"*.a", "*.a.b"}, {"*", "*.", "a.b", "*.*.a"});
  expect(names::path_segment_name, {"a", "A:b", "..."}, {".", "..", "a/b", "a%b"});
  expect(names::percent, {"1%", "100%"}, {"%", "1", "a%"});
  CHECK(names::port_number(65535).empty());
  CHECK(names::port_number(0) == names::Problems{"must be between 1 and 65535, inclusive"});
}

TEST_CASE("names: the words of upstream", "[names]") {
  CHECK(names::dns1123_label("a.b") == names::Problems{"must not contain dots"});
  CHECK(names::dns1123_subdomain("Foo").front() ==
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an "
        "alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  CHECK(names::label_value("-").front().find("(e.g. 'MyValue',  or 'my_value',  or '12345', regex used") !=
        std::string::npos);
  CHECK(names::dns1123_label(std::string(64, 'a')) == names::Problems{"must be no more than 63 characters"});
}

TEST_CASE("names: addresses", "[names]") {
  const auto ip = [](std::string_view v) { return names::ip(v); };
  expect(ip, {"10.0.0.1", "::1", "2001:DB8::1"},
         {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "::ffff:1.2.3.4", "1.2.3.x", "::g", "1.2.3."});
  CHECK(names::ip("010.2.3.4") == names::Problems{"must not have leading 0s"});
  CHECK(names::ip("2001:DB8::1", true) == names::Problems{"must be in canonical form (\"2001:db8::1\")"});
  const auto cidr = [](std::string_view v) { return names::cidr(v); };
  expect(cidr, {"10.0.0.0/8", "::/0", "10.1.2.3/32"},
         {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/08", "10.0.0.0/", "10.0.0.0/-1"});
  CHECK(names::canonical_ip("2001:0db8:0:0::1") == "2001:db8::1");
  for (const char* canonical :
       {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "::102:304", "1:0:2::3", "fe80::1:0:0:1", "10.0.0.1"}) {
    CHECK(names::canonical_ip(canonical) == canonical);
  }
  CHECK(names::canonical_ip("::1.2.3.4") == "::102:304");
  CHECK(names::canonical_ip("1:0:0:2:0:0:0:3") == "1:0:0:2::3");
  CHECK_FALSE(names::canonical_ip("x"));
}

TEST_CASE("names: generated names fit and differ", "[names]") {
  CHECK(names::generate_name("web-", 0).size() == 9);
  CHECK(names::generate_name(std::string(80, 'a'), 12345).size() == 63);
  CHECK(names::generate_name("a", 1) != names::generate_name("a", 2));
}
