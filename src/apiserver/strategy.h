// What differs between kinds in the generic verbs: one row a resource. Everything that is not named here is the
// default.
#pragma once

#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"
#include "knarr/schema/type.h"
#include "knarr/store/store.h"
#include "preparation.h"

namespace knarr::apiserver {

// Adds to the causes of the kind's rules. `old` is null on create.
using Validate = void (*)(std::string_view subresource, const json::Value& object, const json::Value* old,
                          std::vector<Cause>& causes);

struct Strategy {
  bool create_on_update = false;     // PUT to an absent name creates
  bool unconditional_update = true;  // PUT without resourceVersion is allowed
  bool returns_deleted = false;      // DELETE answers the object instead of a Status
  bool generation = false;           // metadata.generation is counted
  bool orphans_by_default = false;   // dependents stay when no propagation policy is given
  bool lazy = false;                 // commits need not wait for the disk
  // What a new object of the kind has whatever the client sent, and what becomes of a changed one. Null: nothing.
  PrepareCreate prepare_create = nullptr;
  PrepareUpdate prepare_update = nullptr;
  // What the kind's rules cannot see: which endpoint it came through, what takes cryptography. Null: nothing.
  Validate validate = nullptr;
};

const Strategy& strategy_of(const schema::Resource& resource);

// Lazy for Events and for the nodes' heartbeats, durable for everything else.
store::Durability durability_of(const schema::Resource& resource, std::string_view ns);
// The same for a change of `old`: a node's status that differs only in the times of its conditions is a heartbeat.
store::Durability durability_of(const schema::Resource& resource, std::string_view ns, const json::Value& object,
                                const json::Value& old);

}  // namespace knarr::apiserver
