// The journal in one SQLite file: current objects and the last deletions. The schema stands in sqlite_file.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "store/sqlite_file.h"

namespace knarr::store {

namespace {

constexpr char kSeparator = '\x1f';

// Free pages are given back from so many on, if they are also a quarter of the file; until half of that; in such steps.
constexpr int64_t kFreePages = 1024;
constexpr const char* kVacuumStep = "PRAGMA incremental_vacuum(64)";

// Part of the file's format: a sum over a row, so that bytes that changed on the disk are noticed on load. Every step
// is a bijection of the sum and of the word, so that no change within one word goes unnoticed.
class Checksum {
 public:
  void add(uint64_t word) {
    sum_ = (sum_ ^ word) * 0x9e3779b97f4a7c15u;
    sum_ ^= sum_ >> 29;
  }
  void add(std::string_view bytes) {
    static_assert(std::endian::native == std::endian::little, "words are little-endian in the file's format");
    add(bytes.size());
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) add_word(bytes.data(), 8);
    if (!bytes.empty()) add_word(bytes.data(), bytes.size());
  }
  uint64_t sum() const { return sum_; }

 private:
  void add_word(const char* data, size_t size) {
    uint64_t word = 0;
    std::memcpy(&word, data, size);
    add(word);
  }
  uint64_t sum_ = 0;
};

uint64_t checksum(std::string_view k, const Record& record) {
  Checksum sum;
  sum.add(k);
  sum.add(record.revision);
  sum.add(record.create_revision);
  sum.add(record.rev_pos);
  sum.add(record.value);
  return sum.sum();
}

class SqliteJournal : public Journal {
 public:
  SqliteJournal(Database db, const SqliteOptions& options) : db_(std::move(db)), options_(options) {}

  Status prepare();

  Result<JournalState> replay(const std::function<void(const Record&)>& sink) override;
  Status append(std::span<const Record> records, uint64_t reserve_revision,
                std::span<const std::string_view> lazy_resources) override;
  bool settled() const override { return settled_; }
  Status close(uint64_t revision) override;
  Maintenance maintenance() const override;
  Status maintain() override;

 private:
  // What meta says on disk, and how much the table of deletions holds.
  struct State {
    uint64_t revision = 0, compacted = 0;
    bool clean = true;
    size_t gone_rows = 0, gone_bytes = 0;
  };

  Status replay_table(const char* sql, bool deleted, State& state, const std::function<void(const Record&)>& sink);
  Status transaction(const std::function<Status(State&)>& body);
  Status put(const Record& record, State& state);
  Status trim_deletions(State& state);
  Status write_meta(const State& state);
  Status vacuum_step();
  void size_log();

  Database db_;
  const SqliteOptions options_;
  Statement begin_, commit_, rollback_, put_, remove_, put_gone_, oldest_gone_, trim_gone_, meta_, add_lazy_,
      raise_floors_;
  State on_disk_;
  uint64_t new_floor_ = 0;  // of all lazy resources, to be written with the first transaction; 0: none
  bool settled_ = true;
  bool log_sized_ = false;
  int wal_pages_ = 0;
  int next_checkpoint_ = 0;
  int64_t vacuum_until_ = -1;  // give back free pages until so many are left; -1: not now
  std::string k_;
};

Status SqliteJournal::prepare() {
  const std::pair<Statement*, const char*> statements[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
      {&put_,
       "INSERT INTO obj(k, rev, crev, rev_pos, sum, v) VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(k) DO UPDATE SET "
       "rev = ?2, crev = ?3, rev_pos = ?4, sum = ?5, v = ?6"},
      {&remove_, "DELETE FROM obj WHERE k = ?1"},
      {&put_gone_, "INSERT OR REPLACE INTO gone(k, rev, crev, rev_pos, sum, v) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
      {&oldest_gone_, "SELECT rev, length(v) FROM gone ORDER BY rev"},
      {&trim_gone_, "DELETE FROM gone WHERE rev <= ?1"},
      {&meta_, "UPDATE meta SET rev = ?1, compacted = ?2, clean = ?3"},
      {&add_lazy_, "INSERT OR IGNORE INTO lazy(resource, floor) VALUES(?1, 0)"},
      {&raise_floors_, "UPDATE lazy SET floor = ?1"},
  };
  for (const auto& [statement, sql] : statements) KNARR_RETURN_IF_ERROR(statement->prepare(db_, sql));
  next_checkpoint_ = options_.checkpoint_pages;
  auto count_pages = [](void* self, sqlite3*, const char*, int pages) {
    static_cast<SqliteJournal*>(self)->wal_pages_ = pages;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(db_.get(), count_pages, this);
  return Status::OK();
}

Status SqliteJournal::replay_table(const char* sql, bool deleted, State& state,
                                   const std::function<void(const Record&)>& sink) {
  Statement rows;
  KNARR_RETURN_IF_ERROR(rows.prepare(db_, sql));
  int rc;
  while ((rc = rows.step()) == SQLITE_ROW) {
    const std::string_view k = rows.bytes(0);
    const size_t separator = k.find(kSeparator);
    Record record{.resource = k.substr(0, separator),
                  .key = separator == k.npos ? "" : k.substr(separator + 1),
                  .value = rows.bytes(5),
                  .revision = rows.integer(1),
                  .create_revision = rows.integer(2),
                  .rev_pos = static_cast<uint32_t>(rows.integer(3)),
                  .deleted = deleted};
    auto name = [&] { return fmt::format("{} \"{}\"", record.resource, record.key); };
    if (separator == k.npos || checksum(k, record) != rows.integer(4))
      return db_.damaged(fmt::format("the checksum of {} is wrong", name()));
    if (record.revision > state.revision)
      return db_.damaged(fmt::format("{} has revision {}, but only those up to {} were reserved", name(),
                                     record.revision, state.revision));
    sink(record);
    if (!deleted) continue;
    ++state.gone_rows;
    state.gone_bytes += record.value.size();
  }
  return rc == SQLITE_DONE ? Status::OK() : db_.error(rc, "read");
}

Result<JournalState> SqliteJournal::replay(const std::function<void(const Record&)>& sink) {
  State state;
  {
    Statement meta;
    KNARR_RETURN_IF_ERROR(meta.prepare(db_, "SELECT rev, compacted, clean FROM meta WHERE id = 1"));
    if (const int rc = meta.step(); rc != SQLITE_ROW)
      return rc == SQLITE_DONE ? db_.damaged("its table meta is empty") : db_.error(rc, "read");
    state.revision = meta.integer(0);
    state.compacted = meta.integer(1);
    state.clean = meta.integer(2) != 0;
  }
  KNARR_RETURN_IF_ERROR(replay_table("SELECT k, rev, crev, rev_pos, sum, v FROM obj", false, state, sink));
  KNARR_RETURN_IF_ERROR(replay_table("SELECT k, rev, crev, rev_pos, sum, v FROM gone ORDER BY rev", true, state, sink));
  on_disk_ = state;
  JournalState out{.revision = state.revision, .compacted = state.compacted, .clean = state.clean, .lazy = {}};
  Statement lazy;
  KNARR_RETURN_IF_ERROR(lazy.prepare(db_, "SELECT resource, floor FROM lazy"));
  int rc;
  while ((rc = lazy.step()) == SQLITE_ROW) out.lazy.push_back({std::string(lazy.bytes(0)), lazy.integer(1)});
  if (rc != SQLITE_DONE) return db_.error(rc, "read");
  if (!state.clean) {
    new_floor_ = state.revision + 1;
    for (auto& resource : out.lazy) resource.floor = new_floor_;
  }
  return out;
}

// A sync of a file that has grown waits for the file system's own journal, and so for whatever else the machine writes
// just then (an image that is unpacked), up to the better part of a second; one of a file of the same size does not. So
// the log gets at once the size that it comes to anyway, in zeros, which SQLite takes for its end. That this fails is
// no matter: what then fails too will say so.
void SqliteJournal::size_log() {
  if (std::exchange(log_sized_, true)) return;
  sqlite3_file* log = nullptr;
  sqlite3_int64 size = 0;
  if (sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || !log ||
      !log->pMethods || log->pMethods->xFileSize(log, &size) != SQLITE_OK)
    return;
  const sqlite3_int64 frames = options_.checkpoint_pages + options_.checkpoint_pages / 4;
  const auto wanted = std::min<sqlite3_int64>(frames * (4096 + 24), static_cast<sqlite3_int64>(options_.wal_limit));
  const std::vector<char> zeros(64 << 10);
  while (size < wanted) {
    const auto n = std::min<sqlite3_int64>(wanted - size, static_cast<sqlite3_int64>(zeros.size()));
    if (log->pMethods->xWrite(log, zeros.data(), static_cast<int>(n), size) != SQLITE_OK) return;
    size += n;
  }
}

Status SqliteJournal::transaction(const std::function<Status(State&)>& body) {
  State state = on_disk_;
  size_log();
  KNARR_RETURN_IF_ERROR(begin_.run(db_, "begin a transaction in"));
  Status status = body(state);
  if (status.ok() && new_floor_ > 0) {
    raise_floors_.bind(1, new_floor_);
    status = raise_floors_.run(db_, "write to");
  }
  if (status.ok()) {
    const int rc = commit_.step();
    if (rc != SQLITE_DONE) {
      status = db_.error(rc, "commit to");
      // A disk that is full stops before the commit's record is complete. What else fails may fail after that, so that
      // the transaction would be found in the log until the next one takes its place.
      settled_ = (rc & 0xff) == SQLITE_FULL && settled_;
    }
    commit_.reset();
  }
  if (!status.ok()) {
    if (!sqlite3_get_autocommit(db_.get())) (void)rollback_.run(db_, "roll back");  // else SQLite did it by itself
    return status;
  }
  settled_ = true;
  new_floor_ = 0;
  on_disk_ = state;
  return status;
}

Status SqliteJournal::put(const Record& record, State& state) {
  k_.assign(record.resource).append(1, kSeparator).append(record.key);
  if (record.deleted) {
    remove_.bind_text(1, k_);
    KNARR_RETURN_IF_ERROR(remove_.run(db_, "write to"));
    if (record.revision <= state.compacted) return Status::OK();
    ++state.gone_rows;
    state.gone_bytes += record.value.size();
  }
  Statement& statement = record.deleted ? put_gone_ : put_;
  statement.bind_text(1, k_);
  statement.bind(2, record.revision);
  statement.bind(3, record.create_revision);
  statement.bind(4, record.rev_pos);
  statement.bind(5, checksum(k_, record));
  statement.bind_blob(6, record.value);
  return statement.run(db_, "write to");
}

// Lets the oldest deletions go when there are an eighth too many, so that this is not done for each.
Status SqliteJournal::trim_deletions(State& state) {
  auto within = [&](size_t slack) {
    return state.gone_rows <= options_.deletions_kept + options_.deletions_kept / 8 * slack &&
           state.gone_bytes <= options_.deletions_bytes + options_.deletions_bytes / 8 * slack;
  };
  if (within(1)) return Status::OK();
  int rc = SQLITE_DONE;
  while (!within(0) && (rc = oldest_gone_.step()) == SQLITE_ROW) {
    state.compacted = oldest_gone_.integer(0);
    --state.gone_rows;
    state.gone_bytes -= oldest_gone_.integer(1);
  }
  oldest_gone_.reset();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return db_.error(rc, "read");
  trim_gone_.bind(1, state.compacted);
  return trim_gone_.run(db_, "write to");
}

Status SqliteJournal::write_meta(const State& state) {
  meta_.bind(1, state.revision);
  meta_.bind(2, state.compacted);
  meta_.bind(3, state.clean);
  return meta_.run(db_, "write to");
}

Status SqliteJournal::append(std::span<const Record> records, uint64_t reserve_revision,
                             std::span<const std::string_view> lazy_resources) {
  return transaction([&](State& state) {
    for (const Record& record : records) KNARR_RETURN_IF_ERROR(put(record, state));
    KNARR_RETURN_IF_ERROR(trim_deletions(state));
    for (std::string_view name : lazy_resources) {
      add_lazy_.bind_text(1, name);
      KNARR_RETURN_IF_ERROR(add_lazy_.run(db_, "write to"));
    }
    state.revision = std::max(state.revision, reserve_revision);
    if (!settled_)
      ++state.revision;  // to settle the log something must be written, and SQLite leaves out what is the same
    state.clean = false;
    const bool same = state.revision == on_disk_.revision && state.compacted == on_disk_.compacted && !on_disk_.clean;
    return same ? Status::OK() : write_meta(state);
  });
}

Status SqliteJournal::close(uint64_t revision) {
  if (!on_disk_.clean) {
    KNARR_RETURN_IF_ERROR(transaction([&](State& state) {
      state.revision = revision;
      state.clean = true;
      return write_meta(state);
    }));
    // All into the file, so that it can be copied by itself. A failure costs nothing but that: the log stays.
    if (sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) == SQLITE_OK)
      sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  }
  return Status::OK();
}

Journal::Maintenance SqliteJournal::maintenance() const {
  if (wal_pages_ >= next_checkpoint_ + options_.checkpoint_pages) return Maintenance::kOverdue;
  return wal_pages_ >= next_checkpoint_ || vacuum_until_ >= 0 ? Maintenance::kDue : Maintenance::kNone;
}

Status SqliteJournal::maintain() {
  if (wal_pages_ < next_checkpoint_) return vacuum_step();
  int in_log = 0, done = 0;
  const int rc = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
  if (rc != SQLITE_OK || done < in_log) {
    next_checkpoint_ = wal_pages_ + options_.checkpoint_pages;
    return rc == SQLITE_OK ? Status::OK() : db_.error(rc, "checkpoint");
  }
  next_checkpoint_ = options_.checkpoint_pages;
  wal_pages_ = 0;  // the next commit begins the log anew
  KNARR_ASSIGN(const int64_t free, db_.number("PRAGMA freelist_count", "read"));
  KNARR_ASSIGN(const int64_t pages, db_.number("PRAGMA page_count", "read"));
  if (free > kFreePages && free > pages / 4) vacuum_until_ = std::max(kFreePages, pages / 4) / 2;
  return Status::OK();
}

Status SqliteJournal::vacuum_step() {
  if (vacuum_until_ < 0) return Status::OK();
  const int64_t until = std::exchange(vacuum_until_, -1);  // an error ends it, until the next checkpoint
  KNARR_RETURN_IF_ERROR(db_.exec(kVacuumStep, "give back free space of"));
  KNARR_ASSIGN(const int64_t free, db_.number("PRAGMA freelist_count", "read"));
  if (free > until) vacuum_until_ = until;
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<Journal>> open_sqlite_journal(const SqliteOptions& options) {
  KNARR_ASSIGN(Database db, open_data_file(options));
  auto journal = std::make_unique<SqliteJournal>(std::move(db), options);
  KNARR_RETURN_IF_ERROR(journal->prepare());
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace knarr::store
