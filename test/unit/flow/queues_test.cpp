#include "flow/queues.h"

#include <catch2/catch.hpp>

#include <list>
#include <map>

using namespace knarr;
using namespace knarr::flow;
using State = FairQueues::Entry::State;

namespace {

constexpr MonoTime kStart = MonoTime(std::chrono::hours(1));

// Requests of flows, each with a hash, that take a millisecond each.
struct Bench {
  FairQueues queues;
  MonoTime now = kStart;
  std::list<FairQueues::Entry> entries;
  std::map<FairQueues::Entry*, uint64_t> flow_of;
  std::vector<FairQueues::Entry*> running, order;  // order: as they began

  explicit Bench(const QueueLimits& limits, int seats) { configure(limits, seats); }

  void configure(const QueueLimits& limits, int seats) {
    FairQueues::Started started;
    queues.configure(limits, seats, now, started);
    note(started);
  }
  void note(const FairQueues::Started& started) {
    for (FairQueues::Entry* entry : started) {
      CHECK(entry->state == State::kRunning);
      running.push_back(entry);
      order.push_back(entry);
    }
  }
  FairQueues::Entry& arrive(uint64_t flow, int seats = 1) {
    FairQueues::Entry& entry = entries.emplace_back();
    entry.seats = seats;
    flow_of[&entry] = flow;
    FairQueues::Started started;
    if (queues.arrive(entry, flow, now, started) == State::kRunning) note({&entry});
    note(started);
    return entry;
  }
  void finish(FairQueues::Entry& entry) {
    FairQueues::Started started;
    queues.finish(entry, now, started);
    std::erase(running, &entry);
    note(started);
  }
  // The oldest running one ends after a millisecond.
  void step() {
    now += milliseconds(1);
    if (!running.empty()) finish(*running.front());
  }
};

}  // namespace

TEST_CASE("who runs, waits and is refused") {
  struct Case {
    const char* name;
    QueueLimits limits;
    int seats;
    std::vector<int> widths;
    std::vector<State> states;
  };
  const Case cases[] = {
      {"exempt", {.exempt = true}, 0, {1, 50}, {State::kRunning, State::kRunning}},
      {"without queues", {}, 2, {1, 1, 1}, {State::kRunning, State::kRunning, State::kDone}},
      {"wider than all seats", {}, 2, {5, 1}, {State::kRunning, State::kDone}},
      {"too wide for what is left", {}, 3, {2, 2, 1}, {State::kRunning, State::kDone, State::kRunning}},
      {"one queue", {1, 1, 2, false}, 1, {1, 1, 1, 1}, {State::kRunning, State::kWaiting, State::kWaiting, State::kDone}},
      {"no seats", {1, 1, 1, false}, 0, {1, 1}, {State::kWaiting, State::kDone}},
      {"a wide one holds up who comes after it", {4, 1, 9, false}, 3, {2, 2, 1}, {State::kRunning, State::kWaiting, State::kWaiting}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Bench bench(c.limits, c.seats);
    std::vector<State> states;
    for (const int width : c.widths) bench.arrive(7, width);
    for (const auto& entry : bench.entries) states.push_back(entry.state);
    CHECK(states == c.states);
  }
}

TEST_CASE("a seat that is given back goes to who waited longest in the queue") {
  Bench bench({1, 1, 10, false}, 1);
  for (int i = 0; i < 4; ++i) bench.arrive(3);
  auto it = bench.entries.begin();
  for (int i = 0; i < 3; ++i) {
    FairQueues::Entry& first = *it++;
    bench.step();
    CHECK(first.state == State::kDone);
    CHECK(it->state == State::kRunning);
  }
  bench.step();
  CHECK(bench.queues.idle());
  CHECK(bench.queues.seats_wanted() == 0);
}

TEST_CASE("who gives up waiting leaves its place") {
  Bench bench({1, 1, 10, false}, 1);
  auto& a = bench.arrive(1);
  auto& b = bench.arrive(1);
  auto& c = bench.arrive(1);
  bench.finish(b);
  CHECK(b.state == State::kDone);
  CHECK(bench.queues.waiting() == 1);
  bench.finish(a);
  CHECK(c.state == State::kRunning);
}

TEST_CASE("a flow that floods does not hold up another one") {
  Bench bench({64, 6, 50, false}, 4);
  for (int i = 0; i < 1000; ++i) bench.arrive(0xDEADBEEF12345678);
  CHECK(bench.queues.waiting() == 6 * 50);  // a hand of queues, the rest is refused
  for (int round = 0; round < 20; ++round) {
    auto& quiet = bench.arrive(0x123456789ABCDEF);
    int steps = 0;
    while (quiet.state == State::kWaiting && steps < 100) {
      bench.step();
      bench.arrive(0xDEADBEEF12345678);  // it goes on flooding
      ++steps;
    }
    CHECK(steps <= 8);  // one turn of each queue of the other's, four seats at a time
    while (quiet.state != State::kDone) bench.step();
  }
}

TEST_CASE("queues that are always full get the same part") {
  Bench bench({8, 1, 200, false}, 2);
  for (int i = 0; i < 100; ++i)
    for (const uint64_t flow : {0, 1, 2}) bench.arrive(flow);
  for (int i = 0; i < 90; ++i) bench.step();
  std::map<uint64_t, int> served;
  for (FairQueues::Entry* entry : bench.order) ++served[bench.flow_of[entry]];
  for (const auto& [flow, count] : served) CHECK((count >= 28 && count <= 34));
}

TEST_CASE("wide requests count by their width") {
  Bench bench({2, 1, 200, false}, 4);
  for (int i = 0; i < 100; ++i) {
    bench.arrive(0, 4);
    bench.arrive(1, 1);
  }
  std::map<uint64_t, int> seats;
  for (int i = 0; i < 60; ++i) bench.step();
  for (FairQueues::Entry* entry : bench.order) seats[bench.flow_of[entry]] += entry->seats;
  CHECK(seats[0] < 3 * seats[1]);
  CHECK(seats[1] < 3 * seats[0]);
}

TEST_CASE("another configuration while requests wait") {
  Bench bench({8, 2, 10, false}, 1);
  for (uint64_t flow = 0; flow < 6; ++flow) bench.arrive(flow * 0x9E3779B97F4A7C15);
  CHECK(bench.queues.running() == 1);
  bench.configure({8, 2, 10, false}, 3);
  CHECK(bench.queues.running() == 3);
  bench.configure({2, 1, 10, false}, 3);
  while (!bench.running.empty()) bench.step();
  CHECK(bench.queues.idle());
  bench.configure({2, 1, 10, false}, 3);
  CHECK(bench.queues.queue_count() == 2);
  bench.configure({}, 1);
  bench.arrive(1);
  CHECK(bench.arrive(2).state == State::kDone);
}
