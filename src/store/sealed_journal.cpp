#include <fmt/format.h>

#include <deque>
#include <vector>

#include "knarr/store/sealer.h"

namespace knarr::store {

namespace {

std::string context_of(const Record& record) { return fmt::format("{}\x1f{}", record.resource, record.key); }

class SealedJournal : public Journal {
 public:
  SealedJournal(std::unique_ptr<Journal> journal, std::shared_ptr<Sealer> sealer) : journal_(std::move(journal)), sealer_(std::move(sealer)) {}

  Result<JournalState> replay(const std::function<void(const Record&)>& sink) override {
    Status failed;
    auto state = journal_->replay([&](const Record& record) {
      if (!failed.ok() || !sealer_->wants(record.resource)) return sink(record);
      if (!sealer_->is_sealed(record.value)) {
        sealer_->found_plain();
        return sink(record);
      }
      auto plain = sealer_->open(context_of(record), record.value);
      if (!plain.ok()) {
        failed = std::move(plain).status().with_context(fmt::format("read {} \"{}\"", record.resource, record.key));
        return;
      }
      Record opened = record;
      opened.value = *plain;
      sink(opened);
    });
    if (!failed.ok()) return failed;
    return state;
  }

  Status append(std::span<const Record> records, uint64_t reserve_revision, std::span<const std::string_view> lazy_resources) override {
    bool any = false;
    for (const Record& record : records) any = any || sealer_->wants(record.resource);
    if (!any) return journal_->append(records, reserve_revision, lazy_resources);
    std::vector<Record> sealed(records.begin(), records.end());
    std::deque<std::string> values;
    for (Record& record : sealed) {
      if (!sealer_->wants(record.resource)) continue;
      KNARR_ASSIGN(auto value, sealer_->seal(context_of(record), record.value));
      record.value = values.emplace_back(std::move(value));
    }
    return journal_->append(sealed, reserve_revision, lazy_resources);
  }

  bool settled() const override { return journal_->settled(); }
  Status close(uint64_t revision) override { return journal_->close(revision); }
  Maintenance maintenance() const override { return journal_->maintenance(); }
  Status maintain() override { return journal_->maintain(); }

 private:
  const std::unique_ptr<Journal> journal_;
  const std::shared_ptr<Sealer> sealer_;
};

}  // namespace

std::unique_ptr<Journal> make_sealed_journal(std::unique_ptr<Journal> journal, std::shared_ptr<Sealer> sealer) {
  return std::make_unique<SealedJournal>(std::move(journal), std::move(sealer));
}

}  // namespace knarr::store
