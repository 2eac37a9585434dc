#include "knarr/codec/time.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using namespace knarr;

TEST_CASE("time: RFC 3339 is read and written in UTC", "[time]") {
  const std::pair<const char*, const char*> cases[] = {{"2026-11-21T12:00:00Z", "2026-11-21T12:00:00.000000Z"},
                                                       {"2026-11-21T12:00:00.5Z", "2026-11-21T12:00:00.500000Z"},
                                                       {"2026-11-21T12:00:00+01:30", "2026-11-21T10:30:00.000000Z"},
                                                       {"2026-01-01T00:00:00-00:30", "2026-01-01T00:30:00.000000Z"},
                                                       {"2024-02-29T23:59:59.1234569Z", "2024-02-29T23:59:59.123456Z"},
                                                       {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
                                                       {"1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250000Z"}};
  for (auto [in, out] : cases) {
    auto time = parse_time(in);
    INFO(in);
    REQUIRE(time.ok());
    CHECK(format_micro_time(*time) == out);
    CHECK(format_time(*time) == std::string(out).replace(19, 7, ""));
  }
}

TEST_CASE("time: what is no time", "[time]") {
  for (const char* text :
       {"", "2026-11-21", "2026-11-21T12:00:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-21 12:00:00Z",
        "2026-11-21T24:00:00Z", "2026-11-21T12:00:00.Z", "2026-11-21T12:00:00Zx", "26-11-21T12:00:00Z"}) {
    INFO(text);
    CHECK_FALSE(parse_time(text).ok());
  }
  CHECK(parse_micro_time("2026-11-21T12:00:00.123456Z").ok());
  CHECK_FALSE(parse_micro_time("2026-11-21T12:00:00Z").ok());
}

TEST_CASE("time: durations as Go's", "[time]") {
  const std::pair<const char*, const char*> cases[] = {{"0", "0s"},
                                                       {"1s", "1s"},
                                                       {"1.5s", "1.5s"},
                                                       {"90s", "1m30s"},
                                                       {"1h2m3s", "1h2m3s"},
                                                       {"100ms", "100ms"},
                                                       {"1h", "1h0m0s"},
                                                       {"-1m", "-1m0s"},
                                                       {"1us", "1µs"},
                                                       {"3ns", "3ns"},
                                                       {"1.5h", "1h30m0s"},
                                                       {"1m0.5s", "1m0.5s"},
                                                       {".5s", "500ms"},
                                                       {"1.0000000001s", "1s"},
                                                       {"2562047h47m16.854775807s", "2562047h47m16.854775807s"}};
  for (auto [in, out] : cases) {
    auto duration = parse_duration(in);
    INFO(in);
    REQUIRE(duration.ok());
    CHECK(format_duration(*duration) == out);
  }
  for (const char* text : {"", "1", "s", "1x", ".s", "-", "1h2", "9999999999h", "99999999999999999999s"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text).ok());
  }
}

TEST_CASE("time: ages as tables print them", "[time]") {
  const std::pair<std::chrono::seconds, const char*> cases[] = {{0s, "0s"},
                                                                {-1s, "0s"},
                                                                {-5s, "<invalid>"},
                                                                {119s, "119s"},
                                                                {120s, "2m"},
                                                                {123s, "2m3s"},
                                                                {10min, "10m"},
                                                                {179min, "179m"},
                                                                {180min, "3h"},
                                                                {185min, "3h5m"},
                                                                {8h, "8h"},
                                                                {47h, "47h"},
                                                                {48h, "2d"},
                                                                {50h, "2d2h"},
                                                                {8 * 24h, "8d"},
                                                                {100 * 24h, "100d"},
                                                                {2 * 365 * 24h, "2y"},
                                                                {(2 * 365 + 3) * 24h, "2y3d"},
                                                                {9 * 365 * 24h, "9y"}};
  for (auto [age, out] : cases) CHECK(human_duration(age) == out);
}
