// Deletes what its owners left behind, holds back owners that are deleted in the foreground until their dependents are
// gone, and sets dependents free of owners that are deleted as orphaning.
//
// It keeps no graph: the store finds an object's dependents by its uid, and an owner by its name. What happened is read
// from the store's own events; a key of the queue is an object that has to be looked at again.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "controllers/controller.h"
#include "controllers/publications.h"
#include "knarr/apiserver/document.h"
#include "knarr/apiserver/extract.h"
#include "knarr/base/sync.h"

namespace knarr::controllers {

namespace {

using apiserver::meta_string;
using apiserver::object_key;
using apiserver::Removal;
using json::Document;
using json::Value;
using store::ObjectPtr;

constexpr std::string_view kOrphan = "orphan", kForeground = "foregroundDeletion";
constexpr std::string_view kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";
constexpr std::string_view kGone = "gone:";  // before the uid of an owner, in the queue's keys

struct Owner {
  std::string api_version, kind, name, uid;
  bool blocks = false;  // blockOwnerDeletion
};

std::vector<Owner> owners_of(const Value& object) {
  std::vector<Owner> out;
  const Value* list = json::find(object, {"metadata", "ownerReferences"});
  if (!list || !list->IsArray()) return out;
  for (const Value& item : list->GetArray())
    out.push_back({std::string(json::get_string(item, "apiVersion")), std::string(json::get_string(item, "kind")),
                   std::string(json::get_string(item, "name")), std::string(json::get_string(item, "uid")),
                   json::get_bool(item, "blockOwnerDeletion")});
  return out;
}

// metadata.uid of an object's bytes, which hold it before anything else that may have such a member.
std::string_view uid_of(const store::Object& object) {
  constexpr std::string_view kMember = "\"uid\":\"";
  const size_t at = object.value.find(kMember);
  if (at == std::string::npos) return {};
  const std::string_view rest = std::string_view(object.value).substr(at + kMember.size());
  return rest.substr(0, rest.find('"'));
}

bool owned(const store::Object& object) {
  return std::any_of(object.extract.index.begin(), object.extract.index.end(),
                     [](const auto& entry) { return entry.first == apiserver::kIndexOwnerUid; });
}

bool has_finalizer(const Value& object, std::string_view name) {
  const auto all = apiserver::finalizers_of(object);
  return std::find(all.begin(), all.end(), name) != all.end();
}

// Being deleted, and waiting for its dependents to go first.
bool awaits_dependents(const Value& object) {
  return apiserver::is_deleting(object) && has_finalizer(object, kForeground);
}

class GarbageCollector : public Controller {
 public:
  explicit GarbageCollector(Context context)
      : rest_(*context.options.rest),
        store_(rest_.store()),
        publications_(*context.publications),
        events_(client::EventRecorder::make(context.options.transport, {.component = "garbage-collector-controller"})) {
    request_.user = auth::internal_user("generic-garbage-collector");
  }

  void watch(client::WorkQueue& queue) override {
    publications_.subscribe(
        "", {.event = [this, &queue](const auto& resource, const auto& event) { on_event(resource, event, queue); },
             .present =
                 [&queue](const auto&, const ObjectPtr& object) {
                   if (owned(*object) || waits(*object)) queue.add(key_of(*object));
                 }});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    if (key.starts_with(kGone)) {
      attempt(dependents_of(key.substr(kGone.size())), queue);
      return {};
    }
    const size_t colon = key.find(':');
    const store::ResourceId id = static_cast<store::ResourceId>(std::stoul(key.substr(0, colon)));
    const ObjectPtr object = store_.get(id, key.substr(colon + 1));
    if (!object) return {};
    for (const auto& followed : *publications_.resources())
      if (followed.id == id) return look_at({followed.resource, object});
    return {};
  }

 private:
  struct Item {
    schema::ResourceRef resource;
    ObjectPtr object;
  };

  static std::string key_of(const store::Object& object) { return fmt::format("{}:{}", object.resource, object.key); }

  static apiserver::Target target_of(const Item& item) {
    const auto [ns, name] = apiserver::split_key(item.object->key);
    return {item.resource.get(), "", ns, name};
  }

  // --- what happened ---

  // Is being deleted, and may hold itself back for its dependents.
  static bool waits(const store::Object& object) {
    return seems_deleting(object) && (mentions(object, kForeground) || mentions(object, "\"orphan\""));
  }

  void on_event(const schema::Resource& resource, const store::Event& event, client::WorkQueue& queue) {
    if (resource.storage_name == kDefinitions) look_again(queue);
    const store::Object& object = *event.object;
    if (event.type == store::EventType::kDeleted) {
      const std::string_view uid = uid_of(object);
      if (has_dependents(uid)) queue.add(std::string(kGone).append(uid));
      if (owned(object)) wake_owners(object, queue);
      return;
    }
    const bool had_owners = event.previous && owned(*event.previous);
    if (!owned(object) && !had_owners && !waits(object)) return;
    if (event.previous && !waits(object) && references(*event.previous) == references(object)) return;
    if (had_owners) wake_owners(*event.previous, queue);  // one may wait for this one no longer
    queue.add(key_of(object));
  }

  // The text of the owner references, for comparing two versions of an object.
  static std::string_view references(const store::Object& object) {
    constexpr std::string_view kMember = "\"ownerReferences\":[";
    const std::string_view text = object.value;
    const size_t begin = text.find(kMember);
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find(']', begin) - begin);
  }

  // Definitions changed: owners may be of kinds that are served now.
  void look_again(client::WorkQueue& queue) {
    Lock lock(mutex_);
    for (const std::string& key : std::exchange(unmapped_, {})) queue.add(key);
  }

  // The owners of an object that is gone, or is not theirs any longer: those that wait for it look around again.
  void wake_owners(const store::Object& object, client::WorkQueue& queue) {
    const auto document = json::parse(object.value);
    if (!document.ok()) return;
    for (const Owner& owner : owners_of(*document)) {
      const auto found = find_owner(owner, apiserver::split_key(object.key).first);
      if (found.object && mentions(*found.object, kForeground)) queue.add(key_of(*found.object));
    }
  }

  bool has_dependents(std::string_view uid) const {
    const auto resources = publications_.resources();
    return !uid.empty() && std::any_of(resources->begin(), resources->end(), [&](const auto& followed) {
      return !store_.list_index(followed.id, apiserver::kIndexOwnerUid, uid).empty();
    });
  }

  std::vector<Item> dependents_of(std::string_view uid) const {
    std::vector<Item> out;
    for (const auto& followed : *publications_.resources())
      for (ObjectPtr& object : store_.list_index(followed.id, apiserver::kIndexOwnerUid, uid))
        out.push_back({followed.resource, std::move(object)});
    return out;
  }

  // --- what is to be done ---

  Status look_at(const Item& item) {
    std::vector<Removal> removals;
    std::vector<Item> removed;
    KNARR_RETURN_IF_ERROR(decide(item, removals, removed));
    return remove(removals);
  }

  // Many at once: their deletions are made in few commits. What fails is tried again by itself.
  void attempt(const std::vector<Item>& items, client::WorkQueue& queue) {
    std::vector<Removal> removals;
    std::vector<Item> removed;
    for (const Item& item : items) {
      if (const Status status = decide(item, removals, removed); !status.ok())
        queue.add_rate_limited(key_of(*item.object));
    }
    const auto answers = rest_.remove_many(request_, removals);
    for (size_t i = 0; i < answers.size(); ++i)
      if (!settled(answers[i].status()).ok()) queue.add_rate_limited(key_of(*removed[i].object));
  }

  Status remove(const std::vector<Removal>& removals) {
    for (const auto& answer : rest_.remove_many(request_, removals)) KNARR_RETURN_IF_ERROR(settled(answer.status()));
    return {};
  }

  static Status settled(Status status) { return status.is(reason::kNotFound) ? Status() : status; }

  // Changes the object as its place in the order of things asks, or adds its deletion to `removals` (and the item to
  // `removed`, whose objects own the names in `removals`).
  Status decide(const Item& item, std::vector<Removal>& removals, std::vector<Item>& removed) {
    KNARR_ASSIGN(const Document object, json::parse(item.object->value));
    if (apiserver::is_deleting(object)) {
      if (has_finalizer(object, kOrphan)) return orphan_dependents(item, object);
      if (has_finalizer(object, kForeground)) return delete_dependents(item, object);
      return {};
    }
    const std::vector<Owner> owners = owners_of(object);
    if (owners.empty()) return {};
    std::set<std::string> gone, waiting;  // uids
    size_t solid = 0;
    for (const Owner& owner : owners) {
      const FoundOwner found = find_owner(owner, apiserver::split_key(item.object->key).first);
      if (!found.resource) {  // of a kind that is not served, or not yet
        Lock lock(mutex_);
        unmapped_.insert(key_of(*item.object));
        return {};
      }
      if (found.invalid) {
        report_invalid(item, object, owner);
        return {};
      }
      if (!found.object) {
        if (exists_elsewhere(*found.resource, owner)) report_invalid(item, object, owner);
        gone.insert(owner.uid);
        continue;
      }
      const auto document = json::parse(found.object->value);
      if (document.ok() && awaits_dependents(*document)) {
        waiting.insert(owner.uid);
      } else {
        ++solid;
      }
    }
    if (solid > 0) {
      gone.insert(waiting.begin(), waiting.end());
      return gone.empty() ? Status() : drop_references(item, object, gone);
    }
    std::string policy = has_finalizer(object, kOrphan)       ? "Orphan"
                         : has_finalizer(object, kForeground) ? "Foreground"
                                                              : "Background";
    Removal removal{target_of(item), {}};
    removal.params.uid = meta_string(object, "uid");
    removal.params.resource_version = meta_string(object, "resourceVersion");
    if (!waiting.empty()) {
      const auto dependents = dependents_of(meta_string(object, "uid"));
      if (!dependents.empty()) {
        policy = "Foreground";
        // Two that wait for each other would wait for ever.
        const bool circle = std::any_of(dependents.begin(), dependents.end(), [](const Item& dependent) {
          const auto document = json::parse(dependent.object->value);
          return document.ok() && awaits_dependents(*document);
        });
        if (circle) {
          KNARR_RETURN_IF_ERROR(unblock_references(item, object));
          removal.params.resource_version.reset();
        }
      }
    }
    removal.params.propagation_policy = policy;
    removals.push_back(std::move(removal));
    removed.push_back(item);
    return {};
  }

  Status delete_dependents(const Item& item, const Document& object) {
    const std::string uid(meta_string(object, "uid"));
    bool blocked = false;
    std::vector<Removal> removals;
    std::vector<Item> removed;
    for (const Item& dependent : dependents_of(uid)) {
      KNARR_ASSIGN(const Document document, json::parse(dependent.object->value));
      for (const Owner& owner : owners_of(document)) blocked = blocked || (owner.uid == uid && owner.blocks);
      if (!apiserver::is_deleting(document)) KNARR_RETURN_IF_ERROR(decide(dependent, removals, removed));
    }
    KNARR_RETURN_IF_ERROR(remove(removals));
    return blocked ? Status() : drop_finalizer(item, object, kForeground);
  }

  Status orphan_dependents(const Item& item, const Document& object) {
    const std::string uid(meta_string(object, "uid"));
    for (const Item& dependent : dependents_of(uid)) {
      KNARR_ASSIGN(const Document document, json::parse(dependent.object->value));
      KNARR_RETURN_IF_ERROR(drop_references(dependent, document, {uid}));
    }
    return drop_finalizer(item, object, kOrphan);
  }

  // --- changes ---

  Status drop_references(const Item& item, const Document& object, const std::set<std::string>& uids) {
    return change_references(item, object, [&](Value& list, json::Allocator&) {
      for (auto it = list.Begin(); it != list.End();) {
        it = uids.contains(std::string(json::get_string(*it, "uid"))) ? list.Erase(it) : it + 1;
      }
    });
  }

  Status unblock_references(const Item& item, const Document& object) {
    return change_references(item, object, [](Value& list, json::Allocator& alloc) {
      for (Value& owner : list.GetArray())
        if (json::get_bool(owner, "blockOwnerDeletion")) json::set(owner, "blockOwnerDeletion", Value(false), alloc);
    });
  }

  Status change_references(const Item& item, const Document& object,
                           const std::function<void(Value& list, json::Allocator& alloc)>& change) {
    const Value* before = json::find(object, {"metadata", "ownerReferences"});
    if (!before || !before->IsArray()) return {};
    Document patch = patch_of(object);
    auto& alloc = patch.GetAllocator();
    Value list = json::copy(*before, alloc);
    change(list, alloc);
    json::set(patch["metadata"], "ownerReferences", list.Empty() ? Value() : std::move(list), alloc);
    return send(item, patch);
  }

  Status drop_finalizer(const Item& item, const Document& object, std::string_view name) {
    Document patch = patch_of(object);
    auto& alloc = patch.GetAllocator();
    Value list(rapidjson::kArrayType);
    for (const std::string& finalizer : apiserver::finalizers_of(object))
      if (finalizer != name) list.PushBack(json::string(finalizer, alloc), alloc);
    json::set(patch["metadata"], "finalizers", std::move(list), alloc);
    return send(item, patch);
  }

  // A merge patch that only holds for the version that was looked at.
  static Document patch_of(const Document& object) {
    Document patch(rapidjson::kObjectType);
    auto& alloc = patch.GetAllocator();
    Value& metadata = json::ensure_object(patch, {"metadata"}, alloc);
    json::set(metadata, "uid", meta_string(object, "uid"), alloc);
    json::set(metadata, "resourceVersion", meta_string(object, "resourceVersion"), alloc);
    return patch;
  }

  Status send(const Item& item, const Document& patch) {
    return settled(rest_.patch(request_, target_of(item), client::kMergePatch, json::dump(patch)).status());
  }

  // --- owners ---

  struct FoundOwner {
    schema::ResourceRef resource;  // null: no such kind is served
    ObjectPtr object;              // null: there is no such owner
    bool invalid = false;          // what has no namespace cannot be owned by what has one
  };

  // By name, as the reference says, in the dependent's namespace or in none; with that uid.
  FoundOwner find_owner(const Owner& owner, std::string_view ns) const {
    const size_t slash = owner.api_version.find('/');
    const std::string_view api_version = owner.api_version;
    const std::string_view group = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
    const std::string_view version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
    FoundOwner found;
    found.resource = rest_.registry().catalog()->find_kind(group, version, owner.kind);
    if (!found.resource) return found;
    found.invalid = found.resource->namespaced && ns.empty();
    if (found.invalid) return found;
    found.object = store_.get(store_.resource(found.resource->storage_name),
                              object_key(found.resource->namespaced ? ns : std::string_view(), owner.name));
    if (found.object && uid_of(*found.object) != owner.uid) found.object = nullptr;
    return found;
  }

  // The owner lives, but not where the reference can reach it.
  bool exists_elsewhere(const schema::Resource& resource, const Owner& owner) const {
    const auto listed = store_.list(store_.resource(resource.storage_name), {});
    return listed.ok() && std::any_of(listed->objects.begin(), listed->objects.end(),
                                      [&](const ObjectPtr& object) { return uid_of(*object) == owner.uid; });
  }

  void report_invalid(const Item& item, const Document& object, const Owner& owner) {
    const auto [ns, name] = apiserver::split_key(item.object->key);
    events_->event({std::string(json::get_string(object, "apiVersion")), std::string(item.resource->kind),
                    std::string(ns), std::string(name), std::string(meta_string(object, "uid")), "", ""},
                   client::kEventWarning, "OwnerRefInvalidNamespace",
                   fmt::format("ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace \"{}\"",
                               owner.api_version, owner.kind, ns, owner.name, owner.uid, ns));
  }

  apiserver::Rest& rest_;
  store::Store& store_;
  Publications& publications_;
  const std::shared_ptr<client::EventRecorder> events_;
  apiserver::RequestContext request_;
  Mutex mutex_;
  std::set<std::string> unmapped_ KNARR_GUARDED_BY(mutex_);  // keys of what has an owner of a kind that is not served
};

}  // namespace

std::unique_ptr<Controller> make_garbage_collector(Context context) {
  return std::make_unique<GarbageCollector>(context);
}

}  // namespace knarr::controllers
