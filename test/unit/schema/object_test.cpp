#include "knarr/schema/object.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "knarr/schema/api.h"
#include "knarr/schema/type.h"

using namespace knarr;
namespace core = knarr::api::core::v1;

namespace {

// What upstream writes for the same object; decode and encode leave it as it is.
constexpr std::string_view kCanonical[] = {
    R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"default","uid":"u","resourceVersion":"7",)"
    R"("creationTimestamp":"2026-11-21T12:00:00Z","labels":{"a":"1","b":"2"}},"spec":{"volumes":[{"name":"v","hostPath":)"
    R"({"path":"/x","type":""}},{"name":"w","emptyDir":{"sizeLimit":"1Gi"}}],"containers":[{"name":"c","image":"i:1",)"
    R"("ports":[{"containerPort":80,"protocol":"TCP"}],"env":[{"name":"E","valueFrom":{"fieldRef":{"apiVersion":"v1",)"
    R"("fieldPath":"status.podIP"}}}],"resources":{"limits":{"cpu":"100m"}},"livenessProbe":{"httpGet":{"path":"/","port":"http"},)"
    R"("timeoutSeconds":1}}],"restartPolicy":"Always","terminationGracePeriodSeconds":0,"securityContext":{}},)"
    R"("status":{"phase":"Running","containerStatuses":[{"name":"c","state":{"running":{"startedAt":"2026-11-21T12:00:01Z"}},)"
    R"("lastState":{},"ready":true,"restartCount":0,"image":"i:1","imageID":""}]}})",
    R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"k":"AAH/"},"type":"Opaque"})",
    R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"l"},"spec":{"holderIdentity":"n",)"
    R"("leaseDurationSeconds":40,"renewTime":"2026-11-21T12:00:00.123456Z"}})",
    R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]})",
    R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"s"},"spec":{"ports":[{"port":80,"targetPort":8080}]},)"
    R"("status":{"loadBalancer":{}}})",
};

template <typename T>
std::string round_trip(std::string_view text) {
  auto object = api::decode_as<T>(text);
  REQUIRE(object.ok());
  T copy = *object;
  CHECK(copy == *object);
  return api::encode(copy);
}

}  // namespace

TEST_CASE("objects are written as they were read") {
  CHECK(round_trip<core::Pod>(kCanonical[0]) == kCanonical[0]);
  CHECK(round_trip<core::Secret>(kCanonical[1]) == kCanonical[1]);
  CHECK(round_trip<api::coordination::v1::Lease>(kCanonical[2]) == kCanonical[2]);
  CHECK(round_trip<core::PodList>(kCanonical[3]) == kCanonical[3]);
  CHECK(round_trip<core::Service>(kCanonical[4]) == kCanonical[4]);
}

TEST_CASE("fields read naturally") {
  auto pod = api::decode_as<core::Pod>(kCanonical[0]);
  REQUIRE(pod.ok());
  CHECK(pod->metadata.namespace_ == "default");
  CHECK(pod->metadata.creationTimestamp.has_value());
  CHECK(pod->spec.terminationGracePeriodSeconds == 0);
  CHECK(pod->spec.securityContext.has_value());
  REQUIRE(pod->spec.containers.size() == 1);
  const core::Container& c = pod->spec.containers[0];
  CHECK(c.resources.limits.at("cpu") == "100m");
  CHECK(c.livenessProbe->httpGet->port.to_string() == "http");
  CHECK_FALSE(c.readinessProbe);
  CHECK(c.env[0].valueFrom->fieldRef->fieldPath == "status.podIP");
  CHECK_FALSE(pod->spec.volumes[0].emptyDir);
  auto secret = api::decode_as<core::Secret>(kCanonical[1]);
  CHECK(secret->data["k"] == std::string("\0\1\xff", 3));
}

TEST_CASE("decoding takes what fits and leaves the rest") {
  auto pod = api::decode_as<core::Pod>(R"({"metadata":{"name":5,"labels":"x","generation":3},"spec":{"containers":{},"nodeName":"n"},"x":1})");
  REQUIRE(pod.ok());
  CHECK(pod->metadata.name.empty());
  CHECK(pod->metadata.generation == 3);
  CHECK(pod->spec.containers.empty());
  CHECK(pod->spec.nodeName == "n");
  CHECK(api::decode_as<core::Pod>("[]").status().code() == 400);
  CHECK(api::decode_as<core::Pod>("{").status().code() == 400);
}

TEST_CASE("copies do not share what is in a box") {
  core::Pod a;
  a.spec.securityContext.ensure().runAsUser = 7;
  core::Pod b = a;
  CHECK(a == b);
  b.spec.securityContext->runAsUser = 8;
  CHECK(*a.spec.securityContext->runAsUser == 7);
  CHECK_FALSE(a == b);
}

TEST_CASE("an empty object is written with what upstream always writes") {
  CHECK(api::encode(core::Container{}) == R"({"name":"","resources":{}})");
  CHECK(api::encode(core::ResourceFieldSelector{}) == R"({"resource":"","divisor":"0"})");
}

TEST_CASE("tables: types and resources are found by name") {
  const schema::Type* pod = schema::find_type("core/v1.PodSpec");
  REQUIRE(pod);
  const schema::Field* containers = pod->find("containers");
  REQUIRE(containers);
  CHECK(containers->shape == schema::Shape::kList);
  CHECK(containers->patch_key == "name");
  CHECK(containers->type == schema::find_type("core/v1.Container"));
  CHECK(pod->find("container") == nullptr);
  CHECK(schema::find_type("core/v1.Nothing") == nullptr);
  for (const schema::Type* type : schema::types()) {
    CHECK(schema::find_type(type->name) == type);
    for (const schema::Field& field : type->fields) CHECK(type->find(field.name) == &field);
  }
  const schema::Resource* leases = schema::find_resource("coordination.k8s.io", "v1", "leases");
  REQUIRE(leases);
  CHECK(leases->storage_name == "leases.coordination.k8s.io");
  CHECK(schema::find_kind("", "v1", "Pod") == schema::find_resource("", "v1", "pods"));
  CHECK(schema::find_resource("", "v1", "pods")->short_names[0] == "po");
}

TEST_CASE("everything that clients can see is documented") {
  // But for members whose schemas have nothing beside their $ref in upstream's OpenAPI documents.
  const std::pair<std::string_view, std::set<std::string_view>> bare[] = {
      {"apiextensions/v1.JSONSchemaProps", {"items", "not", "additionalProperties", "additionalItems", "externalDocs", "example"}},
      {"networking/v1.IngressRule", {"http"}}};
  for (const schema::Type* type : schema::types()) {
    INFO(type->name);
    CHECK_FALSE(type->doc.empty());
    for (const schema::Field& field : type->fields) {
      INFO(field.name);
      const bool is_bare = std::any_of(std::begin(bare), std::end(bare), [&](const auto& of) {
        return of.first == type->name && of.second.contains(field.name);
      });
      CHECK(field.doc.empty() == is_bare);
    }
  }
  for (const schema::Resource& resource : schema::resources()) {
    INFO(resource.plural);
    CHECK_FALSE(resource.doc.empty());
    for (const schema::Column& column : resource.columns) CHECK_FALSE(column.doc.empty());
  }
}
