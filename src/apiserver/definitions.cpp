#include "definitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "knarr/apiserver/document.h"
#include "knarr/apiserver/extract.h"
#include "knarr/base/log.h"
#include "knarr/codec/time.h"
#include "knarr/schema/apply.h"
#include "knarr/schema/custom.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

constexpr std::string_view kCleanup = "customresourcecleanup.apiextensions.k8s.io";
constexpr size_t kEventsAtOnce = 256, kRemovedAtOnce = 256;

const schema::Resource& definitions_resource() {
  static const schema::Resource& resource =
      *schema::find_resource("apiextensions.k8s.io", "v1", "customresourcedefinitions");
  return resource;
}

std::vector<std::string> words_of(const Value& names, bool kinds) {
  std::vector<std::string> out;
  const auto take = [&](std::string_view word) {
    if (!word.empty()) out.emplace_back(word);
  };
  if (kinds) {
    take(json::get_string(names, "kind"));
    take(json::get_string(names, "listKind"));
    return out;
  }
  take(json::get_string(names, "plural"));
  take(json::get_string(names, "singular"));
  if (const Value* list = json::find(names, "shortNames"); list && list->IsArray())
    for (const Value& word : list->GetArray())
      if (word.IsString()) take(json::view(word));
  return out;
}

const Value& member(const Value& object, std::initializer_list<std::string_view> path) {
  static const Value none(rapidjson::kObjectType);
  const Value* found = json::find(object, path);
  return found && found->IsObject() ? *found : none;
}

struct Condition {
  std::string_view type, status, reason;
  std::string message;
};

Value* find_condition(Value& crd, std::string_view type) {
  Value* list = json::find(crd, {"status", "conditions"});
  if (!list || !list->IsArray()) return nullptr;
  for (Value& condition : list->GetArray())
    if (json::get_string(condition, "type") == type) return &condition;
  return nullptr;
}

bool is_true(Value& crd, std::string_view type) {
  const Value* condition = find_condition(crd, type);
  return condition && json::get_string(*condition, "status") == "True";
}

bool says(Value& crd, const Condition& wanted) {
  const Value* there = find_condition(crd, wanted.type);
  return there && json::get_string(*there, "status") == wanted.status &&
         json::get_string(*there, "reason") == wanted.reason && json::get_string(*there, "message") == wanted.message;
}

void set_condition(Document& crd, const Condition& wanted, WallTime now) {
  auto& alloc = crd.GetAllocator();
  Value* condition = find_condition(crd, wanted.type);
  if (!condition) {
    Value& status = json::ensure_object(crd, {"status"}, alloc);
    Value* list = json::find(status, "conditions");
    if (!list || !list->IsArray()) list = &json::set(status, "conditions", Value(rapidjson::kArrayType), alloc);
    list->PushBack(Value(rapidjson::kObjectType), alloc);
    condition = &(*list)[list->Size() - 1];
    json::set(*condition, "type", wanted.type, alloc);
  }
  const bool turned = json::get_string(*condition, "status") != wanted.status;
  json::set(*condition, "status", wanted.status, alloc);
  if (turned) json::set(*condition, "lastTransitionTime", format_time(now), alloc);
  json::set(*condition, "reason", wanted.reason, alloc);
  json::set(*condition, "message", wanted.message, alloc);
}

void remove_cleanup(Document& crd) {
  auto finalizers = finalizers_of(crd);
  std::erase(finalizers, kCleanup);
  set_finalizers(crd, finalizers, crd.GetAllocator());
}

bool waits_for_cleanup(const Value& crd) {
  const auto finalizers = finalizers_of(crd);
  return is_deleting(crd) && std::find(finalizers.begin(), finalizers.end(), kCleanup) != finalizers.end();
}

// An approval that the definition's group needs, as a condition.
void set_approval(Document& crd, WallTime now) {
  const auto approval = schema::approval_of(crd);
  if (!approval) return;
  const Condition condition{"KubernetesAPIApprovalPolicyConformant", approval->approved ? "True" : "False",
                            approval->condition_reason, approval->message};
  if (!says(crd, condition)) set_condition(crd, condition, now);
}

}  // namespace

void begin_definition_deletion(Document& crd, WallTime now) {
  auto finalizers = finalizers_of(crd);
  if (std::find(finalizers.begin(), finalizers.end(), kCleanup) == finalizers.end()) finalizers.emplace_back(kCleanup);
  set_finalizers(crd, finalizers, crd.GetAllocator());
  json::set(metadata_of(crd, crd.GetAllocator()), "deletionTimestamp", format_time(now), crd.GetAllocator());
  set_condition(crd,
                {"Terminating", "True", "InstanceDeletionPending",
                 "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"},
                now);
}

Definitions::Definitions(store::Store& store, const Clock& clock, schema::Registry& registry)
    : store_(store), clock_(clock), registry_(registry), id_(store.resource(kDefinitions)) {
  listener_ = store_.add_listener(
      [this](std::span<const store::ResourceId> resources, store::Revision) { on_publication(resources); });
  sync();
}

Definitions::~Definitions() { store_.remove_listener(listener_); }

void Definitions::on_publication(std::span<const store::ResourceId> resources) {
  for (const store::ResourceId id : resources) {
    if (id == id_) {
      dirty_ = true;
      return;
    }
  }
  Lock lock(waiting_mutex_);
  if (waiting_.empty()) return;
  for (const store::ResourceId id : resources)
    if (waiting_.contains(id)) dirty_ = true;
}

void Definitions::sync() {
  thread_local bool inside = false;  // what is written here is followed by the loop below
  if (inside || !dirty_.load()) return;
  struct Inside {
    Inside() { inside = true; }
    ~Inside() { inside = false; }
  } const here;
  Lock lock(mutex_);
  while (dirty_.exchange(false)) follow();
  if (changed_) publish();
}

void Definitions::follow() {
  std::vector<store::EventPtr> events;
  if (!cursor_) load();
  while (cursor_) {
    events.clear();
    if (!cursor_->next(kEventsAtOnce, events).ok()) {  // fell behind: everything is read anew
      cursor_.reset();
      load();
      continue;
    }
    if (events.empty()) break;
    for (const store::EventPtr& event : events) {
      if (event->type == store::EventType::kDeleted) {
        forget(event->object->key);
      } else if (store_.get(id_, event->object->key) == event->object) {  // else a later event says more
        take(event->object);
      }
    }
  }
  while (!again_.empty()) {
    const std::string name = *again_.begin();
    again_.erase(again_.begin());
    if (const store::ObjectPtr object = store_.get(id_, name)) take(object);
  }
  std::vector<store::ObjectPtr> ending;
  for (const auto& [name, entry] : entries_)
    if (!entry.resources.empty() && entry.resources.front()->custom->terminating()) ending.push_back(entry.object);
  for (const store::ObjectPtr& object : ending) {
    auto crd = json::parse(object->value);
    if (crd.ok() && waits_for_cleanup(*crd)) clean_up(object, *crd);
  }
}

void Definitions::load() {
  auto cursor = store_.watch(id_, 0);
  const auto listed = store_.list(id_, {});
  if (!cursor.ok() || !listed.ok()) {
    log::error("apiserver", "custom resource definitions cannot be read",
               {{"error", cursor.ok() ? listed.status().message() : cursor.status().message()}});
    return;
  }
  cursor_ = std::move(*cursor);
  std::set<std::string> there;
  for (const store::ObjectPtr& object : listed->objects) there.insert(object->key);
  std::vector<std::string> gone;
  for (const auto& [name, entry] : entries_)
    if (!there.contains(name)) gone.push_back(name);
  for (const std::string& name : gone) forget(name);
  // Names that are held already go before those that are only asked for.
  for (const store::ObjectPtr& object : listed->objects) {
    const auto crd = json::parse(object->value);
    if (!crd.ok()) continue;
    Entry& entry = entries_[object->key];
    entry.group = json::get_string(*crd, {"spec", "group"});
    entry.words = words_of(member(*crd, {"status", "acceptedNames"}), false);
    entry.kinds = words_of(member(*crd, {"status", "acceptedNames"}), true);
  }
  for (const store::ObjectPtr& object : listed->objects) take(object);
}

void Definitions::take(const store::ObjectPtr& object) {
  auto parsed = json::parse(object->value);
  if (!parsed.ok()) return;
  Document& crd = *parsed;
  if (settle_status(object, crd)) return;
  Entry& entry = entries_[object->key];
  const Value& accepted = member(crd, {"status", "acceptedNames"});
  const std::string accepted_text = json::dump(accepted);
  const std::string_view uid = meta_string(crd, "uid");
  const int64_t generation = json::get_int(member(crd, {"metadata"}), "generation");
  const bool names_changed = entry.accepted != accepted_text && !entry.accepted.empty();
  const bool same = entry.uid == uid && entry.generation == generation && entry.accepted == accepted_text;
  entry.object = object;
  entry.group = json::get_string(crd, {"spec", "group"});
  entry.uid = uid;
  entry.generation = generation;
  entry.accepted = accepted_text;
  entry.words = words_of(accepted, false);
  entry.kinds = words_of(accepted, true);
  entry.named_as_wanted = json::equal(accepted, member(crd, {"spec", "names"}));
  const bool served = is_true(crd, "Established") || is_true(crd, "NamesAccepted");
  if (!served) {
    retire(entry);
  } else if (!same || entry.resources.empty()) {
    retire(entry);
    serve(entry, crd);
  } else {
    for (const auto& resource : entry.resources) resource->custom->set_text({object, &object->value});
  }
  const bool ends = is_deleting(crd);
  for (const auto& resource : entry.resources) resource->custom->set_terminating(ends);
  if (names_changed) look_again_at_group(entry.group, object->key);
  if (ends && entry.resources.empty() && waits_for_cleanup(crd)) clean_up(object, crd);
}

void Definitions::forget(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  retire(found->second);
  const std::string group = found->second.group;
  {
    Lock lock(waiting_mutex_);
    waiting_.erase(store_.resource(name));
  }
  entries_.erase(found);
  look_again_at_group(group, name);
}

void Definitions::look_again_at_group(const std::string& group, const std::string& but) {
  for (const auto& [name, entry] : entries_)
    if (entry.group == group && name != but && !entry.named_as_wanted) again_.insert(name);
}

void Definitions::serve(Entry& entry, const Value& crd) {
  const store::ObjectPtr& object = entry.object;
  entry.resources = schema::Custom::make(crd, {object, &object->value}, ++number_);
  if (!entry.resources.empty()) entry.resources.front()->custom->set_since(object->revision);
  if (object->value.find("\"x-kubernetes-validations\":") != std::string::npos)
    log::info("apiserver", "rules of a custom resource definition are kept, but not evaluated: knarr does not know CEL",
              {{"definition", object->key}});
  changed_ = true;
}

void Definitions::retire(Entry& entry) {
  if (entry.resources.empty()) return;
  entry.resources.front()->custom->retire();
  entry.resources.clear();
  changed_ = true;
}

void Definitions::publish() {
  schema::MadeResources made;
  for (const auto& [name, entry] : entries_) made.insert(made.end(), entry.resources.begin(), entry.resources.end());
  const schema::CatalogPtr before = registry_.catalog();
  registry_.publish(std::move(made));
  changed_ = false;
  // Watches of what is served no more learn so.
  std::set<store::ResourceId> ended;
  for (const auto& resource : before->made())
    if (resource->custom->retired()) ended.insert(store_.resource(resource->storage_name));
  if (!ended.empty()) store_.touch({ended.begin(), ended.end()});
}

bool Definitions::write(const store::Object& existing, Document& crd, bool gone) {
  const schema::Resource& resource = definitions_resource();
  if (const auto before = json::parse(existing.value); before.ok())
    schema::track_fields(resource, {"kube-apiserver", "status", format_time(clock_.wall())}, crd, &*before,
                         crd.GetAllocator());
  store::Write write = write_over(gone ? store::Write::Op::kDelete : store::Write::Op::kPut, resource, existing, crd,
                                  encode_object(resource, crd));
  const auto committed = store_.commit({&write, 1});
  if (committed.ok()) return true;
  if (!committed.status().is(reason::kConflict) && !committed.status().is(reason::kNotFound))
    log::warn("apiserver", "the state of a custom resource definition cannot be written",
              {{"definition", existing.key}, {"error", committed.status().message()}});
  return committed.status().is(reason::kConflict) || committed.status().is(reason::kNotFound);  // then it comes again
}

bool Definitions::settle_status(const store::ObjectPtr& object, Document& crd) {
  const Document before = json::copy(crd);
  auto& alloc = crd.GetAllocator();
  const WallTime now = clock_.wall();
  set_approval(crd, now);
  const Value &wanted = member(crd, {"spec", "names"}), &held = member(crd, {"status", "acceptedNames"});
  const std::string group(json::get_string(crd, {"spec", "group"}));
  std::set<std::string> words, kinds;
  for (const auto& [name, entry] : entries_) {
    if (entry.group != group || name == object->key) continue;
    words.insert(entry.words.begin(), entry.words.end());
    kinds.insert(entry.kinds.begin(), entry.kinds.end());
  }
  if (!json::equal(wanted, held)) {
    Condition accepted{"NamesAccepted", "True", "NoConflicts", "no conflicts found"};
    Document names(rapidjson::kObjectType);
    static_cast<Value&>(names) = json::copy(held, names.GetAllocator());
    const auto keep = [&](std::string_view key) {
      if (const Value* value = json::find(wanted, key)) {
        json::set(names, key, json::copy(*value, names.GetAllocator()), names.GetAllocator());
      } else {
        json::remove(names, key);
      }
    };
    const auto refuse = [&](std::string_view reason, std::string message) {
      accepted.status = "False";
      accepted.reason = reason;
      accepted.message = std::move(message);
    };
    const auto in_use = [](std::string_view word) { return fmt::format("\"{}\" is already in use", word); };
    const auto settle = [&](std::string_view key, const std::set<std::string>& used, std::string_view reason) {
      const std::string word(json::get_string(wanted, key));
      if (word != json::get_string(held, key) && used.contains(word)) {
        refuse(reason, in_use(word));
      } else {
        keep(key);
      }
    };
    settle("plural", words, "PluralConflict");
    settle("singular", words, "SingularConflict");
    std::vector<std::string> conflicts;
    if (const Value* shorts = json::find(wanted, "shortNames"); shorts && shorts->IsArray()) {
      const auto own = words_of(held, false);
      for (const Value& word : shorts->GetArray()) {
        const std::string text(word.IsString() ? json::view(word) : std::string_view());
        const bool mine = std::find(own.begin(), own.end(), text) != own.end();
        if (!mine && words.contains(text)) conflicts.push_back(in_use(text));
      }
    }
    if (conflicts.empty()) {
      keep("shortNames");
    } else {
      const std::string all = fmt::format("{}", fmt::join(conflicts, ", "));
      refuse("ShortNamesConflict", conflicts.size() == 1 ? all : "[" + all + "]");
    }
    settle("kind", kinds, "KindConflict");
    settle("listKind", kinds, "ListKindConflict");
    keep("categories");
    json::set(json::ensure_object(crd, {"status"}, alloc), "acceptedNames", json::copy(names, alloc), alloc);
    set_condition(crd, accepted, now);
    const bool good = accepted.status == "True";
    if (!is_true(crd, "Established")) {
      if (good) {
        set_condition(crd, {"Established", "True", "InitialNamesAccepted", "the initial names have been accepted"},
                      now);
      } else if (!find_condition(crd, "Established")) {
        set_condition(crd, {"Established", "False", "NotAccepted", "not all names are accepted"}, now);
      }
    }
  }
  return !json::equal(crd, before) && write(*object, crd, false);
}

bool Definitions::remove_instances(const Value& crd) {
  const store::ResourceId id = store_.resource(meta_string(crd, "name"));
  const auto listed = store_.list(id, {});
  if (!listed.ok()) return false;
  const std::string now = format_time(clock_.wall());
  std::vector<store::Write> writes;
  const auto flush = [&] {
    if (!writes.empty()) (void)store_.commit(writes);  // what somebody else changed meanwhile is looked at again
    writes.clear();
  };
  for (const store::ObjectPtr& object : listed->objects) {
    auto instance = json::parse(object->value);
    if (!instance.ok()) continue;
    store::Write write;
    write.resource = id;
    write.key = object->key;
    write.expect = store::Write::Expect::kRevision;
    write.expected = object->revision;
    if (has_finalizers(*instance)) {
      if (is_deleting(*instance)) continue;
      auto& alloc = instance->GetAllocator();
      Value& metadata = metadata_of(*instance, alloc);
      json::set(metadata, "generation", Value(json::get_int(metadata, "generation") + 1), alloc);
      json::set(metadata, "deletionTimestamp", now, alloc);
      json::set(metadata, "deletionGracePeriodSeconds", Value(0), alloc);
      Encoded encoded = encode_as_it_is(*instance);
      write.value = std::move(encoded.text);
      write.rev_pos = encoded.rev_pos;
      write.extract = extract_of(nullptr, *instance);
    } else {
      write.op = store::Write::Op::kDelete;
    }
    writes.push_back(std::move(write));
    if (writes.size() == kRemovedAtOnce) flush();
  }
  flush();
  return store_.count(id) == 0;
}

void Definitions::clean_up(const store::ObjectPtr& object, Document& crd) {
  const WallTime now = clock_.wall();
  const store::ResourceId id = store_.resource(meta_string(crd, "name"));
  if (is_true(crd, "Established") && !remove_instances(crd)) {
    {
      Lock lock(waiting_mutex_);
      waiting_.insert(id);
    }
    const Condition going{"Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"};
    if (store_.count(id) > 0) {
      if (says(crd, going)) return;
      set_condition(crd, going, now);
      (void)write(*object, crd, false);
      return;
    }
  }
  {
    Lock lock(waiting_mutex_);
    waiting_.erase(id);
  }
  set_condition(crd,
                is_true(crd, "Established")
                    ? Condition{"Terminating", "False", "InstanceDeletionCompleted", "removed all instances"}
                    : Condition{"Terminating", "False", "NeverEstablished", "resource was never established"},
                now);
  remove_cleanup(crd);
  (void)write(*object, crd, !has_finalizers(crd));
}

}  // namespace knarr::apiserver
