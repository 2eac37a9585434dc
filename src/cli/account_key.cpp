#include "cli/account_key.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::cli {

namespace {

constexpr seconds kAtLeast = std::chrono::hours(1), kAtMost = std::chrono::hours(24);  // agents renew tokens once a day or more often

// For how long a pod may hold a token before its agent gets a new one.
seconds held_by(const json::Value& pod) {
  seconds longest{0};
  const json::Value* volumes = json::find(pod, {"spec", "volumes"});
  if (!volumes || !volumes->IsArray()) return longest;
  for (const json::Value& volume : volumes->GetArray()) {
    const json::Value* sources = json::find(volume, {"projected", "sources"});
    if (!sources || !sources->IsArray()) continue;
    for (const json::Value& source : sources->GetArray())
      if (const json::Value* token = json::find(source, "serviceAccountToken"))
        longest = std::max(longest, seconds(json::get_int(*token, "expirationSeconds") * 4 / 5));
  }
  return longest;
}

}  // namespace

Status check_account_key_unused(store::Store& store, const auth::ServiceAccountTokens& tokens, const std::string& directory,
                                const Clock& clock) {
  const auto replaced_at = auth::service_account_key_replaced_at(directory);
  if (!replaced_at) return {};
  const auto refused = [](std::string why) {
    return Status(409, reason::kConflict, fmt::format("{}; wait, or --force, after which such tokens are refused", why));
  };
  KNARR_ASSIGN(const auto secrets, store.list(store.resource("secrets"), {}));
  for (const store::ObjectPtr& object : secrets.objects) {
    if (object->value.find("kubernetes.io/service-account-token") == std::string::npos) continue;
    const auto secret = json::parse(object->value);
    const auto token = secret.ok() ? base64::decode(json::get_string(*secret, {"data", "token"})) : Result<std::string>(std::string());
    if (token.ok() && tokens.is_by_replaced_key(*token))
      return refused(fmt::format("the Secret {} holds a token of the old key still", object->key));
  }
  seconds held = kAtLeast;
  KNARR_ASSIGN(const auto pods, store.list(store.resource("pods"), {}));
  for (const store::ObjectPtr& object : pods.objects)
    if (const auto pod = json::parse(object->value); pod.ok()) held = std::max(held, held_by(*pod));
  const WallTime until = *replaced_at + std::min(held, kAtMost);
  if (clock.wall() >= until) return {};
  return refused(fmt::format("pods may hold tokens of the old key until {}", format_time(until)));
}

}  // namespace knarr::cli
