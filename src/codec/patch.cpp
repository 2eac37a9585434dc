#include "knarr/codec/patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "knarr/codec/go_text.h"

namespace knarr::patch {

namespace {

// What upstream answers when a well-formed patch does not apply.
Status does_not_apply(std::string message) {
  Status status(422, reason::kInvalid, "the server rejected our request due to an error in our request");
  status.with_cause({"UnexpectedServerResponse", std::move(message), ""});
  return status;
}

// /a~1b/c → {"a/b", "c"}. A pointer without a leading slash has no steps that apply.
std::optional<std::vector<std::string>> split_pointer(std::string_view pointer) {
  std::vector<std::string> steps;
  if (pointer.empty()) return steps;
  if (pointer.front() != '/') return std::nullopt;
  steps.emplace_back();
  for (size_t i = 1; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      steps.emplace_back();
    } else if (pointer.substr(i).starts_with("~1")) {
      steps.back() += '/';
      ++i;
    } else if (pointer.substr(i).starts_with("~0")) {
      steps.back() += '~';
      ++i;
    } else {
      steps.back() += pointer[i];
    }
  }
  return steps;
}

// An index below `size`; a negative one counts from the end, as upstream has it.
std::optional<rapidjson::SizeType> to_index(std::string_view text, size_t size) {
  int64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (index < 0) index += static_cast<int64_t>(size);
  if (index < 0 || index >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<rapidjson::SizeType>(index);
}

json::Value* child(json::Value& parent, std::string_view step) {
  if (parent.IsObject()) return json::find(parent, step);
  if (!parent.IsArray()) return nullptr;
  const auto index = to_index(step, parent.Size());
  return index ? &parent[*index] : nullptr;
}

// Applies the operations of one patch to one document.
class Applier {
 public:
  Applier(json::Value& target, json::Allocator& alloc) : target_(target), alloc_(alloc) {}

  Status apply(const json::Value& operation) {
    op_ = json::get_string(operation, "op");
    const json::Value* path = json::find(operation, "path");
    const json::Value* from = json::find(operation, "from");
    const json::Value* value = json::find(operation, "value");
    const bool takes = op_ == "move" || op_ == "copy";
    if (!takes && op_ != "add" && op_ != "remove" && op_ != "replace" && op_ != "test") {
      return does_not_apply(fmt::format("Unexpected kind: {}", op_.empty() ? "unknown" : op_));
    }
    if (takes && (!from || !from->IsString())) {
      return not_applied("failed to decode from: operation, missing from field: missing value");
    }
    if (!path || !path->IsString()) {
      const bool brief = op_ == "add" || op_ == "remove" || op_ == "copy";
      return not_applied("failed to decode path: {}missing value", brief ? "" : "operation missing path field: ");
    }
    path_ = json::view(*path);
    if (op_ == "test") return test(value);
    if (op_ == "remove") return remove();
    if (op_ == "add") return add(value ? json::copy(*value, alloc_) : json::Value());
    if (op_ == "replace") return replace(value ? json::copy(*value, alloc_) : json::Value());
    json::Value taken;
    KNARR_RETURN_IF_ERROR(op_ == "move" ? move_from(json::view(*from), taken) : copy_from(json::view(*from), taken));
    return add(std::move(taken));
  }

 private:
  json::Value& target_;
  json::Allocator& alloc_;
  std::string_view op_, path_;
  size_t copied_ = 0;

  // The words of upstream's library, whose errors clients see.
  template <typename... Args>
  Status not_applied(fmt::format_string<Args...> format, Args&&... args) const {
    return does_not_apply(fmt::format("{} operation {}", op_, fmt::format(format, std::forward<Args>(args)...)));
  }
  Status failed(std::string_view where, std::string_view at, std::string_view why) const {
    return does_not_apply(fmt::format("error in {} for {}: '{}': {}", op_, where, at, why));
  }
  static std::string bad_index(std::string_view key) {
    int64_t index = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    if (error != std::errc() || end != key.data() + key.size())
      return fmt::format("strconv.Atoi: parsing \"{}\": invalid syntax", key);
    return fmt::format("Unable to access invalid index: {}: invalid index referenced", index);
  }
  static std::string no_key(std::string_view key) {
    return fmt::format("Unable to remove nonexistent key: {}: missing value", key);
  }

  // The container that `path` ends in, and the last step; null where the way there does not exist.
  json::Value* parent_of(std::string_view path, std::string& key) {
    auto steps = split_pointer(path);
    if (!steps || steps->empty()) return nullptr;
    key = std::move(steps->back());
    steps->pop_back();
    json::Value* at = &target_;
    for (const std::string& step : *steps) {
      at = child(*at, step);
      if (!at) return nullptr;
    }
    return at->IsObject() || at->IsArray() ? at : nullptr;
  }

  // Nesting grows only by what an operation puts somewhere.
  bool fits(const json::Value& value) const {
    const auto steps = std::count(path_.begin(), path_.end(), '/');
    return steps <= json::kMaxDepth && json::within_depth(value, json::kMaxDepth - static_cast<int>(steps));
  }

  Status add(json::Value value) {
    if (!fits(value)) return failed("path", path_, "the result is nested too deeply");
    std::string key;
    json::Value* parent = parent_of(path_, key);
    if (!parent) {
      return op_ == "add" ? not_applied("does not apply: doc is missing path: \"{}\": missing value", path_)
                          : not_applied("does not apply: doc is missing destination path: {}: missing value", path_);
    }
    if (parent->IsObject()) {
      json::set(*parent, key, std::move(value), alloc_);
      return Status::OK();
    }
    const auto index = key == "-" ? std::optional(parent->Size()) : to_index(key, parent->Size() + 1);
    if (!index) {
      std::string why = bad_index(key);
      if (why.starts_with("strconv")) why = fmt::format("value was not a proper array index: '{}': {}", key, why);
      return op_ == "copy" ? does_not_apply("error while adding value during copy: " + why)
                           : failed("path", path_, why);
    }
    parent->PushBack(std::move(value), alloc_);
    for (auto i = parent->Size() - 1; i > *index; --i) (*parent)[i].Swap((*parent)[i - 1]);
    return Status::OK();
  }

  static void erase(json::Value& parent, json::Value* value, std::string_view key) {
    if (parent.IsObject()) {
      json::remove(parent, key);
    } else {
      parent.Erase(parent.Begin() + (value - parent.Begin()));
    }
  }

  Status remove() {
    std::string key;
    json::Value* parent = parent_of(path_, key);
    if (!parent) return not_applied("does not apply: doc is missing path: \"{}\": missing value", path_);
    json::Value* value = child(*parent, key);
    if (!value) return failed("path", path_, parent->IsArray() ? bad_index(key) : no_key(key));
    erase(*parent, value, key);
    return Status::OK();
  }

  Status move_from(std::string_view from, json::Value& taken) {
    std::string key;
    json::Value* parent = parent_of(from, key);
    if (!parent) return not_applied("does not apply: doc is missing from path: {}: missing value", from);
    json::Value* value = child(*parent, key);
    if (!value) return failed("path", key, parent->IsArray() ? bad_index(key) : no_key(key));
    taken = std::move(*value);
    erase(*parent, value, key);
    return Status::OK();
  }

  // A member that is not there is copied as null, as upstream's library does.
  Status copy_from(std::string_view from, json::Value& taken) {
    std::string key, to;
    json::Value* parent = parent_of(from, key);
    if (!parent) return not_applied("does not apply: doc is missing from path: {}: missing value", from);
    json::Value* value = child(*parent, key);
    if (!value && parent->IsArray()) return failed("from", from, bad_index(key));
    if (!value) return Status::OK();
    if (parent_of(path_, to)) copied_ += json::dump(*value).size();
    if (copied_ > kMaxCopied) {
      return does_not_apply(fmt::format(
          "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit {}", copied_,
          kMaxCopied));
    }
    taken = json::copy(*value, alloc_);
    return Status::OK();
  }

  Status replace(json::Value value) {
    if (!fits(value)) return failed("path", path_, "the result is nested too deeply");
    if (path_.empty()) {
      if (!value.IsObject() && !value.IsArray()) return not_applied("value must be object or array");
      target_ = std::move(value);
      return Status::OK();
    }
    std::string key;
    json::Value* parent = parent_of(path_, key);
    if (!parent) return not_applied("does not apply: doc is missing path: {}: missing value", path_);
    if (json::Value* old = child(*parent, key)) {
      *old = std::move(value);
      return Status::OK();
    }
    if (parent->IsArray()) return not_applied("does not apply: doc is missing key: {}: missing value", path_);
    json::set(*parent, key, std::move(value), alloc_);  // upstream's library sets absent members, too
    return Status::OK();
  }

  Status test(const json::Value* want) {
    const json::Value* have = &target_;
    if (!path_.empty()) {
      std::string key;
      json::Value* parent = parent_of(path_, key);
      if (!parent) return not_applied("does not apply: is missing path: {}: missing value", path_);
      have = child(*parent, key);
      if (!have && parent->IsArray()) return failed("path", path_, bad_index(key));
    }
    static const json::Value kNull;
    if (json::equal(have ? *have : kNull, want ? *want : kNull)) return Status::OK();
    return does_not_apply(fmt::format("testing value {} failed: test failed", path_));
  }
};

void merge(json::Value& target, const json::Value& patch, json::Allocator& alloc);

void drop_null_members(json::Value& value) {
  if (value.IsArray()) {
    for (json::Value& item : value.GetArray()) drop_null_members(item);
  } else if (value.IsObject()) {
    for (auto member = value.MemberBegin(); member != value.MemberEnd();) {
      drop_null_members(member->value);
      member = member->value.IsNull() ? value.EraseMember(member) : member + 1;
    }
  }
}

// Two large objects: one walk over each, instead of a search for every member.
void merge_large(json::Value& target, const json::Value& patch, json::Allocator& alloc) {
  std::unordered_map<std::string_view, const json::Value*> changes;
  for (const auto& member : patch.GetObject()) changes.emplace(json::view(member.name), &member.value);
  json::Value merged(rapidjson::kObjectType);
  for (auto& member : target.GetObject()) {
    const auto change = changes.find(json::view(member.name));
    if (change != changes.end()) {
      const bool drop = change->second->IsNull();
      if (!drop) merge(member.value, *change->second, alloc);
      changes.erase(change);
      if (drop) continue;
    }
    merged.AddMember(member.name, member.value, alloc);
  }
  for (const auto& member : patch.GetObject()) {
    if (member.value.IsNull() || !changes.contains(json::view(member.name))) continue;
    json::Value value;
    merge(value, member.value, alloc);
    merged.AddMember(json::copy(member.name, alloc), std::move(value), alloc);
  }
  target = std::move(merged);
}

void merge(json::Value& target, const json::Value& patch, json::Allocator& alloc) {
  constexpr size_t kLarge = 64;
  if (!patch.IsObject()) {
    const bool prune = !target.IsObject();  // so does upstream's library; the RFC leaves lists as they are
    target = json::copy(patch, alloc);
    if (prune) drop_null_members(target);
    return;
  }
  if (!target.IsObject()) target.SetObject();
  if (target.MemberCount() > kLarge && patch.MemberCount() > kLarge) return merge_large(target, patch, alloc);
  for (const auto& member : patch.GetObject()) {
    const std::string_view key = json::view(member.name);
    if (member.value.IsNull()) {
      json::remove(target, key);
      continue;
    }
    json::Value* present = json::find(target, key);
    if (!present) present = &json::set(target, key, json::Value(), alloc);
    merge(*present, member.value, alloc);
  }
}

}  // namespace

Status check_operations(const json::Value& patch, std::vector<std::string>& unknown) {
  const auto wrong = [](const json::Value& value, std::string_view wanted) {
    return bad_request(fmt::format("error decoding patch: json: cannot unmarshal {} into Go {}", json::go_json_kind(value), wanted));
  };
  if (patch.IsNull()) return Status::OK();
  if (!patch.IsArray()) return wrong(patch, "value of type []handlers.jsonPatchOp");
  for (rapidjson::SizeType i = 0; i < patch.Size(); ++i) {
    if (patch[i].IsNull()) continue;
    if (!patch[i].IsObject()) return wrong(patch[i], "value of type handlers.jsonPatchOp");
    for (const auto& member : patch[i].GetObject()) {
      const std::string_view name = json::view(member.name);
      if (name == "value") continue;
      if (name != "op" && name != "path" && name != "from") {
        unknown.push_back(fmt::format("[{}].{}", i, name));
      } else if (!member.value.IsString() && !member.value.IsNull()) {
        return wrong(member.value, fmt::format("struct field jsonPatchOp.{} of type string", name));
      }
    }
  }
  return Status::OK();
}

Status apply_json(json::Value& target, const json::Value& patch, json::Allocator& alloc) {
  const auto wrong = [](const json::Value& value, std::string_view wanted) {
    return bad_request(fmt::format("json: cannot unmarshal {} into Go value of type jsonpatch.{}", json::go_json_kind(value), wanted));
  };
  if (patch.IsNull()) return Status::OK();  // no operations
  if (!patch.IsArray()) return wrong(patch, "Patch");
  for (const json::Value& operation : patch.GetArray())
    if (!operation.IsObject() && !operation.IsNull()) return wrong(operation, "Operation");
  if (patch.Size() > kMaxOperations) {
    return {413, reason::kRequestEntityTooLarge,
            fmt::format("Request entity too large: The allowed maximum operations in a JSON patch is {}, got {}", kMaxOperations,
                        patch.Size())};
  }
  Applier applier(target, alloc);
  for (const json::Value& operation : patch.GetArray()) KNARR_RETURN_IF_ERROR(applier.apply(operation));
  return Status::OK();
}

Status apply_merge(json::Value& target, const json::Value& patch, json::Allocator& alloc) {
  if (!patch.IsObject())
    return bad_request(fmt::format("error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                                   json::go_json_kind(patch)));
  merge(target, patch, alloc);
  return Status::OK();
}

}  // namespace knarr::patch
