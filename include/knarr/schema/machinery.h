// What the tables drive: reading, defaulting, checking, merging and describing objects of any kind as JSON documents.
// Pure functions; thread-safe.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/status.h"
#include "knarr/codec/json.h"
#include "knarr/schema/catalog.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

// Shapes of known fields must fit (else BadRequest with upstream's wording of a decoder error). Unknown fields are pruned and
// their paths answered in `unknown` ("spec.foo"), for fieldValidation=Warn|Strict. Zero values of omit_empty fields and nulls
// are dropped, so that the result is what upstream would store.
Status normalize(const Type& type, json::Value& object, json::Allocator& alloc, std::vector<std::string>& unknown);

// Turns an object of one version into the same object in another, with kind and apiVersion. The versions of a resource have the
// same storage_name. Custom resources whose strategy is None change their apiVersion only. Call it before the wanted version's
// defaults are set. Error: the versions are not of one resource.
Status convert(const Resource& from, const Resource& to, json::Value& object, json::Allocator& alloc);

// The size of an object whose resource has the subresource, as autoscaling/v1 Scale; and setting it.
json::Document scale_of(const Resource& resource, const json::Value& object);
void set_scale(const Resource& resource, int64_t replicas, json::Value& object, json::Allocator& alloc);
const Resource& scale_resource();  // what Scales are printed by

// Sets what upstream's defaulting sets on create and update.
void apply_defaults(const Resource& resource, json::Value& object, json::Allocator& alloc);
// The same, but empty lists and maps that are stored as null stay, since whoever wrote them owns them: true when there are such.
// apply_defaults() makes null of them.
bool apply_defaults_but_empties(const Resource& resource, json::Value& object, json::Allocator& alloc);

// Field errors (empty: valid), with upstream's paths, reasons and messages. `old` is null on create.
std::vector<Cause> validate(const Resource& resource, const json::Value& object, const json::Value* old);

// What of `object` a client may not write through this endpoint is taken from `old` (null on create): status on the main
// resource, all but status on /status. `subresource` is "" or "status".
void prepare(const Resource& resource, std::string_view subresource, json::Value& object, const json::Value* old, json::Allocator& alloc);

// What a client should know of an object that is valid and still doubtful. `old` is null on create.
std::vector<std::string> warnings(const Resource& resource, std::string_view subresource, const json::Value& object, const json::Value* old);
// The warning for who uses a built-in resource at all; "" none.
std::string_view deprecation(const Resource& resource);

// True when what metadata.generation counts differs.
bool generation_differs(const Resource& resource, const json::Value& object, const json::Value& old);

// Strategic merge patch, with $patch, $retainKeys, $setElementOrder and $deleteFromPrimitiveList directives. Changes `target`.
Status strategic_merge(const Type& type, json::Value& target, const json::Value& patch, json::Allocator& alloc);

// Server-printed tables; the columns are `resource.columns`. A resource without any prints name and age.
std::vector<Column> columns(const Resource& resource);
// The cells of one row, a JSON array's elements, as upstream prints them at `now`.
void print_row(const Resource& resource, const json::Value& object, WallTime now, json::Value& cells, json::Allocator& alloc);

// The value of one of the resource's field selectors; "" when absent.
std::string field_value(const Resource& resource, const json::Value& object, std::string_view field);

// OpenAPI documents as JSON text, made from the tables anew each time: keep them. v3: one for each group version ("api/v1",
// "apis/apps/v1") and each document of discovery ("apis", "apis/apps"); "" for one that is not served.
std::string openapi_v2(const Catalog& catalog = {});
std::string openapi_v3(const Catalog& catalog, std::string_view name);
std::string openapi_v3(std::string_view group_version);  // of the built-in resources
std::set<std::string> openapi_v3_names(const Catalog& catalog);
// A version 2 document's text as protobuf (application/com.github.proto-openapi.spec.v2@v1.0+protobuf), as Go clients read it.
std::string openapi_v2_protobuf(std::string_view text);

}  // namespace knarr::schema
