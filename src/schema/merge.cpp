// Strategic merge patch: a merge patch that knows which lists are sets or maps, and takes directives.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "knarr/codec/go_text.h"
#include "knarr/schema/machinery.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Value;

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kDeleteFromList = "$deleteFromPrimitiveList";
constexpr std::string_view kElementOrder = "$setElementOrder";

Status bad_retain_keys() { return bad_request("invalid patch format of retainKeys"); }
Status bad_element_order() { return bad_request("invalid patch format of setElementOrder list"); }
Status bad_primitive_list() { return bad_request("invalid patch format of primitive list"); }

// A patch that is well-formed and does not go with the object.
Status does_not_apply(std::string message) {
  Status status(422, reason::kInvalid, "the server rejected our request due to an error in our request");
  status.with_cause({"UnexpectedServerResponse", std::move(message), ""});
  return status;
}

// What upstream has no code for.
Status failed(std::string message) { return Status(500, "", std::move(message)); }

Status bad_type(std::string_view wanted, const Value& value) {
  std::string_view kind = json::go_kind(value);
  if (value.IsObject()) kind = "map[string]interface {}";
  if (value.IsArray()) kind = "[]interface {}";
  if (value.IsNull()) kind = "%!s(<nil>)";
  return failed(fmt::format("expected a {}, but received a {}", wanted, kind));
}

Status no_merge_key(const Value& item, std::string_view key) {
  return failed(fmt::format("map: {} does not contain declared merge key: {}", json::go_text(item), key));
}

std::string element_kinds(const Value& target, const Value& change) {
  return fmt::format("list element types are not identical: [{} {}]", json::go_text(target), json::go_text(change));
}

Status bad_directive(const Value& directive, const Value& patch) {
  const std::string name = directive.IsString() ? json::go_text(directive)
                                                : fmt::format("%!s({}={})", json::go_kind(directive), json::go_text(directive));
  return failed(fmt::format("unknown patch type: {} in map: {}", name, json::go_text(patch)));
}

// How the members of an object are merged: by a Type, all alike (a map), or without knowledge.
struct Scope {
  const Type* type = nullptr;
  const Field* map = nullptr;
};

// Of one member: what it is made of and how a list of it is merged.
struct Member {
  Scope inner;  // of the object, or of a list's elements
  bool merge_list = false;
  bool replace_map = false;
  std::string_view key;  // merge key of a list of objects
};

Member look_up(const Scope& scope, std::string_view name) {
  const Field* field = scope.type ? scope.type->find(name) : nullptr;
  if (scope.map) {
    Member member;
    if (scope.map->element == Shape::kObject) member.inner.type = scope.map->type;
    return member;
  }
  if (!field) return {};
  Member member;
  member.merge_list = field->patch_merge;
  member.replace_map = field->patch_replace;
  member.key = field->patch_key;
  if (field->shape == Shape::kMap) {
    member.inner.map = field;
  } else if (field->shape == Shape::kObject || (field->shape == Shape::kList && field->element == Shape::kObject)) {
    member.inner.type = field->type;
  }
  return member;
}

// One pass over a list or an object, whatever is taken out.
template <typename Predicate>
void erase_items(Value& list, Predicate gone) {
  auto to = list.Begin();
  for (auto from = list.Begin(); from != list.End(); ++from) {
    if (gone(*from)) continue;
    if (to != from) *to = std::move(*from);
    ++to;
  }
  if (to != list.End()) list.Erase(to, list.End());
}

template <typename Predicate>
void erase_members(Value& object, Predicate gone) {
  auto to = object.MemberBegin();
  for (auto from = object.MemberBegin(); from != object.MemberEnd(); ++from) {
    if (gone(*from)) continue;
    if (to != from) {
      to->name = std::move(from->name);
      to->value = std::move(from->value);
    }
    ++to;
  }
  if (to != object.MemberEnd()) object.EraseMember(to, object.MemberEnd());
}

void drop_nulls(Value& value) {
  if (value.IsArray()) {
    for (Value& item : value.GetArray()) drop_nulls(item);
  } else if (value.IsObject()) {
    erase_members(value, [](Value::Member& member) {
      drop_nulls(member.value);
      return member.value.IsNull();
    });
  }
}

// A patch's value that finds nothing to be merged with: what is left of it. False: nothing.
bool drop_directives(Value& value) {
  if (value.IsObject()) {
    if (json::find(value, kDirective)) return false;
    erase_members(value, [](Value::Member& member) { return !drop_directives(member.value); });
  } else if (value.IsArray()) {
    erase_items(value, [](Value& item) { return !drop_directives(item); });
  }
  return true;
}

// The members of an object while it is being merged: found by a hash, for objects may be large.
class Members {
 public:
  // Takes them out of `object`; `more` may be added.
  Members(Value& object, size_t more) {
    items_.reserve(object.MemberCount() + more);
    for (auto& member : object.GetObject()) add(std::move(member.name), std::move(member.value));
    object.SetObject();
  }
  // Null when there is none.
  Value* find(std::string_view name) {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &items_[found->second].value;
  }
  void add(Value name, Value value) {
    items_.push_back({std::move(name), std::move(value)});
    index_.emplace(json::view(items_.back().name), items_.size() - 1);
  }
  void remove(std::string_view name) { index_.erase(name); }
  void put_back(Value& object, Allocator& alloc) {
    for (size_t i = 0; i < items_.size(); ++i) {
      const auto found = index_.find(json::view(items_[i].name));
      if (found != index_.end() && found->second == i) object.AddMember(items_[i].name, items_[i].value, alloc);
    }
  }

 private:
  struct Item {
    Value name, value;
  };
  std::vector<Item> items_;  // never grows beyond what was reserved: the index looks into it
  std::unordered_map<std::string_view, size_t> index_;
};

// Where the elements of a list stand, by their merge key's value or by themselves.
class Positions {
 public:
  Positions() = default;
  Positions(const Value& list, std::string_view key) {
    for (const Value& item : list.GetArray()) add(identity(item, key));
  }
  void add(std::string identity) { positions_.emplace(std::move(identity), positions_.size()); }
  bool has(const std::string& identity) const { return positions_.contains(identity); }

  static std::string identity(const Value& item, std::string_view key) {
    const Value* value = key.empty() ? &item : json::find(item, key);
    return value ? json::dump(*value) : "";
  }
  std::optional<size_t> of(const Value& item, std::string_view key) const {
    const auto found = positions_.find(identity(item, key));
    return found == positions_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::unordered_map<std::string, size_t> positions_;
};

class Merger {
 public:
  explicit Merger(Allocator& alloc) : alloc_(alloc) {}

  // Changes both; `patch` is used up.
  Status object(const Scope& scope, Value& target, Value& patch) {
    if (const Value* directive = json::find(patch, kDirective)) return apply_directive(*directive, target, patch);
    KNARR_RETURN_IF_ERROR(retain_keys(target, patch));
    KNARR_RETURN_IF_ERROR(element_orders(scope, target, patch));
    Members members(target, patch.MemberCount());
    Status status;
    for (auto member = patch.MemberBegin(); member != patch.MemberEnd() && status.ok(); ++member) {
      status = this->member(scope, members, json::view(member->name), member->value);
    }
    members.put_back(target, alloc_);
    return status;
  }

 private:
  Allocator& alloc_;

  Status apply_directive(const Value& directive, Value& target, Value& patch) {
    const std::string_view name = directive.IsString() ? json::view(directive) : std::string_view();
    if (name == "replace") {
      json::remove(patch, kDirective);
      target = std::move(patch);
    } else if (name == "delete") {
      target.SetObject();
    } else {
      return bad_directive(directive, patch);
    }
    return Status::OK();
  }

  // $retainKeys names all members that may be left; the patch sets no others.
  Status retain_keys(Value& target, Value& patch) {
    const Value* keys = json::find(patch, kRetainKeys);
    if (!keys) return Status::OK();
    if (!keys->IsArray()) return bad_retain_keys();
    std::unordered_set<std::string> retained;
    for (const Value& key : keys->GetArray()) {
      if (key.IsString()) retained.emplace(json::view(key));
    }
    json::remove(patch, kRetainKeys);
    for (const auto& member : patch.GetObject()) {
      const std::string_view name = json::view(member.name);
      if (member.value.IsNull() || name.starts_with(kDeleteFromList) || name.starts_with(kElementOrder)) continue;
      if (!retained.contains(std::string(name))) return bad_retain_keys();
    }
    erase_members(target,
                  [&](Value::Member& member) { return !retained.contains(std::string(json::view(member.name))); });
    return Status::OK();
  }

  // "$setElementOrder/ports" → "ports".
  static std::optional<std::string> directed(std::string_view name, std::string_view directive) {
    if (!name.starts_with(directive) || name.size() <= directive.size() + 1 || name[directive.size()] != '/')
      return std::nullopt;
    return std::string(name.substr(directive.size() + 1));
  }

  Status element_orders(const Scope& scope, Value& target, Value& patch) {
    for (;;) {
      auto directive = patch.MemberBegin();
      while (directive != patch.MemberEnd() && !json::view(directive->name).starts_with(kElementOrder)) ++directive;
      if (directive == patch.MemberEnd()) return Status::OK();
      const auto name = directed(json::view(directive->name), kElementOrder);
      Value order = std::move(directive->value);
      patch.EraseMember(directive);
      if (!order.IsArray()) return bad_type("[]interface {}", order);
      if (!name) return bad_element_order();
      KNARR_RETURN_IF_ERROR(element_order(look_up(scope, *name), *name, order, target, patch));
    }
  }

  // One ordered list: merges it, then puts it into the order that the patch asks for.
  Status element_order(const Member& field, const std::string& name, const Value& order, Value& target, Value& patch) {
    Value* list = json::find(target, name);
    Value* change = json::find(patch, name);
    for (const Value* side : {list, change})
      if (side && !side->IsArray()) return bad_type("[]interface {}", *side);
    if (!list && !change) return Status::OK();
    KNARR_RETURN_IF_ERROR(check_wanted(order, field.key, change && !change->Empty()));
    if (change) KNARR_RETURN_IF_ERROR(check_order(*change, order, field.key));

    const Positions before = list ? order_before(*list, change, field.key) : Positions();
    Value merged;
    if (!list) {
      merged = std::move(*change);
      drop_nulls(merged);
      drop_directives(merged);
    } else {
      if (change) KNARR_RETURN_IF_ERROR(this->list(field, *list, *change, false));
      merged = std::move(*list);
    }
    if (change) json::remove(patch, name);
    KNARR_RETURN_IF_ERROR(check_keys(merged, field.key));
    arrange(merged, field.key, Positions(order, field.key), before);
    json::set(target, name, std::move(merged), alloc_);
    return Status::OK();
  }

  // Where elements stood, for placing those that the patch does not order. Of what a patch adds, as much counts as it
  // deletes: upstream deletes in the array that it still takes the order from, and what it appends fills the gap.
  static Positions order_before(const Value& list, const Value* change, std::string_view key) {
    if (!change || key.empty()) return Positions(list, key);
    std::unordered_set<std::string> gone;
    for (const Value& item : change->GetArray()) {
      if (json::get_string(item, kDirective) == "delete") gone.insert(Positions::identity(item, key));
    }
    Positions out;
    size_t gap = 0;
    for (const Value& item : list.GetArray()) {
      std::string identity = Positions::identity(item, key);
      if (gone.contains(identity)) {
        ++gap;
      } else {
        out.add(std::move(identity));
      }
    }
    for (const Value& item : change->GetArray()) {
      if (gap == 0) break;
      std::string identity = Positions::identity(item, key);
      if (json::find(item, kDirective) || out.has(identity)) continue;
      out.add(std::move(identity));
      --gap;
    }
    return out;
  }

  static Status check_keys(const Value& list, std::string_view key) {
    if (key.empty()) return Status::OK();
    for (const Value& item : list.GetArray()) {
      if (!json::find(item, key)) return no_merge_key(item, key);
    }
    return Status::OK();
  }

  // What an order names: elements by their key. Without a change to compare them with, upstream passes over those without one.
  static Status check_wanted(const Value& order, std::string_view key, bool compared) {
    if (key.empty()) return Status::OK();
    for (rapidjson::SizeType i = 0; i < order.Size(); ++i) {
      if (!order[i].IsObject())
        return compared ? bad_type("map[string]interface {}", order[i]) : failed(fmt::format("value for key {} is not a map", i));
      if (compared && !json::find(order[i], key)) return no_merge_key(order[i], key);
    }
    return Status::OK();
  }

  // The patch's elements must stand in the order that it asks for.
  static Status check_order(const Value& change, const Value& order, std::string_view key) {
    if (order.Empty()) return Status::OK();
    const Positions wanted(order, key);
    size_t least = 0;
    for (const Value& item : change.GetArray()) {
      if (json::find(item, kDirective)) continue;
      if (!key.empty() && !json::find(item, key)) return no_merge_key(item, key);
      const auto at = wanted.of(item, key);
      if (!at || *at < least) {
        return failed(fmt::format("The order in patch list:\n{}\n doesn't match {} list:\n{}\n", json::go_text(change),
                                  kElementOrder, json::go_text(order)));
      }
      least = *at;
    }
    return Status::OK();
  }

  // Elements that `wanted` knows take its order, the others keep theirs; they are put between them as they stood
  // `before`.
  void arrange(Value& list, std::string_view key, const Positions& wanted, const Positions& before) {
    struct Item {
      Value* value;
      std::optional<size_t> wanted, before;
    };
    std::vector<Item> ordered, others;
    for (Value& item : list.GetArray()) {
      const auto at = wanted.of(item, key);
      (at ? ordered : others).push_back({&item, at, before.of(item, key)});
    }
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const Item& a, const Item& b) { return *a.wanted < *b.wanted; });
    std::stable_sort(others.begin(), others.end(), [](const Item& a, const Item& b) {
      return a.before.value_or(SIZE_MAX) < b.before.value_or(SIZE_MAX);
    });
    Value out(rapidjson::kArrayType);
    out.Reserve(list.Size(), alloc_);
    auto left = others.begin();
    for (const Item& right : ordered) {
      while (left != others.end() && left->before && right.before && *left->before < *right.before) {
        out.PushBack(*(left++)->value, alloc_);
      }
      out.PushBack(*right.value, alloc_);
    }
    for (; left != others.end(); ++left) out.PushBack(*left->value, alloc_);
    list = std::move(out);
  }

  Status member(const Scope& scope, Members& target, std::string_view name, Value& change) {
    std::string stripped;
    const bool deletes = name.starts_with(kDeleteFromList);
    if (deletes) {
      auto directed_name = directed(name, kDeleteFromList);
      if (!directed_name) return bad_primitive_list();
      stripped = std::move(*directed_name);
      name = stripped;
    }
    if (change.IsNull()) {
      target.remove(name);
      return Status::OK();
    }
    Value* present = target.find(name);
    const bool alike =
        present && ((present->IsObject() && change.IsObject()) || (present->IsArray() && change.IsArray()));
    if (!alike) {
      if (deletes) return Status::OK();
      drop_nulls(change);
      if (!drop_directives(change)) {
        target.remove(name);
      } else if (present) {
        *present = std::move(change);
      } else {
        target.add(json::string(name, alloc_), std::move(change));
      }
      return Status::OK();
    }
    const Member field = look_up(scope, name);
    if (present->IsArray()) return list(field, *present, change, deletes);
    if (!field.replace_map) return object(field.inner, *present, change);
    *present = std::move(change);
    return Status::OK();
  }

  Status list(const Member& field, Value& target, Value& change, bool deletes) {
    if (!field.merge_list && !deletes) {
      target = std::move(change);
      return Status::OK();
    }
    if (target.Empty() && change.Empty()) return Status::OK();
    const Value& sample = target.Empty() ? change[0] : target[0];
    const bool objects = sample.IsObject();
    for (const Value* side : {&target, &change}) {
      for (const Value& item : side->GetArray()) {
        if (sample.IsArray()) return does_not_apply("lists of lists are not supported");
        if (json::go_kind(item) != json::go_kind(sample)) return failed(element_kinds(target, change));
      }
    }
    if (!objects) return primitives(target, change, deletes);
    if (field.key.empty()) return failed("cannot merge lists without merge key");
    return objects_by_key(field, target, change);
  }

  Status primitives(Value& target, Value& change, bool deletes) {
    const Positions named(change, {});
    if (deletes) {
      for (auto item = target.Begin(); item != target.End();)
        item = named.of(*item, {}) ? target.Erase(item) : item + 1;
      return Status::OK();
    }
    const Positions before(target, {});
    Value unique(rapidjson::kArrayType);
    std::unordered_set<std::string> seen;
    for (Value* side : {&target, &change}) {
      for (Value& item : side->GetArray()) {
        if (seen.insert(json::dump(item)).second) unique.PushBack(item, alloc_);
      }
    }
    target = std::move(unique);
    arrange(target, {}, named, before);
    return Status::OK();
  }

  Status objects_by_key(const Member& field, Value& target, Value& change) {
    // Directives first: deletions and replacement of the whole list.
    bool replace = false;
    std::unordered_set<std::string> gone;
    for (const Value& item : change.GetArray()) {
      const Value* directive = json::find(item, kDirective);
      if (!directive) continue;
      const std::string_view name = directive->IsString() ? json::view(*directive) : std::string_view();
      if (name == "delete") {
        if (!json::find(item, field.key)) return no_merge_key(item, field.key);
        gone.insert(Positions::identity(item, field.key));
      } else if (name == "replace") {
        replace = true;
      } else if (name == "merge") {
        return failed("merging lists cannot yet be specified in the patch");
      } else {
        return bad_directive(*directive, item);
      }
    }
    erase_items(change, [](Value& item) { return json::find(item, kDirective) != nullptr; });
    if (!gone.empty())
      erase_items(target, [&](Value& item) { return gone.contains(Positions::identity(item, field.key)); });
    if (replace) {
      target = std::move(change);
      return Status::OK();
    }
    KNARR_RETURN_IF_ERROR(check_keys(change, field.key));
    KNARR_RETURN_IF_ERROR(check_keys(target, field.key));

    const Positions before(target, field.key), wanted(change, field.key);
    std::unordered_map<std::string, rapidjson::SizeType> index;
    for (rapidjson::SizeType i = 0; i < target.Size(); ++i) index.emplace(Positions::identity(target[i], field.key), i);
    for (Value& item : change.GetArray()) {
      const auto [at, added] = index.emplace(Positions::identity(item, field.key), target.Size());
      if (added) {
        // Nothing to merge with; what a client left in it as a deletion has no effect.
        drop_nulls(item);
        target.PushBack(std::move(item), alloc_);
      } else {
        KNARR_RETURN_IF_ERROR(object(field.inner, target[at->second], item));
      }
    }
    arrange(target, field.key, wanted, before);
    return Status::OK();
  }
};

}  // namespace

Status strategic_merge(const Type& type, Value& target, const Value& patch, Allocator& alloc) {
  if (!patch.IsObject()) return bad_request(fmt::format("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json::go_json_kind(patch)));
  if (!target.IsObject()) target.SetObject();
  Value change = json::copy(patch, alloc);
  return Merger(alloc).object({&type, nullptr}, target, change);
}

}  // namespace knarr::schema
