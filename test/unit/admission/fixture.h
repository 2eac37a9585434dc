// The plugins in front of the real REST verbs over a store in memory.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "knarr/apiserver/rest.h"
#include "knarr/codec/json.h"
#include "unit/memory_api.h"

namespace knarr::admission::test {

using knarr::test::at;
using knarr::test::parse;

struct Api {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<apiserver::Rest> rest;
  apiserver::RequestContext context;

  Api() {
    store = knarr::test::open_store();
    rest = knarr::test::make_rest(*store);
    context.user = auth::internal_user("test");
    make("namespaces", R"({"metadata":{"name":"default"}})");
    make("serviceaccounts", R"({"metadata":{"name":"default"},"automountServiceAccountToken":false})");
  }

  apiserver::Target target(std::string_view resource, std::string_view name = "", std::string_view sub = "") const {
    for (const schema::Resource& r : schema::resources())
      if (r.storage_name == resource)
        return {&r, sub, r.namespaced ? std::string_view("default") : std::string_view(), name};
    FAIL("no resource " << resource);
    return {};
  }

  Result<json::Document> create(std::string_view resource, const std::string& body) {
    context.warnings.clear();
    KNARR_ASSIGN(const apiserver::Answer answer, rest->create(context, target(resource), body));
    return parse(answer.bytes());
  }
  json::Document make(std::string_view resource, const std::string& body) {
    auto made = create(resource, body);
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    return std::move(*made);
  }
  // What the refusal says; "" when it was none.
  std::string refusal(std::string_view resource, const std::string& body) {
    return create(resource, body).status().message();
  }
  Result<json::Document> patch(std::string_view resource, std::string_view name, std::string_view body,
                               std::string_view sub = "") {
    context.warnings.clear();
    KNARR_ASSIGN(const apiserver::Answer answer,
                 rest->patch(context, target(resource, name, sub), "application/merge-patch+json", body));
    return parse(answer.bytes());
  }
  Status remove(std::string_view resource, std::string_view name) {
    return rest->remove(context, target(resource, name), {.grace_period_seconds = 0}).status();
  }
  json::Document get(std::string_view resource, std::string_view name) {
    auto found = rest->get(context, target(resource, name));
    REQUIRE(found.ok());
    return parse(found->bytes());
  }
};

// A pod with one container "main"; `container` and `spec` are further members, each with a comma in front.
inline std::string pod_json(std::string_view name, std::string_view container = "", std::string_view spec = "") {
  return fmt::format(
      R"({{"metadata":{{"name":"{}"}},"spec":{{"containers":[{{"name":"main","image":"busybox"{}}}]{}}}}})", name,
      container, spec);
}

}  // namespace knarr::admission::test
