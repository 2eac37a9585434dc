// A process of this program that another keeps running: started again when it ends, with growing pauses when it ends soon.
// Not thread-safe: it belongs to the thread that waits for SIGCHLD.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::cli {

// Asks a server or an agent to end for good, with its pods, whatever --keep-pods says: the machine goes down.
constexpr int kMachineGoesDown = 30;  // SIGPWR

class SupervisedProcess {
 public:
  // `name` is what the log calls it ("agent"), `owner` who speaks there. `environment` ("K=V") is added to the caller's.
  SupervisedProcess(std::string owner, std::string name, std::vector<std::string> arguments, std::vector<std::string> environment);

  Status start();
  pid_t pid() const { return pid_; }  // -1 while it does not run
  // After SIGCHLD: did it end? Then it is to be started not before restart_at().
  void reap();
  void ended(int wait_status);  // the same, for a caller that waits for all children
  std::optional<MonoTime> restart_at() const { return pid_ > 0 ? std::nullopt : std::optional(restart_at_); }
  void stop(int signal);  // and waits for its end

 private:
  const std::string owner_, name_;
  std::vector<std::string> arguments_;
  const std::vector<std::string> environment_;
  pid_t pid_ = -1;
  MonoTime started_{}, restart_at_{};
  milliseconds pause_{100};
};

}  // namespace knarr::cli
