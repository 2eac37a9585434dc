// Schedules in cron's notation, as CronJobs have them: five fields (minute, hour, day of the month, month, day of the week) with
// *, ?, lists, ranges, steps and names, or a descriptor (@yearly … @hourly, @every 1h30m). Source: crontab(5), and upstream's
// parser (robfig/cron v3) for what is accepted beyond it and how errors are worded.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr {

struct CronSchedule {
  // A bit for each value that matches. With kStar the field was * or ?: then only the other of the two days decides.
  static constexpr uint64_t kStar = uint64_t{1} << 63;
  uint64_t minutes = 0, hours = 0, days = 0, months = 0, weekdays = 0;
  std::chrono::seconds every{0};  // of @every; then the fields are not used

  // Error: BadRequest with upstream's words.
  static Result<CronSchedule> parse(std::string_view text);
};

}  // namespace knarr
