// What the store publishes, for the controllers that look at objects as the store has them: one thread reads the events
// of every stored resource and hands them out. Resources that CustomResourceDefinitions make are followed from their
// first object on.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "knarr/apiserver/rest.h"
#include "knarr/base/sync.h"
#include "knarr/schema/catalog.h"
#include "knarr/store/store.h"

namespace knarr::controllers {

// What can be listed and deleted, each kind of stored object once, in the version that is stored.
std::vector<schema::ResourceRef> stored_resources(const schema::Registry& registry);

// "deletionTimestamp" and the like, as they stand in an object's bytes: cheap, and right but for texts that look so.
inline bool mentions(const store::Object& object, std::string_view text) {
  return object.value.find(text) != std::string::npos;
}
inline bool seems_deleting(const store::Object& object) { return mentions(object, "\"deletionTimestamp\":\""); }

class Publications {
 public:
  struct Resource {
    schema::ResourceRef resource;
    store::ResourceId id = 0;
  };
  using List = std::vector<Resource>;

  // Called on the thread of the publications, one at a time: put keys into queues, do nothing that takes long.
  struct Handlers {
    std::function<void(const schema::Resource& resource, const store::Event& event)> event;
    // Everything that is there at the start, and all over again should the store have forgotten what happened since.
    std::function<void(const schema::Resource& resource, const store::ObjectPtr& object)> present;
  };

  explicit Publications(apiserver::Rest& rest);
  ~Publications() { stop(); }

  // Of one resource (its name in the store), or of all ("") but Events. Before start().
  void subscribe(std::string_view resource, Handlers handlers);
  void start();
  void stop();

  // The resources that are followed.
  std::shared_ptr<const List> resources() const;

 private:
  struct Followed : Resource {
    std::unique_ptr<store::Cursor> cursor;
    std::vector<const Handlers*> handlers;
  };

  void run();
  void follow_new();
  void begin(Followed& followed);
  void drain(const std::set<store::ResourceId>& published);

  apiserver::Rest& rest_;
  store::Store& store_;
  std::vector<std::pair<std::string, std::unique_ptr<Handlers>>> subscribers_;
  std::vector<Followed> followed_;  // the thread's
  uint64_t catalog_ = 0;            // the number of the catalog that followed_ shows; the thread's
  uint64_t listener_ = 0;

  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  std::set<store::ResourceId> published_ KNARR_GUARDED_BY(mutex_);
  bool stop_ KNARR_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const List> resources_ KNARR_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace knarr::controllers
