// Services that are asked: about tokens (TokenReview) and about what users may do (SubjectAccessReview).
#include <fmt/format.h>

#include <unordered_map>

#include "knarr/auth/remote.h"
#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/http/client.h"
#include "knarr/linux/tree.h"
#include "url.h"

namespace knarr::auth {

namespace {

using json::Document;
using json::Value;

constexpr milliseconds kRequestLimit{5'000};
constexpr size_t kMaxRemembered = 8192;
constexpr int kFailuresInARow = 3;  // then it is not asked for a while
constexpr milliseconds kLeftAlone{1'000};
constexpr size_t kMaxKey = 10'000;  // what is longer is asked each time

const Value* named(const Value& config, std::string_view list, std::string_view name, std::string_view member) {
  const Value* items = json::find(config, list);
  if (!items || !items->IsArray()) return nullptr;
  for (const Value& item : items->GetArray())
    if (json::get_string(item, "name") == name) return json::find(item, member);
  return nullptr;
}

// The content of the file `name`, or of `name`-data.
Result<std::string> embedded(const Value& object, const std::string& name) {
  if (const auto data = json::get_string(object, name + "-data"); !data.empty()) return base64::decode(data);
  if (const auto file = json::get_string(object, name); !file.empty()) return linux::read_file(std::string(file));
  return std::string();
}

// One service: a review is sent to it and comes back with its status.
class Service {
 public:
  explicit Service(const Clock& clock) : clock_(clock) {}
  static Result<std::unique_ptr<Service>> make(const std::string& kubeconfig, const Clock& clock) {
    KNARR_ASSIGN(const Document config, yaml::parse(kubeconfig));
    const Value* context =
        config.IsObject() ? named(config, "contexts", json::get_string(config, "current-context"), "context") : nullptr;
    const Value* cluster =
        context ? named(config, "clusters", json::get_string(*context, "cluster"), "cluster") : nullptr;
    if (!cluster) return bad_request("webhook kubeconfig: current-context names no context with a cluster");
    auto service = std::make_unique<Service>(clock);
    KNARR_ASSIGN(Url url, Url::parse(json::get_string(*cluster, "server")));
    service->url_ = json::get_string(*cluster, "server");
    service->target_ = std::move(url.target);
    http::ClientOptions client{.url = url.origin, .request_timeout = kRequestLimit};
    client.insecure_skip_verify = json::get_bool(*cluster, "insecure-skip-tls-verify");
    client.server_name = json::get_string(*cluster, "tls-server-name");
    KNARR_ASSIGN(client.ca_pem, embedded(*cluster, "certificate-authority"));
    if (const Value* user = named(config, "users", json::get_string(*context, "user"), "user")) {
      KNARR_ASSIGN(client.certificate_pem, embedded(*user, "client-certificate"));
      KNARR_ASSIGN(client.key_pem, embedded(*user, "client-key"));
      client.bearer_token = json::get_string(*user, "token");
    }
    KNARR_ASSIGN(service->client_, http::Client::make(std::move(client)));
    return service;
  }

  // Whoever waits here keeps a thread from other requests: few may, and not for a service that is gone.
  Result<Document> ask(const std::string& review) {
    {
      Lock lock(mutex_);
      if (waiting_ >= kWebhookWaiters) {
        if (!std::exchange(crowded_, true))
          log::warn("auth", "too many requests wait for a webhook: further ones are refused", {{"url", url_}});
        return unavailable("too many requests wait for the webhook");
      }
      if (failures_ >= kFailuresInARow && clock_.mono() < left_alone_until_) return failure_;
      ++waiting_;
    }
    auto answer = send(review);
    Lock lock(mutex_);
    --waiting_;
    if (answer.ok()) {
      if (failures_ > 0) log::info("auth", "a webhook answers again", {{"url", url_}});
      failures_ = 0;
      crowded_ = false;
    } else {
      if (failures_++ == 0) log::warn("auth", "a webhook cannot be asked", {{"url", url_}, {"error", answer.status()}});
      failure_ = answer.status();
      left_alone_until_ = clock_.mono() + kLeftAlone;
    }
    return answer;
  }

 private:
  Result<Document> send(const std::string& review) const {
    http::ClientRequest request{.method = "POST",
                                .target = target_,
                                .headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}},
                                .body = review};
    KNARR_ASSIGN(auto answer, client_->send(request));
    if (answer.status / 100 != 2)
      return unavailable(fmt::format("the webhook answered with HTTP status {}", answer.status));
    return json::parse(answer.body);
  }

  const Clock& clock_;
  std::string url_, target_;
  std::shared_ptr<http::Client> client_;
  Mutex mutex_;
  int waiting_ KNARR_GUARDED_BY(mutex_) = 0;
  int failures_ KNARR_GUARDED_BY(mutex_) = 0;  // in a row
  bool crowded_ KNARR_GUARDED_BY(mutex_) = false;
  Status failure_ KNARR_GUARDED_BY(mutex_);
  MonoTime left_alone_until_ KNARR_GUARDED_BY(mutex_){};
};

// Answers by what was asked, for a while.
template <typename T>
class Memory {
 public:
  explicit Memory(const Clock& clock) : clock_(clock) {}
  std::optional<T> find(const std::string& key) {
    Lock lock(mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end() || it->second.second < clock_.mono()) return {};
    return it->second.first;
  }
  void keep(const std::string& key, const T& value, std::chrono::nanoseconds ttl) {
    if (key.size() > kMaxKey || ttl.count() <= 0) return;
    Lock lock(mutex_);
    if (entries_.size() >= kMaxRemembered) entries_.clear();
    entries_.insert_or_assign(key, std::pair(value, clock_.mono() + ttl));
  }

 private:
  const Clock& clock_;
  Mutex mutex_;
  std::unordered_map<std::string, std::pair<T, MonoTime>> entries_ KNARR_GUARDED_BY(mutex_);
};

Value list(const std::vector<std::string>& items, json::Allocator& alloc) {
  Value out(rapidjson::kArrayType);
  for (const std::string& item : items) out.PushBack(json::string(item, alloc), alloc);
  return out;
}

std::string review_of(const Attributes& a) {
  Document review(rapidjson::kObjectType);
  auto& alloc = review.GetAllocator();
  json::set(review, "apiVersion", "authorization.k8s.io/v1", alloc);
  json::set(review, "kind", "SubjectAccessReview", alloc);
  Value& spec = json::ensure_object(review, {"spec"}, alloc);
  const auto text = [&](Value& to, std::string_view name, std::string_view value) {
    if (!value.empty()) json::set(to, name, value, alloc);
  };
  if (a.resource_request) {
    Value& about = json::ensure_object(spec, {"resourceAttributes"}, alloc);
    text(about, "namespace", a.ns);
    text(about, "verb", a.verb);
    text(about, "group", a.group);
    text(about, "version", a.version);
    text(about, "resource", a.resource);
    text(about, "subresource", a.subresource);
    text(about, "name", a.name);
  } else {
    Value& about = json::ensure_object(spec, {"nonResourceAttributes"}, alloc);
    text(about, "path", a.path);
    text(about, "verb", a.verb);
  }
  if (a.user) {
    text(spec, "user", a.user->name);
    text(spec, "uid", a.user->uid);
    if (!a.user->groups.empty()) json::set(spec, "groups", list(a.user->groups, alloc), alloc);
    for (const auto& [key, values] : a.user->extra)
      json::set(json::ensure_object(spec, {"extra"}, alloc), key, list(values, alloc), alloc);
  }
  return json::dump(review);
}

class WebhookAuthorizer : public Authorizer {
 public:
  WebhookAuthorizer(WebhookOptions options, std::unique_ptr<Service> service)
      : options_(std::move(options)), service_(std::move(service)), memory_(*options_.clock) {}

  Authorization authorize(const Attributes& attributes) override {
    const std::string review = review_of(attributes);
    if (auto known = memory_.find(review)) return *known;
    const auto answer = service_->ask(review);
    if (!answer.ok()) return {Decision::kNoOpinion, "", answer.status().message()};
    Authorization out;
    const Value* status = json::find(*answer, "status");
    if (!status) return {};
    out.reason = json::get_string(*status, "reason");
    const bool allowed = json::get_bool(*status, "allowed");
    if (allowed) out.decision = Decision::kAllow;
    if (json::get_bool(*status, "denied")) out.decision = allowed ? Decision::kNoOpinion : Decision::kDeny;
    memory_.keep(review, out, allowed ? options_.allowed_ttl : options_.denied_ttl);
    return out;
  }
  void list_rules(const UserInfo&, std::string_view, UserRules& out) override {
    out.incomplete = true;
    out.errors.emplace_back("webhook authorizer does not support user rule resolution");
  }

 private:
  const WebhookOptions options_;
  const std::unique_ptr<Service> service_;
  Memory<Authorization> memory_;
};

class WebhookTokens : public TokenSource {
 public:
  WebhookTokens(WebhookOptions options, std::unique_ptr<Service> service)
      : options_(std::move(options)), service_(std::move(service)), memory_(*options_.clock) {}

  bool knows_audiences() const override { return true; }
  Result<std::optional<TokenUser>> lookup(std::string_view token, std::span<const std::string> audiences) override {
    Document review(rapidjson::kObjectType);
    auto& alloc = review.GetAllocator();
    json::set(review, "apiVersion", "authentication.k8s.io/v1", alloc);
    json::set(review, "kind", "TokenReview", alloc);
    Value& spec = json::ensure_object(review, {"spec"}, alloc);
    json::set(spec, "token", token, alloc);
    json::set(spec, "audiences", list({audiences.begin(), audiences.end()}, alloc), alloc);
    const std::string text = json::dump(review);
    if (auto known = memory_.find(text)) return *known;
    auto answer = service_->ask(text);
    if (!answer.ok()) return std::optional<TokenUser>();
    const auto found = read(*answer, audiences);
    memory_.keep(text, found, options_.allowed_ttl);
    return found;
  }

 private:
  static std::vector<std::string> strings(const Value* from) {
    std::vector<std::string> out;
    if (from && from->IsArray())
      for (const Value& item : from->GetArray())
        if (item.IsString()) out.emplace_back(json::view(item));
    return out;
  }

  static std::optional<TokenUser> read(const Document& answer, std::span<const std::string> audiences) {
    const Value* status = json::find(answer, "status");
    const Value* user = status ? json::find(*status, "user") : nullptr;
    if (!user || !json::get_bool(*status, "authenticated")) return {};
    TokenUser out;
    out.user.name = json::get_string(*user, "username");
    out.user.uid = json::get_string(*user, "uid");
    out.user.groups = strings(json::find(*user, "groups"));
    if (const Value* extra = json::find(*user, "extra"); extra && extra->IsObject())
      for (const auto& member : extra->GetObject())
        out.user.extra[std::string(json::view(member.name))] = strings(&member.value);
    out.audiences = strings(json::find(*status, "audiences"));
    if (out.audiences.empty()) out.audiences.assign(audiences.begin(), audiences.end());  // it knows none
    return out;
  }

  const WebhookOptions options_;
  const std::unique_ptr<Service> service_;
  Memory<std::optional<TokenUser>> memory_;
};

}  // namespace

Result<std::shared_ptr<Authorizer>> make_webhook_authorizer(WebhookOptions options) {
  KNARR_ASSIGN(auto service, Service::make(options.kubeconfig, *options.clock));
  return std::shared_ptr<Authorizer>(std::make_shared<WebhookAuthorizer>(std::move(options), std::move(service)));
}

Result<std::shared_ptr<TokenSource>> make_webhook_tokens(WebhookOptions options) {
  KNARR_ASSIGN(auto service, Service::make(options.kubeconfig, *options.clock));
  return std::shared_ptr<TokenSource>(std::make_shared<WebhookTokens>(std::move(options), std::move(service)));
}

}  // namespace knarr::auth
