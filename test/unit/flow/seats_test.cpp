#include "flow/seats.h"

#include <catch2/catch.hpp>

#include "flow/refusals.h"

using namespace knarr;
using namespace knarr::flow;

TEST_CASE("what levels are due") {
  struct Case {
    const char* name;
    Shares shares;
    SeatBounds bounds;
  };
  // Upstream's default levels share 245 among 600 seats; the figures are those of its metrics.
  const Case cases[] = {
      {"catch-all", {5, 0, -1}, {13, 13, 613}},      {"exempt", {0, 0, -1}, {0, 0, 600}},
      {"global-default", {20, 50, -1}, {49, 24, 649}}, {"leader-election", {10, 0, -1}, {25, 25, 625}},
      {"node-high", {40, 25, -1}, {98, 73, 698}},    {"system", {30, 33, -1}, {74, 50, 674}},
      {"workload-high", {40, 50, -1}, {98, 49, 698}}, {"workload-low", {100, 90, -1}, {245, 24, 845}},
      {"borrows little", {20, 50, 10}, {49, 24, 54}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    CHECK(seat_bounds(c.shares, 245, 600) == c.bounds);
  }
}

TEST_CASE("seats go to where they are wanted") {
  const SeatBounds half{100, 50, 300}, fixed{100, 100, 300};
  struct Case {
    const char* name;
    std::vector<Borrower> levels;
    std::vector<int> seats;
  };
  const Case cases[] = {
      {"nobody wants any", {{false, half, 0, 0}, {false, half, 0, 0}}, {100, 100}},
      {"one wants all", {{false, half, 400, 400}, {false, half, 0, 0}}, {150, 50}},
      {"both want more than there is", {{false, half, 400, 400}, {false, half, 400, 400}}, {100, 100}},
      {"what is not lendable stays", {{false, half, 400, 400}, {false, fixed, 0, 0}}, {100, 100}},
      {"the bound of borrowing", {{false, {100, 50, 120}, 400, 400}, {false, half, 0, 0}}, {120, 80}},
      {"exempt ones take from the others", {{true, {0, 0, 200}, 60, 60}, {false, half, 100, 100}, {false, half, 100, 100}}, {60, 70, 70}},
      {"exempt ones take nearly all", {{true, {0, 0, 200}, 190, 190}, {false, half, 10, 10}, {false, half, 10, 10}}, {190, 50, 50}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    CHECK(lend_seats(c.levels) == c.seats);
  }
}

TEST_CASE("demand over time") {
  const MonoTime start = MonoTime(std::chrono::hours(1));
  Demand demand;
  demand.set(0, start);
  demand.set(10, start + seconds(5));
  const Demand::Results results = demand.take(start + seconds(10));
  CHECK(results.peak == 10);
  CHECK(results.average == Approx(5));
  CHECK(results.deviation == Approx(5));
  CHECK(results.seconds == Approx(10));
  CHECK(demand.take(start + seconds(20)).average == Approx(10));
  CHECK(smoothed_demand(0, results) == Approx(10));
  CHECK(smoothed_demand(100, results) == Approx(100 * 0.977 + 10 * 0.023));
  // Five minutes halve it, looked at once or thirty times.
  const Demand::Results nothing{0, 0, 0, 300};
  CHECK(smoothed_demand(100, nothing) == Approx(50).epsilon(0.01));
}

TEST_CASE("the more are refused, the later they should come again") {
  Refusals refusals;
  for (int i = 0; i < 10; ++i) refusals.add(1000);
  CHECK(refusals.retry_after() == 1);
  for (int64_t second = 1001; second < 1100; ++second)
    for (int i = 0; i < 50; ++i) refusals.add(second);
  CHECK(refusals.retry_after() == 32);
  for (int64_t second = 1200; second < 1300; second += 2) refusals.add(second);
  CHECK(refusals.retry_after() < 32);
}
