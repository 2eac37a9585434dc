// Values seen through their types, for server-side apply: which of their fields are whole, which are taken apart. Private to
// the module. Values are JSON; what a Go struct always has and JSON leaves out counts as there, with its zero value.
#pragma once

#include <string>
#include <vector>

#include "knarr/schema/type.h"
#include "schema/apply_set.h"

namespace knarr::schema {

// What is known of a value where it stands.
struct View {
  enum class Form : uint8_t { kScalar, kStruct, kMap, kList, kDeduced };

  Form form = Form::kDeduced;
  bool atomic = false;           // changed as a whole
  uint8_t level = 0;             // 0: a field's own value, 1: an element of it, 2: an element's element
  Shape shape = Shape::kAny;     // of a scalar
  const Type* type = nullptr;    // kStruct
  const Field* field = nullptr;  // whose value it is, or is in

  static View of(const Type& type);
  static View of(const Field& field);
  View element() const;                          // of a list or map
  View member(std::string_view name) const;      // of a struct, map or deduced value
  const Field* struct_field(std::string_view name) const;  // null but for a struct's known fields
};

// What a Go struct has in a field that nobody set; null where that is nothing.
const json::Value& zero_value(const Field& field);

struct Comparison {
  FieldSet added, modified, removed;
  bool same() const { return added.empty() && modified.empty() && removed.empty(); }
};

// What `after` has that `before` has not, and so on. False where a list's element cannot be told from others.
bool compare(const View& view, const json::Value& before, const json::Value& after, json::Allocator& alloc, Comparison& out);

// Every leaf and every element that `value` mentions.
FieldSet field_set(const View& view, const json::Value& value, json::Allocator& alloc);

// `live` with what `config` says over it. Neither is changed.
json::Value merge(const View& view, const json::Value& live, const json::Value& config, json::Allocator& alloc);

// Takes the fields and elements of `gone` out of `value`.
void remove_fields(const View& view, json::Value& value, const FieldSet& gone, json::Allocator& alloc);

// The set with each named field that has something below it.
FieldSet with_named_fields(const View& view, const FieldSet& set);

// The set with atomic values as wholes, whatever it says of what is in them. splits_atoms: whether that is another set.
FieldSet with_whole_atoms(const View& view, const FieldSet& set);
bool splits_atoms(const View& view, const FieldSet& set);

// How a configuration does not fit its type ("" when it does), as upstream tells it.
std::string misfits(const View& view, const json::Value& config, json::Allocator& alloc);

}  // namespace knarr::schema
