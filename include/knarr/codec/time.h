// Times and durations as the API writes them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr {

// RFC 3339 with any fraction and offset ("2026-11-21T12:00:00Z", "...00.5+01:00"). Error: BadRequest, worded as Go's.
Result<WallTime> parse_time(std::string_view text);
// meta/v1.MicroTime: exactly six digits of fraction.
Result<WallTime> parse_micro_time(std::string_view text);

std::string format_time(WallTime time);        // 2026-11-21T12:00:00Z
std::string format_micro_time(WallTime time);  // 2026-11-21T12:00:00.000000Z

// Go's durations: "1h2m3s", "1.5s", "100ms", "0s".
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::nanoseconds duration);

// An age as tables print it: "5s", "2m3s", "3h5m", "4d", "1y2d"; "<invalid>" for the future.
std::string human_duration(std::chrono::seconds age);

}  // namespace knarr
