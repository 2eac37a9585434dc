// The keys that Secrets are encrypted with on disk (AES-256-GCM, NIST SP 800-38D), and their file: readable by root alone, beside
// the PKI and not in the database, so that a copy of the database tells nothing.
//
// The file is JSON: {"keys":[{"id":"5f3c…","created":"2026-11-21T15:04:05Z","secret":"<base64 of 32 bytes>"}]}. The first key seals;
// all open. A new key is written, and synced, before anything is sealed with it. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/base/sync.h"
#include "knarr/store/sealer.h"

namespace knarr::auth {

class EncryptionKeys : public store::Sealer {
 public:
  // Reads the file, or makes it with a first key when it does not exist. (Where a database lost its file of keys, open() says so.)
  static Result<std::shared_ptr<EncryptionKeys>> load_or_create(const std::string& path, const Clock& clock = Clock::system());

  bool wants(std::string_view resource) const override { return resource == "secrets"; }
  Result<std::string> seal(std::string_view context, std::string_view value) override;
  bool is_sealed(std::string_view bytes) const override;
  void found_plain() override;
  Result<std::string> open(std::string_view context, std::string_view bytes) override;

  // Makes a new first key. Until what there is has been written again (store::Store::rewrite), old keys still open it.
  Status rotate();
  // Whether something was found since the start that is not sealed, or with another key than the first.
  bool outdated() const;
  // Removes the keys that have opened nothing since the start and are not the first: nothing on disk needs them. Call it when
  // everything has been replayed, and before rotate().
  Status forget_unused();
  std::string current_id() const;
  size_t count() const;

 private:
  struct Key {
    std::string id, created, secret;
    bool used = false;
  };

  EncryptionKeys(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}
  Status load(std::string_view text);
  Result<Key> make_key() const;
  Status save(const std::vector<Key>& keys) const;

  const std::string path_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::vector<Key> keys_ KNARR_GUARDED_BY(mutex_);
  bool found_plain_ KNARR_GUARDED_BY(mutex_) = false;
};

}  // namespace knarr::auth
