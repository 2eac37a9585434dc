#include "schema/apply_typed.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "schema/apply_items.h"
#include "schema/documents.h"

namespace knarr::schema {

using json::Allocator;
using json::Value;
using Kind = PathElement::Kind;

namespace {

View make_view(Shape shape, const Field& field, uint8_t level) {
  View out;
  out.level = level;
  out.field = &field;
  switch (shape) {
    case Shape::kObject:
      if (!field.type) return out;
      out.form = View::Form::kStruct;
      out.type = field.type;
      out.atomic = (field.type->atomic && !field.granular) || (level == 0 && field.atomic_map);
      return out;
    case Shape::kMap:
      if (level > 0 && field.type) return View::of(field.type->fields[0]);  // see CustomType::element()
      out.form = View::Form::kMap;
      out.atomic = level == 0 && field.atomic_map;
      return out;
    case Shape::kList:
      if (level > 0 && field.type) return View::of(field.type->fields[0]);
      out.form = View::Form::kList;
      out.atomic = level > 0 || (field.list != ListType::kSet && field.list != ListType::kMap);
      return out;
    case Shape::kAny:
      out.atomic = field.any == AnyKind::kObject || (level == 0 && field.atomic_map);
      return out;
    default:
      out.form = View::Form::kScalar;
      out.shape = shape;
      return out;
  }
}

const Value& null_value() {
  static const Value value;
  return value;
}

// The member of one side. Null: absent.
const Value* side_member(const Value& side, const Field* field, std::string_view name, rapidjson::SizeType hint) {
  if (side.IsObject()) {
    if (hint < side.MemberCount() && json::view((side.MemberBegin() + hint)->name) == name)
      return &(side.MemberBegin() + hint)->value;
    if (const Value* found = json::find(side, name)) return found;
  }
  return field && !field->omit_empty ? &zero_value(*field) : nullptr;
}

bool has_constant_fields(const View& view) {
  if (view.form != View::Form::kStruct) return false;
  return std::any_of(view.type->fields.begin(), view.type->fields.end(), [](const Field& f) { return !f.omit_empty; });
}

bool is_empty(const View& view, const Value& value) {
  if (value.IsArray()) return value.Empty();
  if (value.IsObject()) return value.ObjectEmpty() && !has_constant_fields(view);
  return true;
}

bool is_container(const Value& value) { return value.IsObject() || value.IsArray(); }

// Large maps are looked up by a hash rather than one after the other.
class Lookup {
 public:
  explicit Lookup(const Value& object) : object_(object) {
    constexpr rapidjson::SizeType kMany = 32;
    if (!object.IsObject() || object.MemberCount() < kMany) return;
    index_.emplace();
    index_->reserve(object.MemberCount());
    for (const auto& member : object.GetObject()) index_->emplace(json::view(member.name), &member.value);
  }
  const Value* find(const Field* field, std::string_view name, rapidjson::SizeType hint) const {
    if (!index_) return side_member(object_, field, name, hint);
    const auto found = index_->find(name);
    if (found != index_->end()) return found->second;
    return field && !field->omit_empty ? &zero_value(*field) : nullptr;
  }

 private:
  const Value& object_;
  std::optional<std::unordered_map<std::string_view, const Value*>> index_;
};

class Comparer {
 public:
  explicit Comparer(Allocator& alloc) : alloc_(alloc) {}
  bool failed = false;

  struct Self {
    bool added = false, modified = false, removed = false;
  };

  Self value(const View& view, const Value* before, const Value* after, Comparison& out) {
    if (!before) {
      whole(view, *after, out.added);
      return {.added = true};
    }
    if (!after) {
      whole(view, *before, out.removed);
      return {.removed = true};
    }
    switch (view.form) {
      case View::Form::kScalar: return leaf(*before, *after);
      case View::Form::kStruct:
      case View::Form::kMap: return map(view, *before, *after, out);
      case View::Form::kList: return list(view, *before, *after, out);
      case View::Form::kDeduced: return deduced(view, *before, *after, out);
    }
    return {};
  }

 private:
  Allocator& alloc_;

  static Self leaf(const Value& before, const Value& after) { return {.modified = !json::equal(before, after)}; }

  Self deduced(const View& view, const Value& before, const Value& after, Comparison& out) {
    const auto form = [](const Value& value) { return value.IsArray() ? 2 : value.IsObject() || value.IsNull() ? 1 : 0; };
    if (view.atomic) return leaf(before, after);
    if (form(before) == 1 && form(after) == 1) return map(view, before, after, out);
    if (before.IsObject()) whole(view, before, out.removed);
    if (after.IsObject()) whole(view, after, out.added);
    return leaf(before, after);
  }

  void child(const View& view, std::string_view name, const Value* before, const Value* after, Comparison& out) {
    record(field_element(name), view, before, after, out);
  }

  void record(const PathElement& element, const View& view, const Value* before, const Value* after, Comparison& out) {
    Comparison below;
    const Self self = value(view, before, after, below);
    out.added.append(element, self.added, std::move(below.added));
    out.modified.append(element, self.modified, std::move(below.modified));
    out.removed.append(element, self.removed, std::move(below.removed));
  }

  static void sort(Comparison& out) {
    out.added.sort();
    out.modified.sort();
    out.removed.sort();
  }

  Self map(const View& view, const Value& before, const Value& after, Comparison& out) {
    if (view.atomic || (is_empty(view, before) && is_empty(view, after))) return leaf(before, after);
    const Lookup old(before), now(after);
    rapidjson::SizeType hint = 0;
    if (after.IsObject()) {
      for (const auto& member : after.GetObject()) {
        const std::string_view name = json::view(member.name);
        const Field* field = view.struct_field(name);
        child(field ? View::of(*field) : view.member(name), name, old.find(field, name, hint++), &member.value, out);
      }
    }
    hint = 0;
    if (before.IsObject()) {
      for (const auto& member : before.GetObject()) {
        const std::string_view name = json::view(member.name);
        if (now.find(nullptr, name, hint++)) continue;
        const Field* field = view.struct_field(name);
        child(field ? View::of(*field) : view.member(name), name, &member.value, now.find(field, name, 0), out);
      }
    }
    sort(out);
    return {};
  }

  Self list(const View& view, const Value& before, const Value& after, Comparison& out) {
    if (view.atomic || (is_empty(view, before) && is_empty(view, after))) return leaf(before, after);
    if (json::equal(before, after)) return {};  // as after most updates
    ListItems old(view, before, alloc_), now(view, after, alloc_);
    failed = failed || !old.failure().ok() || !now.failure().ok();
    for (const auto& [element, values] : old.groups()) items(view, element, values, now.find(element), out);
    for (const auto& [element, values] : now.groups())
      if (old.find(element).empty()) items(view, element, {}, values, out);
    sort(out);
    return {};
  }

  // Elements of one key. More than one are a mistake that is told as one thing.
  void items(const View& view, const PathElement& element, const std::vector<const Value*>& before,
             const std::vector<const Value*>& after, Comparison& out) {
    const View inner = view.element();
    if (before.size() <= 1 && after.size() <= 1) {
      record(element, inner, before.empty() ? nullptr : before[0], after.empty() ? nullptr : after[0], out);
    } else if (before.size() >= 2 && after.size() >= 2) {
      const bool same = std::equal(before.begin(), before.end(), after.begin(), after.end(),
                                   [](const Value* a, const Value* b) { return json::equal(*a, *b); });
      out.modified.append(element, !same, {});
    } else if (before.size() >= 2) {
      if (!after.empty()) record(element, inner, nullptr, after[0], out);
      out.removed.append(element, true, {});
    } else {
      if (!before.empty()) record(element, inner, before[0], nullptr, out);
      out.added.append(element, true, {});
    }
  }

  // Everything below a value that is there on one side only.
  void whole(const View& view, const Value& value, FieldSet& out) {
    if (view.atomic || view.form == View::Form::kScalar) return;
    if (view.form == View::Form::kList) {
      if (!value.IsArray() || value.Empty()) return;
      ListItems list(view, value, alloc_);
      failed = failed || !list.failure().ok();
      for (const auto& [element, values] : list.groups()) {
        FieldSet below;
        if (values.size() == 1) whole(view.element(), *values[0], below);
        out.append(element, true, std::move(below));
      }
    } else if (value.IsObject()) {
      out.nodes.reserve(value.MemberCount());
      for (const auto& member : value.GetObject()) {
        FieldSet below;
        whole(view.member(json::view(member.name)), member.value, below);
        out.append(field_element(json::view(member.name)), true, std::move(below));
      }
      if (view.form == View::Form::kStruct) {
        for (const Field& field : view.type->fields) {
          if (field.omit_empty || json::find(value, field.name)) continue;
          FieldSet below;
          whole(View::of(field), zero_value(field), below);
          out.append(field_element(field.name), true, std::move(below));
        }
      }
    }
    out.sort();
  }
};

}  // namespace

const Value& zero_value(const Field& field) {
  static const Value text(""), number(0), no(false), quantity("0");
  if (field.pointer) return null_value();
  switch (field.shape) {
    case Shape::kObject: return field.type ? empty_object() : null_value();
    case Shape::kString:
    case Shape::kBytes: return text;
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kDouble:
    case Shape::kIntOrString: return number;
    case Shape::kBool: return no;
    case Shape::kQuantity: return quantity;
    default: return null_value();
  }
}

View View::of(const Type& type) {
  View out;
  out.form = Form::kStruct;
  out.type = &type;
  out.atomic = type.atomic;
  return out;
}

View View::of(const Field& field) { return make_view(field.shape, field, 0); }

View View::element() const {
  if (form == Form::kDeduced || !field) return {};
  return make_view(level == 0 ? field->element : field->inner, *field, static_cast<uint8_t>(level + 1));
}

const Field* View::struct_field(std::string_view name) const {
  return form == Form::kStruct ? type->find(name) : nullptr;
}

View View::member(std::string_view name) const {
  if (form == Form::kMap) return element();
  const Field* found = struct_field(name);
  return found ? of(*found) : View();
}

bool compare(const View& view, const Value& before, const Value& after, Allocator& alloc, Comparison& out) {
  Comparer comparer(alloc);
  comparer.value(view, &before, &after, out);
  return !comparer.failed;
}

namespace {

// True when the value itself is a leaf.
bool collect(const View& view, const Value& value, Allocator& alloc, FieldSet& out) {
  if (view.form == View::Form::kScalar || view.atomic) return true;
  if (view.form == View::Form::kDeduced && !value.IsObject()) return !value.IsNull();
  if (view.form == View::Form::kList) {
    ListItems list(view, value, alloc);
    for (const auto& [element, values] : list.groups()) {
      FieldSet below;
      if (values.size() == 1) collect(view.element(), *values[0], alloc, below);
      out.append(element, true, std::move(below));
    }
  } else if (value.IsObject()) {
    for (const auto& [key, item] : value.GetObject()) {
      const std::string_view name = json::view(key);
      FieldSet below;
      bool member = collect(view.member(name), item, alloc, below);
      member = member || item.IsNull() || (item.IsObject() && item.ObjectEmpty()) || !view.struct_field(name);
      out.append(field_element(name), member, std::move(below));
    }
  }
  out.sort();
  return false;
}

Value merge_maps(const View& view, const Value& live, const Value& config, Allocator& alloc) {
  Value out(rapidjson::kObjectType);
  const Lookup patch(config), present(live);
  if (live.IsObject()) {
    for (const auto& [key, item] : live.GetObject()) {
      const Value* change = patch.find(nullptr, json::view(key), 0);
      out.AddMember(json::copy(key, alloc),
                    change ? merge(view.member(json::view(key)), item, *change, alloc) : json::copy(item, alloc), alloc);
    }
  }
  if (config.IsObject()) {
    for (const auto& [key, item] : config.GetObject()) {
      if (!present.find(nullptr, json::view(key), 0))
        out.AddMember(json::copy(key, alloc), json::copy(item, alloc), alloc);
    }
  }
  return out;
}

}  // namespace

FieldSet field_set(const View& view, const Value& value, Allocator& alloc) {
  FieldSet out;
  collect(view, value, alloc, out);
  return out;
}

Value merge(const View& view, const Value& live, const Value& config, Allocator& alloc) {
  const bool list = view.form == View::Form::kList;
  const bool deduced = view.form == View::Form::kDeduced;
  if (view.form == View::Form::kScalar || view.atomic || (deduced && !config.IsObject() && !config.IsNull()))
    return json::copy(config, alloc);
  const bool no_live = !is_container(live) || (live.IsObject() ? live.ObjectEmpty() : live.Empty());
  const bool no_config = !is_container(config) || (config.IsObject() ? config.ObjectEmpty() : config.Empty());
  if (no_live && no_config) return json::copy(config, alloc);
  return list ? merge_items(view, live, config, alloc) : merge_maps(view, live, config, alloc);
}

void remove_fields(const View& view, Value& value, const FieldSet& gone, Allocator& alloc) {
  if (view.form == View::Form::kScalar) return;
  if (view.form == View::Form::kDeduced && !value.IsObject()) {
    if (value.IsArray()) value.SetNull();
    return;
  }
  const bool fits = view.form == View::Form::kList ? value.IsArray() && !value.Empty()
                                                   : value.IsObject() && !value.ObjectEmpty();
  if (!fits || view.atomic) {  // what cannot be taken apart goes as a whole
    value.SetNull();
    return;
  }
  if (view.form == View::Form::kList) {
    remove_items(view, value, gone, alloc);
    return;
  }
  Value left(rapidjson::kObjectType);
  for (auto& [key, item] : value.GetObject()) {
    const PathElement element = field_element(json::view(key));
    const FieldSet::Node* node = gone.find(element);
    if (node && node->member) continue;
    if (node) remove_fields(view.member(json::view(key)), item, node->children, alloc);
    left.AddMember(key, item, alloc);
  }
  value = std::move(left);
  if (value.ObjectEmpty()) value.SetNull();
}

FieldSet with_named_fields(const View& view, const FieldSet& set) {
  FieldSet out;
  out.nodes.reserve(set.nodes.size());
  for (const auto& node : set.nodes) {
    const bool named = node.element.kind == Kind::kField;
    const bool adds = named && !node.children.empty() && view.struct_field(node.element.text);
    View inner;
    if (named) inner = view.member(node.element.text);
    if (node.element.kind == Kind::kKey && view.form == View::Form::kList) inner = view.element();
    out.nodes.push_back({node.element, node.member || adds, with_named_fields(inner, node.children)});
  }
  return out;
}

namespace {

// How the value is seen that a node's children are in; what is not of the type has no form.
View view_below(const View& view, const FieldSet::Node& node) {
  const bool named = node.element.kind == Kind::kField;
  const bool unknown = view.form == View::Form::kStruct && named && !view.struct_field(node.element.text);
  if (unknown || named == (view.form == View::Form::kList)) return {};
  return named ? view.member(node.element.text) : view.element();
}

bool is_whole(const View& view) { return view.atomic && view.form != View::Form::kDeduced; }

}  // namespace

bool splits_atoms(const View& view, const FieldSet& set) {
  if (view.form == View::Form::kDeduced) return false;
  return std::any_of(set.nodes.begin(), set.nodes.end(), [&](const FieldSet::Node& node) {
    if (node.children.empty()) return false;
    const View inner = view_below(view, node);
    return is_whole(inner) || splits_atoms(inner, node.children);
  });
}

FieldSet with_whole_atoms(const View& view, const FieldSet& set) {
  if (view.form == View::Form::kDeduced) return set;
  FieldSet out;
  out.nodes.reserve(set.nodes.size());
  for (const auto& node : set.nodes) {
    const View inner = node.children.empty() ? View() : view_below(view, node);
    const bool whole = is_whole(inner);
    out.nodes.push_back({node.element, node.member || whole, whole ? FieldSet() : with_whole_atoms(inner, node.children)});
  }
  return out;
}

}  // namespace knarr::schema
