#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <mutex>
#include <thread>

#include "knarr/http/client.h"
#include "knarr/http/server.h"
#include "knarr/image/image.h"
#include "knarr/linux/process.h"
#include "unit/image/tar_builder.h"

using namespace knarr;
using namespace knarr::image;
using namespace knarr::image::testing;
namespace fs = std::filesystem;

namespace {

const std::string kBase = make_tar({{.name = "bin/app", .content = std::string(3'000'000, 'b'), .mode = 0755}});
const std::string kTop = make_tar({{.name = "bin/app", .content = "top", .mode = 0755}});

std::unique_ptr<ImageStore> open_store(const TempDir& dir, std::vector<std::string> insecure = {}) {
  auto store = ImageStore::open({.directory = dir.path + "/images", .insecure_registries = std::move(insecure)});
  REQUIRE(store.ok());
  return std::move(store).value();
}

// A registry that does what a test wants it to.
struct FakeRegistry {
  std::map<std::string, std::string> manifests, blobs;  // by tag or digest
  std::string token;                                    // "": everyone may pull
  std::string redirect_to;                              // blobs are elsewhere
  std::atomic<int> break_off{0};                        // so many answers with a blob end in the middle
  int status = 0;                                       // answers this and nothing else
  std::mutex mutex;
  std::vector<std::string> seen;  // "path authorization range"
  std::unique_ptr<http::Server> server;

  FakeRegistry() {
    auto started = http::Server::start(
        {}, [this](const http::Request& request, http::Response& response) { handle(request, response); });
    REQUIRE(started.ok());
    server = std::move(started).value();
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", server->port()); }
  void add(const TestImage& image, const std::string& tag) {
    blobs.insert(image.blobs.begin(), image.blobs.end());
    manifests[tag] = manifests[image.manifest_digest] = image.manifest;
  }

  void handle(const http::Request& request, http::Response& response) {
    {
      std::lock_guard lock(mutex);
      seen.push_back(fmt::format("{} {} {}", request.target, request.header("Authorization"), request.header("Range")));
    }
    if (request.path == "/token") {
      response.status = request.header("Authorization") == "Basic dXNlcjpwYXNz" ? 200 : 401;
      response.body = fmt::format(R"({{"token":"{}"}})", token);
      return;
    }
    if (status != 0) {
      response.status = status;
      response.body = R"({"errors":[{"code":"SOMETHING","message":"not today"}]})";
      return;
    }
    if (!token.empty() && request.header("Authorization") != "Bearer " + token) {
      response.status = 401;
      response.add_header(
          "WWW-Authenticate",
          fmt::format(R"(Bearer realm="http://{}/token",service="fake",scope="repository:team/app:pull")", address()));
      return;
    }
    const std::string name = request.path.substr(request.path.rfind('/') + 1);
    const bool manifest = request.path.find("/manifests/") != std::string::npos;
    const auto& where = manifest ? manifests : blobs;
    const auto found = where.find(name);
    if (found == where.end()) {
      response.status = 404;
      response.body = R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})";
      return;
    }
    if (!manifest && !redirect_to.empty()) {
      response.status = 307;
      response.set_header("Location", redirect_to + request.path + "?signature=1");
      return;
    }
    size_t start = 0;
    if (const auto range = request.header("Range"); range.starts_with("bytes=")) {
      start = std::stoul(std::string(range.substr(6)));
      response.status = 206;
    }
    const std::string body = found->second.substr(start);
    if (!manifest && body.size() > 1000 && break_off-- > 0) {
      response.take_over([body, start](std::unique_ptr<http::Stream> stream, const std::string&) {
        (void)stream->write(
            fmt::format("HTTP/1.1 {} OK\r\nContent-Length: {}\r\n\r\n", start > 0 ? 206 : 200, body.size()));
        (void)stream->write(body.substr(0, body.size() / 2));
      });
      return;
    }
    response.body = body;
  }
};

TestImage test_image() { return TestImage::make({kBase, kTop}, "+gzip", gzip); }

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

// Debian's docker-registry: the real thing.
struct RealRegistry {
  TempDir dir;
  int port = free_port();
  linux::Process process;
  std::shared_ptr<http::Client> client;

  RealRegistry() {
    spill(dir.path + "/config.yml",
          fmt::format("version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: "
                      "{{rootdirectory: {}/data}}}}\nhttp: {{addr: 127.0.0.1:{}}}\n",
                      dir.path, port));
    spill(dir.path + "/log", "");
    linux::UniqueFd log(open((dir.path + "/log").c_str(), O_WRONLY | O_CLOEXEC));
    auto started = linux::Process::spawn({.executable = "/usr/bin/docker-registry",
                                          .arguments = {"docker-registry", "serve", dir.path + "/config.yml"},
                                          .fds = {{log.get(), 1}, {log.get(), 2}}});
    REQUIRE(started.ok());
    process = std::move(started).value();
    client = *http::Client::make({.url = fmt::format("http://127.0.0.1:{}", port)});
    bool ready = false;
    for (int attempt = 0; attempt < 200 && !ready; ++attempt) {
      auto response = client->send({.target = "/v2/"});
      ready = response.ok() && response->status == 200;
      if (!ready) usleep(20'000);
    }
    INFO(slurp(dir.path + "/log"));
    REQUIRE(ready);
  }
  ~RealRegistry() { process.kill_and_wait(); }

  void push(const std::string& repository, const std::string& tag, const TestImage& image) {
    for (const auto& [digest, content] : image.blobs) {
      if (digest == image.manifest_digest) continue;
      auto start = client->send({.method = "POST", .target = fmt::format("/v2/{}/blobs/uploads/", repository)});
      REQUIRE((start.ok() && start->status == 202));
      const std::string location(start->header("Location"));
      auto put = client->send({.method = "PUT",
                               .target = fmt::format("{}&digest={}", location.substr(location.find("/v2/")), digest),
                               .headers = {{"Content-Type", "application/octet-stream"}},
                               .body = content});
      REQUIRE((put.ok() && put->status == 201));
    }
    auto put = client->send({.method = "PUT",
                             .target = fmt::format("/v2/{}/manifests/{}", repository, tag),
                             .headers = {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}},
                             .body = image.manifest});
    REQUIRE(put.ok());
    INFO(put->body);
    REQUIRE(put->status == 201);
  }
};

}  // namespace

TEST_CASE("an image is pulled from docker-registry by tag and by digest", "[root][net]") {
  if (access("/usr/bin/docker-registry", X_OK) != 0) {
    WARN("skipped: no docker-registry on this machine");
    return;
  }
  RealRegistry registry;
  const auto image = test_image();
  registry.push("team/app", "v1", image);
  TempDir dir;
  auto store = open_store(dir);
  const std::string name = fmt::format("127.0.0.1:{}/team/app", registry.port);
  std::mutex mutex;
  std::map<std::string, int64_t> progress;
  auto pulled = store->pull(name + ":v1", {.progress = [&](std::string_view what, int64_t done, int64_t total) {
                              std::lock_guard lock(mutex);
                              CHECK(done <= total);
                              progress[std::string(what)] = done;
                            }});
  INFO(pulled.status().to_string());
  REQUIRE(pulled.ok());
  CHECK(pulled->id == image.config_digest);
  CHECK(pulled->digest == image.manifest_digest);
  CHECK(pulled->names == std::vector<std::string>{name + ":v1"});
  CHECK(pulled->repo_digests == std::vector<std::string>{name + "@" + image.manifest_digest});
  CHECK(slurp(pulled->layer_directories[1] + "/bin/app") == "top");
  CHECK(progress.size() == 2);

  CHECK(store->find(name + "@" + image.manifest_digest));
  auto by_digest = store->pull(name + "@" + image.manifest_digest, {});
  REQUIRE(by_digest.ok());
  CHECK(by_digest->id == image.config_digest);
  auto missing = store->pull(name + ":v2", {});
  CHECK(missing.status().is(reason::kNotFound));
  CHECK(missing.status().message().find(
            fmt::format("pull {}:v2: the registry 127.0.0.1:{} answered HTTP 404 (MANIFEST_UNKNOWN: manifest unknown): "
                        "check the image's name and tag",
                        name, registry.port)) == 0);
}

TEST_CASE("a registry that wants a token gets one for the password, and nobody else sees it", "[root]") {
  FakeRegistry registry, elsewhere;
  const auto image = test_image();
  registry.add(image, "v1");
  elsewhere.add(image, "v1");
  registry.token = "t0ken";
  registry.redirect_to = "http://" + elsewhere.address();
  TempDir dir;
  auto store = open_store(dir);
  const std::string name = registry.address() + "/team/app:v1";
  auto anonymous = store->pull(name, {});
  CHECK(anonymous.status().code() == 401);
  CHECK(anonymous.status().message().find("(imagePullSecrets)") != std::string::npos);
  CHECK(store->pull(name, {.auth = RegistryAuth{"user", "wrong"}}).status().code() == 401);
  auto pulled = store->pull(name, {.auth = RegistryAuth{"user", "pass"}});
  INFO(pulled.status().to_string());
  REQUIRE(pulled.ok());
  CHECK(!elsewhere.seen.empty());
  for (const auto& line : elsewhere.seen) {
    INFO(line);
    CHECK(line.find("?signature=1  ") != std::string::npos);  // no Authorization
  }
}

TEST_CASE("a download that breaks off is continued where it broke off", "[root]") {
  FakeRegistry registry;
  const auto image = TestImage::make({kBase, kTop}, "", plain);
  registry.add(image, "v1");
  registry.break_off = 2;
  TempDir dir;
  auto store = open_store(dir);
  auto pulled = store->pull(registry.address() + "/team/app:v1", {});
  INFO(pulled.status().to_string());
  REQUIRE(pulled.ok());
  size_t continued = 0;
  for (const auto& line : registry.seen) continued += line.find("bytes=") != std::string::npos;
  CHECK(continued >= 1);

  registry.break_off = 1000;
  REQUIRE(store->remove(registry.address() + "/team/app:v1").ok());
  REQUIRE(store->collect({}).ok());
  auto never = store->pull(registry.address() + "/team/app:v1", {});
  CHECK(never.status().is(reason::kServiceUnavailable));
}

TEST_CASE("what a registry sends is not believed", "[root]") {
  FakeRegistry registry;
  const auto image = test_image();
  registry.add(image, "v1");
  const std::string name = registry.address() + "/team/app:v1";
  for (auto& [digest, content] : registry.blobs) {
    if (digest == image.manifest_digest) continue;
    TempDir dir;
    auto store = open_store(dir);
    const std::string good = content;
    content.back() = static_cast<char>(content.back() ^ 1);
    auto pulled = store->pull(name, {});
    INFO(pulled.status().to_string());
    CHECK(pulled.status().is(reason::kBadRequest));
    CHECK(pulled.status().message().find("damaged or changed on its way") != std::string::npos);
    content = good + "more";
    CHECK(!store->pull(name, {}).ok());
    CHECK(store->list().empty());
    content = good;
    CHECK(store->pull(name, {}).ok());
  }
}

TEST_CASE("a registry's refusals say what happened and what to do", "[root]") {
  FakeRegistry registry;
  TempDir dir;
  auto store = open_store(dir);
  struct Case {
    int status;
    std::string message;
  };
  for (const auto& test : std::vector<Case>{{403, "this login may not pull team/app"},
                                            {429, "it limits pulls; wait, or log in"},
                                            {404, "check the image's name and tag"},
                                            {503, "answered HTTP 503 (SOMETHING: not today)"},
                                            {500, "answered HTTP 500"}}) {
    registry.status = test.status;
    auto pulled = store->pull(registry.address() + "/team/app:v1", {});
    INFO(pulled.status().to_string());
    CHECK(pulled.status().message().find(fmt::format("pull {}/team/app:v1: the registry {} answered HTTP {}",
                                                     registry.address(), registry.address(), test.status)) == 0);
    CHECK(pulled.status().message().find(test.message) != std::string::npos);
  }
  const int nobody = free_port();
  auto unreachable = store->pull(fmt::format("127.0.0.1:{}/x", nobody), {});
  CHECK(unreachable.status().message().find(fmt::format("cannot reach the registry 127.0.0.1:{}", nobody)) !=
        std::string::npos);
  CHECK(store->pull("Not A Name", {}).status().is(reason::kBadRequest));
}

TEST_CASE("an index leads to this platform's image", "[root]") {
  FakeRegistry registry;
  const auto image = test_image();
  registry.add(image, "unused");
#if defined(__x86_64__)
  const std::string index = make_index({image.descriptor(R"(,"platform":{"os":"linux","architecture":"amd64"})")});
  registry.manifests["multi"] = index;
  TempDir dir;
  auto store = open_store(dir);
  auto pulled = store->pull(registry.address() + "/team/app:multi", {});
  INFO(pulled.status().to_string());
  REQUIRE(pulled.ok());
  CHECK(pulled->digest == image.manifest_digest);
  CHECK(pulled->repo_digests == std::vector<std::string>{registry.address() + "/team/app@" + digest_of(index)});
#endif
}

TEST_CASE("pulls of one image are joined", "[root]") {
  FakeRegistry registry;
  const auto image = test_image();
  registry.add(image, "v1");
  TempDir dir;
  auto store = open_store(dir);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { good += store->pull(registry.address() + "/team/app:v1", {}).ok(); });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 4);
  CHECK(fs::is_empty(dir.path + "/images/tmp"));
}
