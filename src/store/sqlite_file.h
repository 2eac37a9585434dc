// A SQLite connection and its statements, with their errors as Status; and how knarr's data file is made, opened and
// verified. The only header that knows sqlite3.h; only the SQLite journal includes it.
#pragma once

#include <sqlite3.h>

#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/store/journal.h"

namespace knarr::store {

class Database {
 public:
  Database() = default;
  ~Database() { close(); }
  Database(Database&& other) noexcept : db_(std::exchange(other.db_, nullptr)), path_(std::move(other.path_)) {}
  Database& operator=(Database&&) = delete;

  Status open(const std::string& path, int flags, const char* vfs);
  void close() { sqlite3_close(std::exchange(db_, nullptr)); }

  Status exec(const char* sql, std::string_view what);
  Result<int64_t> number(const char* sql, std::string_view what);  // the first column of the first row, 0 without a row
  Result<std::string> text(const char* sql, std::string_view what);

  // What SQLite says of its last error, as a Status: what was tried, on which file, why it failed, what to do.
  Status error(int code, std::string_view what) const;
  // An error of the file's contents.
  Status damaged(std::string_view what) const;

  sqlite3* get() const { return db_; }
  const std::string& path() const { return path_; }

 private:
  sqlite3* db_ = nullptr;
  std::string path_;
};

class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Status prepare(const Database& db, const char* sql);

  // Parameters are numbered from 1; text and blobs must live until reset().
  void bind(int n, uint64_t value) { sqlite3_bind_int64(statement_, n, static_cast<sqlite3_int64>(value)); }
  void bind_text(int n, std::string_view v) {
    sqlite3_bind_text(statement_, n, v.data(), static_cast<int>(v.size()), SQLITE_STATIC);
  }
  void bind_blob(int n, std::string_view v) {
    sqlite3_bind_blob(statement_, n, v.empty() ? "" : v.data(), static_cast<int>(v.size()), SQLITE_STATIC);
  }

  // SQLITE_ROW, SQLITE_DONE or an error.
  int step() { return sqlite3_step(statement_); }
  uint64_t integer(int column) { return static_cast<uint64_t>(sqlite3_column_int64(statement_, column)); }
  std::string_view bytes(int column) {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {data ? data : "", static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }
  void reset() { sqlite3_reset(statement_); }

  // For a statement without rows: steps and resets.
  Status run(const Database& db, std::string_view what);

 private:
  sqlite3_stmt* statement_ = nullptr;
};

// Opens the data file, makes it if there is none, takes its lock and verifies it. What is damaged, foreign, newer or in
// use is an error, and is not written to.
Result<Database> open_data_file(const SqliteOptions& options);

}  // namespace knarr::store
