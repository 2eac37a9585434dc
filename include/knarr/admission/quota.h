// What objects count against a ResourceQuota: for the plugin that admits them and for the controller that counts anew.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/codec/json.h"
#include "knarr/codec/quantity.h"

namespace knarr::admission {

using Amounts = std::map<std::string, Quantity, std::less<>>;  // by resource name

Amounts amounts_of(const json::Value* list);  // a ResourceList; null: nothing
void add(Amounts& to, const Amounts& amounts);
void raise(Amounts& to, const Amounts& amounts);  // to the greater of both
json::Value to_json(const Amounts& amounts, json::Allocator& alloc);

namespace quota {

// Events and questions are never counted.
bool is_counted(std::string_view resource);

// The names among those of `hard` that objects of the resource (its storage name) count against.
std::vector<std::string> matching(std::string_view resource, const Amounts& hard);

// What the object counts for, under every name that there is.
Amounts usage(std::string_view resource, const json::Value& object, WallTime now);

// The object is in all scopes of the quota. Kinds that know no scopes are in none.
bool in_scopes(std::string_view resource, const json::Value& quota, const json::Value& object);
bool has_scopes(const json::Value& quota);

// What a pod must say so that it can be counted: "must specify cpu for: a,b"; "" when it says all of it.
std::string missing_amounts(const std::vector<std::string>& names, const json::Value& pod);

}  // namespace quota

}  // namespace knarr::admission
