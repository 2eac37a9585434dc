// Tokens with which a node or a person first comes in: Secrets in kube-system that an administrator makes.
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/random.h>

#include <algorithm>

#include "knarr/auth/authn.h"
#include "knarr/auth/bootstrap.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::auth {

namespace {

constexpr size_t kIdSize = 6, kSecretSize = 16;
constexpr std::string_view kDefaultGroup = "system:bootstrappers";

bool is_word(std::string_view text, size_t size) {
  return text.size() == size &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// Each of the 36 letters and digits as likely as any other.
std::string random_word(size_t size) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr unsigned kFair = 256 - 256 % kLetters.size();
  std::string word;
  while (word.size() < size) {
    unsigned char byte = 0;
    if (getrandom(&byte, 1, 0) == 1 && byte < kFair) word += kLetters[byte % kLetters.size()];
  }
  return word;
}

class BootstrapTokens : public TokenSource {
 public:
  BootstrapTokens(store::Store& store, const Clock& clock)
      : store_(store), clock_(clock), secrets_(store.resource("secrets")) {}

  Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string>) override {
    const size_t dot = token.find('.');
    if (dot == token.npos) return std::optional<TokenUser>();
    const std::string_view id = token.substr(0, dot), secret = token.substr(dot + 1);
    if (!is_word(id, kIdSize) || !is_word(secret, kSecretSize)) return std::optional<TokenUser>();
    const store::ObjectPtr object = store_.get(secrets_, "kube-system/bootstrap-token-" + std::string(id));
    if (!object) return std::optional<TokenUser>();
    const auto document = json::parse(object->value);
    if (!document.ok() || !json::get_string(*document, {"metadata", "deletionTimestamp"}).empty() ||
        json::get_string(*document, "type") != "bootstrap.kubernetes.io/token")
      return std::optional<TokenUser>();
    const auto data = [&](std::string_view key) {
      return base64::decode(json::get_string(*document, {"data", key})).value_or("");
    };
    const std::string known = data("token-secret"), expires = data("expiration");
    if (data("token-id") != id || known.size() != secret.size() ||
        CRYPTO_memcmp(known.data(), secret.data(), secret.size()) != 0)
      return std::optional<TokenUser>();
    if (!expires.empty()) {
      const auto end = parse_time(expires);
      if (!end.ok() || *end < clock_.wall()) return std::optional<TokenUser>();
    }
    if (data("usage-bootstrap-authentication") != "true") return std::optional<TokenUser>();

    TokenUser out;
    out.user.name = "system:bootstrap:" + std::string(id);
    out.user.groups = {std::string(kDefaultGroup)};
    std::string groups = data("auth-extra-groups");
    for (std::string_view rest = groups; !rest.empty();) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view group = rest.substr(0, comma);
      if (!is_bootstrap_group(group)) return std::optional<TokenUser>();
      if (!out.user.in_group(group)) out.user.groups.emplace_back(group);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    std::sort(out.user.groups.begin(), out.user.groups.end());
    return std::optional<TokenUser>(std::move(out));
  }

 private:
  store::Store& store_;
  const Clock& clock_;
  const store::ResourceId secrets_;
};

}  // namespace

Result<BootstrapToken> BootstrapToken::parse(std::string_view text) {
  const size_t last = text.rfind('.');
  if (last != text.npos) {
    const std::string_view front = text.substr(0, last);
    const size_t before = front.rfind('.');
    const std::string_view id = before == front.npos ? front : front.substr(before + 1), secret = text.substr(last + 1);
    if (is_word(id, kIdSize) && is_word(secret, kSecretSize)) return BootstrapToken{std::string(id), std::string(secret)};
  }
  return bad_request(fmt::format("want a bootstrap token, [a-z0-9]{{{}}}.[a-z0-9]{{{}}}", kIdSize, kSecretSize));
}

BootstrapToken BootstrapToken::random() { return {random_word(kIdSize), random_word(kSecretSize)}; }

// system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]
bool is_bootstrap_group(std::string_view text) {
  constexpr std::string_view kPrefix = "system:bootstrappers:";
  if (!text.starts_with(kPrefix)) return false;
  text.remove_prefix(kPrefix.size());
  if (text.empty() || text.size() > 256 || text.back() == ':' || text.back() == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '-'; });
}

std::shared_ptr<TokenSource> make_bootstrap_tokens(store::Store& store, const Clock& clock) {
  return std::make_shared<BootstrapTokens>(store, clock);
}

}  // namespace knarr::auth
