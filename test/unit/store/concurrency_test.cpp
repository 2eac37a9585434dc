// Many threads at once, on every journal.
#include <set>
#include <thread>

#include "unit/store/backend.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;

namespace {

template <typename F>
void in_threads(int count, F body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([=] { body(i); });
  for (std::thread& t : threads) t.join();
}

}  // namespace

TEST_CASE("those that wait are taken along into one append") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  must(*store, create(pods, "shared", "0"));
  auto cursor = watch(*store, pods, 0);
  store.control().set([](Control& c) { c.hold = true; });
  std::atomic<int> created{0}, refused{0}, waiting{0};
  std::thread first([&] {
    if (commit1(*store, create(pods, "first", "x")).ok()) ++created;
  });
  store.control().wait([](Control& c) { return c.appends == 2; });  // it is in the journal now, and held there
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      ++waiting;
      // Two at a time want the same name: each is checked against what those before it in the batch do.
      auto result = commit1(*store, create(pods, fmt::format("p{}", i / 2), std::to_string(i)));
      if (result.ok()) ++created;
      if (result.status().is(reason::kAlreadyExists)) ++refused;
    });
  while (waiting < 8) std::this_thread::yield();
  CHECK(store->count(pods) == 1);  // nothing is published before it is durable
  CHECK(drain(*cursor).empty());
  store.control().set([](Control& c) { c.hold = false; });
  first.join();
  for (std::thread& t : threads) t.join();
  CHECK(created == 5);
  CHECK(refused == 4);
  CHECK(store.control().appends <= 2 + 8);
  CHECK(drain(*cursor).size() == 5);
  CHECK(store->stats().commits == 6);
}

TEST_CASE("threads on the same keys: nothing is lost, every watcher sees every event once and in order") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), leases = store.id("leases");
  constexpr int kWriters = 8, kRounds = 150;
  must(*store, create(pods, "counter", "0"));
  std::atomic<bool> done{false};
  std::atomic<uint64_t> wakeups{0};
  const uint64_t listener = store->add_listener([&](auto, Revision) { wakeups++; });

  std::vector<std::thread> watchers;
  std::atomic<int> bad{0};
  std::vector<size_t> seen(4);
  for (int w = 0; w < 4; ++w)
    watchers.emplace_back([&, w] {
      auto cursor = store->watch(pods, 2);
      Revision last = 2;
      std::map<std::string, std::string> state{{"counter", "0"}};
      auto take_all = [&] {
        std::vector<EventPtr> events;
        if (!(*cursor)->next(64, events).ok()) ++bad;
        for (const EventPtr& e : events) {
          ++seen[w];
          if (e->revision() <= last) ++bad;
          last = e->revision();
          const bool known = state.count(e->object->key) > 0;
          if (known != (e->type != EventType::kAdded)) ++bad;
          if (e->previous && state[e->object->key] != text_of(*e->previous)) ++bad;
          if (e->type == EventType::kDeleted)
            state.erase(e->object->key);
          else
            state[e->object->key] = text_of(*e->object);
        }
        return !events.empty();
      };
      while (!done)
        if (!take_all()) std::this_thread::yield();
      while (take_all()) {
      }
      const ListResult now = *store->list(pods, {});
      if (now.objects.size() != state.size()) ++bad;
      for (const ObjectPtr& o : now.objects)
        if (state[o->key] != text_of(*o)) ++bad;
    });

  std::atomic<uint64_t> events{0};
  in_threads(kWriters, [&](int t) {
    for (int i = 0; i < kRounds;) {
      // A counter by compare-and-swap.
      const ObjectPtr counter = store->get(pods, "counter");
      auto next = commit1(*store, update(*counter, std::to_string(std::stoi(std::string(text_of(*counter))) + 1)));
      if (!next.ok()) {
        if (!next.status().is(reason::kConflict)) ++bad;
        continue;
      }
      ++events;
      ++i;
      // A few names that all create and delete.
      const std::string key = fmt::format("shared-{}", (i + t) % 3);
      if (commit1(*store, i % 2 ? create(pods, key, fmt::format("{}-{}", t, i)) : remove(pods, key)).ok()) ++events;
      if (!commit1(*store, put(leases, std::to_string(t), std::to_string(i)), Durability::kLazy).ok()) ++bad;
    }
  });
  done = true;
  for (std::thread& t : watchers) t.join();
  store->remove_listener(listener);
  CHECK(bad == 0);
  CHECK(wakeups > 0);
  CHECK(text_of(*store->get(pods, "counter")) == std::to_string(kWriters * kRounds));
  for (size_t n : seen) CHECK(n == events);
  CHECK(store->revision() == 2 + events + kWriters * kRounds);
  const size_t objects = store->stats().objects;
  store.reopen();
  CHECK(text_of(*store->get(pods, "counter")) == std::to_string(kWriters * kRounds));
  CHECK(store->stats().objects == objects);
}

TEST_CASE("a list shows the state of its revision, while others write") {
  Backend store("memory");
  const auto pods = store.id("pods");
  std::vector<Write> both{create(pods, "a", "0"), create(pods, "b", "0")};
  REQUIRE(store->commit(both).ok());
  std::atomic<bool> done{false};
  std::atomic<int> bad{0}, lists{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!done) {
        const auto now = store->list(pods, {});
        if (now->objects.size() != 2 || text_of(*now->objects[0]) != text_of(*now->objects[1]) ||
            now->objects[1]->revision != now->revision)
          ++bad;
        // The same again, later, as of then.
        const auto then = store->list(pods, {.at = now->revision});
        if (!then.ok() || then->objects != now->objects) ++bad;
        ++lists;
      }
    });
  for (int i = 1; i < 3000; ++i) {
    std::vector<Write> again{put(pods, "a", std::to_string(i)), put(pods, "b", std::to_string(i))};
    if (!store->commit(again).ok()) ++bad;
  }
  while (lists < 10) std::this_thread::yield();
  done = true;
  for (std::thread& t : readers) t.join();
  CHECK(bad == 0);
}
