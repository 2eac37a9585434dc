// CustomResourceDefinitions become served resources: their names are accepted or refused, their conditions told, their
// resources published in the registry, and when a definition is deleted, its objects first.
//
// There is no thread: who wrote a definition brings everything in order before his answer goes out (sync), so that what the
// definition promises is there when he reads it. Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/sync.h"
#include "knarr/codec/json.h"
#include "knarr/schema/catalog.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

inline constexpr std::string_view kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";  // in the store

class Definitions {
 public:
  // Reads what the store holds.
  Definitions(store::Store& store, const Clock& clock, schema::Registry& registry);
  ~Definitions();

  // Follows what was written since the last call. Quick when nothing was.
  void sync();

 private:
  struct Entry {
    store::ObjectPtr object;
    std::string group, uid;
    int64_t generation = 0;
    std::string accepted;             // status.acceptedNames as text
    std::vector<std::string> words;   // plural, singular and short names that it holds
    std::vector<std::string> kinds;   // kind and list kind that it holds
    bool named_as_wanted = false;     // it holds all that it asks for
    schema::MadeResources resources;  // served
  };

  void on_publication(std::span<const store::ResourceId> resources);
  void follow() KNARR_REQUIRES(mutex_);
  void load() KNARR_REQUIRES(mutex_);
  void take(const store::ObjectPtr& object) KNARR_REQUIRES(mutex_);
  void forget(const std::string& name) KNARR_REQUIRES(mutex_);
  void look_again_at_group(const std::string& group, const std::string& but) KNARR_REQUIRES(mutex_);
  // Decides names and conditions; true when the status was written, and so comes again.
  bool settle_status(const store::ObjectPtr& object, json::Document& crd) KNARR_REQUIRES(mutex_);
  // True when nothing is left of it.
  bool remove_instances(const json::Value& crd) KNARR_REQUIRES(mutex_);
  void clean_up(const store::ObjectPtr& object, json::Document& crd) KNARR_REQUIRES(mutex_);
  bool write(const store::Object& existing, json::Document& crd, bool gone) KNARR_REQUIRES(mutex_);
  void serve(Entry& entry, const json::Value& crd) KNARR_REQUIRES(mutex_);
  void retire(Entry& entry) KNARR_REQUIRES(mutex_);
  void publish() KNARR_REQUIRES(mutex_);

  store::Store& store_;
  const Clock& clock_;
  schema::Registry& registry_;
  const store::ResourceId id_;
  uint64_t listener_ = 0;
  std::atomic<bool> dirty_{true};

  Mutex waiting_mutex_;
  std::set<store::ResourceId> waiting_ KNARR_GUARDED_BY(waiting_mutex_);  // whose objects a deletion waits for

  Mutex mutex_;
  std::unique_ptr<store::Cursor> cursor_ KNARR_GUARDED_BY(mutex_);
  std::map<std::string, Entry> entries_ KNARR_GUARDED_BY(mutex_);
  std::set<std::string> again_ KNARR_GUARDED_BY(mutex_);  // to be looked at though they were not written
  uint64_t number_ KNARR_GUARDED_BY(mutex_) = 0;
  bool changed_ KNARR_GUARDED_BY(mutex_) = false;  // the registry is behind
};

// A definition that is deleted for the first time waits for its objects.
void begin_definition_deletion(json::Document& crd, WallTime now);

}  // namespace knarr::apiserver
