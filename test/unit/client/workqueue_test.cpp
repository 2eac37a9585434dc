#include "knarr/client/workqueue.h"

#include <catch2/catch.hpp>

using namespace knarr;
using client::WorkQueue;

TEST_CASE("a key that is added many times is worked on once", "[workqueue]") {
  WorkQueue queue;
  queue.add("a");
  queue.add("b");
  queue.add("a");
  CHECK(queue.size() == 2);
  CHECK(queue.try_get() == "a");
  CHECK(queue.try_get() == "b");
  CHECK(queue.try_get() == std::nullopt);
}

TEST_CASE("a key that is added while it is worked on comes again afterwards, not before", "[workqueue]") {
  WorkQueue queue;
  queue.add("a");
  CHECK(queue.get() == "a");
  queue.add("a");
  queue.add("a");
  CHECK(queue.try_get() == std::nullopt);
  queue.done("a");
  CHECK(queue.try_get() == "a");
  queue.done("a");
  CHECK(queue.try_get() == std::nullopt);
}

TEST_CASE("delays: the earliest of several counts", "[workqueue]") {
  ManualClock clock;
  WorkQueue queue({.clock = &clock});
  queue.add_after("a", seconds(10));
  queue.add_after("a", seconds(2));
  queue.add_after("a", seconds(5));
  clock.advance(milliseconds(1999));
  CHECK(queue.try_get() == std::nullopt);
  clock.advance(milliseconds(1));
  CHECK(queue.try_get() == "a");
  queue.done("a");
  clock.advance(seconds(60));
  CHECK(queue.try_get() == std::nullopt);
}

TEST_CASE("back-off doubles for each failure of a key, is limited, and ends with forget", "[workqueue]") {
  ManualClock clock;
  WorkQueue queue({.retry_base = milliseconds(10), .retry_limit = milliseconds(35), .clock = &clock});
  for (int delay : {10, 20, 35, 35}) {
    queue.add_rate_limited("a");
    clock.advance(milliseconds(delay - 1));
    CHECK(queue.try_get() == std::nullopt);
    clock.advance(milliseconds(1));
    REQUIRE(queue.try_get() == "a");
    queue.done("a");
  }
  CHECK(queue.failures("a") == 4);
  queue.forget("a");
  queue.add_rate_limited("a");
  clock.advance(milliseconds(10));
  CHECK(queue.try_get() == "a");
}

TEST_CASE("workers: every key is seen, failures come back, destruction ends them", "[workqueue]") {
  WorkQueue queue({.name = "test", .retry_base = milliseconds(1)});
  Mutex mutex;
  std::condition_variable_any changed;
  std::map<std::string, int> seen;
  {
    auto workers = client::run_workers(queue, 3, [&](const std::string& key) -> Status {
      Lock lock(mutex);
      int n = ++seen[key];
      changed.notify_all();
      if (key == "fails" && n < 3) return Status(409, reason::kConflict, "stale");
      return {};
    });
    queue.add("x");
    queue.add("y");
    queue.add("fails");
    queue.add_after("later", milliseconds(2));
    Lock lock(mutex);
    CHECK(changed.wait_for(lock, seconds(10),
                           [&] { return seen["fails"] == 3 && seen["x"] && seen["y"] && seen["later"]; }));
  }
  CHECK(queue.shutting_down());
  CHECK(queue.get() == std::nullopt);
}
