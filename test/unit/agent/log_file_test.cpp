#include "agent/log_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "knarr/codec/time.h"
#include "knarr/linux/fd.h"
#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

class TemporaryLog {
 public:
  TemporaryLog() : fd_(mkostemp(path_, O_CLOEXEC)) {}
  ~TemporaryLog() { unlink(path_); }
  void add(std::string_view text) {
    REQUIRE(write(fd_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/knarr-log-XXXXXX";
  linux::UniqueFd fd_;
};

std::string read_back(const TemporaryLog& log, const LogQuery& query) {
  std::string out;
  Status status = send_log(
      log.path(), query, -1,
      [&](std::string_view text) {
        out += text;
        return Status();
      },
      [] { return false; });
  CHECK(status.ok());
  return out;
}

}  // namespace

TEST_CASE("log lines", "[log]") {
  auto line = parse_log_line("2026-11-21T12:00:00.123456789Z stderr P part of it ");
  REQUIRE(line);
  CHECK(line->stream == "stderr");
  CHECK_FALSE(line->full);
  CHECK(line->text == "part of it ");
  CHECK(parse_log_line("2026-11-21T12:00:00.1Z stdout F ")->text.empty());
  CHECK_FALSE(parse_log_line("broken"));
  CHECK_FALSE(parse_log_line("2026 other F x"));
}

TEST_CASE("logs: tail, times, limits, parts of lines", "[log]") {
  TemporaryLog log;
  log.add(
      "2026-11-21T12:00:00.000000001Z stdout F one\n"
      "2026-11-21T12:00:01.000000000Z stderr F two\n"
      "2026-11-21T12:00:02.000000000Z stdout P thr\n"
      "2026-11-21T12:00:02.000000001Z stdout F ee\n"
      "2026-11-21T12:00:03.000000000Z stdout F four\n");
  CHECK(read_back(log, {}) == "one\ntwo\nthree\nfour\n");
  CHECK(read_back(log, {.tail_lines = 1}) == "four\n");
  CHECK(read_back(log, {.tail_lines = 0}) == "");
  CHECK(read_back(log, {.tail_lines = 100}) == "one\ntwo\nthree\nfour\n");
  CHECK(read_back(log, {.limit_bytes = 6}) == "one\ntw");
  CHECK(read_back(log, {.stream = "stderr"}) == "two\n");
  CHECK(read_back(log, {.since = *parse_time("2026-11-21T12:00:02Z")}) == "three\nfour\n");
  CHECK(read_back(log, {.timestamps = true, .tail_lines = 3}) ==
        "2026-11-21T12:00:02.000000000Z three\n2026-11-21T12:00:03.000000000Z four\n");
  CHECK(tail_of_log(log.path(), 2, 7) == "e\nfour\n");
}

TEST_CASE("a long log's tail is found from its end", "[log]") {
  TemporaryLog log;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "2026-11-21T12:00:00.000000000Z stdout F line " + std::to_string(i) + "\n";
  log.add(text);
  CHECK(read_back(log, {.tail_lines = 2}) == "line 19998\nline 19999\n");
  std::string many = read_back(log, {.tail_lines = 5000});
  CHECK(many.starts_with("line 15000\n"));
}

TEST_CASE("following ends with the container, after its last words", "[log]") {
  TemporaryLog log;
  log.add("2026-11-21T12:00:00.000000000Z stdout F one\n");
  linux::UniqueFd ended(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::string out;
  std::thread follower;
  Status status;
  bool second = false;
  LogQuery query;
  query.follow = true;
  status = send_log(
      log.path(), query, ended.get(),
      [&](std::string_view text) {
        out += text;
        if (!second) {
          second = true;
          log.add("2026-11-21T12:00:01.000000000Z stdout F two\n");
          uint64_t one = 1;
          REQUIRE(write(ended.get(), &one, sizeof one) == sizeof one);
        }
        return Status();
      },
      [] { return false; });
  CHECK(status.ok());
  CHECK(out == "one\ntwo\n");
}

TEST_CASE("a log that is moved aside while it is followed goes on in the new file", "[log]") {
  const test::TempDirectory directory;
  const std::string path = directory.file("0.log");
  auto add = [&](const std::string& to, std::string_view text) {
    linux::UniqueFd fd(open(to.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0644));
    REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  };
  add(path, "2026-11-21T12:00:00.000000000Z stdout F one\n");
  linux::UniqueFd ended(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::string out;
  int step = 0;
  LogQuery query;
  query.follow = true;
  Status status = send_log(
      path, query, ended.get(),
      [&](std::string_view text) {
        out += text;
        if (++step == 1) {
          REQUIRE(*rotate_log(path, 10, 5, *parse_time("2026-11-21T12:00:00Z")));
          add(path + ".20261121-120000", "2026-11-21T12:00:01.000000000Z stdout F last of the old\n");
          add(path, "2026-11-21T12:00:02.000000000Z stdout F two\n");
        } else if (out.ends_with("two\n")) {
          uint64_t one = 1;
          REQUIRE(write(ended.get(), &one, sizeof one) == sizeof one);
        }
        return Status();
      },
      [] { return false; });
  CHECK(status.ok());
  CHECK(out == "one\nlast of the old\ntwo\n");
  CHECK_FALSE(*rotate_log(path, 1000, 5, WallTime{}));
  for (int i = 1; i <= 9; ++i) {
    REQUIRE(*rotate_log(path, 10, 3, WallTime(seconds(1'900'000'000 + i))));
    add(path, "2026-11-21T12:00:02.000000000Z stdout F two\n");
  }
  CHECK(linux::list_directory(directory.path)->size() == 3);
}
