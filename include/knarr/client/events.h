// Events for people: what happened to an object. Recorded asynchronously; what repeats is counted in one Event.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "knarr/base/clock.h"
#include "knarr/client/client.h"

namespace knarr::client {

// core/v1.ObjectReference of what the event is about.
struct EventRef {
  std::string api_version, kind, namespace_, name, uid, resource_version, field_path;
};
template <typename T>
EventRef event_ref(const T& object, std::string field_path = {}) {
  std::string api_version =
      T::kGroup.empty() ? std::string(T::kVersion) : std::string(T::kGroup) + "/" + std::string(T::kVersion);
  return {std::move(api_version), std::string(T::kKind),           object.metadata.namespace_, object.metadata.name,
          object.metadata.uid,    object.metadata.resourceVersion, std::move(field_path)};
}

inline constexpr std::string_view kEventNormal = "Normal";
inline constexpr std::string_view kEventWarning = "Warning";

class EventRecorder {
 public:
  struct Options {
    std::string component;      // knarr-agent
    std::string host;           // the node, or ""
    size_t queue_limit = 1000;  // further events are dropped, with a log line
    size_t remember = 1000;     // how many different events are recognised when they come again
    const Clock* clock = &Clock::system();
  };
  static std::shared_ptr<EventRecorder> make(std::shared_ptr<Transport> transport, Options options);
  virtual ~EventRecorder() = default;  // tries what is queued for at most a second

  // Never blocks and never fails; an event that cannot be written (server away) is dropped after a few tries.
  virtual void event(const EventRef& about, std::string_view type, std::string_view reason,
                     std::string_view message) = 0;
};

}  // namespace knarr::client
