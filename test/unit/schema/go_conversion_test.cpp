#include "knarr/schema/go_conversion.h"

#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

namespace json = knarr::json;
using namespace knarr::schema;

TEST_CASE("conversion: why an object does not fit", "[conversion]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"core/v1.ConfigMap", R"({"data":{"a":"1"},"unknown":1,"immutable":null})", ""},
      {"core/v1.ConfigMap", R"({"data":{"a":1}})", "cannot convert int64 to string"},
      {"core/v1.ConfigMap", R"({"data":{"a":true}})", "unrecognized type: string"},
      {"core/v1.ConfigMap", R"({"data":["a"]})", "cannot restore map from slice"},
      {"core/v1.ConfigMap", R"({"immutable":"x"})", "unrecognized type: bool"},
      {"apps/v1.Deployment", R"({"spec":{"replicas":"x"}})", "unrecognized type: int32"},
      {"apps/v1.Deployment", R"({"spec":{"replicas":1.5}})", "cannot convert float64 to int32"},
      {"apps/v1.Deployment", R"({"spec":{"replicas":2.0}})", ""},
      {"apps/v1.Deployment", R"({"spec":"x"})", "cannot restore struct from: string"},
      {"core/v1.Pod", R"({"spec":{"containers":{}}})", "cannot restore slice from map"},
      {"core/v1.Pod", R"({"spec":{"containers":[{"args":[1]}]}})", "cannot convert int64 to string"},
  };
  for (const auto& [type, text, wanted] : cases) {
    INFO(text);
    CHECK(conversion_error(*find_type(type), *json::parse(text)) == wanted);
  }
}

TEST_CASE("strategic merge: refusals as upstream words them", "[conversion]") {
  const std::tuple<const char*, int, const char*> cases[] = {
      {R"({"spec":{"containers":[{"image":"y"}]}})", 500, "map: map[image:y] does not contain declared merge key: name"},
      {R"({"spec":{"containers":[{"$patch":"x","name":"c"}]}})", 500, "unknown patch type: x in map: map[$patch:x name:c]"},
      {R"([])", 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"},
  };
  for (const auto& [patch, code, wanted] : cases) {
    INFO(patch);
    auto pod = json::parse(R"({"spec":{"containers":[{"name":"c","image":"i"}]}})");
    const knarr::Status status = strategic_merge(*find_type("core/v1.Pod"), *pod, *json::parse(patch), pod->GetAllocator());
    CHECK(status.code() == code);
    CHECK(status.message() == wanted);
  }
}
