// The plugins in front of the real REST verbs over a store in memory.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "knarr/admission/chain.h"
#include "knarr/apiserver/extract.h"
#include "knarr/apiserver/rest.h"
#include "knarr/codec/json.h"
#include "knarr/store/journal.h"

namespace knarr::admission::test {

inline json::Document parse(std::string_view text) {
  auto document = json::parse(text);
  INFO(text);
  REQUIRE(document.ok());
  return std::move(*document);
}

// The text of a value by its path; numbers and others as JSON; "<none>" when absent.
inline std::string at(const json::Value& value, std::initializer_list<std::string_view> path) {
  const json::Value* found = json::find(value, path);
  if (!found) return "<none>";
  return found->IsString() ? std::string(json::view(*found)) : json::dump(*found);
}

struct Api {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<apiserver::Rest> rest;
  apiserver::RequestContext context;

  Api() {
    store::Store::Options options;
    options.extract = apiserver::extract_object;
    auto opened = store::Store::open(store::make_memory_journal(), std::move(options));
    REQUIRE(opened.ok());
    store = std::move(*opened);
    rest = std::make_unique<apiserver::Rest>(
        apiserver::RestOptions{.store = store.get(), .admission = default_chain(*store)});
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
