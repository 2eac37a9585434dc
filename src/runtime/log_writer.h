// A container's log in the CRI format: one record a line, "<time> <stream> <F|P> <text>", P for a part of a line longer than
// 16 KiB. Bytes without a newline wait for the rest of their line.
#pragma once

#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::runtime {

enum class Stream { kStdout, kStderr };

// Appends the records that `bytes` complete to `out` and keeps the rest in `partial`. `time`: nanoseconds since the epoch.
inline constexpr size_t kMaxLogLine = 16 * 1024;
void append_log_records(std::string& out, std::string& partial, Stream stream, std::string_view bytes, int64_t time);
std::string format_log_time(int64_t nanoseconds);  // 2026-11-21T12:00:00.123456789Z

class LogWriter {
 public:
  // Makes the file's directory. The file is opened anew by reopen(), after somebody renamed it.
  static Result<LogWriter> open(const std::string& path);
  Status reopen();

  void write(Stream stream, std::string_view bytes);
  void finish(Stream stream);  // the stream ended: what waits is a line of its own

 private:
  explicit LogWriter(std::string path) : path_(std::move(path)) {}
  void put(const std::string& records);

  std::string path_;
  linux::UniqueFd file_;
  std::string partial_[2];  // by stream
};

}  // namespace knarr::runtime
