#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

namespace json = knarr::json;
using namespace knarr::schema;

namespace {

struct Normalized {
  knarr::Status status;
  std::string text;
  std::vector<std::string> unknown;
};

Normalized normalized(std::string_view type, std::string_view text) {
  const Type* known = find_type(type);
  REQUIRE(known != nullptr);
  auto document = json::parse(text);
  REQUIRE(document.ok());
  Normalized out;
  out.status = normalize(*known, *document, document->GetAllocator(), out.unknown);
  out.text = json::dump(*document);
  return out;
}

}  // namespace

TEST_CASE("normalize: a good object stays as it is", "[normalize]") {
  const char* text =
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"100m"}}}],"terminationGracePeriodSeconds":0}})";
  const auto out = normalized("core/v1.Pod", text);
  CHECK(out.status.ok());
  CHECK(out.text == text);
  CHECK(out.unknown.empty());
}

TEST_CASE("normalize: empty values, nulls and unknown fields go, and unknown fields are told", "[normalize]") {
  const auto out = normalized(
      "core/v1.Pod",
      R"({"kind":"Pod","metadata":{"name":"web","labels":{},"annotations":null,"creationTimestamp":null,"Namespace":"x"},
    "spec":{"containers":[{"name":"c","image":"","args":[],"tty":false,"typo":1,"ports":[{"containerPort":80,"hostPort":0}]}],
            "hostNetwork":false,"automountServiceAccountToken":false,"foo":{"bar":1}},"bogus":[]})");
  CHECK(out.status.ok());
  CHECK(
      out.text ==
      R"({"kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80}]}],"automountServiceAccountToken":false}})");
  CHECK(out.unknown == std::vector<std::string>{"metadata.Namespace", "spec.containers[0].typo", "spec.foo", "bogus"});
}

TEST_CASE("normalize: elements that are null have their zero value", "[normalize]") {
  const auto out = normalized(
      "core/v1.Pod", R"({"metadata":{"labels":{"a":null}},"spec":{"containers":[null,{"name":"c","args":[null]}]}})");
  CHECK(out.status.ok());
  CHECK(out.text == R"({"metadata":{"labels":{"a":""}},"spec":{"containers":[{},{"name":"c","args":[""]}]}})");
}

TEST_CASE("normalize: amounts, times and bytes become canonical", "[normalize]") {
  const auto pod = normalized("core/v1.Pod", R"({"metadata":{"deletionTimestamp":"2026-11-21T13:00:00.5+01:00"},
    "spec":{"containers":[{"resources":{"limits":{"cpu":1,"memory":" 1024Ki ","pods":0.5}},"livenessProbe":{"httpGet":{"port":"http"}}}]}})");
  CHECK(pod.status.ok());
  CHECK(
      pod.text ==
      R"({"metadata":{"deletionTimestamp":"2026-11-21T12:00:00Z"},"spec":{"containers":[{"resources":{"limits":{"cpu":"1","memory":"1Mi","pods":"500m"}},"livenessProbe":{"httpGet":{"port":"http"}}}]}})");
  const auto secret = normalized("core/v1.Secret", R"({"data":{"a":"Zm9v\nYmFy","b":"","c":null}})");
  CHECK(secret.status.ok());
  CHECK(secret.text == R"({"data":{"a":"Zm9vYmFy","b":"","c":""}})");
}

TEST_CASE("normalize: what does not fit is told in the words of Go's decoder", "[normalize]") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"core/v1.Pod", R"({"spec":"x"})",
       "json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec"},
      {"core/v1.Pod", R"({"spec":{"containers":{}}})",
       "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"},
      {"core/v1.Pod", R"({"spec":{"containers":[{"image":5}]}})",
       "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"},
      {"core/v1.Pod", R"({"spec":{"containers":[1]}})",
       "json: cannot unmarshal number into Go struct field PodSpec.spec.containers of type v1.Container"},
      {"core/v1.Pod", R"({"spec":{"hostNetwork":"yes"}})",
       "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"},
      {"core/v1.Pod", R"({"spec":{"priority":1.5}})",
       "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"},
      {"core/v1.Pod", R"({"spec":{"priority":3000000000}})",
       "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32"},
      {"core/v1.Pod", R"({"metadata":{"labels":{"a":1}}})",
       "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"},
      {"core/v1.Pod", R"({"metadata":{"labels":[]}})",
       "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string"},
      {"core/v1.Pod", R"({"metadata":{"deletionTimestamp":5}})",
       "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.deletionTimestamp of type string"},
      {"core/v1.Pod", R"({"spec":{"tolerations":[{"effect":5}]}})",
       "json: cannot unmarshal number into Go struct field Toleration.spec.tolerations.effect of type v1.TaintEffect"},
      {"core/v1.Pod", R"({"spec":{"volumes":[{"secret":5}]}})",
       "json: cannot unmarshal number into Go struct field Volume.spec.volumes.VolumeSource.secret of type v1.SecretVolumeSource"},
      {"core/v1.Event", R"({"firstTimestamp":null,"eventTime":"x"})",
       "parsing time \"x\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"x\" as \"2006\""},
      {"core/v1.Pod", R"({"spec":{"containers":[{"resources":{"limits":{"cpu":"a lot"}}}]}})",
       "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
      {"core/v1.Secret", R"({"data":{"a":"?"}})", "illegal base64 data at input byte 0"},
      {"core/v1.Pod", "[]", "json: cannot unmarshal array into Go value of type v1.Pod"}};
  for (auto [type, text, message] : cases) {
    const auto out = normalized(type, text);
    INFO(text);
    REQUIRE_FALSE(out.status.ok());
    CHECK(out.status.is(knarr::reason::kBadRequest));
    CHECK(out.status.message() == message);
  }
}
