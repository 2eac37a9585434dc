#include "knarr/flow/flow_control.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <deque>
#include <thread>

#include "knarr/schema/flow_defaults.h"
#include "knarr/store/journal.h"

using namespace knarr;
using namespace knarr::flow;
namespace flowcontrol = knarr::api::flowcontrol::v1;

namespace {

constexpr milliseconds kPatience{15'000};

struct Fixture {
  ManualClock clock;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<FlowControl> flow;

  explicit Fixture(int seats = 600) {
    auto opened = store::Store::open(store::make_memory_journal(), {});
    REQUIRE(opened.ok());
    store = std::move(*opened);
    clock.advance(std::chrono::hours(1));
    flow = FlowControl::make({.store = store.get(), .clock = &clock, .seats = seats, .expires = false});
  }

  template <typename T>
  void put(T object, const std::string& resource) {
    object.metadata.uid = object.metadata.name + "-uid";
    store::Write write;
    write.resource = store->resource(resource + ".flowcontrol.apiserver.k8s.io");
    write.key = object.metadata.name;
    write.value = api::encode(object);
    const size_t at = write.value.find("\"metadata\":{") + 12;
    write.value.insert(at, "\"resourceVersion\":\"\",");
    write.rev_pos = static_cast<uint32_t>(at + 19);
    REQUIRE(store->commit({&write, 1}).ok());
  }
  void put_defaults() {
    for (const auto& item : schema::default_priority_levels()) put(item.object, "prioritylevelconfigurations");
    for (const auto& item : schema::default_flow_schemas()) put(item.object, "flowschemas");
  }
  // A level with one queue for whoever is in the group of its name.
  void put_level(const std::string& name, int shares, int queues, int length) {
    flowcontrol::PriorityLevelConfiguration level;
    level.metadata.name = name;
    level.spec.type = "Limited";
    auto& limited = level.spec.limited.ensure();
    limited.nominalConcurrencyShares = shares;
    limited.limitResponse.type = queues > 0 ? "Queue" : "Reject";
    if (queues > 0) {
      auto& queuing = limited.limitResponse.queuing.ensure();
      queuing.queues = queues;
      queuing.handSize = 1;
      queuing.queueLengthLimit = length;
    }
    put(level, "prioritylevelconfigurations");
    flowcontrol::FlowSchema schema;
    schema.metadata.name = name;
    schema.spec.matchingPrecedence = 50;
    schema.spec.priorityLevelConfiguration.name = name;
    schema.spec.distinguisherMethod.ensure().type = "ByUser";
    auto& rules = schema.spec.rules.emplace_back();
    auto& subject = rules.subjects.emplace_back();
    subject.kind = "Group";
    subject.group.ensure().name = name;
    auto& rule = rules.nonResourceRules.emplace_back();
    rule.verbs = rule.nonResourceURLs = {"*"};
    put(schema, "flowschemas");
  }

  std::unique_ptr<Ticket> ticket(const std::string& user, const std::string& group, int width = 1) {
    const auth::UserInfo info{user, "", {group}, {}};
    Question question;
    question.user = &info;
    question.verb = "get";
    question.path = "/x";
    question.width = [width](int most) { return most > 0 ? std::min(width, most) : width; };
    return flow->classify(question);
  }
};

}  // namespace

TEST_CASE("without objects there are the mandatory levels") {
  Fixture f;
  auto everybody = f.ticket("bob", "system:authenticated");
  CHECK(everybody->schema_uid().empty());
  CHECK(everybody->enter(nullptr, kPatience) == Ticket::State::kRunning);
  CHECK(everybody->lane() != 0);
  auto admin = f.ticket("root", "system:masters");
  CHECK(admin->enter(nullptr, kPatience) == Ticket::State::kRunning);
  CHECK(admin->lane() == 0);
  CHECK(f.flow->metrics().find("nominal_limit_seats{priority_level=\"catch-all\"} 600\n") != std::string::npos);
}

TEST_CASE("objects count from the moment that they are written") {
  Fixture f;
  f.put_defaults();
  auto ticket = f.ticket("bob", "system:authenticated");
  CHECK(ticket->schema_uid() == "global-default-uid");
  CHECK(ticket->level_uid() == "global-default-uid");
  const std::string metrics = f.flow->metrics();
  for (const char* line : {"nominal_limit_seats{priority_level=\"system\"} 74\n", "lower_limit_seats{priority_level=\"workload-low\"} 24\n",
                           "upper_limit_seats{priority_level=\"catch-all\"} 613\n"})
    CHECK(metrics.find(line) != std::string::npos);
}

TEST_CASE("waiting, its end, and its limit") {
  Fixture f(1);
  f.put_level("ops", 1000, 1, 1);  // of one seat all but nothing is for others
  int resumed = 0;
  const auto resume = [&] { ++resumed; };
  auto first = f.ticket("a", "ops"), second = f.ticket("a", "ops"), third = f.ticket("b", "ops");
  CHECK(first->enter(resume, kPatience) == Ticket::State::kRunning);
  CHECK(second->enter(resume, kPatience) == Ticket::State::kWaiting);
  CHECK(third->enter(resume, kPatience) == Ticket::State::kRefused);
  CHECK(third->retry_after() == 1);
  CHECK(resumed == 0);

  SECTION("a seat becomes free") {
    first.reset();
    CHECK(resumed == 1);
    CHECK(second->state() == Ticket::State::kRunning);
    CHECK(f.flow->expire() == MonoTime::max());
  }
  SECTION("the time is over") {
    CHECK(f.flow->expire() == f.clock.mono() + kPatience);
    f.clock.advance(kPatience);
    CHECK(f.flow->expire() == MonoTime::max());
    CHECK(resumed == 1);
    CHECK(second->state() == Ticket::State::kRefused);
    CHECK(f.flow->metrics().find("rejected_requests_total{flow_schema=\"ops\",priority_level=\"ops\",reason=\"time-out\"} 1") != std::string::npos);
  }
  SECTION("the one who waits goes away") {
    second.reset();
    first.reset();
    CHECK(resumed == 0);
    CHECK(f.ticket("a", "ops")->enter(nullptr, kPatience) == Ticket::State::kRunning);
  }
  SECTION("the server stops") {
    f.flow->open();
    CHECK(resumed == 1);
    CHECK(second->state() == Ticket::State::kRunning);
    auto late = f.ticket("a", "ops");
    CHECK(late->enter(nullptr, kPatience) == Ticket::State::kRunning);
  }
  SECTION("who cannot wait is refused") {
    second.reset();
    CHECK(f.ticket("a", "ops")->enter(nullptr, kPatience) == Ticket::State::kRefused);
  }
}

TEST_CASE("a level whose requests all wait borrows from the others") {
  Fixture f(100);
  f.put_defaults();
  std::deque<std::unique_ptr<Ticket>> tickets;
  const auto flood = [&] {
    int running = 0;
    tickets.clear();
    for (int i = 0; i < 200; ++i) {
      tickets.push_back(f.ticket("user-" + std::to_string(i), "system:authenticated"));
      running += tickets.back()->enter([] {}, kPatience) == Ticket::State::kRunning;
    }
    return running;
  };
  const int before = flood();
  CHECK(before < 20);
  f.clock.advance(std::chrono::seconds(11));
  f.ticket("x", "system:authenticated");  // whoever comes next sees to it
  const int after = flood();
  CHECK(after > before + 15);
  CHECK(after < 70);  // what others do not lend stays theirs
  tickets.clear();
}

TEST_CASE("tickets of many threads end even") {
  Fixture f(4);
  f.put_level("ops", 1000, 8, 50);
  std::atomic<int> running{0}, most{0}, served{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        auto ticket = f.ticket("user-" + std::to_string(t * 7 + i % 3), "ops");
        std::atomic<bool> resumed{false};
        const auto state = ticket->enter([&] { resumed = true; }, kPatience);
        if (state == Ticket::State::kWaiting)
          while (!resumed) std::this_thread::yield();
        if (ticket->state() == Ticket::State::kRunning) {
          most = std::max(most.load(), ++running);
          ++served;
          --running;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(served == 1200);
  CHECK(most <= 4);
  CHECK(f.flow->metrics().find("current_executing_requests{flow_schema=\"ops\",priority_level=\"ops\"} 0\n") != std::string::npos);
}
