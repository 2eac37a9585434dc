// YAML → JSON as Kubernetes' tools read it: YAML 1.1's plain scalars (true/yes/on, null/~, 0x1f, 1_000, .inf refused),
// quoted scalars stay strings, anchors and merge keys are resolved, keys become strings. The result is as bounded as
// the text: aliases cannot blow it up. Thread-safe, never throws.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"

namespace knarr::yaml {

// One document; an empty text is null. JSON texts are read too. Error: BadRequest with the line.
Result<json::Document> parse(std::string_view text);

// Keys of a text that parses which are there already, in the words of Go's decoder: line 9: key "foo" already set in map.
std::vector<std::string> duplicate_keys(std::string_view text);

// All documents of a stream (`---`), empty ones left out.
Result<std::vector<json::Document>> parse_all(std::string_view text);

// Block-style YAML that reads back as `value`, ending with a newline.
std::string dump(const json::Value& value);

}  // namespace knarr::yaml
