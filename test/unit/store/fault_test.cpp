// Disks that fail: no answered write is lost, the error says what failed, reads go on, later commits work.
#include "unit/store/backend.h"
#include "unit/store/fault_vfs.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;

namespace {

// A store over the fault-injecting VFS, made before the faults begin.
class FaultyStore {
 public:
  explicit FaultyStore(uint32_t seed = 1) : vfs(seed) {
    REQUIRE(open_sqlite_journal({.path = dir_.file()}).ok());
    open(vfs.name());
  }

  void open(const char* vfs_name) {
    store_.reset();
    auto journal = open_sqlite_journal({.path = dir_.file(), .checkpoint_pages = 24, .vfs = vfs_name});
    INFO(journal.status().to_string());
    REQUIRE(journal.ok());
    auto store = Store::open(std::move(*journal), Backend::default_options());
    INFO(store.status().to_string());
    REQUIRE(store.ok());
    store_ = std::move(*store);
  }
  void power_cut() {
    vfs.cut_power();
    store_.reset();
    vfs.restart();
    open(nullptr);
  }

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  ResourceId pods() { return store_->resource("pods"); }

  // What a reader sees: key -> text.
  std::map<std::string, std::string> contents() {
    std::map<std::string, std::string> out;
    for (const ObjectPtr& o : list(*store_, pods()).objects) out.emplace(o->key, text_of(*o));
    return out;
  }

  FaultVfs vfs;

 private:
  TempDir dir_;
  std::unique_ptr<Store> store_;
};

struct Kind {
  const char* name;
  FaultVfs::Fault fault;
  int code;
};
const Kind kKinds[] = {
    {"failed fsync", {.op = FaultVfs::Op::kSync, .code = SQLITE_IOERR_FSYNC}, 500},
    {"failed write", {.op = FaultVfs::Op::kWrite, .code = SQLITE_IOERR_WRITE}, 500},
    {"short write", {.op = FaultVfs::Op::kWrite, .code = SQLITE_IOERR_WRITE, .short_write = true}, 500},
    {"disk full", {.op = FaultVfs::Op::kWrite, .code = SQLITE_FULL, .short_write = true}, 507},
    {"any operation", {.op = FaultVfs::Op::kAny, .code = SQLITE_IOERR}, 500},
};

}  // namespace

TEST_CASE("whichever operation fails: an error, then it works again, and the disk holds what was answered") {
  const Kind& kind = GENERATE(from_range(std::begin(kKinds), std::end(kKinds)));
  int strikes = 0, refusals = 0;
  for (int nth = 1; nth < 90; nth += 1 + nth / 12) {
    CAPTURE(kind.name, nth);
    FaultyStore store(static_cast<uint32_t>(nth));
    const std::string text(2500, 'x');
    must(*store, create(store.pods(), "before", text));
    FaultVfs::Fault fault = kind.fault;
    fault.nth = nth;
    store.vfs.inject(fault);
    for (int i = 0; i < 25; ++i) {
      const auto before = store.contents();
      const std::string key = fmt::format("p{}", i % 7);
      const bool there = before.count(key) > 0;
      const auto result = commit1(*store, i % 3 == 2 && there ? remove(store.pods(), key)
                                                              : put(store.pods(), key, fmt::format("{}{}", i, text)));
      if (result.ok()) continue;
      ++refusals;
      CHECK(result.status().code() == kind.code);
      CHECK(result.status().message().find("state.db") != std::string::npos);
      CHECK_FALSE(store->health().ok());
      CHECK(store.contents() == before);  // reads go on, nothing was applied
    }
    strikes += store.vfs.struck();
    must(*store, put(store.pods(), "after", text));
    CHECK(store->health().ok());
    const auto in_memory = store.contents();
    const Revision revision = store->revision();
    store.power_cut();
    CHECK(store.contents() == in_memory);
    CHECK(store->revision() >= revision);
  }
  CHECK(strikes > 15);
  CHECK(refusals > 10);
}

TEST_CASE("a power cut after a failed sync: the write may be there or not, all others are") {
  for (uint32_t seed = 1; seed < 40; ++seed) {
    FaultyStore store(seed);
    for (int i = 0; i < 10; ++i) must(*store, put(store.pods(), fmt::format("p{}", i % 4), std::to_string(i)));
    must(*store, put(store.pods(), "lazy", "0"), Durability::kLazy);
    REQUIRE(store->flush().ok());
    store.vfs.inject({.op = FaultVfs::Op::kSync, .code = SQLITE_IOERR_FSYNC, .lasting = true});
    CHECK_FALSE(commit1(*store, put(store.pods(), "doubtful", "x")).ok());
    // Nothing may be seen that a start from the disk would put in another order: not even lazy writes.
    CHECK_FALSE(commit1(*store, put(store.pods(), "lazy", "x"), Durability::kLazy).ok());
    auto expected = store.contents();
    store.power_cut();
    auto found = store.contents();
    found.erase("doubtful");
    CHECK(found == expected);
  }
}

TEST_CASE("a full disk: writes get 507, reads and heartbeats go on, and it is over when there is room") {
  FaultyStore store;
  const ResourceId leases = store->resource("leases");
  must(*store, put(store.pods(), "a", "1"));
  must(*store, put(leases, "n", "1"), Durability::kLazy);
  store.vfs.inject({.op = FaultVfs::Op::kWrite, .code = SQLITE_FULL, .lasting = true});
  for (int i = 0; i < 5; ++i) {
    const Status status = commit1(*store, put(store.pods(), "a", "2")).status();
    CHECK(status.code() == 507);
    CHECK(status.is("InsufficientStorage"));
    CHECK(status.message().find("disk is full") != std::string::npos);
    must(*store, put(leases, "n", std::to_string(i)), Durability::kLazy);
  }
  CHECK(text_of(*store->get(store.pods(), "a")) == "1");
  CHECK(store->flush().code() == 507);
  store.vfs.heal();
  must(*store, put(store.pods(), "a", "3"));
  REQUIRE(store->flush().ok());
  store.power_cut();
  CHECK(text_of(*store->get(store.pods(), "a")) == "3");
  CHECK(text_of(*store->get(store->resource("leases"), "n")) == "4");
}

TEST_CASE("power cuts at any time lose nothing that was answered") {
  std::map<std::string, std::string> answered;
  FaultyStore store(7);
  Revision highest = 0;
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    // The power goes at some operation in the middle of a commit or a checkpoint.
    store.vfs.inject({.op = FaultVfs::Op::kAny, .nth = static_cast<int>(random() % 60) + 1, .lasting = true});
    std::string doubtful;
    for (int i = 0; i < 40 && doubtful.empty(); ++i) {
      const std::string key = fmt::format("p{}", random() % 9), text(random() % 3000, 'a' + round % 26);
      if (auto result = commit1(*store, put(store.pods(), key, text)); result.ok()) {
        answered[key] = text;
        highest = (*result)->revision;
      } else {
        doubtful = key;
      }
    }
    store.power_cut();
    CHECK(store->revision() >= highest);
    auto found = store.contents();
    auto expected = answered;
    if (!doubtful.empty()) {
      answered[doubtful] = found[doubtful];
      if (answered[doubtful].empty()) answered.erase(doubtful);
      found.erase(doubtful);
      expected.erase(doubtful);
    }
    REQUIRE(found == expected);
    store.open(store.vfs.name());
  }
}

TEST_CASE("a store that is idle writes nothing") {
  FaultyStore store;
  Store::Options options;
  for (int i = 0; i < 10; ++i) must(*store, put(store.pods(), "a", "x"));
  must(*store, put(store->resource("leases"), "n", "x"), Durability::kLazy);
  REQUIRE(store->flush().ok());
  const size_t before = store.vfs.operations();
  REQUIRE(store->flush().ok());
  (void)store->get(store.pods(), "a");
  (void)list(*store, store.pods());
  for (int i = 0; i < 1000; ++i) must(*store, put(store->resource("leases"), "n", "x"), Durability::kLazy);
  CHECK(store.vfs.operations() == before);

  // Nor does one that is only opened and closed.
  store.open(store.vfs.name());
  const size_t opened = store.vfs.operations();
  store.open(store.vfs.name());
  CHECK(store.vfs.operations() == opened);
}
