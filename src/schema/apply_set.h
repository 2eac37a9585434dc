// Sets of fields, as server-side apply keeps them: a trie of path elements, of which some are members. Private to the module.
//
// Texts of path elements are views: into the documents that they were read from, or into the allocator's pool.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"

namespace knarr::schema {

struct PathElement {
  enum class Kind : uint8_t { kField, kKey, kValue, kIndex };  // in the order in which sets have them

  Kind kind = Kind::kField;
  std::string_view text;  // a field's name; a key as {"name":"c"}, its members sorted; a value, an index as JSON

  bool operator==(const PathElement& other) const { return kind == other.kind && text == other.text; }
  std::string to_string() const;  // .name, [name="c"], [="v"], [3]: as conflicts are told
};
int compare(const PathElement& a, const PathElement& b);  // < 0, 0, > 0

inline PathElement field_element(std::string_view name) { return {PathElement::Kind::kField, name}; }

class FieldSet {
 public:
  struct Node;
  std::vector<Node> nodes;  // sorted, each with a member or with children

  bool empty() const { return nodes.empty(); }
  const Node* find(const PathElement& element) const;
  bool has(const PathElement& element) const;                         // as a member
  const FieldSet& below(const PathElement& element) const;            // empty when there is nothing
  bool has_path(const std::vector<PathElement>& path) const;
  void insert(const std::vector<PathElement>& path);
  // Adds a node where order does not matter yet: call sort() when all are there.
  void append(const PathElement& element, bool member, FieldSet children);
  void sort();  // merges nodes of the same element
  bool operator==(const FieldSet& other) const;
};

struct FieldSet::Node {
  PathElement element;
  bool member = false;
  FieldSet children;
  bool operator==(const Node& other) const = default;
};

FieldSet unite(const FieldSet& a, const FieldSet& b);
FieldSet intersect(const FieldSet& a, const FieldSet& b);
bool overlap(const FieldSet& a, const FieldSet& b);  // whether they have a member in common
FieldSet subtract(const FieldSet& a, const FieldSet& b);            // a child stays when only its parent is in b
FieldSet subtract_recursively(const FieldSet& a, const FieldSet& b);  // and here it goes

// Calls `visit(path)` for each member, those of a level before what is below it.
template <typename Visit>
void for_each_path(const FieldSet& set, std::vector<PathElement>& path, Visit&& visit) {
  for (const auto& node : set.nodes) {
    if (!node.member) continue;
    path.push_back(node.element);
    visit(path);
    path.pop_back();
  }
  for (const auto& node : set.nodes) {
    if (node.children.empty()) continue;
    path.push_back(node.element);
    for_each_path(node.children, path, visit);
    path.pop_back();
  }
}
std::string path_text(const std::vector<PathElement>& path);

// fieldsV1. Reading an element of an unknown kind ignores it; error: what is no set of fields.
Result<FieldSet> set_from_json(const json::Value& fields, json::Allocator& alloc);
json::Value set_to_json(const FieldSet& set, json::Allocator& alloc);

// A scalar as it stands in keys and values; "" for what is none. Integral numbers have no fraction.
std::string scalar_text(const json::Value& value);

}  // namespace knarr::schema
