#include "knarr/client/inprocess.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "knarr/codec/json.h"
#include "unit/memory_api.h"

using namespace knarr;
using namespace knarr::client;

namespace {

constexpr ResourceRef kConfigMaps{"", "v1", "configmaps", ""};
constexpr ResourceRef kPods{"", "v1", "pods", ""};

struct Api {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<apiserver::Rest> rest;
  std::shared_ptr<Transport> transport;

  Api() {
    store = test::open_store();
    rest = test::make_rest(*store);
    transport = make_inprocess_transport(*rest, auth::internal_user("test"));
    REQUIRE(transport->create({"", "v1", "namespaces", ""}, "", "", R"({"metadata":{"name":"default"}})").ok());
    REQUIRE(transport->create({"", "v1", "serviceaccounts", ""}, "default", "", R"({"metadata":{"name":"default"}})").ok());
  }
  std::string create(const std::string& name) {
    auto made = transport->create(kConfigMaps, "default", "", R"({"metadata":{"name":")" + name + "\"}}");
    REQUIRE(made.ok());
    return *made;
  }
};

// Collects what a watch says, and waits for it.
class Log {
 public:
  void add(std::string line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  bool wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lines_.size() >= count; });
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

// On a transport's thread, where Catch asserts nothing.
std::string name_of(std::string_view object) {
  const auto document = json::parse(object);
  return document.ok() ? std::string(json::get_string(*document, {"metadata", "name"})) : "no JSON";
}

}  // namespace

TEST_CASE("in process: the verbs, and the API's own errors") {
  Api api;
  const std::string made = api.create("a");
  CHECK(*api.transport->get(kConfigMaps, "default", "a") == made);
  CHECK(api.transport->create(kConfigMaps, "default", "", R"({"metadata":{"name":"a"}})")
            .status()
            .is(reason::kAlreadyExists));
  CHECK(api.transport->update(kConfigMaps, "default", "a", R"({"metadata":{"name":"a"},"data":{"k":"v"}})").ok());
  CHECK(api.transport->update(kConfigMaps, "default", "a", made).status().is(reason::kConflict));
  const auto patched =
      api.transport->patch(kConfigMaps, "default", "a", "application/merge-patch+json", R"({"data":{"k":null}})");
  REQUIRE(patched.ok());
  CHECK(patched->find("\"k\"") == std::string::npos);
  const auto listed = api.transport->list(kConfigMaps, {});
  REQUIRE(listed.ok());
  CHECK(json::find(*json::parse(*listed), "items")->Size() == 1);
  CHECK(api.transport->remove(kConfigMaps, "default", "a", {}).ok());
  CHECK(api.transport->get(kConfigMaps, "default", "a").status().is(reason::kNotFound));
  CHECK(api.transport->create(kPods, "default", "", R"({"metadata":{"name":"p"},"spec":{"containers":[]}})")
            .status()
            .is(reason::kInvalid));
  CHECK(api.transport->get({"", "v9", "configmaps", ""}, "default", "a").status().is(reason::kNotFound));
}

TEST_CASE("in process: a watch tells of every change until it is let go") {
  Api api;
  api.create("before");
  Log log;
  ListOptions options;
  options.namespace_ = "default";
  auto watch = api.transport->watch(
      kConfigMaps, options,
      [&](const WatchEvent& event) {
        if (event.type != WatchEvent::Type::kBookmark) log.add(std::to_string(int(event.type)) + name_of(event.object));
      },
      [&](Status) { log.add("end"); });
  REQUIRE(watch.ok());
  api.create("after");
  REQUIRE(api.transport->remove(kConfigMaps, "default", "after", {}).ok());
  REQUIRE(log.wait_for(3));
  watch->reset();
  api.create("unseen");
  CHECK(log.lines() == std::vector<std::string>{"0before", "0after", "2after"});
}

TEST_CASE("in process: callbacks may call the API and stop watches") {
  Api api;
  Log log;
  std::unique_ptr<WatchHandle> handle;
  std::mutex mutex;
  ListOptions options;
  options.resource_version = std::to_string(api.store->revision());
  {
    std::lock_guard hold(mutex);
    auto watch = api.transport->watch(
        kConfigMaps, options,
        [&](const WatchEvent& event) {
          std::lock_guard lock(mutex);
          const std::string name = name_of(event.object);
          log.add(name);
          if (name == "one") (void)api.transport->create(kConfigMaps, "default", "", R"({"metadata":{"name":"two"}})");
          if (name == "two") handle.reset();
        },
        [&](Status) { log.add("end"); });
    REQUIRE(watch.ok());
    handle = std::move(*watch);
  }
  api.create("one");
  REQUIRE(log.wait_for(2));
  api.create("three");
  std::lock_guard lock(mutex);
  CHECK(log.lines() == std::vector<std::string>{"one", "two"});
}

TEST_CASE("in process: a watch that cannot begin says why") {
  Api api;
  ListOptions options;
  options.label_selector = "x in (";
  CHECK(api.transport
            ->watch(
                kConfigMaps, options, [](const WatchEvent&) {}, [](Status) {})
            .status()
            .code() == 400);
}
