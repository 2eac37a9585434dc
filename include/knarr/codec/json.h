// JSON documents: RapidJSON behind the few calls that the rest of knarr makes. This is the one header that includes it.
//
// A Document owns its values in a pool; a Value belongs to a Document, and building one takes that Document's
// Allocator. The free functions never throw and treat a wrong type like absence. Not thread-safe; concurrent reading is
// fine.
#pragma once

#include <rapidjson/document.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::json {

using Value = rapidjson::Value;
using Document = rapidjson::Document;
using Allocator = rapidjson::Document::AllocatorType;

inline constexpr int kMaxDepth = 1000;  // nesting that is accepted; deeper is an error, not a stack overflow

// Parses one JSON text (RFC 8259), UTF-8 checked, nothing behind it. Error: BadRequest with offset and what was
// expected.
Result<Document> parse(std::string_view text);

// Paths of duplicate keys in a text that parses, as upstream's strict decoder names them (`spec.foo`, `spec.a[0].b`).
std::vector<std::string> duplicate_keys(std::string_view text);

std::string dump(const Value& value);         // compact
std::string dump_pretty(const Value& value);  // two spaces, as kubectl prints
void append(std::string& out, const Value& value);
void append_quoted(std::string& out, std::string_view text);  // a JSON string literal

// Reading. `find` is null where there is no such member or where a step is no object.
const Value* find(const Value& object, std::string_view key);
Value* find(Value& object, std::string_view key);
const Value* find(const Value& object, std::initializer_list<std::string_view> path);
Value* find(Value& object, std::initializer_list<std::string_view> path);
std::string_view get_string(const Value& object, std::string_view key);  // "" when absent
std::string_view get_string(const Value& object, std::initializer_list<std::string_view> path);
int64_t get_int(const Value& object, std::string_view key, int64_t otherwise = 0);
bool get_bool(const Value& object, std::string_view key, bool otherwise = false);
inline std::string_view view(const Value& string) { return {string.GetString(), string.GetStringLength()}; }

// Writing. `set` replaces or adds; `ensure_object` makes each missing step of the path an object and answers the last.
Value string(std::string_view text, Allocator& alloc);
Value copy(const Value& value, Allocator& alloc);
Document copy(const Value& value);
Value& set(Value& object, std::string_view key, Value value, Allocator& alloc);
Value& set(Value& object, std::string_view key, std::string_view text, Allocator& alloc);
Value& ensure_object(Value& object, std::initializer_list<std::string_view> path, Allocator& alloc);
bool remove(Value& object, std::string_view key);  // true when it was there; keeps the order of the rest

// Keeps the last of members with the same key, at every level. parse() has done so.
void drop_duplicates(Value& value);

// True when nothing in `value` is nested deeper than `depth`: for documents that are put together rather than parsed.
bool within_depth(const Value& value, int depth = kMaxDepth);

bool is_utf8(std::string_view text);

// Deep equality as Kubernetes means it: member order does not matter, 1 == 1.0, list order does.
bool equal(const Value& a, const Value& b);

}  // namespace knarr::json
