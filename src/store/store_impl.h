// The store behind store.h. Its threads: callers, one of which at a time commits for all (group_queue.h); and one of
// its own that sleeps until lazy writes are due, the journal wants housekeeping, or one that failed is to be tried
// again.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "knarr/store/journal.h"
#include "knarr/store/store.h"
#include "store/batch.h"
#include "store/deletions.h"
#include "store/group_queue.h"
#include "store/lazy_writes.h"
#include "store/tables.h"

namespace knarr::store {

struct CommitJob : GroupJob {
  enum class Kind { kCommit, kFlush, kMaintain, kRetry, kRewrite };

  Kind kind = Kind::kCommit;
  ResourceId resource = 0;  // of kRewrite
  std::span<Write> writes;
  bool lazy = false;
  Status status;
  std::vector<ObjectPtr> objects;
};
using CommitJobPtr = std::shared_ptr<CommitJob>;

class StoreImpl : public Store {
 public:
  StoreImpl(std::unique_ptr<Journal> journal, Options options);
  ~StoreImpl() override;

  Status load();  // replays the journal
  void start();   // its thread, after load()

  ResourceId resource(std::string_view name) override { return tables_.intern(name); }
  std::string_view resource_name(ResourceId id) const override { return tables_.at(id).name; }
  Result<std::vector<ObjectPtr>> commit(std::span<Write> writes, Durability durability) override;
  ObjectPtr get(ResourceId resource, std::string_view key) const override;
  Result<ListResult> list(ResourceId resource, const ListOptions& options) const override;
  std::vector<ObjectPtr> list_index(ResourceId resource, uint32_t index, std::string_view value) const override;
  size_t count(ResourceId resource) const override;
  Result<std::unique_ptr<Cursor>> watch(ResourceId resource, Revision since) override;
  uint64_t add_listener(Listener listener) override;
  void remove_listener(uint64_t id) override;
  void touch(const std::vector<ResourceId>& resources) override;
  Revision revision() const override { return revision_.load(std::memory_order_acquire); }
  Revision compacted_revision() const override;
  Status flush() override;
  Status rewrite(ResourceId resource) override;
  Status health() const override;
  Stats stats() const override;

 private:
  // The commit path, in commit.cpp: all of it runs on the thread that leads.
  static void take(std::deque<CommitJobPtr>& waiting, std::vector<CommitJobPtr>& batch);
  void run(std::vector<CommitJobPtr>& batch);
  void commit_lazy(std::span<CommitJob* const> jobs);
  void commit_durable(std::span<CommitJob* const> jobs);
  Status make_room_for_lazy(const Batch& batch);
  Status journal_lazy();
  Status journal_again(ResourceId resource);
  void maintain();
  Status append(std::span<const Record> records, Revision last, std::span<const std::string_view> lazy_resources = {});
  Record record_of(const Object& object, bool deleted) const;
  void publish(const std::vector<EventPtr>& events, Revision last);
  void trim_rings(const std::vector<EventPtr>& events, std::vector<EventPtr>& garbage);

  Status submit(CommitJob::Kind kind, ResourceId resource = 0);
  void background();

  using TimePoint = std::chrono::steady_clock::time_point;

  const Options options_;
  const std::unique_ptr<Journal> journal_;  // one thread at a time: load(), then who leads, then the destructor
  Tables tables_;
  std::atomic<Revision> revision_{0};  // changes only under the write locks of all tables that change with it

  // Only who leads touches these (and load() before, the destructor after).
  struct RingEntry {
    Table* table;
    Revision revision;
    size_t bytes;
  };
  Revision reserved_ = 0;  // numbers up to here are reserved on disk
  LazyWrites lazy_;
  std::deque<RingEntry> ring_order_;  // the events of all rings, oldest first
  size_t ring_bytes_ = 0;
  size_t peak_bytes_ = 0;  // the most that objects held since memory was last given back to the system

  mutable Mutex deletions_mutex_;  // taken after tables' locks
  Deletions deletions_ KNARR_GUARDED_BY(deletions_mutex_);

  Mutex listeners_mutex_;  // held while they are called
  std::map<uint64_t, Listener> listeners_ KNARR_GUARDED_BY(listeners_mutex_);
  uint64_t next_listener_ KNARR_GUARDED_BY(listeners_mutex_) = 1;

  mutable Mutex health_mutex_;
  Status health_ KNARR_GUARDED_BY(health_mutex_);

  std::atomic<size_t> objects_{0}, value_bytes_{0}, commits_{0}, appends_{0}, appends_failed_{0}, lazy_pending_{0};

  Mutex background_mutex_;
  std::condition_variable_any background_wake_;
  std::optional<TimePoint> lazy_due_ KNARR_GUARDED_BY(background_mutex_);
  std::optional<TimePoint> retry_due_ KNARR_GUARDED_BY(background_mutex_);  // the journal is out of order
  bool maintenance_due_ KNARR_GUARDED_BY(background_mutex_) = false;
  bool trim_due_ KNARR_GUARDED_BY(background_mutex_) = false;
  bool stop_ KNARR_GUARDED_BY(background_mutex_) = false;
  std::thread background_;

  GroupQueue<CommitJob> queue_;
};

}  // namespace knarr::store
