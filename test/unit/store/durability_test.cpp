// What is on disk when: lazy writes, revisions over stops of both kinds, journals that fail.
#include <thread>

#include "unit/store/backend.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;
using Strings = std::vector<std::string>;

namespace {

Write lease(ResourceId leases, std::string_view text) { return put(leases, "kube-node-lease/n", text); }

}  // namespace

TEST_CASE("lazy writes are published at once and need no append of their own") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto leases = store.id("leases");
  auto cursor = watch(*store, leases, 0);
  must(*store, lease(leases, "0"), Durability::kLazy);
  CHECK(store.control().appends == 1);  // the first one reserves numbers
  for (int i = 1; i < 100; ++i) must(*store, lease(leases, std::to_string(i)), Durability::kLazy);
  CHECK(store.control().appends == 1);
  CHECK(drain(*cursor).size() == 100);
  CHECK(store->stats().lazy_pending == 1);
  REQUIRE(store->flush().ok());
  CHECK(store.control().appends == 2);
  CHECK(store.control().last_records == 1);
  CHECK(store->stats().lazy_pending == 0);
  REQUIRE(store->flush().ok());
  CHECK(store.control().appends == 2);
}

TEST_CASE("a clean stop keeps lazy writes, and the revision goes on by one") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto leases = store.id("leases");
  must(*store, lease(leases, "1"), Durability::kLazy);
  must(*store, put(leases, "other", "x"), Durability::kLazy);
  must(*store, remove(leases, "other"), Durability::kLazy);
  const Revision last = must(*store, lease(leases, "2"), Durability::kLazy)->revision;
  store.reopen();
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "2");
  CHECK(store->get(leases, "other") == nullptr);
  CHECK(store->revision() == last);
  // Watches resume, the lazy deletion is remembered too.
  CHECK(drain(*watch(*store, leases, 3)) == Strings{"DELETED other x@4", "MODIFIED kube-node-lease/n 2@5"});
}

TEST_CASE("after a kill, lazy writes may be lost, but no revision is used twice") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto leases = store.id("leases"), pods = store.id("pods");
  must(*store, lease(leases, "durable"));
  const ObjectPtr pod = must(*store, create(pods, "a", "1"));
  must(*store, put(pods, "a", "2"));
  must(*store, lease(leases, "lost"), Durability::kLazy);
  const Revision seen = must(*store, lease(leases, "lost too"), Durability::kLazy)->revision;
  store.crash();
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "durable");
  CHECK(store->revision() > seen);
  // Who watched leases may have seen what is lost: relist. Pods lost nothing: go on.
  CHECK(store->watch(leases, seen).status().is(reason::kExpired));
  CHECK(store->watch(leases, store->revision() - 1).status().is(reason::kExpired));
  CHECK(drain(*watch(*store, leases, store->revision())).empty());
  CHECK(drain(*watch(*store, pods, pod->revision)) == Strings{"MODIFIED a 2@4"});
  CHECK(drain(*watch(*store, pods, seen)).empty());

  SECTION("and this is not forgotten by a clean stop") {
    store.reopen();
    CHECK(store->watch(leases, seen).status().is(reason::kExpired));
  }
  SECTION("nor by a second kill without a write between") {
    const Revision first = store->revision();
    store.crash();
    CHECK(store->revision() >= first);
    CHECK(store->watch(leases, seen).status().is(reason::kExpired));
  }
  SECTION("and writing goes on above") {
    const Revision start = store->revision();
    CHECK(must(*store, lease(leases, "new"))->revision == start + 1);
    store.reopen();
    CHECK(store->revision() == start + 1);
    CHECK(drain(*watch(*store, leases, start)).size() == 1);
    CHECK(store->watch(leases, seen).status().is(reason::kExpired));
  }
}

TEST_CASE("the revision never goes back, whatever is killed when") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), leases = store.id("leases");
  Revision highest = store->revision();
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < round * 7 % 11; ++i) {
      const bool lazy = (round + i) % 3 != 0;
      highest =
          must(*store, put(lazy ? leases : pods, "k", "v"), lazy ? Durability::kLazy : Durability::kDurable)->revision;
    }
    round % 4 == 3 ? store.reopen() : store.crash();
    CHECK(store->revision() >= highest);
    highest = store->revision();
  }
}

TEST_CASE("more lazy writes than were reserved ahead") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto leases = store.id("leases");
  Revision last = 0;
  for (int i = 0; i < 40'000; ++i) last = must(*store, lease(leases, "x"), Durability::kLazy)->revision;
  CHECK(store.control().appends < 10);
  store.crash();
  CHECK(store->revision() > last);
}

TEST_CASE("a durable write of the same key supersedes lazy ones") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto leases = store.id("leases");
  must(*store, lease(leases, "lazy"), Durability::kLazy);
  must(*store, lease(leases, "durable"));
  CHECK(store->stats().lazy_pending == 0);
  store.crash();
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "durable");

  // A lazy deletion before it does not delete it later.
  must(*store, remove(leases, "kube-node-lease/n"), Durability::kLazy);
  must(*store, lease(leases, "reborn"));
  REQUIRE(store->flush().ok());
  store.crash();
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "reborn");

  // A durable deletion of what only lazy writes made.
  must(*store, put(leases, "brief", "x"), Durability::kLazy);
  must(*store, remove(leases, "brief"));
  REQUIRE(store->flush().ok());
  store.reopen();
  CHECK(store->get(leases, "brief") == nullptr);
}

TEST_CASE("lazy writes are journaled by themselves when they are due") {
  Store::Options options = Backend::default_options();
  options.lazy_flush = std::chrono::milliseconds(1);
  Backend store(GENERATE("memory", "sqlite"), options);
  const auto leases = store.id("leases");
  must(*store, lease(leases, "x"), Durability::kLazy);
  store.control().wait([](Control& c) { return c.appends == 2; });  // the reservation, the flush
  must(*store, lease(leases, "y"), Durability::kLazy);
  store.control().wait([](Control& c) { return c.appends == 3; });
  REQUIRE(store->flush().ok());  // stands behind the one under way
  store.crash();
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "y");
}

TEST_CASE("lazy writes that hold much memory are journaled early") {
  Store::Options options = Backend::default_options();
  options.lazy_bytes = 10'000;
  Backend store(GENERATE("memory", "sqlite"), options);
  const auto events = store.id("events");
  for (int i = 0; i < 100; ++i)
    must(*store, create(events, fmt::format("e{}", i), std::string(1000, 'x')), Durability::kLazy);
  CHECK(store->stats().lazy_pending < 11);
  store.crash();
  CHECK(store->count(events) >= 89);
}

TEST_CASE("a failed append answers its callers, applies nothing, and later ones work") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), leases = store.id("leases");
  const ObjectPtr a = must(*store, create(pods, "a", "1"));
  must(*store, lease(leases, "1"), Durability::kLazy);
  store.control().set([](Control& c) { c.fail = Status(507, "InsufficientStorage", "no space"); });
  CHECK(commit1(*store, update(*a, "2")).status().code() == 507);
  CHECK(commit1(*store, create(pods, "b", "1")).status().code() == 507);
  CHECK(store->health().code() == 507);
  CHECK(store->stats().syncs_failed == 2);
  CHECK(store->get(pods, "a") == a);
  CHECK(store->count(pods) == 1);
  const ObjectPtr beat = must(*store, lease(leases, "2"), Durability::kLazy);  // heartbeats go on with a full disk
  CHECK(beat->revision == a->revision + 2);
  CHECK(store->flush().code() == 507);
  CHECK(store->stats().lazy_pending == 1);

  store.control().set([](Control& c) { c.fail = Status::OK(); });
  CHECK(must(*store, update(*a, "3"))->revision == beat->revision + 1);
  CHECK(store->health().ok());
  REQUIRE(store->flush().ok());
  store.crash();
  CHECK(text_of(*store->get(pods, "a")) == "3");
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "2");
}

TEST_CASE("a journal that failed is tried again without being asked") {
  Store::Options options = Backend::default_options();
  options.retry = std::chrono::milliseconds(1);
  Backend store(GENERATE("memory", "sqlite"), options);
  const auto pods = store.id("pods");
  store.control().set([](Control& c) { c.fail = internal_error("fsync failed"); });
  CHECK_FALSE(commit1(*store, create(pods, "a", "1")).ok());
  CHECK_FALSE(store->health().ok());
  store.control().wait([](Control& c) { return c.appends >= 3; });
  const Revision before = store->revision();
  store.control().set([](Control& c) { c.fail = Status::OK(); });
  while (!store->health().ok()) std::this_thread::yield();
  CHECK(store->revision() == before);
  CHECK(must(*store, create(pods, "a", "1"))->revision == before + 1);
}

TEST_CASE("nothing is published while a failed append may still be on disk") {
  Backend store("memory");
  const auto leases = store.id("leases");
  must(*store, lease(leases, "1"), Durability::kLazy);
  store.control().set([](Control& c) {
    c.settled = false;
    c.fail = internal_error("fsync failed");
  });
  CHECK(commit1(*store, lease(leases, "2"), Durability::kLazy).status().code() == 500);
  CHECK(text_of(*store->get(leases, "kube-node-lease/n")) == "1");
  const size_t appends = store.control().appends;
  store.control().set([](Control& c) { c.fail = Status::OK(); });
  must(*store, lease(leases, "3"), Durability::kLazy);
  CHECK(store.control().appends == appends + 1);
}
