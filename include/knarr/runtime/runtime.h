// The container runtime: a shim process for each pod holds the pod's namespaces, starts and reaps its containers, writes their logs
// and serves exec. Shims outlive whoever started them; `Runtime::recover` finds them again. Source: OCI runtime-spec 1.1, CRI log format.
//
// Runtime is the agent's side. Thread-safe. Every call has a deadline inside (10 s unless said) and answers an error rather than hang.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"

namespace knarr::runtime {

struct Mount {
  std::string source;       // host path; for tmpfs: "tmpfs"
  std::string destination;  // absolute path in the container
  std::string type = "bind";  // bind | tmpfs | proc | sysfs | mqueue | cgroup | devpts
  bool read_only = false;
  bool recursive_read_only = false;  // what is mounted beneath the source too
  bool recursive = true;
  std::string propagation;  // "" (private) | rslave | rshared
  std::string options;      // data for tmpfs: size=64m,mode=1777
};

struct Resources {  // 0: not limited
  int64_t memory_limit_bytes = 0;
  int64_t cpu_quota_us = 0, cpu_period_us = 100'000;
  int64_t cpu_shares = 0;
  int64_t pids_limit = 0;
};

struct SecurityContext {
  int64_t uid = 0, gid = 0;
  std::vector<int64_t> additional_gids;
  bool privileged = false;
  bool no_new_privileges = false;
  bool read_only_root = false;
  std::vector<std::string> add_capabilities, drop_capabilities;  // NET_ADMIN, ALL, with or without CAP_
  std::string seccomp = "RuntimeDefault";                         // RuntimeDefault | Unconfined | Localhost:<absolute path>
  std::vector<std::string> masked_paths, read_only_paths;         // empty: the defaults (none when privileged)
  bool unmasked_proc = false;                                     // procMount: Unmasked
};

struct PodSandboxSpec {
  std::string id;         // the pod's uid: [A-Za-z0-9-]+
  std::string name, namespace_;
  std::string hostname;
  std::string log_directory;  // absolute: <data>/log/pods/<ns>_<name>_<uid>
  bool host_network = false, host_pid = false, host_ipc = false;
  bool share_process_namespace = false;
  std::map<std::string, std::string> sysctls;
  std::string cgroup_parent;  // relative to the v2 root; "": kubepods
  Resources resources;        // what all its containers together may take
};

struct ContainerSpec {
  std::string id;    // unique in the node: [A-Za-z0-9-]+
  std::string name;  // the container's name in the pod
  int attempt = 0;   // becomes <log_directory>/<name>/<attempt>.log
  // The root file system: overlay layers from the lowest to the highest; the shim mounts them with an upper of its own.
  std::vector<std::string> lower_directories;
  std::vector<std::string> args;  // args[0] is looked up in PATH of env
  std::vector<std::string> env;   // K=V
  std::string working_directory = "/";
  std::string user;               // as the image says it ("nobody", "1000:1000"), when run_as is not set
  std::optional<int64_t> run_as_user, run_as_group;
  SecurityContext security;
  std::vector<Mount> mounts;
  Resources resources;
  std::vector<std::tuple<std::string, uint64_t, uint64_t>> rlimits;  // RLIMIT_NOFILE, soft, hard
  std::optional<int> oom_score_adj;  // as near to it as the kernel lets us go
  bool terminal = false, stdin_open = false, stdin_once = false;
  std::string hostname;
  std::string termination_log;  // host path of the file that is mounted at the container's termination message path
  std::string process_namespace_of;  // id of a running container whose processes it sees; "": its own, or the pod's
};

enum class ContainerState { kCreated, kRunning, kExited };

struct ContainerStatus {
  std::string id, name;
  int attempt = 0;
  ContainerState state = ContainerState::kCreated;
  int pid = 0;                // in the host's pid namespace, while running
  WallTime started_at{}, finished_at{};
  int exit_code = 0;
  int signal = 0;             // that ended it
  bool oom_killed = false;
  std::string reason;         // Completed, Error, OOMKilled, ContainerCannotRun, StartError
  std::string message;        // of a start that failed
};

struct PodSandboxStatus {
  PodSandboxSpec spec;
  int shim_pid = 0;
  std::vector<ContainerStatus> containers;
};

// What the kernel here gives and does not; each missing thing has a sentence for a condition and a log line.
struct Capabilities {
  bool cgroup_v2 = false, memory_limits = false, cpu_limits = false, pids_limits = false, oom_score_adjust = false, seccomp = false, device_filter = false;
  std::vector<std::string> missing;  // "no cgroup v2 memory controller: memory limits are not enforced"
};

// A started exec, or an attach. Ends when the process ended and its output was read.
class ExecSession {
 public:
  virtual ~ExecSession() = default;  // closes stdin and lets go; the process is killed only if it was exec'd
  // Pipes (or one pty in stdin_fd == stdout_fd): -1 where not asked for. Owned by the session.
  virtual int stdin_fd() const = 0;
  virtual int stdout_fd() const = 0;
  virtual int stderr_fd() const = 0;
  virtual void close_stdin() = 0;
  virtual Status resize(int width, int height) = 0;
  virtual Result<int> wait() = 0;  // the exit code; blocks
};

struct ExecOptions {
  std::vector<std::string> args;
  bool stdin_open = false, stdout_open = true, stderr_open = true, terminal = false;
};

class Runtime {
 public:
  struct Options {
    std::string state_directory;  // <data>/run: a directory for each pod with its socket, state and overlay uppers
    std::string self_executable;  // what is exec'd as `knarr shim`; /proc/self/exe when empty
    // A container changed state. Called on the runtime's event thread; must not block.
    std::function<void(const std::string& pod_id, const ContainerStatus& status)> on_change;
    std::function<void(const std::string& pod_id)> on_sandbox_lost;  // the shim died
    bool old_mount_ways = false;  // as if the kernel were one before 6.5, so that those ways can be tested on any
  };
  static Result<std::unique_ptr<Runtime>> open(Options options);
  virtual ~Runtime() = default;  // lets go of the shims; they keep running

  virtual const Capabilities& capabilities() const = 0;

  // Limits all that runs in a group of pods ("kubepods/burstable", relative to the v2 root), which is made when it is missing.
  // NotFound: this machine has no cgroup v2 or not the controllers for it.
  virtual Status limit_group(const std::string& group, const Resources& resources) = 0;

  // Starts the pod's shim and namespaces. AlreadyExists when the pod has one.
  virtual Result<PodSandboxStatus> run_sandbox(const PodSandboxSpec& spec) = 0;
  // Path of the pod's network namespace, /proc/<pid>/ns/net ("" with host_network).
  virtual Result<std::string> network_namespace(const std::string& pod_id) = 0;
  // Creates and starts one container; answers when its process exec'd (or its reason and message when it could not).
  virtual Result<ContainerStatus> start_container(const std::string& pod_id, const ContainerSpec& spec) = 0;
  virtual Status signal_container(const std::string& pod_id, const std::string& container_id, int signal) = 0;
  virtual Status remove_container(const std::string& pod_id, const std::string& container_id) = 0;  // an exited one: its state and upper
  virtual Result<PodSandboxStatus> status(const std::string& pod_id) = 0;
  virtual std::vector<PodSandboxStatus> list() = 0;
  virtual Status reopen_log(const std::string& pod_id, const std::string& container_id) = 0;
  virtual Result<std::unique_ptr<ExecSession>> exec(const std::string& pod_id, const std::string& container_id, const ExecOptions& options) = 0;
  virtual Result<std::unique_ptr<ExecSession>> attach(const std::string& pod_id, const std::string& container_id, const ExecOptions& options) = 0;
  // Kills what runs, ends the shim, unmounts and removes everything of the pod but its logs. OK when there is none.
  virtual Status remove_sandbox(const std::string& pod_id) = 0;

  // Finds the shims of earlier runs and adopts them; answers what was found. A pod whose shim is gone is cleaned up.
  virtual Result<std::vector<PodSandboxStatus>> recover() = 0;
};

// The entry of `knarr shim`, in a process of its own. Never returns to the caller's logic; answers the exit code.
int shim_main(int argc, char** argv);

}  // namespace knarr::runtime
