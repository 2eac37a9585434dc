#include "knarr/volume/volume.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::volume;
namespace fs = std::filesystem;

namespace {

struct TempDir : test::TempDirectory {
  ~TempDir() { (void)PodVolumes(path).remove_all(); }
};

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct stat stat_of(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info;
}

int mode_of(const std::string& path) { return static_cast<int>(stat_of(path).st_mode & 07777); }

std::string version_of(const std::string& volume) { return fs::read_symlink(volume + "/..data").string(); }

std::set<std::string> names_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.insert(entry.path().filename().string());
  return names;
}

Content content_of(std::vector<File> files) {
  Content content;
  content.files = std::move(files);
  return content;
}

}  // namespace

TEST_CASE("emptyDir is a directory that every user may write in and that keeps its files") {
  TempDir pod;
  PodVolumes volumes(pod.path);
  auto path = volumes.empty_dir("cache", false, 0, {});
  REQUIRE(path.ok());
  CHECK(*path == pod.path + "/volumes/kubernetes.io~empty-dir/cache");
  CHECK(mode_of(*path) == 0777);
  std::ofstream(*path + "/kept") << "x";
  REQUIRE(volumes.empty_dir("cache", false, 0, {}).ok());
  CHECK(slurp(*path + "/kept") == "x");
  CHECK(volumes.empty_dir("../x", false, 0, {}).status().is(reason::kBadRequest));
  CHECK(volumes.empty_dir("..", false, 0, {}).status().is(reason::kBadRequest));
}

TEST_CASE("emptyDir with fsGroup belongs to the group", "[root]") {
  TempDir pod;
  auto path = PodVolumes(pod.path).empty_dir("cache", false, 0, 4711);
  REQUIRE(path.ok());
  CHECK(mode_of(*path) == 02777);
  CHECK(stat_of(*path).st_gid == 4711);
}

TEST_CASE("emptyDir in memory is a tmpfs of the size asked for, mounted once", "[root]") {
  TempDir pod;
  PodVolumes volumes(pod.path);
  auto path = volumes.empty_dir("ram", true, 1 << 20, {});
  REQUIRE(path.ok());
  REQUIRE(volumes.empty_dir("ram", true, 1 << 20, {}).ok());
  struct statfs info;
  REQUIRE(statfs(path->c_str(), &info) == 0);
  CHECK(info.f_type == 0x01021994);
  CHECK(info.f_blocks * static_cast<uint64_t>(info.f_bsize) == 1 << 20);
  REQUIRE(volumes.remove_all().ok());
  CHECK(!fs::exists(pod.path + "/volumes"));
}

TEST_CASE("content is laid out as kubelet's atomic writer does") {
  TempDir pod;
  PodVolumes volumes(pod.path);
  auto first = content_of({{"a", "1", {}}, {"dir/b", "2", 0400}, {"dir//./c", "3", {}}});
  auto path = volumes.content("configmap", "conf", first, false);
  REQUIRE(path.ok());
  CHECK(*path == pod.path + "/volumes/kubernetes.io~configmap/conf");
  CHECK(fs::read_symlink(*path + "/a").string() == "..data/a");
  CHECK(fs::read_symlink(*path + "/dir").string() == "..data/dir");
  CHECK(slurp(*path + "/a") == "1");
  CHECK(slurp(*path + "/dir/b") == "2");
  CHECK(slurp(*path + "/dir/c") == "3");
  CHECK(mode_of(*path + "/a") == 0644);
  CHECK(mode_of(*path + "/dir/b") == 0400);
  CHECK(mode_of(*path + "/..data/.") == 0755);
  const std::string version = version_of(*path);
  CHECK(version.substr(0, 4) == "..20");

  SECTION("the same content is left alone") {
    REQUIRE(volumes.content("configmap", "conf", first, false).ok());
    CHECK(version_of(*path) == version);
  }
  SECTION("a change swaps the version and removes what is stale") {
    auto second = content_of({{"a", "changed", {}}, {"new", "n", {}}});
    REQUIRE(volumes.content("configmap", "conf", second, false).ok());
    CHECK(version_of(*path) != version);
    CHECK(slurp(*path + "/a") == "changed");
    CHECK(names_in(*path) == std::set<std::string>{"..data", version_of(*path), "a", "new"});
  }
  SECTION("a changed mode counts, and so does a file that is gone") {
    auto second = content_of({{"a", "1", 0600}, {"dir/b", "2", 0400}, {"dir/c", "3", {}}});
    REQUIRE(volumes.content("configmap", "conf", second, false).ok());
    CHECK(mode_of(*path + "/a") == 0600);
    const std::string changed = version_of(*path);
    second.files.pop_back();
    REQUIRE(volumes.content("configmap", "conf", second, false).ok());
    CHECK(version_of(*path) != changed);
    CHECK(!fs::exists(*path + "/dir/c"));
  }
  SECTION("what a crash left is completed") {
    fs::remove(*path + "/a");
    fs::create_symlink("nowhere", *path + "/..data_tmp");
    fs::create_directory(*path + "/..2020_01_01_00_00_00.abcdef");
    REQUIRE(volumes.content("configmap", "conf", first, false).ok());
    CHECK(names_in(*path) == std::set<std::string>{"..data", version, "a", "dir"});
  }
  SECTION("no content at all is a volume, too") {
    REQUIRE(volumes.content("configmap", "conf", Content{}, false).ok());
    CHECK(names_in(*path) == std::set<std::string>{"..data", version_of(*path)});
  }
}

TEST_CASE("content refuses paths that leave the volume") {
  TempDir pod;
  const std::vector<std::string> hostile = {"", "/abs", "../x", "a/../../x", "..hidden", ".", std::string(300, 'x')};
  for (const std::string& path : hostile) {
    INFO(path);
    auto result = PodVolumes(pod.path).content("configmap", "conf", content_of({{path, "", {}}}), false);
    CHECK(result.status().is(reason::kBadRequest));
  }
}

TEST_CASE("content with fsGroup and owner", "[root]") {
  TempDir pod;
  auto content = content_of({{"token", "secret", 0600}, {"d/x", "", 0}});
  content.fs_group = 4711;
  content.owner = 99;
  auto path = PodVolumes(pod.path).content("projected", "token", content, true);
  REQUIRE(path.ok());
  CHECK(mode_of(*path + "/token") == 0640);
  CHECK(stat_of(*path + "/token").st_gid == 4711);
  CHECK(stat_of(*path + "/token").st_uid == 99);
  CHECK(mode_of(*path + "/d/x") == 0440);
  CHECK(mode_of(*path + "/d") == 02755);
  const std::string version = version_of(*path);
  REQUIRE(PodVolumes(pod.path).content("projected", "token", content, true).ok());
  CHECK(version_of(*path) == version);
}

TEST_CASE("host paths are checked as their type says") {
  TempDir dir;
  std::ofstream(dir.path + "/file") << "x";
  struct Case {
    std::string path, type, error;
  };
  const Case cases[] = {
      {dir.path, "", ""},
      {dir.path + "/missing", "", ""},
      {dir.path, "Directory", ""},
      {"/dev/null", "CharDevice", ""},
      {dir.path + "/file", "File", ""},
      {dir.path + "/file", "FileOrCreate", ""},
      {dir.path + "/made/deep", "DirectoryOrCreate", ""},
      {dir.path + "/created", "FileOrCreate", ""},
      {dir.path + "/file", "Directory", "hostPath type check failed: " + dir.path + "/file is not a directory"},
      {dir.path, "File", "hostPath type check failed: " + dir.path + " is not a file"},
      {dir.path + "/no", "File", "hostPath type check failed: " + dir.path + "/no is not a file: it does not exist"},
      {dir.path + "/file", "Socket", "hostPath type check failed: " + dir.path + "/file is not a socket file"},
      {dir.path + "/file", "BlockDevice", "hostPath type check failed: " + dir.path + "/file is not a block device"},
      {"relative", "", "hostPath \"relative\" must be absolute"},
      {"/a/../b", "", "hostPath /a/../b must not contain '..'"},
      {"/a", "Folder", "hostPath /a: \"Folder\" is no hostPath type"},
  };
  for (const auto& test : cases) {
    INFO(test.path << " " << test.type);
    auto result = PodVolumes::host_path(test.path, test.type);
    CHECK(result.status().message() == test.error);
  }
  CHECK(fs::is_directory(dir.path + "/made/deep"));
  CHECK(fs::is_regular_file(dir.path + "/created"));
}

TEST_CASE("subPath stays inside its volume, whatever links a container made there") {
  TempDir dir;
  const std::string volume = dir.path + "/volume";
  fs::create_directories(volume + "/real/inner");
  fs::create_directories(dir.path + "/secret");
  fs::create_symlink("../secret", volume + "/up");
  fs::create_symlink(dir.path + "/secret", volume + "/absolute");
  fs::create_symlink("real", volume + "/link");
  std::ofstream(volume + "/file") << "x";

  CHECK(*PodVolumes::sub_path(volume, "") == volume);
  CHECK(*PodVolumes::sub_path(volume, "real/inner") == volume + "/real/inner");
  CHECK(*PodVolumes::sub_path(volume, "link/inner") == volume + "/real/inner");
  CHECK(*PodVolumes::sub_path(volume, "file") == volume + "/file");
  CHECK(*PodVolumes::sub_path(volume, "made/deep/er") == volume + "/made/deep/er");
  CHECK(fs::is_directory(volume + "/made/deep/er"));
  CHECK(PodVolumes::sub_path(volume, "../secret").status().is(reason::kBadRequest));
  CHECK(PodVolumes::sub_path(volume, "/etc").status().is(reason::kBadRequest));
  // Links are resolved with the volume as "/": they end in it or nowhere.
  for (const char* hostile : {"up", "absolute"}) {
    auto result = PodVolumes::sub_path(volume, hostile);
    INFO(hostile << " " << result.status().to_string());
    CHECK((!result.ok() || result->starts_with(volume + "/")));
  }
  CHECK(names_in(dir.path + "/secret").empty());
}

TEST_CASE("remove_all deletes links, not what they point to, and copes with deep trees") {
  TempDir pod;
  const std::string outside = pod.path + "/outside";
  fs::create_directory(outside);
  std::ofstream(outside + "/precious") << "x";
  PodVolumes volumes(pod.path);
  auto path = volumes.empty_dir("data", false, 0, {});
  REQUIRE(path.ok());
  fs::create_directory_symlink(outside, *path + "/link");
  fs::create_directory(*path + "/.deleting-1");
  linux::UniqueFd at(open(path->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 3000; ++depth) {
    REQUIRE(mkdirat(at.get(), "d", 0755) == 0);
    at = linux::UniqueFd(openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  Status status = volumes.remove_all();
  INFO(status.to_string());
  CHECK(status.ok());
  CHECK(!fs::exists(pod.path + "/volumes"));
  CHECK(slurp(outside + "/precious") == "x");
  CHECK(volumes.remove_all().ok());
}

TEST_CASE("remove_all unmounts what was mounted in a volume and spares what is behind it", "[root]") {
  TempDir pod;
  const std::string outside = pod.path + "/outside";
  fs::create_directory(outside);
  std::ofstream(outside + "/precious") << "x";
  PodVolumes volumes(pod.path);
  auto path = volumes.empty_dir("data dir", false, 0, {});
  REQUIRE(path.ok());
  fs::create_directory(*path + "/bind");
  REQUIRE(mount(outside.c_str(), (*path + "/bind").c_str(), nullptr, MS_BIND, nullptr) == 0);
  REQUIRE(volumes.remove_all().ok());
  CHECK(slurp(outside + "/precious") == "x");
}
