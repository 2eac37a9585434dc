// Objects as documents: the metadata that the server keeps, and the canonical bytes that the store holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/codec/json.h"
#include "knarr/schema/type.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

std::string object_key(std::string_view ns, std::string_view name);
// Splits a store key into namespace ("" for cluster-scoped) and name.
std::pair<std::string_view, std::string_view> split_key(std::string_view key);

// The member "metadata", made when absent or no object.
json::Value& metadata_of(json::Value& object, json::Allocator& alloc);

// metadata.name and so on; "" when absent.
std::string_view meta_string(const json::Value& object, std::string_view key);
bool has_finalizers(const json::Value& object);
std::vector<std::string> finalizers_of(const json::Value& object);
void set_finalizers(json::Value& object, const std::vector<std::string>& finalizers, json::Allocator& alloc);
bool is_deleting(const json::Value& object);  // has metadata.deletionTimestamp

std::string new_uid();  // a random UUID (version 4)
uint64_t random_number();

// Canonical bytes: kind, apiVersion, metadata in upstream's order, then the type's fields. The revision's digits belong
// at rev_pos, where the text has an empty string.
struct Encoded {
  std::string text;
  uint32_t rev_pos = 0;
};
Encoded encode_object(const schema::Resource& resource, const json::Value& object);
// The same for a custom resource's object with the kind and apiVersion that it has.
Encoded encode_as_it_is(const json::Value& object);

// What each stored object of the resource begins with: {"kind":"Pod","apiVersion":"v1",
std::string object_prefix(const schema::Resource& resource);

std::string_view revision_digits(const store::Object& object);

// The object's bytes with another revision in the place of its own.
std::string with_revision(const store::Object& object, store::Revision revision);
std::string with_revision(const Encoded& encoded, std::string_view digits);

// An object as it is written: its bytes in the version that is stored, and what is extracted from them.
struct StoredForm {
  Encoded encoded;
  store::Extract extract;
};

// The write that puts `stored` in the place of `existing`, or deletes it with that last state; only while
// `existing` is still the current version.
store::Write write_over(store::Write::Op op, const store::Object& existing, StoredForm stored);
// The same for an object of a kind that has one version.
store::Write write_over(store::Write::Op op, const schema::Resource& resource, const store::Object& existing,
                        const json::Value& object, Encoded encoded);

}  // namespace knarr::apiserver
