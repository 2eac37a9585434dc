#include "knarr/schema/protobuf.h"

#include <catch2/catch.hpp>
#include <string>

using namespace knarr;

namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}
std::string number(uint32_t field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(uint32_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}
std::string pair(uint32_t field, const std::string& key, const std::string& value) {
  return bytes(field, bytes(1, key) + bytes(2, value));
}
std::string envelope(const std::string& version, const std::string& kind, const std::string& raw) {
  return std::string("k8s\0", 4) + bytes(1, bytes(1, version) + bytes(2, kind)) + bytes(2, raw) + bytes(3, "") +
         bytes(4, "");
}

std::string decode(const std::string& message) {
  const auto document = schema::decode_protobuf(message);
  return document.ok() ? json::dump(*document)
                       : std::to_string(document.status().code()) + " " + document.status().message();
}

}  // namespace

TEST_CASE("protobuf: every shape of field") {
  const std::string metadata = bytes(1, "p") + bytes(8, number(1, 1'790'000'000)) + pair(11, "app", "web") +
                               pair(11, "x", "") + bytes(5, "") + number(7, 3);
  const std::string resources = bytes(2, bytes(1, "cpu") + bytes(2, bytes(1, "100m")));
  const std::string probe =
      bytes(1, bytes(2, bytes(1, "/ok") + bytes(2, number(1, 1) + bytes(3, "http")))) + number(2, 5);
  const std::string container = bytes(1, "main") + bytes(2, "busybox") + bytes(3, "sh") + bytes(3, "-c") +
                                bytes(8, resources) + bytes(10, probe) + number(16, 1);
  const std::string volume = bytes(1, "v") + bytes(2, bytes(19, ""));
  const std::string spec = bytes(2, container) + bytes(1, volume) + number(4, 0);
  CHECK(
      decode(envelope("v1", "Pod", bytes(1, metadata) + bytes(2, spec) + bytes(3, ""))) ==
      R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","creationTimestamp":"2026-09-21T14:13:20Z",)"
      R"("labels":{"app":"web","x":""},"uid":"","generation":3},"spec":{"containers":[{"name":"main","image":"busybox",)"
      R"("command":["sh","-c"],"resources":{"requests":{"cpu":"100m"}},"livenessProbe":{"httpGet":{"path":"/ok","port":"http"},)"
      R"("initialDelaySeconds":5},"stdin":true}],"volumes":[{"name":"v","configMap":{}}],"terminationGracePeriodSeconds":0},)"
      R"("status":{}})");
  CHECK(decode(envelope("v1", "Secret",
                        bytes(1, bytes(1, "s") + bytes(8, "")) + pair(2, "k", std::string("\0\xff", 2)))) ==
        R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"k":"AP8="}})");
  CHECK(
      decode(envelope("coordination.k8s.io/v1", "Lease",
                      bytes(2, number(2, uint64_t(-1)) + bytes(4, number(1, 1) + number(2, 5000))))) ==
      R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","spec":{"leaseDurationSeconds":-1,"renewTime":"1970-01-01T00:00:01.000005Z"}})");
}

TEST_CASE("protobuf: options of a deletion are of every group") {
  CHECK(decode(envelope("apps/v1", "DeleteOptions", number(1, 0) + bytes(4, "Background"))) ==
        R"({"kind":"DeleteOptions","apiVersion":"apps/v1","gracePeriodSeconds":0,"propagationPolicy":"Background"})");
}

TEST_CASE("protobuf: fields that no table has are left out") {
  CHECK(decode(envelope("v1", "ConfigMap", bytes(1000, "x") + number(1001, 5) + bytes(1, bytes(1, "a")))) ==
        R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}})");
}

TEST_CASE("protobuf: what is malformed is refused") {
  const std::string good = envelope("v1", "ConfigMap", bytes(1, bytes(1, "a")));
  for (const std::string& message :
       {std::string(), std::string("{}"), std::string("k8s\0", 4), std::string("k8s\0\xff\xff", 6),
        good.substr(0, good.size() - 5), envelope("v1", "Nothing", ""), envelope("v1", "ConfigMap", number(1, 5)),
        envelope("v1", "ConfigMap", bytes(1, number(1, 5))),
        envelope("v1", "ConfigMap", std::string(1, '\x0a') + varint(1u << 30)),
        envelope("v1", "ConfigMap", std::string(20, '\xff'))}) {
    INFO(message);
    CHECK(decode(message).compare(0, 4, "400 ") == 0);
  }
}

TEST_CASE("protobuf: what is encoded reads back as it was") {
  const char* cases[] = {
      R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"b","c":""},"creationTimestamp":"2024-01-02T03:04:05Z",
          "generation":7,"managedFields":[{"manager":"m","operation":"Update","fieldsV1":{"f:x":{}}}]},
          "spec":{"containers":[{"name":"c","env":[{"name":"A","value":"1"}],"resources":{"limits":{"cpu":"100m","memory":"1Gi"}},
          "livenessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":5},
          "readinessProbe":{"tcpSocket":{"port":80}}}],"volumes":[{"name":"v","emptyDir":{}},{"name":"w","hostPath":{"path":"/x"}}],
          "hostNetwork":true,"priority":-5}})",
      R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"a":"AAH/","b":""}})",
      R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"l"},
          "spec":{"holderIdentity":"me","renewTime":"2024-01-02T03:04:05.678901Z"}})",
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no","reason":"NotFound","code":404,
          "details":{"name":"x","causes":[{"reason":"r","message":"m","field":"f"}]}})",
      R"({"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","metadata":{},
          "spec":{"user":"u","extra":{"k":["a","b"],"e":[]}},"status":{"allowed":true}})",
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5","remainingItemCount":3},"items":[{"metadata":{"name":"a"}}]})",
  };
  for (const char* text : cases) {
    INFO(text);
    const auto document = json::parse(text);
    REQUIRE(document.ok());
    const auto encoded = schema::encode_protobuf(*document);
    REQUIRE(encoded.ok());
    const auto back = schema::decode_protobuf(*encoded);
    REQUIRE(back.ok());
    CHECK(json::equal(*back, *document));
    INFO(json::dump(*back));
  }
  CHECK_FALSE(schema::encode_protobuf(*json::parse(R"({"kind":"Nothing","apiVersion":"v1"})")).ok());
  // The bytes of a small message, by hand.
  const auto one = schema::encode_protobuf(*json::parse(R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"p"}})"));
  CHECK(*one == envelope("v1", "ConfigMap", bytes(1, bytes(1, "p"))));
}
