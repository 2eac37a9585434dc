// Secrets of type kubernetes.io/service-account-token: each is given the token of the account that it names, and goes
// when that account goes.
#include "controllers/controller.h"
#include "knarr/auth/service_account.h"
#include "knarr/client/reflector.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"

namespace knarr::controllers {

namespace {

constexpr client::ResourceRef kSecrets{"", "v1", "secrets", ""};
constexpr client::ResourceRef kAccounts{"", "v1", "serviceaccounts", ""};
constexpr std::string_view kOfTokens = "type=kubernetes.io/service-account-token";
constexpr std::string_view kAccountName = "kubernetes.io/service-account.name";
constexpr std::string_view kAccountUid = "kubernetes.io/service-account.uid";

std::string key_of(const json::Value& object) {
  return client::make_key(json::get_string(object, {"metadata", "namespace"}),
                          json::get_string(object, {"metadata", "name"}));
}

class TokenSecrets : public Controller {
 public:
  explicit TokenSecrets(Context context) : context_(context) {}

  void watch(client::WorkQueue& queue) override {
    const auto add = [&queue](std::string_view text) {
      if (const auto secret = json::parse(text); secret.ok()) queue.add(key_of(*secret));
    };
    client::Reflector::Options options;
    options.list.field_selector = kOfTokens;
    secrets_ = std::make_unique<client::Reflector>(
        context_.options.transport, kSecrets, options,
        client::Reflector::Sink{.replace =
                                    [add](const auto& items) {
                                      for (const std::string_view item : items) add(item);
                                    },
                                .change =
                                    [add](client::WatchEvent::Type type, std::string_view object) {
                                      if (type != client::WatchEvent::Type::kDeleted) add(object);
                                    }});
    accounts_ = std::make_unique<client::Reflector>(
        context_.options.transport, kAccounts, client::Reflector::Options{},
        client::Reflector::Sink{.replace = [](const auto&) {},
                                .change =
                                    [this, &queue](client::WatchEvent::Type type, std::string_view object) {
                                      if (type == client::WatchEvent::Type::kDeleted) add_all_of(object, queue);
                                    }});
    secrets_->start();
    accounts_->start();
  }

  void authority_changed(client::WorkQueue& queue) override { add_all_in("", queue); }

  Status reconcile(const std::string& key, client::WorkQueue&) override {
    const auto& issuer = context_.options.service_accounts;
    if (!issuer) return {};
    const size_t slash = key.find('/');
    const std::string ns = key.substr(0, slash), name = key.substr(slash + 1);
    const auto found = context_.transport.get(kSecrets, ns, name);
    if (!found.ok()) return found.status().is(reason::kNotFound) ? Status() : found.status();
    KNARR_ASSIGN(const json::Document secret, json::parse(*found));
    if (!json::get_string(secret, {"metadata", "deletionTimestamp"}).empty()) return {};
    const std::string account(json::get_string(secret, {"metadata", "annotations", kAccountName}));
    if (account.empty()) return {};  // validation refuses it
    const std::string_view known = json::get_string(secret, {"metadata", "annotations", kAccountUid});

    const auto owner = context_.transport.get(kAccounts, ns, account);
    std::string uid;
    if (owner.ok()) {
      KNARR_ASSIGN(const json::Document document, json::parse(*owner));
      uid = json::get_string(document, {"metadata", "uid"});
    } else if (!owner.status().is(reason::kNotFound)) {
      return owner.status();
    }
    if (uid.empty() || (!known.empty() && known != uid)) {
      client::DeleteOptions options;
      options.uid = json::get_string(secret, {"metadata", "uid"});
      const Status gone = context_.transport.remove(kSecrets, ns, name, options).status();
      return gone.is(reason::kNotFound) ? Status() : gone;
    }
    return fill(secret, ns, name, account, uid);
  }

 private:
  // None yet, or one of the key that gave way to the one that signs now.
  bool needs_token(const json::Value& secret) const {
    const std::string_view encoded = json::get_string(secret, {"data", "token"});
    if (encoded.empty()) return true;
    const auto token = base64::decode(encoded);
    return token.ok() && context_.options.service_accounts->is_by_replaced_key(*token);
  }

  Status fill(const json::Value& secret, const std::string& ns, const std::string& name, const std::string& account,
              const std::string& uid) {
    json::Document patch(rapidjson::kObjectType);
    auto& alloc = patch.GetAllocator();
    const auto give = [&](std::string_view key, std::string_view value) {
      json::set(json::ensure_object(patch, {"data"}, alloc), key, base64::encode(value), alloc);
    };
    if (const std::string trusted = context_.options.trusted_ca();
        json::get_string(secret, {"data", "ca.crt"}) != base64::encode(trusted))
      give("ca.crt", trusted);
    if (json::get_string(secret, {"data", "namespace"}).empty()) give("namespace", ns);
    if (needs_token(secret)) {
      auth::TokenClaims claims;
      claims.ns = ns;
      claims.account = account;
      claims.account_uid = uid;
      claims.secret = auth::ObjectRef{name, ""};
      KNARR_ASSIGN(const std::string token, context_.options.service_accounts->issue_for_secret(claims));
      give("token", token);
    }
    if (json::get_string(secret, {"metadata", "annotations", kAccountUid}).empty())
      json::set(json::ensure_object(patch, {"metadata", "annotations"}, alloc), kAccountUid, uid, alloc);
    if (patch.ObjectEmpty()) return {};
    const std::string body = json::dump(patch);
    const Status status = context_.transport.patch(kSecrets, ns, name, client::kMergePatch, body).status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

  void add_all_of(std::string_view account, client::WorkQueue& queue) const {
    const auto document = json::parse(account);
    if (document.ok()) add_all_in(std::string(json::get_string(*document, {"metadata", "namespace"})), queue);
  }

  void add_all_in(const std::string& ns, client::WorkQueue& queue) const {
    client::ListOptions options;
    options.namespace_ = ns;
    options.field_selector = kOfTokens;
    const auto listed = context_.transport.list(kSecrets, options);
    const auto secrets = listed.ok() ? json::parse(*listed) : Result<json::Document>(listed.status());
    const json::Value* items = secrets.ok() ? json::find(*secrets, "items") : nullptr;
    if (!items || !items->IsArray()) return;
    for (const json::Value& item : items->GetArray()) queue.add(key_of(item));
  }

  Context context_;
  std::unique_ptr<client::Reflector> secrets_, accounts_;
};

}  // namespace

std::unique_ptr<Controller> make_token_secret_controller(Context context) {
  return std::make_unique<TokenSecrets>(context);
}

}  // namespace knarr::controllers
