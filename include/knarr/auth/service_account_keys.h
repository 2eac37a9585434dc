// The keys that ServiceAccount tokens are signed with, as files in a directory, and how the signing one is replaced while everything
// runs:
//   rotate_service_account_key()   a new key signs; of the old one the public half stays, and verifies
//   forget_service_account_key()   the old one is forgotten, and what it signed ends
// Each is one step on disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "knarr/auth/jwt.h"
#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::auth {

struct ServiceAccountKeys {
  std::vector<Key> keys;  // the first signs, all verify
  std::string replaced;   // id of the one that gave way to the first and is not forgotten yet; "": none
};

struct ServiceAccountKeyFiles {
  std::string directory;              // with sa.key, which is made when it is needed, and sa-replaced.pub
  std::string signing_file;           // signs in the place of sa.key, which then verifies; "": none
  std::vector<std::string> further_files;  // only verify
};

// Errors name the file.
Result<ServiceAccountKeys> load_service_account_keys(const ServiceAccountKeyFiles& files);

// When the key that signed before was replaced; nothing: no rotation is under way.
std::optional<WallTime> service_account_key_replaced_at(const std::string& directory);

// Conflict: a rotation is under way; another file's key signs. For one caller at a time.
Status rotate_service_account_key(const ServiceAccountKeyFiles& files);
// Conflict: no rotation is under way.
Status forget_service_account_key(const std::string& directory);

}  // namespace knarr::auth
