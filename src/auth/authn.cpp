#include "knarr/auth/authn.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>

namespace knarr::auth {

namespace {

void add_group(UserInfo& user, std::string_view group) {
  if (!user.in_group(group)) user.groups.emplace_back(group);
}

class CertificateAuthenticator : public Authenticator {
 public:
  Result<std::optional<UserInfo>> authenticate(const http::Request& request) override {
    if (!request.peer || request.peer->common_name.empty()) return std::optional<UserInfo>();
    UserInfo user;
    user.name = request.peer->common_name;
    user.groups = request.peer->organizations;
    user.extra["authentication.kubernetes.io/credential-id"] = {"X509SHA256=" + request.peer->sha256};
    add_group(user, kGroupAuthenticated);
    return std::optional<UserInfo>(std::move(user));
  }
};

class TokenAuthenticator : public Authenticator {
 public:
  explicit TokenAuthenticator(std::shared_ptr<TokenSource> tokens) : tokens_(std::move(tokens)) {}

  Result<std::optional<UserInfo>> authenticate(const http::Request& request) override {
    constexpr std::string_view kScheme = "bearer ";
    std::string_view header = request.header("Authorization");
    if (header.size() <= kScheme.size()) return std::optional<UserInfo>();
    for (size_t i = 0; i < kScheme.size(); ++i)
      if ((header[i] | 0x20) != kScheme[i] && header[i] != kScheme[i]) return std::optional<UserInfo>();
    header.remove_prefix(kScheme.size());
    KNARR_ASSIGN(std::optional<UserInfo> user, tokens_->lookup(header));
    if (!user) return Status(401, reason::kUnauthorized, "Unauthorized");
    add_group(*user, kGroupAuthenticated);
    return user;
  }

 private:
  std::shared_ptr<TokenSource> tokens_;
};

class StaticTokens : public TokenSource {
 public:
  explicit StaticTokens(std::vector<std::pair<std::string, UserInfo>> tokens) : tokens_(std::move(tokens)) {}

  Result<std::optional<UserInfo>> lookup(std::string_view token) override {
    std::optional<UserInfo> found;
    for (const auto& [known, user] : tokens_)
      if (known.size() == token.size() && CRYPTO_memcmp(known.data(), token.data(), token.size()) == 0) found = user;
    return found;
  }

 private:
  const std::vector<std::pair<std::string, UserInfo>> tokens_;
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

std::shared_ptr<Authenticator> make_certificate_authenticator() { return std::make_shared<CertificateAuthenticator>(); }

std::shared_ptr<Authenticator> make_token_authenticator(std::shared_ptr<TokenSource> tokens) {
  return std::make_shared<TokenAuthenticator>(std::move(tokens));
}

std::shared_ptr<TokenSource> make_static_tokens(std::vector<std::pair<std::string, UserInfo>> tokens) {
  return std::make_shared<StaticTokens>(std::move(tokens));
}

std::shared_ptr<Authenticator> make_union_authenticator(std::vector<std::shared_ptr<Authenticator>> parts) {
  return std::make_shared<UnionAuthenticator>(std::move(parts));
}

}  // namespace knarr::auth
