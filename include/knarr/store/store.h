// The store: every object of the cluster, in memory and on disk, and the one way to change them.
//
// One counter, the revision, numbers every write of the whole store. An Object is immutable; a write replaces it. Reads
// take shared pointers and hold no lock afterwards. A commit is answered only when it is durable (but for
// Durability::kLazy). The revision never goes back and no number is used twice, also over a power cut: numbers are
// reserved ahead on disk, and a start after a stop that was not clean goes on above the reservation (the numbers
// between are never used). The store knows neither kinds nor HTTP: a resource is a name ("pods", "deployments.apps"), a
// key is "namespace/name" or "name", a value is bytes. All of Store is thread-safe.
#pragma once

#include <any>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::store {

using Revision = uint64_t;    // 0: none
using ResourceId = uint32_t;  // an interned resource name, dense from 0; see Store::resource

// What selectors and indexes need of an object without parsing it; made by the Extractor.
struct Extract {
  std::vector<std::pair<std::string, std::string>> labels;  // sorted by key
  std::vector<std::pair<std::string, std::string>> fields;  // field-selector name -> value, sorted by name
  std::vector<std::pair<uint32_t, std::string>> index;      // (index number, value), see Store::Options::extract
};

struct Object {
  ResourceId resource = 0;
  std::string key;
  std::string value;             // the bytes, complete: the decimal revision stands at [rev_pos, rev_pos + digits)
  uint32_t rev_pos = 0;          // where in value the revision's digits begin
  Revision revision = 0;         // of the write that made this version
  Revision create_revision = 0;  // of the write that made the object
  Extract extract;

  // A decoded form of value, made by the first reader that asks and shared by all (make must be a pure function of
  // value).
  template <typename T>
  std::shared_ptr<const T> decoded(std::shared_ptr<const T> (*make)(const Object&)) const {
    std::call_once(decoded_once_, [&] { decoded_ = std::shared_ptr<const T>(make(*this)); });
    auto p = std::any_cast<std::shared_ptr<const T>>(&decoded_);
    return p ? *p : make(*this);
  }

 private:
  mutable std::once_flag decoded_once_;
  mutable std::any decoded_;
};
using ObjectPtr = std::shared_ptr<const Object>;

// One change. `value` is the new object's bytes without its revision, which the store writes at `rev_pos` on commit.
struct Write {
  enum class Op { kPut, kDelete };
  enum class Expect { kAny, kAbsent, kRevision };

  Op op = Op::kPut;
  ResourceId resource = 0;
  std::string key;
  Expect expect = Expect::kAny;
  Revision expected = 0;  // with Expect::kRevision
  std::string value;      // kPut; for kDelete optionally the last state to show watchers (else the current one)
  uint32_t rev_pos = 0;
  Extract extract;  // of value (kPut); see Options::extract for what makes it on load
};

enum class Durability {
  kDurable,  // answered when on disk
  kLazy,     // answered when in memory; on disk within Options::lazy_flush, and at a clean stop (heartbeats, Events)
};

enum class EventType { kAdded, kModified, kDeleted };

struct Event {
  EventType type;
  ObjectPtr object;    // kDeleted: the last state, with the revision of the deletion in its bytes
  ObjectPtr previous;  // null for kAdded, and for a change that is only known from before a restart
  Revision revision() const { return object->revision; }

  // Bytes made once from this event and shared by all watchers that want them (for example one encoded watch frame).
  const std::string& encoded(std::string (*encode)(const Event&)) const {
    std::call_once(once_, [&] { encoded_ = encode(*this); });
    return encoded_;
  }

 private:
  mutable std::once_flag once_;
  mutable std::string encoded_;

 public:
  Event(EventType t, ObjectPtr o, ObjectPtr p) : type(t), object(std::move(o)), previous(std::move(p)) {}
};
using EventPtr = std::shared_ptr<const Event>;

// A place in the stream of one resource's events. Not thread-safe: one owner. It costs a few words and no queue: events
// are read from the hub's ring, and a cursor that falls off the ring's end learns so from next().
class Cursor {
 public:
  virtual ~Cursor() = default;
  // Appends up to `max` further events, oldest first; none when there is nothing new. Error 410 Expired: this cursor
  // fell behind what the ring still holds, and is of no more use.
  virtual Status next(size_t max, std::vector<EventPtr>& out) = 0;
  // Every event up to here has been handed out by next() (also those of other resources, so that bookmarks move on).
  virtual Revision position() const = 0;
};

struct ListOptions {
  std::string prefix;       // "namespace/" or "" for all
  std::string start_after;  // the key after which to go on; "" from the start
  size_t limit = 0;         // 0: no limit
  std::vector<std::pair<std::string, std::string>> labels;  // only what has all of these; many are found by an index
  Revision at = 0;          // the state as of this revision (410 Expired when the ring does not reach back); 0: now
};

struct ListResult {
  std::vector<ObjectPtr> objects;  // by key, ascending bytewise
  Revision revision = 0;           // the state that this shows
  bool more = false;               // limit cut it off
  size_t remaining = 0;            // how many more, when `more`
};

class Journal;

class Store {
 public:
  struct Options {
    std::chrono::milliseconds lazy_flush{60'000};
    std::chrono::milliseconds retry{5'000};  // a journal that failed is tried again by the store itself after so long
    size_t ring_events = 16384;  // recent events kept for resumption, for each resource at most this many ...
    size_t ring_bytes =
        8 << 20;  // ... and for all resources at most about this many bytes that only events keep in memory
    size_t deletions_kept =
        4096;  // the last deletions of all resources, for resumption beyond the ring and over a restart
    size_t deletions_bytes = 4 << 20;  // and their bytes; the journal's own bounds (SqliteOptions) hold as well
    size_t lazy_bytes = 8 << 20;       // lazy writes that wait are journaled early when they hold more than this
    // Makes the Extract of an object on load, from its resource's name and bytes; a pure function, called from one
    // thread.
    std::function<Extract(std::string_view resource, std::string_view value)> extract;
  };

  // Replays the journal and starts. Errors: the journal's (a damaged file is reported with what to do, and left as it
  // is).
  static Result<std::unique_ptr<Store>> open(std::unique_ptr<Journal> journal, Options options);
  virtual ~Store() = default;  // flushes what is lazy and closes

  virtual ResourceId resource(std::string_view name) = 0;  // interns; never fails
  virtual std::string_view resource_name(ResourceId id) const = 0;

  // Checks every expectation against the head and applies all writes or none; each write gets a revision of its own,
  // ascending. Answers the new objects (for deletions: the last state with the deletion's revision), in order. `writes`
  // is consumed: whatever the answer, its strings are moved from or not. A lazy commit waits for no disk but to make
  // room for revisions (once in some thousand). Errors:
  //   AlreadyExists (kAbsent, but it is there), NotFound (delete or kRevision, but it is not), Conflict (another
  //   revision), InsufficientStorage 507 and InternalError: the journal's, nothing was applied, later commits are tried
  //   again.
  virtual Result<std::vector<ObjectPtr>> commit(std::span<Write> writes,
                                                Durability durability = Durability::kDurable) = 0;

  virtual ObjectPtr get(ResourceId resource, std::string_view key) const = 0;  // null: absent
  virtual Result<ListResult> list(ResourceId resource, const ListOptions& options) const = 0;
  // All objects of the resource whose Extract has (index, value), in key order.
  virtual std::vector<ObjectPtr> list_index(ResourceId resource, uint32_t index, std::string_view value) const = 0;
  virtual size_t count(ResourceId resource) const = 0;

  // Events of the resource after `since` (0: from now). Where the ring does not reach back so far (after a restart it
  // is empty), what changed since is told from the current objects and the remembered deletions: one event for each
  // object that is new or was changed, with `previous` null, and one for each that is gone and was there at `since`.
  // Errors: 410 Expired when the deletions do not reach back, and on a resource with lazy writes also when `since` is
  // from before a stop that was not clean: what was lost then may have been seen. 504 Timeout with cause
  // ResourceVersionTooLarge when `since` is in the future. A cursor must not outlive the store.
  virtual Result<std::unique_ptr<Cursor>> watch(ResourceId resource, Revision since) = 0;

  // Called after each publication, on the committing thread, with what was touched: wake up, do nothing else, never
  // block, do not commit, add or remove listeners.
  using Listener = std::function<void(std::span<const ResourceId> resources, Revision revision)>;
  virtual uint64_t add_listener(Listener listener) = 0;
  // Calls the listeners as if these had been touched: what reads them has to look again for another reason than a write.
  virtual void touch(const std::vector<ResourceId>& resources) = 0;
  virtual void remove_listener(uint64_t id) = 0;  // returns when no call to it is under way

  virtual Revision revision() const = 0;            // of the last published write
  virtual Revision compacted_revision() const = 0;  // watches from before this answer 410, on every resource
  virtual Status flush() = 0;                       // journals what is lazy, now
  // Journals every object of the resource once more, unchanged and with its revision, in one transaction: after what the
  // journal does to its bytes has changed (a new key). Watchers see nothing of it.
  virtual Status rewrite(ResourceId resource) = 0;
  virtual Status health() const = 0;                // the last journal error, until the journal works again

  struct Stats {
    size_t objects = 0, value_bytes = 0, commits = 0, transactions = 0, syncs_failed = 0, lazy_pending = 0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace knarr::store
