#include "agent/tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::agent {

namespace {

constexpr int64_t kDay = 24 * 60 * 60;  // a token is renewed at least so often

}  // namespace

Result<TokenCache::Entry> TokenCache::request(const TokenWanted& wanted) const {
  json::Document body(rapidjson::kObjectType);
  auto& alloc = body.GetAllocator();
  json::set(body, "kind", "TokenRequest", alloc);
  json::set(body, "apiVersion", "authentication.k8s.io/v1", alloc);
  json::Value& spec = json::ensure_object(body, {"spec"}, alloc);
  if (!wanted.audience.empty()) {
    json::Value audiences(rapidjson::kArrayType);
    audiences.PushBack(json::string(wanted.audience, alloc), alloc);
    json::set(spec, "audiences", std::move(audiences), alloc);
  }
  json::set(spec, "expirationSeconds", json::Value(wanted.seconds), alloc);
  json::Value& ref = json::ensure_object(spec, {"boundObjectRef"}, alloc);
  json::set(ref, "kind", "Pod", alloc);
  json::set(ref, "apiVersion", "v1", alloc);
  json::set(ref, "name", wanted.pod, alloc);
  json::set(ref, "uid", wanted.pod_uid, alloc);

  const WallTime now = clock_.wall();
  auto text = transport_->create({"", "v1", "serviceaccounts", "token"}, wanted.ns, wanted.account, json::dump(body));
  if (!text.ok())
    return text.status().with_context(
        fmt::format("failed to fetch token for service account {}/{}", wanted.ns, wanted.account));
  KNARR_ASSIGN(const json::Document answer, json::parse(*text));
  Entry entry;
  entry.token = json::get_string(answer, {"status", "token"});
  if (entry.token.empty()) return internal_error("the server answered a TokenRequest without a token");
  KNARR_ASSIGN(entry.ends, parse_time(json::get_string(answer, {"status", "expirationTimestamp"})));
  const auto life = std::chrono::duration_cast<seconds>(entry.ends - now);
  entry.renew = now + seconds(std::min<int64_t>(life.count() * 4 / 5, kDay));
  return entry;
}

Result<std::string> TokenCache::get(const TokenWanted& wanted) {
  const std::string key = fmt::format("{}\n{}\n{}", wanted.pod_uid, wanted.audience, wanted.seconds);
  const WallTime now = clock_.wall();
  std::string known;
  {
    Lock lock(mutex_);
    if (const auto it = entries_.find(key); it != entries_.end()) {
      it->second.used = clock_.mono();
      if (now < it->second.renew) return it->second.token;
      if (now < it->second.ends) known = it->second.token;
    }
  }
  auto entry = request(wanted);
  if (!entry.ok()) {
    if (!known.empty()) return known;  // it holds for a while
    return entry.status();
  }
  entry->used = clock_.mono();
  Lock lock(mutex_);
  return (entries_[key] = std::move(*entry)).token;
}

void TokenCache::forget(seconds age) {
  Lock lock(mutex_);
  std::erase_if(entries_, [&](const auto& entry) {
    return clock_.mono() - entry.second.used > age || clock_.wall() > entry.second.ends;
  });
}

}  // namespace knarr::agent
