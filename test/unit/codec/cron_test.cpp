#include "knarr/codec/cron.h"

#include <catch2/catch.hpp>

using knarr::CronSchedule;

namespace {

uint64_t bits(std::initializer_list<unsigned> values) {
  uint64_t out = 0;
  for (unsigned value : values) out |= uint64_t{1} << value;
  return out;
}

}  // namespace

TEST_CASE("cron fields: lists, ranges, steps, names and stars") {
  struct Case {
    const char* text;
    uint64_t minutes;
  };
  for (const Case& c : std::vector<Case>{{"5 * * * *", bits({5})},
                                         {"0,30 * * * *", bits({0, 30})},
                                         {"10-13 * * * *", bits({10, 11, 12, 13})},
                                         {"*/20 * * * *", bits({0, 20, 40})},
                                         {"5/25 * * * *", bits({5, 30, 55})},
                                         {"1-9/4 * * * *", bits({1, 5, 9})},
                                         {"0,50-52 * * * *", bits({0, 50, 51, 52})}}) {
    INFO(c.text);
    auto schedule = CronSchedule::parse(c.text);
    REQUIRE(schedule.ok());
    CHECK(schedule->minutes == c.minutes);
    CHECK((schedule->hours & CronSchedule::kStar));
  }
  auto named = CronSchedule::parse("0 0 ? JAN,jul Mon-Fri").value();
  CHECK(named.months == bits({1, 7}));
  CHECK(named.weekdays == bits({1, 2, 3, 4, 5}));
  CHECK((named.days & CronSchedule::kStar));
  CHECK(CronSchedule::parse("@weekly").value().weekdays == bits({0}));
  CHECK(CronSchedule::parse("@every 1h30m").value().every == std::chrono::minutes(90));
  CHECK(CronSchedule::parse("CRON_TZ=UTC 1 * * * *").value().minutes == bits({1}));
}

TEST_CASE("cron errors are upstream's") {
  struct Case {
    const char *text, *message;
  };
  for (const Case& c : std::vector<Case>{{"", "empty spec string"},
                                         {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
                                         {"60 * * * *", "end of range (60) above maximum (59): 60"},
                                         {"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
                                         {"9-3 * * * *", "beginning of range (9) beyond end of range (3): 9-3"},
                                         {"1-2-3 * * * *", "too many hyphens: 1-2-3"},
                                         {"*/2/3 * * * *", "too many slashes: */2/3"},
                                         {"*/0 * * * *", "step of range should be a positive number: */0"},
                                         {"x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
                                         {"@never", "unrecognized descriptor: @never"}}) {
    INFO(c.text);
    auto schedule = CronSchedule::parse(c.text);
    REQUIRE_FALSE(schedule.ok());
    CHECK(schedule.status().message() == c.message);
  }
}
