// A SQLite VFS over the machine's own, for tests: operations fail on order, and the power can be cut, which loses,
// keeps or tears whatever was not synced.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace knarr::store::test {

class FaultVfs {
 public:
  enum class Op { kWrite, kSync, kTruncate, kAny };  // of those that change the disk
  struct Fault {
    Op op = Op::kAny;
    int nth = 1;               // of these operations from now, from 1
    int code = SQLITE_IOERR;   // what it answers
    bool short_write = false;  // half of a write gets through before it fails
    bool lasting = false;      // and so do all after it, until heal()
  };

  explicit FaultVfs(uint32_t seed = 1);
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  const char* name() const { return name_.c_str(); }

  void inject(Fault fault);
  void heal();
  bool struck() const;        // the fault has shown itself
  size_t operations() const;  // that changed the disk so far

  // From now on nothing reaches the disk. When all files are closed, restart() leaves in them what a disk may hold
  // then.
  void cut_power();
  void restart();

 private:
  struct Change {
    bool truncate = false;
    int64_t offset = 0;  // of the bytes, or the new size
    std::string bytes;
  };
  struct Disk {
    std::string synced;  // what is certainly there
    std::vector<Change> unsynced;
  };
  struct File;

  static FaultVfs* of(sqlite3_vfs* vfs) { return static_cast<FaultVfs*>(vfs->pAppData); }
  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags);
  static int remove(sqlite3_vfs* vfs, const char* path, int sync_dir);
  static const sqlite3_io_methods kMethods;

  int before(Op op, bool* short_write);  // SQLITE_OK, or what the operation answers instead
  void apply(Disk& disk, const Change& change);
  void settle(Disk& disk);  // by chance, what is not synced is there, partly there or lost

  const std::string name_;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;
  mutable std::mutex mutex_;
  std::map<std::string, Disk> disks_;
  Fault fault_;
  bool armed_ = false, struck_ = false, dark_ = false;
  size_t operations_ = 0;
  std::mt19937 random_;
};

}  // namespace knarr::store::test
