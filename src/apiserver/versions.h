// Objects in the version that a request asks for, from the one that is stored, and back. Most resources have one version, and
// custom resources whose objects fit their schema are stored as they are served: then bytes are passed on as they are.
#pragma once

#include <string>

#include "knarr/apiserver/document.h"
#include "knarr/codec/json.h"
#include "knarr/schema/catalog.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

// Shows stored objects of a resource in its version. Keeps the resource and the registry by reference.
class Presenter {
 public:
  Presenter(const schema::Registry& registry, const schema::Resource& resource);

  // The object itself, or another with the same key and revisions; null stays null.
  store::ObjectPtr operator()(store::ObjectPtr object) const;
  // The same as a document, to be changed.
  Result<json::Document> document(const store::Object& object) const;

 private:
  bool as_stored(const store::Object& object) const;
  Status bring_here(json::Document& document) const;

  const schema::Registry& registry_;
  const schema::Resource& resource_;
  bool converts_;       // there may be work to do at all
  std::string prefix_;  // what the bytes of this version begin with
};

// An object of the resource in the version that is stored.
StoredForm stored_form(const schema::Registry& registry, const schema::Resource& resource, const json::Value& object);

// PodList; what a custom resource calls it.
std::string list_kind(const schema::Resource& resource);

}  // namespace knarr::apiserver
