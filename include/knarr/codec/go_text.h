// JSON values as upstream's error messages show them, where they print a Go value. Pure; thread-safe.
#pragma once

#include <string>

#include "knarr/codec/json.h"

namespace knarr::json {

// As fmt's %v prints what encoding/json made of it: map[a:1 b:[x y] c:<nil>].
std::string go_text(const Value& value);

// A string as %q prints it.
std::string go_quoted(std::string_view text);

// What kind of Go value it becomes: string, int64, float64, bool, map, slice, nil.
std::string_view go_kind(const Value& value);

// What encoding/json calls a value of the wrong kind: string, number, bool, object, array.
std::string_view go_json_kind(const Value& value);

// What encoding/json says about a text that is no JSON: "unexpected end of JSON input", "invalid character 'x' looking for ...".
// "": the text is JSON.
std::string go_syntax_error(std::string_view text);

}  // namespace knarr::json
