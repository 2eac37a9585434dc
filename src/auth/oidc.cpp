// OpenID Connect: tokens of an issuer that is asked for its keys. Source: OpenID Connect Discovery 1.0.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "knarr/auth/jwt.h"
#include "knarr/auth/remote.h"
#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/http/client.h"
#include "url.h"

namespace knarr::auth {

namespace {

constexpr milliseconds kRequestLimit{10'000};
constexpr milliseconds kFirstRetry{500}, kLastRetry{30'000};
constexpr milliseconds kPatience{500};      // of a request whose token names an unknown key
constexpr seconds kBetweenFetches{5};       // for unknown keys: strangers can make them up
constexpr std::chrono::minutes kLeeway{5};  // of "not before"

Status refused(std::string message) { return Status(401, reason::kUnauthorized, "oidc: " + std::move(message)); }

Result<std::string> fetch(const std::string& url, const std::string& ca_pem) {
  KNARR_ASSIGN(const Url parts, Url::parse(url));
  KNARR_ASSIGN(auto client,
               http::Client::make({.url = parts.origin, .ca_pem = ca_pem, .request_timeout = kRequestLimit}));
  KNARR_ASSIGN(auto answer, client->send({.target = parts.target}));
  if (answer.status != 200) return unavailable(fmt::format("{} answered with HTTP status {}", url, answer.status));
  return std::move(answer.body);
}

class OidcTokens : public TokenSource {
 public:
  explicit OidcTokens(OidcOptions options) : options_(std::move(options)) {
    thread_ = std::thread([this] { run(); });
  }
  ~OidcTokens() override {
    {
      Lock lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string>) override {
    const auto parsed = parse_jwt(token);
    if (!parsed.ok() || json::get_string(parsed->claims, "iss") != options_.issuer_url)
      return std::optional<TokenUser>();
    KNARR_RETURN_IF_ERROR(verify(*parsed));
    KNARR_RETURN_IF_ERROR(check_claims(parsed->claims));
    TokenUser out;
    KNARR_ASSIGN(out.user, user_of(parsed->claims));
    return std::optional<TokenUser>(std::move(out));
  }

 private:
  using Keys = std::shared_ptr<const std::vector<Key>>;

  Status verify(const Jwt& token) {
    const auto& algorithms = options_.signing_algorithms;
    if (std::find(algorithms.begin(), algorithms.end(), token.algorithm) == algorithms.end())
      return refused(fmt::format("id token signed with unsupported algorithm, expected {} got \"{}\"", algorithms,
                                 token.algorithm));
    uint64_t seen = 0;
    Keys keys = current(seen);
    if (signed_by(keys, token)) return {};
    keys = newer(seen);
    if (!keys) return refused("verifier not initialized for issuer " + options_.issuer_url);
    if (signed_by(keys, token)) return {};
    return refused("failed to verify signature: failed to verify id token signature");
  }

  static bool signed_by(const Keys& keys, const Jwt& token) {
    return keys && std::any_of(keys->begin(), keys->end(), [&](const Key& key) {
             return (token.key_id.empty() || token.key_id == key.id()) &&
                    key.verifies(token.algorithm, token.signing_input, token.signature);
           });
  }

  Keys current(uint64_t& version) {
    Lock lock(mutex_);
    version = version_;
    return keys_;
  }

  // What comes after `version`, when the issuer may be asked again and answers soon; else what there is.
  Keys newer(uint64_t version) {
    Lock lock(mutex_);
    if (version_ != version) return keys_;
    const MonoTime now = Clock::system().mono();
    if (keys_) {
      if (asked_ && now - *asked_ < kBetweenFetches) return keys_;
      asked_ = now;
    }
    wanted_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, kPatience, [&]() KNARR_REQUIRES(mutex_) { return version_ != version || stopping_; });
    return keys_;
  }

  Status check_claims(const json::Value& claims) const {
    const json::Value* audience = json::find(claims, "aud");
    bool ours = audience && audience->IsString() && json::view(*audience) == options_.client_id;
    if (audience && audience->IsArray())
      for (const json::Value& item : audience->GetArray())
        ours |= item.IsString() && json::view(item) == options_.client_id;
    if (!ours) return refused(fmt::format("expected audience in \"{}\"", options_.client_id));
    const auto time = [&](std::string_view name) {
      const json::Value* value = json::find(claims, name);
      const double since = value && value->IsNumber() ? value->GetDouble() : 0;
      constexpr double kEnd = 253402300799;  // of the year 9999
      return WallTime(seconds(static_cast<int64_t>(std::clamp(since, 0.0, kEnd))));
    };
    const WallTime now = options_.clock->wall();
    if (time("exp") < now) return refused("token is expired");
    if (now + kLeeway < time("nbf")) return refused("current time is before the nbf (not before) time");
    for (const auto& [claim, wanted] : options_.required_claims) {
      const json::Value* value = json::find(claims, claim);
      if (!value) return refused(fmt::format("required claim {} not present in ID token", claim));
      if (!value->IsString()) return refused(fmt::format("parse claim {}: want text", claim));
      if (json::view(*value) != wanted)
        return refused(fmt::format("required claim {} value does not match. Got = {}, want = {}", claim,
                                   json::view(*value), wanted));
    }
    return {};
  }

  Result<UserInfo> user_of(const json::Value& claims) const {
    UserInfo user;
    const std::string& claim = options_.username_claim;
    const std::string_view name = json::get_string(claims, claim);
    if (name.empty()) return refused(fmt::format("parse username claims \"{}\": claim not present", claim));
    if (claim == "email") {
      const json::Value* verified = json::find(claims, "email_verified");
      if (verified && !(verified->IsBool() && verified->GetBool())) return refused("email not verified");
    }
    const std::string standard = claim == "email" ? std::string() : options_.issuer_url + "#";
    const std::string prefix = options_.username_prefix.value_or(standard);
    user.name = (prefix == "-" ? "" : prefix) + std::string(name);
    if (!options_.groups_claim.empty()) {
      const json::Value* groups = json::find(claims, options_.groups_claim);
      if (groups && groups->IsString())
        user.groups.push_back(options_.groups_prefix + std::string(json::view(*groups)));
      if (groups && groups->IsArray()) {
        for (const json::Value& group : groups->GetArray()) {
          if (!group.IsString())
            return refused(fmt::format("parse groups claim \"{}\": want text", options_.groups_claim));
          user.groups.push_back(options_.groups_prefix + std::string(json::view(group)));
        }
      }
    }
    if (const std::string_view id = json::get_string(claims, "jti"); !id.empty())
      user.extra[std::string(kCredentialId)] = {"JTI=" + std::string(id)};
    return user;
  }

  // The thread: keys at first, until there are some, and again whenever they are wanted.
  void run() {
    milliseconds pause = kFirstRetry;
    Lock lock(mutex_);
    while (!stopping_) {
      wanted_ = false;
      lock.unlock();
      auto keys = fetch_keys();
      lock.lock();
      if (keys.ok()) {
        keys_ = std::make_shared<const std::vector<Key>>(std::move(*keys));
        ++version_;
        pause = kFirstRetry;
        changed_.notify_all();
        changed_.wait(lock, [&]() KNARR_REQUIRES(mutex_) { return wanted_ || stopping_; });
      } else {
        log::warn("auth", "the OpenID Connect issuer's keys cannot be had",
                  {{"issuer", options_.issuer_url}, {"error", keys.status()}});
        changed_.wait_for(lock, pause, [&]() KNARR_REQUIRES(mutex_) { return stopping_; });
        pause = std::min(pause * 2, kLastRetry);
      }
    }
  }

  Result<std::vector<Key>> fetch_keys() const {
    std::string base = options_.issuer_url;
    if (base.ends_with('/')) base.pop_back();
    KNARR_ASSIGN(const std::string text, fetch(base + "/.well-known/openid-configuration", options_.ca_pem));
    KNARR_ASSIGN(const json::Document about, json::parse(text));
    if (json::get_string(about, "issuer") != options_.issuer_url)
      return bad_request(fmt::format("issuer did not match the issuer returned by provider, expected \"{}\" got \"{}\"",
                                     options_.issuer_url, json::get_string(about, "issuer")));
    KNARR_ASSIGN(const std::string set_text, fetch(std::string(json::get_string(about, "jwks_uri")), options_.ca_pem));
    KNARR_ASSIGN(const json::Document set, json::parse(set_text));
    std::vector<Key> keys;
    const json::Value* list = json::find(set, "keys");
    if (!list || !list->IsArray()) return bad_request("the issuer's key set has no list \"keys\"");
    for (const json::Value& jwk : list->GetArray()) {
      const std::string_view use = json::get_string(jwk, "use");
      if (!use.empty() && use != "sig") continue;
      if (auto key = Key::from_jwk(jwk); key.ok()) keys.push_back(std::move(*key));  // others are of no use to us
    }
    return keys;
  }

  const OidcOptions options_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  Keys keys_ KNARR_GUARDED_BY(mutex_);
  uint64_t version_ KNARR_GUARDED_BY(mutex_) = 0;
  bool wanted_ KNARR_GUARDED_BY(mutex_) = false, stopping_ KNARR_GUARDED_BY(mutex_) = false;
  std::optional<MonoTime> asked_ KNARR_GUARDED_BY(mutex_);  // because of an unknown key
  std::thread thread_;
};

}  // namespace

Result<std::shared_ptr<TokenSource>> make_oidc_tokens(OidcOptions options) {
  constexpr std::string_view kKnown[] = {"RS256", "RS384", "RS512", "ES256", "ES384",
                                         "ES512", "PS256", "PS384", "PS512"};
  if (!options.issuer_url.starts_with("https://"))
    return bad_request(fmt::format("OpenID Connect issuer \"{}\": want an https:// URL", options.issuer_url));
  KNARR_RETURN_IF_ERROR(Url::parse(options.issuer_url).status());
  if (options.client_id.empty()) return bad_request("an OpenID Connect issuer needs a client id");
  if (options.signing_algorithms.empty()) options.signing_algorithms = {"RS256"};
  for (const std::string& algorithm : options.signing_algorithms)
    if (std::find(std::begin(kKnown), std::end(kKnown), algorithm) == std::end(kKnown))
      return bad_request(
          fmt::format("OpenID Connect signing algorithm \"{}\": want one of {}", algorithm, fmt::join(kKnown, ", ")));
  return std::shared_ptr<TokenSource>(std::make_shared<OidcTokens>(std::move(options)));
}

}  // namespace knarr::auth
