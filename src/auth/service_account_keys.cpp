#include "knarr/auth/service_account_keys.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "knarr/linux/file_set.h"
#include "knarr/linux/tree.h"

namespace knarr::auth {

namespace {

constexpr std::string_view kOwn = "sa.key", kReplaced = "sa-replaced.pub";

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }
std::string path_of(const std::string& directory, std::string_view name) { return fmt::format("{}/{}", directory, name); }

Result<std::vector<Key>> keys_of(const std::string& file) {
  KNARR_ASSIGN(const std::string pem, linux::read_file(file));
  auto keys = Key::all_from_pem(pem);
  if (!keys.ok()) return keys.status().with_context(file);
  return keys;
}

Result<Key> private_key_of(const std::string& file) {
  KNARR_ASSIGN(std::vector<Key> keys, keys_of(file));
  if (keys.front().private_pem().empty()) return bad_request(fmt::format("{}: want a private key", file));
  return std::move(keys.front());
}

}  // namespace

Result<ServiceAccountKeys> load_service_account_keys(const ServiceAccountKeyFiles& files) {
  ServiceAccountKeys out;
  const std::string own = path_of(files.directory, kOwn), replaced = path_of(files.directory, kReplaced);
  if (!files.signing_file.empty()) {
    KNARR_ASSIGN(Key key, private_key_of(files.signing_file));
    out.keys.push_back(std::move(key));
  }
  if (exists(own)) {
    KNARR_ASSIGN(Key key, private_key_of(own));
    out.keys.push_back(std::move(key));
  } else if (out.keys.empty()) {
    KNARR_ASSIGN(Key key, Key::generate());
    KNARR_RETURN_IF_ERROR(linux::replace_file(own, key.private_pem(), 0600));
    out.keys.push_back(std::move(key));
  }
  if (exists(replaced)) {
    KNARR_ASSIGN(std::vector<Key> before, keys_of(replaced));
    out.replaced = before.front().id();
    out.keys.push_back(std::move(before.front()));
  }
  for (const std::string& file : files.further_files) {
    KNARR_ASSIGN(std::vector<Key> more, keys_of(file));
    for (Key& key : more) out.keys.push_back(std::move(key));
  }
  return out;
}

std::optional<WallTime> service_account_key_replaced_at(const std::string& directory) {
  struct stat found {};
  if (stat(path_of(directory, kReplaced).c_str(), &found) != 0) return std::nullopt;
  return WallTime(seconds(found.st_mtim.tv_sec));
}

Status rotate_service_account_key(const ServiceAccountKeyFiles& files) {
  if (!files.signing_file.empty()) {
    return Status(409, reason::kConflict,
                  fmt::format("the key that signs is that of --service-account-signing-key-file: start the server with another file "
                              "there, and with {} among --service-account-key-file until its tokens have ended",
                              files.signing_file));
  }
  if (exists(path_of(files.directory, kReplaced))) {
    return Status(409, reason::kConflict,
                  "a rotation is under way: knarr cert rotate-service-account-key --finish ends it");
  }
  KNARR_ASSIGN(const Key before, private_key_of(path_of(files.directory, kOwn)));
  KNARR_ASSIGN(const Key made, Key::generate());
  const linux::FileChange changes[] = {{std::string(kReplaced), before.public_pem(), 0644}, {std::string(kOwn), made.private_pem(), 0600}};
  return linux::replace_files(files.directory, changes).with_context("change the key of ServiceAccount tokens");
}

Status forget_service_account_key(const std::string& directory) {
  if (!exists(path_of(directory, kReplaced))) {
    return Status(409, reason::kConflict, "no rotation is under way: knarr cert rotate-service-account-key begins one");
  }
  const linux::FileChange changes[] = {{std::string(kReplaced), std::nullopt, 0644}};
  return linux::replace_files(directory, changes).with_context("forget the old key of ServiceAccount tokens");
}

}  // namespace knarr::auth
