#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "knarr/image/image.h"
#include "unit/image/tar_builder.h"

using namespace knarr;
using namespace knarr::image;
using namespace knarr::image::testing;
namespace fs = std::filesystem;

namespace {

const std::string kBase = make_tar({{.name = "bin/", .type = '5', .mode = 0755},
                                    {.name = "bin/app", .content = "base", .mode = 0755},
                                    {.name = "etc/gone", .content = "x"}});
const std::string kTop = make_tar({{.name = "bin/app", .content = "top", .mode = 0755}, {.name = "etc/.wh.gone"}});

std::unique_ptr<ImageStore> open_store(const TempDir& dir) {
  auto store = ImageStore::open({.directory = dir.path + "/images", .insecure_registries = {}});
  INFO(store.status().to_string());
  REQUIRE(store.ok());
  return std::move(store).value();
}

std::string write_file(const TempDir& dir, const std::string& name, const std::string& content) {
  spill(dir.path + "/" + name, content);
  return dir.path + "/" + name;
}

size_t count_in(const std::string& directory) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(directory), {}));
}

std::string named(const std::string& name) { return annotation("io.containerd.image.name", name); }

// What `docker save` wrote before it knew OCI: layers by path, links between equal ones.
std::string docker_archive(const TestImage& image, const std::string& tags) {
  return make_tar(
      {{.name = "manifest.json",
        .content = fmt::format(
            R"([{{"Config":"config.json","RepoTags":[{}],"Layers":["one/layer.tar","two/layer.tar"]}}])", tags)},
       {.name = "config.json", .content = image.config},
       {.name = "base.tar", .content = kBase},
       {.name = "one/layer.tar", .type = '2', .link = "../base.tar"},
       {.name = "two/layer.tar", .content = kTop}});
}

}  // namespace

TEST_CASE("an OCI archive is imported, found and listed", "[root]") {
  struct Case {
    std::string what, suffix;
    std::string (*pack)(std::string_view);
  };
  for (const auto& test : std::vector<Case>{{"plain", "", plain}, {"gzip", "+gzip", gzip}, {"zstd", "+zstd", zstd}}) {
    INFO(test.what);
    TempDir dir;
    auto store = open_store(dir);
    const auto image = TestImage::make({kBase, kTop}, test.suffix, test.pack);
    const std::string path = write_file(
        dir, "image.tar", make_archive(make_index({image.descriptor(named("docker.io/library/app:v1"))}), image.blobs));
    auto imported = store->import(path);
    INFO(imported.status().to_string());
    REQUIRE(imported.ok());
    REQUIRE(imported->size() == 1);

    auto found = store->find("app:v1");
    REQUIRE(found);
    CHECK(found->id == image.config_digest);
    CHECK(found->digest == image.manifest_digest);
    CHECK(found->names == std::vector<std::string>{"docker.io/library/app:v1"});
    CHECK(found->config.entrypoint == std::vector<std::string>{"/bin/app"});
    CHECK(found->config.cmd == std::vector<std::string>{"serve"});
    CHECK(found->config.env == std::vector<std::string>{"PATH=/bin", "A=b"});
    CHECK(found->config.user == "nobody");
    CHECK(found->config.working_directory == "/srv");
    CHECK(found->config.stop_signal == "SIGINT");
    CHECK(found->config.volumes == std::vector<std::string>{"/data"});
    REQUIRE(found->layer_directories.size() == 2);
    CHECK(slurp(found->layer_directories[0] + "/bin/app") == "base");
    CHECK(slurp(found->layer_directories[1] + "/bin/app") == "top");
    struct stat info {};
    CHECK((lstat((found->layer_directories[1] + "/etc/gone").c_str(), &info) == 0 && S_ISCHR(info.st_mode)));
    CHECK(store->find(found->id));
    CHECK(store->find(found->id.substr(7, 12)));
    CHECK(!store->find("app"));
    CHECK(!store->find("not a reference"));
    CHECK(store->list().size() == 1);
    CHECK(count_in(dir.path + "/images/tmp") == 0);
    CHECK(count_in(dir.path + "/images/blobs/sha256") == 2);  // manifest and config; layers only unpacked

    store = open_store(dir);  // after a restart
    CHECK(store->find("docker.io/library/app:v1"));
    REQUIRE(store->import(path).ok());  // again: nothing new
    CHECK(store->list().size() == 1);
  }
}

TEST_CASE("names come from annotations, tags, or who imports", "[root]") {
  TempDir dir;
  auto store = open_store(dir);
  const auto image = TestImage::make({kBase}, "", plain);
  auto import = [&](const std::string& index, std::optional<std::string> name = {}) {
    return store->import(write_file(dir, "image.tar", make_archive(index, image.blobs)), std::move(name));
  };
  REQUIRE(
      import(make_index({image.descriptor(annotation("org.opencontainers.image.ref.name", "quay.io/a/b:c"))})).ok());
  CHECK(store->find("quay.io/a/b:c"));
  REQUIRE(import(make_index({image.descriptor()}), "mine:1").ok());
  CHECK(store->find("docker.io/library/mine:1"));
  CHECK(store->find("mine:1")->names.size() == 2);
  Status nameless =
      import(make_index({image.descriptor(annotation("org.opencontainers.image.ref.name", "latest"))})).status();
  CHECK(nameless.message() ==
        "import " + dir.path + "/image.tar: it holds an image without a name: say under which name to import it");
  CHECK(import(make_index({image.descriptor(named("a")), image.descriptor(named("b"))}), "c")
            .status()
            .is(reason::kBadRequest));
  CHECK(import(make_index({image.descriptor(named("Not Valid"))})).status().is(reason::kBadRequest));
}

TEST_CASE("a layout directory with several images and platforms", "[root]") {
  TempDir dir;
  auto store = open_store(dir);
  const auto here = TestImage::make({kBase}, "", plain), there = TestImage::make({kTop}, "", plain, "s390x");
  const std::string index = make_index({there.descriptor(R"(,"platform":{"os":"linux","architecture":"s390x"})"),
                                        here.descriptor(R"(,"platform":{"os":"linux","architecture":"amd64"})")});
  auto blobs = here.blobs;
  blobs.insert(there.blobs.begin(), there.blobs.end());
  blobs[digest_of(index)] = index;
  const std::string nested =
      fmt::format(R"({{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{}","size":{}{}}})",
                  digest_of(index), index.size(), named("multi:1"));
  write_layout(dir.path + "/layout", make_index({nested, here.descriptor(named("single:1"))}), blobs);
  auto imported = store->import(dir.path + "/layout");
  INFO(imported.status().to_string());
  REQUIRE(imported.ok());
  CHECK(imported->size() == 2);
#if defined(__x86_64__)
  CHECK(store->find("multi:1")->id == here.config_digest);
#endif
  CHECK(store->find("single:1")->names.size() == 2);
}

TEST_CASE("a docker archive is imported", "[root]") {
  TempDir dir;
  auto store = open_store(dir);
  const auto image = TestImage::make({kBase, kTop}, "", plain);
  for (const auto pack : {plain, gzip}) {
    auto imported =
        store->import(write_file(dir, "docker.tar", pack(docker_archive(image, R"("app:old","other/app:v2")"))));
    INFO(imported.status().to_string());
    REQUIRE(imported.ok());
    auto found = store->find("app:old");
    REQUIRE(found);
    CHECK(found->id == image.config_digest);
    CHECK(found->names.size() == 2);
    CHECK(slurp(found->layer_directories[0] + "/bin/app") == "base");
    CHECK(slurp(found->layer_directories[1] + "/bin/app") == "top");
  }
}

TEST_CASE("damaged and hostile archives change nothing", "[root]") {
  TempDir dir;
  auto store = open_store(dir);
  const auto image = TestImage::make({kBase, kTop}, "", plain);
  const std::string index = make_index({image.descriptor(named("app:v1"))});
  auto with = [&](auto change) {
    auto blobs = image.blobs;
    change(blobs);
    return make_archive(index, blobs);
  };
  struct Case {
    std::string what, content, error;
  };
  const std::string layer = digest_of(kBase);
  const std::vector<Case> cases{
      {"no archive", "hello", "open the archive: Unrecognized archive format"},
      {"empty", "", "neither an OCI layout"},
      {"an unrelated archive", make_tar({{.name = "README", .content = "x"}}),
       "neither an OCI layout (index.json) nor a docker archive (manifest.json)"},
      {"a changed layer", with([&](auto& blobs) { blobs[layer][600] ^= 1; }),
       "layer " + layer + ": its content has the digest"},
      {"a changed config", with([&](auto& blobs) { blobs[image.config_digest] += " "; }), "is damaged"},
      {"a missing layer", with([&](auto& blobs) { blobs.erase(layer); }), "No such file"},
      {"an entry outside", make_tar({{.name = "../../evil", .content = "x"}}), "its name contains \"..\""},
      {"a link as index",
       make_tar({{.name = "index.json", .type = '2', .link = "/etc/hostname"}, {.name = "oci-layout"}}),
       "neither an OCI layout"},
      {"a pipe as index", make_tar({{.name = "index.json", .type = '6'}}), "neither an OCI layout"},
      {"an index that is none", make_tar({{.name = "index.json", .content = "{}"}}), "index.json: neither a manifest"},
  };
  for (const auto& test : cases) {
    INFO(test.what);
    auto imported = store->import(write_file(dir, "image.tar", test.content));
    INFO(imported.status().to_string());
    CHECK(!imported.ok());
    CHECK(imported.status().message().find(test.error) != std::string::npos);
    CHECK(store->list().empty());
    CHECK(count_in(dir.path + "/images/tmp") == 0);
  }
  CHECK(store->import(dir.path + "/missing").status().is(reason::kNotFound));
  // The diff id of the config is a lie although every blob is intact.
  auto liar = image;
  liar.config.replace(liar.config.find(layer), layer.size(), digest_of("lie"));
  const std::string text = fmt::format(R"([{{"Config":"c","RepoTags":["liar:1"],"Layers":["l","m"]}}])");
  auto lied = store->import(write_file(dir, "liar.tar",
                                       make_tar({{.name = "manifest.json", .content = text},
                                                 {.name = "c", .content = liar.config},
                                                 {.name = "l", .content = kBase},
                                                 {.name = "m", .content = kTop}})));
  CHECK(lied.status().message().find("but the image's config says") != std::string::npos);
}

TEST_CASE("removing takes names; collecting takes what no name leads to and nobody uses", "[root]") {
  TempDir dir;
  auto store = open_store(dir);
  const auto one = TestImage::make({kBase}, "", plain), two = TestImage::make({kBase, kTop}, "", plain);
  auto blobs = one.blobs;
  blobs.insert(two.blobs.begin(), two.blobs.end());
  const std::string path =
      write_file(dir, "image.tar",
                 make_archive(make_index({one.descriptor(named("one:1")), two.descriptor(named("two:1"))}), blobs));
  REQUIRE(store->import(path).ok());
  CHECK(count_in(dir.path + "/images/layers") == 2);  // the base is shared

  CHECK(store->remove("nothing:1").is(reason::kNotFound));
  CHECK(*store->collect({}) == 0);
  REQUIRE(store->remove("two:1").ok());
  CHECK(!store->find("two:1"));
  CHECK(store->list().size() == 2);                  // without a name, but there
  CHECK(*store->collect({two.config_digest}) == 0);  // a container still runs from it
  CHECK(store->find(two.config_digest));
  CHECK(*store->collect({}) > 0);
  CHECK(!store->find(two.config_digest));
  CHECK(count_in(dir.path + "/images/layers") == 1);
  CHECK(store->find("one:1"));
  REQUIRE(store->remove(one.config_digest).ok());
  CHECK(*store->collect({}) > 0);
  CHECK(count_in(dir.path + "/images/layers") == 0);
  CHECK(count_in(dir.path + "/images/blobs/sha256") == 0);
  REQUIRE(store->import(path).ok());
  CHECK(store->find("two:1"));
}

TEST_CASE("what a crash left is cleaned up, and what is damaged is found", "[root]") {
  TempDir dir;
  const auto image = TestImage::make({kBase}, "", plain);
  const std::string path =
      write_file(dir, "image.tar", make_archive(make_index({image.descriptor(named("app:v1"))}), image.blobs));
  auto store = open_store(dir);
  REQUIRE(store->import(path).ok());
  spill(dir.path + "/images/tmp/dir.abc/fs/file", "half a layer");
  store = open_store(dir);
  CHECK(count_in(dir.path + "/images/tmp") == 0);

  spill(dir.path + "/images/names/torn.json", "{\"name\":");
  CHECK(store->list().size() == 1);
  spill(dir.path + "/images/blobs/sha256/" + std::string(hex_of(image.config_digest)), "damaged");
  store = open_store(dir);
  CHECK(!store->find("app:v1"));
  fs::remove_all(dir.path + "/images/layers");
  fs::remove(dir.path + "/images/blobs/sha256/" + std::string(hex_of(image.config_digest)));
  store = open_store(dir);
  REQUIRE(store->import(path).ok());
  CHECK(store->find("app:v1"));
}

TEST_CASE("one store is used by several at once", "[root]") {
  TempDir dir;
  const auto image = TestImage::make({kBase, kTop}, "+gzip", gzip);
  const std::string path =
      write_file(dir, "image.tar", make_archive(make_index({image.descriptor(named("app:v1"))}), image.blobs));
  std::vector<std::thread> threads;
  std::vector<std::string> errors(4);
  for (auto& error : errors) {
    threads.emplace_back([&dir, &path, &error] {
      auto store = ImageStore::open({.directory = dir.path + "/images", .insecure_registries = {}});
      if (!store.ok()) {
        error = store.status().to_string();
        return;
      }
      for (int i = 0; i < 5; ++i) {
        auto imported = (*store)->import(path);
        if (!imported.ok()) error = imported.status().to_string();
        if (!(*store)->find("app:v1")) error = "not found";
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) CHECK(error == "");
  CHECK(count_in(dir.path + "/images/tmp") == 0);
  CHECK(count_in(dir.path + "/images/layers") == 2);
}
