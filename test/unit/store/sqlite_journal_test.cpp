// What only the SQLite journal has: a file that may be damaged, foreign, newer or in use, a log and free space that are
// bounded.
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>

#include "unit/store/backend.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;

namespace {

Result<std::unique_ptr<Store>> open_store(SqliteOptions options) {
  KNARR_ASSIGN(auto journal, open_sqlite_journal(options));
  return Store::open(std::move(journal), Backend::default_options());
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void spill(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void sql(const std::string& path, const char* text) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, text, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

void fill(const std::string& path, int objects, size_t size = 1000) {
  auto store = open_store({.path = path});
  INFO(store.status().to_string());
  REQUIRE(store.ok());
  const ResourceId pods = (*store)->resource("pods");
  std::vector<Write> writes;
  for (int i = 0; i < objects; ++i) writes.push_back(create(pods, fmt::format("p{}", i), std::string(size, 'v')));
  REQUIRE((*store)->commit(writes).ok());
}

// Opening is refused with all these words, and no byte of the file changes.
void refused(const std::string& path, std::initializer_list<const char*> words) {
  const std::string before = slurp(path);
  const auto store = open_store({.path = path});
  REQUIRE_FALSE(store.ok());
  INFO(store.status().message());
  for (const char* word : words) CHECK(store.status().message().find(word) != std::string::npos);
  CHECK(store.status().message().find(path) != std::string::npos);
  CHECK(slurp(path) == before);
}

}  // namespace

TEST_CASE("a new data file is for its owner only, and after a stop it is one file") {
  TempDir dir;
  fill(dir.file(), 3);
  struct stat st;
  REQUIRE(stat(dir.file().c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir.file(""))) ++files;
  CHECK(files == 1);
}

TEST_CASE("a damaged file is reported with what to do, and left alone") {
  TempDir dir;
  const std::string path = dir.file();
  fill(path, 200);
  std::string bytes = slurp(path);
  REQUIRE(bytes.size() > 100'000);
  SECTION("not a database") {
    spill(path,
          "this was something else once, and it is longer than the header of a database, that is: than 100 bytes ....");
    refused(path, {"damaged", "does not begin", "Restore", ".recover"});
  }
  SECTION("empty") {
    spill(path, "");
    refused(path, {"damaged", "empty"});
  }
  SECTION("a stub") {
    spill(path, bytes.substr(0, 50));
    refused(path, {"damaged", "50 bytes"});
  }
  SECTION("cut short") {
    spill(path, bytes.substr(0, bytes.size() / 2));
    refused(path, {"damaged", "Restore"});
  }
  SECTION("a page of zeros") {
    for (const size_t page : {size_t{2}, bytes.size() / 8192}) {
      std::string bad = bytes;
      bad.replace(page * 4096, 4096, 4096, '\0');
      spill(path, bad);
      refused(path, {"damaged", "Restore"});
    }
  }
  SECTION("one bit of a value") {
    const size_t at = bytes.find("vvvvvvvvvv", 50'000);
    REQUIRE(at != bytes.npos);
    bytes[at + 3] ^= 4;
    spill(path, bytes);
    refused(path, {"damaged", "checksum", "pods"});
  }
  SECTION("a row that was changed by hand") {
    sql(path, "UPDATE obj SET rev = 100000 WHERE id = 3");
    refused(path, {"damaged", "checksum"});
  }
  SECTION("a table is gone") {
    sql(path, "DELETE FROM meta");
    refused(path, {"damaged", "meta"});
  }
}

TEST_CASE("files of others and of newer versions are refused") {
  TempDir dir;
  const std::string path = dir.file();
  SECTION("another program's") {
    sql(path, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    refused(path, {"not one of knarr", "another data directory"});
  }
  SECTION("a newer schema") {
    fill(path, 1);
    sql(path, "PRAGMA user_version = 2");
    refused(path, {"newer knarr", "schema 2", "knows 1"});
  }
  SECTION("a log without its file") {
    spill(path + "-wal", "something");
    const auto store = open_store({.path = path});
    REQUIRE_FALSE(store.ok());
    CHECK(store.status().message().find("is missing, but its log") != std::string::npos);
    CHECK(slurp(path + "-wal") == "something");
    CHECK_FALSE(std::filesystem::exists(path));
  }
  SECTION("a directory that is not there") {
    const auto store = open_store({.path = dir.file("none/state.db")});
    CHECK(store.status().code() == 404);
  }
}

TEST_CASE("only one knarr has the file open") {
  TempDir dir;
  const std::string path = dir.file();
  auto first = open_store({.path = path});
  REQUIRE(first.ok());
  SECTION("in the same process") {
    const auto second = open_store({.path = path});
    REQUIRE_FALSE(second.ok());
    CHECK(second.status().message().find("in use by another knarr") != std::string::npos);
  }
  SECTION("in another process, which is told who has it") {
    const std::string expected = fmt::format("in use by another knarr (process {})", getpid());
    const pid_t child = fork();
    if (child == 0) {
      const auto second = open_sqlite_journal({.path = path});
      _exit(!second.ok() && second.status().message().find(expected) != std::string::npos ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(commit1(**first, create((*first)->resource("pods"), "a", "x")).ok());
  first->reset();
  CHECK(open_store({.path = path}).ok());
}

TEST_CASE("the log stays bounded, and the file does not grow with writes") {
  TempDir dir;
  const std::string path = dir.file();
  auto store = open_store({.path = path, .checkpoint_pages = 100});
  REQUIRE(store.ok());
  const ResourceId pods = (*store)->resource("pods");
  uintmax_t largest_log = 0;
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(commit1(**store, put(pods, fmt::format("p{}", i % 50), std::string(2000, 'x'))).ok());
    largest_log = std::max(largest_log, std::filesystem::file_size(path + "-wal"));
  }
  CHECK(largest_log < 210 * 4200);  // twice what makes a checkpoint due
  store->reset();
  CHECK(std::filesystem::file_size(path) < 400'000);
}

TEST_CASE("free space is given back, without being asked") {
  TempDir dir;
  const std::string path = dir.file();
  SqliteOptions options{.path = path, .deletions_bytes = 4096, .checkpoint_pages = 100};
  auto store = open_store(options);
  REQUIRE(store.ok());
  const ResourceId pods = (*store)->resource("pods");
  std::vector<Write> writes;
  for (int i = 0; i < 6000; ++i) writes.push_back(create(pods, fmt::format("p{}", i), std::string(3000, 'x')));
  REQUIRE((*store)->commit(writes).ok());
  store->reset();
  const auto full = std::filesystem::file_size(path);
  store = open_store(options);
  REQUIRE(store.ok());
  for (int part = 0; part < 6; ++part) {
    writes.clear();
    for (int i = part * 1000; i < part * 1000 + 990; ++i) writes.push_back(remove(pods, fmt::format("p{}", i)));
    REQUIRE((*store)->commit(writes).ok());
  }
  // Steps go on between commits, as soon as the background thread gets a processor.
  for (int i = 0; i < 20'000 && std::filesystem::file_size(path) >= full / 3; ++i) REQUIRE(commit1(**store, put(pods, "p999", "x")).ok());
  store->reset();
  CHECK(std::filesystem::file_size(path) < full / 3);
  store = open_store(options);
  REQUIRE(store.ok());
  CHECK((*store)->count(pods) == 60);
}

TEST_CASE("a file that was copied after a clean stop is whole") {
  TempDir dir;
  fill(dir.file(), 20);
  std::filesystem::copy_file(dir.file(), dir.file("copy.db"));
  auto store = open_store({.path = dir.file("copy.db")});
  REQUIRE(store.ok());
  CHECK((*store)->count((*store)->resource("pods")) == 20);
  CHECK((*store)->revision() == 21);
}
