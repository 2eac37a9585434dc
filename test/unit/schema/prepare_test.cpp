#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

namespace json = knarr::json;
using namespace knarr::schema;

namespace {

std::string prepared(std::string_view plural, std::string_view subresource, std::string_view text,
                     std::string_view old_text = "") {
  const Resource* resource = find_resource("", "v1", plural);
  REQUIRE(resource != nullptr);
  auto document = json::parse(text), old = json::parse(old_text.empty() ? "null" : old_text);
  REQUIRE(document.ok());
  REQUIRE(old.ok());
  prepare(*resource, subresource, *document, old_text.empty() ? nullptr : &*old, document->GetAllocator());
  return json::dump(*document);
}

bool differs(std::string_view a, std::string_view b) {
  auto x = json::parse(a), y = json::parse(b);
  return generation_differs(*find_resource("", "v1", "pods"), *x, *y);
}

}  // namespace

TEST_CASE("prepare: a new object has no status but a node's", "[prepare]") {
  CHECK(prepared("pods", "", R"({"spec":{},"status":{"phase":"Running"}})") == R"({"spec":{},"status":{}})");
  CHECK(prepared("nodes", "", R"({"spec":{},"status":{"phase":"x"}})") == R"({"spec":{},"status":{"phase":"x"}})");
  CHECK(prepared("configmaps", "", R"({"data":{"status":"x"}})") == R"({"data":{"status":"x"}})");
}

TEST_CASE("prepare: an update keeps the status, an update of the status keeps the rest", "[prepare]") {
  const char* old = R"({"metadata":{"name":"a","ownerReferences":[1]},"spec":{"a":1},"status":{"phase":"Running"}})";
  CHECK(prepared("pods", "", R"({"metadata":{"name":"a"},"spec":{"a":2},"status":{"phase":"Failed"}})", old) ==
        R"({"metadata":{"name":"a"},"spec":{"a":2},"status":{"phase":"Running"}})");
  CHECK(
      prepared("pods", "status",
               R"({"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"a":2},"extra":1,"status":{"phase":"Failed"}})",
               old) ==
      R"({"metadata":{"name":"a","labels":{"x":"y"},"ownerReferences":[1]},"spec":{"a":1},"status":{"phase":"Failed"}})");
}

TEST_CASE("prepare: the generation counts what is neither metadata nor status", "[prepare]") {
  CHECK_FALSE(
      differs(R"({"metadata":{"a":1},"spec":{"x":1,"y":2},"status":1})", R"({"spec":{"y":2,"x":1.0},"metadata":{}})"));
  CHECK(differs(R"({"spec":{"x":1}})", R"({"spec":{"x":2}})"));
  CHECK(differs(R"({"spec":{"x":1}})", R"({})"));
  CHECK(differs(R"({})", R"({"spec":{"x":1}})"));
}

TEST_CASE("prepare: fields of features that are off are for those who have them", "[prepare]") {
  const std::string with = R"({"spec":{"schedulingGroup":{},"containers":[{"lifecycle":{"stopSignal":"SIGTERM"}},{"lifecycle":{"stopSignal":"SIGTERM","preStop":{}}}],)"
                           R"("volumes":[{"projected":{"sources":[{"podCertificate":{}},{"clusterTrustBundle":{}},{"secret":{}}]}}]},"status":{}})";
  CHECK(prepared("pods", "", with) ==
        R"({"spec":{"containers":[{},{"lifecycle":{"preStop":{}}}],"volumes":[{"projected":{"sources":[{},{},{"secret":{}}]}}]},"status":{}})");
  CHECK(prepared("pods", "", with, with) == with);
  CHECK(prepared("podtemplates", "", R"({"template":{"spec":{"schedulingGroup":{}}}})") == R"({"template":{"spec":{}}})");
  CHECK(prepared("replicationcontrollers", "", R"({"spec":{"template":{"spec":{"schedulingGroup":{}}}}})") == R"({"spec":{"template":{"spec":{}}},"status":{"replicas":0}})");
}
