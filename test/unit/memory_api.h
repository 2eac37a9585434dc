// What the tests of everything above the API begin with: the real REST verbs over a store in memory, and short ways to look at JSON.
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "knarr/admission/chain.h"
#include "knarr/apiserver/extract.h"
#include "knarr/apiserver/rest.h"
#include "knarr/codec/json.h"
#include "knarr/store/journal.h"
#include "knarr/store/store.h"

namespace knarr::test {

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

inline std::unique_ptr<store::Store> open_store(store::Store::Options options = {}) {
  options.extract = apiserver::extract_object;
  auto opened = store::Store::open(store::make_memory_journal(), std::move(options));
  REQUIRE(opened.ok());
  return std::move(*opened);
}

inline std::unique_ptr<apiserver::Rest> make_rest(store::Store& store, apiserver::RestOptions options = {}) {
  options.store = &store;
  options.admission = admission::default_chain(store);
  return std::make_unique<apiserver::Rest>(std::move(options));
}

}  // namespace knarr::test
