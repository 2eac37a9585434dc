// Server-side apply and what it rests on: metadata.managedFields, which tells who set which fields. Works on JSON documents along
// the tables, for built-in kinds and custom resources alike. Pure functions; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

// One write, as managedFields remembers it.
struct FieldWriter {
  std::string_view manager;      // "": remembered as "unknown"
  std::string_view subresource;  // "" for the object itself
  std::string_view time;         // when, RFC 3339
};

// Brings `object`'s managedFields up to date with a write that makes it out of `old` (null on create). `object` is complete (with
// its defaults) and not yet prepared by the server; what it says of managedFields itself is heeded as upstream does: [{}] forgets
// all, an invalid or absent list means that of `old`.
void track_fields(const Resource& resource, const FieldWriter& writer, json::Value& object, const json::Value* old,
                  json::Allocator& alloc);

// An empty list of managedFields means something (forget all), which normalize() would drop: makes it [{}]. Call before that.
void mark_managed_fields_reset(json::Value& object, json::Allocator& alloc);

// True when both lists (null: none) say the same, but for the times at which it was done.
bool same_but_for_times(const json::Value* managed_fields, const json::Value* old);

// The object that results from applying `config` to `live` (null: it does not exist), with its managedFields, defaults set. `config` is
// what the client sent, of the resource's own kind and version. Errors: Conflict with a cause for each field that another manager
// set otherwise (not with `force`), BadRequest, or InternalError where the configuration does not fit its type, as upstream.
Result<json::Document> apply(const Resource& resource, const FieldWriter& writer, bool force, const json::Value* live,
                             const json::Value& config);

// managedFields of a scale as those of its main resource, of which it shows the field at `replicas` (spec.replicas). Both answer null
// for none. To the scale: the entries that own that field; to the parent: its entries after those of the scale have changed.
json::Value managed_fields_to_scale(const Resource& parent, std::string_view replicas, const json::Value* parent_fields,
                                    json::Allocator& alloc);
json::Value managed_fields_to_parent(const Resource& parent, std::string_view replicas, const json::Value* parent_fields,
                                     const json::Value* scale_fields, json::Allocator& alloc);

}  // namespace knarr::schema
