#include "knarr/schema/apply.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "schema/apply_managers.h"
#include "schema/apply_text.h"

namespace knarr::schema {

using json::Allocator;
using json::Document;
using json::Value;

namespace {

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
constexpr std::string_view kKubectl = "kubectl";
constexpr std::string_view kBeforeFirstApply = "before-first-apply";
constexpr size_t kMaxAnnotations = 256 * 1024;

const Value& nothing() {
  static const Value object(rapidjson::kObjectType);
  return object;
}

View view_of(const Resource& resource) {
  const Type* type = resource.custom ? resource.custom->type() : nullptr;
  return View::of(type ? *type : *resource.type);
}

const Value* managed_fields(const Value* object) {
  return object ? json::find(*object, {"metadata", "managedFields"}) : nullptr;
}

// A list whose one entry is empty asks for all to be forgotten.
bool is_reset(const Value* list) {
  if (!list || !list->IsArray()) return false;
  return list->Empty() || (list->Size() == 1 && (*list)[0].IsObject() && (*list)[0].ObjectEmpty());
}

// Who managed the object before: the list that was sent where it is one, else that of the stored object.
Managers managers_of(const Value& object, const Value* old, bool subresource, Allocator& alloc) {
  const Value* before = managed_fields(old);
  if (!subresource) {
    const Value* sent = managed_fields(&object);
    if (is_reset(sent)) return {};
    if (sent && !(before && json::equal(*sent, *before))) {
      if (auto managers = Managers::from_json(sent, true, alloc); managers.ok() && !managers->list.empty())
        return std::move(*managers);
    }
  }
  auto managers = Managers::from_json(before, false, alloc);
  return managers.ok() ? std::move(*managers) : Managers();
}

void put_managed_fields(Value& object, Managers& managers, Allocator& alloc) {
  Value list = managers.to_json(alloc);
  Value& metadata = json::ensure_object(object, {"metadata"}, alloc);
  if (list.IsNull()) {
    json::remove(metadata, "managedFields");
  } else {
    json::set(metadata, "managedFields", std::move(list), alloc);
  }
}

// What a write changes, in the fields that the endpoint takes from clients.
bool changes(const Resource& resource, std::string_view subresource, const Value& before, const Value& after, Allocator& alloc,
             Comparison& out) {
  if (!compare(view_of(resource), before, after, alloc, out)) return false;
  for (FieldSet* set : {&out.added, &out.modified, &out.removed})
    *set = without_reset_fields(resource, subresource, without_system_fields(*set));
  return true;
}

// Takes what others change out of a manager's set; its conflicts are what of it they set otherwise.
FieldSet take_changes(const Resource& resource, Manager& manager, const FieldSet& changed, const FieldSet& removed,
                      Allocator& alloc) {
  const View view = view_of(resource);
  if (splits_atoms(view, manager.set(alloc))) manager.set(with_whole_atoms(view, manager.set(alloc)));
  const FieldSet& set = manager.set(alloc);
  FieldSet conflicts = intersect(set, changed);
  if (!conflicts.empty() || overlap(set, removed)) manager.set(subtract(subtract(set, conflicts), removed));
  return conflicts;
}

// A write of the whole object by `id`.
bool track(const Resource& resource, const ManagerId& id, std::string_view time, const Value& before, const Value& after,
           Managers& managers, Allocator& alloc) {
  managers.drop_unknown_versions(resource);
  Comparison difference;
  if (!changes(resource, id.subresource, before, after, alloc, difference)) return false;
  if (difference.same()) {
    std::erase_if(managers.list, [](const Manager& m) { return m.owns_nothing(); });
    return true;
  }
  FieldSet own = unite(difference.modified, difference.added);
  for (Manager& manager : managers.list) take_changes(resource, manager, own, difference.removed, alloc);
  std::erase_if(managers.list, [&](const Manager& m) { return m.set(alloc).empty(); });
  if (!own.empty()) {
    Manager* previous = managers.find(id);
    if (previous) {
      previous->set(unite(own, previous->set(alloc)));
    } else {
      managers.list.emplace_back(id, id.api_version, std::move(own));
      previous = &managers.list.back();
    }
    previous->time = time;
  }
  managers.cap(alloc);
  return true;
}

std::string kind_text(const Value& object) {
  const std::string_view version = json::get_string(object, "apiVersion");
  return fmt::format("{}{}, Kind={}", version.find('/') == std::string_view::npos ? "/" : "", version,
                     json::get_string(object, "kind"));
}

// "default/web; apps/v1, Kind=Deployment": an object in an error.
std::string object_text(const Value& object) {
  return fmt::format("{}/{}; {}", json::get_string(object, {"metadata", "namespace"}),
                     json::get_string(object, {"metadata", "name"}), kind_text(object));
}

struct Conflict {
  ManagerId manager;
  std::vector<PathElement> path;
};

std::string manager_text(const ManagerId& id) {
  std::string out = go_quoted(id.manager);
  if (!id.subresource.empty()) out += fmt::format(" with subresource {}", go_quoted(id.subresource));
  if (!id.applied) out += fmt::format(" using {}", id.api_version);
  return out;
}

Status conflict_status(const std::vector<Conflict>& conflicts) {
  std::string message;
  if (conflicts.size() == 1) {
    message = fmt::format("Apply failed with 1 conflict: conflict with {}: {}", manager_text(conflicts[0].manager),
                          path_text(conflicts[0].path));
  } else {
    message = fmt::format("Apply failed with {} conflicts: ", conflicts.size());
    for (size_t i = 0; i < conflicts.size(); ++i) {
      if (i > 0) message += '\n';
      if (i == 0 || !(conflicts[i].manager == conflicts[i - 1].manager))
        message += fmt::format("conflicts with {}:\n", manager_text(conflicts[i].manager));
      message += fmt::format("- {}", path_text(conflicts[i].path));
    }
  }
  Status status(409, reason::kConflict, std::move(message));
  for (const Conflict& conflict : conflicts)
    status.with_cause({"FieldManagerConflict", fmt::format("conflict with {}", manager_text(conflict.manager)),
                       path_text(conflict.path)});
  return status;
}

// One apply of a configuration over a live object.
class Applier {
 public:
  Applier(const Resource& resource, const FieldWriter& writer, const Value& live, const Value& config, Allocator& alloc)
      : resource_(resource),
        writer_(writer),
        view_(view_of(resource)),
        live_(live),
        config_(config),
        alloc_(alloc),
        id_{writer.manager, true, "", writer.subresource} {}

  Managers managers;  // before; after apply() what they have become
  Document result;
  bool changed = false;
  std::vector<Conflict> conflicts;

  // Conflicts are told in `conflicts`, nothing else is done then.
  void apply(bool force) {
    const Managers before = managers;
    for (Manager& manager : managers.list)
      if (splits_atoms(view_, manager.set(alloc_))) manager.set(with_whole_atoms(view_, manager.set(alloc_)));
    managers.drop_unknown_versions(resource_);
    Value merged = merge(view_, live_, config_, alloc_);
    const Manager* previous = managers.find(id_);
    const FieldSet last = previous ? previous->set(alloc_) : FieldSet();
    const std::string_view last_time = previous ? previous->time : std::string_view();
    FieldSet own = without_reset_fields(resource_, writer_.subresource, field_set(view_, config_, alloc_));
    managers.erase(id_);
    own_version_ = group_version_of(resource_);
    managers.list.emplace_back(id_, own_version_, std::move(own));
    managers.list.back().time = last_time;
    prune(merged, last);

    Comparison difference;
    changes(resource_, writer_.subresource, live_, merged, alloc_, difference);
    const FieldSet touched = unite(difference.modified, difference.added);
    conflicts.clear();
    for (Manager& manager : managers.list) {
      if (manager.id == id_) continue;
      const FieldSet lost = take_changes(resource_, manager, touched, difference.removed, alloc_);
      std::vector<PathElement> path;
      for_each_path(lost, path, [&](const auto& at) { conflicts.push_back({manager.id, at}); });
    }
    if (!force && !conflicts.empty()) {
      std::stable_sort(conflicts.begin(), conflicts.end(),
                       [](const Conflict& a, const Conflict& b) { return a.manager.text() < b.manager.text(); });
      managers = before;
      return;
    }
    conflicts.clear();
    Manager* self = managers.find(id_);
    self->set(without_system_fields(self->set(alloc_)));
    std::erase_if(managers.list, [&](const Manager& m) { return m.set(alloc_).empty(); });
    changed = !json::equal(live_, merged);
    if (changed) {
      if (Manager* there = managers.find(id_)) there->time = writer_.time;
    }
    static_cast<Value&>(result) = json::copy(merged, result.GetAllocator());
  }

  // Of the conflicts, those that client-side apply did not make: fields that still are as kubectl last applied them are kubectl's.
  std::vector<Conflict> beyond_last_applied() const {
    const std::string_view text = json::get_string(live_, {"metadata", "annotations", kLastApplied});
    if (text.empty()) return conflicts;
    const auto last = json::parse(text);
    if (!last.ok() || !last->IsObject() || json::get_string(*last, "apiVersion") != group_version_of(resource_) ||
        !misfits(view_, *last, alloc_).empty())
      return conflicts;
    Comparison difference;
    if (!compare(view_, *last, live_, alloc_, difference)) return conflicts;
    const FieldSet allowed = subtract(
        subtract(subtract(field_set(view_, *last, alloc_), difference.modified), difference.added), difference.removed);
    std::vector<Conflict> out;
    for (const Conflict& conflict : conflicts)
      if (!allowed.has_path(conflict.path)) out.push_back(conflict);
    return out;
  }

 private:
  const Resource& resource_;
  const FieldWriter& writer_;
  const View view_;
  const Value& live_;
  const Value& config_;
  Allocator& alloc_;
  const ManagerId id_;
  std::string own_version_;

  // What the manager applied before, does not now, and nobody else owns, goes.
  void prune(Value& merged, const FieldSet& last) {
    FieldSet owned;
    for (const Manager& manager : managers.list) owned = unite(owned, manager.set(alloc_));
    if (subtract(last, owned).empty()) return;
    const FieldSet named_last = with_named_fields(view_, last);
    const FieldSet all = with_named_fields(view_, field_set(view_, merged, alloc_));

    Value pruned = json::copy(merged, alloc_);
    remove_fields(view_, pruned, named_last, alloc_);
    const FieldSet kept = unite(with_named_fields(view_, field_set(view_, pruned, alloc_)), with_named_fields(view_, owned));
    pruned = json::copy(merged, alloc_);
    remove_fields(view_, pruned, subtract(all, kept), alloc_);

    // What was never this manager's stays, owned or not.
    const FieldSet left = with_named_fields(view_, field_set(view_, pruned, alloc_));
    remove_fields(view_, merged, intersect(subtract(all, left), named_last), alloc_);
    if (!merged.IsObject()) merged.SetObject();
  }
};

// kubectl's annotation follows what is applied, so that a client-side apply after it still works.
void put_last_applied(Document& object, const Value& config) {
  auto& alloc = object.GetAllocator();
  if (json::get_string(object, {"metadata", "annotations", kLastApplied}).empty()) return;
  Document applied = json::copy(config);
  if (Value* annotations = json::find(applied, {"metadata", "annotations"}); annotations && annotations->IsObject())
    json::remove(*annotations, kLastApplied);
  std::string text;
  append_go_json(applied, text);
  text += '\n';
  Value& annotations = json::ensure_object(object, {"metadata", "annotations"}, alloc);
  json::set(annotations, kLastApplied, text, alloc);
  size_t size = 0;
  for (const auto& [name, value] : annotations.GetObject())
    size += name.GetStringLength() + (value.IsString() ? value.GetStringLength() : 0);
  if (size > kMaxAnnotations) json::remove(annotations, kLastApplied);
}

Status check_config(const Resource& resource, const Value& config, Allocator& alloc) {
  const std::string version = group_version_of(resource);
  if (json::get_string(config, "apiVersion") != version || json::get_string(config, "kind") != resource.kind)
    return bad_request(fmt::format("invalid object type: {}", kind_text(config)));
  if (const Value* list = managed_fields(&config); list && list->IsArray())
    return bad_request("metadata.managedFields must be nil");
  if (const std::string why = misfits(view_of(resource), config, alloc); !why.empty())
    return Status(500, "", fmt::format("failed to create typed patch object ({}): {}", object_text(config), why));
  return Status::OK();
}

}  // namespace

void mark_managed_fields_reset(Value& object, Allocator& alloc) {
  Value* list = json::find(object, {"metadata", "managedFields"});
  if (list && list->IsArray() && list->Empty()) list->PushBack(Value(rapidjson::kObjectType), alloc);
}

void track_fields(const Resource& resource, const FieldWriter& writer, Value& object, const Value* old, Allocator& alloc) {
  Managers managers = managers_of(object, old, !writer.subresource.empty(), alloc);
  const std::string version = group_version_of(resource);
  const ManagerId id{writer.manager.empty() ? "unknown" : writer.manager, false, version, writer.subresource};
  // What was not tracked so far is tracked from its first apply on.
  const bool tracked = !old || !managers.list.empty();
  if (tracked && !track(resource, id, writer.time, old ? *old : nothing(), object, managers, alloc)) managers.list.clear();
  put_managed_fields(object, managers, alloc);
}

bool same_but_for_times(const Value* managed_fields, const Value* old) {
  if (!managed_fields || !old || !managed_fields->IsArray() || !old->IsArray()) return false;
  if (managed_fields->Size() != old->Size()) return false;
  for (rapidjson::SizeType i = 0; i < old->Size(); ++i) {
    const Value &a = (*managed_fields)[i], &b = (*old)[i];
    for (const std::string_view key : {"manager", "operation", "apiVersion", "fieldsType", "fieldsV1", "subresource"}) {
      const Value *left = json::find(a, key), *right = json::find(b, key);
      if (!left != !right || (left && !json::equal(*left, *right))) return false;
    }
  }
  return true;
}

Result<Document> apply(const Resource& resource, const FieldWriter& writer, bool force, const Value* live,
                       const Value& config) {
  Document scratch;
  auto& alloc = scratch.GetAllocator();
  KNARR_RETURN_IF_ERROR(check_config(resource, config, alloc));
  Document before;
  if (live) {
    before = json::copy(*live);
    if (Value* metadata = json::find(before, "metadata")) json::remove(*metadata, "managedFields");
  } else {
    before.SetObject();
  }

  const std::string version = group_version_of(resource);
  Applier applier(resource, writer, before, config, alloc);
  auto managers = Managers::from_json(managed_fields(live), false, alloc);
  if (!managers.ok())
    return internal_error(fmt::format("failed to decode managed fields: {}", managers.status().message()));
  applier.managers = std::move(*managers);
  if (live && applier.managers.list.empty()) {
    const ManagerId id{kBeforeFirstApply, false, version, writer.subresource};
    track(resource, id, writer.time, nothing(), before, applier.managers, alloc);
  }
  applier.apply(force);
  if (!applier.conflicts.empty() && writer.manager == kKubectl) {
    if (auto left = applier.beyond_last_applied(); left.empty()) {
      applier.apply(true);
    } else {
      applier.conflicts = std::move(left);
    }
  }
  if (!applier.conflicts.empty()) return conflict_status(applier.conflicts);

  Document object = std::move(applier.result);
  if (writer.manager == kKubectl) put_last_applied(object, config);
  if (applier.changed) {
    std::vector<std::string> unknown;
    const Status fits = resource.custom
                            ? custom::normalize(resource, object, object.GetAllocator(), &unknown, false, custom::Nulls::kKeep)
                            : normalize(*resource.type, object, object.GetAllocator(), unknown);
    if (!fits.ok())
      return Status(500, "", fmt::format("failed to convert new object ({}) to proper version: unable to convert "
                                         "unstructured object to {}: {}",
                                         object_text(config), kind_text(config), fits.message()));
    apply_defaults(resource, object, object.GetAllocator());
  }
  put_managed_fields(object, applier.managers, object.GetAllocator());
  return object;
}

}  // namespace knarr::schema
