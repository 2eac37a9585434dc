#include "image/unpack.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <catch2/catch.hpp>

#include "unit/image/tar_builder.h"

using namespace knarr;
using namespace knarr::image;
using namespace knarr::image::testing;
namespace fs = std::filesystem;

namespace {

Status unpack(const std::string& tar, const std::string& directory, const UnpackOptions& options = {}) {
  MemorySource source(tar);
  return unpack_tar(source, directory, options).status();
}

struct stat stat_of(const std::string& path) {
  struct stat info {};
  INFO(path);
  REQUIRE(lstat(path.c_str(), &info) == 0);
  return info;
}

}  // namespace

TEST_CASE("a layer keeps contents, owners, modes, times and links", "[root]") {
  TempDir dir;
  const std::string tar =
      make_tar({{.name = "./", .type = '5', .mode = 0755},
                {.name = "bin/", .type = '5', .mode = 0711},
                {.name = "bin/app", .content = std::string(100'000, 'x'), .mode = 04755, .uid = 1, .gid = 2},
                {.name = "bin/hard", .type = '1', .link = "bin/app"},
                {.name = "bin/soft", .type = '2', .link = "/bin/app", .mode = 0777, .uid = 7},
                {.name = "deep/er/file", .content = "implicit parents"},
                {.name = "pipe", .type = '6', .mode = 0600},
                {.name = "empty"},
                {.name = "x", .content = "long", .pax = {{"path", "dir/" + std::string(200, 'n')}}},
                {.name = "y",
                 .content = "umlaut",
                 .pax = {{"path",
                          "gr\xc3\xbc\xc3\x9f"
                          "e"}}},
                {.name = "cap",
                 .content = "c",
                 .pax = {{"SCHILY.xattr.user.note", "hello"}, {"SCHILY.xattr.trusted.overlay.redirect", "/etc"}}}});
  Status status = unpack(tar, dir.path);
  INFO(status.to_string());
  REQUIRE(status.ok());
  const auto app = stat_of(dir.path + "/bin/app");
  CHECK(app.st_size == 100'000);
  CHECK((app.st_mode & 07777) == 04755);
  CHECK(app.st_uid == 1);
  CHECK(app.st_gid == 2);
  CHECK(app.st_mtim.tv_sec == 1'600'000'000);
  CHECK(app.st_nlink == 2);
  CHECK(stat_of(dir.path + "/bin/hard").st_ino == app.st_ino);
  CHECK(fs::read_symlink(dir.path + "/bin/soft") == "/bin/app");
  CHECK(stat_of(dir.path + "/bin/soft").st_uid == 7);
  CHECK((stat_of(dir.path + "/bin").st_mode & 07777) == 0711);
  CHECK(stat_of(dir.path + "/bin").st_mtim.tv_sec == 1'600'000'000);
  CHECK(slurp(dir.path + "/deep/er/file") == "implicit parents");
  CHECK(S_ISFIFO(stat_of(dir.path + "/pipe").st_mode));
  CHECK(slurp(dir.path + "/dir/" + std::string(200, 'n')) == "long");
  CHECK(slurp(dir.path + "/gr\xc3\xbc\xc3\x9f"
                         "e") == "umlaut");
  char value[64];
  const ssize_t n = getxattr((dir.path + "/cap").c_str(), "trusted.overlay.redirect", value, sizeof value);
  CHECK(n < 0);
}

TEST_CASE("whiteouts become overlayfs' marks", "[root]") {
  TempDir dir;
  Status status = unpack(make_tar({{.name = "etc/.wh.gone"},
                                   {.name = "var/", .type = '5', .mode = 0755},
                                   {.name = "var/.wh..wh..opq"},
                                   {.name = "var/new", .content = "n"},
                                   {.name = ".wh..wh.plnk/1", .content = "aufs"},
                                   {.name = "both", .content = "b"},
                                   {.name = ".wh.both"}}),
                         dir.path);
  INFO(status.to_string());
  REQUIRE(status.ok());
  const auto gone = stat_of(dir.path + "/etc/gone");
  CHECK(S_ISCHR(gone.st_mode));
  CHECK(gone.st_rdev == makedev(0, 0));
  char value = 0;
  CHECK(getxattr((dir.path + "/var").c_str(), "trusted.overlay.opaque", &value, 1) == 1);
  CHECK(value == 'y');
  CHECK(slurp(dir.path + "/both") == "b");
  CHECK(unpack(make_tar({{.name = "a/.wh."}}), dir.path).is(reason::kBadRequest));
}

TEST_CASE("hostile archives write nothing outside") {
  TempDir dir;
  const std::string root = dir.path + "/root";
  const std::string victim = dir.path + "/victim";
  fs::create_directory(root);
  spill(victim, "untouched");
  struct Case {
    std::string what;
    std::vector<TarEntry> entries;
    bool refused;
  };
  const std::vector<Case> cases{
      {"dot dot", {{.name = "../victim", .content = "evil"}}, true},
      {"dot dot inside", {{.name = "a/../../victim", .content = "evil"}}, true},
      {"absolute", {{.name = victim, .content = "evil"}}, false},  // lands inside, under the same path
      {"through a symlink up",
       {{.name = "up", .type = '2', .link = ".."}, {.name = "up/victim", .content = "evil"}},
       false},
      {"through an absolute symlink",
       {{.name = "abs", .type = '2', .link = dir.path}, {.name = "abs/victim", .content = "evil"}},
       true},
      {"over a symlink", {{.name = "s", .type = '2', .link = "../victim"}, {.name = "s", .content = "evil"}}, false},
      {"hard link outside", {{.name = "h", .type = '1', .link = "../victim"}}, true},
      {"hard link absolute", {{.name = "h2", .type = '1', .link = victim + "-none"}}, true},
      {"hard link through a symlink",
       {{.name = "l", .type = '2', .link = ".."}, {.name = "h3", .type = '1', .link = "l/victim-none"}},
       true},
      {"hard link to a directory",
       {{.name = "d/", .type = '5', .mode = 0755}, {.name = "h4", .type = '1', .link = "d"}},
       true},
      {"directory over a symlink",
       {{.name = "t", .type = '2', .link = ".."},
        {.name = "t/", .type = '5', .mode = 0700},
        {.name = "t/victim", .content = "evil"}},
       false},
      {"a whiteout of the parent", {{.name = "w/.wh..", .content = ""}}, true},
  };
  for (const auto& test : cases) {
    INFO(test.what);
    fs::remove_all(root);
    fs::create_directory(root);
    Status status = unpack(make_tar(test.entries), root);
    INFO(status.to_string());
    CHECK(status.ok() != test.refused);
    CHECK(slurp(victim) == "untouched");
    CHECK(!fs::exists(victim + "-none"));
  }
}

TEST_CASE("sizes and numbers have limits, and lies are found out") {
  TempDir dir;
  Status huge = unpack(make_tar({{.name = "huge", .content = "tiny", .claimed_size = int64_t{1} << 60}}), dir.path);
  CHECK(huge.is(reason::kBadRequest));
  CHECK(huge.message().find("entry huge: it claims 1152921504606846976 bytes") == 0);
  CHECK(!unpack(make_tar({{.name = "cut", .content = "short", .claimed_size = 5000}}, false), dir.path).ok());
  UnpackOptions small{.limits = {.bytes = 10, .entries = 3}};
  CHECK(unpack(make_tar({{.name = "a", .content = "12345"}, {.name = "b", .content = "67890"}}), dir.path, small).ok());
  CHECK(unpack(make_tar({{.name = "a", .content = "12345"}, {.name = "b", .content = "678901"}}), dir.path, small)
            .is(reason::kBadRequest));
  CHECK(unpack(make_tar({{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}}), dir.path, small)
            .is(reason::kBadRequest));
  CHECK(
      !unpack("this is no tar archive at all, but it is long enough to be looked at" + std::string(2000, 'z'), dir.path)
           .ok());
  CHECK(unpack(make_tar({{.name = std::string(90, 'a') + "/" + std::string(9, 'b')},
                         {.name = "y", .pax = {{"path", std::string(300, 'n')}}}}),
               dir.path)
            .is(reason::kBadRequest));
}

TEST_CASE("an empty layer is a layer") {
  TempDir dir;
  CHECK(unpack(make_tar({}), dir.path).ok());
  CHECK(unpack(make_tar({}) + std::string(8192, '\0'), dir.path).ok());
  CHECK(unpack("", dir.path).ok());
  CHECK(fs::is_empty(dir.path));
}

TEST_CASE("later entries replace earlier ones of any kind") {
  TempDir dir;
  REQUIRE(unpack(make_tar({{.name = "x", .content = "file"},
                           {.name = "x/", .type = '5', .mode = 0755},
                           {.name = "x/in", .content = "i"},
                           {.name = "x", .type = '2', .link = "nowhere"},
                           {.name = "y/in", .content = "1"},
                           {.name = "y/in", .content = "2"},
                           {.name = "y", .content = "file again"}}),
                 dir.path)
              .ok());
  CHECK(fs::read_symlink(dir.path + "/x") == "nowhere");
  CHECK(slurp(dir.path + "/y") == "file again");
}

TEST_CASE("streams are decompressed by what they are") {
  const std::string text(300'000, 'q');
  auto unpacked = [](const std::string& stored) -> Result<std::string> {
    MemorySource source(stored);
    KNARR_ASSIGN(auto plain, decompress(source));
    std::string out;
    char buffer[1000];
    for (;;) {
      KNARR_ASSIGN(const size_t n, plain->read(buffer, sizeof buffer));
      if (n == 0) return out;
      out.append(buffer, n);
    }
  };
  CHECK(*unpacked("") == "");
  CHECK(*unpacked("ab") == "ab");
  CHECK(*unpacked(text) == text);
  CHECK(*unpacked(gzip(text)) == text);
  CHECK(*unpacked(gzip("a") + gzip("b")) == "ab");
  CHECK(*unpacked(zstd(text)) == text);
  CHECK(*unpacked(zstd("a") + zstd("b")) == "ab");
  CHECK(unpacked(gzip(text).substr(0, 100)).status().message() == "the gzip stream is cut off");
  CHECK(unpacked(zstd(text).substr(0, 20)).status().is(reason::kBadRequest));
  CHECK(unpacked("\x1f\x8bgarbage and more garbage").status().is(reason::kBadRequest));
  CHECK(unpacked("\x28\xb5\x2f\xfdgarbage and more garbage").status().is(reason::kBadRequest));
}
