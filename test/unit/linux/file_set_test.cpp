#include "knarr/linux/file_set.h"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string_view>

#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using linux::FileChange;

namespace {

struct Directory : test::TempDirectory {
  std::string read(const std::string& name) const { return linux::read_file(path + "/" + name).value_or("(none)"); }
  void write(const std::string& name, std::string_view text) const {
    REQUIRE(linux::replace_file(path + "/" + name, text).ok());
  }
  size_t size() const { return linux::list_directory(path)->size(); }
};

}  // namespace

TEST_CASE("files are replaced, made and removed as one") {
  Directory dir;
  dir.write("old", "goes");
  dir.write("both", "before");
  const FileChange changes[] = {{"key", "secret\nwith lines\n", 0600}, {"both", "after"}, {"old", std::nullopt}, {"empty", ""}};
  REQUIRE(linux::replace_files(dir.path, changes).ok());
  CHECK(dir.read("key") == "secret\nwith lines\n");
  CHECK(dir.read("both") == "after");
  CHECK(dir.read("old") == "(none)");
  CHECK(dir.read("empty").empty());
  CHECK(dir.size() == 3);
  struct stat info {};
  REQUIRE(stat((dir.path + "/key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(linux::finish_replacing(dir.path).ok());
  CHECK(dir.size() == 3);
}

TEST_CASE("what a power cut left undone is done at the next start") {
  Directory dir;
  dir.write("b", "old");
  dir.write("c", "goes");
  dir.write(".changes", "a 600 4\nnew\nb 644 5\nnew\n2c 644 -\n");
  REQUIRE(linux::finish_replacing(dir.path).ok());
  CHECK(dir.read("a") == "new\n");
  CHECK(dir.read("b") == "new\n2");
  CHECK(dir.read("c") == "(none)");
  CHECK(dir.size() == 2);
}

TEST_CASE("notes that nobody wrote are not carried out") {
  for (const std::string_view text : {"a 600 40\nshort", "a 600", "../a 644 1\nx", "a 9 1\nx", "\n", "a 644 x\n"}) {
    CAPTURE(text);
    Directory dir;
    dir.write(".changes", text);
    CHECK_FALSE(linux::finish_replacing(dir.path).ok());
    CHECK(dir.size() == 1);
  }
}
