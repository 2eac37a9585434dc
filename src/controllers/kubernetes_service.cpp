// The service "kubernetes" in the namespace default: how what runs in pods finds the API.
#include <fmt/format.h>

#include "knarr/base/clock.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"
#include "knarr/controllers/controllers.h"

namespace knarr::controllers {

namespace {

struct Object {
  client::ResourceRef resource;
  std::string_view ns;
  std::string body;
  bool kept_up;  // brought up to date when it is there already
};

// Once; what somebody else said of it later stays.
Status mark_ready(client::Transport& transport) {
  const client::ResourceRef resource{"networking.k8s.io", "v1", "servicecidrs", ""};
  KNARR_ASSIGN(const std::string text, transport.get(resource, "", "kubernetes"));
  KNARR_ASSIGN(const json::Document network, json::parse(text));
  if (json::find(network, {"status", "conditions"})) return {};
  const std::string patch = fmt::format(
      R"({{"status":{{"conditions":[{{"type":"Ready","status":"True","reason":"","message":"Kubernetes default Service CIDR is ready",)"
      R"("lastTransitionTime":"{}"}}]}}}})",
      format_time(Clock::system().wall()));
  return transport.patch({"networking.k8s.io", "v1", "servicecidrs", "status"}, "", "kubernetes", "application/merge-patch+json", patch).status();
}

}  // namespace

Status publish_api(client::Transport& transport, const ApiAddress& api) {
  const std::string labels = R"("labels":{"component":"apiserver","provider":"kubernetes"})";
  const Object objects[] = {
      {{"networking.k8s.io", "v1", "servicecidrs", ""},
       "",
       fmt::format(R"({{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{{"name":"kubernetes"}},)"
                   R"("spec":{{"cidrs":["{}"]}}}})",
                   api.service_cidr),
       false},
      {{"", "v1", "services", ""},
       "default",
       fmt::format(R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"kubernetes","namespace":"default",{}}},)"
                   R"("spec":{{"clusterIP":"{}","type":"ClusterIP","ports":[{{"name":"https","port":443,"targetPort":{}}}]}}}})",
                   labels, api.service_address, api.port),
       false},
      {{"", "v1", "endpoints", ""},
       "default",
       fmt::format(R"({{"apiVersion":"v1","kind":"Endpoints","metadata":{{"name":"kubernetes","namespace":"default",)"
                   R"("labels":{{"endpointslice.kubernetes.io/skip-mirror":"true"}}}},)"
                   R"("subsets":[{{"addresses":[{{"ip":"{}"}}],"ports":[{{"name":"https","port":{},"protocol":"TCP"}}]}}]}})",
                   api.address, api.port),
       true},
      {{"discovery.k8s.io", "v1", "endpointslices", ""},
       "default",
       fmt::format(R"({{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"name":"kubernetes",)"
                   R"("namespace":"default","labels":{{"kubernetes.io/service-name":"kubernetes"}}}},"addressType":"IPv4",)"
                   R"("endpoints":[{{"addresses":["{}"],"conditions":{{"ready":true}}}}],)"
                   R"("ports":[{{"name":"https","port":{},"protocol":"TCP"}}]}})",
                   api.address, api.port),
       true},
  };
  for (const Object& object : objects) {
    // Asked for first: to create the service again is refused for its address, which it holds itself.
    Status status = transport.get(object.resource, object.ns, "kubernetes").status();
    if (status.is(reason::kNotFound)) {
      status = transport.create(object.resource, object.ns, "", object.body).status();
    } else if (status.ok() && object.kept_up) {
      status = transport.update(object.resource, object.ns, "kubernetes", object.body).status();
    }
    if (!status.ok()) return status.with_context(fmt::format("publish the API as {} kubernetes", object.resource.plural));
  }
  return mark_ready(transport);
}

}  // namespace knarr::controllers
