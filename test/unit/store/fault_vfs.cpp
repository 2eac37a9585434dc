#include "unit/store/fault_vfs.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>

namespace knarr::store::test {

// What SQLite holds; the real file stands behind it in the same allocation.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* owner;
  Disk* disk;  // null: a file that is only temporary
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }

  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
};

const sqlite3_io_methods FaultVfs::kMethods = {
    .iVersion = 1,
    .xClose =
        [](sqlite3_file* f) {
          sqlite3_file* real = File::of(f).real();
          return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
        },
    .xRead = [](sqlite3_file* f, void* to, int n,
                sqlite3_int64 at) { return File::of(f).real()->pMethods->xRead(File::of(f).real(), to, n, at); },
    .xWrite =
        [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
          File& file = File::of(f);
          std::lock_guard lock(file.owner->mutex_);
          bool short_write = false;
          const int failed = file.owner->before(Op::kWrite, &short_write);
          if (failed && !short_write) return failed;
          if (failed) n /= 2;
          if (file.disk) file.disk->unsynced.push_back({false, at, std::string(static_cast<const char*>(from), n)});
          const int rc = file.real()->pMethods->xWrite(file.real(), from, n, at);
          return failed ? failed : rc;
        },
    .xTruncate =
        [](sqlite3_file* f, sqlite3_int64 size) {
          File& file = File::of(f);
          std::lock_guard lock(file.owner->mutex_);
          if (const int failed = file.owner->before(Op::kTruncate, nullptr)) return failed;
          if (file.disk) file.disk->unsynced.push_back({true, size, {}});
          return file.real()->pMethods->xTruncate(file.real(), size);
        },
    .xSync =
        [](sqlite3_file* f, int flags) {
          File& file = File::of(f);
          std::lock_guard lock(file.owner->mutex_);
          if (const int failed = file.owner->before(Op::kSync, nullptr)) {
            // As Linux does: the pages are clean from now on, whether or not they reached the disk.
            if (file.disk && !file.owner->dark_) file.owner->settle(*file.disk);
            return failed;
          }
          const int rc = file.real()->pMethods->xSync(file.real(), flags);
          if (rc == SQLITE_OK && file.disk) {
            for (const Change& change : file.disk->unsynced) file.owner->apply(*file.disk, change);
            file.disk->unsynced.clear();
          }
          return rc;
        },
    .xFileSize = [](sqlite3_file* f,
                    sqlite3_int64* size) { return File::of(f).real()->pMethods->xFileSize(File::of(f).real(), size); },
    .xLock = [](sqlite3_file* f, int level) { return File::of(f).real()->pMethods->xLock(File::of(f).real(), level); },
    .xUnlock = [](sqlite3_file* f,
                  int level) { return File::of(f).real()->pMethods->xUnlock(File::of(f).real(), level); },
    .xCheckReservedLock =
        [](sqlite3_file* f, int* out) {
          return File::of(f).real()->pMethods->xCheckReservedLock(File::of(f).real(), out);
        },
    .xFileControl = [](sqlite3_file* f, int op,
                       void* arg) { return File::of(f).real()->pMethods->xFileControl(File::of(f).real(), op, arg); },
    .xSectorSize = [](sqlite3_file* f) { return File::of(f).real()->pMethods->xSectorSize(File::of(f).real()); },
    .xDeviceCharacteristics =
        [](sqlite3_file* f) { return File::of(f).real()->pMethods->xDeviceCharacteristics(File::of(f).real()); },
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

FaultVfs::FaultVfs(uint32_t seed)
    : name_([] {
        static std::atomic<int> count{0};
        return "fault-" + std::to_string(++count);
      }()),
      real_(sqlite3_vfs_find(nullptr)),
      vfs_(*real_),
      random_(seed) {
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }

int FaultVfs::open(sqlite3_vfs* vfs, const char* path, sqlite3_file* f, int flags, int* out_flags) {
  FaultVfs* self = of(vfs);
  File& file = File::of(f);
  file.base.pMethods = nullptr;
  file.owner = self;
  file.disk = nullptr;
  file.real()->pMethods = nullptr;
  std::lock_guard lock(self->mutex_);
  if (self->dark_) return SQLITE_CANTOPEN;
  if (path && !(flags & SQLITE_OPEN_DELETEONCLOSE)) {
    auto [it, fresh] = self->disks_.try_emplace(path);
    file.disk = &it->second;
    if (fresh) {
      std::ifstream in(path, std::ios::binary);
      it->second.synced.assign(std::istreambuf_iterator<char>(in), {});
    }
  }
  // What the real VFS keeps in pAppData is its own; it is asked by its own structure.
  const int rc = self->real_->xOpen(self->real_, path, file.real(), flags, out_flags);
  if (file.real()->pMethods) file.base.pMethods = &kMethods;
  return rc;
}

int FaultVfs::remove(sqlite3_vfs* vfs, const char* path, int sync_dir) {
  FaultVfs* self = of(vfs);
  std::lock_guard lock(self->mutex_);
  if (self->dark_) return SQLITE_IOERR_DELETE;
  self->disks_.erase(path);
  return self->real_->xDelete(self->real_, path, sync_dir);
}

int FaultVfs::before(Op op, bool* short_write) {
  if (dark_) return SQLITE_IOERR;
  ++operations_;
  if (!armed_ || (fault_.op != Op::kAny && fault_.op != op)) return SQLITE_OK;
  if (--fault_.nth > 0) return SQLITE_OK;
  struck_ = true;
  armed_ = fault_.lasting;
  if (short_write) *short_write = fault_.short_write;
  return fault_.code;
}

void FaultVfs::apply(Disk& disk, const Change& change) {
  if (change.truncate) return disk.synced.resize(static_cast<size_t>(change.offset));
  const size_t end = static_cast<size_t>(change.offset) + change.bytes.size();
  if (disk.synced.size() < end) disk.synced.resize(end);
  std::copy(change.bytes.begin(), change.bytes.end(), disk.synced.begin() + change.offset);
}

void FaultVfs::settle(Disk& disk) {
  constexpr size_t kSector = 512;
  for (const Change& change : disk.unsynced) {
    switch (random_() % 4) {
      case 0:
        apply(disk, change);
        break;
      case 1:
        if (change.truncate) break;
        for (size_t at = 0; at < change.bytes.size(); at += kSector)
          if (random_() % 2)
            apply(disk, {false, change.offset + static_cast<int64_t>(at), change.bytes.substr(at, kSector)});
        break;
      default:
        break;  // lost
    }
  }
  disk.unsynced.clear();
}

void FaultVfs::inject(Fault fault) {
  std::lock_guard lock(mutex_);
  fault_ = fault;
  armed_ = true;
  struck_ = false;
}

void FaultVfs::heal() {
  std::lock_guard lock(mutex_);
  armed_ = false;
}

bool FaultVfs::struck() const {
  std::lock_guard lock(mutex_);
  return struck_;
}

size_t FaultVfs::operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

void FaultVfs::cut_power() {
  std::lock_guard lock(mutex_);
  dark_ = true;
}

void FaultVfs::restart() {
  std::lock_guard lock(mutex_);
  for (auto& [path, disk] : disks_) {
    settle(disk);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << disk.synced;
  }
  disks_.clear();
  dark_ = armed_ = false;
}

}  // namespace knarr::store::test
