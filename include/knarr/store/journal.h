// What lies beneath the store: a durable set of current objects and a bounded table of the last deletions. One thread calls
// a Journal at a time. Implementations: SQLite (open_sqlite_journal), memory (for tests), later etcd.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

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
  uint64_t revision = 0;   // never hand out a revision at or below this: the reservation made by an earlier append
  uint64_t compacted = 0;  // deletions at or before this revision are forgotten
  bool clean = false;      // the last close flushed everything, so nothing lazy was lost
};

class Journal {
 public:
  virtual ~Journal() = default;
  // Hands every current object (any order), then the remembered deletions (ascending revision), to `sink`.
  virtual Result<JournalState> replay(const std::function<void(const Record&)>& sink) = 0;
  // One transaction: on OK all records and the reservation are on disk; on error none are, and a later append may be tried.
  virtual Status append(std::span<const Record> records, uint64_t reserve_revision) = 0;
  virtual Status close(uint64_t revision) = 0;  // a clean end: nothing lazy is missing
};

struct SqliteOptions {
  std::string path;                  // of the database file; its directory exists
  size_t deletions_kept = 4096;      // rows of the table of deletions
  size_t deletions_bytes = 8 << 20;  // and their bytes
  size_t wal_limit = 8 << 20;        // bytes the WAL may keep after a checkpoint
  int cache_kib = 2048;
  const char* vfs = nullptr;         // for tests: a fault-injecting VFS
};
// Errors: not a database or a damaged one (message says which file, what failed and what to do; the file is not touched), a
// newer schema than this knarr knows, no access.
Result<std::unique_ptr<Journal>> open_sqlite_journal(const SqliteOptions& options);
std::unique_ptr<Journal> make_memory_journal();

}  // namespace knarr::store
