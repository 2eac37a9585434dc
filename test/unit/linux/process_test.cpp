#include "knarr/linux/process.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

using namespace knarr;
using linux::Process;
using linux::SpawnOptions;

namespace {
SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.executable = "/bin/sh";
  options.arguments = {"sh", "-c", script};
  return options;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  return text;
}
}  // namespace

TEST_CASE("a spawned process answers its exit code or signal") {
  auto exits = Process::spawn(shell("exit 7"));
  REQUIRE(exits.ok());
  CHECK(exits->wait()->code == 7);

  auto sleeps = Process::spawn(shell("exec sleep 100"));
  REQUIRE(sleeps.ok());
  CHECK_FALSE((*sleeps->try_wait()).has_value());
  CHECK(sleeps->signal(SIGTERM).ok());
  const auto status = sleeps->wait();
  CHECK(status->signal == SIGTERM);
  CHECK(status->shell_code() == 128 + SIGTERM);
}

TEST_CASE("a spawned process has the descriptors, environment and directory that it was given, and no others") {
  auto out = *linux::make_pipe(), other = *linux::make_pipe();
  auto leaky = linux::UniqueFd(dup(other.read.get()));  // without O_CLOEXEC
  auto options = shell("echo $GREETING; pwd; ls /proc/self/fd | grep -vc '^[0-5]$'; echo to-five >&5");
  options.environment = {{"GREETING=hello", "PATH=/bin:/usr/bin"}};
  options.working_directory = "/";
  options.fds = {{out.write.get(), 1}, {out.write.get(), 5}};
  auto process = Process::spawn(options);
  REQUIRE(process.ok());
  out.write.reset();
  CHECK(read_all(out.read.get()) == "hello\n/\n0\nto-five\n");
  process->kill_and_wait();
}

TEST_CASE("descriptors may swap their numbers in the child") {
  auto a = *linux::make_pipe(), b = *linux::make_pipe();
  auto options = shell("echo a >&" + std::to_string(b.write.get()) + "; echo b >&" + std::to_string(a.write.get()));
  options.fds = {{a.write.get(), b.write.get()}, {b.write.get(), a.write.get()}};
  auto process = Process::spawn(options);
  REQUIRE(process.ok());
  a.write.reset();
  b.write.reset();
  CHECK(read_all(a.read.get()) == "a\n");
  CHECK(read_all(b.read.get()) == "b\n");
  process->kill_and_wait();
}

TEST_CASE("a program that is not there is an error, not a child") {
  SpawnOptions options;
  options.executable = "/nowhere/at-all";
  options.arguments = {"x"};
  const auto process = Process::spawn(options);
  REQUIRE_FALSE(process.ok());
  CHECK(process.status().is(reason::kNotFound));
  CHECK(process.status().message().find("/nowhere/at-all") != std::string::npos);
}

TEST_CASE("a process has a start time that is its own") {
  CHECK(linux::process_start_time(getpid()).ok());
  CHECK(linux::process_start_time(getpid()).value() == linux::process_start_time(getpid()).value());
  CHECK(linux::open_pidfd(0x7ffffff).status().is(reason::kNotFound));
}
