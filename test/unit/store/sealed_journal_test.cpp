#include "knarr/store/sealer.h"

#include <sqlite3.h>

#include "backend.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;

namespace {

// Not a cipher: a rotation by `shift`, which is enough to see what went where.
class Rotating : public Sealer {
 public:
  char shift = 1;
  bool broken = false;

  bool wants(std::string_view resource) const override { return resource == "secrets"; }
  Result<std::string> seal(std::string_view context, std::string_view value) override {
    if (broken) return internal_error("no key");
    return "#" + std::string(1, shift) + rotated(context, shift) + "|" + rotated(value, shift);
  }
  bool is_sealed(std::string_view bytes) const override { return bytes.starts_with('#'); }
  Result<std::string> open(std::string_view context, std::string_view bytes) override {
    const auto plain = rotated(bytes.substr(2), static_cast<char>(-bytes[1]));
    const std::string head = std::string(context) + rotated("|", static_cast<char>(-bytes[1]));
    if (!plain.starts_with(head)) return internal_error("sealed in another context");
    return plain.substr(head.size());
  }

 private:
  static std::string rotated(std::string_view text, char by) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(c + by);
    return out;
  }
};

std::unique_ptr<Store> open_sealed(const TempDir& dir, std::shared_ptr<Rotating> sealer) {
  auto journal = make_sealed_journal(open_sqlite_journal({.path = dir.file()}).value(), std::move(sealer));
  return Store::open(std::move(journal), {}).value();
}

std::vector<std::string> values_on_disk(const TempDir& dir) {
  sqlite3* db = nullptr;
  sqlite3_stmt* rows = nullptr;
  std::vector<std::string> out;
  REQUIRE(sqlite3_open_v2(dir.file().c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_prepare_v2(db, "SELECT v FROM obj ORDER BY k", -1, &rows, nullptr) == SQLITE_OK);
  while (sqlite3_step(rows) == SQLITE_ROW) {
    out.emplace_back(static_cast<const char*>(sqlite3_column_blob(rows, 0)), static_cast<size_t>(sqlite3_column_bytes(rows, 0)));
  }
  sqlite3_finalize(rows);
  sqlite3_close(db);
  return out;
}

void put_value(Store& store, std::string_view resource, const std::string& key, const std::string& value) {
  Write write{.resource = store.resource(resource), .key = key, .value = value, .rev_pos = static_cast<uint32_t>(value.size()), .extract = {}};
  REQUIRE(store.commit({&write, 1}).ok());
}

}  // namespace

TEST_CASE("only wanted resources are sealed on disk, and come back as they were") {
  TempDir dir;
  auto sealer = std::make_shared<Rotating>();
  Revision revision;
  {
    auto store = open_sealed(dir, sealer);
    put_value(*store, "configmaps", "a/plain", "plain");
    put_value(*store, "secrets", "a/hidden", "hidden");
    revision = store->get(store->resource("secrets"), "a/hidden")->revision;
  }
  const auto disk = values_on_disk(dir);
  REQUIRE(disk.size() == 2);
  CHECK(disk[0].starts_with("plain"));
  CHECK(disk[1].starts_with("#"));
  CHECK(disk[1].find("hidden") == std::string::npos);
  auto store = open_sealed(dir, sealer);
  const auto object = store->get(store->resource("secrets"), "a/hidden");
  REQUIRE(object);
  CHECK(object->value == fmt::format("hidden{}", revision));
  CHECK(object->revision == revision);
}

TEST_CASE("a rewrite seals again what is there, plain or with an older key, and no watcher sees it") {
  TempDir dir;
  auto sealer = std::make_shared<Rotating>();
  {
    auto store = Store::open(open_sqlite_journal({.path = dir.file()}).value(), {}).value();
    put_value(*store, "secrets", "a/old", "from before");
  }
  {
    auto store = open_sealed(dir, sealer);
    const ResourceId secrets = store->resource("secrets");
    auto watch = store->watch(secrets, store->revision()).value();
    const Revision before = store->revision();
    sealer->shift = 2;
    REQUIRE(store->rewrite(secrets).ok());
    CHECK(store->revision() == before);
    std::vector<EventPtr> events;
    REQUIRE(watch->next(10, events).ok());
    CHECK(events.empty());
    sealer->broken = true;
    CHECK_FALSE(store->rewrite(secrets).ok());
    sealer->broken = false;
    CHECK(store->rewrite(store->resource("none")).ok());
  }
  const auto disk = values_on_disk(dir);
  REQUIRE(disk.size() == 1);
  CHECK(disk[0].starts_with("#\2"));
  auto store = open_sealed(dir, sealer);
  CHECK(store->get(store->resource("secrets"), "a/old")->value.starts_with("from before"));
}

TEST_CASE("what cannot be sealed is not written, what cannot be opened is not left out") {
  TempDir dir;
  auto sealer = std::make_shared<Rotating>();
  {
    auto store = open_sealed(dir, sealer);
    put_value(*store, "secrets", "a/b", "one");
    sealer->broken = true;
    Write write{.resource = store->resource("secrets"), .key = "a/c", .value = "two", .rev_pos = 3, .extract = {}};
    CHECK_FALSE(store->commit({&write, 1}).ok());
    CHECK_FALSE(store->get(store->resource("secrets"), "a/c"));
    sealer->broken = false;
  }
  class Refusing : public Rotating {
    Result<std::string> open(std::string_view, std::string_view) override { return internal_error("no such key"); }
  };
  auto journal = make_sealed_journal(open_sqlite_journal({.path = dir.file()}).value(), std::make_shared<Refusing>());
  const auto failed = Store::open(std::move(journal), {});
  REQUIRE_FALSE(failed.ok());
  CHECK_THAT(failed.status().message(), Catch::Contains("secrets \"a/b\"") && Catch::Contains("no such key"));
}
