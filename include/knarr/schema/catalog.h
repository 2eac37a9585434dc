// Which resources are served: the built-in ones, and those that CustomResourceDefinitions make while the server runs.
//
//   const ResourceRef found = registry.find("example.com", "v1", "widgets");
//   if (found) ... found->namespaced ...
//
// A Catalog is an immutable picture; a Registry holds the current one. Whoever holds a ResourceRef may use the Resource, also
// after it is served no more. All of this is thread-safe; looking up takes no lock but to copy the current picture's pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "knarr/base/sync.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

// A Resource and a share in its life. Built-in ones live for ever, so that a ResourceRef of theirs costs a pointer's copy.
class ResourceRef {
 public:
  ResourceRef() = default;
  ResourceRef(std::nullptr_t) {}                                                               // NOLINT: like a pointer
  ResourceRef(const Resource* builtin) : resource_(std::shared_ptr<const void>(), builtin) {}  // NOLINT
  ResourceRef(std::shared_ptr<const Resource> made) : resource_(std::move(made)) {}            // NOLINT

  const Resource* get() const { return resource_.get(); }
  const Resource* operator->() const { return get(); }
  const Resource& operator*() const { return *get(); }
  operator const Resource*() const { return get(); }  // NOLINT

 private:
  std::shared_ptr<const Resource> resource_;
};

using MadeResources = std::vector<std::shared_ptr<const Resource>>;

class Catalog {
 public:
  Catalog() = default;  // the built-in resources only
  Catalog(MadeResources made, uint64_t number);

  // Differs between the pictures of one registry: what is made from a catalog may be kept under it.
  uint64_t number() const { return number_; }
  // The same for one group version: changes only when a resource of it does.
  uint64_t number_of(std::string_view group, std::string_view version) const;

  std::vector<ResourceRef> resources() const;  // all: the built-in ones in discovery's order, then those made at run time
  const MadeResources& made() const { return made_; }

  ResourceRef find(std::string_view group, std::string_view version, std::string_view plural) const;
  ResourceRef find_kind(std::string_view group, std::string_view version, std::string_view kind) const;

 private:
  MadeResources made_;  // by group, then in their CRDs' order
  uint64_t number_ = 0;
};
using CatalogPtr = std::shared_ptr<const Catalog>;

class Registry {
 public:
  CatalogPtr catalog() const;
  void publish(MadeResources made);  // in the place of those made before

  ResourceRef find(std::string_view group, std::string_view version, std::string_view plural) const;

 private:
  mutable Mutex mutex_;
  CatalogPtr current_ KNARR_GUARDED_BY(mutex_) = std::make_shared<const Catalog>();
};

// The order of versions as Kubernetes prefers them: v2 before v1 before v1beta2 before v1alpha1 before any other name.
bool version_before(std::string_view a, std::string_view b);

}  // namespace knarr::schema
