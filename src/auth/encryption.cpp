#include "knarr/auth/encryption.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>

#include "auth/openssl.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"
#include "knarr/linux/tree.h"

namespace knarr::auth {

namespace {

// Sealed bytes: this prefix (JSON never begins so), the key's id, the nonce, what is encrypted, the tag.
constexpr std::string_view kPrefix{"\0knarr\1", 7};
constexpr size_t kIdSize = 8, kNonceSize = 12, kTagSize = 16, kKeySize = 32;
constexpr size_t kHeadSize = kPrefix.size() + kIdSize + kNonceSize;

using CipherPtr = std::unique_ptr<EVP_CIPHER_CTX, OpensslDeleter<EVP_CIPHER_CTX_free>>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// The context is data that is authenticated, not encrypted: the same bytes do not open as another object's.
bool crypt(bool encrypt, std::string_view key, std::string_view nonce, std::string_view context, std::string_view in,
           std::string& out, std::string& tag) {
  CipherPtr cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  out.resize(in.size());
  return cipher &&
         EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key), bytes_of(nonce), encrypt) == 1 &&
         EVP_CipherUpdate(cipher.get(), nullptr, &size, bytes_of(context), static_cast<int>(context.size())) == 1 &&
         EVP_CipherUpdate(cipher.get(), bytes_of(out), &size, bytes_of(in), static_cast<int>(in.size())) == 1 &&
         (encrypt || EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, bytes_of(tag)) == 1) &&
         EVP_CipherFinal_ex(cipher.get(), bytes_of(out) + size, &size) == 1 &&
         (!encrypt || EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagSize, bytes_of(tag)) == 1);
}

Result<std::string> random_bytes(size_t size) {
  std::string bytes(size, '\0');
  if (RAND_bytes(bytes_of(bytes), static_cast<int>(size)) != 1) return openssl_error("make random bytes");
  return bytes;
}

}  // namespace

Result<std::shared_ptr<EncryptionKeys>> EncryptionKeys::load_or_create(const std::string& path, const Clock& clock) {
  std::shared_ptr<EncryptionKeys> keys(new EncryptionKeys(path, clock));
  if (access(path.c_str(), F_OK) != 0) {
    KNARR_RETURN_IF_ERROR(keys->rotate());
    return keys;
  }
  KNARR_ASSIGN(std::string text, linux::read_file(path));
  KNARR_RETURN_IF_ERROR(
      keys->load(text).with_context(fmt::format("read the encryption keys in {}; put it back from a backup", path)));
  return keys;
}

Status EncryptionKeys::load(std::string_view text) {
  KNARR_ASSIGN(auto document, json::parse(text));
  const json::Value* list = json::find(document, "keys");
  if (!list || !list->IsArray() || list->Empty()) return internal_error("it has no keys");
  Lock lock(mutex_);
  for (const json::Value& item : list->GetArray()) {
    KNARR_ASSIGN(std::string secret, base64::decode(json::get_string(item, "secret")));
    Key key{std::string(json::get_string(item, "id")), std::string(json::get_string(item, "created")),
            std::move(secret), false};
    if (key.id.size() != kIdSize || key.secret.size() != kKeySize) {
      return internal_error(fmt::format("the key \"{}\" is not an id of {} characters and a secret of {} bytes", key.id,
                                        kIdSize, kKeySize));
    }
    keys_.push_back(std::move(key));
  }
  return {};
}

Result<EncryptionKeys::Key> EncryptionKeys::make_key() const {
  KNARR_ASSIGN(std::string id, random_bytes(kIdSize / 2));
  KNARR_ASSIGN(std::string secret, random_bytes(kKeySize));
  std::string name;
  for (unsigned char c : id) name += fmt::format("{:02x}", c);
  return Key{name, format_time(clock_.wall()), std::move(secret), false};
}

Status EncryptionKeys::save(const std::vector<Key>& keys) const {
  json::Document document(rapidjson::kObjectType);
  auto& alloc = document.GetAllocator();
  json::Value list(rapidjson::kArrayType);
  for (const Key& key : keys) {
    json::Value item(rapidjson::kObjectType);
    json::set(item, "id", key.id, alloc);
    json::set(item, "created", key.created, alloc);
    json::set(item, "secret", base64::encode(key.secret), alloc);
    list.PushBack(std::move(item), alloc);
  }
  json::set(document, "keys", std::move(list), alloc);
  return linux::replace_file(path_, json::dump_pretty(document) + "\n", 0600).with_context("write the encryption keys");
}

Status EncryptionKeys::rotate() {
  Lock lock(mutex_);
  KNARR_ASSIGN(Key key, make_key());
  std::vector<Key> keys = keys_;
  keys.insert(keys.begin(), std::move(key));
  KNARR_RETURN_IF_ERROR(save(keys));
  keys_ = std::move(keys);
  return {};
}

Status EncryptionKeys::forget_unused() {
  Lock lock(mutex_);
  std::vector<Key> keys = keys_;
  keys.erase(std::remove_if(keys.begin() + 1, keys.end(), [](const Key& key) { return !key.used; }), keys.end());
  if (keys.size() == keys_.size()) return {};
  KNARR_RETURN_IF_ERROR(save(keys));
  keys_ = std::move(keys);
  return {};
}

void EncryptionKeys::found_plain() {
  Lock lock(mutex_);
  found_plain_ = true;
}

bool EncryptionKeys::outdated() const {
  Lock lock(mutex_);
  return found_plain_ || std::any_of(keys_.begin() + 1, keys_.end(), [](const Key& key) { return key.used; });
}

std::string EncryptionKeys::current_id() const {
  Lock lock(mutex_);
  return keys_.front().id;
}

size_t EncryptionKeys::count() const {
  Lock lock(mutex_);
  return keys_.size();
}

Result<std::string> EncryptionKeys::seal(std::string_view context, std::string_view value) {
  KNARR_ASSIGN(std::string nonce, random_bytes(kNonceSize));
  std::string encrypted, tag(kTagSize, '\0');
  Lock lock(mutex_);
  const Key& key = keys_.front();
  if (!crypt(true, key.secret, nonce, context, value, encrypted, tag)) return openssl_error("encrypt");
  std::string out;
  out.reserve(kHeadSize + encrypted.size() + kTagSize);
  return out.append(kPrefix).append(key.id).append(nonce).append(encrypted).append(tag);
}

bool EncryptionKeys::is_sealed(std::string_view bytes) const { return bytes.starts_with(kPrefix); }

Result<std::string> EncryptionKeys::open(std::string_view context, std::string_view bytes) {
  if (!is_sealed(bytes) || bytes.size() < kHeadSize + kTagSize) return internal_error("these are not encrypted bytes");
  const std::string_view id = bytes.substr(kPrefix.size(), kIdSize);
  const std::string_view nonce = bytes.substr(kPrefix.size() + kIdSize, kNonceSize);
  const std::string_view encrypted = bytes.substr(kHeadSize, bytes.size() - kHeadSize - kTagSize);
  std::string tag(bytes.substr(bytes.size() - kTagSize)), plain;
  Lock lock(mutex_);
  const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.id == id; });
  if (key == keys_.end()) {
    return internal_error(fmt::format(
        "it is encrypted with the key {}, which is not in {}: put that file back from a backup", id, path_));
  }
  if (!crypt(false, key->secret, nonce, context, encrypted, plain, tag)) {
    ERR_clear_error();
    return internal_error(
        fmt::format("it does not decrypt with the key {}: the database was changed by something else", id));
  }
  key->used = true;
  return plain;
}

}  // namespace knarr::auth
