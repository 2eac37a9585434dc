// The journal that keeps its "disk" in memory: for tests, and the plainest statement of what a journal does.
#include <algorithm>
#include <map>

#include "knarr/store/journal.h"

namespace knarr::store {

namespace {

struct Row {
  std::string resource, key, value;
  uint64_t revision = 0, create_revision = 0;
  uint32_t rev_pos = 0;

  explicit Row(const Record& r)
      : resource(r.resource),
        key(r.key),
        value(r.value),
        revision(r.revision),
        create_revision(r.create_revision),
        rev_pos(r.rev_pos) {}
  Record record(bool deleted) const { return {resource, key, value, revision, create_revision, rev_pos, deleted}; }
};

}  // namespace

struct MemoryImage {
  size_t deletions_kept = 0;
  std::map<std::pair<std::string, std::string>, Row> objects;
  std::map<uint64_t, Row> deletions;
  std::map<std::string, uint64_t, std::less<>> lazy;  // floors
  uint64_t reserved = 0, compacted = 0;
  bool clean = true;
};

namespace {

class MemoryJournal : public Journal {
 public:
  explicit MemoryJournal(std::shared_ptr<MemoryImage> image) : image_(std::move(image)) {}

  Result<JournalState> replay(const std::function<void(const Record&)>& sink) override {
    for (const auto& [id, row] : image_->objects) sink(row.record(false));
    for (const auto& [revision, row] : image_->deletions) sink(row.record(true));
    if (!image_->clean)
      for (auto& [name, floor] : image_->lazy) floor = image_->reserved + 1;
    JournalState state{
        .revision = image_->reserved, .compacted = image_->compacted, .clean = image_->clean, .lazy = {}};
    for (const auto& [name, floor] : image_->lazy) state.lazy.push_back({name, floor});
    return state;
  }

  Status append(std::span<const Record> records, uint64_t reserve_revision,
                std::span<const std::string_view> lazy_resources) override {
    for (const Record& record : records) {
      std::pair id(std::string(record.resource), std::string(record.key));
      image_->objects.erase(id);
      if (!record.deleted)
        image_->objects.emplace(std::move(id), Row(record));
      else if (record.revision > image_->compacted)
        image_->deletions.emplace(record.revision, Row(record));
    }
    while (image_->deletions.size() > image_->deletions_kept) {
      image_->compacted = image_->deletions.begin()->first;
      image_->deletions.erase(image_->deletions.begin());
    }
    for (std::string_view name : lazy_resources) image_->lazy.emplace(name, 0);
    image_->reserved = std::max(image_->reserved, reserve_revision);
    image_->clean = false;
    return Status::OK();
  }

  Status close(uint64_t revision) override {
    image_->reserved = revision;
    image_->clean = true;
    return Status::OK();
  }

 private:
  const std::shared_ptr<MemoryImage> image_;
};

}  // namespace

std::shared_ptr<MemoryImage> make_memory_image(size_t deletions_kept) {
  auto image = std::make_shared<MemoryImage>();
  image->deletions_kept = deletions_kept;
  return image;
}

std::unique_ptr<Journal> make_memory_journal(std::shared_ptr<MemoryImage> image) {
  return std::make_unique<MemoryJournal>(image ? std::move(image) : make_memory_image());
}

}  // namespace knarr::store
