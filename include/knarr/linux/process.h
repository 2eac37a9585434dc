// Processes with an owner: started by posix_spawn (safe from any thread), known by pidfd, waited for without races.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::linux {

struct ExitStatus {
  int code = 0;    // when it exited
  int signal = 0;  // when a signal ended it
  bool success() const { return code == 0 && signal == 0; }
  int shell_code() const { return signal != 0 ? 128 + signal : code; }  // as a shell and Kubernetes count
};
ExitStatus decode_wait_status(int wait_status);

struct SpawnOptions {
  std::string executable;                            // a path; "/proc/self/exe" is this program
  std::vector<std::string> arguments;                // arguments[0] too
  std::optional<std::vector<std::string>> environment;  // K=V; the caller's own when absent
  std::string working_directory;                     // "": the caller's
  std::vector<std::pair<int, int>> fds;              // (ours, the child's number), the child's ≥ 0; 0..2 not named are /dev/null for 0, else ours
  bool new_session = false;                          // setsid: no terminal's signals reach it
};

// A child process of ours. The destructor lets go of it: a child that still runs keeps running, and is nobody's to reap but
// ours; who wants it dead says kill_and_wait().
class Process {
 public:
  Process() = default;
  Process(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}
  Process& operator=(Process&& other) noexcept {
    pid_ = std::exchange(other.pid_, 0);
    pidfd_ = std::move(other.pidfd_);
    return *this;
  }

  // Signals are reset to their defaults and unblocked; descriptors that are not named in `fds` are closed by O_CLOEXEC, and
  // those above the highest named one whatever their flags.
  static Result<Process> spawn(const SpawnOptions& options);

  bool valid() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable (EPOLLIN) when it ended

  Status signal(int number) const;        // OK when it has ended already
  Result<ExitStatus> wait();              // blocks; once
  Result<std::optional<ExitStatus>> try_wait();
  void kill_and_wait();

 private:
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

Result<UniqueFd> open_pidfd(pid_t pid);             // NotFound when there is no such process
Status signal_pidfd(int pidfd, int number);         // NotFound when it ended
Result<uint64_t> process_start_time(pid_t pid);     // clock ticks since boot: with the pid it names a process for good

}  // namespace knarr::linux
