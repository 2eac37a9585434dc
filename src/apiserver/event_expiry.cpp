#include "event_expiry.h"

#include <algorithm>

#include "knarr/base/log.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::apiserver {

namespace {

constexpr std::chrono::nanoseconds kInterval = std::chrono::minutes(1);
constexpr std::chrono::minutes kSkew{5};  // clocks that differ by more are wrong

// When the event last happened, by whichever of its times is the latest. Clients write them: one far ahead does not count.
WallTime last_seen(const json::Value& event, WallTime now) {
  WallTime latest{};
  const auto see = [&](std::string_view text) {
    if (const auto time = parse_time(text); time.ok() && *time <= now + kSkew) latest = std::max(latest, *time);
  };
  see(json::get_string(event, {"metadata", "creationTimestamp"}));
  see(json::get_string(event, "lastTimestamp"));
  see(json::get_string(event, "eventTime"));
  see(json::get_string(event, {"series", "lastObservedTime"}));
  return latest;
}

}  // namespace

EventExpiry::EventExpiry(store::Store& store, const Clock& clock, std::chrono::nanoseconds kept)
    : store_(store),
      clock_(clock),
      kept_(kept),
      interval_(std::min(kept, kInterval)),
      events_(store.resource("events")),
      next_(clock.mono() + interval_) {}

void EventExpiry::sweep_if_due() {
  const MonoTime now = clock_.mono();
  MonoTime due = next_.load();
  if (now < due || !next_.compare_exchange_strong(due, now + interval_)) return;
  sweep();
}

void EventExpiry::sweep() {
  const auto listed = store_.list(events_, {});
  if (!listed.ok()) return;
  const WallTime now = clock_.wall();
  for (const store::ObjectPtr& object : listed->objects) {
    const auto event = json::parse(object->value);
    if (!event.ok() || last_seen(*event, now) >= now - kept_) continue;
    store::Write write;
    write.op = store::Write::Op::kDelete;
    write.resource = events_;
    write.key = object->key;
    write.expect = store::Write::Expect::kRevision;  // one that happened again meanwhile stays
    write.expected = object->revision;
    const auto removed = store_.commit({&write, 1}, store::Durability::kLazy);
    if (!removed.ok() && removed.status().code() >= 500) {
      log::warn("apiserver", "an old event could not be deleted",
                {{"event", object->key}, {"error", removed.status()}});
      return;
    }
  }
}

}  // namespace knarr::apiserver
