#include "cli/supervised.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "knarr/base/log.h"

extern char** environ;

namespace knarr::cli {

static_assert(kMachineGoesDown == SIGPWR);

SupervisedProcess::SupervisedProcess(std::string owner, std::string name, std::vector<std::string> arguments,
                                     std::vector<std::string> environment)
    : owner_(std::move(owner)),
      name_(std::move(name)),
      arguments_(std::move(arguments)),
      environment_(std::move(environment)) {}

Status SupervisedProcess::start() {
  std::vector<char*> argv;
  for (auto& argument : arguments_) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (char** variable = environ; *variable; ++variable) envp.push_back(*variable);
  for (const auto& variable : environment_) envp.push_back(const_cast<char*>(variable.c_str()));
  envp.push_back(nullptr);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  int error = posix_spawn(&pid_, "/proc/self/exe", nullptr, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  started_ = Clock::system().mono();
  if (error != 0) {
    pid_ = -1;
    return errno_status(error, fmt::format("start knarr {}", name_));
  }
  return {};
}

void SupervisedProcess::reap() {
  int how = 0;
  if (pid_ > 0 && waitpid(pid_, &how, WNOHANG) == pid_) ended(how);
}

void SupervisedProcess::ended(int how) {
  pid_ = -1;
  auto now = Clock::system().mono();
  pause_ = now - started_ > seconds(30) ? milliseconds(100) : std::min(pause_ * 2, milliseconds(10'000));
  restart_at_ = now + pause_;
  log::warn(owner_, fmt::format("the {} ended; starting it again, containers keep running", name_),
            {{"how", WIFSIGNALED(how) ? fmt::format("signal {}", WTERMSIG(how))
                                      : fmt::format("exit code {}", WEXITSTATUS(how))},
             {"in_ms", pause_.count()}});
}

void SupervisedProcess::stop(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  int how = 0;
  while (waitpid(pid_, &how, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace knarr::cli
