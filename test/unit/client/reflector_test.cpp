#include "knarr/client/reflector.h"

#include <catch2/catch.hpp>

#include "knarr/client/https.h"
#include "knarr/client/typed.h"
#include "unit/client/fake_transport.h"

using namespace knarr;
using namespace knarr::client;

TEST_CASE("a list's text is cut into its items", "[client]") {
  auto parts = split_list(R"( {"kind":"PodList","metadata":{"a":{"resourceVersion":"1"},"resourceVersion":"42"},
    "items":[{"x":"}]\"{"}, {"y":[1,{"z":2}]},{}] })");
  REQUIRE(parts.ok());
  CHECK(parts->resource_version == "42");
  REQUIRE(parts->items.size() == 3);
  CHECK(parts->items[0] == R"({"x":"}]\"{"})");
  CHECK(parts->items[1] == R"({"y":[1,{"z":2}]})");
  CHECK(parts->items[2] == "{}");

  CHECK(split_list(R"({"items":null,"metadata":{"resourceVersion":"7"}})")->items.empty());
  for (const char* broken :
       {"", "[]", "{", R"({"metadata":{}})", R"({"items":[{"a":"b})", R"({"items":{}})", R"({"items":[}])"}) {
    CAPTURE(broken);
    CHECK_FALSE(split_list(broken).ok());
  }
}

TEST_CASE("the resourceVersion of an object is the one of its own metadata", "[client]") {
  CHECK(resource_version_of(
            R"({"spec":{"metadata":{"resourceVersion":"1"}},"metadata":{"name":"a","resourceVersion":"12"}})") == "12");
  CHECK(resource_version_of(R"({"metadata":{}})") == "");
  CHECK(resource_version_of("nonsense") == "");
}

TEST_CASE("an error body becomes the Status it was", "[client]") {
  Status status = status_of_response(
      422, R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"bad","reason":"Invalid",
    "details":{"name":"p","kind":"Pod","causes":[{"reason":"FieldValueRequired","message":"Required value","field":"spec"}]},"code":422})");
  CHECK(status.code() == 422);
  CHECK(status.reason() == "Invalid");
  CHECK(status.message() == "bad");
  CHECK(status.details().name == "p");
  REQUIRE(status.causes().size() == 1);
  CHECK(status.causes()[0].field == "spec");

  CHECK(status_of_response(201, "{}").ok());
  CHECK(status_of_response(502, "<html>bad gateway</html>").code() == 502);
  CHECK(status_of_response(404, "").is(reason::kNotFound));
}

namespace {

struct Followed {
  Mutex mutex;
  std::condition_variable_any changed;
  std::vector<size_t> lists;
  std::vector<std::string> changes;

  Reflector::Sink sink() {
    return {.replace =
                [this](const auto& items) {
                  Lock lock(mutex);
                  lists.push_back(items.size());
                },
            .change =
                [this](WatchEvent::Type, std::string_view object) {
                  Lock lock(mutex);
                  changes.emplace_back(object);
                }};
  }
};

std::vector<std::string> verbs_with_bodies(FakeTransport& transport) {
  std::vector<std::string> said;
  for (const auto& call : transport.calls()) said.push_back(call.verb + ":" + call.body);
  return said;
}

}  // namespace

TEST_CASE("a reflector lists, watches from there, and resumes where a watch ended", "[client]") {
  auto transport = std::make_shared<FakeTransport>();
  transport->lists.push_back(std::string(R"({"metadata":{"resourceVersion":"5"},"items":[{}]})"));
  Followed followed;
  Timers timers;
  Reflector reflector(transport, {"", "v1", "pods", ""},
                      {.retry_base = milliseconds(1), .retry_limit = milliseconds(2), .timers = &timers},
                      followed.sink());
  reflector.start();
  transport->wait_watches(1);
  transport->send(WatchEvent::Type::kAdded, R"({"metadata":{"resourceVersion":"6"}})");
  transport->send(WatchEvent::Type::kBookmark, R"({"metadata":{"resourceVersion":"9"}})");
  transport->end({});
  transport->wait_watches(2);
  CHECK(verbs_with_bodies(*transport) == std::vector<std::string>{"list:", "watch:5", "watch:9"});
  reflector.stop();
  CHECK(followed.lists == std::vector<size_t>{1});
  CHECK(followed.changes.size() == 1);
}

TEST_CASE("a reflector lists again after 410, as an event or as the end", "[client]") {
  auto transport = std::make_shared<FakeTransport>();
  transport->lists.push_back(std::string(R"({"metadata":{"resourceVersion":"5"},"items":[]})"));
  transport->lists.push_back(std::string(R"({"metadata":{"resourceVersion":"8"},"items":[]})"));
  Followed followed;
  Timers timers;
  Reflector reflector(transport, {"", "v1", "pods", ""},
                      {.retry_base = milliseconds(1), .retry_limit = milliseconds(2), .timers = &timers},
                      followed.sink());
  reflector.start();
  transport->wait_watches(1);
  transport->send(WatchEvent::Type::kError, R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})");
  transport->end({});
  transport->wait_watches(2);
  transport->end(Status(410, reason::kExpired, "too old"));
  transport->wait_watches(3);
  CHECK(verbs_with_bodies(*transport) ==
        std::vector<std::string>{"list:", "watch:5", "list:", "watch:8", "list:", "watch:8"});
}

TEST_CASE("a reflector tries again while the server is away", "[client]") {
  auto transport = std::make_shared<FakeTransport>();
  transport->lists.push_back(unavailable("away"));
  transport->lists.push_back(unavailable("away"));
  transport->lists.push_back(std::string(R"({"metadata":{"resourceVersion":"5"},"items":[]})"));
  Followed followed;
  Timers timers;
  Reflector reflector(transport, {"", "v1", "pods", ""},
                      {.retry_base = milliseconds(1), .retry_limit = milliseconds(2), .timers = &timers},
                      followed.sink());
  reflector.start();
  transport->wait_watches(1);
  CHECK(transport->calls().size() == 4);
}
