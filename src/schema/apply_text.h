// How path elements and values are written; private to server-side apply.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/codec/go_text.h"
#include "schema/apply_set.h"

namespace knarr::schema {

// {"containerPort":80,"protocol":"TCP"}: the text of a key; sorts `fields`.
std::string key_text(std::vector<std::pair<std::string_view, const json::Value*>>& fields);

// An element whose text lives as long as the allocator.
PathElement kept_element(PathElement::Kind kind, std::string_view text, json::Allocator& alloc);

// As Go's encoder writes a decoded document: keys sorted, < > & as escapes.
void append_go_json(const json::Value& value, std::string& out);

using json::go_quoted;

}  // namespace knarr::schema
