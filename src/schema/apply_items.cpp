#include "schema/apply_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "schema/apply_text.h"

namespace knarr::schema {

using json::Allocator;
using json::Value;
using Kind = PathElement::Kind;

namespace {

std::string quoted_list(std::span<const std::string_view> words) {
  std::string out = "[";
  for (const std::string_view word : words) {
    if (out.size() > 1) out += ' ';
    out += go_quoted(word);
  }
  return out += ']';
}

}  // namespace

Result<PathElement> item_element(const View& list, const Value& item, Allocator& alloc) {
  if (list.field && list.field->list == ListType::kSet) {
    if (item.IsObject()) return bad_request("associative list without keys has an element that's a map type");
    if (item.IsArray()) return bad_request("not supported: associative list with lists as elements");
    if (item.IsNull()) return bad_request("associative list without keys has an element that's an explicit null");
    return kept_element(Kind::kValue, scalar_text(item), alloc);
  }
  if (item.IsNull()) return bad_request("associative list with keys may not have a null element");
  if (!item.IsObject()) return bad_request("associative list with keys may not have non-map elements");
  std::vector<std::pair<std::string_view, const Value*>> fields;
  std::vector<json::Document> defaults;  // of keys that the item does not say
  defaults.reserve(list.field->list_keys.size());
  for (const std::string_view key : list.field->list_keys) {
    const Value* value = json::find(item, key);
    const Field* field = value ? nullptr : list.element().struct_field(key);
    if (field && !field->default_json.empty()) {
      if (auto parsed = json::parse(field->default_json); parsed.ok()) {
        defaults.push_back(std::move(*parsed));
        value = &defaults.back();
      }
    } else if (field && !field->omit_empty && !field->pointer) {  // a Go struct always has it
      value = &zero_value(*field);
    }
    if (value) fields.emplace_back(key, value);
  }
  if (fields.empty())
    return bad_request(fmt::format("associative list with keys has an element that omits all key fields {} (and doesn't "
                                   "have default values for any key fields)",
                                   quoted_list(list.field->list_keys)));
  return kept_element(Kind::kKey, key_text(fields), alloc);
}

ListItems::ListItems(const View& view, const Value& list, Allocator& alloc) {
  if (!list.IsArray()) return;
  groups_.reserve(list.Size());
  order_.reserve(list.Size());
  for (const Value& item : list.GetArray()) {
    const auto element = item_element(view, item, alloc);
    if (!element.ok()) {
      if (failure_.ok()) failure_ = element.status();
      continue;
    }
    order_.push_back({*element, &item});
    const auto [at, fresh] = index_.emplace(element->text, groups_.size());
    if (fresh) {
      groups_.push_back({*element, {&item}});
    } else {
      groups_[at->second].values.push_back(&item);
    }
  }
}

const std::vector<const Value*>& ListItems::find(const PathElement& element) const {
  static const std::vector<const Value*> none;
  const auto there = index_.find(element.text);
  return there == index_.end() ? none : groups_[there->second].values;
}

// The elements of both, in an order that keeps what the configuration says and, between that, what was there: upstream's
// walk along both lists at once.
Value merge_items(const View& view, const Value& live, const Value& config, Allocator& alloc) {
  const ListItems left(view, live, alloc), right(view, config, alloc);
  const View inner = view.element();
  const auto& ours = left.order();
  const auto& theirs = right.order();
  std::vector<std::string_view> shared;  // in the configuration's order
  for (const auto& item : theirs)
    if (!left.find(item.element).empty()) shared.push_back(item.element.text);
  size_t next_shared = 0;
  std::unordered_set<std::string_view> merged;

  Value out(rapidjson::kArrayType);
  const auto take_right = [&](const ListItems::Item& item) {
    merged.insert(item.element.text);
    const auto& before = left.find(item.element);
    // What stood there twice is replaced rather than merged.
    Value value =
        before.size() == 1 ? merge(inner, *before[0], *item.value, alloc) : json::copy(*item.value, alloc);
    out.PushBack(value, alloc);
  };
  size_t l = 0, r = 0;
  while (l < ours.size() || r < theirs.size()) {
    if (l < ours.size() && r < theirs.size()) {
      if (ours[l].element == theirs[r].element) {
        take_right(theirs[r]);
        ++l, ++r;
        next_shared = std::min(next_shared + 1, shared.size());
        continue;
      }
      const bool is_shared = !right.find(ours[l].element).empty();
      if (is_shared && next_shared < shared.size() && shared[next_shared] != ours[l].element.text) {
        ++l;
        continue;
      }
    }
    if (l < ours.size()) {
      if (right.find(ours[l].element).empty()) {
        out.PushBack(json::copy(*ours[l].value, alloc), alloc);
        ++l;
        continue;
      }
      if (merged.contains(ours[l].element.text)) ++l;
    }
    if (r < theirs.size()) {
      take_right(theirs[r]);
      if (next_shared < shared.size() && shared[next_shared] == theirs[r].element.text) ++next_shared;
      ++r;
    }
  }
  return out;
}

void remove_items(const View& view, Value& list, const FieldSet& gone, Allocator& alloc) {
  Value left(rapidjson::kArrayType);
  for (Value& item : list.GetArray()) {
    const auto element = item_element(view, item, alloc);
    const FieldSet::Node* node = element.ok() ? gone.find(*element) : nullptr;
    if (node && node->member) continue;
    if (node) remove_fields(view.element(), item, node->children, alloc);
    left.PushBack(item, alloc);
  }
  list = std::move(left);
  if (list.Empty()) list.SetNull();
}

}  // namespace knarr::schema
