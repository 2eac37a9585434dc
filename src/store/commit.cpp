// The commit path: from the jobs that wait to published events.
#include <algorithm>

#include "knarr/base/log.h"
#include "store/store_impl.h"

namespace knarr::store {

namespace {

// How many revisions are reserved ahead: lazy writes need a disk write of their own only once in so many, and a stop
// that was not clean skips at most so many numbers.
constexpr Revision kReserve = 16384;

// One batch: bounded, so that nobody waits for an endless transaction.
constexpr size_t kBatchJobs = 512;
constexpr size_t kBatchBytes = 8 << 20;

// When objects hold so much less than they did, the memory goes back to the system.
constexpr size_t kGivenBack = 4 << 20;

// What an event keeps in memory that would not be there without it: the old version, the bytes that watchers encoded
// from it (about as long as the value), and itself.
size_t ring_cost(const Event& event) {
  return 256 + event.object->value.size() + (event.previous ? event.previous->value.size() : 0);
}

// The write locks of several tables, in the order of their numbers.
class TableLocks {
 public:
  TableLocks(const Tables& tables, std::span<const ResourceId> ids) KNARR_NO_TSA : tables_(tables), ids_(ids) {
    for (ResourceId id : ids_) tables_.at(id).mutex.lock();
  }
  ~TableLocks() KNARR_NO_TSA {
    for (ResourceId id : ids_) tables_.at(id).mutex.unlock();
  }
  TableLocks(const TableLocks&) = delete;
  TableLocks& operator=(const TableLocks&) = delete;

 private:
  const Tables& tables_;
  const std::span<const ResourceId> ids_;
};

}  // namespace

void StoreImpl::take(std::deque<CommitJobPtr>& waiting, std::vector<CommitJobPtr>& batch) {
  size_t bytes = 0;
  while (!waiting.empty() && batch.size() < kBatchJobs && bytes < kBatchBytes) {
    const bool alone = waiting.front()->kind != CommitJob::Kind::kCommit;
    if (alone && !batch.empty()) return;
    for (const Write& write : waiting.front()->writes) bytes += write.value.size();
    batch.push_back(std::move(waiting.front()));
    waiting.pop_front();
    if (alone) return;
  }
}

void StoreImpl::run(std::vector<CommitJobPtr>& batch) {
  switch (batch.front()->kind) {
    case CommitJob::Kind::kFlush:
      batch.front()->status = journal_lazy();
      break;
    case CommitJob::Kind::kRewrite:
      batch.front()->status = journal_again(batch.front()->resource);
      break;
    case CommitJob::Kind::kMaintain:
      maintain();
      break;
    case CommitJob::Kind::kRetry:
      // Reserving numbers is a write that changes nothing else.
      if (!health().ok()) batch.front()->status = append({}, reserved_);
      break;
    case CommitJob::Kind::kCommit: {
      // The lazy ones first: they are published at once, and need not wait for the disk. (Those in a batch wait at the
      // same time, so any order of them is a right one.)
      std::vector<CommitJob*> jobs;
      for (const CommitJobPtr& job : batch) jobs.push_back(job.get());
      auto durable = std::stable_partition(jobs.begin(), jobs.end(), [](const CommitJob* job) { return job->lazy; });
      if (durable != jobs.begin()) commit_lazy({jobs.begin(), durable});
      if (durable != jobs.end()) commit_durable({durable, jobs.end()});
      break;
    }
  }
  if (journal_->maintenance() == Journal::Maintenance::kOverdue) maintain();
  if (journal_->maintenance() != Journal::Maintenance::kNone) {
    Lock lock(background_mutex_);
    maintenance_due_ = true;
    background_wake_.notify_one();
  }
}

void StoreImpl::maintain() {
  if (Status status = journal_->maintain(); !status.ok())
    log::warn("store", "housekeeping of the journal failed, it is tried again later", {{"error", status}});
}

namespace {

// Adds the jobs to the batch; those that fail their checks have got their answer, the others are returned.
std::vector<CommitJob*> stage(Batch& batch, std::span<CommitJob* const> jobs) {
  std::vector<CommitJob*> accepted;
  for (CommitJob* job : jobs) {
    job->status = batch.add(job->writes, job->objects);
    if (job->status.ok()) accepted.push_back(job);
  }
  return accepted;
}

void fail(const std::vector<CommitJob*>& jobs, const Status& status) {
  for (CommitJob* job : jobs) {
    job->status = status;
    job->objects.clear();
  }
}

}  // namespace

void StoreImpl::commit_lazy(std::span<CommitJob* const> jobs) {
  Batch batch(tables_, revision());
  const auto accepted = stage(batch, jobs);
  if (batch.events().empty()) return;
  if (Status status = make_room_for_lazy(batch); !status.ok()) return fail(accepted, status);
  for (const EventPtr& event : batch.events()) lazy_.add(*event);
  lazy_pending_ = lazy_.size();
  commits_ += accepted.size();
  publish(batch.events(), batch.last());
  if (lazy_.bytes() > options_.lazy_bytes) {
    if (Status status = journal_lazy(); !status.ok())
      log::warn("store", "lazy writes could not be journaled early, they go on waiting", {{"error", status}});
  }
  Lock lock(background_mutex_);
  if (lazy_.empty() || lazy_due_) return;
  lazy_due_ = std::chrono::steady_clock::now() + options_.lazy_flush;
  background_wake_.notify_one();
}

// Before lazy writes are published, the disk must know that their numbers are used up and that their resource may lose
// writes; nearly always it does already.
Status StoreImpl::make_room_for_lazy(const Batch& batch) {
  std::vector<Table*> unmarked;
  for (const EventPtr& event : batch.events()) {
    Table& table = tables_.at(event->object->resource);
    if (!table.marked_lazy && std::find(unmarked.begin(), unmarked.end(), &table) == unmarked.end())
      unmarked.push_back(&table);
  }
  if (batch.last() <= reserved_ && unmarked.empty() && journal_->settled()) return Status::OK();
  std::vector<std::string_view> names;
  for (const Table* table : unmarked) names.push_back(table->name);
  KNARR_RETURN_IF_ERROR(append({}, batch.last(), names));
  for (Table* table : unmarked) table->marked_lazy = true;
  return Status::OK();
}

void StoreImpl::commit_durable(std::span<CommitJob* const> jobs) {
  Batch batch(tables_, revision());
  const auto accepted = stage(batch, jobs);
  if (batch.events().empty()) return;
  std::vector<LazyWrites::Entry> earlier;
  if (!lazy_.empty())
    for (const EventPtr& event : batch.events()) lazy_.before(*event->object, earlier);
  std::vector<Record> records;
  records.reserve(earlier.size() + batch.events().size());
  for (const auto& entry : earlier) records.push_back(record_of(*entry.object, entry.deleted));
  for (const EventPtr& event : batch.events())
    records.push_back(record_of(*event->object, event->type == EventType::kDeleted));
  if (Status status = append(records, batch.last()); !status.ok()) return fail(accepted, status);
  if (!lazy_.empty()) {
    for (const EventPtr& event : batch.events()) lazy_.superseded(*event->object);
    lazy_pending_ = lazy_.size();
  }
  commits_ += accepted.size();
  publish(batch.events(), batch.last());
}

Status StoreImpl::journal_lazy() {
  if (!lazy_.empty()) {
    const auto entries = lazy_.all();
    std::vector<Record> records;
    records.reserve(entries.size());
    for (const auto& entry : entries) records.push_back(record_of(*entry.object, entry.deleted));
    KNARR_RETURN_IF_ERROR(append(records, revision()));
    lazy_.clear();
    lazy_pending_ = 0;
  }
  Lock lock(background_mutex_);
  lazy_due_.reset();
  return Status::OK();
}

Status StoreImpl::journal_again(ResourceId resource) {
  KNARR_RETURN_IF_ERROR(journal_lazy());  // what is on disk is then what is in memory
  ListResult all;
  {
    const Table& table = tables_.at(resource);
    FairReadLock lock(table.mutex);
    table.list({}, all);
  }
  std::vector<Record> records;
  records.reserve(all.objects.size());
  for (const ObjectPtr& object : all.objects) records.push_back(record_of(*object, false));
  return records.empty() ? Status::OK() : append(records, revision());
}

Record StoreImpl::record_of(const Object& object, bool deleted) const {
  return {.resource = tables_.at(object.resource).name,
          .key = object.key,
          .value = object.value,
          .revision = object.revision,
          .create_revision = object.create_revision,
          .rev_pos = object.rev_pos,
          .deleted = deleted};
}

Status StoreImpl::append(std::span<const Record> records, Revision last,
                         std::span<const std::string_view> lazy_resources) {
  const Revision reserve = last + kReserve / 2 > reserved_ ? last + kReserve : reserved_;
  Status status = journal_->append(records, reserve, lazy_resources);
  status.ok() ? ++appends_ : ++appends_failed_;
  if (status.ok()) reserved_ = reserve;
  {
    Lock lock(health_mutex_);
    if (status.ok() && health_.ok()) return status;
    if (status.ok())
      log::info("store", "the journal works again");
    else if (health_.ok())
      log::error("store", "the journal failed: writes are refused, reads go on", {{"error", status}});
    health_ = status;
  }
  Lock lock(background_mutex_);
  retry_due_.reset();
  if (!status.ok()) retry_due_ = std::chrono::steady_clock::now() + options_.retry;
  background_wake_.notify_one();
  return status;
}

void StoreImpl::publish(const std::vector<EventPtr>& events, Revision last) {
  std::vector<ResourceId> touched;
  for (const EventPtr& event : events) touched.push_back(event->object->resource);
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());

  size_t objects = 0, bytes = 0;  // differences, modulo 2^64
  for (const EventPtr& event : events) {
    if (event->type != EventType::kDeleted) ++objects, bytes += event->object->value.size();
    if (event->previous) --objects, bytes -= event->previous->value.size();
  }

  // Whoever reads a table and the revision under its lock sees both as they belong together.
  std::vector<EventPtr> garbage;
  {
    TableLocks locks(tables_, touched);
    for (const EventPtr& event : events) {
      tables_.at(event->object->resource).apply(event, options_.ring_events, garbage);
      if (event->type != EventType::kDeleted) continue;
      Lock lock(deletions_mutex_);
      deletions_.add(event->object);
    }
    revision_.store(last, std::memory_order_release);
  }
  objects_ += objects;
  value_bytes_ += bytes;
  trim_rings(events, garbage);
  peak_bytes_ = std::max<size_t>(peak_bytes_, value_bytes_);
  if (peak_bytes_ - value_bytes_ >= kGivenBack) {
    peak_bytes_ = value_bytes_;
    Lock lock(background_mutex_);
    trim_due_ = true;
    background_wake_.notify_one();
  }

  Lock lock(listeners_mutex_);
  for (const auto& [id, listener] : listeners_) listener(touched, last);
}

void StoreImpl::trim_rings(const std::vector<EventPtr>& events, std::vector<EventPtr>& garbage) {
  for (const EventPtr& event : events) {
    ring_order_.push_back({&tables_.at(event->object->resource), event->revision(), ring_cost(*event)});
    ring_bytes_ += ring_order_.back().bytes;
  }
  while (ring_bytes_ > options_.ring_bytes && ring_order_.size() > 1) {
    const RingEntry oldest = ring_order_.front();
    ring_order_.pop_front();
    ring_bytes_ -= oldest.bytes;
    FairWriteLock lock(oldest.table->mutex);
    oldest.table->drop_oldest(oldest.revision, garbage);
  }
}

}  // namespace knarr::store
