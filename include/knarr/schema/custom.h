// What a custom resource has besides a built-in one: what its CustomResourceDefinition says about it.
//
// A CRD costs what its names cost. Its schema is read from the CRD's text when the first object is written or read, or the
// first document asked for, and then kept. Immutable but for the marks retired and terminating; thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/status.h"
#include "knarr/codec/json.h"
#include "knarr/schema/catalog.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

struct Structural;
struct Definition;
struct CustomParts;

// Where a scale subresource finds its numbers: .spec.replicas; "" none.
struct ScalePaths {
  std::string spec_replicas, status_replicas, label_selector;
};

class Custom {
 public:
  using Text = std::shared_ptr<const std::string>;

  // The resources that an accepted CRD makes: one for each served version, and (never found by a request) none for others.
  // `text` is the CRD as stored, from which the schemas are read when they are needed. `number` is new in each call.
  static MadeResources make(const json::Value& crd, Text text, uint64_t number);

  Custom(std::shared_ptr<Definition> definition, std::string_view version);
  ~Custom();
  Custom(const Custom&) = delete;
  Custom& operator=(const Custom&) = delete;

  uint64_t number() const;                    // of the call that made it
  std::string_view crd() const;               // the CRD's name
  std::string_view list_kind() const;
  std::string_view storage_version() const;   // in which objects are stored
  std::string_view version() const { return version_; }
  bool several_versions() const;
  bool webhook_conversion() const;  // between its versions, which knarr does not call
  bool has_status() const { return has_status_; }
  const ScalePaths* scale() const { return scale_.get(); }  // null: no such subresource
  std::string_view deprecation() const { return deprecation_; }  // the warning for who uses this version; "" none
  const std::vector<std::string>& column_paths() const { return column_paths_; }  // JSONPath of each column but the first

  // Null: there is none, and all fields stay.
  const Structural* structural() const;
  bool has_defaults() const;
  // The type for server-side apply. Null: no schema.
  const Type* type() const;
  // spec.versions[...].schema.openAPIV3Schema of this version, and the whole document, to describe it.
  json::Document openapi_schema() const;

  // What was stored before this revision may not be what this schema would have made of it.
  uint64_t since() const;
  void set_since(uint64_t revision) const;

  // The CRD changed or went: watches of these resources end.
  bool retired() const;
  void retire() const;
  // The CRD is being deleted: nothing may be created any more.
  bool terminating() const;
  void set_terminating(bool on) const;
  // A newer text of the same definition takes the place of the one that is held.
  void set_text(Text text) const;

 private:
  friend struct CustomParts;

  const std::shared_ptr<Definition> definition_;
  const std::string version_;
  bool has_status_ = false;
  std::unique_ptr<ScalePaths> scale_;
  std::string deprecation_;
  std::vector<std::string> column_paths_;

  struct Compiled;
  const Compiled& compiled() const;
  mutable std::once_flag once_;
  mutable std::unique_ptr<Compiled> compiled_;
};

// Whether Kubernetes' own groups (k8s.io, kubernetes.io and below) approved of a definition in them, from an annotation.
struct Approval {
  bool approved = false;  // else bypassed, missing or malformed
  bool acceptable = false;
  std::string_view condition_reason;  // ApprovedAnnotation, ...
  std::string message, annotation;
};
std::optional<Approval> approval_of(const json::Value& crd);  // none: the group needs none

// Custom resources as documents. The generic functions of machinery.h call these for resources that are custom.
namespace custom {

enum class Nulls { kDrop, kKeep };  // of fields that cannot be null: what is applied is refused for them
// What a client sent: shapes of kind, apiVersion and metadata, unknown fields and nulls. `unknown` may be null. `lenient` is
// for what is stored already: metadata that does not fit is dropped.
Status normalize(const Resource& resource, json::Value& object, json::Allocator& alloc, std::vector<std::string>* unknown,
                 bool lenient, Nulls nulls = Nulls::kDrop);
void apply_defaults(const Resource& resource, json::Value& object, json::Allocator& alloc);
std::vector<Cause> validate(const Resource& resource, std::string_view subresource, const json::Value& object, const json::Value* old);
void print_row(const Resource& resource, const json::Value& object, WallTime now, json::Value& cells, json::Allocator& alloc);
std::string field_value(const json::Value& object, std::string_view field);
// What a simple path (.spec.replicas) leads to; null: nothing.
const json::Value* follow(const json::Value& object, std::string_view path);

// About finalizers that are new.
std::vector<std::string> warnings(const json::Value& object, const json::Value* old);

// True when the schema sets anything.
bool has_defaults(const Resource& resource);

}  // namespace custom

}  // namespace knarr::schema
