// Validation of CustomResourceDefinitions, which works on their documents, as a schema holds any JSON; private to the module.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/codec/json.h"
#include "schema/field_errors.h"

namespace knarr::schema::crd {

// `old` is null on create.
void definition(const json::Value& crd, const json::Value* old, FieldErrors& errors);

// About formats that nothing checks.
std::vector<std::string> warnings(const json::Value& crd, const json::Value* old);

// openAPIV3Schema in all its rules. `path` is where it stands, up to and with ".openAPIV3Schema".
void root_schema(const json::Value& schema, bool status_enabled, const Path& path, FieldErrors& errors);

// What a field path (.spec.replicas, .spec['a.b']) leads to in a schema; null and why in `problem` where it leads nowhere.
// `canonical` is the path as upstream would print it.
const json::Value* follow_field_path(std::string_view text, const json::Value& schema, bool brackets, std::string& canonical,
                                     std::string& problem);

}  // namespace knarr::schema::crd
