// What the tests of the store run on: a journal of each kind that can be stopped cleanly or killed, and short ways to
// write.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "knarr/store/journal.h"
#include "knarr/store/store.h"
#include "unit/temp_directory.h"

namespace knarr::store::test {

// In memory where that can be had: what a sync keeps is tested with the fault-injecting VFS, not by the machine's disk.
class TempDir : public knarr::test::TempDirectory {
 public:
  TempDir() : TempDirectory(::access("/dev/shm", W_OK) == 0 ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) {}
  std::string file(std::string_view name = "state.db") const { return TempDirectory::file(name); }
};

// What a test does to a journal while the store uses it.
struct Control {
  std::mutex mutex;
  std::condition_variable changed;
  Status fail;          // appends answer this without trying, unless OK
  bool hold = false;    // appends wait until it is false
  bool killed = false;  // nothing reaches the disk any more, not even close()
  bool settled = true;
  size_t appends = 0;  // begun, and how many records the last one had
  size_t last_records = 0;

  void set(std::function<void(Control&)> change) {
    std::lock_guard lock(mutex);
    change(*this);
    changed.notify_all();
  }
  void wait(std::function<bool(Control&)> until) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return until(*this); });
  }
};

class ControlledJournal : public Journal {
 public:
  ControlledJournal(std::unique_ptr<Journal> inner, std::shared_ptr<Control> control)
      : inner_(std::move(inner)), control_(std::move(control)) {}

  Result<JournalState> replay(const std::function<void(const Record&)>& sink) override { return inner_->replay(sink); }
  Status append(std::span<const Record> records, uint64_t reserve, std::span<const std::string_view> lazy) override {
    std::unique_lock lock(control_->mutex);
    ++control_->appends;
    control_->last_records = records.size();
    control_->changed.notify_all();
    control_->changed.wait(lock, [&] { return !control_->hold; });
    if (control_->killed) return Status::OK();
    if (!control_->fail.ok()) return control_->fail;
    return inner_->append(records, reserve, lazy);
  }
  bool settled() const override {
    std::lock_guard lock(control_->mutex);
    return control_->settled && inner_->settled();
  }
  Status close(uint64_t revision) override {
    std::lock_guard lock(control_->mutex);
    return control_->killed ? Status::OK() : inner_->close(revision);
  }
  Maintenance maintenance() const override { return inner_->maintenance(); }
  Status maintain() override { return inner_->maintain(); }

 private:
  const std::unique_ptr<Journal> inner_;
  const std::shared_ptr<Control> control_;
};

// A store on a disk that outlives it: reopen() stops cleanly and starts, crash() is kill -9 and start.
class Backend {
 public:
  explicit Backend(std::string kind, Store::Options options = default_options())
      : kind_(std::move(kind)), options_(std::move(options)) {
    open();
  }

  static Store::Options default_options() {
    Store::Options options;
    // The test's values are "a=b;..." with labels and an index before the revision, see value_of().
    options.extract = [](std::string_view, std::string_view value) { return extract_of(value); };
    return options;
  }

  static Extract extract_of(std::string_view value) {
    Extract e;
    const size_t node = value.find("node=");
    if (node != value.npos)
      e.index.emplace_back(1, std::string(value.substr(node + 5, value.find(';', node) - node - 5)));
    return e;
  }

  // A resource by name: its number may be another one after a restart.
  class Id {
   public:
    Id(Backend& backend, std::string_view name) : backend_(backend), name_(name) { (void)backend->resource(name); }
    operator ResourceId() const { return backend_->resource(name_); }  // NOLINT: implicit by intent

   private:
    Backend& backend_;
    const std::string name_;
  };
  Id id(std::string_view name) { return {*this, name}; }

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  Control& control() { return *control_; }

  void stop() { store_.reset(); }
  void open() {
    control_ = std::make_shared<Control>();
    std::unique_ptr<Journal> journal;
    if (kind_ == "memory") {
      journal = make_memory_journal(image_);
    } else {
      auto opened =
          open_sqlite_journal({.path = dir_.file(), .deletions_kept = kDeletionsKept, .checkpoint_pages = 64});
      INFO(opened.status().to_string());
      REQUIRE(opened.ok());
      journal = std::move(*opened);
    }
    auto store = Store::open(std::make_unique<ControlledJournal>(std::move(journal), control_), options_);
    INFO(store.status().to_string());
    REQUIRE(store.ok());
    store_ = std::move(*store);
  }
  void reopen() {
    stop();
    open();
  }
  void crash() {
    control_->set([](Control& c) { c.killed = true; });
    reopen();
  }

  std::string data_file() const { return dir_.file(); }
  static constexpr size_t kDeletionsKept = 64;

 private:
  const std::string kind_;
  const Store::Options options_;
  TempDir dir_;
  std::shared_ptr<MemoryImage> image_ = make_memory_image(kDeletionsKept);
  std::shared_ptr<Control> control_;
  std::unique_ptr<Store> store_;
};

// Values look like "rev=<revision>;text"; rev_pos is 4.
inline std::string value_of(Revision revision, std::string_view text) {
  return fmt::format("rev={};{}", revision, text);
}
inline std::string_view text_of(const Object& object) {
  return std::string_view(object.value).substr(object.value.find(';') + 1);
}

inline Write put(ResourceId resource, std::string_view key, std::string_view text) {
  Write w;
  w.resource = resource;
  w.key = key;
  w.value = fmt::format("rev=;{}", text);
  w.rev_pos = 4;
  w.extract = Backend::extract_of(w.value);
  return w;
}
inline Write create(ResourceId resource, std::string_view key, std::string_view text) {
  Write w = put(resource, key, text);
  w.expect = Write::Expect::kAbsent;
  return w;
}
inline Write update(const Object& old, std::string_view text) {
  Write w = put(old.resource, old.key, text);
  w.expect = Write::Expect::kRevision;
  w.expected = old.revision;
  return w;
}
inline Write remove(ResourceId resource, std::string_view key) {
  Write w;
  w.op = Write::Op::kDelete;
  w.resource = resource;
  w.key = key;
  return w;
}

inline Result<ObjectPtr> commit1(Store& store, Write write, Durability durability = Durability::kDurable) {
  auto result = store.commit({&write, 1}, durability);
  if (!result.ok()) return result.status();
  return result->front();
}
inline ObjectPtr must(Store& store, Write write, Durability durability = Durability::kDurable) {
  auto result = commit1(store, std::move(write), durability);
  INFO(result.status().to_string());
  REQUIRE(result.ok());
  return *result;
}

// "ADDED default/a text@7" for each event that is there now.
inline std::vector<std::string> drain(Cursor& cursor) {
  std::vector<EventPtr> events;
  REQUIRE(cursor.next(1'000'000, events).ok());
  std::vector<std::string> out;
  for (const EventPtr& e : events) {
    const char* type = e->type == EventType::kAdded      ? "ADDED"
                       : e->type == EventType::kModified ? "MODIFIED"
                                                         : "DELETED";
    CHECK(e->object->value == value_of(e->revision(), text_of(*e->object)));
    out.push_back(fmt::format("{} {} {}@{}", type, e->object->key, text_of(*e->object), e->revision()));
  }
  return out;
}

inline std::unique_ptr<Cursor> watch(Store& store, ResourceId resource, Revision since) {
  auto cursor = store.watch(resource, since);
  INFO(cursor.status().to_string());
  REQUIRE(cursor.ok());
  return std::move(*cursor);
}

inline std::vector<std::string> keys(const ListResult& list) {
  std::vector<std::string> out;
  for (const ObjectPtr& o : list.objects) out.push_back(o->key);
  return out;
}
inline ListResult list(Store& store, ResourceId resource, ListOptions options = {}) {
  auto result = store.list(resource, options);
  INFO(result.status().to_string());
  REQUIRE(result.ok());
  return std::move(*result);
}

}  // namespace knarr::store::test
