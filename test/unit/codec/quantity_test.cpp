#include "knarr/codec/quantity.h"

#include <catch2/catch.hpp>

using knarr::Quantity;

namespace {
Quantity q(std::string_view text) {
  auto parsed = Quantity::parse(text);
  INFO(text);
  REQUIRE(parsed.ok());
  return *parsed;
}
}  // namespace

TEST_CASE("quantity: canonical form", "[quantity]") {
  const std::pair<const char*, const char*> cases[] = {{"0", "0"},
                                                       {"0Ki", "0"},
                                                       {"-0", "0"},
                                                       {"100m", "100m"},
                                                       {"1000m", "1"},
                                                       {"1", "1"},
                                                       {"1.5", "1500m"},
                                                       {"0.5", "500m"},
                                                       {".5", "500m"},
                                                       {"1.5Gi", "1536Mi"},
                                                       {"1024Ki", "1Mi"},
                                                       {"1Mi", "1Mi"},
                                                       {"1025Ki", "1025Ki"},
                                                       {"1000k", "1M"},
                                                       {"1000", "1k"},
                                                       {"1234", "1234"},
                                                       {"128974848", "128974848"},
                                                       {"129e6", "129e6"},
                                                       {"129M", "129M"},
                                                       {"123Mi", "123Mi"},
                                                       {"1e3", "1e3"},
                                                       {"1e4", "10e3"},
                                                       {"1E6", "1E6"},
                                                       {"12e6", "12e6"},
                                                       {"1e0", "1e0"},
                                                       {"1024.0000000001Ti", "1125899906842733951162778n"},
                                                       {"Ki", "0"},
                                                       {"0.1n", "1n"},
                                                       {"0.0000000001", "1n"},
                                                       {"1.1u", "1100n"},
                                                       {"-1.5", "-1500m"},
                                                       {"-100m", "-100m"},
                                                       {"512", "512"},
                                                       {"512Ki", "512Ki"},
                                                       {"0.5Ki", "512"},
                                                       {"0.5Mi", "512Ki"},
                                                       {"1.25Ki", "1280"},
                                                       {"10T", "10T"},
                                                       {"5P", "5P"},
                                                       {"7E", "7E"},
                                                       {"1Ei", "1Ei"},
                                                       {"9Ei", "9223372036854775807"},
                                                       {"2.5", "2500m"},
                                                       {"100k", "100k"},
                                                       {"0.001", "1m"},
                                                       {"1e-3", "1e-3"},
                                                       {"1500000000", "1500M"}};
  for (auto [in, out] : cases) {
    INFO(in);
    CHECK(q(in).to_string() == out);
  }
}

TEST_CASE("quantity: what is refused", "[quantity]") {
  for (const char* text : {"", "a", "1x", "1 ", " 1", "1mi", "1KI", "1K", "1.2.3", "--1", "1ee3", "1e", "0x10", "1m1x",
                           "Ei", ".Pi", "1e99"}) {
    INFO(text);
    CHECK_FALSE(Quantity::parse(text).ok());
  }
}

TEST_CASE("quantity: values round away from zero", "[quantity]") {
  CHECK(q("1.1").value() == 2);
  CHECK(q("-1.1").value() == -2);
  CHECK(q("100m").value() == 1);
  CHECK(q("100m").milli_value() == 100);
  CHECK(q("0.1m").milli_value() == 1);
  CHECK(q("1.5Gi").value() == 1610612736);
  CHECK(q("100E").value() == INT64_MAX);
  CHECK(q("250m").to_double() == Approx(0.25));
  CHECK(Quantity::milli(1500).to_string() == "1500m");
  CHECK(Quantity(1 << 20, Quantity::Format::kBinarySI).to_string() == "1Mi");
}

TEST_CASE("quantity: arithmetic and order", "[quantity]") {
  CHECK((q("100m") + q("900m")).to_string() == "1");
  CHECK((q("1Gi") + q("512Mi")).to_string() == "1536Mi");
  CHECK((Quantity() + q("1Mi")).to_string() == "1Mi");
  CHECK((q("1Gi") - q("1Gi")).is_zero());
  CHECK((q("1") - q("2")).sign() == -1);
  CHECK(q("1000m") == q("1"));
  CHECK(q("1Ki") > q("1k"));
  CHECK(q("1n") < q("1u"));
  Quantity huge = q("9000000000E");
  for (int i = 0; i < 100; ++i) huge += huge;
  CHECK(huge.value() == INT64_MAX);
}
