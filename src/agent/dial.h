// Connecting to what runs in a pod.
#pragma once

#include <algorithm>
#include <string>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::agent {

// What is left until then, for poll().
inline int remaining_ms(MonoTime deadline) {
  auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::system().mono()).count();
  return static_cast<int>(std::max<int64_t>(left, 0));
}

// A connection that does not block. Errors are worded as Go's: "dial tcp 10.0.0.1:80: connection refused".
Result<linux::UniqueFd> connect_tcp(const std::string& host, int port, MonoTime deadline);

}  // namespace knarr::agent
