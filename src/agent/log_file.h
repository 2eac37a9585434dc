// Reading the log files that the runtime writes, in the CRI's format: "<time> stdout|stderr F|P <text>" a line, P for a
// part of a line that goes on in the next.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::agent {

struct LogLine {
  std::string_view time, stream, text;
  bool full = true;  // the end of a line
};
// Nothing for a line that is not in the format (a write that was cut short).
std::optional<LogLine> parse_log_line(std::string_view line);

// Where in the file its last `lines` lines begin.
Result<int64_t> offset_of_tail(int fd, int64_t lines);

// The text of the last lines, as a termination message falls back to them; "" when there are none.
std::string tail_of_log(const std::string& path, int64_t lines, size_t bytes);

struct LogQuery {
  bool follow = false, timestamps = false;
  std::optional<int64_t> tail_lines, limit_bytes;
  std::optional<WallTime> since;
  std::string stream;  // stdout, stderr, "" for both
};

// Turns the file's bytes into what is asked for.
class LogFilter {
 public:
  explicit LogFilter(const LogQuery& query);
  // Takes the next bytes of the file, appends what is to be sent. False when the limit is reached.
  bool feed(std::string_view bytes, std::string& out);

 private:
  bool line(std::string_view line, std::string& out);
  const LogQuery query_;
  const std::string since_;  // as the log's times are written: they compare as text
  int64_t left_;
  std::string pending_;  // the begin of a line
  bool continuing_ = false;
};

// Moves the log file aside when it is larger than `limit`, as <path>.<time>, and keeps the `keep - 1` newest of those.
// True when it was moved: whoever writes it has to open it anew.
Result<bool> rotate_log(const std::string& path, int64_t limit, size_t keep, WallTime now);

void remove_log(const std::string& path);  // and what was moved aside of it

// Sends a log file. When following it waits on inotify for the file to grow, until `ended_fd` becomes readable (the
// container ended; what it had written is still sent) or `gone` says that nobody listens.
Status send_log(const std::string& path, const LogQuery& query, int ended_fd,
                const std::function<Status(std::string_view)>& write, const std::function<bool()>& gone);

}  // namespace knarr::agent
