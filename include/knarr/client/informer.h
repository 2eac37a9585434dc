// A local copy of one resource that follows the server, and handlers that hear of changes.
//
//   auto pods = std::make_shared<client::Informer<Pod>>(transport, client::ListOptions{.field_selector =
//   "spec.nodeName=a"}); pods->add_handlers({.add = [&](const auto& pod) { queue.add(client::key_of(*pod)); }, ...});
//   pods->start();
//
// It never polls: a list, then a watch that resumes from the last resourceVersion; it lists again after 410 and backs
// off with jitter while the server is away, during which the copy stays as it was. A list that differs from the copy is
// told to the handlers as the additions, updates and removals that lead there. Thread-safe, but for what stands at
// `Handlers`.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/client/reflector.h"
#include "knarr/client/typed.h"

namespace knarr::client {

template <Kind T>
class Informer {
 public:
  using Ptr = std::shared_ptr<const T>;

  // Called one at a time, in the order of the changes, after the copy shows them; they put keys into queues and do not
  // block. They may read the informer; they may not add handlers or stop it. Any of them may be empty.
  struct Handlers {
    std::function<void(const Ptr& object)> add;
    std::function<void(const Ptr& before, const Ptr& object)> update;
    std::function<void(const Ptr& last)> remove;
  };
  using IndexFunction = std::function<std::vector<std::string>(const T& object)>;

  explicit Informer(std::shared_ptr<Transport> transport, ListOptions list = {})
      : Informer(std::move(transport), Reflector::Options{.list = std::move(list)}) {}
  Informer(std::shared_ptr<Transport> transport, Reflector::Options options)
      : reflector_(std::move(transport), resource_of<T>(), std::move(options),
                   {.replace = [this](const auto& items) { replace(items); },
                    .change = [this](WatchEvent::Type type, std::string_view object) { change(type, object); }}) {}
  ~Informer() { stop(); }

  // Handlers that come after start() first hear of everything that is there as additions.
  void add_handlers(Handlers handlers) {
    Lock order(dispatch_);
    for (const Ptr& object : list()) {
      if (handlers.add) handlers.add(object);
    }
    handlers_.push_back(std::move(handlers));
  }
  // An index over values that are computed from an object; before start(). Answers its number for by_index.
  size_t add_index(IndexFunction function) {
    Lock lock(mutex_);
    indexes_.push_back({std::move(function), {}});
    return indexes_.size() - 1;
  }

  void start() { reflector_.start(); }
  void stop() {
    reflector_.stop();
    Lock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

  // The first list is in the copy, and the handlers have heard of all of it.
  bool has_synced() const {
    Lock lock(mutex_);
    return synced_;
  }
  // False when it has not synced in time or was stopped.
  bool wait_synced(milliseconds limit) const {
    Lock lock(mutex_);
    changed_.wait_for(lock, limit, [&]() KNARR_REQUIRES(mutex_) { return synced_ || stopped_; });
    return synced_;
  }

  Ptr get(std::string_view key) const {  // null: absent
    Lock lock(mutex_);
    auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : it->second;
  }
  Ptr get(std::string_view ns, std::string_view name) const { return get(make_key(ns, name)); }
  std::vector<Ptr> list() const { return list_prefix(""); }
  std::vector<Ptr> list(std::string_view ns) const { return ns.empty() ? list() : list_prefix(std::string(ns) + "/"); }
  std::vector<Ptr> by_index(size_t index, std::string_view value) const {
    std::vector<Ptr> found;
    Lock lock(mutex_);
    const auto& keys = indexes_[index].keys;
    auto it = keys.find(value);
    if (it == keys.end()) return found;
    for (const std::string& key : it->second) found.push_back(objects_.at(key));
    return found;
  }
  size_t size() const {
    Lock lock(mutex_);
    return objects_.size();
  }

 private:
  struct Index {
    IndexFunction function;
    std::map<std::string, std::set<std::string>, std::less<>> keys;
  };

  std::vector<Ptr> list_prefix(std::string_view prefix) const {
    std::vector<Ptr> found;
    Lock lock(mutex_);
    for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it) {
      found.push_back(it->second);
    }
    return found;
  }

  static Ptr decode(std::string_view text) {
    auto object = api::decode_as<T>(text);
    if (object.ok()) return std::make_shared<const T>(std::move(*object));
    log::error("client", "an object of the server cannot be read",
               {{"resource", T::kPlural}, {"error", object.status()}});
    return nullptr;
  }

  // Puts `object` (null: nothing) at the key; answers what was there.
  Ptr exchange(const std::string& key, Ptr object) {
    Lock lock(mutex_);
    Ptr before;
    if (auto it = objects_.find(key); it != objects_.end()) before = std::move(it->second);
    for (Index& index : indexes_) {
      if (before) {
        for (const std::string& value : index.function(*before)) drop(index, value, key);
      }
      if (object) {
        for (const std::string& value : index.function(*object)) index.keys[value].insert(key);
      }
    }
    if (object) {
      objects_.insert_or_assign(key, std::move(object));
    } else {
      objects_.erase(key);
    }
    return before;
  }
  static void drop(Index& index, const std::string& value, const std::string& key) {
    auto it = index.keys.find(value);
    if (it == index.keys.end()) return;
    it->second.erase(key);
    if (it->second.empty()) index.keys.erase(it);
  }

  void put(const Ptr& object) KNARR_REQUIRES(dispatch_) {
    Ptr before = exchange(key_of(*object), object);
    if (before && before->metadata.uid != object->metadata.uid) {  // deleted and made again while nobody watched
      for (auto& handlers : handlers_) {
        if (handlers.remove) handlers.remove(before);
      }
      before = nullptr;
    }
    for (auto& handlers : handlers_) {
      if (before && handlers.update) handlers.update(before, object);
      if (!before && handlers.add) handlers.add(object);
    }
  }
  void take(const std::string& key) KNARR_REQUIRES(dispatch_) {
    Ptr before = exchange(key, nullptr);
    for (auto& handlers : handlers_) {
      if (before && handlers.remove) handlers.remove(before);
    }
  }

  void replace(const std::vector<std::string_view>& items) {
    Lock order(dispatch_);
    std::set<std::string> gone;
    for (const Ptr& object : list()) gone.insert(key_of(*object));
    for (std::string_view item : items) {
      Ptr object = decode(item);
      if (!object) continue;
      std::string key = key_of(*object);
      gone.erase(key);
      Ptr known = get(key);
      if (!known || known->metadata.resourceVersion != object->metadata.resourceVersion) put(object);
    }
    for (const std::string& key : gone) take(key);
    Lock lock(mutex_);
    synced_ = true;
    changed_.notify_all();
  }

  void change(WatchEvent::Type type, std::string_view text) {
    Ptr object = decode(text);
    if (!object) return;
    Lock order(dispatch_);
    if (type == WatchEvent::Type::kDeleted) {
      take(key_of(*object));
    } else {
      put(object);
    }
  }

  Mutex dispatch_;  // held while handlers run; taken before mutex_
  std::vector<Handlers> handlers_ KNARR_GUARDED_BY(dispatch_);
  mutable Mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::map<std::string, Ptr, std::less<>> objects_ KNARR_GUARDED_BY(mutex_);
  std::vector<Index> indexes_ KNARR_GUARDED_BY(mutex_);
  bool synced_ KNARR_GUARDED_BY(mutex_) = false;
  bool stopped_ KNARR_GUARDED_BY(mutex_) = false;
  Reflector reflector_;
};

// The informers of one process, one for each kind, shared by all who need it. Thread-safe.
class Informers {
 public:
  explicit Informers(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  template <Kind T>
  std::shared_ptr<Informer<T>> of() {
    Lock lock(mutex_);
    auto it = known_.find(typeid(T));
    if (it != known_.end()) return std::static_pointer_cast<Informer<T>>(it->second.informer);
    auto informer = std::make_shared<Informer<T>>(transport_);
    known_.emplace(typeid(T), Known{informer, [p = informer.get()] { p->start(); }, [p = informer.get()] { p->stop(); },
                                    [p = informer.get()](milliseconds limit) { return p->wait_synced(limit); }});
    return informer;
  }

  // Starts those that are not; to be called again after further of().
  void start() {
    for (auto& known : all()) known.start();
  }
  void stop() {
    for (auto& known : all()) known.stop();
  }
  bool wait_synced(milliseconds limit) {
    MonoTime deadline = Clock::system().mono() + limit;
    for (auto& known : all()) {
      auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::system().mono());
      if (!known.wait_synced(std::max(left, milliseconds(0)))) return false;
    }
    return true;
  }

 private:
  struct Known {
    std::shared_ptr<void> informer;
    std::function<void()> start, stop;
    std::function<bool(milliseconds)> wait_synced;
  };
  std::vector<Known> all() {
    std::vector<Known> copy;
    Lock lock(mutex_);
    for (auto& [type, known] : known_) copy.push_back(known);
    return copy;
  }

  const std::shared_ptr<Transport> transport_;
  Mutex mutex_;
  std::map<std::type_index, Known> known_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::client
