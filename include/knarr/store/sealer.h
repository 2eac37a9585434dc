// Values that must not be readable on disk (Secrets): a journal that seals them on their way down and opens them on the way up.
// What seals is not known here; knarr's is auth::EncryptionKeys (AES-256-GCM).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/store/journal.h"

namespace knarr::store {

// Called by one thread at a time. `context` names the object (resource and key): what was sealed in one context must not open in
// another, so that rows cannot be exchanged.
class Sealer {
 public:
  virtual ~Sealer() = default;
  virtual bool wants(std::string_view resource) const = 0;  // values of this resource are sealed
  virtual Result<std::string> seal(std::string_view context, std::string_view value) = 0;
  // Whether the bytes were made by seal(), with whatever key.
  virtual bool is_sealed(std::string_view bytes) const = 0;
  // Replay found a value of a wanted resource that is not sealed.
  virtual void found_plain() {}
  // Errors: not sealed with a key that is known, or changed since.
  virtual Result<std::string> open(std::string_view context, std::string_view bytes) = 0;
};

// A value of a wanted resource that is found unsealed is handed up as it is: it is from before its resource was sealed. An error of
// open() is the error of replay(), so that nothing starts on an incomplete state; one of seal() is that of append().
std::unique_ptr<Journal> make_sealed_journal(std::unique_ptr<Journal> journal, std::shared_ptr<Sealer> sealer);

}  // namespace knarr::store
