#include "knarr/schema/catalog.h"

#include <catch2/catch.hpp>

#include "knarr/schema/custom.h"

namespace knarr::schema {
namespace {

TEST_CASE("versions in the order in which Kubernetes prefers them") {
  const std::vector<std::string_view> ordered = {"v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "bar", "foo"};
  for (size_t i = 0; i + 1 < ordered.size(); ++i) {
    INFO(ordered[i] << " " << ordered[i + 1]);
    CHECK(version_before(ordered[i], ordered[i + 1]));
    CHECK_FALSE(version_before(ordered[i + 1], ordered[i]));
  }
  CHECK_FALSE(version_before("v1", "v1"));
  CHECK(version_before("v1alpha1", "v0"));  // none of the usual names
}

TEST_CASE("a resource may be used after it is served no more") {
  const auto crd = json::parse(
      R"({"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced","versions":[)"
      R"({"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{"type":"string"}}}}},)"
      R"({"name":"v2","served":true,"storage":false,"deprecated":true},{"name":"v3","served":false,"storage":false}]},)"
      R"("status":{"acceptedNames":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"}}})");
  REQUIRE(crd.ok());
  Registry registry;
  CHECK(registry.find("", "v1", "pods"));
  CHECK_FALSE(registry.find("example.com", "v1", "widgets"));
  registry.publish(Custom::make(*crd, std::make_shared<const std::string>(json::dump(*crd)), 1));
  const ResourceRef one = registry.find("example.com", "v1", "widgets"), two = registry.find("example.com", "v2", "widgets");
  REQUIRE(one);
  REQUIRE(two);
  CHECK_FALSE(registry.find("example.com", "v3", "widgets"));
  CHECK(registry.catalog()->find_kind("example.com", "v1", "Widget").get() == one.get());
  CHECK(one->storage);
  CHECK_FALSE(two->storage);
  CHECK(two->custom->deprecation() == "example.com/v2 Widget is deprecated");
  const uint64_t number = registry.catalog()->number_of("example.com", "v1");
  registry.publish({});
  CHECK_FALSE(registry.find("example.com", "v1", "widgets"));
  CHECK(registry.catalog()->number_of("example.com", "v1") != number);
  CHECK(one->plural == "widgets");
  CHECK(one->custom->structural() != nullptr);
  CHECK(one->custom->type()->find("a") != nullptr);
}

}  // namespace
}  // namespace knarr::schema
