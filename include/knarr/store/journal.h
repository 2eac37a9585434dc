// What lies beneath the store: a durable set of current objects and a bounded table of the last deletions. One thread
// calls a Journal at a time. Implementations: SQLite (open_sqlite_journal), memory (for tests), later etcd.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::store {

struct Record {
  std::string_view resource, key, value;  // value: for a deletion the last state
  uint64_t revision = 0, create_revision = 0;
  uint32_t rev_pos = 0;
  bool deleted = false;
};

// What replay found besides records.
struct JournalState {
  // From before `floor` no watch on the resource can be resumed: lazy writes were lost that a watcher may have seen.
  struct LazyResource {
    std::string name;
    uint64_t floor = 0;
  };

  uint64_t revision = 0;   // never hand out a revision at or below this: the reservation made by an earlier append
  uint64_t compacted = 0;  // deletions at or before this revision are forgotten
  bool clean = true;       // the last close flushed everything, so nothing lazy was lost and `revision` was the last
  std::vector<LazyResource> lazy;  // the resources that ever had lazy writes, see Journal::append
};

class Journal {
 public:
  virtual ~Journal() = default;
  // Hands every current object (any order), then the remembered deletions (ascending revision), to `sink`. Called once,
  // first.
  virtual Result<JournalState> replay(const std::function<void(const Record&)>& sink) = 0;
  // One transaction: on OK all records and the reservation are on disk; on error none are, and a later append may be
  // tried. Records of one key come in the order of their revisions. `lazy_resources` names resources that are to have
  // writes which no append has seen yet: after a stop that is not clean, their floor is above the reservation.
  virtual Status append(std::span<const Record> records, uint64_t reserve_revision,
                        std::span<const std::string_view> lazy_resources = {}) = 0;
  // False after a failed append whose bytes may nevertheless be found after a power cut (an fsync that failed): nothing
  // may be published until an append, be it an empty one, has succeeded and so replaced them.
  virtual bool settled() const { return true; }
  virtual Status close(uint64_t revision) = 0;  // a clean end: nothing lazy is missing

  // Housekeeping that no answer should wait for (checkpoints, giving back free space), in short steps while one is due.
  // One that is overdue is done before anything else, whoever waits.
  enum class Maintenance { kNone, kDue, kOverdue };
  virtual Maintenance maintenance() const { return Maintenance::kNone; }
  virtual Status maintain() { return Status::OK(); }
};

struct SqliteOptions {
  std::string path;                  // of the database file; its directory exists
  size_t deletions_kept = 4096;      // rows of the table of deletions
  size_t deletions_bytes = 4 << 20;  // and their bytes
  size_t wal_limit = 8 << 20;        // bytes the WAL may keep after a checkpoint
  int checkpoint_pages = 500;        // of 4 KiB in the WAL, from which on a checkpoint is due
  int cache_kib = 2048;
  const char* vfs = nullptr;  // for tests: a fault-injecting VFS; its name
};
// Errors: not a database or a damaged one (message says which file, what failed and what to do; the file is not
// touched), a newer schema than this knarr knows, another process that has it open, no access.
Result<std::unique_ptr<Journal>> open_sqlite_journal(const SqliteOptions& options);

// What a memory journal "has on disk": a later journal on the same image finds it again.
struct MemoryImage;
std::shared_ptr<MemoryImage> make_memory_image(size_t deletions_kept = 4096);
std::unique_ptr<Journal> make_memory_journal(std::shared_ptr<MemoryImage> image = nullptr);

}  // namespace knarr::store
