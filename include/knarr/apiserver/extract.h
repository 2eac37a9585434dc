// What the store keeps beside an object's bytes, so that selectors and indexes work without parsing: one place for the
// API server's writes, and for loading (store::Store::Options::extract = extract_object).
#pragma once

#include <string_view>

#include "knarr/codec/json.h"
#include "knarr/schema/type.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

// Numbers of the secondary indexes, for Store::list_index.
enum Index : uint32_t {
  kIndexPodNode = 1,   // pods by spec.nodeName (only when set)
  kIndexOwnerUid = 2,  // every resource by the uid of each owner reference
  kIndexServiceAddress = 3,  // services by their cluster IPs and node ports
};

// Labels, the resource's field-selector values (empty ones are left out) and the indexes. `resource` may be null: only
// labels and owners.
store::Extract extract_of(const schema::Resource* resource, const json::Value& object);

// The same from bytes, for loading; the resource's name is its storage name ("deployments.apps"). Bytes that do not
// parse give an empty Extract.
store::Extract extract_object(std::string_view storage_name, std::string_view value);

}  // namespace knarr::apiserver
