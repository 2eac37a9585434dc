// Follows one resource: lists it, watches it from there, goes on where a watch ended, and lists again when the server
// no longer knows that place (410) or was away. What informers are made of; they say more in informer.h.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/sync.h"
#include "knarr/client/client.h"
#include "knarr/client/timers.h"

namespace knarr::client {

// Exponential back-off with jitter: `base`, doubled each time up to `limit`, each between half and all of that.
class Backoff {
 public:
  Backoff(milliseconds base, milliseconds limit) : base_(base), limit_(limit), next_(base) {}
  milliseconds next();
  void reset() { next_ = base_; }

 private:
  milliseconds base_, limit_, next_;
  std::minstd_rand random_{std::random_device{}()};
};

class Reflector {
 public:
  struct Options {
    ListOptions list;  // namespace and selectors; the resource version is the reflector's business
    milliseconds retry_base{100}, retry_limit{10'000};
    Timers* timers = &Timers::shared();
  };
  // Called one at a time, on threads of the transport and of the timers; texts are valid during the call.
  struct Sink {
    std::function<void(const std::vector<std::string_view>& items)> replace;     // the whole state, after each list
    std::function<void(WatchEvent::Type type, std::string_view object)> change;  // kAdded, kModified, kDeleted
  };

  Reflector(std::shared_ptr<Transport> transport, ResourceRef resource, Options options, Sink sink);
  ~Reflector();  // stop()

  void start();
  void stop();  // no call of the sink runs or comes after it; not to be called from the sink

 private:
  void run();  // on the timers: ends the last watch, lists when needed, watches
  Status list();
  Status watch() KNARR_REQUIRES(run_mutex_);
  void on_event(const WatchEvent& event);
  void on_end(const Status& why);
  void schedule(milliseconds delay);

  const std::shared_ptr<Transport> transport_;
  const ResourceRef resource_;
  const Options options_;
  const Sink sink_;

  Mutex mutex_;
  bool stopped_ KNARR_GUARDED_BY(mutex_) = false;
  Timers::Id timer_ KNARR_GUARDED_BY(mutex_) = 0;
  Backoff backoff_ KNARR_GUARDED_BY(mutex_);
  bool away_ KNARR_GUARDED_BY(mutex_) = false;             // said so already
  std::string resource_version_ KNARR_GUARDED_BY(mutex_);  // "" when a list is needed
  MonoTime watch_since_ KNARR_GUARDED_BY(mutex_){};
  Mutex run_mutex_;  // held by run(); taken before mutex_
  std::unique_ptr<WatchHandle> watch_ KNARR_GUARDED_BY(run_mutex_);
};

// The resourceVersion of an object's text, "" when there is none.
std::string resource_version_of(std::string_view object);

}  // namespace knarr::client
