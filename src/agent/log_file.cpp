#include "agent/log_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "knarr/linux/fd.h"
#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

constexpr size_t kBlock = 64 << 10;
constexpr int kLookForListener = 5000;  // ms between looks whether the one who follows is still there
constexpr int kLastWords = 50;          // ms that a container's last lines may come after its end

Result<linux::UniqueFd> open_log(const std::string& path) {
  linux::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_status(errno, "open the log " + path);
  return fd;
}

// RFC 3339 in UTC with nine digits, as in the log; a text below any later time's.
std::string log_time(WallTime time) {
  auto whole = std::chrono::floor<seconds>(time);
  auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time - whole).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}000Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                     micros);
}

}  // namespace

std::optional<LogLine> parse_log_line(std::string_view line) {
  LogLine parsed;
  auto word = [&line]() -> std::string_view {
    auto space = line.find(' ');
    if (space == std::string_view::npos) return {};
    std::string_view w = line.substr(0, space);
    line.remove_prefix(space + 1);
    return w;
  };
  parsed.time = word();
  parsed.stream = word();
  std::string_view tag = word();
  if (parsed.time.empty() || (parsed.stream != "stdout" && parsed.stream != "stderr") || tag.empty()) return {};
  parsed.full = tag[0] != 'P';
  parsed.text = line;
  return parsed;
}

Result<int64_t> offset_of_tail(int fd, int64_t lines) {
  int64_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) return errno_status(errno, "seek in a log");
  if (lines <= 0) return end;
  std::string block(kBlock, '\0');
  int64_t at = end, newlines = 0;
  while (at > 0) {
    int64_t begin = std::max<int64_t>(at - static_cast<int64_t>(kBlock), 0);
    ssize_t n = pread(fd, block.data(), static_cast<size_t>(at - begin), begin);
    if (n <= 0) return errno_status(n < 0 ? errno : EIO, "read a log");
    for (ssize_t i = n - 1; i >= 0; --i) {
      if (block[static_cast<size_t>(i)] != '\n' || begin + i + 1 == end)
        continue;  // the last line's own end does not count
      if (++newlines == lines) return begin + i + 1;
    }
    at = begin;
  }
  return 0;
}

std::string tail_of_log(const std::string& path, int64_t lines, size_t bytes) {
  auto fd = open_log(path);
  if (!fd.ok()) return {};
  auto begin = offset_of_tail(fd->get(), lines);
  if (!begin.ok()) return {};
  LogFilter filter({});
  std::string out, block(kBlock, '\0');
  for (int64_t at = *begin;;) {
    ssize_t n = pread(fd->get(), block.data(), block.size(), at);
    if (n <= 0) break;
    at += n;
    filter.feed(std::string_view(block.data(), static_cast<size_t>(n)), out);
    if (out.size() > 2 * bytes) out.erase(0, out.size() - bytes);
  }
  if (out.size() > bytes) out.erase(0, out.size() - bytes);
  return out;
}

LogFilter::LogFilter(const LogQuery& query)
    : query_(query),
      since_(query.since ? log_time(*query.since) : ""),
      left_(query.limit_bytes.value_or(std::numeric_limits<int64_t>::max())) {}

bool LogFilter::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && left_ > 0) {
    auto newline = bytes.find('\n');
    if (newline == std::string_view::npos) {
      pending_ += bytes;
      break;
    }
    std::string_view text = bytes.substr(0, newline);
    bytes.remove_prefix(newline + 1);
    if (pending_.empty()) {
      if (!line(text, out)) return false;
      continue;
    }
    pending_ += text;
    std::string whole;
    whole.swap(pending_);
    if (!line(whole, out)) return false;
  }
  return left_ > 0;
}

bool LogFilter::line(std::string_view text, std::string& out) {
  auto parsed = parse_log_line(text);
  if (!parsed || (!query_.stream.empty() && parsed->stream != query_.stream)) return true;
  if (!since_.empty() && parsed->time < since_) return true;
  size_t before = out.size();
  if (query_.timestamps && !continuing_) {
    out += parsed->time;
    out += ' ';
  }
  out += parsed->text;
  if (parsed->full) out += '\n';
  continuing_ = !parsed->full;
  int64_t added = static_cast<int64_t>(out.size() - before);
  if (added > left_) out.resize(before + static_cast<size_t>(left_));
  left_ -= std::min(added, left_);
  return left_ > 0;
}

Result<bool> rotate_log(const std::string& path, int64_t limit, size_t keep, WallTime now) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return errno_status(errno, "look at the log " + path);
  if (info.st_size <= limit) return false;
  auto slash = path.rfind('/');
  std::string directory = path.substr(0, slash), prefix = path.substr(slash + 1) + ".";
  KNARR_ASSIGN(auto names, linux::list_directory(directory));
  std::erase_if(names, [&](const std::string& name) { return !name.starts_with(prefix); });
  std::sort(names.begin(), names.end());
  while (!names.empty() && names.size() + 2 > keep) {  // with the one that is moved now and the one that is written
    unlink((directory + "/" + names.front()).c_str());
    names.erase(names.begin());
  }
  auto whole = std::chrono::floor<seconds>(now);
  std::string moved =
      fmt::format("{}.{:%Y%m%d-%H%M%S}", path, fmt::gmtime(std::chrono::system_clock::to_time_t(whole)));
  if (rename(path.c_str(), moved.c_str()) != 0) return errno_status(errno, "move the log " + path);
  return true;
}

void remove_log(const std::string& path) {
  auto slash = path.rfind('/');
  std::string directory = path.substr(0, slash), name = path.substr(slash + 1);
  auto names = linux::list_directory(directory);
  if (!names.ok()) return;
  for (const auto& found : *names) {
    if (found.starts_with(name)) unlink((directory + "/" + found).c_str());
  }
}

namespace {

// A log that is read to its end, and perhaps on from there: the place in it, and the new file when it is moved aside.
class LogTail {
 public:
  explicit LogTail(std::string path) : path_(std::move(path)) {}

  Status open(const LogQuery& query) {
    KNARR_ASSIGN(file_, open_log(path_));
    if (query.tail_lines) {
      KNARR_ASSIGN(at_, offset_of_tail(file_.get(), *query.tail_lines));
    }
    if (!query.follow) return {};
    notify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    std::string directory = path_.substr(0, path_.rfind('/'));
    bool watching = notify_ && inotify_add_watch(notify_.get(), path_.c_str(), IN_MODIFY) >= 0 &&
                    inotify_add_watch(notify_.get(), directory.c_str(), IN_CREATE) >= 0;
    return watching ? Status() : errno_status(errno, "wait for the log " + path_);
  }

  // 0: nothing new.
  Result<size_t> read(std::string& block) {
    while (true) {
      ssize_t n = pread(file_.get(), block.data(), block.size(), at_);
      if (n < 0) return errno_status(errno, "read the log " + path_);
      at_ += n;
      if (n > 0 || !next_) return static_cast<size_t>(n);
      file_ = std::move(next_);  // the old file is at its end, and nobody writes it any more
      at_ = 0;
    }
  }

  int notify_fd() const { return notify_.get(); }
  void take_notices() {
    char events[4096];
    while (::read(notify_.get(), events, sizeof events) > 0) {
    }
    struct stat ours {
    }, named{};
    if (next_ || fstat(file_.get(), &ours) != 0 || stat(path_.c_str(), &named) != 0 || ours.st_ino == named.st_ino)
      return;
    auto fresh = open_log(path_);
    if (!fresh.ok()) return;
    next_ = std::move(*fresh);
    inotify_add_watch(notify_.get(), path_.c_str(), IN_MODIFY);
  }

 private:
  const std::string path_;
  linux::UniqueFd file_, next_, notify_;
  int64_t at_ = 0;
};

}  // namespace

Status send_log(const std::string& path, const LogQuery& query, int ended_fd,
                const std::function<Status(std::string_view)>& write, const std::function<bool()>& gone) {
  LogTail tail(path);
  KNARR_RETURN_IF_ERROR(tail.open(query));
  LogFilter filter(query);
  std::string block(kBlock, '\0'), out;
  bool ended = false, last_look = false;
  while (true) {
    KNARR_ASSIGN(size_t n, tail.read(block));
    if (n > 0) {
      out.clear();
      bool more = filter.feed(std::string_view(block.data(), n), out);
      if (!out.empty()) KNARR_RETURN_IF_ERROR(write(out));
      if (!more) return {};
      continue;
    }
    if (!query.follow || last_look) return {};
    pollfd fds[2] = {{tail.notify_fd(), POLLIN, 0}, {ended ? -1 : ended_fd, POLLIN, 0}};
    int ready = poll(fds, 2, ended ? kLastWords : kLookForListener);
    if (ready < 0 && errno != EINTR) return errno_status(errno, "wait for the log " + path);
    if (fds[0].revents != 0) tail.take_notices();
    if (ended && ready == 0) last_look = true;
    if (fds[1].revents != 0) ended = true;
    if (gone()) return {};
  }
}

}  // namespace knarr::agent
