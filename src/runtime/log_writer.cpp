#include "runtime/log_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "knarr/linux/tree.h"

namespace knarr::runtime {

namespace {

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::string record_start(Stream stream, int64_t time) { return format_log_time(time) + (stream == Stream::kStdout ? " stdout " : " stderr "); }

void append_record(std::string& out, std::string_view start, bool full, std::string_view first, std::string_view second) {
  out += start;
  out += full ? "F " : "P ";
  out += first;
  out += second;
  out += '\n';
}

}  // namespace

std::string format_log_time(int64_t nanoseconds) {
  const time_t whole = nanoseconds / 1'000'000'000;
  tm parts;
  gmtime_r(&whole, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec, nanoseconds % 1'000'000'000);
}

void append_log_records(std::string& out, std::string& partial, Stream stream, std::string_view bytes, int64_t time) {
  const std::string start = record_start(stream, time);
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const size_t length = std::min(newline, bytes.size());
    if (partial.size() + length > kMaxLogLine) {
      const size_t take = kMaxLogLine - partial.size();
      append_record(out, start, false, partial, bytes.substr(0, take));
      partial.clear();
      bytes.remove_prefix(take);
    } else if (newline == std::string_view::npos) {
      partial += bytes;
      return;
    } else {
      append_record(out, start, true, partial, bytes.substr(0, newline));
      partial.clear();
      bytes.remove_prefix(newline + 1);
    }
  }
}

Result<LogWriter> LogWriter::open(const std::string& path) {
  LogWriter writer(path);
  KNARR_RETURN_IF_ERROR(linux::make_directories(path.substr(0, path.rfind('/'))));
  KNARR_RETURN_IF_ERROR(writer.reopen());
  return writer;
}

Status LogWriter::reopen() {
  linux::UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file) return errno_status(errno, fmt::format("open log {}", path_));
  file_ = std::move(file);
  return {};
}

void LogWriter::write(Stream stream, std::string_view bytes) {
  std::string records;
  append_log_records(records, partial_[static_cast<int>(stream)], stream, bytes, now());
  put(records);
}

void LogWriter::finish(Stream stream) {
  std::string& partial = partial_[static_cast<int>(stream)];
  if (partial.empty()) return;
  std::string record;
  append_record(record, record_start(stream, now()), false, partial, {});  // without the newline it did not write
  partial.clear();
  partial.shrink_to_fit();
  put(record);
}

void LogWriter::put(const std::string& records) {
  // A full disk loses log lines; it must not stop the container that writes them.
  (void)linux::write_all(file_.get(), records, path_);
}

}  // namespace knarr::runtime
