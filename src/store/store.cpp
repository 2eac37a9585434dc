#include "knarr/store/store.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <utility>

#include "knarr/base/log.h"
#include "store/store_impl.h"

namespace knarr::store {

namespace {

Status expired(Revision asked, Revision oldest) {
  return Status(410, reason::kExpired, fmt::format("too old resource version: {} ({})", asked, oldest));
}

Status too_large(Revision asked, Revision current) {
  Status status(504, reason::kTimeout, fmt::format("Too large resource version: {}, current: {}", asked, current));
  Status::Details details;
  details.retry_after_seconds = 1;
  status.with_details(std::move(details));
  return std::move(status.with_cause({"ResourceVersionTooLarge", "Too large resource version", ""}));
}

class TableCursor : public Cursor {
 public:
  TableCursor(const Table& table, const std::atomic<Revision>& published, uint64_t number, Revision position,
              std::vector<EventPtr> backlog)
      : table_(table), published_(published), backlog_(std::move(backlog)), number_(number), position_(position) {}

  Status next(size_t max, std::vector<EventPtr>& out) override {
    const size_t until = out.size() + max;
    while (out.size() < until && told_ < backlog_.size()) {
      out.push_back(std::move(backlog_[told_++]));
      position_ = out.back()->revision();
    }
    if (told_ < backlog_.size()) return Status::OK();
    if (told_ > 0) {
      backlog_ = {};
      told_ = 0;
    }
    FairReadLock lock(table_.mutex);
    if (number_ < table_.ring_begin()) return expired(position_, table_.ring_floor());
    while (out.size() < until && number_ < table_.ring_end()) {
      out.push_back(table_.ring_at(number_++));
      position_ = out.back()->revision();
    }
    if (number_ == table_.ring_end()) position_ = published_.load(std::memory_order_acquire);
    return Status::OK();
  }

  Revision position() const override { return position_; }

 private:
  const Table& table_;
  const std::atomic<Revision>& published_;
  std::vector<EventPtr> backlog_;  // what changed before the ring's part begins, ascending
  size_t told_ = 0;                // of backlog_
  uint64_t number_;                // of the next event in the ring
  Revision position_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(std::unique_ptr<Journal> journal, Options options) {
  auto store = std::make_unique<StoreImpl>(std::move(journal), std::move(options));
  KNARR_RETURN_IF_ERROR(store->load());
  store->start();
  return std::unique_ptr<Store>(std::move(store));
}

StoreImpl::StoreImpl(std::unique_ptr<Journal> journal, Options options)
    : options_(std::move(options)),
      journal_(std::move(journal)),
      deletions_(options_.deletions_kept, options_.deletions_bytes),
      queue_(take, [this](std::vector<CommitJobPtr>& batch) { run(batch); }) {}

StoreImpl::~StoreImpl() {
  if (!background_.joinable()) return;  // never started
  {
    Lock lock(background_mutex_);
    stop_ = true;
    background_wake_.notify_one();
  }
  background_.join();
  Status status = journal_lazy();
  if (status.ok()) status = journal_->close(revision());
  if (!status.ok()) log::error("store", "the store did not close cleanly", {{"error", status}});
}

Status StoreImpl::load() {
  Lock lock(deletions_mutex_);
  auto sink = [&](const Record& record) KNARR_NO_TSA {
    auto object = std::make_shared<Object>();
    object->resource = tables_.intern(record.resource);
    object->key = record.key;
    object->value = record.value;
    object->rev_pos = record.rev_pos;
    object->revision = record.revision;
    object->create_revision = record.create_revision;
    if (options_.extract) object->extract = options_.extract(record.resource, record.value);
    if (record.deleted) return deletions_.add(std::move(object));
    ++objects_;
    value_bytes_ += object->value.size();
    Table& table = tables_.at(object->resource);
    table.load(std::move(object));
  };
  KNARR_ASSIGN(const JournalState state, journal_->replay(sink));
  deletions_.forget_until(state.compacted);
  for (const auto& lazy : state.lazy) {
    Table& table = tables_.at(tables_.intern(lazy.name));
    table.marked_lazy = true;
    table.lazy_floor = lazy.floor;
  }
  // An empty store is at revision 1 as etcd is: 0 means "any" to clients. After a stop that was not clean, the last
  // reserved number may have been used, and what it numbered may be lost; the one above it is nobody's.
  reserved_ = state.revision;
  const Revision start = state.clean ? std::max<Revision>(state.revision, 1) : state.revision + 1;
  revision_ = start;
  tables_.start_at(start);
  return Status::OK();
}

void StoreImpl::start() {
  background_ = std::thread([this] { background(); });
}

void StoreImpl::background() {
  Lock lock(background_mutex_);
  while (!stop_) {
    // Many objects are gone. What they leave is scattered over the allocator's arenas, which keep it, each for itself.
    if (std::exchange(trim_due_, false)) {
      lock.unlock();
      malloc_trim(0);
      lock.lock();
      continue;
    }
    const TimePoint now = std::chrono::steady_clock::now();
    std::optional<CommitJob::Kind> work;
    if (maintenance_due_)
      work = CommitJob::Kind::kMaintain;
    else if (retry_due_ && *retry_due_ <= now)
      work = CommitJob::Kind::kRetry;
    else if (lazy_due_ && *lazy_due_ <= now)
      work = CommitJob::Kind::kFlush;
    if (!work) {
      if (!retry_due_ && !lazy_due_)
        background_wake_.wait(lock);  // nothing is pending: no wake-ups
      else
        background_wake_.wait_until(
            lock, std::min(retry_due_.value_or(TimePoint::max()), lazy_due_.value_or(TimePoint::max())));
      continue;
    }
    if (*work == CommitJob::Kind::kMaintain) maintenance_due_ = false;
    if (*work == CommitJob::Kind::kRetry) retry_due_.reset();
    lock.unlock();
    const Status status = submit(*work);
    lock.lock();
    if (*work == CommitJob::Kind::kFlush && !status.ok())
      lazy_due_ = std::chrono::steady_clock::now() + options_.lazy_flush;
  }
}

Status StoreImpl::submit(CommitJob::Kind kind, ResourceId resource) {
  auto job = std::make_shared<CommitJob>();
  job->kind = kind;
  job->resource = resource;
  queue_.submit(job);
  return std::move(job->status);
}

Result<std::vector<ObjectPtr>> StoreImpl::commit(std::span<Write> writes, Durability durability) {
  auto job = std::make_shared<CommitJob>();
  job->writes = writes;
  job->lazy = durability == Durability::kLazy;
  queue_.submit(job);
  if (!job->status.ok()) return std::move(job->status);
  return std::move(job->objects);
}

Status StoreImpl::flush() { return submit(CommitJob::Kind::kFlush); }

Status StoreImpl::rewrite(ResourceId resource) { return submit(CommitJob::Kind::kRewrite, resource); }

ObjectPtr StoreImpl::get(ResourceId resource, std::string_view key) const {
  const Table& table = tables_.at(resource);
  FairReadLock lock(table.mutex);
  return table.get(key);
}

Result<ListResult> StoreImpl::list(ResourceId resource, const ListOptions& options) const {
  Table& table = tables_.at(resource);
  if (!options.labels.empty()) {
    const auto wants_index = [&] {
      FairReadLock lock(table.mutex);
      return table.wants_index(options);
    };
    if (wants_index()) {
      FairWriteLock lock(table.mutex);
      table.index_labels(options);
    }
  }
  ListResult out;
  FairReadLock lock(table.mutex);
  const Revision now = revision();
  if (options.at > now) return too_large(options.at, now);
  if (options.at == 0 || options.at == now) {
    out.revision = now;
    table.list(options, out);
  } else {
    if (options.at < table.ring_floor()) return expired(options.at, table.ring_floor());
    out.revision = options.at;
    table.list_at(options, out);
  }
  return out;
}

std::vector<ObjectPtr> StoreImpl::list_index(ResourceId resource, uint32_t index, std::string_view value) const {
  const Table& table = tables_.at(resource);
  FairReadLock lock(table.mutex);
  return table.with_index(index, value);
}

size_t StoreImpl::count(ResourceId resource) const {
  const Table& table = tables_.at(resource);
  FairReadLock lock(table.mutex);
  return table.count();
}

Result<std::unique_ptr<Cursor>> StoreImpl::watch(ResourceId resource, Revision since) {
  const Table& table = tables_.at(resource);
  std::vector<EventPtr> backlog;
  uint64_t number;
  Revision position = since;
  {
    FairReadLock lock(table.mutex);
    const Revision now = revision();
    if (since > now) return too_large(since, now);
    if (since == 0) {
      number = table.ring_end();
      position = now;
    } else if (since >= table.ring_floor()) {
      number = table.ring_after(since);
    } else {
      Lock deletions_lock(deletions_mutex_);
      const Revision oldest = std::max(deletions_.forgotten(), table.lazy_floor);
      if (since < oldest) return expired(since, oldest);
      deletions_.since(resource, since, backlog);
      table.changed_since(since, backlog);
      number = table.ring_end();
    }
  }
  std::sort(backlog.begin(), backlog.end(),
            [](const EventPtr& a, const EventPtr& b) { return a->revision() < b->revision(); });
  return std::unique_ptr<Cursor>(std::make_unique<TableCursor>(table, revision_, number, position, std::move(backlog)));
}

uint64_t StoreImpl::add_listener(Listener listener) {
  Lock lock(listeners_mutex_);
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

void StoreImpl::remove_listener(uint64_t id) {
  Lock lock(listeners_mutex_);
  listeners_.erase(id);
}

void StoreImpl::touch(const std::vector<ResourceId>& resources) {
  Lock lock(listeners_mutex_);
  for (const auto& [id, listener] : listeners_) listener(resources, revision());
}

Revision StoreImpl::compacted_revision() const {
  Lock lock(deletions_mutex_);
  return deletions_.forgotten();
}

Status StoreImpl::health() const {
  Lock lock(health_mutex_);
  return health_;
}

Store::Stats StoreImpl::stats() const {
  return {.objects = objects_,
          .value_bytes = value_bytes_,
          .commits = commits_,
          .transactions = appends_,
          .syncs_failed = appends_failed_,
          .lazy_pending = lazy_pending_};
}

}  // namespace knarr::store
