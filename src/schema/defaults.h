// Rules of defaulting that look at more than one field; private to the module. A rule is of a type and runs after the
// type's fields, and all below it, have their own defaults.
#pragma once

#include <map>
#include <string_view>

#include "knarr/codec/json.h"
#include "knarr/schema/type.h"

namespace knarr::schema::defaults {

using Rule = void (*)(json::Value& object, json::Allocator& alloc);
using Rules = std::map<const Type*, Rule>;

// Helpers of the rules.
void set_if_empty(json::Value& object, std::string_view key, std::string_view text, json::Allocator& alloc);
void set_if_absent(json::Value& object, std::string_view key, json::Value value, json::Allocator& alloc);
// Members of owner.from that owner.to does not have.
void copy_missing(json::Value& owner, std::string_view to, std::string_view from, json::Allocator& alloc);

void add_workload_rules(Rules& rules);  // apps, batch, autoscaling, replication controllers
void add_other_rules(Rules& rules);     // what is left outside of core

// For add_*: the type of that name must exist.
void add(Rules& rules, std::string_view type, Rule rule);

}  // namespace knarr::schema::defaults
