#include "store/sqlite_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace knarr::store {

namespace {

constexpr int kApplicationId = 0x6b6e7272;  // "knrr"
constexpr int kSchemaVersion = 1;

// The whole schema. The file holds current objects and the last deletions, never a log of values.
constexpr const char* kSchema = R"sql(
  PRAGMA page_size = 4096;
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA synchronous = FULL;
  BEGIN;
  -- k: resource, U+001F, key. rev_pos: where in v the revision's digits begin. sum: see checksum() in sqlite_journal.cpp.
  CREATE TABLE obj(id INTEGER PRIMARY KEY, k TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL, crev INTEGER NOT NULL,
                   rev_pos INTEGER NOT NULL, sum INTEGER NOT NULL, v BLOB NOT NULL);
  -- The last deletions; v is the last state.
  CREATE TABLE gone(rev INTEGER PRIMARY KEY, k TEXT NOT NULL, crev INTEGER NOT NULL, rev_pos INTEGER NOT NULL,
                    sum INTEGER NOT NULL, v BLOB NOT NULL);
  -- rev: numbers up to here may have been handed out. compacted: deletions up to here are forgotten. clean: the last stop
  -- wrote everything, and rev is exact.
  CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1), rev INTEGER NOT NULL, compacted INTEGER NOT NULL,
                    clean INTEGER NOT NULL);
  INSERT INTO meta VALUES(1, 0, 0, 1);
  -- Resources with lazy writes; from before floor no watch can be resumed.
  CREATE TABLE lazy(resource TEXT PRIMARY KEY, floor INTEGER NOT NULL);
  PRAGMA application_id = 0x6b6e7272;
  PRAGMA user_version = 1;
  COMMIT;
  PRAGMA journal_mode = WAL;
)sql";

// Of each connection.
constexpr const char* kSettings = R"sql(
  PRAGMA synchronous = FULL;       -- every commit is synced before it is answered
  PRAGMA wal_autocheckpoint = 0;   -- Journal::maintain does it
  PRAGMA temp_store = MEMORY;
  PRAGMA cell_size_check = ON;
  PRAGMA trusted_schema = OFF;
)sql";

Status sync_directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, "open directory " + directory);
  const int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  return failed ? errno_status(failed, "fsync directory " + directory) : Status::OK();
}

// Makes the file under another name and renames it when it is complete, so that a file of this name is never half made.
Status create_data_file(const SqliteOptions& options) {
  const std::string& path = options.path;
  struct stat st;
  if (::stat((path + "-wal").c_str(), &st) == 0 && st.st_size > 0)
    return Status(
        500, reason::kInternalError,
        fmt::format("{} is missing, but its log {}-wal is there with {} bytes: put the file back from where it "
                    "went or from a backup; remove the log only to begin with an empty cluster",
                    path, path, st.st_size));
  const std::string part = path + ".new";
  for (const char* suffix : {"", "-wal", "-journal"}) ::unlink((part + suffix).c_str());
  // It will hold secrets: for its owner only. SQLite gives its log the same mode.
  const int fd = ::open(part.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(errno, "create " + part).with_context("make the data file");
  ::close(fd);
  {
    Database db;
    KNARR_RETURN_IF_ERROR(db.open(part, SQLITE_OPEN_READWRITE, options.vfs));
    KNARR_RETURN_IF_ERROR(db.exec(kSchema, "make the data file"));
  }
  if (::rename(part.c_str(), path.c_str()) != 0) return errno_status(errno, fmt::format("rename {} to {}", part, path));
  return sync_directory_of(path);
}

uint32_t big_endian(const unsigned char* p) {
  return static_cast<uint32_t>(p[0]) << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

Status check_schema_version(const Database& db, int64_t version) {
  if (version == kSchemaVersion) return Status::OK();
  if (version < kSchemaVersion) return db.damaged(fmt::format("its schema version is {}", version));
  return Status(
      500, reason::kInternalError,
      fmt::format("{} was written by a newer knarr (schema {}, this one knows {}): start that version, or restore "
                  "a backup from before the upgrade",
                  db.path(), version, kSchemaVersion));
}

// The first bytes, before SQLite does anything with the file. Read through SQLite, for its locks are lost when anybody
// in the process closes another descriptor of the file.
Status check_header(const Database& db) {
  sqlite3_file* file = nullptr;
  if (int rc = sqlite3_file_control(db.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file); rc != SQLITE_OK)
    return db.error(rc, "open");
  sqlite3_int64 size = 0;
  if (int rc = file->pMethods->xFileSize(file, &size); rc != SQLITE_OK) return db.error(rc, "read the size");
  unsigned char header[100];
  if (size == 0) return db.damaged("it is empty");
  if (size < static_cast<sqlite3_int64>(sizeof header)) return db.damaged(fmt::format("it has only {} bytes", size));
  if (int rc = file->pMethods->xRead(file, header, sizeof header, 0); rc != SQLITE_OK) return db.error(rc, "read");
  if (std::memcmp(header, "SQLite format 3", 16) != 0) return db.damaged("it does not begin as a SQLite database does");
  if (big_endian(header + 68) != kApplicationId)
    return Status(
        500, reason::kInternalError,
        fmt::format("{} is a SQLite database, but not one of knarr: choose another data directory", db.path()));
  return check_schema_version(db, big_endian(header + 60));
}

// Who has the file locked, from /proc/locks: " (process 123)", or nothing when that cannot be known.
std::string lock_holder(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return "";
  const std::string id = fmt::format("{:02x}:{:02x}:{}", major(st.st_dev), minor(st.st_dev), st.st_ino);
  std::ifstream locks("/proc/locks");
  // "3: POSIX  ADVISORY  WRITE 123 fd:01:4711 1073741824 1073742335"
  std::string number, kind, advisory, mode, pid, inode, rest;
  while (locks >> number >> kind >> advisory >> mode >> pid >> inode && std::getline(locks, rest))
    if (inode == id && mode == "WRITE") return fmt::format(" (process {})", pid);
  return "";
}

}  // namespace

Status Database::open(const std::string& path, int flags, const char* vfs) {
  // One thread at a time, so SQLite needs no locks of its own, and no count of its memory, which takes another.
  [[maybe_unused]] static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  path_ = path;
  const int rc = sqlite3_open_v2(path.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
  if (rc != SQLITE_OK) return error(rc, "open");
  // Never write on close but by an explicit checkpoint: an error at open leaves the file as it was.
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return Status::OK();
}

Status Database::exec(const char* sql, std::string_view what) {
  const int rc = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return rc == SQLITE_OK ? Status::OK() : error(rc, what);
}

Result<std::string> Database::text(const char* sql, std::string_view what) {
  Statement statement;
  KNARR_RETURN_IF_ERROR(statement.prepare(*this, sql));
  const int rc = statement.step();
  if (rc == SQLITE_ROW) return std::string(statement.bytes(0));
  if (rc != SQLITE_DONE) return error(rc, what);
  return std::string();
}

Result<int64_t> Database::number(const char* sql, std::string_view what) {
  Statement statement;
  KNARR_RETURN_IF_ERROR(statement.prepare(*this, sql));
  const int rc = statement.step();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return error(rc, what);
  return rc == SQLITE_ROW ? static_cast<int64_t>(statement.integer(0)) : 0;
}

Status Database::error(int code, std::string_view what) const {
  const int primary = code & 0xff;
  const int os_error = db_ ? sqlite3_system_errno(db_) : 0;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
    return damaged(fmt::format("{}: {}", what, db_ ? sqlite3_errmsg(db_) : sqlite3_errstr(code)));
  if (primary == SQLITE_BUSY)
    return Status(
        500, reason::kInternalError,
        fmt::format("{} is in use by another knarr{}: stop that one, or give this one a data directory of its own",
                    path_, lock_holder(path_)));
  if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && (os_error == ENOSPC || os_error == EDQUOT)))
    return Status(507, "InsufficientStorage",
                  fmt::format("{} {}: the disk is full; free some space, then writes go on", what, path_));
  std::string why = db_ ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  if (primary == SQLITE_IOERR) why = fmt::format("{} (SQLite {})", sqlite3_errstr(code), code);
  if (os_error != 0) why += fmt::format(", {}", std::strerror(os_error));
  return internal_error(fmt::format("{} {}: {}", what, path_, why));
}

Status Database::damaged(std::string_view what) const {
  return internal_error(fmt::format(
      "{} is damaged: {}. Nothing was changed in it. Restore it from a backup; or copy it and its -wal file "
      "elsewhere and get out what is left with: sqlite3 COPY .recover",
      path_, what));
}

Status Statement::prepare(const Database& db, const char* sql) {
  const int rc = sqlite3_prepare_v3(db.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  return rc == SQLITE_OK ? Status::OK() : db.error(rc, "read the schema of");
}

Status Statement::run(const Database& db, std::string_view what) {
  const int rc = step();
  Status status = rc == SQLITE_DONE || rc == SQLITE_ROW ? Status::OK() : db.error(rc, what);
  reset();
  return status;
}

Result<Database> open_data_file(const SqliteOptions& options) {
  struct stat st;
  if (::stat(options.path.c_str(), &st) != 0) {
    if (errno != ENOENT) return errno_status(errno, "open the data file " + options.path);
    KNARR_RETURN_IF_ERROR(create_data_file(options));
  }
  Database db;
  KNARR_RETURN_IF_ERROR(db.open(options.path, SQLITE_OPEN_READWRITE, options.vfs));
  KNARR_RETURN_IF_ERROR(check_header(db));
  if (sqlite3_db_readonly(db.get(), "main") == 1)
    return Status(403, reason::kForbidden,
                  fmt::format("{} cannot be written: its permissions or its file system forbid it", options.path));
  // The lock of the file is taken with the first read and kept: one process at a time. (So the log's index needs no
  // shared memory either.)
  KNARR_RETURN_IF_ERROR(db.exec("PRAGMA locking_mode = EXCLUSIVE", "lock"));
  KNARR_ASSIGN(const std::string mode, db.text("PRAGMA journal_mode = WAL", "lock"));
  if (mode != "wal") return db.damaged("it cannot be set to write-ahead logging");
  KNARR_RETURN_IF_ERROR(db.exec(kSettings, "set up"));
  const std::string sizes =
      fmt::format("PRAGMA cache_size = -{}; PRAGMA journal_size_limit = {}", options.cache_kib, options.wal_limit);
  KNARR_RETURN_IF_ERROR(db.exec(sizes.c_str(), "set up"));
  // Again, with what its log may say.
  KNARR_ASSIGN(const int64_t version, db.number("PRAGMA user_version", "read"));
  KNARR_RETURN_IF_ERROR(check_schema_version(db, version));
  KNARR_ASSIGN(const std::string verdict, db.text("PRAGMA quick_check(1)", "verify"));
  if (verdict != "ok") return db.damaged(verdict);
  return db;
}

}  // namespace knarr::store
