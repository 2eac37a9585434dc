#include "knarr/auth/authn.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>

#include "knarr/codec/base64.h"

namespace knarr::auth {

namespace {

void add_group(UserInfo& user, std::string_view group) {
  if (!user.in_group(group)) user.groups.emplace_back(group);
}

class CertificateAuthenticator : public Authenticator {
 public:
  Result<std::optional<UserInfo>> authenticate(const http::Request& request) override {
    if (!request.peer_refusal.empty())
      return Status(401, reason::kUnauthorized, fmt::format("verify the client's certificate: {}", request.peer_refusal));
    if (!request.peer || request.peer->common_name.empty()) return std::optional<UserInfo>();
    UserInfo user;
    user.name = request.peer->common_name;
    user.groups = request.peer->organizations;
    user.extra[std::string(kCredentialId)] = {"X509SHA256=" + request.peer->sha256};
    add_group(user, kGroupAuthenticated);
    return std::optional<UserInfo>(std::move(user));
  }
};

// Browsers cannot set headers of a WebSocket, but its protocols: one of them may carry the token.
std::string websocket_token(const http::Request& request) {
  constexpr std::string_view kPrefix = "base64url.bearer.authorization.k8s.io.";
  std::string_view protocols = request.header("Sec-WebSocket-Protocol");
  while (!protocols.empty()) {
    const size_t comma = std::min(protocols.find(','), protocols.size());
    std::string_view item = protocols.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    if (item.starts_with(kPrefix)) return base64::decode_url(item.substr(kPrefix.size())).value_or("");
    protocols.remove_prefix(std::min(comma + 1, protocols.size()));
  }
  return {};
}

class TokenAuthenticator : public Authenticator {
 public:
  explicit TokenAuthenticator(std::shared_ptr<TokenSource> tokens) : tokens_(std::move(tokens)) {}

  Result<std::optional<UserInfo>> authenticate(const http::Request& request) override {
    std::string token(bearer_token(request));
    if (token.empty()) token = websocket_token(request);
    if (token.empty()) return std::optional<UserInfo>();
    KNARR_ASSIGN(std::optional<TokenUser> found, tokens_->lookup(token, {}));
    if (!found) return Status(401, reason::kUnauthorized, "invalid bearer token");
    add_group(found->user, kGroupAuthenticated);
    return std::optional<UserInfo>(std::move(found->user));
  }

 private:
  std::shared_ptr<TokenSource> tokens_;
};

class StaticTokens : public TokenSource {
 public:
  explicit StaticTokens(std::vector<std::pair<std::string, UserInfo>> tokens) : tokens_(std::move(tokens)) {}

  Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string>) override {
    std::optional<TokenUser> found;
    for (const auto& [known, user] : tokens_)
      if (known.size() == token.size() && CRYPTO_memcmp(known.data(), token.data(), token.size()) == 0)
        found = TokenUser{user, {}};
    return found;
  }

 private:
  const std::vector<std::pair<std::string, UserInfo>> tokens_;
};

class TokenUnion : public TokenSource {
 public:
  TokenUnion(std::vector<std::shared_ptr<TokenSource>> parts, std::vector<std::string> api_audiences)
      : parts_(std::move(parts)), api_audiences_(std::move(api_audiences)) {}

  Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string> audiences) override {
    const std::span<const std::string> wanted =
        audiences.empty() ? std::span<const std::string>(api_audiences_) : audiences;
    std::vector<std::string> ours;  // of the wanted ones
    for (const std::string& audience : wanted)
      if (std::find(api_audiences_.begin(), api_audiences_.end(), audience) != api_audiences_.end())
        ours.push_back(audience);
    Status refused;
    for (const auto& part : parts_) {
      if (!part->knows_audiences() && ours.empty()) continue;
      auto found = part->lookup(token, wanted);
      if (!found.ok()) {
        if (refused.ok()) refused = found.status();
        continue;
      }
      if (!*found) continue;
      if (!part->knows_audiences()) (*found)->audiences = ours;
      return found;
    }
    if (!refused.ok()) return refused;
    return std::optional<TokenUser>();
  }
  bool knows_audiences() const override { return true; }

 private:
  const std::vector<std::shared_ptr<TokenSource>> parts_;
  const std::vector<std::string> api_audiences_;
};

class UnionAuthenticator : public Authenticator {
 public:
  explicit UnionAuthenticator(std::vector<std::shared_ptr<Authenticator>> parts) : parts_(std::move(parts)) {}

  Result<std::optional<UserInfo>> authenticate(const http::Request& request) override {
    Status refused;
    for (const auto& part : parts_) {
      auto result = part->authenticate(request);
      if (result.ok() && *result) return result;
      if (!result.ok()) refused = result.status();
    }
    if (!refused.ok()) return refused;
    return std::optional<UserInfo>();
  }

 private:
  const std::vector<std::shared_ptr<Authenticator>> parts_;
};

}  // namespace

bool UserInfo::in_group(std::string_view group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

UserInfo internal_user(std::string_view component) {
  UserInfo user;
  user.name = fmt::format("system:knarr:{}", component);
  user.groups = {std::string(kGroupMasters), std::string(kGroupAuthenticated)};
  return user;
}

UserInfo anonymous_user() {
  UserInfo user;
  user.name = kUserAnonymous;
  user.groups = {std::string(kGroupUnauthenticated)};
  return user;
}

UserInfo service_account_user(std::string_view ns, std::string_view name, std::string_view uid) {
  UserInfo user;
  user.name = fmt::format("system:serviceaccount:{}:{}", ns, name);
  user.uid = uid;
  user.groups = {"system:serviceaccounts", fmt::format("system:serviceaccounts:{}", ns)};
  return user;
}

std::string_view bearer_token(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view header = request.header("Authorization");
  if (header.size() <= kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i)
    if ((header[i] | 0x20) != kScheme[i] && header[i] != kScheme[i]) return {};
  header.remove_prefix(kScheme.size());
  while (header.starts_with(' ')) header.remove_prefix(1);
  return header;
}

std::shared_ptr<Authenticator> make_certificate_authenticator() { return std::make_shared<CertificateAuthenticator>(); }

std::shared_ptr<Authenticator> make_token_authenticator(std::shared_ptr<TokenSource> tokens) {
  return std::make_shared<TokenAuthenticator>(std::move(tokens));
}

std::shared_ptr<TokenSource> make_token_union(std::vector<std::shared_ptr<TokenSource>> parts,
                                              std::vector<std::string> api_audiences) {
  return std::make_shared<TokenUnion>(std::move(parts), std::move(api_audiences));
}

std::shared_ptr<TokenSource> make_static_tokens(std::vector<std::pair<std::string, UserInfo>> tokens) {
  return std::make_shared<StaticTokens>(std::move(tokens));
}

std::shared_ptr<Authenticator> make_union_authenticator(std::vector<std::shared_ptr<Authenticator>> parts) {
  return std::make_shared<UnionAuthenticator>(std::move(parts));
}

}  // namespace knarr::auth
