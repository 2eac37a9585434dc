// Watches: order, resumption, what is too old, listeners; on every journal.
#include "unit/store/backend.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;
using Strings = std::vector<std::string>;

TEST_CASE("a watch from now sees what comes, of its resource only") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), nodes = store.id("nodes");
  must(*store, create(pods, "a", "before"));
  auto cursor = watch(*store, pods, 0);
  CHECK(cursor->position() == 2);
  CHECK(drain(*cursor).empty());
  must(*store, put(pods, "a", "two"));
  must(*store, create(nodes, "n", "x"));
  must(*store, remove(pods, "a"));
  must(*store, create(nodes, "m", "x"));
  CHECK(drain(*cursor) == Strings{"MODIFIED a two@3", "DELETED a two@5"});
  CHECK(cursor->position() == 6);  // bookmarks move on with the others' writes
  CHECK(drain(*cursor).empty());
}

TEST_CASE("events carry the state before") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  auto cursor = watch(*store, pods, 0);
  const ObjectPtr one = must(*store, create(pods, "a", "one"));
  const ObjectPtr two = must(*store, put(pods, "a", "two"));
  must(*store, remove(pods, "a"));
  std::vector<EventPtr> events;
  REQUIRE(cursor->next(2, events).ok());
  CHECK(events.size() == 2);
  CHECK(cursor->position() == two->revision);
  REQUIRE(cursor->next(2, events).ok());
  REQUIRE(events.size() == 3);
  CHECK(events[0]->previous == nullptr);
  CHECK(events[1]->previous == one);
  CHECK(events[2]->previous == two);
}

TEST_CASE("a watch resumes after a revision") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  for (int i = 0; i < 5; ++i) must(*store, put(pods, "a", std::to_string(i)));
  CHECK(drain(*watch(*store, pods, 4)) == Strings{"MODIFIED a 3@5", "MODIFIED a 4@6"});
  CHECK(drain(*watch(*store, pods, 1)).size() == 5);
  CHECK(drain(*watch(*store, pods, 6)).empty());
  const auto future = store->watch(pods, 7).status();
  CHECK(future.code() == 504);
  CHECK(future.is(reason::kTimeout));
  REQUIRE(future.causes().size() == 1);
  CHECK(future.causes()[0].reason == "ResourceVersionTooLarge");
}

TEST_CASE("a cursor that falls off the ring learns so") {
  const bool by_bytes = GENERATE(false, true);
  Store::Options options = Backend::default_options();
  (by_bytes ? options.ring_bytes : options.ring_events) = by_bytes ? 8192 : 8;
  Backend store("memory", options);
  const auto pods = store.id("pods"), nodes = store.id("nodes");
  auto behind = watch(*store, pods, 0), up_to_date = watch(*store, pods, 0), quiet = watch(*store, nodes, 0);
  for (int i = 0; i < 100; ++i) {
    must(*store, put(pods, "a", std::string(200, 'x')));
    CHECK(drain(*up_to_date).size() == 1);
  }
  std::vector<EventPtr> events;
  const Status status = behind->next(1000, events);
  CHECK(status.code() == 410);
  CHECK(status.is(reason::kExpired));
  CHECK(behind->next(1000, events).code() == 410);
  CHECK(events.empty());
  CHECK(drain(*quiet).empty());  // what others write does not cut a quiet one off
  CHECK(store->list(pods, {.at = 3}).status().is(reason::kExpired));
  CHECK(list(*store, pods, {.at = store->revision() - 1}).objects.size() == 1);

  // A new watch from there gets what is known from the objects themselves.
  CHECK(drain(*watch(*store, pods, 50)).size() == 1);
}

TEST_CASE("resumption from before the ring, also over a restart: current objects and deletions") {
  const std::string kind = GENERATE("memory", "sqlite");
  const std::string how = GENERATE("ring", "reopen", "crash");
  CAPTURE(kind, how);
  Store::Options options = Backend::default_options();
  if (how == "ring") options.ring_events = 1;
  Backend store(kind, options);
  const auto pods = store.id("pods");
  must(*store, create(pods, "kept", "1"));     // 2
  must(*store, create(pods, "changed", "1"));  // 3
  must(*store, create(pods, "deleted", "1"));  // 4
  must(*store, create(pods, "reborn", "1"));   // 5
  const Revision since = store->revision();
  must(*store, put(pods, "changed", "2"));    // 6
  must(*store, create(pods, "brief", "1"));   // 7
  must(*store, remove(pods, "deleted"));      // 8
  must(*store, remove(pods, "reborn"));       // 9
  must(*store, create(pods, "new", "1"));     // 10
  must(*store, create(pods, "reborn", "2"));  // 11
  must(*store, put(pods, "changed", "3"));    // 12
  must(*store, remove(pods, "brief"));        // 13
  must(*store, put(store->resource("nodes"), "n", "1"));
  must(*store, put(pods, "new", "2"));  // 15
  if (how == "reopen") store.reopen();
  if (how == "crash") store.crash();

  auto cursor = watch(*store, pods, since);
  std::vector<EventPtr> events;
  REQUIRE(cursor->next(2, events).ok());
  CHECK(cursor->position() == 9);
  CHECK(events[0]->previous == nullptr);
  CHECK(drain(*cursor) == Strings{"ADDED reborn 2@11", "MODIFIED changed 3@12", "ADDED new 2@15"});
  CHECK(events[0]->object->value == "rev=8;1");
  CHECK(events[1]->object->key == "reborn");
  CHECK(events[1]->type == EventType::kDeleted);
  const ObjectPtr more = must(*store, put(pods, "kept", "2"));
  CHECK(drain(*cursor) == Strings{fmt::format("MODIFIED kept 2@{}", more->revision)});
  CHECK(drain(*watch(*store, pods, 15)).size() == 1);
}

TEST_CASE("no resumption from before the deletions that are remembered") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  const size_t many = Backend::kDeletionsKept * 2;
  for (size_t i = 0; i < many; ++i) must(*store, create(pods, fmt::format("p{}", i), "x"));
  const Revision since = store->revision();
  for (size_t i = 0; i < many; ++i) must(*store, remove(pods, fmt::format("p{}", i)));
  CHECK(drain(*watch(*store, pods, since)).size() == many);  // from the ring
  store.reopen();
  CHECK(store->watch(pods, since).status().is(reason::kExpired));
  const Revision compacted = store->compacted_revision();
  CHECK(compacted > since);
  CHECK(compacted <= store->revision() - Backend::kDeletionsKept);
  CHECK(drain(*watch(*store, pods, compacted)).size() == store->revision() - compacted);
  CHECK(store->watch(pods, compacted - 1).status().is(reason::kExpired));
}

TEST_CASE("listeners are told what was touched, and not after they are removed") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), nodes = store.id("nodes");
  std::vector<std::pair<std::vector<ResourceId>, Revision>> calls;
  const uint64_t id = store->add_listener([&](std::span<const ResourceId> resources, Revision revision) {
    CHECK(store->revision() == revision);
    calls.push_back({{resources.begin(), resources.end()}, revision});
  });
  must(*store, create(nodes, "n", "x"));
  std::vector<Write> both{put(nodes, "n", "y"), put(pods, "a", "x"), put(nodes, "m", "x")};
  REQUIRE(store->commit(both).ok());
  CHECK_FALSE(commit1(*store, create(nodes, "n", "x")).ok());
  must(*store, put(pods, "a", "lazy"), Durability::kLazy);
  store->remove_listener(id);
  must(*store, put(pods, "a", "unheard"));
  REQUIRE(calls.size() == 3);
  CHECK(calls[0] == std::pair(std::vector<ResourceId>{nodes}, Revision{2}));
  CHECK(calls[1] == std::pair(std::vector<ResourceId>{pods, nodes}, Revision{5}));
  CHECK(calls[2] == std::pair(std::vector<ResourceId>{pods}, Revision{6}));
}

TEST_CASE("an event is encoded once for all") {
  Backend store("memory");
  const auto pods = store.id("pods");
  auto one = watch(*store, pods, 0), two = watch(*store, pods, 0);
  must(*store, create(pods, "a", "x"));
  std::vector<EventPtr> events;
  REQUIRE(one->next(1, events).ok());
  REQUIRE(two->next(1, events).ok());
  REQUIRE(events.size() == 2);
  auto encode = +[](const Event& e) { return "frame " + e.object->value; };
  CHECK(events[0]->encoded(encode) == "frame rev=2;x");
  CHECK(&events[0]->encoded(encode) == &events[1]->encoded(encode));
}
