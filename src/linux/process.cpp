#include "knarr/linux/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "knarr/linux/tree.h"

extern char** environ;

namespace knarr::linux {

namespace {

std::vector<char*> c_array(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& s : strings) result.push_back(const_cast<char*>(s.c_str()));
  result.push_back(nullptr);
  return result;
}

// posix_spawn's two option objects with an owner.
struct Actions {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  Actions() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Actions() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
};

}  // namespace

ExitStatus decode_wait_status(int wait_status) {
  ExitStatus status;
  if (WIFSIGNALED(wait_status)) {
    status.signal = WTERMSIG(wait_status);
  } else {
    status.code = WEXITSTATUS(wait_status);
  }
  return status;
}

Result<Process> Process::spawn(const SpawnOptions& options) {
  // The child's numbers may be numbers of ours that are still to be copied: park all of ours above them first.
  int highest = 2;
  for (const auto& [ours, theirs] : options.fds) highest = std::max(highest, theirs);
  std::vector<UniqueFd> parked;
  Actions spawn;
  bool has_stdin = false;
  for (const auto& [ours, theirs] : options.fds) {
    parked.emplace_back(fcntl(ours, F_DUPFD_CLOEXEC, highest + 1));
    if (!parked.back()) return errno_status(errno, fmt::format("start {}: duplicate descriptor {}", options.executable, ours));
    posix_spawn_file_actions_adddup2(&spawn.actions, parked.back().get(), theirs);
    has_stdin |= theirs == 0;
  }
  if (!has_stdin) posix_spawn_file_actions_addopen(&spawn.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&spawn.actions, highest + 1);
  if (!options.working_directory.empty()) posix_spawn_file_actions_addchdir_np(&spawn.actions, options.working_directory.c_str());

  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&spawn.attributes, &none);
  posix_spawnattr_setsigdefault(&spawn.attributes, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options.new_session) flags |= POSIX_SPAWN_SETSID;
  posix_spawnattr_setflags(&spawn.attributes, flags);

  const auto arguments = c_array(options.arguments);
  const auto environment = options.environment ? c_array(*options.environment) : std::vector<char*>();
  pid_t pid = 0;
  const int error = posix_spawn(&pid, options.executable.c_str(), &spawn.actions, &spawn.attributes, arguments.data(),
                                options.environment ? environment.data() : environ);
  if (error != 0) return errno_status(error, fmt::format("start {}", options.executable));
  // Not reaped by anyone but us, so the number is still that child's.
  auto pidfd = open_pidfd(pid);
  if (!pidfd.ok()) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return pidfd.status();
  }
  return Process(pid, std::move(pidfd).value());
}

Status Process::signal(int number) const {
  Status status = signal_pidfd(pidfd_.get(), number);
  return status.is(reason::kNotFound) ? Status::OK() : status;
}

Result<ExitStatus> Process::wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) return errno_status(errno, fmt::format("wait for process {}", pid_));
  }
  pid_ = 0;
  return decode_wait_status(status);
}

Result<std::optional<ExitStatus>> Process::try_wait() {
  int status = 0;
  const pid_t got = waitpid(pid_, &status, WNOHANG);
  if (got < 0) return errno_status(errno, fmt::format("wait for process {}", pid_));
  if (got == 0) return std::optional<ExitStatus>();
  pid_ = 0;
  return std::optional<ExitStatus>(decode_wait_status(status));
}

void Process::kill_and_wait() {
  if (!valid()) return;
  (void)signal(SIGKILL);
  (void)wait();
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return errno_status(errno == ESRCH ? ENOENT : errno, fmt::format("open a pidfd of process {}", pid));
  return fd;
}

Status signal_pidfd(int pidfd, int number) {
  if (syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0) return {};
  return errno_status(errno == ESRCH ? ENOENT : errno, fmt::format("send signal {} to a process", number));
}

Result<uint64_t> process_start_time(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  KNARR_ASSIGN(const std::string text, read_file(path));
  // The second field is the name in parentheses, which may hold anything; the start time is the 20th after it.
  size_t at = text.rfind(')');
  for (int field = 0; field < 20 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  uint64_t ticks = 0;
  if (at == std::string::npos || std::from_chars(text.data() + at + 1, text.data() + text.size(), ticks).ec != std::errc()) {
    return internal_error(fmt::format("read {}: its form is not known", path));
  }
  return ticks;
}

}  // namespace knarr::linux
